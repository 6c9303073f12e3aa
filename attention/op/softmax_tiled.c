/* softmax_tiled.c: softmax attention on the host in tiles that stay in the caches: memory linear in the length.

   The online softmax (Milakov and Gimelshein 2018, as FlashAttention uses it): for a tile of queries, tile after tile
   of keys gives scores, a running maximum m and sum of exp(score - m), and an output that is rescaled when m grows.

   One vector holds LANES queries, a query tile is three vectors; scores, probabilities and the output are transposed,
   [key][query] and [head_dim][query], for the products (tiled_products.c), and so that maximum, sum and exponential run
   down the keys, lane by lane: no sum across a vector anywhere. Scores are in units of log 2, so that the exponential
   is 2^x.

   Floor: 4 * area * head_dim FLOP over the FMA rate of the cores. On top come about 17 vector operations a vector of
   scores for the softmax, against 4 * head_dim / 2 multiply-adds: 1/8 as many at head_dim 64, which the other ports
   of the processor take in part.

   The mask is a plan of tiles (mask/tiles.h). A tile of keys that every query of the tile sees is not masked; of one
   with a range or bits, only the keys between the first and the last that any query sees are multiplied.

   tiled_amx is this operator with the products on the processor's matrix unit. Its parts of a tile of keys are widened to
   whole tile registers; what that adds is masked or 0.

   Options: a sink is where maximum and sum begin; a clipped softmax walks the keys twice, because what is clipped is
   the finished probability. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "attention/mask/tiles.h"
#include "softmax_tiled_backward.h"
#include "tiled.h"

/* Keys that are multiplied at once: part of an entry of the plan. */
struct part {
    struct mask_tile entry;
    int64_t key_begin; /* of the sequence */
    int first;         /* of the tile */
    int64_t keys;
};

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static size_t scratch_vectors(const struct attention_problem *problem, enum tiled_operands operands) {
    bool in_place = operands == TILED_FP32 || operands == TILED_AMX;
    size_t widened = in_place ? 0 : (size_t)(KEY_TILE * problem->head_dim);
    return (size_t)(2 * problem->head_dim + KEY_TILE) * QUERY_VECTORS + (widened + LANES - 1) / LANES;
}

/* Lanes of a range: which keys of the part each row sees. */
static void mask_range(struct tile *tile, const struct mask_tile_range *range, const struct part *part) {
    vector_int begin[QUERY_VECTORS], end[QUERY_VECTORS];
    for (int row = 0; row < QUERY_TILE; row++) {
        bool inside = row >= range->row_begin && row < range->row_end;
        begin[row / LANES][row % LANES] = range->low + range->low_slope * row - part->first;
        end[row / LANES][row % LANES] = inside ? range->high + range->high_slope * row - part->first : 0;
    }
    for (int64_t key = 0; key < part->keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_int here = (vector_int){0} + (int32_t)key, seen = (here >= begin[v]) & (here < end[v]);
            vector_float *score = &tile->score[key * QUERY_VECTORS + v];
            *score = vector_select(seen, *score, vector_splat(-INFINITY));
        }
}

static void mask_bits(struct tile *tile, const uint32_t *bits, const struct part *part) {
    vector_int words[QUERY_VECTORS] = {{0}};
    for (int64_t i = 0; i < part->keys; i++) {
        int key = part->first + (int)i;
        for (int row = 0; row < QUERY_TILE && (i == 0 || key % 32 == 0); row++)
            words[row / LANES][row % LANES] = (int32_t)bits[row * (KEY_TILE / 32) + key / 32];
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_int seen = (words[v] << (31 - key % 32)) < 0;
            vector_float *score = &tile->score[i * QUERY_VECTORS + v];
            *score = vector_select(seen, *score, vector_splat(-INFINITY));
        }
    }
}

/* tanh by the exponential of -2 |x|, whose error near 0 is absolute, as that of a score may be. */
static vector_float vector_tanh(vector_float x) {
    vector_float size = vector_larger(x, -x), small = vector_exp2(size * (float)(-2 * M_LOG2E));
    vector_float result = (1 - small) / (1 + small);
    return vector_select(x < 0, -result, result);
}

