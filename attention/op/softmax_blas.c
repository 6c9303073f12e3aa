/* softmax_blas.c: softmax attention on the host as a framework without a fused kernel composes it: scores by a matrix
   product, a softmax over their rows, the output by a second product. It is what the tiled operator is held against.

   A block of BLOCK_ROWS queries of one head is a task of one thread, with a BLAS of one thread; only the keys between
   the first and the last that the block sees are multiplied, as the plan of tiles has them; scores that the mask hides
   become -infinity. The scores of a block are BLOCK_ROWS x keys, so that
   memory grows with threads x length; they pass through the caches once for each of the three steps. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "attention.h"
#include "attention/mask/tiles.h"
#include "bench/blas.h"
#include "vector.h"

enum { BLOCK_ROWS = 128, KEY_TILE = 128, ALIGNMENT = 64 };

static size_t round_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t score_bytes(const struct attention_problem *problem) {
    return round_up(BLOCK_ROWS * (size_t)problem->keys * sizeof(float));
}

static float lane_largest(vector_float x) {
    float largest = x[0];
    for (int i = 1; i < LANES; i++) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static float lane_sum(vector_float x) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += x[i];
    return sum;
}

/* The last vector of a range, filled up with -infinity. */
static vector_float load_tail(const float *score, int64_t count) {
    float tail[LANES];
    for (int64_t i = 0; i < LANES; i++) tail[i] = i < count ? score[i] : -INFINITY;
    return vector_load(tail);
}

/* What a row sees of an entry's keys, from the tile's first key; other scores of the row become -infinity. */
static void mask_row_part(float *score, const struct mask_tiles *tiles, struct mask_tile entry, int row,
                          struct mask_range part) {
    if (mask_tile_form(entry) == MASK_TILE_FULL) return;
    for (int64_t key = part.begin; key < part.end; key++)
        if (!mask_tile_allows(tiles, entry, row, (int)key)) score[key - part.begin] = -INFINITY;
}

static float largest_score(const float *score, int64_t keys, float largest) {
    vector_float lanes = vector_splat(largest);
    int64_t key = 0;
    for (; key + LANES <= keys; key += LANES) lanes = vector_larger(lanes, vector_load(score + key));
    return lane_largest(vector_larger(lanes, load_tail(score + key, keys - key)));
}

/* Scores become 2^(score - largest); returns their sum. */
static float exponentiate(float *score, int64_t keys, float largest) {
    vector_float sum = vector_splat(0);
    int64_t key = 0;
    for (; key + LANES <= keys; key += LANES) {
        vector_float weight = vector_exp2(vector_load(score + key) - vector_splat(largest));
        vector_store(score + key, weight);
        sum += weight;
    }
    vector_float weight = vector_exp2(load_tail(score + key, keys - key) - vector_splat(largest));
    for (int64_t i = 0; key + i < keys; i++) score[key + i] = weight[i];
    return lane_sum(sum + weight);
}

/* The entries of a block of queries, and the keys from the first to the last of them that any query sees. */
struct block {
    const struct mask_tiles *tiles;
    int32_t begin, end;
    struct mask_range keys;
};

static struct block block_of(const struct mask_tiles *tiles, int64_t line) {
    const int32_t *begin = mask_tiles_begin(tiles) + line;
    struct block block = {tiles, begin[0], begin[1], {0, 0}};
    if (begin[0] == begin[1]) return block;
    const struct mask_tile *first = mask_tiles_entry(tiles) + begin[0], *last = mask_tiles_entry(tiles) + begin[1] - 1;
    block.keys.begin = (int64_t)first->tile * KEY_TILE + mask_tile_span(tiles, *first).begin;
    block.keys.end = (int64_t)last->tile * KEY_TILE + mask_tile_span(tiles, *last).end;
    return block;
}

/* One row of scores, in units of log 2, of the block's keys; what the query does not see becomes 0. Returns the sum of
   the weights, 0 if it sees nothing, and its log_sum_exp. */
