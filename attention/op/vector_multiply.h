/* vector_multiply.h: the products of the tiled operators on the host. One vector holds LANES tokens of a tile, a tile is
   TILE_VECTORS vectors wide; what belongs to a tile is kept transposed, [row][token], so that every product is one loop,
   accumulator[row][vector] += splat(operand[row]) * vector, with the rows of the other operand read in place. */
#ifndef ATTENTION_VECTOR_MULTIPLY_H
#define ATTENTION_VECTOR_MULTIPLY_H

#include "vector.h"

enum { TILE_VECTORS = 3 };

/* accumulator[row][v] += sum over step of splat(scalar[row * row_stride + step * step_stride]) * vector[step][v] for
   `rows` rows, after rescaling what accumulator holds (rescale NULL: it holds nothing yet). */
static inline __attribute__((always_inline)) void multiply_rows(vector_float *accumulator, const vector_float *rescale,
                                                                const float *scalar, int64_t row_stride,
                                                                int64_t step_stride, const vector_float *vector,
                                                                int64_t steps, int rows) {
    vector_float sum[REGISTER_ROWS][TILE_VECTORS];
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < TILE_VECTORS; v++)
            sum[row][v] = rescale ? accumulator[row * TILE_VECTORS + v] * rescale[v] : vector_splat(0);
    for (int64_t step = 0; step < steps; step++) {
        vector_float x[TILE_VECTORS];
        for (int v = 0; v < TILE_VECTORS; v++) x[v] = vector[step * TILE_VECTORS + v];
        for (int row = 0; row < rows; row++) {
            vector_float factor = vector_splat(scalar[row * row_stride + step * step_stride]);
            for (int v = 0; v < TILE_VECTORS; v++) sum[row][v] += factor * x[v];
        }
    }
    for (int row = 0; row < rows; row++)
        for (int v = 0; v < TILE_VECTORS; v++) accumulator[row * TILE_VECTORS + v] = sum[row][v];
}

/* All rows, as many at a time as the registers hold. step_stride 1 for tokens, row_stride 1 for dimensions: known here,
   so that the compiler sees it. */

/* result[token] = rows of `token` times the tile's packed vectors [head_dim], for tokens 0 .. tokens - 1. */
static inline void multiply_tokens(vector_float *result, const vector_float *packed, const float *token,
                                   int64_t token_stride, int64_t tokens, int64_t head_dim) {
    int64_t row = 0;
    for (; row + REGISTER_ROWS <= tokens; row += REGISTER_ROWS)
        multiply_rows(result + row * TILE_VECTORS, NULL, token + row * token_stride, token_stride, 1, packed, head_dim,
                      REGISTER_ROWS);
    for (; row < tokens; row++)
        multiply_rows(result + row * TILE_VECTORS, NULL, token + row * token_stride, token_stride, 1, packed, head_dim,
                      1);
}

/* sum[dimension] = rescale * sum[dimension] + the tokens' rows, weighted by weight[token]. */
static inline void multiply_dimensions(vector_float *sum, const vector_float *rescale, const vector_float *weight,
                                       const float *token, int64_t token_stride, int64_t tokens, int64_t head_dim) {
    int64_t row = 0;
    for (; row + REGISTER_ROWS <= head_dim; row += REGISTER_ROWS)
        multiply_rows(sum + row * TILE_VECTORS, rescale, token + row, 1, token_stride, weight, tokens, REGISTER_ROWS);
    for (; row < head_dim; row++)
        multiply_rows(sum + row * TILE_VECTORS, rescale, token + row, 1, token_stride, weight, tokens, 1);
}

#endif
