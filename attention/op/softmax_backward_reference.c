/* softmax_backward_reference.c: the gradients of softmax attention by their definition in fp64, a row at a time, and
   the check that holds results against it. Like the forward reference it asks the mask for every pair by its
   definition.

   A row of query_gradient takes the keys that one query sees; its log_sum_exp and output are computed here from the
   operands. A row of key_gradient and value_gradient takes every query that sees the key, in every head of the group;
   computing log_sum_exp and output of them all would take queries times as long as the row itself, so these come from
   forward's results, as they do for the operators. attention_check_backward checks sampled rows of forward's results,
   too: wrong ones cannot make wrong gradients right.

   Magnitudes: with independent errors in the terms of a sum, its error is that share of the root of the sum of their
   squares. An operator may round probabilities and score gradients to dtype before they enter a product, and computes
   delta from an output that is rounded to dtype: each of its terms output_gradient[d] * output[d] adds an error, which
   probability * key carries into every term of query_gradient at once. Hence, with D^2 = sum_d of delta's terms
   squared,
     query_gradient  scale^2 (sum_k score_gradient^2 |key|^2 + D^2 |sum_k probability key|^2)
     key_gradient    scale^2 sum_q (score_gradient^2 + probability^2 D^2) |query|^2
     value_gradient  sum_q probability^2 |output_gradient|^2 */
#include <math.h>

#include "attention.h"
#include "bench/check.h"

/* One vector of a tensor as fp64. */
static void load(const struct attention_problem *problem, const void *tensor, struct attention_strides strides,
                 int64_t batch, int64_t head, int64_t row, double *vector) {
    int64_t first = batch * strides.batch + head * strides.head + row * strides.row;
    dtype_load_row(problem->dtype, tensor, (size_t)first, (size_t)problem->head_dim, vector);
}

static double dot(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t d = 0; d < count; d++) sum += a[d] * b[d];
    return sum;
}

/* delta of a query and the sum of its terms' squares. */
static double delta_of(const double *output_gradient, const double *output, int64_t head_dim, double *squares) {
    *squares = 0;
    for (int64_t d = 0; d < head_dim; d++) {
        double term = output_gradient[d] * output[d];
        *squares += term * term;
    }
    return dot(output_gradient, output, head_dim);
}

void attention_reference_query_gradient(const struct attention_problem *problem,
                                        const struct attention_buffers *buffers,
                                        const struct attention_gradients *gradients, int64_t batch, int64_t head,
                                        int64_t query, double *gradient, double *magnitude) {
    const struct attention_problem *p = problem;
    int64_t kv_head = head * p->kv_heads / p->heads, head_dim = p->head_dim;
    double query_row[ATTENTION_HEAD_DIM_MAX], output_gradient[ATTENTION_HEAD_DIM_MAX], output[ATTENTION_HEAD_DIM_MAX];
    double row[ATTENTION_HEAD_DIM_MAX], mean_key[ATTENTION_HEAD_DIM_MAX] = {0};
    double log_sum_exp, ignored, delta_squares, squares = 0;
    attention_reference_row(p, buffers, batch, head, query, output, &ignored, &log_sum_exp);
    load(p, buffers->query, p->query, batch, head, query, query_row);
    load(p, gradients->output_gradient, p->output, batch, head, query, output_gradient);
    double delta = delta_of(output_gradient, output, head_dim, &delta_squares);
    for (int64_t d = 0; d < head_dim; d++) gradient[d] = 0;
    for (int64_t key = 0; key < p->keys; key++) {
        if (!mask_allows(p->mask, mask_head(p->mask->heads, head, p->heads), query, key)) continue;
        load(p, buffers->value, p->value, batch, kv_head, key, row);
        double probability_gradient = dot(output_gradient, row, head_dim);
        load(p, buffers->key, p->key, batch, kv_head, key, row);
        double probability = exp(dot(query_row, row, head_dim) * (double)p->scale - log_sum_exp);
        double score_gradient = probability * (probability_gradient - delta);
        for (int64_t d = 0; d < head_dim; d++) {
            gradient[d] += score_gradient * row[d] * (double)p->scale;
            mean_key[d] += probability * row[d];
        }
        squares += score_gradient * score_gradient * dot(row, row, head_dim);
    }
    squares += delta_squares * dot(mean_key, mean_key, head_dim);
    *magnitude = fabs((double)p->scale) * sqrt(squares);
}

