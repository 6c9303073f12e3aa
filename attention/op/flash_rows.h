/* flash_rows.h: what a flash kernel does with the scores of a warpgroup, in registers as a product leaves them: a
   thread holds two rows, `row` and `row` + 8, of each eight columns two. Scores times `factor` are in units of log 2. */
#ifndef ATTENTION_FLASH_ROWS_H
#define ATTENTION_FLASH_ROWS_H

#include "flash.h"
#include "flash_device.h"

/* The running state of a thread's two rows: what is taken off a score before its exponential, the largest one at first,
   and the sum of exponentials over its own columns. The others are the same in all threads of a warp. */
struct flash_rows {
    float maximum[2], sum[2];
    bool settled; /* all rows have a maximum, which may stay while probabilities fit */
    bool careful; /* it may not: the largest score of each key tile is searched for */
    bool changed; /* earlier outputs are to be corrected */
    bool failed;  /* probabilities were too large for fp32: the query tile has to be done again, with care */
};

/* Probabilities of 16 bits may sum up to so much in a thread's part of a key tile before the maximum rises: fp16 ends
   at 2^16. And all to so much before they count as lost: what takes them back is a normal number. */
static constexpr float FLASH_OUTGROWN = 0x1p14f, FLASH_LOST = 0x1p120f;
static constexpr float FLASH_SUM_MAX = 0x1p100f; /* of a thread's part of a key tile, in the first walk of two */

#if WGMMA_BUILT
/* -infinity where the mask forbids the pair; where: of the tile's entry. */
template <int COLUMNS, int TILE_QUERIES>
static __device__ __forceinline__ void flash_mask(float (&score)[COLUMNS / 2], const struct flash_arguments *arguments,
                                                  uint32_t where, int row) {
    int column = threadIdx.x % 4 * 2;
    struct mask_tile entry = {0, where};
    if (mask_tile_form(entry) == MASK_TILE_BITS) {
        constexpr int WORDS = (COLUMNS + 31) / 32;
        const uint32_t *bits = arguments->bits + ((int64_t)mask_tile_index(entry) * TILE_QUERIES + row) * WORDS;
#pragma unroll
        for (int i = 0; i < COLUMNS / 4; i++) {
            uint32_t pair = bits[i % 2 * 8 * WORDS + i / 8] >> (i / 2 % 4 * 8 + column);
            if (!(pair & 1)) score[2 * i] = -INFINITY;
            if (!(pair & 2)) score[2 * i + 1] = -INFINITY;
        }
        return;
    }
    const struct mask_tile_range range = arguments->range[mask_tile_index(entry)];
    /* half the tests where no row has a lower end: causal diagonals and last tiles */
    bool from_first = range.low <= 0 && (range.low_slope == 0 || range.low + TILE_QUERIES <= 0);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int r = row + 8 * half;
        int low = range.low + range.low_slope * r - column, high = range.high + range.high_slope * r - column;
        if (r < range.row_begin || r >= range.row_end) high = -COLUMNS;
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++) {
            if (8 * block >= high) score[4 * block + 2 * half] = -INFINITY;
            if (8 * block + 1 >= high) score[4 * block + 2 * half + 1] = -INFINITY;
        }
        if (from_first) continue;
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++) {
            if (8 * block < low) score[4 * block + 2 * half] = -INFINITY;
            if (8 * block + 1 < low) score[4 * block + 2 * half + 1] = -INFINITY;
        }
    }
}

/* Bits begin .. end - 1 of a word of 32. */
static __device__ __forceinline__ uint32_t flash_ones(int begin, int end) {
    return __funnelshift_lc(~0u, 0, (unsigned)max(end, 0)) & ~__funnelshift_lc(~0u, 0, (unsigned)max(begin, 0));
}

/* The same for COLUMNS keys of a tile of TILE_KEYS from its key `begin` on, a multiple of 32. Ranges become bits first,
   so that a score costs one test and one instruction, whatever the form; and some registers. */
