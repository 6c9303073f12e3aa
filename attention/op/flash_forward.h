/* flash_forward.h: the forward flash kernel for Hopper, as a template of its tiles. softmax_flash.cu says what it is
   and why; flash_rows.h is what happens to the scores. */
#ifndef ATTENTION_FLASH_FORWARD_H
#define ATTENTION_FLASH_FORWARD_H

#include "flash_rows.h"

enum { FLASH_SHARED_MAX = 227 * 1024, FLASH_WORK_SLOTS = 2 };

/* STAGES: key tiles, and as many value tiles, in shared memory. CONTINUE: the first scores of a query tile are made
   while the last values of the one before are added up; costs registers. OPTIONS: struct score_options counts. */
#define FLASH_TEMPLATE                                                                                                 \
    template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE, bool OPTIONS>
#define FLASH_ARGUMENTS element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, OPTIONS

FLASH_TEMPLATE struct flash_tiles {
    static constexpr int CHUNKS = (HEAD_DIM + CHUNK - 1) / CHUNK, QUERIES = WARPGROUPS * WGMMA_M;
    static constexpr int QUERY_BYTES = CHUNKS * QUERIES * CHUNK_BYTES, KEY_BYTES = CHUNKS * TILE_KEYS * CHUNK_BYTES;
    static constexpr int FIXED_BYTES = 2 * STAGES * KEY_BYTES + 2 * WGMMA_TILE_ALIGNMENT; /* with barriers, alignment */
    /* With room for two query tiles the next one is fetched ahead, and the output leaves through the old one. */
    static constexpr int QUERY_SLOTS = FIXED_BYTES + 2 * QUERY_BYTES <= FLASH_SHARED_MAX ? 2 : 1;
    static constexpr int SHARED_BYTES = FIXED_BYTES + QUERY_SLOTS * QUERY_BYTES;
    static constexpr int THREADS = (WARPGROUPS + 1) * WGMMA_THREADS;
};

template <int STAGES> struct flash_barriers {
    uint64_t query_full[2], query_empty[2], output_full[2];
    uint64_t key_full[STAGES], key_empty[STAGES], value_full[STAGES], value_empty[STAGES];
    uint64_t work_full[FLASH_WORK_SLOTS], work_empty[FLASH_WORK_SLOTS];
    struct flash_work work[FLASH_WORK_SLOTS];
};

#if WGMMA_BUILT
/* One thread takes the work, a query tile ahead of the products, and fetches its queries. The first tile of a block is
   its own number, the others go to who comes first; first_query < 0 says that there are no more. The last block to end
   leaves the numbers as the next launch needs them. */
FLASH_TEMPLATE
static __device__ void flash_fetch_queries(const struct flash_arguments *arguments, char *query,
                                           struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned index = blockIdx.x, query_count = 0;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS, query_slot = query_count % tiles::QUERY_SLOTS;
        barrier_wait(&barriers->work_empty[slot], (tile / FLASH_WORK_SLOTS & 1) ^ 1);
        if (tile > 0) index = gridDim.x + atomicAdd(&arguments->taken[0], 1);
        struct flash_work work = {-1, 0, 0, 0};
        if (index < (unsigned)arguments->work_count) work = arguments->work[index];
        barriers->work[slot] = work;
        barrier_arrive(&barriers->work_full[slot]);
        if (work.first_query < 0) break;
        if (work.entry_begin == work.entry_end) continue;
        barrier_wait(&barriers->query_empty[query_slot], (query_count++ / tiles::QUERY_SLOTS & 1) ^ 1);
        flash_load(query + query_slot * tiles::QUERY_BYTES, &arguments->query, tiles::CHUNKS, tiles::QUERIES,
                   work.first_query, work.batch_head % arguments->heads, work.batch_head / arguments->heads,
                   &barriers->query_full[query_slot]);
    }
    if (atomicAdd(&arguments->taken[1], 1) != gridDim.x - 1) return;
    arguments->taken[0] = 0;
    arguments->taken[1] = 0;
}

