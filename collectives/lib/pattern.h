/* pattern.h: data whose collective result is known exactly, on the host and on a device alike.

   Element i of rank r's input is a small whole number that depends on (seed, r, i). Its range follows from the number
   format and the number of ranks, so that every partial sum or product, in whatever order a library forms them, is
   a whole number that the format holds: the result is then exact and is compared with tolerance 0, every element on
   every rank. The one exception is an average of floating numbers over ranks that are no power of two (1/n rounds).

   sum, avg   -range .. range with range = largest / ranks; with more ranks than `largest` (fp8, bf16), each element is
              nonzero on every stride-th rank only. avg of integers: 0 .. range, since libraries differ in how they
              round a negative quotient.
   prod       +-1 or +-2, the 2 on at most six ranks of an element, so that |product| <= 64.
   min, max, and collectives that only move data: the whole range of whole numbers that the format holds. */
#ifndef COLLECTIVES_PATTERN_H
#define COLLECTIVES_PATTERN_H

#include "bench/bench.h"
#include "bench/random.h"

#ifdef __cplusplus
extern "C" {
#endif

enum operation { OPERATION_SUM, OPERATION_PROD, OPERATION_MIN, OPERATION_MAX, OPERATION_AVG, OPERATION_MOVE };
extern const char *const operation_names[OPERATION_MOVE + 1]; /* sum .. avg, ended by NULL: fit for axis.words */

struct pattern {
    uint64_t seed;
    enum dtype dtype;
    enum operation operation;
    int ranks;
    bool zeros;       /* all values 0 */
    int64_t lowest;   /* values are lowest .. lowest + span - 1 */
    uint64_t span;    /* at most 2^31 */
    int stride;       /* see above; 1: every rank's value may be nonzero (prod: may be 2) */
    double scale;     /* the largest magnitude of a result: errors are relative to it */
    double tolerance; /* 0 where the result is exact */
};

/* How an output is put together from the ranks' inputs: it is a row of blocks of `block` elements; element k of block b
   is the reduction over all ranks of their element offset + k, or, where not reduced, that element of rank
   source + b. Examples for rank q of n, S elements in all: all-reduce {true, 0, S, 0}; reduce-scatter
   {true, 0, S/n, q S/n}; all-gather {false, 0, S/n, 0}; all-to-all {false, 0, S/n, q S/n}; broadcast
   {false, root, S, 0}. */
struct origin {
    bool reduced;
    int source;
    size_t block, offset;
};

struct pattern pattern_make(const struct run *run, enum dtype dtype, enum operation operation, int ranks);
/* Elements 0 .. count-1 of a rank's input into an array on the host, by `threads` threads. */
void pattern_fill(const struct pattern *pattern, int rank, void *array, size_t count, int threads);
/* The largest |array[j] - expected| / scale over 0 <= j < count, an array on the host; NaN counts as infinity. */
double pattern_error(const struct pattern *pattern, const struct origin *origin, const void *array, size_t count,
                     int threads);

RANDOM_INLINE double pattern_value(const struct pattern *pattern, int rank, uint64_t index) {
    if (pattern->zeros) return 0;
    uint64_t bits = random_bits(pattern->seed, (uint64_t)rank, index);
    bool turn = pattern->stride == 1 || ((uint64_t)rank + index) % (uint64_t)pattern->stride == 0;
    if (pattern->operation == OPERATION_PROD) {
        double magnitude = turn && (bits & 1) ? 2 : 1;
        return pattern->lowest < 0 && (bits & 2) ? -magnitude : magnitude;
    }
    return turn ? (double)(pattern->lowest + (int64_t)((bits >> 32) * pattern->span >> 32)) : 0;
}

RANDOM_INLINE double pattern_reduced(const struct pattern *pattern, uint64_t index) {
    double result = pattern_value(pattern, 0, index);
    for (int rank = 1; rank < pattern->ranks; rank++) {
        double value = pattern_value(pattern, rank, index);
        switch (pattern->operation) {
        case OPERATION_PROD: result *= value; break;
        case OPERATION_MIN: result = value < result ? value : result; break;
        case OPERATION_MAX: result = value > result ? value : result; break;
        default: result += value; break;
        }
    }
    if (pattern->operation != OPERATION_AVG) return result;
    bool whole = pattern->dtype == DTYPE_int8 || pattern->dtype == DTYPE_uint8 || pattern->dtype == DTYPE_int32;
    return whole ? floor(result / pattern->ranks) : result / pattern->ranks;
}

RANDOM_INLINE double pattern_expected(const struct pattern *pattern, const struct origin *origin, uint64_t element) {
    uint64_t block = element / origin->block, index = origin->offset + element % origin->block;
    return origin->reduced ? pattern_reduced(pattern, index)
                           : pattern_value(pattern, origin->source + (int)block, index);
}

#ifdef __cplusplus
}
#endif
#endif
