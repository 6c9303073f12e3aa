/* softmax_reference.c: what softmax attention is, in fp64, for one query at a time; and the check that holds results
   against it. It asks the mask for every pair by its definition, and so checks the mask's pieces as well. */
#include <math.h>

#include "attention.h"
#include "bench/check.h"

#define LOG_SUM_EXP_TOLERANCE 0x1p-14

/* How far off results may be, in the measures of attention_check. */
struct tolerances {
    double output, log_sum_exp;
};

/* In 16 bits and more: probabilities and outputs rounded to dtype; sums in fp32. In fp8 probabilities are rounded to
   half an epsilon, outputs to bf16; and matrix units drop what lies 13 bits below the largest number they add, in each
   instruction of 32 products: head_dim / 32 in a score (score_loss), keys / 32 in an output, where a 2^-16th part goes
   with each (seen on an H200: 0.2 % over 8k keys, 0.4 % over 16k). */
static struct tolerances tolerances_of(const struct attention_problem *problem) {
    double sums = 62 * dtype_epsilon(DTYPE_fp32);
    if (problem->dtype != DTYPE_fp8_e4m3)
        return (struct tolerances){2 * dtype_epsilon(problem->dtype) + sums, LOG_SUM_EXP_TOLERANCE};
    double output = dtype_epsilon(DTYPE_fp8_e4m3) / 2 + 2 * dtype_epsilon(DTYPE_bf16) + sums;
    return (struct tolerances){output + 0x1p-16 * (double)problem->keys / 32, LOG_SUM_EXP_TOLERANCE};
}

/* Rows of one head of an operand, as fp64. */
struct head_rows {
    const struct attention_problem *problem;
    const void *data;
    int64_t first, stride; /* element of token 0, elements from a token to the next */
    const float *scale;    /* of the head's blocks; NULL: none */
};

/* head: batch * heads (of the operand) + head. */
static struct head_rows head_rows(const struct attention_problem *problem, const void *data, int64_t first,
                                  int64_t stride, const float *scale, int64_t head, int64_t tokens) {
    const float *own = scale ? scale + head * attention_scale_blocks(problem, tokens) : NULL;
    return (struct head_rows){.problem = problem, .data = data, .first = first, .stride = stride, .scale = own};
}

static void load_row(const struct head_rows *rows, int64_t token, double *row) {
    size_t head_dim = (size_t)rows->problem->head_dim;
    dtype_load_row(rows->problem->dtype, rows->data, (size_t)(rows->first + token * rows->stride), head_dim, row);
    if (!rows->scale) return;
    double scale = (double)rows->scale[token / rows->problem->scale_tokens];
    for (size_t d = 0; d < head_dim; d++) row[d] *= scale;
}

