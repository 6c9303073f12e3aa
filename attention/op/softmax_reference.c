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

/* Scores as the options change them. */
static double score_of(const struct head_rows *rows, const double *query_row, int64_t head, int64_t query,
                       int64_t key) {
    const struct attention_problem *problem = rows->problem;
    const struct attention_options *options = &problem->options;
    double row[ATTENTION_HEAD_DIM_MAX], sum = 0, cap = (double)options->soft_cap;
    dtype_load_row(problem->dtype, rows->key, (size_t)(rows->key_first + key * problem->key.row),
                   (size_t)problem->head_dim, row);
    for (int64_t d = 0; d < problem->head_dim; d++) sum += query_row[d] * row[d];
    sum *= (double)problem->scale;
    if (cap > 0) sum = cap * tanh(sum / cap);
    if (options->alibi)
        sum -= (double)attention_alibi_slope(head, problem->heads) *
               fabs((double)(query + problem->keys - problem->queries - key));
    return sum;
}

/* Clipping is of finished probabilities; without it a probability stays. *term: what clip_low was added to, which the
   rounding errors of the result are a share of. */
static double clipped(const struct attention_options *options, double probability, double *term) {
    double low = (double)options->clip_low, high = (double)options->clip_high;
    *term = probability;
    if (!(high > 0)) return probability;
    double result = fmin(1, fmax(0, (high - low) * probability + low));
    *term = result > 0 ? (high - low) * probability : 0;
    return result;
}

void attention_reference_row(const struct attention_problem *problem, const struct attention_buffers *buffers,
                             int64_t batch, int64_t head, int64_t query, double *output, double *magnitude,
                             double *log_sum_exp) {
    const struct attention_options *options = &problem->options;
    int64_t kv_head = head * problem->kv_heads / problem->heads;
    int64_t own = (batch * problem->heads + head) * problem->queries;
    struct head_rows rows = {.problem = problem,
                             .key = buffers->key,
                             .value = buffers->value,
                             .key_first = batch * problem->key.batch + kv_head * problem->key.head,
                             .value_first = batch * problem->value.batch + kv_head * problem->value.head};
    int64_t mask_of_head = mask_head(problem->mask->heads, head, problem->heads);
    size_t head_dim = (size_t)problem->head_dim;
    double query_row[ATTENTION_HEAD_DIM_MAX], value_row[ATTENTION_HEAD_DIM_MAX], squares = 0;
    int64_t first = batch * problem->query.batch + head * problem->query.head + query * problem->query.row;
    dtype_load_row(problem->dtype, buffers->query, (size_t)first, head_dim, query_row);
    double maximum = options->sink ? (double)buffers->sink[head] : -INFINITY, sum = maximum > -INFINITY ? 1 : 0;
    for (int64_t key = 0; key < problem->keys; key++) {
        if (!mask_allows(problem->mask, mask_of_head, query, key)) continue;
        double score = score_of(&rows, query_row, head, query, key);
        if (score > maximum || isnan(score)) {
            sum = sum > 0 ? sum * exp(maximum - score) : 0;
            maximum = score;
        }
        sum += score > -INFINITY || isnan(score) ? exp(score - maximum) : 0;
    }
    for (size_t d = 0; d < head_dim; d++) output[d] = 0;
    double gate = options->gate ? 1 / (1 + exp(-(double)buffers->gate[own + query])) : 1;
    for (int64_t key = 0; key < problem->keys; key++) {
        if (!mask_allows(problem->mask, mask_of_head, query, key)) continue;
        double probability = exp(score_of(&rows, query_row, head, query, key) - maximum) / sum, term;
        double weight = gate * clipped(options, probability, &term);
        dtype_load_row(problem->dtype, rows.value, (size_t)(rows.value_first + key * problem->value.row), head_dim,
                       value_row);
        for (size_t d = 0; d < head_dim; d++) {
            output[d] += weight * value_row[d];
            squares += gate * term * value_row[d] * gate * term * value_row[d];
        }
    }
    *magnitude = sqrt(squares);
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
