/* flash_backward.h: the backward flash kernel for Hopper, as a template of its tiles. softmax_flash_backward.cu says
   what it is and why; flash_backward_load.h has its shared memory and the warps that fill and empty it,
   flash_backward_rows.h what happens to scores and sums in registers. */
#ifndef ATTENTION_FLASH_BACKWARD_H
#define ATTENTION_FLASH_BACKWARD_H

#include "flash_backward_load.h"
#include "flash_backward_rows.h"
#include "flash_backward_sums.h"

#if WGMMA_BUILT
/* What a warpgroup holds while it works on a key tile. Scores lie transposed, 64 keys x queries. */
BACKWARD_TEMPLATE struct backward_share {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    const struct backward_arguments *arguments;
    struct backward_barriers *barriers;
    const struct backward_memory *memory;
    int warpgroup;
    unsigned count;            /* steps so far, over all key tiles */
    /* low words of descriptors: left operands, keys x head_dim; right ones, first stage; keys as the product with score
       gradients takes them */
    unsigned key_rows, value_rows, query, output_gradient, key_columns;
    float key_sums[tiles::SUM_COLUMNS / 2], value_sums[tiles::SUM_COLUMNS / 2];
};
#define BACKWARD_SHARE struct backward_share<BACKWARD_ARGUMENTS>

/* The rows of a warpgroup times the queries of a stage, transposed scores; or, of values, their derivatives. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void
backward_multiply_rows(float (&sums)[backward_tiles<BACKWARD_ARGUMENTS>::SCORE_COLUMNS / 2], unsigned rows,
                       unsigned queries) {
    wgmma_hold(sums);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++)
        product_ss(sums, flash_descriptor(rows, step / 4 * KEYS * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES),
                   flash_descriptor(queries, step / 4 * QUERIES * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES), step > 0,
                   element());
    wgmma_commit();
}

/* sums (64 keys x head_dim) += weight (64 keys x queries, in registers) times the rows of a stage. */
template <typename element, int QUERIES, int COLUMNS>
static __device__ __forceinline__ void backward_gather(float (&sums)[COLUMNS / 2],
                                                       const uint32_t (&weight)[QUERIES / 16][4], unsigned queries) {
    wgmma_hold(sums);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < QUERIES / 16; step++)
        product_rs(sums, weight[step], flash_descriptor(queries, step * 16 * CHUNK_BYTES), true, element());
    wgmma_commit();
}

/* The same with the weights of both warpgroups, in shared memory, and half of head_dim. */
template <typename element, int QUERIES, int COLUMNS>
static __device__ __forceinline__ void backward_gather_shared(float (&sums)[COLUMNS / 2], unsigned weight,
                                                              unsigned queries) {
    wgmma_hold(sums);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < QUERIES / 16; step++)
        product_ss_bt(sums, flash_descriptor(weight, step * WGMMA_K_BYTES),
                      flash_descriptor(queries, step * 16 * CHUNK_BYTES), true, element());
    wgmma_commit();
}

/* sums (64 queries x columns) = score gradients of the tile's keys times keys; gradient: their descriptor. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void
backward_multiply_keys(float (&sums)[backward_tiles<BACKWARD_ARGUMENTS>::QUERY_COLUMNS / 2], unsigned gradient,
                       unsigned keys) {
    wgmma_hold(sums);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++) {
        uint64_t right = flash_descriptor(keys, step * 16 * CHUNK_BYTES);
        if constexpr (backward_tiles<BACKWARD_ARGUMENTS>::SPLIT)
            product_ss_at_bt(sums, flash_descriptor(gradient, step * 16 * CHUNK_BYTES), right, step > 0, element());
        else
            product_ss_bt(sums,
                          flash_descriptor(gradient, step / 4 * QUERIES * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES),
                          right, step > 0, element());
    }
    wgmma_commit();
}

/* Where the operands of a step are: stage and its phase; low words of the descriptors of its queries and their output
   gradients; the first query of the warpgroup's scores. */
struct backward_place {
    unsigned stage, phase, query, output_gradient;
    int column;
};

