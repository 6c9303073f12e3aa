/* mma_tile.h: what a warp of the mma kernels does with a tile of keys, for .cu files: its scores, probabilities and
   output stay in registers. See softmax_mma.cu. */
#ifndef ATTENTION_MMA_TILE_H
#define ATTENTION_MMA_TILE_H

#include "device_shape.h"
#include "kernels/lib/warp_matrix.h"

enum { WARP = 32, QUERIES = 128, PAD = 8 };

/* What is known at compile time of a head size: KEYS a tile; row_tiles of 16 queries a warp. */
template <int HEAD_DIM> struct layout {
    static const int row_tiles = HEAD_DIM <= 128 ? 2 : 1;
    static const int warps = QUERIES / 16 / row_tiles;
    static const int threads = warps * WARP;
    static const int keys = 64;
    static const int pitch = HEAD_DIM + PAD; /* elements between rows */
    static const int key_tiles = keys / 8, value_tiles = HEAD_DIM / 8; /* accumulators across */
    static const int blocks = HEAD_DIM == 64 ? 3 : HEAD_DIM <= 128 ? 2 : 1; /* on a multiprocessor */
    static const unsigned shared_bytes = (QUERIES + 2 * keys) * pitch * 2;
};

/* A warp's rows: lane / 4 and that + 8 of each of its tiles of 16. */
template <int HEAD_DIM> struct rows {
    float output[layout<HEAD_DIM>::row_tiles][layout<HEAD_DIM>::value_tiles][4];
    float maximum[layout<HEAD_DIM>::row_tiles][2], sum[layout<HEAD_DIM>::row_tiles][2];
};
template <int HEAD_DIM> struct scores {
    float value[layout<HEAD_DIM>::row_tiles][layout<HEAD_DIM>::key_tiles][4];
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

/* A thread's part of a tile of rows: of each row `lanes` threads copy vectors of 8 elements. */
template <int HEAD_DIM> struct copying {
    static const int vectors = HEAD_DIM / 8, lanes = vectors % 8 == 0 ? 8 : 4;
    static const int rows = layout<HEAD_DIM>::threads / lanes; /* at once */
};

/* Tokens `first` and up, COUNT of them, into shared memory; those that are not there as zeros. */
template <int HEAD_DIM, int COUNT, typename element>
static __device__ __forceinline__ void copy_rows(unsigned shared, const element *head, int64_t stride, int64_t first,
                                                 int64_t tokens) {
    using part = copying<HEAD_DIM>;
    static_assert(COUNT % part::rows == 0 && part::vectors % part::lanes == 0, "every thread copies as much");
    const int row = threadIdx.x / part::lanes, vector = threadIdx.x % part::lanes;
    const int left = tokens - first < COUNT ? (int)(tokens - first) : COUNT;
    const element *from = head + (first + row) * stride + vector * 8;
    shared += (row * layout<HEAD_DIM>::pitch + vector * 8) * 2;
#pragma unroll
    for (int i = 0; i < COUNT; i += part::rows, from += part::rows * stride)
#pragma unroll
        for (int j = 0; j < part::vectors; j += part::lanes)
            copy_16_bytes(shared + (i * layout<HEAD_DIM>::pitch + j * 8) * 2, row + i < left ? from + j * 8 : head,
                          row + i < left);
    copies_commit();
}

/* query, key: the warp's first query, the tile's first key in shared memory. */
template <int HEAD_DIM, typename element>
static __device__ __forceinline__ void multiply_keys(struct scores<HEAD_DIM> *scores, unsigned query, unsigned key) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP;
    /* matrices of A: rows 0-7 and 8-15 of the first columns, then of the next; of B: the columns first */
    unsigned a_at = query + ((lane % 16) * sizes::pitch + lane / 16 * 8) * 2;
    unsigned b_at = key + ((lane % 8 + lane / 16 * 8) * sizes::pitch + lane / 8 % 2 * 8) * 2;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) scores->value[r][n][i] = 0;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; k++) {
        uint32_t a[sizes::row_tiles][4];
#pragma unroll
        for (int r = 0; r < sizes::row_tiles; r++) warp_load(a[r], a_at + (r * 16 * sizes::pitch + k * 16) * 2);
#pragma unroll
        for (int n = 0; n < sizes::key_tiles; n += 2) {
            uint32_t b[4];
            warp_load(b, b_at + (n * 8 * sizes::pitch + k * 16) * 2);
#pragma unroll
            for (int r = 0; r < sizes::row_tiles; r++) {
                warp_mma((const element *)NULL, scores->value[r][n], a[r], b[0], b[1]);
                warp_mma((const element *)NULL, scores->value[r][n + 1], a[r], b[2], b[3]);
            }
        }
    }
}

/* Scores times factor, in units of log 2, become those of the options. */
template <int HEAD_DIM>
static __device__ void change_scores(struct scores<HEAD_DIM> *scores, const struct score_options *options, float factor,
                                     int head, int64_t first_query, int64_t first_key) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP;
    float slope = alibi_slope(options, head);
    float distance = score_distance(options, first_query + lane / 4, first_key + lane % 4 * 2);
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                scores->value[r][n][i] = change_score(options, scores->value[r][n][i] * factor, slope,
                                                      distance + (float)(r * 16 + i / 2 * 8 - n * 8 - i % 2));
}