/* Soft cap and ALiBi; then the scores need no factor any more. */
static void change_scores(struct tile *tile, const struct attention_problem *problem, const struct part *part) {
    const struct attention_options *options = &problem->options;
    float cap = options->soft_cap * (float)M_LOG2E, inverse = cap > 0 ? 1 / cap : 0;
    float slope = options->alibi ? attention_alibi_slope(tile->head, problem->heads) * (float)M_LOG2E : 0;
    int64_t position = tile->query_begin + problem->keys - problem->queries - part->key_begin;
    for (int64_t key = 0; key < part->keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_float score = tile->score[key * QUERY_VECTORS + v] * tile->factor, distance;
            if (cap > 0) score = vector_tanh(score * inverse) * cap;
            for (int lane = 0; lane < LANES; lane++) distance[lane] = (float)(position + v * LANES + lane - key);
            tile->score[key * QUERY_VECTORS + v] = score - vector_larger(distance, -distance) * slope;
        }
}

/* The scores of a part, masked; returns by what they are still to be multiplied. */
static float find_scores(struct tile *tile, const struct attention_problem *problem, const struct mask_tiles *tiles,
                         const void *key, const struct part *part) {
    float factor = tile->factor;
    uint32_t index = mask_tile_index(part->entry);
    tiled_multiply_keys(tile, problem, key, part->key_begin, part->keys);
    if (problem->options.soft_cap > 0 || problem->options.alibi) {
        change_scores(tile, problem, part);
        factor = 1;
    }
    if (mask_tile_form(part->entry) == MASK_TILE_RANGE) mask_range(tile, mask_tiles_range(tiles) + index, part);
    if (mask_tile_form(part->entry) == MASK_TILE_BITS)
        mask_bits(tile, mask_tiles_bits(tiles) + (size_t)index * QUERY_TILE * (KEY_TILE / 32), part);
    return factor;
}

/* Scores become probabilities, up to the sum; maximum, sum and rescale move on. */
static void soften(struct tile *tile, int64_t keys, float factor) {
    vector_float maximum[QUERY_VECTORS], shift[QUERY_VECTORS], sum[QUERY_VECTORS];
    for (int v = 0; v < QUERY_VECTORS; v++) maximum[v] = vector_splat(-INFINITY);
    for (int64_t key = 0; key < keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++)
            maximum[v] = vector_larger(maximum[v], tile->score[key * QUERY_VECTORS + v]);
    for (int v = 0; v < QUERY_VECTORS; v++) {
        maximum[v] = vector_larger(tile->maximum[v], maximum[v] * factor);
        /* a query that has seen nothing yet has no maximum to subtract: -infinity - -infinity would be NaN */
        shift[v] = vector_select(maximum[v] == -INFINITY, vector_splat(0), maximum[v]);
        /* exactly 1 where the maximum stays: 2^0 is 1 + 2^-23 here, and a thousand tiles would make 10^-4 of it */
        tile->rescale[v] = vector_select(tile->maximum[v] == maximum[v], vector_splat(1),
                                         vector_exp2(tile->maximum[v] - shift[v]));
        tile->maximum[v] = maximum[v];
        sum[v] = vector_splat(0);
    }
    for (int64_t key = 0; key < keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_float probability = vector_exp2(tile->score[key * QUERY_VECTORS + v] * factor - shift[v]);
            tile->score[key * QUERY_VECTORS + v] = probability;
            sum[v] += probability;
        }
    for (int v = 0; v < QUERY_VECTORS; v++) tile->sum[v] = tile->sum[v] * tile->rescale[v] + sum[v];
}

/* Scores become clipped probabilities; `shift` is the finished log_sum_exp in units of log 2. */
static void clip(struct tile *tile, int64_t keys, float factor, const vector_float *shift, float low, float high) {
    for (int64_t key = 0; key < keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_float probability = vector_exp2(tile->score[key * QUERY_VECTORS + v] * factor - shift[v]);
            probability = vector_larger(probability * (high - low) + low, vector_splat(0));
            tile->score[key * QUERY_VECTORS + v] = -vector_larger(-probability, vector_splat(-1));
        }
}

static vector_float vector_log2(vector_float x) {
    for (int lane = 0; lane < LANES; lane++) x[lane] = log2f(x[lane]);
    return x;
}

static void begin_tile(struct tile *tile, const struct attention_problem *problem, const float *sink) {
    float first = sink ? sink[tile->head] * (float)M_LOG2E : -INFINITY;
    for (int64_t i = 0; i < problem->head_dim * QUERY_VECTORS; i++) tile->output[i] = vector_splat(0);
    for (int v = 0; v < QUERY_VECTORS; v++) {
        tile->maximum[v] = vector_splat(first);
        tile->sum[v] = vector_splat(first == -INFINITY ? 0 : 1);
    }
}