template <int COLUMNS, int TILE_KEYS, int TILE_QUERIES>
static __device__ __forceinline__ void flash_mask_words(float (&score)[COLUMNS / 2],
                                                        const struct flash_arguments *arguments, uint32_t where,
                                                        int row, int begin) {
    constexpr int ROW_WORDS = (TILE_KEYS + 31) / 32, WORDS = (COLUMNS + 31) / 32;
    int column = threadIdx.x % 4 * 2;
    struct mask_tile entry = {0, where};
    uint32_t allowed[2][WORDS];
    if (mask_tile_form(entry) == MASK_TILE_BITS) {
        const uint32_t *bits = arguments->bits + ((int64_t)mask_tile_index(entry) * TILE_QUERIES + row) * ROW_WORDS;
#pragma unroll
        for (int i = 0; i < 2 * WORDS; i++)
            allowed[i % 2][i / 2] = bits[i % 2 * 8 * ROW_WORDS + begin / 32 + i / 2] >> column;
    } else {
        const struct mask_tile_range range = arguments->range[mask_tile_index(entry)];
#pragma unroll
        for (int i = 0; i < 2 * WORDS; i++) {
            int r = row + i % 2 * 8, first = begin + i / 2 * 32 + column;
            int high = range.high + range.high_slope * r;
            if (r < range.row_begin || r >= range.row_end) high = -TILE_KEYS;
            allowed[i % 2][i / 2] = flash_ones(range.low + range.low_slope * r - first, high - first);
        }
    }
#pragma unroll
    for (int i = 0; i < COLUMNS / 2; i++)
        if (!(allowed[i / 2 % 2][i / 16] >> (i / 4 % 4 * 8 + i % 2) & 1)) score[i] = -INFINITY;
}

/* Scores become those of the options, times factor: change_score of score_options.h for all of them, one option after
   the other, where the compiler would ask for each option once a score: soft cap is 1.75 and ALiBi 1.4 times as fast (on
   an H200, bf16, 8k tokens, head_dim 128, full). */
template <int COLUMNS>
static __device__ __forceinline__ void flash_change(float (&score)[COLUMNS / 2],
                                                    const struct flash_arguments *arguments, int head, int query,
                                                    int first_key) {
    const struct score_options *options = &arguments->options;
    if (options->soft_cap > 0) {
        float step = options->soft_cap_step * arguments->factor, cap = options->soft_cap;
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++)
            score[i] = cap - 2 * cap * reciprocal_fast(exp2_fast(step * score[i]) + 1);
    } else {
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++) score[i] *= arguments->factor;
    }
    if (!options->alibi) return;
    float slope = alibi_slope(options, head);
    float distance = score_distance(options, query, first_key + threadIdx.x % 4 * 2);
#pragma unroll
    for (int i = 0; i < COLUMNS / 2; i++)
        score[i] -= slope * fabsf(distance + (float)(i / 2 % 2 * 8 - i / 4 * 8 - i % 2));
}

/* Of a clipped softmax: scores get the options and the mask; what they are still to be multiplied by returns. */
template <int COLUMNS, int TILE_QUERIES>
static __device__ __forceinline__ float flash_take_options(float (&score)[COLUMNS / 2],
                                                           const struct flash_arguments *arguments, int head,
                                                           int first_query, int row, struct mask_tile entry) {
    bool changes = changes_scores(&arguments->options);
    if (changes) flash_change<COLUMNS>(score, arguments, head, first_query + row, entry.tile * COLUMNS);
    if (mask_tile_form(entry) != MASK_TILE_FULL)
        flash_mask<COLUMNS, TILE_QUERIES>(score, arguments, entry.where, row);
    return changes ? 1 : arguments->factor;
}

/* The largest of a row, of what the threads of a quad hold. */
static __device__ __forceinline__ float flash_quad_maximum(float maximum) {
    maximum = fmaxf(maximum, __shfl_xor_sync(~0u, maximum, 1));
    return fmaxf(maximum, __shfl_xor_sync(~0u, maximum, 2));
}

/* Of a row that has seen nothing: -infinity - -infinity is not a number. */
static __device__ __forceinline__ float flash_shift(float maximum) {
    return maximum == -INFINITY ? 0 : maximum;
}

