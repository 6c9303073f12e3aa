/* softmax_blas.c: softmax attention on the host as a framework without a fused kernel composes it: scores by a matrix
   product, a softmax over their rows, the output by a second product. It is what the tiled operator is held against.

   A block of BLOCK_ROWS queries of one head is a task of one thread, with a BLAS of one thread; only the keys between
   the first and the last that the block sees are multiplied. The scores of a block are BLOCK_ROWS x keys, so that
   memory grows with threads x length; they pass through the caches once for each of the three steps. */
#include <math.h>
#include <omp.h>

#include "attention.h"
#include "bench/blas.h"
#include "vector.h"

enum { BLOCK_ROWS = 128, ALIGNMENT = 64 };

static size_t round_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t score_bytes(const struct attention_problem *problem) {
    return round_up(BLOCK_ROWS * (size_t)problem->keys * sizeof(float));
}

static size_t thread_bytes(const struct attention_problem *problem) {
    return score_bytes(problem) + round_up((size_t)problem->mask->piece_count * sizeof(struct mask_range));
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

static float largest_score(const float *score, struct mask_range range, float largest) {
    vector_float lanes = vector_splat(largest);
    int64_t key = range.begin;
    for (; key + LANES <= range.end; key += LANES) lanes = vector_larger(lanes, vector_load(score + key));
    return lane_largest(vector_larger(lanes, load_tail(score + key, range.end - key)));
}

/* Scores of the range become 2^(score - largest); returns their sum. */
static float exponentiate(float *score, struct mask_range range, float largest) {
    vector_float sum = vector_splat(0);
    int64_t key = range.begin;
    for (; key + LANES <= range.end; key += LANES) {
        vector_float weight = vector_exp2(vector_load(score + key) - vector_splat(largest));
        vector_store(score + key, weight);
        sum += weight;
    }
    vector_float weight = vector_exp2(load_tail(score + key, range.end - key) - vector_splat(largest));
    for (int64_t i = 0; key + i < range.end; i++) score[key + i] = weight[i];
    return lane_sum(sum + weight);
}

/* One row of scores, in units of log 2, of keys first .. first + keys - 1; what the query does not see becomes 0.
   Returns the sum of the weights, 0 if it sees nothing, and its log_sum_exp. */
static float soften_row(float *score, int64_t first, int64_t keys, struct mask_range *range, int64_t ranges,
                        float *log_sum_exp) {
    float largest = -INFINITY, sum = 0;
    int64_t done = 0;
    for (int64_t i = 0; i < ranges; i++) {
        range[i].begin -= first;
        range[i].end -= first;
        largest = largest_score(score, range[i], largest);
    }
    for (int64_t i = 0; i < ranges; i++) {
        for (; done < range[i].begin; done++) score[done] = 0;
        sum += exponentiate(score, range[i], largest);
        done = range[i].end;
    }
    for (; done < keys; done++) score[done] = 0;
    *log_sum_exp = ranges > 0 ? (largest + log2f(sum)) * (float)M_LN2 : -INFINITY;
    return sum;
}

/* The first to the last key that any query of the block sees; empty if none sees any. */
static struct mask_range block_bounds(const struct mask *mask, int64_t query_begin, int64_t query_end) {
    struct mask_range all = {mask->keys, 0};
    for (int64_t i = 0; i < mask->piece_count; i++) {
        struct mask_range bounds = mask_piece_bounds(&mask->piece[i], query_begin, query_end);
        if (bounds.begin >= bounds.end) continue;
        if (bounds.begin < all.begin) all.begin = bounds.begin;
        if (bounds.end > all.end) all.end = bounds.end;
    }
    return all.begin < all.end ? all : (struct mask_range){0, 0};
}

static void attend(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t batch,
                   int64_t head, int64_t query_begin, char *scratch) {
    const struct attention_problem *p = problem;
    int64_t kv_head = head * p->kv_heads / p->heads, rows = p->queries - query_begin;
    if (rows > BLOCK_ROWS) rows = BLOCK_ROWS;
    struct mask_range bounds = block_bounds(p->mask, query_begin, query_begin + rows);
    int64_t keys = bounds.end - bounds.begin;
    float *score = (float *)scratch, sum[BLOCK_ROWS];
    struct mask_range *range = (struct mask_range *)(scratch + score_bytes(p));
    const float *query = (const float *)buffers->query + batch * p->query.batch + head * p->query.head;
    const float *key = (const float *)buffers->key + batch * p->key.batch + kv_head * p->key.head;
    const float *value = (const float *)buffers->value + batch * p->value.batch + kv_head * p->value.head;
    float *output = (float *)buffers->output + batch * p->output.batch + head * p->output.head;
    float *log_sum_exp = buffers->log_sum_exp + (batch * p->heads + head) * p->queries + query_begin;
    if (keys > 0)
        blas_gemm_fp32(false, true, rows, keys, p->head_dim, p->scale * (float)M_LOG2E,
                       query + query_begin * p->query.row, p->query.row, key + bounds.begin * p->key.row, p->key.row, 0,
                       score, keys);
    for (int64_t row = 0; row < rows; row++) {
        int64_t ranges = mask_row(p->mask, 0, query_begin + row, range);
        sum[row] = soften_row(score + row * keys, bounds.begin, keys, range, ranges, &log_sum_exp[row]);
    }
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

/* Blocks of a head one after another and the last first, for the reasons that softmax_tiled.c has. */
static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    int64_t blocks = (problem->queries + BLOCK_ROWS - 1) / BLOCK_ROWS, heads = problem->batch * problem->heads;
    size_t bytes = thread_bytes(problem);
    (void)plan, (void)stream, (void)reason;
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t task = 0; task < heads * blocks; task++) {
        char *scratch = (char *)buffers->workspace + (size_t)omp_get_thread_num() * bytes;
        int64_t head = task / blocks, block = blocks - 1 - task % blocks;
        attend(problem, buffers, head / problem->heads, head % problem->heads, block * BLOCK_ROWS, scratch);
    }
    return true;
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_fp32) return "the host computes attention in fp32";
    if (problem->mask->grid.query_blocks > 0) return "the host takes masks of pieces alone";
    const char *reason = attention_no_options(problem);
    return reason ? reason : blas_missing();
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    (void)reason;
    blas_set_threads(1); /* the parallelism is over the blocks */
    plan->workspace = (size_t)problem->threads * thread_bytes(problem);
    return true;
}

const struct attention_operator softmax_blas = {
    .name = "openblas", .backend = "openblas", .place = PLACE_HOST, .decline = decline, .prepare = prepare,
    .forward = forward};