static void store_outputs(const struct tile *tile, const struct attention_problem *problem,
                          const struct attention_buffers *buffers) {
    int64_t first = tile->batch * problem->output.batch + tile->head * problem->output.head;
    int64_t rows = (tile->batch * problem->heads + tile->head) * problem->queries;
    const float *packed = (const float *)tile->output;
    for (int64_t row = tile->query_begin; row < tile->query_end; row++) {
        int lane = (int)(row - tile->query_begin);
        float sum = tile->sum[lane / LANES][lane % LANES], maximum = tile->maximum[lane / LANES][lane % LANES];
        float factor = maximum == -INFINITY ? 0 : problem->options.clip_high > 0 ? 1 : 1 / sum;
        if (problem->options.gate) factor /= 1 + expf(-buffers->gate[rows + row]);
        int64_t at = first + row * problem->output.row;
        for (int64_t d = 0; d < problem->head_dim && problem->dtype == DTYPE_fp32; d++)
            ((float *)buffers->output)[at + d] = packed[d * QUERY_TILE + lane] * factor;
        for (int64_t d = 0; d < problem->head_dim && problem->dtype == DTYPE_bf16; d++)
            ((uint16_t *)buffers->output)[at + d] = vector_to_bf16(packed[d * QUERY_TILE + lane] * factor);
        buffers->log_sum_exp[rows + row] = maximum == -INFINITY ? -INFINITY : (maximum + log2f(sum)) * (float)M_LN2;
    }
}

static struct part part_of(const struct tile *tile, const struct mask_tiles *tiles, int32_t i) {
    struct mask_tile entry = mask_tiles_entry(tiles)[i];
    struct mask_range span = mask_tile_span(tiles, entry);
    if (tile->operands == TILED_AMX) {
        span.begin = span.begin / TILED_AMX_DEPTH * TILED_AMX_DEPTH;
        span.end = (span.end + TILED_AMX_DEPTH - 1) / TILED_AMX_DEPTH * TILED_AMX_DEPTH;
        span.end = least(span.end, tiles->keys - (int64_t)entry.tile * KEY_TILE);
    }
    return (struct part){entry, entry.tile * KEY_TILE + span.begin, (int)span.begin, span.end - span.begin};
}

static void attend(struct tile *tile, const struct attention_problem *problem, const struct mask_tiles *tiles,
                   const struct attention_buffers *buffers) {
    int64_t line = mask_head(tiles->heads, tile->head, problem->heads) * tiles->lines + tile->query_begin / QUERY_TILE;
    int32_t begin = mask_tiles_begin(tiles)[line], end = mask_tiles_begin(tiles)[line + 1];
    bool clipped = problem->options.clip_high > 0;
    vector_float shift[QUERY_VECTORS];
    if (tile->operands == TILED_AMX) tiled_amx_begin();
    tiled_load_queries(tile, problem, buffers->query);
    begin_tile(tile, problem, problem->options.sink ? buffers->sink : NULL);
    for (int32_t i = begin; i < end; i++) {
        struct part part = part_of(tile, tiles, i);
        soften(tile, part.keys, find_scores(tile, problem, tiles, buffers->key, &part));
        if (!clipped) tiled_multiply_values(tile, problem, buffers->value, part.key_begin, part.keys);
    }
    for (int v = 0; v < QUERY_VECTORS && clipped; v++) {
        shift[v] = vector_select(tile->maximum[v] == -INFINITY, vector_splat(0),
                                 tile->maximum[v] + vector_log2(tile->sum[v]));
        tile->rescale[v] = vector_splat(1);
    }
    for (int32_t i = begin; i < end && clipped; i++) {
        struct part part = part_of(tile, tiles, i);
        float factor = find_scores(tile, problem, tiles, buffers->key, &part);
        clip(tile, part.keys, factor, shift, problem->options.clip_low, problem->options.clip_high);
        tiled_multiply_values(tile, problem, buffers->value, part.key_begin, part.keys);
    }
    if (tile->operands == TILED_AMX) tiled_amx_end();
    store_outputs(tile, problem, buffers);
}

/* Tiles of a head one after another, so that the cores share its keys and values; the longest first, so that what is
   left over at the end is short. */
