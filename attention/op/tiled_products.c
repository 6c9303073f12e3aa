/* tiled_products.c: the two products of a tile on the host, in fp32 or of bf16 operands.

   Scores, probabilities and the output are kept transposed, [key][query] and [head_dim][query], so that both products
   are the loop of vector_multiply.h, with the key's or the value's rows read in place: of fp32 operands nothing but the
   query tile is ever packed.

   bf16: where the processor has dot products of bf16 pairs, a pair is two neighbouring dimensions of a key, read in
   place; values are interleaved two tokens at a time, once a tile of keys, and probabilities are rounded to bf16.
   A matrix unit takes the same pairs (tiled_amx.c).
   Elsewhere a tile of keys or values is widened to fp32 first, one pass over it for QUERY_TILE queries. */
#include <math.h>
#include <string.h>

#include "tiled.h"
#include "vector_multiply.h"

/* Rows of bf16 as fp32, [tokens][head_dim]. */
static void widen(float *restrict to, const uint16_t *restrict from, int64_t stride, int64_t tokens,
                  int64_t head_dim) {
    for (int64_t token = 0; token < tokens; token++)
        for (int64_t d = 0; d < head_dim; d++)
            to[token * head_dim + d] = vector_from_bf16(from[token * stride + d]);
}

/* Two tokens of values beside each other in 32 bits, [tokens / 2][head_dim]; a missing last one is 0. */
static void interleave(float *restrict to, const uint16_t *restrict from, int64_t stride, int64_t tokens,
                       int64_t head_dim) {
    uint32_t *pair = (uint32_t *)to;
    int64_t token = 0;
    for (; token + 1 < tokens; token += 2)
        for (int64_t d = 0; d < head_dim; d++)
            pair[token / 2 * head_dim + d] = (uint32_t)from[token * stride + d] |
                                             (uint32_t)from[(token + 1) * stride + d] << 16;
    for (int64_t d = 0; d < head_dim && token < tokens; d++)
        pair[token / 2 * head_dim + d] = from[token * stride + d];
}

/* Probabilities of keys 2 i and 2 i + 1 beside each other, in the place of key i. */
static void pair_probabilities(struct tile *tile, int64_t keys) {
#if defined __AVX512BF16__ && defined __AVX512BW__
    const __m512i lanes = _mm512_set_epi32(0x001f000f, 0x001e000e, 0x001d000d, 0x001c000c, 0x001b000b, 0x001a000a,
                                           0x00190009, 0x00180008, 0x00170007, 0x00160006, 0x00150005, 0x00140004,
                                           0x00130003, 0x00120002, 0x00110001, 0x00100000);
    for (int v = 0; v < QUERY_VECTORS && keys % 2; v++) tile->score[keys * QUERY_VECTORS + v] = vector_splat(0);
    for (int64_t key = 0; key < keys; key += 2)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            __m512 even = (__m512)tile->score[key * QUERY_VECTORS + v];
            __m512 odd = (__m512)tile->score[(key + 1) * QUERY_VECTORS + v];
            __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even); /* 16 of even, then 16 of odd */
            tile->score[key / 2 * QUERY_VECTORS + v] = (vector_float)_mm512_permutexvar_epi16(lanes, both);
        }
#else
    (void)tile, (void)keys;
#endif
}

enum tiled_operands tiled_operands(const struct attention_problem *problem) {
    if (problem->dtype == DTYPE_fp32) return TILED_FP32;
    bool even = problem->head_dim % 2 == 0 && problem->key.row % 2 == 0;
    return VECTOR_PAIRS && even ? TILED_PAIRS : TILED_WIDENED;
}

static int64_t key_tiles(const struct attention_problem *problem) {
    return (problem->keys + KEY_TILE - 1) / KEY_TILE;
}

int64_t tiled_transposed_size(const struct attention_problem *problem) {
    return key_tiles(problem) * problem->head_dim * KEY_TILE;
}

/* Of one tile of keys: to[head_dim][KEY_TILE], zeros beyond `keys`. */
static void transpose_tile(uint16_t *to, const uint16_t *from, int64_t stride, int64_t keys, int64_t head_dim) {
    enum { BLOCK = 32 }; /* dimensions whose rows of `to` the first cache holds beside what is read */
    if (keys < KEY_TILE) memset(to, 0, (size_t)(head_dim * KEY_TILE) * sizeof(*to));
    for (int64_t block = 0; block < head_dim; block += BLOCK)
        for (int64_t key = 0; key < keys && key < KEY_TILE; key++)
            for (int64_t d = block; d < block + BLOCK && d < head_dim; d++)
                to[d * KEY_TILE + key] = from[key * stride + d];
}