/* Another thread fetches keys and values in the order of their use, as far ahead as there is room: key 0, key 1, value
   0, key 2, value 1, .. */
FLASH_TEMPLATE
static __device__ void flash_fetch_keys(const struct flash_arguments *arguments, char *key, char *value,
                                        struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned count = 0; /* key tiles fetched; of values one less within a query tile */
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        barrier_arrive(&barriers->work_empty[slot]);
        if (work.first_query < 0) return;
        int batch = work.batch_head / arguments->heads, head = work.batch_head % arguments->heads / arguments->group;
        int first_value = 0;
        for (int i = work.entry_end - 1; i >= work.entry_begin - 1; i--) {
            bool more = i >= work.entry_begin;
            int first_key = more ? arguments->entry[i].tile * TILE_KEYS : 0;
            if (more) {
                unsigned stage = count % STAGES;
                barrier_wait(&barriers->key_empty[stage], (count++ / STAGES & 1) ^ 1);
                flash_load(key + stage * tiles::KEY_BYTES, &arguments->key, tiles::CHUNKS, TILE_KEYS, first_key, head,
                           batch, &barriers->key_full[stage]);
            }
            if (i < work.entry_end - 1) {
                unsigned value_count = count - (more ? 2 : 1), stage = value_count % STAGES;
                barrier_wait(&barriers->value_empty[stage], (value_count / STAGES & 1) ^ 1);
                flash_load(value + stage * tiles::KEY_BYTES, &arguments->value, tiles::CHUNKS, TILE_KEYS, first_value,
                           head, batch, &barriers->value_full[stage]);
            }
            first_value = first_key;
        }
    }
}

/* A third thread copies finished tiles from where their queries lay to memory, and then lets new queries come. */
FLASH_TEMPLATE
static __device__ void flash_deliver(const struct flash_arguments *arguments, const char *query,
                                     struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned query_count = 0;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS, query_slot = query_count % tiles::QUERY_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        barrier_arrive(&barriers->work_empty[slot]);
        if (work.first_query < 0) return;
        if (work.entry_begin == work.entry_end) continue;
        barrier_wait(&barriers->output_full[query_slot], query_count++ / tiles::QUERY_SLOTS & 1);
        for (int chunk = 0; chunk < tiles::CHUNKS; chunk++)
            tensor_store_4d(&arguments->output_map, chunk * CHUNK, work.first_query,
                            work.batch_head % arguments->heads, work.batch_head / arguments->heads,
                            query + query_slot * tiles::QUERY_BYTES + chunk * tiles::QUERIES * CHUNK_BYTES);
        bulk_store_wait<0>();
        barrier_arrive(&barriers->query_empty[query_slot]);
    }
}

/* A warpgroup's share, 64 rows of each query tile, in registers: the probabilities of one key tile, the sums of those
   before it, and room for the scores of the one after it. */
FLASH_TEMPLATE struct flash_share {
    const struct flash_arguments *arguments;
    struct flash_barriers<STAGES> *barriers;
    unsigned query_tile, key_tile, value_tile; /* low words of the descriptors of the first of each in shared memory */
    int row, first_query, head;
    unsigned query_slot, count, stage; /* count: key tiles before the one whose probabilities are held */
    float output[HEAD_DIM / 2], score[TILE_KEYS / 2], correction[2];
    uint32_t probability[TILE_KEYS / 16][4];
    struct flash_rows rows;
};

FLASH_TEMPLATE
static __device__ __forceinline__ void flash_multiply_keys(struct flash_share<FLASH_ARGUMENTS> &share) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned query = share.query_tile + share.query_slot * flash_step(tiles::QUERY_BYTES);
    unsigned key = share.key_tile + share.stage * flash_step(tiles::KEY_BYTES);
    wgmma_hold(share.score);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++)
        product_ss(share.score,
                   flash_descriptor(query, step / 4 * tiles::QUERIES * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES),
                   flash_descriptor(key, step / 4 * TILE_KEYS * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES), step > 0,
                   element());
    wgmma_commit();
}

