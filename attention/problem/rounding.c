/* rounding.c: what a number format costs in accuracy: results against those of the operands before they were rounded to
   it, and how much of that an exact kernel would show. Declared in problem.h. */
#include <math.h>
#include <stdlib.h>

#include "bench/check.h"
#include "problem.h"

/* Outliers make a few rows' errors large, so that few rows would say little. */
enum { ROUNDING_ROWS = 1024 };

/* The operands of one query head and of its keys' head, in fp32, seen through strides that make them the only ones;
   query holds one row. */
struct operands {
    struct attention_problem problem;
    struct attention_buffers buffers;
    float *query; /* and behind it keys and values */
};

/* Squares of errors: of the results, and of an exact kernel's. */
struct rounding {
    struct difference result, operand;
};

static void fill(const struct run *run, uint64_t stream, int64_t first, int64_t count, float *to) {
    enum problem_inputs inputs = (enum problem_inputs)run->value[PROBLEM_AXIS_INPUTS];
    for (int64_t i = 0; i < count; i++)
        to[i] = run->zeros ? 0 : (float)problem_element(run->seed, stream, (uint64_t)(first + i), inputs);
}

/* As they were rounded: tokens first .. first + count - 1 of those of all heads of a packed operand; scale: of the
   first and the others, by blocks of `block` tokens, or NULL. */
static void load(const struct attention_problem *problem, const void *data, const float *scale, int64_t block,
                 int64_t first, int64_t count, float *to) {
    int64_t head_dim = problem->head_dim;
    for (int64_t token = first; token < first + count; token++) {
        double row[ATTENTION_HEAD_DIM_MAX];
        double own = scale ? (double)scale[(token - first) / block] : 1;
        dtype_load_row(problem->dtype, data, (size_t)(token * head_dim), (size_t)head_dim, row);
        for (int64_t d = 0; d < head_dim; d++) *to++ = (float)(row[d] * own);
    }
}

/* Of all batch items. */
static int64_t kv_head_of(const struct attention_problem *problem, int64_t row) {
    int64_t head = row / problem->queries % problem->heads, batch = row / problem->queries / problem->heads;
    return batch * problem->kv_heads + head * problem->kv_heads / problem->heads;
}

/* Keys and values, as they were rounded or before that; query is left to be filled. false: no memory. */
static bool take(const struct run *run, const struct problem *state, int64_t kv_head, bool rounded,
                 struct operands *to) {
    const struct attention_problem *problem = &state->problem;
    const struct attention_buffers *host = &state->host;
    int64_t d = problem->head_dim, keys = problem->keys, first = kv_head * keys;
    to->problem = *problem;
    to->problem.dtype = DTYPE_fp32;
    to->problem.query = (struct attention_strides){0, 0, 0};
    to->problem.key = to->problem.value = (struct attention_strides){0, 0, d};
    to->query = malloc((size_t)(d + 2 * keys * d) * sizeof(float));
    if (!to->query) return false;
    float *key = to->query + d, *value = key + keys * d;
    to->buffers = (struct attention_buffers){.query = to->query, .key = key, .value = value, .sink = host->sink,
                                             .gate = host->gate};
    if (rounded) {
        int64_t block = problem->scale_tokens, scales = kv_head * attention_scale_blocks(problem, keys);
        load(problem, host->key, host->key_scale ? host->key_scale + scales : NULL, block, first, keys, key);
        load(problem, host->value, host->value_scale ? host->value_scale + scales : NULL, block, first, keys, value);
    } else {
        fill(run, STREAM_KEY, first * d, keys * d, key);
        fill(run, STREAM_VALUE, first * d, keys * d, value);
    }
    return true;
}

static void output_of(const struct operands *operands, int64_t row, double *output) {
    const struct attention_problem *problem = &operands->problem;
    int64_t head = row / problem->queries % problem->heads, batch = row / problem->queries / problem->heads;
    double magnitude, log_sum_exp;
    attention_reference_row(problem, &operands->buffers, batch, head, row % problem->queries, output, &magnitude,
                            &log_sum_exp);
}

static void add_row(const struct run *run, const struct problem *state, const struct operands *before,
                    const struct operands *rounded, int64_t row, struct rounding *to) {
    const struct attention_problem *problem = &state->problem;
    const struct attention_buffers *host = &state->host;
    double right[ATTENTION_HEAD_DIM_MAX], exact[ATTENTION_HEAD_DIM_MAX], found[ATTENTION_HEAD_DIM_MAX];
    fill(run, STREAM_QUERY, row * problem->head_dim, problem->head_dim, before->query);
    int64_t at = row / problem->queries * attention_scale_blocks(problem, problem->queries) +
                 row % problem->queries / problem->scale_tokens; /* of the query's scale */
    load(problem, host->query, host->query_scale ? host->query_scale + at : NULL, 1, row, 1, rounded->query);
    output_of(before, row, right);
    output_of(rounded, row, exact);
    dtype_load_row(attention_output_dtype(problem->dtype), host->output, (size_t)(row * problem->head_dim),
                   (size_t)problem->head_dim, found);
    for (int64_t d = 0; d < problem->head_dim; d++) {
        difference_add(&to->result, found[d], right[d]);
        difference_add(&to->operand, exact[d], right[d]);
    }
}

/* The rows, all of one head of keys. NAN: no memory. */
static struct rounding add_rows(const struct run *run, const struct problem *state, const int64_t *row, int64_t count) {
    struct rounding all = {0};
    struct operands before = {0}, rounded = {0};
    int64_t kv_head = kv_head_of(&state->problem, row[0]);
    if (take(run, state, kv_head, false, &before) && take(run, state, kv_head, true, &rounded))
        for (int64_t i = 0; i < count; i++) add_row(run, state, &before, &rounded, row[i], &all);
    else
        all.result.error_squared = NAN;
    free(before.query);
    free(rounded.query);
    return all;
}

void problem_report_rounding(struct run *run, const struct problem *state) {
    const struct attention_problem *problem = &state->problem;
    const struct limit none = {0, NULL};
    int64_t row[ROUNDING_ROWS], begin[ROUNDING_ROWS + 1], parts = 0; /* begin: the first row of each part */
    int64_t count = sample_rows(problem->batch * problem->heads * problem->queries, ROUNDING_ROWS, run->seed, row);
    int64_t longest = (count + run->threads - 1) / run->threads; /* of one head of keys, so that all threads have one */
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || i == begin[parts - 1] + longest || kv_head_of(problem, row[i]) != kv_head_of(problem, row[i - 1]))
            begin[parts++] = i;
    begin[parts] = count;
    double error = 0, operand = 0, right = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(run->threads) reduction(+ : error, operand, right)
    for (int64_t i = 0; i < parts; i++) {
        struct rounding rounding = add_rows(run, state, row + begin[i], begin[i + 1] - begin[i]);
        error += rounding.result.error_squared;
        operand += rounding.operand.error_squared;
        right += rounding.result.reference_squared;
    }
    if (isnan(error)) bench_fail(run, "no memory for the operands before rounding");
    double elements = (double)(count * problem->head_dim);
    bench_report_plain(run, METRIC_output_rmse, sqrt(error / elements), none);
    bench_report_plain(run, METRIC_operand_rmse, sqrt(operand / elements), none);
    if (right > 0) bench_report_plain(run, METRIC_output_error, sqrt(error / right), none);
}