void attention_reference_key_gradients(const struct attention_problem *problem, const struct attention_buffers *buffers,
                                       const struct attention_gradients *gradients, int64_t batch, int64_t kv_head,
                                       int64_t key, double *key_gradient, double *value_gradient,
                                       double *key_magnitude, double *value_magnitude) {
    const struct attention_problem *p = problem;
    int64_t group = p->heads / p->kv_heads, head_dim = p->head_dim;
    double key_row[ATTENTION_HEAD_DIM_MAX], value_row[ATTENTION_HEAD_DIM_MAX], query_row[ATTENTION_HEAD_DIM_MAX];
    double output_gradient[ATTENTION_HEAD_DIM_MAX], output[ATTENTION_HEAD_DIM_MAX];
    double key_squares = 0, value_squares = 0, delta_squares;
    load(p, buffers->key, p->key, batch, kv_head, key, key_row);
    load(p, buffers->value, p->value, batch, kv_head, key, value_row);
    for (int64_t d = 0; d < head_dim; d++) key_gradient[d] = value_gradient[d] = 0;
    for (int64_t i = 0; i < group * p->queries; i++) {
        int64_t head = kv_head * group + i / p->queries, query = i % p->queries;
        if (!mask_allows(p->mask, mask_head(p->mask->heads, head, p->heads), query, key)) continue;
        load(p, buffers->query, p->query, batch, head, query, query_row);
        load(p, buffers->output, p->output, batch, head, query, output);
        load(p, gradients->output_gradient, p->output, batch, head, query, output_gradient);
        double log_sum_exp = (double)buffers->log_sum_exp[(batch * p->heads + head) * p->queries + query];
        double delta = delta_of(output_gradient, output, head_dim, &delta_squares);
        double probability = exp(dot(query_row, key_row, head_dim) * (double)p->scale - log_sum_exp);
        double score_gradient = probability * (dot(output_gradient, value_row, head_dim) - delta);
        for (int64_t d = 0; d < head_dim; d++) {
            key_gradient[d] += score_gradient * query_row[d] * (double)p->scale;
            value_gradient[d] += probability * output_gradient[d];
        }
        key_squares += (score_gradient * score_gradient + probability * probability * delta_squares) *
                       dot(query_row, query_row, head_dim);
        value_squares += probability * probability * dot(output_gradient, output_gradient, head_dim);
    }
    *key_magnitude = fabs((double)p->scale) * sqrt(key_squares);
    *value_magnitude = sqrt(value_squares);
}

static double vector_error(const struct attention_problem *problem, const void *tensor,
                           struct attention_strides strides, int64_t batch, int64_t head, int64_t row,
                           const double *reference, double magnitude) {
    double found[ATTENTION_HEAD_DIM_MAX];
    struct difference difference = {0};
    load(problem, tensor, strides, batch, head, row, found);
    for (int64_t d = 0; d < problem->head_dim; d++) difference_add(&difference, found[d], reference[d]);
    difference.reference_squared = fmax(difference.reference_squared, magnitude * magnitude);
    return difference_relative(&difference);
}

static double query_error(const struct attention_problem *problem, const struct attention_buffers *buffers,
                          const struct attention_gradients *gradients, int64_t row) {
    int64_t query = row % problem->queries, head = row / problem->queries % problem->heads;
    int64_t batch = row / problem->queries / problem->heads;
    double reference[ATTENTION_HEAD_DIM_MAX], magnitude;
    attention_reference_query_gradient(problem, buffers, gradients, batch, head, query, reference, &magnitude);
    return vector_error(problem, gradients->query_gradient, problem->query, batch, head, query, reference, magnitude);
}

/* a where it is the larger one or NaN. */
static double worse(double a, double b) {
    return a > b || isnan(a) ? a : b;
}

static double key_error(const struct attention_problem *problem, const struct attention_buffers *buffers,
                        const struct attention_gradients *gradients, int64_t row) {
    int64_t key = row % problem->keys, head = row / problem->keys % problem->kv_heads;
    int64_t batch = row / problem->keys / problem->kv_heads;
    double key_reference[ATTENTION_HEAD_DIM_MAX], value_reference[ATTENTION_HEAD_DIM_MAX];
    double key_magnitude, value_magnitude;
    attention_reference_key_gradients(problem, buffers, gradients, batch, head, key, key_reference, value_reference,
                                      &key_magnitude, &value_magnitude);
    double error = vector_error(problem, gradients->key_gradient, problem->key, batch, head, key, key_reference,
                                key_magnitude);
    return worse(error, vector_error(problem, gradients->value_gradient, problem->value, batch, head, key,
                                     value_reference, value_magnitude));
}

void attention_check_backward(const struct attention_problem *problem, const struct attention_buffers *buffers,
                              const struct attention_gradients *gradients, int64_t count, uint64_t seed,
                              struct verdict *verdict) {
    int64_t query_row[ATTENTION_ROWS_MAX], key_row[ATTENTION_ROWS_MAX];
    double error[2 * ATTENTION_ROWS_MAX];
    if (count > ATTENTION_ROWS_MAX) count = ATTENTION_ROWS_MAX;
    attention_check(problem, buffers, count, seed, verdict);
    int64_t query_rows = sample_rows(problem->batch * problem->heads * problem->queries, count, seed + 1, query_row);
    int64_t key_rows = sample_rows(problem->batch * problem->kv_heads * problem->keys, count, seed + 2, key_row);
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t i = 0; i < key_rows + query_rows; i++) /* the long ones first */
        error[i] = i < key_rows ? key_error(problem, buffers, gradients, key_row[i])
                                : query_error(problem, buffers, gradients, query_row[i - key_rows]);
    for (int64_t i = 0; i < key_rows + query_rows && !isnan(verdict->error); i++)
        verdict->error = worse(error[i], verdict->error);
}