FLASH_TEMPLATE
static __device__ __forceinline__ void flash_multiply_values(struct flash_share<FLASH_ARGUMENTS> &share, unsigned stage,
                                                             bool accumulate) {
    unsigned value = share.value_tile + stage * flash_step(flash_tiles<FLASH_ARGUMENTS>::KEY_BYTES);
    wgmma_hold(share.output);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < TILE_KEYS / 16; step++)
        product_rs(share.output, share.probability[step], flash_descriptor(value, step * 16 * CHUNK_BYTES),
                   accumulate || step > 0, element());
    wgmma_commit();
}

/* Scores that have come, of key tile `entry`, become exponentials. `last`: it is the query tile's last. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_take_scores(struct flash_share<FLASH_ARGUMENTS> &share,
                                                         struct mask_tile entry, bool last, float (&correction)[2]) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    wgmma_hold(share.score);
    flash_warp_arrive(&share.barriers->key_empty[share.stage]);
    if (last && tiles::QUERY_SLOTS == 1) flash_warp_arrive(&share.barriers->query_empty[0]);
    if (OPTIONS)
        flash_change<TILE_KEYS>(share.score, share.arguments, share.head, share.first_query + share.row,
                                entry.tile * TILE_KEYS);
    if (mask_tile_form(entry) != MASK_TILE_FULL)
        flash_mask<TILE_KEYS, tiles::QUERIES>(share.score, share.arguments, entry.where, share.row);
    flash_softmax<TILE_KEYS>(share.score, &share.rows, OPTIONS ? 1 : share.arguments->factor, correction);
}

/* The scores of the next key tile are made while the values of the one before are added up. BEGINS: it is the first of
   a query tile, whose sums start anew; what ends the one before is in output and correction, for flash_end. */
template <bool BEGINS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          bool OPTIONS>
static __device__ __forceinline__ void flash_advance(struct flash_share<FLASH_ARGUMENTS> &share, int at,
                                                     bool accumulate, bool last) {
    auto *barriers = share.barriers;
    share.count = flash_uniform(share.count + 1);
    unsigned phase = share.count / STAGES & 1, previous = (share.count - 1) % STAGES;
    share.stage = share.count % STAGES;
    struct mask_tile entry = share.arguments->entry[at];
    barrier_wait(&barriers->key_full[share.stage], phase);
    flash_multiply_keys(share);
    flash_multiply_values(share, previous, accumulate);
    wgmma_wait<1>();
    float unused[2];
    flash_take_scores(share, entry, last, BEGINS ? unused : share.correction);
    barrier_wait(&barriers->value_full[share.stage], phase ^ flash_never(&share.rows));
    wgmma_wait<0>();
    wgmma_hold(share.output);
    flash_warp_arrive(&barriers->value_empty[previous]);
    if constexpr (!BEGINS) {
#pragma unroll
        for (int i = 0; i < HEAD_DIM / 2; i++) share.output[i] *= share.correction[i / 2 % 2];
        flash_pack<element, TILE_KEYS>(share.probability, share.score);
    }
}