/* The row's maximum becomes that of what it has seen with `maximum`, which returns as what exponents are to be less;
   correction: what earlier outputs are to be multiplied by, as the sum is here. */
static __device__ __forceinline__ float flash_rise(struct flash_rows *rows, int half, float maximum,
                                                   float *correction) {
    float before = rows->maximum[half];
    maximum = flash_quad_maximum(fmaxf(before, maximum));
    rows->maximum[half] = maximum;
    *correction = exp2_fast(before - flash_shift(maximum));
    rows->sum[half] *= *correction;
    return flash_shift(maximum);
}
/* After that, of both rows. */
static __device__ __forceinline__ void flash_settle(struct flash_rows *rows, const float (&correction)[2]) {
    rows->settled = !rows->careful && __all_sync(~0u, fminf(rows->maximum[0], rows->maximum[1]) > -INFINITY);
    rows->changed = !__all_sync(~0u, correction[0] == 1 && correction[1] == 1);
}

/* Probabilities that do not fit under the maximum that was kept, and sum up to `sum` in a thread: it rises until the
   largest is `unit`, or at most that where it rises by powers of two. By those nothing is rounded; but 8 bits have so
   few that it is worth more to have the largest of them exact, which makes most of its row. */
template <int COLUMNS, bool BY_POWERS>
static __device__ __forceinline__ void flash_outgrow(float (&probability)[COLUMNS / 2], struct flash_rows *rows,
                                                     float unit, float sum, float (&correction)[2]) {
    rows->failed |= !rows->careful && __any_sync(~0u, !(sum < FLASH_LOST));
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float most = unit, before = rows->maximum[half];
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++)
            most = fmaxf(most, fmaxf(probability[4 * block + 2 * half], probability[4 * block + 2 * half + 1]));
        most = flash_quad_maximum(most);
        float rise = __log2f(most / unit), scale = 1;
        if (BY_POWERS) rise = ceilf(rise);
        if (rise > 0) {
            rows->maximum[half] = before + rise;
            scale = exp2_fast(before - rows->maximum[half]);
        }
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++) {
            probability[4 * block + 2 * half] *= scale;
            probability[4 * block + 2 * half + 1] *= scale;
        }
        rows->sum[half] *= scale;
        correction[half] *= scale;
    }
    rows->changed = true;
}

/* The largest of scores times factor joins the rows' maxima, which return in shift; earlier sums are corrected. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_search_rows(const float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                         float factor, float (&shift)[2], float (&correction)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float maximum = score[2 * half];
#pragma unroll
        for (int i = 2 * half; i < COLUMNS / 2; i += 4) maximum = fmaxf(maximum, fmaxf(score[i], score[i + 1]));
        shift[half] = flash_rise(rows, half, maximum * factor, &correction[half]);
    }
}

/* Scores become exp2(factor * score - maximum). KEEPS: a maximum that has been found stays, see struct flash_rows; else
   it is always the largest score so far. */
template <int COLUMNS, bool KEEPS>
static __device__ __forceinline__ void flash_softmax(float (&score)[COLUMNS / 2], struct flash_rows *rows, float factor,
                                                     float (&correction)[2]) {
    float shift[2] = {rows->maximum[0], rows->maximum[1]};
    rows->changed = !KEEPS;
    if (KEEPS) correction[0] = correction[1] = 1;
    if (!KEEPS || !rows->settled) {
        flash_search_rows<COLUMNS>(score, rows, factor, shift, correction);
        if (KEEPS) flash_settle(rows, correction);
    }
    float sum[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < COLUMNS / 2; i++) {
        score[i] = exp2_fast(score[i] * factor - shift[i / 2 % 2]);
        sum[i / 2 % 2] += score[i];
    }
    rows->sum[0] += sum[0];
    rows->sum[1] += sum[1];
    if (KEEPS && __any_sync(~0u, !(sum[0] + sum[1] <= FLASH_OUTGROWN)))
        flash_outgrow<COLUMNS, true>(score, rows, 1, sum[0] + sum[1], correction);
}

