/* tiled.h: a tile of queries of the tiled operator on the host, and the two products of a tile: what softmax_tiled.c
   and tiled_products.c share. */
#ifndef ATTENTION_TILED_H
#define ATTENTION_TILED_H

#include "attention.h"
#include "vector.h"

enum { QUERY_VECTORS = 3, QUERY_TILE = QUERY_VECTORS * LANES, KEY_TILE = 128 }; /* QUERY_VECTORS is TILE_VECTORS */

/* How the operands are multiplied: fp32 in place; bf16 widened to fp32, a tile of keys at a time; bf16 in pairs, by the
   processor's dot products of two; the same by its matrix unit. */
enum tiled_operands { TILED_FP32, TILED_WIDENED, TILED_PAIRS, TILED_AMX };
/* Elements of a row of a tile register. Parts of a tile of keys begin at a multiple of it, and end at one or with the
   sequence; head_dim must be one. */
enum { TILED_AMX_DEPTH = 32 };

struct tile {
    enum tiled_operands operands;
    vector_float *query;  /* [head_dim][QUERY_VECTORS]; pairs, AMX: [head_dim / 2][QUERY_VECTORS] of pairs */
    vector_float *output; /* [head_dim][QUERY_VECTORS], not yet divided by the sum */
    vector_float *score;  /* [KEY_TILE][QUERY_VECTORS], then probabilities */
    float *widened;       /* [KEY_TILE][head_dim] of keys or values; TILED_PAIRS: of pairs of values */
    const uint16_t *transposed; /* TILED_AMX: values of the head, [tiles of keys][head_dim][KEY_TILE], 0 at the end */
    float factor;         /* by which scores are still to be multiplied, to be in units of log 2; above 0 */
    vector_float maximum[QUERY_VECTORS], sum[QUERY_VECTORS], rescale[QUERY_VECTORS];
    int64_t batch, head, kv_head, query_begin, query_end;
};

/* Without the matrix unit: TILED_PAIRS where the processor can and pairs fit. */
enum tiled_operands tiled_operands(const struct attention_problem *problem);
/* TILED_AMX: elements of the transposed values of one head of keys, and those of all heads into their places. */
int64_t tiled_transposed_size(const struct attention_problem *problem);
void tiled_transpose(const struct attention_problem *problem, const void *value, uint16_t *transposed);
/* Packs the tile's queries; sets factor. Rows beyond query_end are 0. */
void tiled_load_queries(struct tile *tile, const struct attention_problem *problem, const void *query);
/* score[k] of keys key_begin .. + keys - 1, keys <= KEY_TILE. */
void tiled_multiply_keys(struct tile *tile, const struct attention_problem *problem, const void *key,
                         int64_t key_begin, int64_t keys);
/* output = output * rescale + value^T probability. */
void tiled_multiply_values(struct tile *tile, const struct attention_problem *problem, const void *value,
                           int64_t key_begin, int64_t keys);

/* tiled_amx.c. missing: why this processor, system or build has no such matrix unit, in static storage; NULL: it has.
   begin and end: around the products of a thread. keys: score = keys in place times the packed queries. values:
   output = output * rescale + value^T probability, of `keys` keys, a multiple of TILED_AMX_DEPTH, with the
   probabilities in pairs; value: row d is KEY_TILE apart. */
const char *tiled_amx_missing(void);
void tiled_amx_begin(void);
void tiled_amx_end(void);
void tiled_amx_keys(struct tile *tile, const uint16_t *key, int64_t stride, int64_t keys, int64_t head_dim);
void tiled_amx_values(struct tile *tile, const uint16_t *value, int64_t keys, int64_t head_dim);

#endif