/* The first key tile of a query tile, with nothing to overlap. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_begin(struct flash_share<FLASH_ARGUMENTS> &share, int at, bool last) {
    share.count = flash_uniform(share.count);
    share.stage = share.count % STAGES;
    unsigned phase = share.count / STAGES & 1;
    struct mask_tile entry = share.arguments->entry[at];
    barrier_wait(&share.barriers->key_full[share.stage], phase);
    flash_multiply_keys(share);
    wgmma_wait<0>();
    flash_take_scores(share, entry, last, share.correction);
    flash_pack<element, TILE_KEYS>(share.probability, share.score);
    barrier_wait(&share.barriers->value_full[share.stage], phase);
}

/* Adds up the values of the last key tile. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_drain(struct flash_share<FLASH_ARGUMENTS> &share, bool accumulate) {
    flash_multiply_values(share, share.stage, accumulate);
    wgmma_wait<0>();
    wgmma_hold(share.output);
    flash_warp_arrive(&share.barriers->value_empty[share.stage]);
}

/* The next tile that has keys, which stays where it is until work_empty; those without are done here. NULL: no more. */
FLASH_TEMPLATE
static __device__ __forceinline__ const struct flash_work *flash_next(struct flash_share<FLASH_ARGUMENTS> &share,
                                                                      unsigned *tile) {
    for (;;) {
        unsigned slot = *tile % FLASH_WORK_SLOTS;
        barrier_wait(&share.barriers->work_full[slot], *tile / FLASH_WORK_SLOTS & 1);
        const struct flash_work *work = &share.barriers->work[slot];
        (*tile)++;
        if (__shfl_sync(~0u, work->first_query, 0) < 0) return NULL;
        if (__shfl_sync(~0u, work->entry_end - work->entry_begin, 0) > 0) return work;
        flash_store_nothing<element, HEAD_DIM>(share.arguments, work, share.row);
        flash_warp_arrive(&share.barriers->work_empty[slot]);
    }
}

/* Of a new query tile: the state of its rows. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_start(struct flash_share<FLASH_ARGUMENTS> &share,
                                                   const struct flash_work *work) {
    share.rows = {{-INFINITY, -INFINITY}, {0, 0}};
    if (!OPTIONS) return;
    share.first_query = work->first_query;
    share.head = work->batch_head % share.arguments->heads;
    float maximum = first_maximum(&share.arguments->options, share.head);
    float sum = threadIdx.x % 4 == 0 ? first_sum(&share.arguments->options) : 0; /* four threads add up */
    share.rows = {{maximum, maximum}, {sum, sum}};
}

/* A tile's output on its way to memory. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_end(struct flash_share<FLASH_ARGUMENTS> &share,
                                                 const struct flash_work *done, char *output, unsigned slot) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    if constexpr (tiles::QUERY_SLOTS == 1) {
        flash_store<element, HEAD_DIM>(share.arguments, share.output, share.correction, done, share.row);
    } else {
        flash_leave<element, HEAD_DIM, tiles::QUERIES>(share.output, share.correction,
                                                       output + slot * tiles::QUERY_BYTES);
        flash_warp_arrive(&share.barriers->output_full[slot]);
    }
}

FLASH_TEMPLATE
static __device__ void flash_compute(struct flash_share<FLASH_ARGUMENTS> &share, char *output) {
    constexpr int QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    auto *barriers = share.barriers;
    unsigned tile = 0, query_count = 0;
    const struct flash_work *work = flash_next(share, &tile);
    if (!work) return;
    int at = work->entry_end - 1, begin = work->entry_begin; /* the entry whose probabilities are held; the last one */
    flash_start(share, work);
    barrier_wait(&barriers->query_full[0], 0);
    flash_begin(share, at, at == begin);
    for (;;) {
        bool accumulate = false;
        for (; at > begin; at--, accumulate = true) flash_advance<false>(share, at - 1, accumulate, at - 1 == begin);
        flash_finish<OPTIONS>(share.arguments, &share.rows, work, share.row, OPTIONS ? 1 : share.arguments->factor,
                              share.correction);
        struct flash_work done = *work;
        __syncwarp(); /* all lanes have read it */
        flash_warp_arrive(&barriers->work_empty[work - barriers->work]);
        if (!CONTINUE) flash_drain(share, accumulate);
        work = flash_next(share, &tile);
        unsigned done_slot = query_count % QUERY_SLOTS;
        if (work) {
            at = work->entry_end - 1;
            begin = work->entry_begin;
            query_count++;
            share.query_slot = flash_uniform(query_count % QUERY_SLOTS);
            if (CONTINUE) {
                flash_start(share, work);
                barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
                flash_advance<true>(share, at, accumulate, at == begin);
            }
        } else if (CONTINUE) {
            flash_drain(share, accumulate);
        }
        flash_end(share, &done, output, done_slot);
        if (!work) return;
        if (CONTINUE) {
            flash_pack<element, TILE_KEYS>(share.probability, share.score);
        } else {
            flash_start(share, work);
            barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
            share.count++;
            flash_begin(share, at, at == begin);
        }
    }
}

