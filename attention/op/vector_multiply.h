/* vector_multiply.h: the products of the tiled operators on the host. One vector holds LANES tokens of a tile, a tile
   is TILE_VECTORS vectors wide; what belongs to it is kept transposed, [row][token], so that every product is one loop,
   accumulator[row][vector] += splat(operand[row]) * vector, with the rows of the other operand read in place.

   Where the processor has dot products of bf16 pairs (VECTOR_PAIRS), an element may be a pair of bf16 in the 32 bits of
   a float: twice the products an instruction, sums in fp32. */
#ifndef ATTENTION_VECTOR_MULTIPLY_H
#define ATTENTION_VECTOR_MULTIPLY_H

#include <stdbool.h>

#include "vector.h"
#if defined __AVX512BF16__ && defined __AVX512BW__
#include <immintrin.h>
enum { VECTOR_PAIRS = 1 };
#else
enum { VECTOR_PAIRS = 0 };
#endif

enum { TILE_VECTORS = 3 };

/* sum + splat(*scalar) * x, of numbers or of pairs. */
static inline __attribute__((always_inline)) vector_float multiply_add(vector_float sum, const float *scalar,
                                                                       vector_float x, bool pairs) {
#if defined __AVX512BF16__ && defined __AVX512BW__
    if (pairs) {
        int32_t pair;
        memcpy(&pair, scalar, sizeof(pair));
        return (vector_float)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)x);
    }
#endif
    (void)pairs;
    return sum + vector_splat(*scalar) * x;
}

/* accumulator[row][v] += sum over step of splat(scalar[row * row_stride + step * step_stride]) * vector[step][v] for
   `rows` rows, after rescaling what accumulator holds (rescale NULL: it holds nothing yet). What is added begins at 0:
   sums of sums keep the rounding errors of 16384 keys at a fifth of those of one long sum. */
static inline __attribute__((always_inline)) void multiply_rows(vector_float *accumulator, const vector_float *rescale,
                                                                const float *scalar, int64_t row_stride,
                                                                int64_t step_stride, const vector_float *vector,
                                                                int64_t steps, int rows, bool pairs) {
    vector_float sum[REGISTER_ROWS][TILE_VECTORS];
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < TILE_VECTORS; v++)
            sum[row][v] = vector_splat(0);
    for (int64_t step = 0; step < steps; step++) {
        vector_float x[TILE_VECTORS];
        for (int v = 0; v < TILE_VECTORS; v++) x[v] = vector[step * TILE_VECTORS + v];
        for (int row = 0; row < rows; row++)
            for (int v = 0; v < TILE_VECTORS; v++)
                sum[row][v] = multiply_add(sum[row][v], &scalar[row * row_stride + step * step_stride], x[v], pairs);
    }
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            vector_float *to = &accumulator[row * TILE_VECTORS + v];
            *to = rescale ? *to * rescale[v] + sum[row][v] : sum[row][v];
        }
}

/* All rows, as many at a time as the registers hold. step_stride 1 for tokens, row_stride 1 for dimensions: known here,
   so that the compiler sees it. */

/* result[token] = rows of `token` times the tile's packed vectors, `steps` numbers or pairs, for tokens 0 ..
   tokens - 1. Pairs: token_stride counts pairs. */
static inline __attribute__((always_inline)) void multiply_tokens_as(vector_float *result, const vector_float *packed,
                                                                     const float *token, int64_t token_stride,
                                                                     int64_t tokens, int64_t steps, bool pairs) {
    int64_t row = 0;
    for (; row + REGISTER_ROWS <= tokens; row += REGISTER_ROWS)
        multiply_rows(result + row * TILE_VECTORS, NULL, token + row * token_stride, token_stride, 1, packed, steps,
                      REGISTER_ROWS, pairs);
    for (; row < tokens; row++)
        multiply_rows(result + row * TILE_VECTORS, NULL, token + row * token_stride, token_stride, 1, packed, steps, 1,
                      pairs);
}
static inline void multiply_tokens(vector_float *result, const vector_float *packed, const float *token,
                                   int64_t token_stride, int64_t tokens, int64_t head_dim) {
    multiply_tokens_as(result, packed, token, token_stride, tokens, head_dim, false);
}

/* sum[dimension] = rescale * sum[dimension] + the tokens' rows, weighted by weight[token]; `steps` tokens or pairs of
   tokens. */
static inline __attribute__((always_inline)) void multiply_dimensions_as(vector_float *sum, const vector_float *rescale,
                                                                         const vector_float *weight, const float *token,
                                                                         int64_t token_stride, int64_t steps,
                                                                         int64_t head_dim, bool pairs) {
    int64_t row = 0;
    for (; row + REGISTER_ROWS <= head_dim; row += REGISTER_ROWS)
        multiply_rows(sum + row * TILE_VECTORS, rescale, token + row, 1, token_stride, weight, steps, REGISTER_ROWS,
                      pairs);
    for (; row < head_dim; row++)
        multiply_rows(sum + row * TILE_VECTORS, rescale, token + row, 1, token_stride, weight, steps, 1, pairs);
}
static inline void multiply_dimensions(vector_float *sum, const vector_float *rescale, const vector_float *weight,
                                       const float *token, int64_t token_stride, int64_t tokens, int64_t head_dim) {
    multiply_dimensions_as(sum, rescale, weight, token, token_stride, tokens, head_dim, false);
}

#endif
