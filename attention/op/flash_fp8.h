/* flash_fp8.h: what the flash kernel does otherwise in fp8 (flash_scales.h): products of 8-bit operands, a softmax
   whose scores have scales by block, and probabilities as an 8-bit operand.

   NOTES. What was tried, on an H200, head_dim 128, 8k, full mask, each against the kernel of its time:
   - key tiles of 128 instead of 192: -14 %; two stages instead of three: -4 %.
   - warpgroups taking turns: -3 %, and -4 % where the turn goes on only when the scores are there.
   - the products of each tile summed apart, and added to the output in fp32: -8 %, for an error that stays the same.
   - a sixteenth or an eighth of the exponentials by polynomials: -9, -15 %; packing probabilities through fp16: -9 %.
   - values swizzled over 128 bytes instead of 64: nothing.
   - left out, to see what they cost: exponentials +22 %, largest scores +16 %, conversions to e4m3 nothing.
   - maxima that stay, so that a probability of 1 leaves as 16 instead of 256: +3 % (predicted 12 %), at head_dim 64 +9
     and at 256 +10 %, for an output_error of 5.5 % as before, and of 4.2 instead of 4.1 % with outliers; short causal
     lines -1 %. Sums of 8 instead of 16 to see what grows, a probability of 1 being 32: -3 %.
   - and then: an eighth or a quarter of the exponentials by polynomials -5 and -4 %; work taken early: nothing;
     warpgroups taking turns: -4 to +2 %. Zeros as data make no difference, so that it is not power.
   - sums behind the wait for the product, beside the conversions: +8 % at head_dim 128, nothing at 64 and 256; in bf16
     -1 to -10 %. An exponential took twice its clocks even where the other warpgroup let it alone: the compiler adds
     each up at once, with two on their way, and waits. Held back otherwise, by instructions that it moves nothing
     across (pmevent): -4 to -7 %, but each of those costs about 80 clocks (six of them beside the same code: -13 %).
   - a maximum that rises makes the largest probability 16 exactly, where it rose by powers of two before: output_rmse
     with outliers 10.9 instead of 12.8e-3 (16k: 12.5 instead of 13.4e-3; causal 10.3 and 11.3 instead of 12.3 and
     13.4e-3), time -1 % with outliers, else the same. Rising earlier, at sums above 264 instead of 448: another 1 % of
     the error, and 1.5 to 4 % of the time.
   - a scale for each query, which takes no operation for each pair: output_rmse 9.6e-3 (16k: 10.9e-3), but -4 % of
     speed (head_dim 64: -1 %, 256: nothing), whatever the order of the loops.
   - shorter chains of waits, hoped for 8 to 15 %: 128 queries by 192 keys took 3150 clocks (16k: 3110), in which, as a
     trace said, a warpgroup waits about 550 for its scores and packs about 350:
       sums and conversions beside a tile's own exponentials, in registers of their own: -4 %
       scores in two products of 96 keys, the first part packed beside exponentials of the second: -1 %; and the next
       tile's first scores made while that one is packed: -5 % (of 128 and 64 keys -8 %, of 64 and 128 -6 %)
       queries in registers instead of shared memory: -1 %
     Longer ones do not cost much: exponentials only when the product with the values has ended: -4 %. And seven of
     eight additions left out: nothing. What stays is the sum of both floors, 3072 clocks.
   - key tiles of 224, with scales by 32 keys: +1.5 % (predicted 4.6 %, but registers spill), at 16k -2 %. Three
     warpgroups and key tiles of 96: -3 %, at 16k -5 %.
   - outliers cost 9 %, all of it where maxima rise. The clock is 1.79 GHz in this kernel, 1.69 in bf16's, of 1.98. */
#ifndef ATTENTION_FLASH_FP8_H
#define ATTENTION_FLASH_FP8_H

#include "flash.h"
#include "flash_device.h"
#include "flash_rows.h"

