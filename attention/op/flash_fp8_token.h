/* flash_fp8_token.h: the softmax of the flash kernel in fp8 where each query, key and value has a scale of its own
   (problem/quantize.h): what flash_fp8.h does with scales by block, for two multiplications more a probability.

   NOTES. What was tried, on an H200, head_dim 128, 8k, full mask, against scales by block:
   - scales with scales first, a query's times a key's: -23 %; score times key scale, and then with the query's and the
     maximum in one instruction: -17 %, since it needs fewer registers.
   - the first form without the keys' scales: -9 %, without the values': -15 %, without both: -1 %.
   - one scale for the two rows of a thread, so that half of the multiplications go: nothing.
   - values' scales, sums and packing in fp16, two at a time: +1 %; with outliers sums leave its range, and query tiles
     are done again.
   - what is left to gain: in the machine code all exponentials stand behind the wait for the product with the values,
     which they are to overlap; with scales by block, before it. Scales read ahead have no registers. */
#ifndef ATTENTION_FLASH_FP8_TOKEN_H
#define ATTENTION_FLASH_FP8_TOKEN_H

#include "flash_fp8.h"

/* Of a key tile, as flash_token_scales_count has them. */
template <int KEYS> struct flash_token_scales {
    float key[KEYS], value[KEYS], output, unused[3];
};

/* A thread's part of 64 keys is held against e4m3's largest number, as of a block. */
enum { FLASH_FIT_KEYS = ATTENTION_SCALE_BLOCK };

#if WGMMA_BUILT
static __device__ inline struct flash_scaling flash_scaling_of_tokens(const struct flash_arguments *arguments,
                                                                      int first_query, int batch_head, int row) {
    float query[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int token = min(first_query + row + 8 * half, arguments->queries - 1); /* some rows do not exist */
        query[half] = arguments->query_scale[(int64_t)batch_head * arguments->queries + token] * arguments->factor;
    }
    return {query[0], 1, query[1]};
}

/* A thread's scales of its four columns of sixteen. Volatile: read early they would not have registers. */
static __device__ __forceinline__ void flash_four(const float *scales, int sixteen, float (&four)[4]) {
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(four[0]), "=f"(four[1]), "=f"(four[2]), "=f"(four[3])
                 : "r"(shared_address(scales + 16 * sixteen + threadIdx.x % 4 * 4)));
}

/* The maxima of rows that have none yet, or are done with care, of what probabilities will be times the shares of the
   values; shift: they, or 0 of a row that has seen nothing. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_search_tokens(const float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                           const struct flash_token_scales<COLUMNS> *scales,
                                                           const struct flash_scaling *scaling, float (&shift)[2],
                                                           float (&correction)[2]) {
    float maximum[2] = {-INFINITY, -INFINITY}, query[2] = {scaling->query, scaling->second_query};
#pragma unroll
    for (int sixteen = 0; sixteen < COLUMNS / 16; sixteen++) {
        float key[4], value[4];
        flash_four(scales->key, sixteen, key);
        flash_four(scales->value, sixteen, value);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float more = __log2f(value[i]);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float x = score[8 * sixteen + 4 * (i / 2) + 2 * half + i % 2];
                maximum[half] = fmaxf(maximum[half], x * key[i] * query[half] + more);
            }
        }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        shift[half] = flash_rise(rows, half, maximum[half], &correction[half]);
    }
    flash_settle(rows, correction);
}

/* flash_softmax but for the sums. In this order of products: scales with scales first would cost registers, and 8 % of
   the time. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_softmax_scaled(float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                            const struct flash_token_scales<COLUMNS> *scales,
                                                            struct flash_scaling *scaling, float (&correction)[2]) {
    scaling->value = scales->output;
    float shift[2] = {rows->maximum[0], rows->maximum[1]}, query[2] = {scaling->query, scaling->second_query};
    correction[0] = correction[1] = 1;
    rows->changed = false;
    if (!rows->settled) flash_search_tokens<COLUMNS>(score, rows, scales, scaling, shift, correction);
    shift[0] -= FLASH_PROBABILITY_SHIFT;
    shift[1] -= FLASH_PROBABILITY_SHIFT;
#pragma unroll
    for (int sixteen = 0; sixteen < COLUMNS / 16; sixteen++) {
        float key[4];
        flash_four(scales->key, sixteen, key);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float *x = &score[8 * sixteen + i];
            *x = exp2_fast(*x * key[i / 4 * 2 + i % 2] * query[i / 2 % 2] - shift[i / 2 % 2]);
        }
    }
}

/* Adds them up, and then multiplies them by the shares. false: they do not fit; *total: a thread's sum. */
template <int COLUMNS>
static __device__ __forceinline__ bool flash_add_up_tokens(float (&probability)[COLUMNS / 2], struct flash_rows *rows,
                                                           const struct flash_token_scales<COLUMNS> *scales,
                                                           float *total) {
    bool fit = true;
    float sum[2] = {0, 0};
#pragma unroll
    for (int first = 0; first < COLUMNS / 16; first += FLASH_FIT_KEYS / 16) {
        float part[2] = {0, 0};
#pragma unroll
        for (int sixteen = first; sixteen < first + FLASH_FIT_KEYS / 16 && sixteen < COLUMNS / 16; sixteen++) {
            float value[4];
            flash_four(scales->value, sixteen, value);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float *x = &probability[8 * sixteen + i];
                part[i / 2 % 2] += *x;
                *x *= value[i / 4 * 2 + i % 2];
            }
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            fit &= part[half] <= FLASH_E4M3_MAX;
            sum[half] += part[half];
        }
    }
    rows->sum[0] += sum[0] / (1 << FLASH_PROBABILITY_SHIFT);
    rows->sum[1] += sum[1] / (1 << FLASH_PROBABILITY_SHIFT);
    *total = sum[0] + sum[1];
    return __all_sync(~0u, fit);
}

/* They are packed, too. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_take_tokens(float (&probability)[COLUMNS / 2],
                                                         uint32_t (&packed)[COLUMNS / 32][4], struct flash_rows *rows,
                                                         const struct flash_token_scales<COLUMNS> *scales,
                                                         float (&correction)[2]) {
    float total;
    bool fit = flash_add_up_tokens<COLUMNS>(probability, rows, scales, &total);
    flash_pack<flash_e4m3_token, COLUMNS>(packed, probability);
    if (fit) return;
    flash_outgrow<COLUMNS, false>(probability, rows, 1 << FLASH_PROBABILITY_SHIFT, total, correction);
    flash_pack<flash_e4m3_token, COLUMNS>(packed, probability);
}
#endif

#endif
