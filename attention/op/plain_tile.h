/* plain_tile.h: the products of the plain kernels, for .cu files: fp32 multiply-adds from shared memory, formats
   converted on the way there.

   A block of SIDE x SIDE threads works on tiles of TILE x TILE. Thread (y, x) holds the rows 4 y .. 4 y + 3: of a
   product of two tiles of tokens the columns x, x + 16, x + 32, x + 48, of sums over tokens the dimensions x, x + 16,
   .. */
#ifndef ATTENTION_PLAIN_TILE_H
#define ATTENTION_PLAIN_TILE_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

enum { SIDE = 16, PART = 4, TILE = SIDE * PART, DEPTH = 32, ROWS_AT_ONCE = 16 };

static __device__ inline float widen(float x) {
    return x;
}
static __device__ inline float widen(__nv_bfloat16 x) {
    return __bfloat162float(x);
}
static __device__ inline float widen(__half x) {
    return __half2float(x);
}
static __device__ inline void narrow(float *to, float x) {
    *to = x;
}
static __device__ inline void narrow(__nv_bfloat16 *to, float x) {
    *to = __float2bfloat16(x);
}
static __device__ inline void narrow(__half *to, float x) {
    *to = __float2half(x);
}

/* TILE tokens of one head, from `first` on; those from `tokens` on count as 0. */
template <typename element> struct token_rows {
    const element *head;
    int64_t stride, first, tokens;
};

/* DEPTH dimensions of two tiles of tokens; + 1: rows start in different banks. */
struct slices {
    float left[TILE][DEPTH + 1], right[TILE][DEPTH + 1];
};

template <typename element>
static __device__ void load_slice(float (*slice)[DEPTH + 1], struct token_rows<element> rows, int depth, int head_dim,
                                  float factor) {
    for (int i = threadIdx.y * SIDE + threadIdx.x; i < TILE * DEPTH; i += SIDE * SIDE) {
        int64_t token = rows.first + i / DEPTH;
        int d = depth + i % DEPTH;
        bool inside = token < rows.tokens && d < head_dim;
        slice[i / DEPTH][i % DEPTH] = inside ? widen(rows.head[token * rows.stride + d]) * factor : 0;
    }
}

/* product[i][j] = factor * sum_d left[4 y + i][d] * right[x + 16 j][d]. Begins with a barrier, so that the slices may
   lie where something else has been read. */
template <typename element>
static __device__ void multiply_tiles(float (*product)[PART], struct slices *slices, struct token_rows<element> left,
                                      struct token_rows<element> right, int head_dim, float factor) {
    for (int i = 0; i < PART; i++)
        for (int j = 0; j < PART; j++) product[i][j] = 0;
    for (int depth = 0; depth < head_dim; depth += DEPTH) {
        __syncthreads();
        load_slice(slices->left, left, depth, head_dim, factor);
        load_slice(slices->right, right, depth, head_dim, 1.0f);
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            float a[PART], b[PART];
            for (int i = 0; i < PART; i++) a[i] = slices->left[threadIdx.y * PART + i][d];
            for (int j = 0; j < PART; j++) b[j] = slices->right[threadIdx.x + SIDE * j][d];
            for (int i = 0; i < PART; i++)
                for (int j = 0; j < PART; j++) product[i][j] += a[i] * b[j];
        }
    }
}

/* sums[i][j] += sum over the tile's tokens t of weight[4 y + i][t] * rows[t][x + 16 j]. Begins with a barrier, so that
   the weights need none after they are written; `some` holds ROWS_AT_ONCE of the rows. */
template <typename element, int HEAD_DIM>
static __device__ void multiply_rows(float (*sums)[HEAD_DIM / SIDE], float (*some)[HEAD_DIM],
                                     const float (*weight)[TILE + 1], struct token_rows<element> rows, int head_dim) {
    for (int chunk = 0; chunk < TILE; chunk += ROWS_AT_ONCE) {
        __syncthreads();
        for (int i = threadIdx.y * SIDE + threadIdx.x; i < ROWS_AT_ONCE * HEAD_DIM; i += SIDE * SIDE) {
            int64_t token = rows.first + chunk + i / HEAD_DIM;
            int d = i % HEAD_DIM;
            bool inside = token < rows.tokens && d < head_dim;
            some[i / HEAD_DIM][d] = inside ? widen(rows.head[token * rows.stride + d]) : 0;
        }
        __syncthreads();
#pragma unroll
        for (int t = 0; t < ROWS_AT_ONCE; t++) {
            float factor[PART];
            for (int i = 0; i < PART; i++) factor[i] = weight[threadIdx.y * PART + i][chunk + t];
            for (int j = 0; j < HEAD_DIM / SIDE; j++) {
                float x = some[t][threadIdx.x + SIDE * j];
                for (int i = 0; i < PART; i++) sums[i][j] += factor[i] * x;
            }
        }
    }
}

#endif
