/* flash_backward_rows.h: what the backward flash kernel does with the scores of a warpgroup, in registers as a product
   leaves them, transposed: a thread holds two keys, 8 apart, and of each eight queries two. */
#ifndef ATTENTION_FLASH_BACKWARD_ROWS_H
#define ATTENTION_FLASH_BACKWARD_ROWS_H

#include "flash_backward_load.h"
#include "flash_rows.h"

#if WGMMA_BUILT
/* -infinity where the mask forbids the pair; first_query, first_key: of the scores within the tile. */
template <int COLUMNS, int QUERIES, int KEYS>
static __device__ __forceinline__ void backward_mask(float (&score)[COLUMNS / 2],
                                                     const struct backward_arguments *arguments, uint32_t where,
                                                     int first_query, int first_key) {
    int key = first_key + threadIdx.x % WGMMA_THREADS / WARP * 16 + threadIdx.x % WARP / 4;
    int query = first_query + threadIdx.x % 4 * 2;
    struct mask_tile entry = {0, where};
    if (mask_tile_form(entry) == MASK_TILE_BITS) {
        constexpr int WORDS = KEYS / 32;
        const uint32_t *bits = arguments->bits + ((int64_t)mask_tile_index(entry) * QUERIES + query) * WORDS + key / 32;
#pragma unroll
        for (int i = 0; i < COLUMNS / 4; i++) {
            uint32_t pair = bits[(i / 2 * 8 + i % 2) * WORDS] >> key % 32;
            if (!(pair & 1)) score[i / 2 * 4 + i % 2] = -INFINITY;
            if (!(pair & 0x100)) score[i / 2 * 4 + i % 2 + 2] = -INFINITY;
        }
        return;
    }
    const struct mask_tile_range range = arguments->range[mask_tile_index(entry)];
    int low = range.low + range.low_slope * query - key, high = range.high + range.high_slope * query - key;
#pragma unroll
    for (int i = 0; i < COLUMNS / 4; i++) {
        int step = i / 2 * 8 + i % 2;
        bool inside = query + step >= range.row_begin && query + step < range.row_end;
        int from = low + range.low_slope * step, end = inside ? high + range.high_slope * step : from;
        if (from > 0 || end <= 0) score[i / 2 * 4 + i % 2] = -INFINITY;
        if (from > 8 || end <= 8) score[i / 2 * 4 + i % 2 + 2] = -INFINITY;
    }
}

/* Scores become probabilities; shift: of the scores' first query on. */
template <int COLUMNS>
static __device__ __forceinline__ void backward_soften(float (&score)[COLUMNS / 2], const float *shift, float factor) {
    const float2 *pair = (const float2 *)shift + threadIdx.x % 4;
#pragma unroll
    for (int block = 0; block < COLUMNS / 8; block++) {
        float2 of = pair[4 * block];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float *x = &score[4 * block + i];
            *x = exp2_fast(*x * factor - (i % 2 ? of.y : of.x));
        }
    }
}

/* Derivatives by the probabilities become those by the scores. */
template <int COLUMNS>
static __device__ __forceinline__ void backward_differentiate(float (&slope)[COLUMNS / 2],
                                                              const float (&probability)[COLUMNS / 2],
                                                              const float *delta) {
    const float2 *pair = (const float2 *)delta + threadIdx.x % 4;
#pragma unroll
    for (int block = 0; block < COLUMNS / 8; block++) {
        float2 of = pair[4 * block];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float *x = &slope[4 * block + i];
            *x = probability[4 * block + i] * (*x - (i % 2 ? of.y : of.x));
        }
    }
}

/* wgmma_hold, of the left operand of a product that may still be reading it. */
template <int STEPS> static __device__ __forceinline__ void backward_hold(uint32_t (&packed)[STEPS][4]) {
#pragma unroll
    for (int step = 0; step < STEPS; step++) wgmma_hold(packed[step]);
}

/* 0, known only when the probabilities are, which are no NaNs with all bits set: see flash_never. */
template <int COLUMNS>
static __device__ __forceinline__ unsigned backward_never(const uint32_t (&probability)[COLUMNS / 16][4]) {
    uint32_t all = ~0u;
#pragma unroll
    for (int i = 0; i < COLUMNS / 4; i++) all &= probability[i / 4][i % 4];
    return all == ~0u;
}

static __device__ __forceinline__ void store_matrices_transposed(void *row, const uint32_t (&word)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
                 "r"(word[0]), "r"(word[1]), "r"(word[2]), "r"(word[3])
                 : "memory");
}

/* A warpgroup's score gradients to where both will read them, as [chunk of 64 keys][query][64]; SPLIT: probabilities
   and score gradients, [key][64 queries] each. */
BACKWARD_TEMPLATE
static __device__ __forceinline__ void
backward_exchange(char *to, const uint32_t (&probability)[backward_tiles<BACKWARD_ARGUMENTS>::SCORE_COLUMNS / 16][4],
                  const uint32_t (&gradient)[backward_tiles<BACKWARD_ARGUMENTS>::SCORE_COLUMNS / 16][4],
                  int warpgroup) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    unsigned lane = threadIdx.x % WARP, key = threadIdx.x % WGMMA_THREADS / WARP * 16;
    if constexpr (tiles::SPLIT) {
#pragma unroll
        for (int step = 0; step < tiles::SCORE_COLUMNS / 16; step++) {
            unsigned at = wgmma_swizzled(key + lane % 16,
                                         warpgroup * tiles::SCORE_COLUMNS * 2 + step * 32 + lane / 16 * 16);
            store_matrices(to + at, probability[step][0], probability[step][1], probability[step][2],
                           probability[step][3]);
            store_matrices(to + tiles::SCORE_BYTES + at, gradient[step][0], gradient[step][1], gradient[step][2],
                           gradient[step][3]);
        }
    } else {
        to += warpgroup * QUERIES * CHUNK_BYTES;
        to += wgmma_swizzled(lane / 16 * 8 + lane % 8, (key + lane / 8 % 2 * 8) * 2);
#pragma unroll
        for (int step = 0; step < QUERIES / 16; step++)
            store_matrices_transposed(to + step * 16 * CHUNK_BYTES, gradient[step]);
    }
}
#endif

#endif