struct flash_e4m3 { /* the type of e4m3 operands with scales by block */
    uint8_t bits;
};
struct flash_e4m3_token { /* and by token: flash_fp8_token.h */
    uint8_t bits;
};
template <typename element> struct flash_format {
    using output = element;
    static constexpr bool SCALED = false, BY_TOKEN = false;
};
template <> struct flash_format<flash_e4m3> {
    using output = __nv_bfloat16;
    static constexpr bool SCALED = true, BY_TOKEN = false;
};
template <> struct flash_format<flash_e4m3_token> {
    using output = __nv_bfloat16;
    static constexpr bool SCALED = true, BY_TOKEN = true;
};

/* Of a warpgroup's rows: the scale of their queries, in units of log 2, and that of their output. Where each token has
   a scale: of a thread's two rows. */
struct flash_scaling {
    float query, value, second_query;
};

/* While what a thread has of a block of keys in a row sums up to no more than the largest number, each of it fits;
   where all probabilities of a row are alike, it does. */
enum { FLASH_E4M3_MAX = 448 };
static_assert((ATTENTION_SCALE_BLOCK / 4 << FLASH_PROBABILITY_SHIFT) <= FLASH_E4M3_MAX, "equal probabilities fit");

#if WGMMA_BUILT
/* Of a key tile among all of them. */
static __device__ inline int64_t flash_tile_at(const struct flash_arguments *arguments, int tile, int head, int batch) {
    int kv_heads = arguments->heads / arguments->group;
    return ((int64_t)batch * kv_heads + head) * arguments->key_tiles + tile;
}

static_assert((int)ATTENTION_SCALE_BLOCK == (int)WGMMA_M, "the queries of a warpgroup have one scale");
static __device__ inline struct flash_scaling flash_scaling_of(const struct flash_arguments *arguments,
                                                               int first_query, int batch_head, int row) {
    int block = (first_query + row) / ATTENTION_SCALE_BLOCK;
    if (block >= arguments->query_blocks) block = arguments->query_blocks - 1; /* rows that do not exist */
    float scale = arguments->query_scale[(int64_t)batch_head * arguments->query_blocks + block];
    return {scale * arguments->factor, 1, 0};
}

#define PRODUCTS_FP8(n)                                                                                                \
    PRODUCT_SS(n, flash_e4m3, fp8_e4m3)                                                                                \
    PRODUCT_RS(n, flash_e4m3, fp8_e4m3)                                                                                \
    PRODUCT_SS(n, flash_e4m3_token, fp8_e4m3)                                                                          \
    PRODUCT_RS(n, flash_e4m3_token, fp8_e4m3)
PRODUCTS_FP8(64)
PRODUCTS_FP8(96)
PRODUCTS_FP8(128)
PRODUCTS_FP8(192)
PRODUCTS_FP8(256)

/* Values from position `key` of a tile on, as flash_value_byte lays them. */
template <int HEAD_DIM> static __device__ __forceinline__ uint64_t flash_value_descriptor(unsigned tile, int key) {
    constexpr uint64_t HIGH = (uint64_t)(8 * FLASH_VALUE_CHUNK / 16) | (uint64_t)WGMMA_SWIZZLE_64 << 30;
    return HIGH << 32 |
           (tile + flash_step(key / FLASH_VALUE_CHUNK * HEAD_DIM * FLASH_VALUE_CHUNK + key % FLASH_VALUE_CHUNK));
}

/* The largest score of each row and block of 8 EACH columns, among a thread's own. */
template <int COLUMNS, int EACH>
static __device__ __forceinline__ void flash_largest(const float (&score)[COLUMNS / 2],
                                                     float (&largest)[2][COLUMNS / 8 / EACH]) {
#pragma unroll
    for (int group = 0; group < COLUMNS / 4 / EACH; group++) {
        const float *x = &score[group / 2 * EACH * 4 + group % 2 * 2];
        float most = fmaxf(x[0], x[1]);
#pragma unroll
        for (int i = 1; i < EACH; i++) most = fmaxf(most, fmaxf(x[4 * i], x[4 * i + 1]));
        largest[group % 2][group / 2] = most;
    }
}