/* The probabilities of a query tile and the derivatives by its scores, as left operands. The second product runs during
   the exponentials, and the one with the probabilities, where they are in registers, during the derivatives. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void
backward_weigh(BACKWARD_SHARE &share, const struct backward_place &place, uint32_t where,
               uint32_t (&probability)[backward_tiles<BACKWARD_ARGUMENTS>::SCORE_COLUMNS / 16][4],
               uint32_t (&gradient)[backward_tiles<BACKWARD_ARGUMENTS>::SCORE_COLUMNS / 16][4]) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    constexpr int SCORE_COLUMNS = tiles::SCORE_COLUMNS;
    auto *barriers = share.barriers;
    float score[SCORE_COLUMNS / 2], slope[SCORE_COLUMNS / 2];
    unsigned column = place.column * flash_step(CHUNK_BYTES);
    int row = place.stage * QUERIES + place.column;
    barrier_wait(&barriers->query_full[place.stage], place.phase);
    backward_multiply_rows<BACKWARD_ARGUMENTS>(score, share.key_rows, place.query + column);
    barrier_wait(&barriers->gradient_full[place.stage], place.phase);
    backward_multiply_rows<BACKWARD_ARGUMENTS>(slope, share.value_rows, place.output_gradient + column);
    wgmma_wait<1>();
    wgmma_hold(score);
    if (mask_tile_form({0, where}) != MASK_TILE_FULL)
        backward_mask<SCORE_COLUMNS, QUERIES, KEYS>(score, share.arguments, where, place.column,
                                                    tiles::SPLIT ? 0 : share.warpgroup * WGMMA_M);
    backward_soften<SCORE_COLUMNS>(score, share.memory->shift + row, share.arguments->factor);
    flash_pack<element, SCORE_COLUMNS>(probability, score);
    barrier_wait(&barriers->gradient_full[place.stage], place.phase ^ backward_never<SCORE_COLUMNS>(probability));
    wgmma_wait<0>();
    wgmma_hold(slope);
    if constexpr (!tiles::SPLIT)
        backward_gather<element, QUERIES, HEAD_DIM>(share.value_sums, probability, place.output_gradient);
    backward_differentiate<SCORE_COLUMNS>(slope, score, share.memory->delta + row);
    flash_pack<element, SCORE_COLUMNS>(gradient, slope);
}

/* A query tile. Before the first one of a key tile shares score gradients, the results of the key tile before must have
   left the place for them. The product with score gradients for key sums runs during the addition of query sums. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void backward_step(BACKWARD_SHARE &share, const struct backward_work *work, int at,
                                                     unsigned out_parity) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    constexpr int SCORE_COLUMNS = tiles::SCORE_COLUMNS;
    auto *barriers = share.barriers;
    const struct backward_entry *entry = &share.arguments->entry[at];
    share.count = flash_uniform(share.count);
    unsigned stage = share.count % BACKWARD_STAGES, exchange = share.count % 2 * tiles::EXCHANGE_BYTES;
    const struct backward_place place = {stage, share.count / BACKWARD_STAGES & 1,
                                         share.query + stage * flash_step(tiles::QUERY_BYTES),
                                         share.output_gradient + stage * flash_step(tiles::QUERY_BYTES),
                                         tiles::SPLIT ? share.warpgroup * SCORE_COLUMNS : 0};
    float query_sums[tiles::QUERY_COLUMNS / 2];
    uint32_t probability[SCORE_COLUMNS / 16][4], gradient[SCORE_COLUMNS / 16][4];
    unsigned query_tile = 0;
    if constexpr (tiles::SPLIT) {
        int head = work->batch_head * share.arguments->group + entry->head; /* batch * heads + head */
        query_tile = flash_uniform(head * share.arguments->query_tiles + entry->tile);
    }
    share.count++;
    backward_weigh<BACKWARD_ARGUMENTS>(share, place, entry->where, probability, gradient);

    if (!tiles::SPLIT && at == work->entry_begin) barrier_wait(&barriers->out_empty, out_parity);
    backward_exchange<BACKWARD_ARGUMENTS>(share.memory->exchange + exchange, probability, gradient, share.warpgroup);
    fence_for_copy_engine();
    named_barrier(BACKWARD_EXCHANGED, 2 * WGMMA_THREADS);
    unsigned shared = share.memory->exchange_tile + exchange / 16;
    unsigned half = share.warpgroup * flash_step(HEAD_DIM / 2 / CHUNK * QUERIES * CHUNK_BYTES);
    if constexpr (tiles::SPLIT) {
        backward_gather_shared<element, QUERIES, HEAD_DIM / 2>(share.value_sums, shared, place.output_gradient + half);
        shared += flash_step(tiles::SCORE_BYTES);
    }
    unsigned rows = QUERIES > WGMMA_M ? share.warpgroup * flash_step(WGMMA_M * CHUNK_BYTES) : 0;
    backward_multiply_keys<BACKWARD_ARGUMENTS>(query_sums, shared + rows, share.key_columns);
    if constexpr (tiles::SPLIT)
        backward_gather_shared<element, QUERIES, HEAD_DIM / 2>(share.key_sums, shared, place.query + half);
    else
        backward_gather<element, QUERIES, HEAD_DIM>(share.key_sums, gradient, place.query);
    wgmma_wait<1>();
    wgmma_hold(query_sums);
    backward_hold(probability);
    barrier_arrive(&barriers->gradient_empty[stage]);
    backward_add<BACKWARD_ARGUMENTS>(share, query_sums, query_tile);
    wgmma_wait<0>();
    backward_hold(gradient);
    barrier_arrive(&barriers->query_empty[stage]);
}

