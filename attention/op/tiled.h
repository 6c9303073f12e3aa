/* tiled.h: a tile of queries of the tiled operator on the host, and the two products of a tile: what softmax_tiled.c
   and tiled_products.c share. */
#ifndef ATTENTION_TILED_H
#define ATTENTION_TILED_H

#include "attention.h"
#include "vector.h"

enum { QUERY_VECTORS = 3, QUERY_TILE = QUERY_VECTORS * LANES, KEY_TILE = 128 }; /* QUERY_VECTORS is TILE_VECTORS */

/* How the operands are multiplied: fp32 in place; bf16 widened to fp32, a tile of keys at a time; bf16 in pairs, by the
   processor's dot products of two. */
enum tiled_operands { TILED_FP32, TILED_WIDENED, TILED_PAIRS };

struct tile {
    enum tiled_operands operands;
    vector_float *query;  /* [head_dim][QUERY_VECTORS]; TILED_PAIRS: [head_dim / 2][QUERY_VECTORS] of pairs */
    vector_float *output; /* [head_dim][QUERY_VECTORS], not yet divided by the sum */
    vector_float *score;  /* [KEY_TILE][QUERY_VECTORS], then probabilities */
    float *widened;       /* [KEY_TILE][head_dim] of keys or values; TILED_PAIRS: of pairs of values */
    float factor;         /* by which scores are still to be multiplied, to be in units of log 2; above 0 */
    vector_float maximum[QUERY_VECTORS], sum[QUERY_VECTORS], rescale[QUERY_VECTORS];
    int64_t batch, head, kv_head, query_begin, query_end;
};

/* TILED_PAIRS where the processor can and pairs fit. */
enum tiled_operands tiled_operands(const struct attention_problem *problem);
/* Packs the tile's queries; sets factor. Rows beyond query_end are 0. */
void tiled_load_queries(struct tile *tile, const struct attention_problem *problem, const void *query);
/* score[k] of keys key_begin .. + keys - 1, keys <= KEY_TILE. */
void tiled_multiply_keys(struct tile *tile, const struct attention_problem *problem, const void *key,
                         int64_t key_begin, int64_t keys);
/* output = output * rescale + value^T probability. */
void tiled_multiply_values(struct tile *tile, const struct attention_problem *problem, const void *value,
                           int64_t key_begin, int64_t keys);

#endif
