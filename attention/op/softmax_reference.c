/* softmax_reference.c: what softmax attention is, in fp64, for one query at a time; and the check that holds results
   against it. It asks the mask for every pair by its definition, and so checks the mask's pieces as well. */
#include <math.h>

#include "attention.h"
#include "bench/check.h"

#define LOG_SUM_EXP_TOLERANCE 0x1p-14

/* Key and value rows of one head as fp64. */
struct head_rows {
    const struct attention_problem *problem;
    const void *key, *value;
    int64_t key_first, value_first; /* element of token 0 */
};

static double score_of(const struct head_rows *rows, const double *query, int64_t key) {
    const struct attention_problem *problem = rows->problem;
    double row[ATTENTION_HEAD_DIM_MAX], sum = 0;
    dtype_load_row(problem->dtype, rows->key, (size_t)(rows->key_first + key * problem->key.row),
                   (size_t)problem->head_dim, row);
    for (int64_t d = 0; d < problem->head_dim; d++) sum += query[d] * row[d];
    return sum * (double)problem->scale;
}

void attention_reference_row(const struct attention_problem *problem, const struct attention_buffers *buffers,
                             int64_t batch, int64_t head, int64_t query, double *output, double *magnitude,
                             double *log_sum_exp) {
    int64_t kv_head = head * problem->kv_heads / problem->heads;
    struct head_rows rows = {.problem = problem,
                             .key = buffers->key,
                             .value = buffers->value,
                             .key_first = batch * problem->key.batch + kv_head * problem->key.head,
                             .value_first = batch * problem->value.batch + kv_head * problem->value.head};
    int64_t mask_of_head = mask_head(problem->mask->heads, head, problem->heads);
    size_t head_dim = (size_t)problem->head_dim;
    double query_row[ATTENTION_HEAD_DIM_MAX], value_row[ATTENTION_HEAD_DIM_MAX];
    double maximum = -INFINITY, sum = 0, squares = 0;
    int64_t first = batch * problem->query.batch + head * problem->query.head + query * problem->query.row;
    dtype_load_row(problem->dtype, buffers->query, (size_t)first, head_dim, query_row);
    for (int64_t key = 0; key < problem->keys; key++)
        if (mask_allows(problem->mask, mask_of_head, query, key)) maximum = fmax(maximum, score_of(&rows, query_row, key));
    for (size_t d = 0; d < head_dim; d++) output[d] = 0;
    for (int64_t key = 0; key < problem->keys; key++) {
        if (!mask_allows(problem->mask, mask_of_head, query, key)) continue;
        double weight = exp(score_of(&rows, query_row, key) - maximum);
        dtype_load_row(problem->dtype, rows.value, (size_t)(rows.value_first + key * problem->value.row), head_dim,
                       value_row);
        sum += weight;
        for (size_t d = 0; d < head_dim; d++) {
            output[d] += weight * value_row[d];
            squares += weight * value_row[d] * weight * value_row[d];
        }
    }
    for (size_t d = 0; d < head_dim && sum > 0; d++) output[d] /= sum;
    *magnitude = sum > 0 ? sqrt(squares) / sum : 0;
    *log_sum_exp = maximum + log(sum);
}

static double row_error(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t row,
                        double tolerance) {
    int64_t query = row % problem->queries, head = row / problem->queries % problem->heads;
    int64_t batch = row / problem->queries / problem->heads;
    int64_t first = batch * problem->output.batch + head * problem->output.head + query * problem->output.row;
    double reference[ATTENTION_HEAD_DIM_MAX], found[ATTENTION_HEAD_DIM_MAX], magnitude, log_sum_exp;
    attention_reference_row(problem, buffers, batch, head, query, reference, &magnitude, &log_sum_exp);
    dtype_load_row(problem->dtype, buffers->output, (size_t)first, (size_t)problem->head_dim, found);
    struct difference difference = {0};
    for (int64_t d = 0; d < problem->head_dim; d++) difference_add(&difference, found[d], reference[d]);
    difference.reference_squared = fmax(difference.reference_squared, magnitude * magnitude);
    double error = difference_relative(&difference), logarithm = (double)buffers->log_sum_exp[row];
    if (logarithm == log_sum_exp) return error; /* -infinity for a query that sees nothing, too */
    double log_error = fabs(logarithm - log_sum_exp) / fmax(1, fabs(log_sum_exp)) * tolerance / LOG_SUM_EXP_TOLERANCE;
    return isnan(log_error) || log_error > error ? log_error : error;
}

void attention_check(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t count,
                     uint64_t seed, struct verdict *verdict) {
    int64_t row[ATTENTION_ROWS_MAX];
    double error[ATTENTION_ROWS_MAX];
    verdict->tolerance = 2 * dtype_epsilon(problem->dtype) + 62 * dtype_epsilon(DTYPE_fp32);
    int64_t rows = problem->batch * problem->heads * problem->queries;
    count = sample_rows(rows, count < ATTENTION_ROWS_MAX ? count : ATTENTION_ROWS_MAX, seed, row);
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t i = 0; i < count; i++) error[i] = row_error(problem, buffers, row[i], verdict->tolerance);
    verdict->error = 0;
    for (int64_t i = 0; i < count; i++) {
        if (error[i] > verdict->error || isnan(error[i])) verdict->error = error[i];
        if (isnan(error[i])) break;
    }
}
