/* flash_join.h: query tiles of gathered plans whose queries stand apart, and of plans in two parts (mask/tiles.h,
   mask_tiles_split), whose second part joins its results with what the first one left. Part of flash_forward.h.

   A tile of the second part finds in memory the output and the log-sum-exp of its queries over the keys of the first
   part alone. The output comes to where the tile's queries were, as soon as they are multiplied. Both parts weigh as
   their sums of exponentials do, and what they make replaces what was there; it has been rounded to its type twice.
   Both parts are one launch: all of the first stands before the second in the list of work, and a block that has come
   to the second one waits, once, until all blocks have told how much of the first they have brought to memory.

   Floor of `strided` at 8k tokens, 16 heads of 128, with a stride of 128, 1.9 % of all pairs, which are 16 us at the
   rate of the full mask: 127 + 64 tiles of 128 x 128 a head instead of 2080, of which warpgroups do three and two
   quarters each; 134 MB of operands and output, once; and 360 MB that tiles take from the second-level cache and bring
   there. Predicted by the costs of flash_work.c: 65 us.

   NOTES, on an H200, bf16, 16 heads of 128, before maxima stayed (softmax_flash.cu); plans in two parts search for the
   maximum in every key tile still. What both masks take now is in reports/gallery/h200/masks.
   - by parts, strided at 8k: the first alone 55 us, the second alone, not joined, 46 us, joined 61 us. At 32k 178, 173
     and 251 us. Nobody waits long: without waiting, and wrong, both together take 105 and 418 us.
   - the output of the first part fetched by those who deliver: 124 us; by a thread of its own, early: 118 to 121 us;
     queries that leave their room when they are multiplied: 113 us; three rooms for queries, as now: 108 us.
   - the second part after the first of some heads, with a counter for each head, so that it finds its operands in the
     second-level cache: 3 to 8 heads -3 to +5 %; one head at 8k, where blocks wait, takes twice as long.
   - work taken earlier, the masks' bits and the first part's output fetched ahead into caches: -2 to +4 %. */
#ifndef ATTENTION_FLASH_JOIN_H
#define ATTENTION_FLASH_JOIN_H

#include "flash_rows.h"
#include "kernels/lib/warp_matrix.h"

#if WGMMA_BUILT
static __device__ __forceinline__ bool flash_joins(const struct flash_arguments *arguments,
                                                   const struct flash_work *work) {
    return work->first_query >= arguments->joins_from;
}

/* Where half a tile lies in the maps of tokens apart: in the second one what the last, incomplete step has, too. */
struct flash_half {
    int map, remainder, quotient;
};
static __device__ __forceinline__ struct flash_half flash_half_of(const struct flash_arguments *arguments,
                                                                  struct mask_line line, int first_row) {
    int token = line.first + line.step * first_row, remainder = token % line.step;
    return {remainder < arguments->queries % line.step, remainder, token / line.step};
}

/* A tile of QUERIES tokens that stand apart, half by half, from the memory that the maps describe; and to it. */
template <int QUERIES, int CHUNKS>
static __device__ __forceinline__ void flash_load_apart(const struct flash_arguments *arguments, char *to,
                                                        const CUtensorMap *map, int row_stride,
                                                        const struct mask_line *line, int head, int batch,
                                                        uint64_t *full) {
    barrier_expect(full, QUERIES * CHUNKS * CHUNK_BYTES);
#pragma unroll 1
    for (int i = 0; i < 2 * CHUNKS; i++) {
        int first_row = i % 2 * (QUERIES / 2), chunk = i / 2;
        struct flash_half half = flash_half_of(arguments, line[i % 2], first_row);
        tensor_load_4d(to + (chunk * QUERIES + first_row) * CHUNK_BYTES, &map[half.map],
                       half.remainder * row_stride + chunk * CHUNK, half.quotient, head, batch, full);
    }
}
template <int QUERIES, int CHUNKS>
static __device__ __forceinline__ void flash_store_apart(const struct flash_arguments *arguments, const char *from,
                                                         const struct mask_line *line, int head, int batch) {
    int row_stride = (int)arguments->output_stride.row;
#pragma unroll 1
    for (int i = 0; i < 2 * CHUNKS; i++) {
        int first_row = i % 2 * (QUERIES / 2), chunk = i / 2;
        struct flash_half half = flash_half_of(arguments, line[i % 2], first_row);
        tensor_store_4d(&arguments->output_apart[half.map], half.remainder * row_stride + chunk * CHUNK, half.quotient,
                        head, batch, from + (chunk * QUERIES + first_row) * CHUNK_BYTES);
    }
}