/* Sums of a key tile into shared memory, for backward_deliver; or to those of the heads that share the keys. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void backward_leave(BACKWARD_SHARE &share, const struct backward_work *work) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    wgmma_hold(share.key_sums);
    wgmma_hold(share.value_sums);
    if (!tiles::SPLIT) flash_warp_arrive(&share.barriers->key_empty);
    if (!tiles::SPLIT) barrier_wait(&share.barriers->sums_empty, (share.count & 1) ^ 1);
    named_barrier(BACKWARD_EXCHANGED, 2 * WGMMA_THREADS); /* the other one's products have read what lies there */
    if (share.arguments->key_sums) {
        backward_add_keys<BACKWARD_ARGUMENTS>(share, work);
    } else {
        int at = share.warpgroup * (tiles::SPLIT ? HEAD_DIM / 2 / CHUNK * KEYS : WGMMA_M) * CHUNK_BYTES;
        float one[2] = {1, 1}, scale[2] = {share.arguments->scale, share.arguments->scale};
        flash_leave<element, tiles::SUM_COLUMNS, KEYS>(share.key_sums, scale, share.memory->key_out + at);
        flash_leave<element, tiles::SUM_COLUMNS, KEYS>(share.value_sums, one, share.memory->value_out + at);
    }
    flash_warp_arrive(&share.barriers->out_full);
}

BACKWARD_TEMPLATE
static __device__ void backward_compute(BACKWARD_SHARE &share) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    auto *barriers = share.barriers;
    const struct backward_arguments *arguments = share.arguments;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % BACKWARD_WORK_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / BACKWARD_WORK_SLOTS & 1);
        const struct backward_work *work = &barriers->work[slot];
        if (__shfl_sync(~0u, work->first_key, 0) < 0) return;
        int at = __shfl_sync(~0u, work->entry_begin, 0), end = __shfl_sync(~0u, work->entry_end, 0);
#pragma unroll
        for (int i = 0; i < tiles::SUM_COLUMNS / 2; i++) share.key_sums[i] = share.value_sums[i] = 0;
        barrier_wait(&barriers->key_full, tile & 1);
        barrier_wait(&barriers->value_full, tile & 1);
        if (!tiles::SPLIT && at == end) barrier_wait(&barriers->out_empty, (tile & 1) ^ 1);
        for (; at < end; at++) backward_step<BACKWARD_ARGUMENTS>(share, work, at, (tile & 1) ^ 1);
        backward_leave<BACKWARD_ARGUMENTS>(share, work);
        barrier_arrive(&barriers->work_empty[slot]);
    }
}
#endif

BACKWARD_TEMPLATE
static __global__ void __launch_bounds__(3 * WGMMA_THREADS, 1)
    flash_backward(const __grid_constant__ struct backward_arguments arguments) {
#if WGMMA_BUILT
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    extern __shared__ char dynamic[];
    struct backward_memory memory = backward_lay_out<BACKWARD_ARGUMENTS>(dynamic);
    struct backward_barriers *barriers = memory.barriers;
    if (threadIdx.x == 0) backward_start_barriers<BACKWARD_ARGUMENTS>(barriers);
    __syncthreads();
    constexpr int COMPUTING = 2 * WGMMA_THREADS;
    if (threadIdx.x >= COMPUTING) {
        registers_give_back<24>();
        if (threadIdx.x == COMPUTING) backward_fetch_keys<BACKWARD_ARGUMENTS>(&arguments, &memory);
        if (threadIdx.x == COMPUTING + WARP) backward_fetch_queries<BACKWARD_ARGUMENTS>(&arguments, &memory);
        if (threadIdx.x == COMPUTING + 2 * WARP) backward_deliver<BACKWARD_ARGUMENTS>(&arguments, &memory);
        if (tiles::HANDED && threadIdx.x == COMPUTING + 3 * WARP)
            backward_add_queries<BACKWARD_ARGUMENTS>(&arguments, &memory);
    } else {
        registers_take<240>();
        BACKWARD_SHARE share;
        share.arguments = &arguments;
        share.barriers = barriers;
        share.memory = &memory;
        share.warpgroup = __shfl_sync(~0u, (int)threadIdx.x / WGMMA_THREADS, 0);
        int rows = tiles::SPLIT ? 0 : share.warpgroup * WGMMA_M * CHUNK_BYTES;
        int columns = (QUERIES > WGMMA_M ? 0 : share.warpgroup) * (tiles::QUERY_COLUMNS / CHUNK) * KEYS * CHUNK_BYTES;
        share.key_rows = (unsigned)wgmma_tile_descriptor(memory.key + rows, 0);
        share.value_rows = (unsigned)wgmma_tile_descriptor(memory.value + rows, 0);
        share.query = (unsigned)wgmma_transposed_descriptor(memory.query, 0, QUERIES * CHUNK_BYTES);
        share.output_gradient = (unsigned)wgmma_transposed_descriptor(memory.output_gradient, 0, QUERIES * CHUNK_BYTES);
        share.key_columns = (unsigned)wgmma_transposed_descriptor(memory.key + columns, 0, KEYS * CHUNK_BYTES);
        share.count = 0;
        backward_compute<BACKWARD_ARGUMENTS>(share);
    }
#else
    __trap();
#endif
}

#endif