/* The first of two walks: exponentials of scores, which stay. search: for the rows' maxima, which stay otherwise. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_exponentials(const float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                          float factor, bool search,
                                                          float (&exponential)[COLUMNS / 2]) {
    float shift[2] = {rows->maximum[0], rows->maximum[1]}, correction[2];
    if (search) {
        flash_search_rows<COLUMNS>(score, rows, factor, shift, correction);
        rows->settled = __all_sync(~0u, fminf(rows->maximum[0], rows->maximum[1]) > -INFINITY);
    }
#pragma unroll
    for (int i = 0; i < COLUMNS / 2; i++) exponential[i] = exp2_fast(score[i] * factor - shift[i / 2 % 2]);
}

/* Adds them to the rows' sums. Where they have grown too large for fp32 they are made again, with a search; sums of
   2^22 tiles fit. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_add_up(const float (&score)[COLUMNS / 2], struct flash_rows *rows,
                                                    float factor, float (&exponential)[COLUMNS / 2]) {
    for (bool again = false;; again = true) {
        float sum[2] = {0, 0};
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++) sum[i / 2 % 2] += exponential[i];
        if (again || __all_sync(~0u, sum[0] + sum[1] <= FLASH_SUM_MAX)) {
            rows->sum[0] += sum[0];
            rows->sum[1] += sum[1];
            return;
        }
        flash_exponentials<COLUMNS>(score, rows, factor, true, exponential);
    }
}

/* The finished log-sum-exp of a thread's rows as what is taken off their scores; 0 where they see nothing, and of rows
   that do not exist. */
static __device__ __forceinline__ void flash_recall(const struct flash_arguments *arguments, struct flash_rows *rows,
                                                    int query, int batch_head) {
    const float *log_sum_exp = arguments->log_sum_exp + (int64_t)batch_head * arguments->queries;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int q = query + 8 * half;
        rows->maximum[half] = flash_shift(q < arguments->queries ? log_sum_exp[q] * (float)M_LOG2E : -INFINITY);
    }
}

/* Scores become clipped probabilities. Forbidden pairs become 0, since clip_low is at most 0. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_clip(float (&score)[COLUMNS / 2], const struct flash_rows *rows,
                                                  float factor, const struct score_options *options) {
    float stretch = options->clip_high - options->clip_low, low = options->clip_low;
#pragma unroll
    for (int i = 0; i < COLUMNS / 2; i++)
        score[i] = __saturatef(stretch * exp2_fast(score[i] * factor - rows->maximum[i / 2 % 2]) + low);
}

/* 0, known only when the sums are: what waits for it comes after the softmax, some of which the compiler would
   otherwise put behind the wait for the product that it is to overlap. (No arithmetic makes a NaN with all bits set.) */
static __device__ __forceinline__ unsigned flash_never(const struct flash_rows *rows) {
    return (__float_as_uint(rows->sum[0]) & __float_as_uint(rows->sum[1])) == ~0u;
}

/* Probabilities as the A operand of the product with the values: the accumulators' order is the operand's. */
template <typename element, int COLUMNS>
static __device__ __forceinline__ void flash_pack(uint32_t (&probability)[COLUMNS / 16][4],
                                                  const float (&score)[COLUMNS / 2]) {
#pragma unroll
    for (int i = 0; i < COLUMNS / 4; i++)
        probability[i / 4][i % 4] = pack_pair(score[2 * i], score[2 * i + 1], element());
}

/* Ends two rows: what their outputs are to be multiplied by; stores log_sum_exp where it was not known. */
template <enum flash_options OPTIONS>
static __device__ __forceinline__ void flash_finish(const struct flash_arguments *arguments,
                                                    const struct flash_rows *rows, struct mask_line line,
                                                    int batch_head, int row, float (&inverse)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int r = row + 8 * half;
        float sum = rows->sum[half];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        inverse[half] = OPTIONS == FLASH_CLIP ? 1 : sum > 0 ? __fdividef(1, sum) : 0;
        if (r >= line.count) continue;
        int64_t at = (int64_t)batch_head * arguments->queries + line.first + r * line.step;
        if (OPTIONS) inverse[half] *= gate_of(&arguments->options, at);
        if (OPTIONS != FLASH_CLIP && threadIdx.x % 4 == 0)
            arguments->log_sum_exp[at] =
                sum > 0 ? (rows->maximum[half] + __log2f(sum)) * (float)M_LN2 : -INFINITY;
    }
}

