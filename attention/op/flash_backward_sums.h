/* flash_backward_sums.h: how the backward flash kernel adds up gradients in memory: those of queries, to which every
   key tile adds, and those of keys where heads that share them are worked on apart. Sums lie in fp32 as registers hold
   them, [8 columns][thread][4] of each warpgroup. */
#ifndef ATTENTION_FLASH_BACKWARD_SUMS_H
#define ATTENTION_FLASH_BACKWARD_SUMS_H

#include "flash_backward_load.h"

#if WGMMA_BUILT
static __device__ __forceinline__ void add_vector(float *to, float a, float b, float c, float d) {
    asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(a), "f"(b), "f"(c), "f"(d)
                 : "memory");
}

/* fp32 sums in shared memory added to those in global memory, a group of its own; and until all of this thread's have
   been. */
static __device__ __forceinline__ void bulk_add(float *to, const void *from, unsigned bytes) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;\n"
                 "cp.async.bulk.commit_group;" ::"l"(to),
                 "r"(shared_address(from)), "r"(bytes)
                 : "memory");
}
static __device__ __forceinline__ void bulk_added(void) {
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

/* Until so many have added to a tile's sums; and one more has. By one thread, which answers for what others of the
   block have added before a barrier. */
static __device__ __forceinline__ void backward_await_turn(const unsigned *taken, unsigned turn) {
    unsigned now;
    do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(taken) : "memory");
    while (now != turn);
}
static __device__ __forceinline__ void backward_end_turn(unsigned *taken) {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(taken) : "memory");
}

/* A fourth thread beside the warpgroups adds the sums of queries that they leave in shared memory. SPLIT, where there
   is no room for them, it only waits for turns, and ends them when the warpgroups have added. */
BACKWARD_TEMPLATE
static __device__ void backward_add_queries(const struct backward_arguments *arguments,
                                            const struct backward_memory *memory) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    struct backward_barriers *barriers = memory->barriers;
    unsigned count = 0;
    struct backward_work work;
    for (unsigned tile = 0; backward_take_work(barriers, tile, &work); tile++) {
        const uint16_t *turn_of = arguments->turn + work.turn_begin;
        for (int at = work.entry_begin; at < work.entry_end; at++, count++, turn_of++) {
            const struct backward_entry entry = arguments->entry[at];
            int query_tile = (work.batch_head * arguments->group + entry.head) * arguments->query_tiles + entry.tile;
            unsigned turn = ORDERED ? *turn_of : 0, *taken = arguments->taken_queries + query_tile;
            if constexpr (tiles::SPLIT) {
                backward_await_turn(taken, turn);
                barrier_arrive(&barriers->turn_come);
                barrier_wait(&barriers->sums_full, count & 1);
            } else {
                barrier_wait(&barriers->sums_full, count & 1);
                if constexpr (ORDERED) {
                    backward_await_turn(taken, turn);
                    asm volatile("fence.proxy.async;" ::: "memory"); /* the copy engine is to come after it, too */
                }
                bulk_add(arguments->query_sums + (int64_t)query_tile * (tiles::QUERY_SUM_BYTES / 4), memory->query_out,
                         tiles::QUERY_SUM_BYTES);
                bulk_store_wait<0>();
                barrier_arrive(&barriers->sums_empty);
                if constexpr (ORDERED) bulk_added();
            }
            if constexpr (ORDERED) backward_end_turn(taken);
        }
    }
}

template <int COLUMNS>
static __device__ __forceinline__ void backward_add_vectors(float *to, const float (&sums)[COLUMNS / 2]) {
#pragma unroll
    for (int i = 0; i < COLUMNS / 8; i++)
        add_vector(to + (i * WGMMA_THREADS + threadIdx.x % WGMMA_THREADS) * 4, sums[4 * i], sums[4 * i + 1],
                   sums[4 * i + 2], sums[4 * i + 3]);
}

/* A warpgroup's part of the gradients of a query tile, counted over all heads. share->count: with this one. */
BACKWARD_TEMPLATE struct backward_share;
BACKWARD_TEMPLATE
static __device__ __forceinline__ void
backward_add(struct backward_share<BACKWARD_ARGUMENTS> &share,
             const float (&sums)[backward_tiles<BACKWARD_ARGUMENTS>::QUERY_COLUMNS / 2], unsigned query_tile) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    constexpr int HALF = tiles::QUERY_SUM_BYTES / 2;
    if constexpr (tiles::SPLIT) {
        if constexpr (ORDERED) barrier_wait(&share.barriers->turn_come, (share.count & 1) ^ 1);
        int64_t part = (int64_t)query_tile * 2 + share.warpgroup;
        backward_add_vectors<tiles::QUERY_COLUMNS>(share.arguments->query_sums + part * (HALF / 4), sums);
        if constexpr (ORDERED) barrier_arrive(&share.barriers->sums_full);
    } else {
        float4 *to = (float4 *)(share.memory->query_out + share.warpgroup * HALF) + threadIdx.x % WGMMA_THREADS;
        barrier_wait(&share.barriers->sums_empty, share.count & 1);
#pragma unroll
        for (int i = 0; i < tiles::QUERY_COLUMNS / 8; i++)
            to[i * WGMMA_THREADS] = make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]);
        fence_for_copy_engine();
        barrier_arrive(&share.barriers->sums_full);
    }
}

/* A warpgroup's part of the gradients of a key tile, to what other heads that share the keys have added. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void backward_add_keys(struct backward_share<BACKWARD_ARGUMENTS> &share,
                                                         const struct backward_work *work) {
    constexpr int COLUMNS = backward_tiles<BACKWARD_ARGUMENTS>::SUM_COLUMNS;
    const struct backward_arguments *arguments = share.arguments;
    int64_t part = ((int64_t)work->batch_head * arguments->key_tiles + work->first_key / KEYS) * 2 + share.warpgroup;
    int name = BACKWARD_OWN + share.warpgroup;
    bool first = threadIdx.x % WGMMA_THREADS == 0;
    if constexpr (ORDERED) {
        if (first) backward_await_turn(arguments->taken_keys + part, work->key_turn);
        named_barrier(name, WGMMA_THREADS);
    }
    backward_add_vectors<COLUMNS>(arguments->key_sums + part * (COLUMNS / 2 * WGMMA_THREADS), share.key_sums);
    backward_add_vectors<COLUMNS>(arguments->value_sums + part * (COLUMNS / 2 * WGMMA_THREADS), share.value_sums);
    if constexpr (ORDERED) {
        named_barrier(name, WGMMA_THREADS);
        if (first) backward_end_turn(arguments->taken_keys + part);
    }
}
#endif

#endif
