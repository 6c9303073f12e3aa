/* rounding.c: what a number format costs in accuracy: results against those of the operands before they were rounded to
   it. Declared in problem.h. */
#include <math.h>
#include <stdlib.h>

#include "bench/check.h"
#include "problem.h"

enum { ROUNDING_ROWS = 32 };

/* The operands of one row of queries before rounding, seen through strides that make it and its keys the only ones. */
struct unrounded {
    struct attention_problem problem;
    struct attention_buffers buffers;
    float *rows; /* query, keys, values */
};

static void fill(const struct run *run, uint64_t stream, int64_t first, int64_t count, float *to) {
    bool outliers = run->value[PROBLEM_AXIS_INPUTS] != 0;
    for (int64_t i = 0; i < count; i++)
        to[i] = run->zeros ? 0 : (float)problem_element(run->seed, stream, (uint64_t)(first + i), outliers);
}

/* Of packed operands. false: no memory. */
static bool unround(const struct run *run, const struct attention_problem *problem, int64_t row, struct unrounded *to) {
    int64_t head = row / problem->queries % problem->heads, batch = row / problem->queries / problem->heads;
    int64_t kv_head = batch * problem->kv_heads + head * problem->kv_heads / problem->heads, d = problem->head_dim;
    int64_t keys = problem->keys * d;
    to->problem = *problem;
    to->problem.dtype = DTYPE_fp32;
    to->problem.query = (struct attention_strides){0, 0, 0};
    to->problem.key = to->problem.value = (struct attention_strides){0, 0, d};
    to->rows = malloc((size_t)(d + 2 * keys) * sizeof(float));
    if (!to->rows) return false;
    to->buffers = (struct attention_buffers){.query = to->rows, .key = to->rows + d, .value = to->rows + d + keys};
    fill(run, STREAM_QUERY, row * d, d, to->rows);
    fill(run, STREAM_KEY, kv_head * keys, keys, to->rows + d);
    fill(run, STREAM_VALUE, kv_head * keys, keys, to->rows + d + keys);
    return true;
}

/* Squares of one row's errors and of what is right; NAN: no memory. */
static struct difference row_difference(const struct run *run, const struct problem *state, int64_t row) {
    const struct attention_problem *problem = &state->problem;
    struct unrounded unrounded;
    struct difference difference = {0};
    if (!unround(run, problem, row, &unrounded)) return (struct difference){NAN, NAN, NAN};
    double right[ATTENTION_HEAD_DIM_MAX], found[ATTENTION_HEAD_DIM_MAX], magnitude, log_sum_exp;
    int64_t head = row / problem->queries % problem->heads, batch = row / problem->queries / problem->heads;
    unrounded.buffers.sink = state->host.sink;
    unrounded.buffers.gate = state->host.gate;
    attention_reference_row(&unrounded.problem, &unrounded.buffers, batch, head, row % problem->queries, right,
                            &magnitude, &log_sum_exp);
    dtype_load_row(attention_output_dtype(problem->dtype), state->host.output, (size_t)(row * problem->head_dim),
                   (size_t)problem->head_dim, found);
    for (int64_t d = 0; d < problem->head_dim; d++) difference_add(&difference, found[d], right[d]);
    free(unrounded.rows);
    return difference;
}

void problem_report_rounding(struct run *run, const struct problem *state) {
    const struct attention_problem *problem = &state->problem;
    const struct limit none = {0, NULL};
    int64_t row[ROUNDING_ROWS];
    int64_t count = sample_rows(problem->batch * problem->heads * problem->queries, ROUNDING_ROWS, run->seed, row);
    double error = 0, right = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(run->threads) reduction(+ : error, right)
    for (int64_t i = 0; i < count; i++) {
        struct difference difference = row_difference(run, state, row[i]);
        error += difference.error_squared;
        right += difference.reference_squared;
    }
    if (isnan(error)) bench_fail(run, "no memory for the operands before rounding");
    bench_report_plain(run, METRIC_output_rmse, sqrt(error / (double)(count * problem->head_dim)), none);
    if (right > 0) bench_report_plain(run, METRIC_output_error, sqrt(error / right), none);
}