FLASH_TEMPLATE
static __device__ __forceinline__ void flash_start_barriers(struct flash_barriers<STAGES> *barriers) {
    constexpr unsigned WARPS = WARPGROUPS * WGMMA_THREADS / WARP;
    constexpr int QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    for (int i = 0; i < QUERY_SLOTS; i++) {
        barrier_start(&barriers->query_full[i]);
        barrier_start_for(&barriers->query_empty[i], QUERY_SLOTS == 1 ? WARPS : 1);
        barrier_start_for(&barriers->output_full[i], WARPS);
    }
    for (int i = 0; i < STAGES; i++) {
        barrier_start(&barriers->key_full[i]);
        barrier_start(&barriers->value_full[i]);
        barrier_start_for(&barriers->key_empty[i], WARPS);
        barrier_start_for(&barriers->value_empty[i], WARPS);
    }
    for (int i = 0; i < FLASH_WORK_SLOTS; i++) {
        barrier_start(&barriers->work_full[i]);
        barrier_start_for(&barriers->work_empty[i], WARPS + QUERY_SLOTS); /* those who fetch keys, and deliver */
    }
    barriers_started();
}
#endif

FLASH_TEMPLATE
static __global__ void __launch_bounds__((WARPGROUPS + 1) * WGMMA_THREADS, 1)
    flash_forward(const __grid_constant__ struct flash_arguments arguments) {
#if WGMMA_BUILT
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    extern __shared__ char dynamic[];
    char *query = dynamic + (-(uintptr_t)shared_address(dynamic) & (WGMMA_TILE_ALIGNMENT - 1));
    char *key = query + tiles::QUERY_SLOTS * tiles::QUERY_BYTES, *value = key + STAGES * tiles::KEY_BYTES;
    auto *barriers = (struct flash_barriers<STAGES> *)(value + STAGES * tiles::KEY_BYTES);
    if (threadIdx.x == 0) flash_start_barriers<FLASH_ARGUMENTS>(barriers);
    __syncthreads();
    constexpr int COMPUTING = WARPGROUPS * WGMMA_THREADS;
    if (threadIdx.x >= COMPUTING) {
        registers_give_back<(WARPGROUPS == 3 ? 32 : 24)>();
        if (threadIdx.x == COMPUTING) flash_fetch_queries<FLASH_ARGUMENTS>(&arguments, query, barriers);
        if (threadIdx.x == COMPUTING + WARP) flash_fetch_keys<FLASH_ARGUMENTS>(&arguments, key, value, barriers);
        if (tiles::QUERY_SLOTS > 1 && threadIdx.x == COMPUTING + 2 * WARP)
            flash_deliver<FLASH_ARGUMENTS>(&arguments, query, barriers);
    } else {
        registers_take<(WARPGROUPS == 3 ? 160 : 240)>();
        int warpgroup = __shfl_sync(~0u, (int)threadIdx.x / WGMMA_THREADS, 0);
        char *rows = query + warpgroup * WGMMA_M * CHUNK_BYTES;
        struct flash_share<FLASH_ARGUMENTS> share;
        share.arguments = &arguments;
        share.barriers = barriers;
        share.row = warpgroup * WGMMA_M + threadIdx.x % WGMMA_THREADS / WARP * 16 + threadIdx.x % WARP / 4;
        share.query_tile = (unsigned)wgmma_tile_descriptor(rows, 0);
        share.key_tile = (unsigned)wgmma_tile_descriptor(key, 0);
        share.value_tile = (unsigned)wgmma_transposed_descriptor(value, 0, TILE_KEYS * CHUNK_BYTES);
        share.query_slot = share.count = share.stage = 0;
        flash_compute(share, rows);
    }
#else
    __trap();
#endif
}

#endif