/* -infinity where the mask forbids the pair; row: the warp's first in the tile. */
template <int HEAD_DIM>
static __device__ void mask_scores(struct scores<HEAD_DIM> *scores, const struct mask_tiles *tiles,
                                   struct mask_tile entry, int row) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP, right = lane % 4 * 2;
    const bool by_bits = mask_tile_form(entry) == MASK_TILE_BITS;
    const uint32_t index = mask_tile_index(entry);
    const struct mask_tile_range *range = mask_tiles_range(tiles) + (by_bits ? 0 : index);
    const uint32_t *bits = mask_tiles_bits(tiles) + (by_bits ? (size_t)index * QUERIES * (sizes::keys / 32) : 0);
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int at = row + r * 16 + lane / 4 + half * 8, begin = 0, end = 0;
            if (!by_bits && at >= range->row_begin && at < range->row_end) {
                begin = range->low + range->low_slope * at;
                end = range->high + range->high_slope * at;
            }
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++) {
                uint32_t word = by_bits ? bits[at * (sizes::keys / 32) + n / 4] >> (n % 4 * 8 + right) : 0;
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    int key = n * 8 + right + i;
                    bool seen = by_bits ? word >> i & 1 : key >= begin && key < end;
                    if (!seen) scores->value[r][n][half * 2 + i] = -INFINITY;
                }
            }
        }
}

/* 2^x by the special function unit alone: exp2f adds instructions for results below 2^-126, which become 0 here. */
static __device__ __forceinline__ float exponential(float x) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}

/* Scores times factor, in units of log 2, become probabilities up to the sum; the output is rescaled to the maximum. */
template <int HEAD_DIM>
static __device__ __forceinline__ void soften(struct scores<HEAD_DIM> *scores, struct rows<HEAD_DIM> *rows,
                                              float factor) {
    using sizes = layout<HEAD_DIM>;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float largest = -INFINITY, added = 0;
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++)
                largest = fmaxf(largest, fmaxf(scores->value[r][n][half * 2], scores->value[r][n][half * 2 + 1]));
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
            float next = fmaxf(rows->maximum[r][half], largest * factor);
            float shift = next == -INFINITY ? 0 : next; /* nothing seen yet: -infinity - -infinity would be NaN */
            float rescale = exponential(rows->maximum[r][half] - shift);
            rows->maximum[r][half] = next;
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
                for (int i = half * 2; i < half * 2 + 2; i++) {
                    scores->value[r][n][i] = exponential(scores->value[r][n][i] * factor - shift);
                    added += scores->value[r][n][i];
                }
            rows->sum[r][half] = rows->sum[r][half] * rescale + added; /* this lane's part */
#pragma unroll
            for (int n = 0; n < sizes::value_tiles; n++) {
                rows->output[r][n][half * 2] *= rescale;
                rows->output[r][n][half * 2 + 1] *= rescale;
            }
        }
}

/* Scores times factor become clipped probabilities; rows->maximum is the finished log_sum_exp in units of log 2. */
template <int HEAD_DIM>
static __device__ __forceinline__ void clip(struct scores<HEAD_DIM> *scores, const struct rows<HEAD_DIM> *rows,
                                            const struct score_options *options, float factor) {
    using sizes = layout<HEAD_DIM>;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float shift = rows->maximum[r][half];
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
                for (int i = half * 2; i < half * 2 + 2; i++)
                    scores->value[r][n][i] =
                        clip_probability(options, exponential(scores->value[r][n][i] * factor - shift));
        }
}

template <int HEAD_DIM, typename element>
static __device__ __forceinline__ void multiply_values(struct rows<HEAD_DIM> *rows,
                                                       const struct scores<HEAD_DIM> *scores, unsigned value) {
    using sizes = layout<HEAD_DIM>;
    const element *const type = NULL;
    const int lane = threadIdx.x % WARP;
    unsigned b_at = value + ((lane % 16) * sizes::pitch + lane / 16 * 8) * 2;
#pragma unroll
    for (int k = 0; k < sizes::keys / 16; k++) {
        uint32_t a[sizes::row_tiles][4];
#pragma unroll
        for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *pair = &scores->value[r][2 * k + i / 2][i % 2 * 2];
                a[r][i] = warp_pack(type, pair[0], pair[1]);
            }
#pragma unroll
        for (int n = 0; n < sizes::value_tiles; n += 2) {
            uint32_t b[4];
            warp_load_transposed(b, b_at + (k * 16 * sizes::pitch + n * 8) * 2);
#pragma unroll
            for (int r = 0; r < sizes::row_tiles; r++) {
                warp_mma(type, rows->output[r][n], a[r], b[0], b[1]);
                warp_mma(type, rows->output[r][n + 1], a[r], b[2], b[3]);
            }
        }
    }
}

#endif
#endif
