/* rounding.c: what a number format costs in accuracy: results against those of the operands before they were rounded to
   it. Declared in problem.h. */
#include <math.h>
#include <stdlib.h>

#include "bench/check.h"
#include "problem.h"

/* Outliers make a few rows' errors large, so that few rows would say little. */
enum { ROUNDING_ROWS = 256 };

/* The operands of one query head before rounding, and of its keys' head, seen through strides that make them the only
   ones; query holds one row. */
struct unrounded {
    struct attention_problem problem;
    struct attention_buffers buffers;
    float *query; /* and behind it keys and values */
};

static void fill(const struct run *run, uint64_t stream, int64_t first, int64_t count, float *to) {
    enum problem_inputs inputs = (enum problem_inputs)run->value[PROBLEM_AXIS_INPUTS];
    for (int64_t i = 0; i < count; i++)
        to[i] = run->zeros ? 0 : (float)problem_element(run->seed, stream, (uint64_t)(first + i), inputs);
}

/* Of all batch items. */
static int64_t kv_head_of(const struct attention_problem *problem, int64_t row) {
    int64_t head = row / problem->queries % problem->heads, batch = row / problem->queries / problem->heads;
    return batch * problem->kv_heads + head * problem->kv_heads / problem->heads;
}

/* Keys and values, of packed operands; query is left to be filled. false: no memory. */
static bool unround(const struct run *run, const struct problem *state, int64_t kv_head, struct unrounded *to) {
    const struct attention_problem *problem = &state->problem;
    int64_t d = problem->head_dim, keys = problem->keys * d;
    to->problem = *problem;
    to->problem.dtype = DTYPE_fp32;
    to->problem.query = (struct attention_strides){0, 0, 0};
    to->problem.key = to->problem.value = (struct attention_strides){0, 0, d};
    to->query = malloc((size_t)(d + 2 * keys) * sizeof(float));
    if (!to->query) return false;
    float *key = to->query + d, *value = key + keys;
    to->buffers = (struct attention_buffers){.query = to->query, .key = key, .value = value,
                                             .sink = state->host.sink, .gate = state->host.gate};
    fill(run, STREAM_KEY, kv_head * keys, keys, key);
    fill(run, STREAM_VALUE, kv_head * keys, keys, value);
    return true;
}

/* Squares of one row's errors and of what is right. */
static struct difference row_difference(const struct run *run, const struct problem *state,
                                        const struct unrounded *unrounded, int64_t row) {
    const struct attention_problem *problem = &state->problem;
    struct difference difference = {0};
    double right[ATTENTION_HEAD_DIM_MAX], found[ATTENTION_HEAD_DIM_MAX], magnitude, log_sum_exp;
    int64_t head = row / problem->queries % problem->heads, batch = row / problem->queries / problem->heads;
    fill(run, STREAM_QUERY, row * problem->head_dim, problem->head_dim, unrounded->query);
    attention_reference_row(&unrounded->problem, &unrounded->buffers, batch, head, row % problem->queries, right,
                            &magnitude, &log_sum_exp);
    dtype_load_row(attention_output_dtype(problem->dtype), state->host.output, (size_t)(row * problem->head_dim),
                   (size_t)problem->head_dim, found);
    for (int64_t d = 0; d < problem->head_dim; d++) difference_add(&difference, found[d], right[d]);
    return difference;
}

/* The rows, all of one head of keys. NAN: no memory. */
static struct difference rows_difference(const struct run *run, const struct problem *state, const int64_t *row,
                                         int64_t count) {
    struct difference all = {0};
    struct unrounded unrounded;
    if (!unround(run, state, kv_head_of(&state->problem, row[0]), &unrounded))
        return (struct difference){NAN, NAN, NAN};
    for (int64_t i = 0; i < count; i++) {
        struct difference one = row_difference(run, state, &unrounded, row[i]);
        all.error_squared += one.error_squared;
        all.reference_squared += one.reference_squared;
    }
    free(unrounded.query);
    return all;
}

void problem_report_rounding(struct run *run, const struct problem *state) {
    const struct attention_problem *problem = &state->problem;
    const struct limit none = {0, NULL};
    int64_t row[ROUNDING_ROWS], begin[ROUNDING_ROWS + 1], heads = 0; /* begin: the first row of each head of keys */
    int64_t count = sample_rows(problem->batch * problem->heads * problem->queries, ROUNDING_ROWS, run->seed, row);
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || kv_head_of(problem, row[i]) != kv_head_of(problem, row[i - 1])) begin[heads++] = i;
    begin[heads] = count;
    double error = 0, right = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(run->threads) reduction(+ : error, right)
    for (int64_t i = 0; i < heads; i++) {
        struct difference difference = rows_difference(run, state, row + begin[i], begin[i + 1] - begin[i]);
        error += difference.error_squared;
        right += difference.reference_squared;
    }
    if (isnan(error)) bench_fail(run, "no memory for the operands before rounding");
    bench_report_plain(run, METRIC_output_rmse, sqrt(error / (double)(count * problem->head_dim)), none);
    if (right > 0) bench_report_plain(run, METRIC_output_error, sqrt(error / right), none);
}