/* Scores as the options change them. */
static double score_of(const struct head_rows *keys, const double *query_row, int64_t head, int64_t query,
                       int64_t key) {
    const struct attention_problem *problem = keys->problem;
    const struct attention_options *options = &problem->options;
    double row[ATTENTION_HEAD_DIM_MAX], sum = 0, cap = (double)options->soft_cap;
    load_row(keys, key, row);
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

/* What lies before one query of one head. */
struct row_operands {
    struct head_rows keys, values;
    double query[ATTENTION_HEAD_DIM_MAX];
};

static struct row_operands row_operands(const struct attention_problem *problem,
                                        const struct attention_buffers *buffers, int64_t batch, int64_t head,
                                        int64_t query) {
    int64_t kv_head = head * problem->kv_heads / problem->heads;
    int64_t own_head = batch * problem->heads + head, own_kv_head = batch * problem->kv_heads + kv_head;
    struct head_rows queries =
        head_rows(problem, buffers->query, batch * problem->query.batch + head * problem->query.head,
                  problem->query.row, buffers->query_scale, own_head, problem->queries);
    struct row_operands operands = {
        .keys = head_rows(problem, buffers->key, batch * problem->key.batch + kv_head * problem->key.head,
                          problem->key.row, buffers->key_scale, own_kv_head, problem->keys),
        .values = head_rows(problem, buffers->value, batch * problem->value.batch + kv_head * problem->value.head,
                            problem->value.row, buffers->value_scale, own_kv_head, problem->keys)};
    load_row(&queries, query, operands.query);
    return operands;
}

/* How far off a score in fp8 may be: of every instruction's products, and of the sum before them, what lies 13 bits
   below the largest is cut off towards zero. That is half a unit each, which adds up as far as their signs agree, and
   varies by 3 sqrt(33 / 12) units, three standard deviations. */
static double score_loss(const struct row_operands *operands, int64_t key) {
    const struct attention_problem *problem = operands->keys.problem;
    double row[ATTENTION_HEAD_DIM_MAX], sum = 0, loss = 0;
    load_row(&operands->keys, key, row);
    for (int64_t first = 0; first < problem->head_dim; first += 32) {
        double largest = fabs(sum), signs = (sum > 0) - (sum < 0);
        for (int64_t d = first; d < first + 32 && d < problem->head_dim; d++) {
            double product = operands->query[d] * row[d];
            largest = fmax(largest, fabs(product));
            signs += (product > 0) - (product < 0);
            sum += product;
        }
        loss += 0x1p-13 * largest * (fabs(signs) / 2 + 3 * sqrt(33 / 12.0));
    }
    return loss * (double)problem->scale;
}

/* The same of a row's log_sum_exp, whose scores weigh as their probabilities. */
static double log_sum_exp_loss(const struct attention_problem *problem, const struct attention_buffers *buffers,
                               int64_t batch, int64_t head, int64_t query, double log_sum_exp) {
    struct row_operands operands = row_operands(problem, buffers, batch, head, query);
    int64_t mask_of_head = mask_head(problem->mask->heads, head, problem->heads);
    double loss = 0;
    for (int64_t key = 0; key < problem->keys; key++)
        if (mask_allows(problem->mask, mask_of_head, query, key))
            loss += exp(score_of(&operands.keys, operands.query, head, query, key) - log_sum_exp) *
                    score_loss(&operands, key);
    return loss;
}

void attention_reference_row(const struct attention_problem *problem, const struct attention_buffers *buffers,
                             int64_t batch, int64_t head, int64_t query, double *output, double *magnitude,
                             double *log_sum_exp) {
    const struct attention_options *options = &problem->options;
    struct row_operands operands = row_operands(problem, buffers, batch, head, query);
    int64_t own_head = batch * problem->heads + head;
    int64_t mask_of_head = mask_head(problem->mask->heads, head, problem->heads);
    size_t head_dim = (size_t)problem->head_dim;
    double value_row[ATTENTION_HEAD_DIM_MAX], squares = 0;
    double maximum = options->sink ? (double)buffers->sink[head] : -INFINITY, sum = maximum > -INFINITY ? 1 : 0;
    for (int64_t key = 0; key < problem->keys; key++) {
        if (!mask_allows(problem->mask, mask_of_head, query, key)) continue;
        double score = score_of(&operands.keys, operands.query, head, query, key);
        if (score > maximum || isnan(score)) {
            sum = sum > 0 ? sum * exp(maximum - score) : 0;
            maximum = score;
        }
        sum += score > -INFINITY || isnan(score) ? exp(score - maximum) : 0;
    }
    for (size_t d = 0; d < head_dim; d++) output[d] = 0;
    double gate = options->gate ? 1 / (1 + exp(-(double)buffers->gate[own_head * problem->queries + query])) : 1;
    for (int64_t key = 0; key < problem->keys; key++) {
        if (!mask_allows(problem->mask, mask_of_head, query, key)) continue;
        double probability = exp(score_of(&operands.keys, operands.query, head, query, key) - maximum) / sum, term;
        double weight = gate * clipped(options, probability, &term);
        load_row(&operands.values, key, value_row);
        for (size_t d = 0; d < head_dim; d++) {
            output[d] += weight * value_row[d];
            squares += gate * term * value_row[d] * gate * term * value_row[d];
        }
    }
    *magnitude = sqrt(squares);
    *log_sum_exp = maximum + log(sum);
}

static double row_error(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t row,
                        struct tolerances tolerances) {
    int64_t query = row % problem->queries, head = row / problem->queries % problem->heads;
    int64_t batch = row / problem->queries / problem->heads;
    int64_t first = batch * problem->output.batch + head * problem->output.head + query * problem->output.row;
    double reference[ATTENTION_HEAD_DIM_MAX], found[ATTENTION_HEAD_DIM_MAX], magnitude, log_sum_exp;
    attention_reference_row(problem, buffers, batch, head, query, reference, &magnitude, &log_sum_exp);
    dtype_load_row(attention_output_dtype(problem->dtype), buffers->output, (size_t)first, (size_t)problem->head_dim,
                   found);
    struct difference difference = {0};
    for (int64_t d = 0; d < problem->head_dim; d++) difference_add(&difference, found[d], reference[d]);
    difference.reference_squared = fmax(difference.reference_squared, magnitude * magnitude);
    double error = difference_relative(&difference), logarithm = (double)buffers->log_sum_exp[row];
    if (logarithm == log_sum_exp) return error; /* -infinity for a query that sees nothing, too */
    double allowed = tolerances.log_sum_exp * fmax(1, fabs(log_sum_exp));
    if (problem->dtype == DTYPE_fp8_e4m3)
        allowed += log_sum_exp_loss(problem, buffers, batch, head, query, log_sum_exp);
    double log_error = fabs(logarithm - log_sum_exp) / allowed * tolerances.output;
    return isnan(log_error) || log_error > error ? log_error : error;
}

void attention_check(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t count,
                     uint64_t seed, struct verdict *verdict) {
    int64_t row[ATTENTION_ROWS_MAX];
    double error[ATTENTION_ROWS_MAX];
    struct tolerances tolerances = tolerances_of(problem);
    verdict->tolerance = tolerances.output;
    int64_t rows = problem->batch * problem->heads * problem->queries;
    count = sample_rows(rows, count < ATTENTION_ROWS_MAX ? count : ATTENTION_ROWS_MAX, seed, row);
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t i = 0; i < count; i++) error[i] = row_error(problem, buffers, row[i], tolerances);
    verdict->error = 0;
    for (int64_t i = 0; i < count; i++) {
        if (error[i] > verdict->error || isnan(error[i])) verdict->error = error[i];
        if (isnan(error[i])) break;
    }
}