/* Output into shared memory, as stmatrix takes it from the registers of a product, where the tile's queries lay and in
   chunks like theirs; `to` is the warpgroup's part. */
template <typename element, int HEAD_DIM, int TILE_QUERIES>
static __device__ __forceinline__ void flash_leave(const float (&output)[HEAD_DIM / 2], const float (&inverse)[2],
                                                   char *to) {
    unsigned lane = threadIdx.x % WARP, row = threadIdx.x % WGMMA_THREADS / WARP * 16 + lane % 16;
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++) {
        uint32_t piece[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            piece[i] = pack_pair(output[8 * step + 2 * i] * inverse[i % 2],
                                 output[8 * step + 2 * i + 1] * inverse[i % 2], element());
        store_matrices(to + step / 4 * TILE_QUERIES * CHUNK_BYTES +
                           wgmma_swizzled(row, step % 4 * 32 + lane / 16 * 16),
                       piece[0], piece[1], piece[2], piece[3]);
    }
    fence_for_copy_engine();
    __syncwarp();
}

static __device__ inline int64_t flash_output_at(const struct flash_arguments *arguments, const struct flash_work *work,
                                                 int query) {
    int batch = work->batch_head / arguments->heads, head = work->batch_head % arguments->heads;
    return batch * arguments->output_stride.batch + head * arguments->output_stride.head +
           query * arguments->output_stride.row;
}

/* Output straight from registers, where the queries of the next tile already lie where it would pass. A quad of threads
   holds a row in pieces of two elements of every eight; neighbours exchange half, so that a quad writes 32 bytes. */
template <typename element, int HEAD_DIM>
static __device__ __forceinline__ void flash_store(const struct flash_arguments *arguments,
                                                   const float (&output)[HEAD_DIM / 2], const float (&inverse)[2],
                                                   const struct flash_work *work, int row) {
    int lane = threadIdx.x % 4;
    bool odd = lane & 1;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int query = work->first_query + row + 8 * half;
        element *to = (element *)arguments->output + flash_output_at(arguments, work, query) + (odd ? 8 : 0) +
                      lane / 2 * 4;
#pragma unroll
        for (int pair = 0; pair < HEAD_DIM / 16; pair++) {
            const float *x = &output[8 * pair + 2 * half];
            uint32_t low = pack_pair(x[0] * inverse[half], x[1] * inverse[half], element());
            uint32_t high = pack_pair(x[4] * inverse[half], x[5] * inverse[half], element());
            uint32_t got = __shfl_xor_sync(~0u, odd ? low : high, 1);
            if (query < arguments->queries)
                *(uint2 *)(to + 16 * pair) = odd ? make_uint2(got, high) : make_uint2(low, got);
        }
    }
}

/* Two rows that see nothing. */
template <typename element, int HEAD_DIM>
static __device__ __forceinline__ void flash_store_nothing(const struct flash_arguments *arguments,
                                                           const struct flash_work *work, struct mask_line line,
                                                           int row) {
    for (int half = 0; half < 2; half++) {
        int query = line.first + (row + 8 * half) * line.step;
        if (row + 8 * half >= line.count) return;
        if (threadIdx.x % 4 == 0)
            arguments->log_sum_exp[(int64_t)work->batch_head * arguments->queries + query] =
                first_maximum(&arguments->options, work->batch_head % arguments->heads) * (float)M_LN2;
        element *to = (element *)arguments->output + flash_output_at(arguments, work, query);
        for (int i = threadIdx.x % 4 * 8; i < HEAD_DIM; i += 32) *(uint4 *)(to + i) = make_uint4(0, 0, 0, 0);
    }
}
#endif

#endif