static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    const struct tiled_plan *detail = plan->detail;
    const struct mask_tiles *tiles = detail->by_query;
    int64_t lines = tiles->lines, heads = problem->batch * problem->heads;
    size_t vectors = scratch_vectors(problem, detail->operands);
    uint16_t *transposed = (uint16_t *)((vector_float *)buffers->workspace + (size_t)problem->threads * vectors);
    (void)stream, (void)reason;
    if (detail->operands == TILED_AMX) tiled_transpose(problem, buffers->value, transposed);
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t task = 0; task < heads * lines; task++) {
        vector_float *scratch = (vector_float *)buffers->workspace + (size_t)omp_get_thread_num() * vectors;
        int64_t head = task / lines % problem->heads, batch = task / lines / problem->heads;
        int64_t kv_head = head * problem->kv_heads / problem->heads;
        int64_t line = tiles->heads == 1 ? mask_tiles_order(tiles)[task % lines] : lines - 1 - task % lines;
        struct tile tile = {.operands = detail->operands,
                            .query = scratch,
                            .output = scratch + problem->head_dim * QUERY_VECTORS,
                            .score = scratch + 2 * problem->head_dim * QUERY_VECTORS,
                            .widened = (float *)(scratch + (2 * problem->head_dim + KEY_TILE) * QUERY_VECTORS),
                            .transposed = transposed + (batch * problem->kv_heads + kv_head) *
                                                           tiled_transposed_size(problem),
                            .batch = batch,
                            .head = head,
                            .kv_head = kv_head,
                            .query_begin = line * QUERY_TILE,
                            .query_end = least((line + 1) * QUERY_TILE, problem->queries)};
        attend(&tile, problem, tiles, buffers);
    }
    return true;
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_fp32 && problem->dtype != DTYPE_bf16) return "the host computes in fp32 and bf16";
    if (!problem->backward) return NULL;
    if (problem->dtype != DTYPE_fp32) return "the host computes gradients in fp32";
    return attention_no_options(problem);
}

static void release(struct attention_plan *plan) {
    struct tiled_plan *detail = plan->detail;
    if (!detail) return;
    free(detail->by_query);
    free(detail->by_key);
    free(detail);
    plan->detail = NULL;
}

static bool prepare_as(const struct attention_problem *problem, enum tiled_operands operands,
                       struct attention_plan *plan, char *reason) {
    struct tiled_plan *detail = calloc(1, sizeof(*detail));
    plan->workspace = (size_t)problem->threads * scratch_vectors(problem, operands) * sizeof(vector_float);
    if (operands == TILED_AMX)
        plan->workspace += (size_t)(problem->batch * problem->kv_heads * tiled_transposed_size(problem)) *
                           sizeof(uint16_t);
    plan->backward_workspace = problem->backward ? softmax_tiled_backward_workspace(problem) : 0;
    plan->detail = detail;
    if (detail) detail->operands = operands;
    if (detail) detail->by_query = mask_tiles_new(problem->mask, QUERY_TILE, KEY_TILE, MASK_BY_QUERY);
    if (detail && problem->backward) detail->by_key = softmax_tiled_backward_plan(problem);
    if (detail && detail->by_query && (detail->by_key || !problem->backward)) return true;
    snprintf(reason, REASON_SIZE, "out of host memory for the plan of the mask");
    release(plan);
    return false;
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    return prepare_as(problem, tiled_operands(problem), plan, reason);
}

static const char *decline_amx(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_bf16) return "the matrix unit multiplies bf16 into fp32";
    if (problem->backward) return "the matrix unit has no backward pass here";
    if (problem->head_dim % TILED_AMX_DEPTH) return "the matrix unit takes head_dim in steps of 32";
    if (problem->key.row % 2) return "the matrix unit takes keys at even distances";
    return tiled_amx_missing();
}

static bool prepare_amx(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    return prepare_as(problem, TILED_AMX, plan, reason);
}

const struct attention_operator softmax_tiled = {
    .name = "tiled", .backend = "openmp", .place = PLACE_HOST, .decline = decline, .prepare = prepare,
    .forward = forward, .release = release, .backward = softmax_tiled_backward};
const struct attention_operator softmax_tiled_amx = {
    .name = "tiled_amx", .backend = "openmp", .place = PLACE_HOST, .decline = decline_amx, .prepare = prepare_amx,
    .forward = forward, .release = release};