/* The maxima of rows that have none yet, or are done with care; shift: they, or 0 of a row that has seen nothing. */
template <int COLUMNS, int EACH>
static __device__ __forceinline__ void flash_search(const float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                    const float (&factor)[COLUMNS / 8 / EACH], float (&shift)[2],
                                                    float (&correction)[2]) {
    float largest[2][COLUMNS / 8 / EACH];
    flash_largest<COLUMNS, EACH>(score, largest);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float maximum = -INFINITY;
#pragma unroll
        for (int b = 0; b < COLUMNS / 8 / EACH; b++) maximum = fmaxf(maximum, largest[half][b] * factor[b]);
        shift[half] = flash_rise(rows, half, maximum, &correction[half]);
    }
    flash_settle(rows, correction);
}

/* flash_softmax where each block of keys has its scale, but for the sums. What leaves is multiplied as struct
   flash_scales says; the sums will not be, and a maximum is one of scaled scores. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_softmax_scaled(float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                            const struct flash_scales *scales,
                                                            struct flash_scaling *scaling, float (&correction)[2]) {
    constexpr int BLOCKS = COLUMNS / ATTENTION_SCALE_BLOCK, EACH = ATTENTION_SCALE_BLOCK / 8;
    static_assert(BLOCKS <= FLASH_SCALES_MAX && BLOCKS * ATTENTION_SCALE_BLOCK == COLUMNS, "whole blocks of keys");
    float factor[BLOCKS];
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) factor[b] = scaling->query * scales->key[b];
    scaling->value = scales->value;
    float shift[2] = {rows->maximum[0], rows->maximum[1]};
    correction[0] = correction[1] = 1;
    rows->changed = false;
    if (!rows->settled) flash_search<COLUMNS, EACH>(score, rows, factor, shift, correction);
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            float own = scales->shift[b] - shift[half];
#pragma unroll
            for (int i = b * EACH; i < (b + 1) * EACH; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    float *x = &score[4 * i + 2 * half + j];
                    *x = exp2_fast(*x * factor[b] + own);
                }
            }
        }
    }
}

/* Adds them up, beside which they are packed: in flash_softmax_scaled the compiler would wait for each exponential, with
   only two of them on their way. true: they did not fit, and have changed. */
template <int COLUMNS>
static __device__ __forceinline__ bool flash_add_up_scaled(float (&probability)[COLUMNS / 2], struct flash_rows *rows,
                                                           const struct flash_scales *scales, float (&correction)[2]) {
    constexpr int BLOCKS = COLUMNS / ATTENTION_SCALE_BLOCK, EACH = COLUMNS / 2 / BLOCKS;
    bool fit = true;
    float sum[2] = {0, 0};
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
        float part[2] = {0, 0};
#pragma unroll
        for (int i = b * EACH; i < (b + 1) * EACH; i++) part[i / 2 % 2] += probability[i];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            fit &= part[half] <= FLASH_E4M3_MAX;
            sum[half] += part[half] * scales->inverse[b];
        }
    }
    rows->sum[0] += sum[0];
    rows->sum[1] += sum[1];
    if (__all_sync(~0u, fit)) return false;
    flash_outgrow<COLUMNS, false>(probability, rows, 1 << FLASH_PROBABILITY_SHIFT, sum[0] + sum[1], correction);
    return true;
}

/* Four numbers in a register, the first one low. */
static __device__ __forceinline__ uint32_t pack_four(float first, float second, float third, float fourth) {
    uint32_t four;
    asm("{\n.reg .b16 low, high;\n"
        "cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;\n"
        "cvt.rn.satfinite.e4m3x2.f32 high, %4, %3;\n"
        "mov.b32 %0, {low, high};\n}"
        : "=r"(four)
        : "f"(first), "f"(second), "f"(third), "f"(fourth));
    return four;
}

/* flash_pack to e4m3: a thread's two neighbours of two blocks of eight columns become four of the operand, whose order
   of keys is that of flash_key_at. */
template <typename element, int COLUMNS>
static __device__ __forceinline__ void flash_pack(uint32_t (&probability)[COLUMNS / 32][4],
                                                  const float (&score)[COLUMNS / 2]) {
#pragma unroll
    for (int i = 0; i < COLUMNS / 8; i++) {
        const float *x = &score[16 * (i / 4) + 8 * (i % 4 / 2) + 2 * (i % 2)];
        probability[i / 4][i % 4] = pack_four(x[0], x[1], x[4], x[5]);
    }
}
#endif

#endif
