/* flash_backward_ends.h: the small kernels before and after the backward flash kernel: what it needs of every query,
   and the gradients whose sums it leaves in memory. */
#ifndef ATTENTION_FLASH_BACKWARD_ENDS_H
#define ATTENTION_FLASH_BACKWARD_ENDS_H

#include <math.h>

#include "attention.h"
#include "flash_device.h"

enum { ROW_THREADS = 256, VECTOR = 8 };

/* What a launch of the small kernels needs. */
struct rows {
    struct attention_strides stride; /* of output and its gradient, or of what is rounded */
    int64_t count;                   /* batch * heads * padded */
    int64_t queries, padded;         /* of a head, or its keys; rounded up to tiles */
    int heads, head_dim;
    float scale;
};

static __device__ inline float2 unpack_pair(uint32_t pair, __nv_bfloat16) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}
static __device__ inline float2 unpack_pair(uint32_t pair, __half) {
    return __half22float2(*(const __half2 *)&pair);
}

template <typename element> static __device__ float dot(uint4 a, uint4 b) {
    const uint32_t left[4] = {a.x, a.y, a.z, a.w}, right[4] = {b.x, b.y, b.z, b.w};
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        float2 x = unpack_pair(left[i], element()), y = unpack_pair(right[i], element());
        sum += x.x * y.x + x.y * y.y;
    }
    return sum;
}

/* shift, by what scores in units of log 2 are lowered: +infinity where nothing is seen, for probabilities of 0. */
template <typename element, int HEAD_DIM>
static __global__ void __launch_bounds__(ROW_THREADS)
    prepare_rows(struct rows rows, const element *output, const element *output_gradient, const float *log_sum_exp,
                 float *shift, float *delta, float *query_sums) {
    constexpr int LANES = HEAD_DIM / VECTOR;
    int64_t row = (int64_t)blockIdx.x * (ROW_THREADS / LANES) + threadIdx.x / LANES;
    int lane = threadIdx.x % LANES;
    if (row >= rows.count) return; /* whole warps: a head has a multiple of 64 rows */
    int64_t query = row % rows.padded, head = row / rows.padded;
    int64_t at = head / rows.heads * rows.stride.batch + head % rows.heads * rows.stride.head +
                 query * rows.stride.row + lane * VECTOR;
    float sum = 0;
    if (query < rows.queries && lane * VECTOR < rows.head_dim)
        sum = dot<element>(__ldg((const uint4 *)(output + at)), __ldg((const uint4 *)(output_gradient + at)));
    for (int distance = LANES / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
    float4 *zero = (float4 *)(query_sums + row * HEAD_DIM) + lane;
    zero[0] = zero[LANES] = make_float4(0, 0, 0, 0);
    if (lane > 0) return;
    float seen = query < rows.queries ? log_sum_exp[head * rows.queries + query] : -INFINITY;
    shift[row] = seen == -INFINITY ? INFINITY : seen * (float)M_LOG2E;
    delta[row] = sum;
}

/* A thread takes 8 columns of two rows, 8 apart, from four threads of a warpgroup, as flash_backward_sums.h left them;
   ROWS: queries or keys of a tile. */
template <typename element, int HEAD_DIM, int ROWS>
static __global__ void __launch_bounds__(ROW_THREADS)
    round_sums(struct rows rows, const float *all_sums, element *gradient) {
#if WGMMA_BUILT
    constexpr int COLUMNS = HEAD_DIM * ROWS / 128, BLOCKS = COLUMNS / 8, ITEMS = 32 * BLOCKS;
    int64_t item = (int64_t)blockIdx.x * ROW_THREADS + threadIdx.x, part = item / ITEMS, tile = part / 2;
    if (item * 16 >= rows.count * HEAD_DIM) return;
    int block = item % BLOCKS, quad = item % ITEMS / BLOCKS, warpgroup = part % 2;
    const float4 *from = (const float4 *)all_sums + part * (ITEMS * 4) + block * WGMMA_THREADS + quad * 4;
    uint32_t piece[2][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float4 sums = __ldcs(from + i);
        piece[0][i] = pack_pair(sums.x * rows.scale, sums.y * rows.scale, element());
        piece[1][i] = pack_pair(sums.z * rows.scale, sums.w * rows.scale, element());
    }
    int column = (ROWS > 64 ? 0 : warpgroup * COLUMNS) + block * 8;
    int64_t row = tile * ROWS + (ROWS > 64 ? warpgroup * 64 : 0) + quad / 8 * 16 + quad % 8;
    int64_t query = row % rows.padded, head = row / rows.padded;
    element *to = gradient + head / rows.heads * rows.stride.batch + head % rows.heads * rows.stride.head +
                  query * rows.stride.row + column;
    if (column >= rows.head_dim) return;
    if (query < rows.queries) *(uint4 *)to = make_uint4(piece[0][0], piece[0][1], piece[0][2], piece[0][3]);
    to += 8 * rows.stride.row;
    if (query + 8 < rows.queries) *(uint4 *)to = make_uint4(piece[1][0], piece[1][1], piece[1][2], piece[1][3]);
#else
    __trap();
#endif
}

#endif