void tiled_transpose(const struct attention_problem *problem, const void *value, uint16_t *transposed) {
    const struct attention_problem *p = problem;
    int64_t tiles = key_tiles(p);
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t i = 0; i < p->batch * p->kv_heads * tiles; i++) {
        int64_t head = i / tiles, begin = i % tiles * KEY_TILE;
        const uint16_t *from = (const uint16_t *)value + head / p->kv_heads * p->value.batch +
                               head % p->kv_heads * p->value.head + begin * p->value.row;
        transpose_tile(transposed + i * p->head_dim * KEY_TILE, from, p->value.row, p->keys - begin, p->head_dim);
    }
}

/* fp32 queries take the scale with them; bf16 ones would be rounded once more, so that theirs stays with the scores,
   but for its sign. */
void tiled_load_queries(struct tile *tile, const struct attention_problem *problem, const void *query) {
    const int64_t head_dim = problem->head_dim;
    float scale = problem->scale * (float)M_LOG2E, *packed = (float *)tile->query;
    uint16_t sign = scale < 0 ? 0x8000 : 0;
    int64_t first = tile->batch * problem->query.batch + tile->head * problem->query.head;
    bool in_pairs = tile->operands == TILED_PAIRS || tile->operands == TILED_AMX;
    tile->factor = in_pairs ? fabsf(scale) : 1;
    for (int lane = 0; lane < QUERY_TILE; lane++) {
        int64_t row = tile->query_begin + lane, at = first + row * problem->query.row;
        bool inside = row < tile->query_end;
        for (int64_t d = 0; d < head_dim && tile->operands == TILED_FP32; d++)
            packed[d * QUERY_TILE + lane] = inside ? ((const float *)query)[at + d] * scale : 0;
        for (int64_t d = 0; d < head_dim && tile->operands == TILED_WIDENED; d++)
            packed[d * QUERY_TILE + lane] = inside ? vector_from_bf16(((const uint16_t *)query)[at + d]) * scale : 0;
        for (int64_t d = 0; d < head_dim && in_pairs; d += 2) {
            const uint16_t *element = (const uint16_t *)query + at + d;
            uint32_t pair = inside ? (uint32_t)(element[0] ^ sign) | (uint32_t)(element[1] ^ sign) << 16 : 0;
            memcpy(&packed[d / 2 * QUERY_TILE + lane], &pair, sizeof(pair));
        }
    }
}

void tiled_multiply_keys(struct tile *tile, const struct attention_problem *problem, const void *key,
                         int64_t key_begin, int64_t keys) {
    int64_t stride = problem->key.row, head_dim = problem->head_dim;
    int64_t at = tile->batch * problem->key.batch + tile->kv_head * problem->key.head + key_begin * stride;
    if (tile->operands == TILED_FP32) {
        multiply_tokens_as(tile->score, tile->query, (const float *)key + at, stride, keys, head_dim, false);
    } else if (tile->operands == TILED_WIDENED) {
        widen(tile->widened, (const uint16_t *)key + at, stride, keys, head_dim);
        multiply_tokens_as(tile->score, tile->query, tile->widened, head_dim, keys, head_dim, false);
    } else if (tile->operands == TILED_AMX) {
        tiled_amx_keys(tile, (const uint16_t *)key + at, stride, keys, head_dim);
    } else {
        multiply_tokens_as(tile->score, tile->query, (const float *)((const uint16_t *)key + at), stride / 2, keys,
                           head_dim / 2, true);
    }
}

void tiled_multiply_values(struct tile *tile, const struct attention_problem *problem, const void *value,
                           int64_t key_begin, int64_t keys) {
    int64_t stride = problem->value.row, head_dim = problem->head_dim;
    int64_t at = tile->batch * problem->value.batch + tile->kv_head * problem->value.head + key_begin * stride;
    if (tile->operands == TILED_FP32) {
        multiply_dimensions_as(tile->output, tile->rescale, tile->score, (const float *)value + at, stride, keys,
                               head_dim, false);
    } else if (tile->operands == TILED_WIDENED) {
        widen(tile->widened, (const uint16_t *)value + at, stride, keys, head_dim);
        multiply_dimensions_as(tile->output, tile->rescale, tile->score, tile->widened, head_dim, keys, head_dim,
                               false);
    } else if (tile->operands == TILED_AMX) {
        int64_t padded = (keys + TILED_AMX_DEPTH - 1) / TILED_AMX_DEPTH * TILED_AMX_DEPTH;
        for (int64_t i = keys * QUERY_VECTORS; i < padded * QUERY_VECTORS; i++) tile->score[i] = vector_splat(0);
        pair_probabilities(tile, padded);
        tiled_amx_values(tile, tile->transposed + key_begin / KEY_TILE * head_dim * KEY_TILE + key_begin % KEY_TILE,
                         padded, head_dim);
    } else {
        interleave(tile->widened, (const uint16_t *)value + at, stride, keys, head_dim);
        pair_probabilities(tile, keys);
        multiply_dimensions_as(tile->output, tile->rescale, tile->score, tile->widened, head_dim, (keys + 1) / 2,
                               head_dim, true);
    }
}