/* Tiles of the first part, `count` more: the outputs that this thread has given to the copy engine, and the log-sum-exp
   beside them, are there for all blocks. */
static __device__ __forceinline__ void flash_tell_finished(const struct flash_arguments *arguments, int count) {
    asm volatile("cp.async.bulk.wait_group 0;\n"
                 "fence.proxy.async.global;\n"
                 "red.release.gpu.global.add.s32 [%0], %1;" ::"l"(arguments->finished),
                 "r"(count)
                 : "memory");
}

/* Until the first part is there. Its tiles stand before those of the second one in the list of work, and are held by
   blocks that wait for nothing behind them in it. */
static __device__ __forceinline__ void flash_await_finished(const struct flash_arguments *arguments) {
    int finished;
    do
        asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(finished) : "l"(arguments->finished) : "memory");
    while (finished < arguments->first_count);
    asm volatile("fence.proxy.async.global;" ::: "memory");
}

/* By one thread of each block, after flash_await_finished or when there is no more to wait for: the last one leaves the
   counters as the next launch needs them. */
static __device__ __forceinline__ void flash_forget_finished(const struct flash_arguments *arguments) {
    if (atomicAdd(&arguments->taken[2], 1) != gridDim.x - 1) return;
    arguments->taken[2] = 0;
    *arguments->finished = 0;
}

/* flash_finish for rows that join: what their outputs are to be multiplied by, and those of the first part. */
static __device__ __forceinline__ void flash_join_rows(const struct flash_arguments *arguments,
                                                       const struct flash_rows *rows, struct mask_line line,
                                                       int batch_head, int row, float (&inverse)[2],
                                                       float (&weight)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int r = row + 8 * half;
        bool writes = threadIdx.x % 4 == 0 && r < line.count;
        float *log_sum_exp = arguments->log_sum_exp + (int64_t)batch_head * arguments->queries + line.first +
                             r * line.step;
        float earlier = writes ? __ldcg(log_sum_exp) * (float)M_LOG2E : -INFINITY;
        earlier = __shfl_sync(~0u, earlier, threadIdx.x % WARP & ~3);
        float sum = rows->sum[half];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        float own = sum > 0 ? rows->maximum[half] + __log2f(sum) : -INFINITY;
        float largest = fmaxf(own, earlier), shift = largest == -INFINITY ? 0 : largest;
        float own_share = exp2_fast(own - shift), earlier_share = exp2_fast(earlier - shift);
        float both = own_share + earlier_share, scale = both > 0 ? __fdividef(1, both) : 0;
        inverse[half] = sum > 0 ? own_share * scale * __fdividef(1, sum) : 0;
        weight[half] = earlier_share * scale;
        if (writes) *log_sum_exp = both > 0 ? (largest + __log2f(both)) * (float)M_LN2 : -INFINITY;
    }
}

static __device__ __forceinline__ float2 unpack_pair(uint32_t pair, __nv_bfloat16) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000));
}
static __device__ __forceinline__ float2 unpack_pair(uint32_t pair, __half) {
    return __half22float2(*(const __half2 *)&pair);
}

/* flash_leave, with the first part's output, which lies where the whole one is to be. */
template <typename element, int HEAD_DIM, int TILE_QUERIES>
static __device__ __forceinline__ void flash_leave_joined(const float (&output)[HEAD_DIM / 2],
                                                          const float (&inverse)[2], const float (&weight)[2],
                                                          char *to) {
    unsigned lane = threadIdx.x % WARP, row = threadIdx.x % WGMMA_THREADS / WARP * 16 + lane % 16;
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++) {
        int at = step / 4 * TILE_QUERIES * CHUNK_BYTES + wgmma_swizzled(row, step % 4 * 32 + lane / 16 * 16);
        uint32_t piece[4];
        warp_load(piece, warp_shared_address(to + at));
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float2 pair = unpack_pair(piece[i], element());
            piece[i] = pack_pair(output[8 * step + 2 * i] * inverse[i % 2] + pair.x * weight[i % 2],
                                 output[8 * step + 2 * i + 1] * inverse[i % 2] + pair.y * weight[i % 2], element());
        }
        store_matrices(to + at, piece[0], piece[1], piece[2], piece[3]);
    }
    fence_for_copy_engine();
    __syncwarp();
}
#endif

#endif