static float soften_row(float *score, const struct block *block, int row, float *log_sum_exp) {
    float largest = -INFINITY, sum = 0;
    int64_t done = 0, keys = block->keys.end - block->keys.begin;
    for (int32_t i = block->begin; i < block->end; i++) {
        struct mask_tile entry = mask_tiles_entry(block->tiles)[i];
        struct mask_range span = mask_tile_span(block->tiles, entry);
        int64_t first = (int64_t)entry.tile * KEY_TILE + span.begin - block->keys.begin;
        mask_row_part(score + first, block->tiles, entry, row, span);
        largest = largest_score(score + first, span.end - span.begin, largest);
    }
    *log_sum_exp = -INFINITY;
    for (int32_t i = block->begin; i < block->end && largest > -INFINITY; i++) {
        struct mask_tile entry = mask_tiles_entry(block->tiles)[i];
        struct mask_range span = mask_tile_span(block->tiles, entry);
        int64_t first = (int64_t)entry.tile * KEY_TILE + span.begin - block->keys.begin;
        for (; done < first; done++) score[done] = 0;
        sum += exponentiate(score + first, span.end - span.begin, largest);
        done = first + span.end - span.begin;
    }
    for (; done < keys; done++) score[done] = 0;
    if (!(largest == -INFINITY)) *log_sum_exp = (largest + log2f(sum)) * (float)M_LN2;
    return sum;
}

static void attend(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t batch,
                   int64_t head, int64_t query_begin, const struct block *block, float *score) {
    const struct attention_problem *p = problem;
    int64_t kv_head = head * p->kv_heads / p->heads, rows = p->queries - query_begin;
    if (rows > BLOCK_ROWS) rows = BLOCK_ROWS;
    struct mask_range bounds = block->keys;
    int64_t keys = bounds.end - bounds.begin;
    float sum[BLOCK_ROWS];
    const float *query = (const float *)buffers->query + batch * p->query.batch + head * p->query.head;
    const float *key = (const float *)buffers->key + batch * p->key.batch + kv_head * p->key.head;
    const float *value = (const float *)buffers->value + batch * p->value.batch + kv_head * p->value.head;
    float *output = (float *)buffers->output + batch * p->output.batch + head * p->output.head;
    float *log_sum_exp = buffers->log_sum_exp + (batch * p->heads + head) * p->queries + query_begin;
    if (keys > 0)
        blas_gemm_fp32(false, true, rows, keys, p->head_dim, p->scale * (float)M_LOG2E,
                       query + query_begin * p->query.row, p->query.row, key + bounds.begin * p->key.row, p->key.row, 0,
                       score, keys);
    for (int64_t row = 0; row < rows; row++)
        sum[row] = soften_row(score + row * keys, block, (int)row, &log_sum_exp[row]);
    output += query_begin * p->output.row;
    if (keys > 0)
        blas_gemm_fp32(false, false, rows, p->head_dim, keys, 1, score, keys, value + bounds.begin * p->value.row,
                       p->value.row, 0, output, p->output.row);
    for (int64_t row = 0; row < rows; row++) {
        float inverse = 1 / sum[row], *row_output = output + row * p->output.row;
        bool nothing = log_sum_exp[row] == -INFINITY;
        for (int64_t d = 0; d < p->head_dim; d++) row_output[d] = nothing ? 0 : row_output[d] * inverse;
    }
}

/* Blocks of a head one after another and the longest first, for the reasons that softmax_tiled.c has. */
static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    const struct mask_tiles *tiles = plan->detail;
    int64_t lines = tiles->lines, heads = problem->batch * problem->heads;
    size_t bytes = score_bytes(problem);
    (void)stream, (void)reason;
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t task = 0; task < heads * lines; task++) {
        float *score = (float *)((char *)buffers->workspace + (size_t)omp_get_thread_num() * bytes);
        int64_t batch = task / lines / problem->heads, head = task / lines % problem->heads;
        int64_t line = tiles->heads == 1 ? mask_tiles_order(tiles)[task % lines] : lines - 1 - task % lines;
        struct block block = block_of(tiles, mask_head(tiles->heads, head, problem->heads) * lines + line);
        attend(problem, buffers, batch, head, line * BLOCK_ROWS, &block, score);
    }
    return true;
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_fp32) return "OpenBLAS's products are fp32";
    const char *reason = attention_no_options(problem);
    return reason ? reason : blas_missing();
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    blas_set_threads(1); /* the parallelism is over the blocks */
    plan->workspace = (size_t)problem->threads * score_bytes(problem);
    plan->detail = mask_tiles_new(problem->mask, BLOCK_ROWS, KEY_TILE, MASK_BY_QUERY);
    if (!plan->detail) snprintf(reason, REASON_SIZE, "out of host memory for the plan of the mask");
    return plan->detail != NULL;
}

static void release(struct attention_plan *plan) {
    free(plan->detail);
    plan->detail = NULL;
}

const struct attention_operator softmax_blas = {
    .name = "openblas", .backend = "openblas", .place = PLACE_HOST, .decline = decline, .prepare = prepare,
    .forward = forward, .release = release};
