/* test_softmax.c: the host's operators, every row of every head, against the definition written down once more here;
   and the check of the programs against results that are wrong. */
#include "operands.h"

#include <math.h>
#include <string.h>

#include "bench/blas.h"
#include "bench/check.h"

static const struct attention_operator *const operators[] = {&softmax_tiled, &softmax_blas};

struct problem {
    struct attention_problem shape;
    float *query, *key, *value, *output, *log_sum_exp;
};

/* Operands, N(0,1), of the strides that the shape has. */
static struct problem problem_make(const struct attention_problem *shape) {
    size_t queries = attention_query_count(shape), keys = attention_key_count(shape);
    return (struct problem){.shape = *shape,
                            .query = operand_new(DTYPE_fp32, queries, 1, 1),
                            .key = operand_new(DTYPE_fp32, keys, 2, 1),
                            .value = operand_new(DTYPE_fp32, keys, 3, 1),
                            .output = operand_new(DTYPE_fp32, queries, 4, 1),
                            .log_sum_exp = operand_new(DTYPE_fp32, queries, 5, 1)};
}

static void problem_free(struct problem *problem) {
    free(problem->query), free(problem->key), free(problem->value), free(problem->output), free(problem->log_sum_exp);
}

static struct attention_buffers buffers_of(const struct problem *problem) {
    return (struct attention_buffers){.query = problem->query,
                                      .key = problem->key,
                                      .value = problem->value,
                                      .output = problem->output,
                                      .log_sum_exp = problem->log_sum_exp};
}

static void forward(const struct attention_operator *method, const struct problem *problem) {
    struct attention_plan plan = {0};
    char reason[REASON_SIZE] = "";
    assert_null(method->decline(&problem->shape));
    assert_true(method->prepare(&problem->shape, &plan, reason));
    struct attention_buffers buffers = buffers_of(problem);
    buffers.workspace = workspace_new(plan.workspace);
    size_t count = attention_query_count(&problem->shape);
    memset(problem->output, 0xff, count * sizeof(float));
    memset(problem->log_sum_exp, 0xff, count / (size_t)problem->shape.head_dim * sizeof(float));
    assert_true(method->forward(&problem->shape, &plan, &buffers, NULL, reason));
    if (method->release) method->release(&plan);
    free(buffers.workspace);
}

/* The grid's bit, by a walk over its edges. */
static bool mask_grid_of(const struct mask *mask, int64_t head, int64_t query, int64_t key) {
    const struct mask_grid *grid = &mask->grid;
    int64_t row = 0, block = 0;
    if (grid->query_blocks == 0) return false;
    while (grid->query_edge[row + 1] <= query) row++;
    while (grid->key_edge[block + 1] <= key) block++;
    return grid->bits[(head * grid->query_blocks + row) * grid->words + block / 64] >> block % 64 & 1;
}

static bool allowed(const struct mask *mask, int64_t head, int64_t query, int64_t key) {
    if (mask_grid_of(mask, head, query, key)) return true;
    for (int64_t i = 0; i < mask->piece_count; i++) {
        struct mask_range range = mask_piece_row(&mask->piece[i], query);
        if (key >= range.begin && key < range.end) return true;
    }
    return false;
}

/* The definition for one row, in another order than attention_reference_row; weight has room for the keys. */
static double expected_row(const struct problem *problem, int64_t batch, int64_t head, int64_t query, double *weight,
                           double *output, double *squares) {
    const struct attention_problem *p = &problem->shape;
    int64_t group = head / (p->heads / p->kv_heads);
    const float *q = problem->query + batch * p->query.batch + head * p->query.head + query * p->query.row;
    const float *k = problem->key + batch * p->key.batch + group * p->key.head;
    const float *v = problem->value + batch * p->value.batch + group * p->value.head;
    double maximum = -INFINITY, sum = 0;
    for (int64_t key = 0; key < p->keys; key++) {
        weight[key] = allowed(p->mask, mask_head(p->mask->heads, head, p->heads), query, key) ? 0 : -INFINITY;
        for (int64_t d = 0; d < p->head_dim; d++)
            weight[key] += (double)q[d] * (double)k[key * p->key.row + d] * (double)p->scale;
        maximum = fmax(maximum, weight[key]);
    }
    for (int64_t d = 0; d < p->head_dim; d++) output[d] = 0;
    *squares = 0;
    if (maximum == -INFINITY) return -INFINITY;
    for (int64_t key = 0; key < p->keys; key++) sum += exp(weight[key] - maximum);
    for (int64_t key = 0; key < p->keys; key++)
        for (int64_t d = 0; d < p->head_dim; d++) {
            double term = exp(weight[key] - maximum) / sum * (double)v[key * p->value.row + d];
            output[d] += term;
            *squares += term * term;
        }
    return maximum + log(sum);
}

/* Largest error over all rows of output, relative to it or to its terms, and of log_sum_exp, relative above 1. */
static void compare(const struct problem *problem, double *output_error, double *log_error) {
    const struct attention_problem *p = &problem->shape;
    double *weight = malloc((size_t)p->keys * sizeof(double)), output[ATTENTION_HEAD_DIM_MAX], squares;
    assert_non_null(weight);
    *output_error = *log_error = 0;
    for (int64_t row = 0; row < p->batch * p->heads * p->queries; row++) {
        int64_t query = row % p->queries, head = row / p->queries % p->heads, batch = row / p->queries / p->heads;
        double log_sum_exp = expected_row(problem, batch, head, query, weight, output, &squares);
        const float *found = problem->output + batch * p->output.batch + head * p->output.head + query * p->output.row;
        struct difference difference = {0};
        for (int64_t d = 0; d < p->head_dim; d++) difference_add(&difference, (double)found[d], output[d]);
        difference.reference_squared = fmax(difference.reference_squared, squares);
        double error = difference_relative(&difference), logarithm = (double)problem->log_sum_exp[row];
        if (!(error <= *output_error)) *output_error = error;
        error = logarithm == log_sum_exp ? 0 : fabs(logarithm - log_sum_exp) / fmax(1, fabs(log_sum_exp));
        if (!(error <= *log_error)) *log_error = error;
    }
    free(weight);
}

static void check_operator(const struct attention_operator *method, const struct problem *problem) {
    double output_error, log_error;
    forward(method, problem);
    compare(problem, &output_error, &log_error);
    if (output_error < 64 * 0x1p-23 && log_error < 1e-5) return;
    const struct attention_problem *p = &problem->shape;
    fail_msg("%s: queries %d keys %d head_dim %d mask %d: errors %g and %g", method->name, (int)p->queries,
             (int)p->keys, (int)p->head_dim, (int)p->mask->name, output_error, log_error);
}

static void check_shape(struct attention_problem shape) {
    attention_pack(&shape);
    struct problem problem = problem_make(&shape);
    for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) check_operator(operators[i], &problem);
    problem_free(&problem);
}

static void test_shapes(void **state) {
    (void)state;
    static const int64_t queries[] = {1, 2, 47, 48, 49, 97, 150}, keys[] = {1, 3, 127, 128, 129, 300};
    static const int64_t head_dims[] = {1, 7, 8, 40, 64};
    int number = 0;
    for (int name = 0; name < MASK_COUNT; name++)
        for (size_t q = 0; q < ARRAY_LENGTH(queries); q++)
            for (size_t k = 0; k < ARRAY_LENGTH(keys); k++, number++) {
                if (name == MASK_file || (name > MASK_causal_sliding && number % 5 != name % 5)) continue;
                struct mask_recipe recipe = mask_recipe((enum mask_name)name, queries[q], keys[k]);
                char reason[REASON_SIZE];
                recipe.window = number % 2 ? 20 : 130;
                recipe.heads = 1 + number / 2 % 2;
                recipe.globals = number % 9;
                recipe.stride = 1 + number % 40;
                recipe.block = 1 + number % 50;
                struct mask *mask = mask_make(&recipe, reason);
                struct attention_problem shape = shape_of(2, queries[q], keys[k], head_dims[number % 5], mask);
                shape.batch = 1 + number % 2;
                shape.kv_heads = 1 + number / 2 % 2;
                shape.threads = 1 + number % 3;
                check_shape(shape);
                mask_free(mask);
            }
}

static void test_grouped_heads(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal, 70, 70, 0);
    struct attention_problem shape = shape_of(6, 70, 70, 128, mask);
    shape.batch = shape.threads = 2;
    for (shape.kv_heads = 1; shape.kv_heads <= 6; shape.kv_heads++)
        if (6 % shape.kv_heads == 0) check_shape(shape);
    mask_free(mask);
}

/* A mask that is a list: rows of several ranges, queries in two pieces, queries in none. */
static void test_lists_of_pieces(void **state) {
    (void)state;
    static const struct mask_piece pieces[] = {
        {0, 60, 140, 300, MASK_KIND_INVERSE_CAUSAL}, {0, 60, 0, 60, MASK_KIND_CAUSAL},
        {60, 100, 60, 300, MASK_KIND_BAND},          {60, 100, 0, 7, MASK_KIND_FULL},
        {130, 149, 11, 13, MASK_KIND_FULL}};
    struct mask mask = {.queries = 150, .keys = 300, .piece_count = ARRAY_LENGTH(pieces), .piece = pieces};
    check_shape(shape_of(2, 150, 300, 64, &mask));
}

/* [batch][token][head][head_dim], with a gap behind every token, as a layer's fused projection leaves it. */
static void test_strides(void **state) {
    (void)state;
    enum { BATCH = 2, HEADS = 3, TOKENS = 61, HEAD_DIM = 24, ROW = 3 * HEADS * HEAD_DIM };
    struct mask *mask = mask_new(MASK_causal, TOKENS, TOKENS, 0);
    struct attention_problem shape = shape_of(HEADS, TOKENS, TOKENS, HEAD_DIM, mask);
    shape.batch = BATCH;
    attention_pack(&shape);
    shape.query = shape.key = shape.value = (struct attention_strides){TOKENS * ROW, HEAD_DIM, ROW};
    struct problem problem = problem_make(&shape);
    float *fused = operand_new(DTYPE_fp32, BATCH * TOKENS * ROW, 9, 1);
    float *own[] = {problem.query, problem.key, problem.value};
    problem.query = fused, problem.key = fused + HEADS * HEAD_DIM, problem.value = fused + 2 * HEADS * HEAD_DIM;
    for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) check_operator(operators[i], &problem);
    problem.query = own[0], problem.key = own[1], problem.value = own[2];
    problem_free(&problem);
    free(fused);
    mask_free(mask);
}

/* Scores of +-10^4 and more: a softmax that does not subtract the maximum, or subtracts it too late, is not finite. The
   scores are small integers times one power of two, so that fp32 holds them exactly. */
static void test_extreme_scores(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_full, 50, 200, 0);
    struct attention_problem shape = shape_of(1, 50, 200, 16, mask);
    shape.scale = 1;
    struct problem problem = problem_make(&shape);
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < 50 * 16; i++) problem.query[i] = i % 16 ? 0 : 4096;
        for (int i = 0; i < 200 * 16; i++) /* far from 0 all on one side, ties among them */
            problem.key[i] = i % 16 ? 0 : (float)(sign * 20 + i / 16 % 7);
        for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) check_operator(operators[i], &problem);
    }
    problem_free(&problem);
    mask_free(mask);
}

/* A NaN among the operands is not lost on the way. */
static void test_nan(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal, 60, 60, 0);
    struct attention_problem shape = shape_of(1, 60, 60, 8, mask);
    struct problem problem = problem_make(&shape);
    problem.key[31 * 8 + 3] = NAN;
    for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) {
        forward(operators[i], &problem);
        for (int64_t query = 31; query < 60; query++) assert_true(isnan(problem.output[query * 8]));
    }
    problem_free(&problem);
    mask_free(mask);
}

static double check_error(const struct problem *problem, double *tolerance) {
    struct attention_buffers buffers = buffers_of(problem);
    struct verdict verdict;
    attention_check(&problem->shape, &buffers, 64, 3, &verdict);
    *tolerance = verdict.tolerance;
    return verdict.error;
}

/* What the programs' check lets pass and what not. */
static void test_check(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal_sliding, 300, 300, 100);
    struct attention_problem shape = shape_of(4, 300, 300, 32, mask);
    shape.kv_heads = 2;
    shape.threads = 2;
    attention_pack(&shape);
    struct problem problem = problem_make(&shape);
    size_t count = attention_query_count(&shape), rows = count / 32;
    double tolerance;
    forward(&softmax_tiled, &problem);
    assert_true(check_error(&problem, &tolerance) <= tolerance);
    for (size_t part = 0; part < 16; part++) { /* any contiguous sixteenth, of the output and of log_sum_exp */
        float *damaged = problem.output + part * (count / 16), kept = 0;
        for (size_t i = 0; i < count / 16; i++) damaged[i] *= 1.001f;
        assert_true(check_error(&problem, &tolerance) > tolerance);
        for (size_t i = 0; i < count / 16; i++) damaged[i] /= 1.001f;
        for (size_t i = 0; i < rows / 16; i++) problem.log_sum_exp[part * (rows / 16) + i] += 0.01f;
        assert_true(check_error(&problem, &tolerance) > tolerance);
        for (size_t i = 0; i < rows / 16; i++) problem.log_sum_exp[part * (rows / 16) + i] -= 0.01f;
        kept = damaged[0];
        for (size_t i = 0; i < count / 16; i++) damaged[i] = NAN;
        assert_true(isnan(check_error(&problem, &tolerance)));
        forward(&softmax_tiled, &problem);
        assert_true(fabsf(damaged[0] - kept) < 1e-4f);
    }
    problem_free(&problem);
    mask_free(mask);
}

static void test_counts(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal, 4, 4, 0);
    struct attention_problem shape = shape_of(6, 4, 4, 8, mask);
    shape.batch = 2;
    shape.kv_heads = 3;
    shape.dtype = DTYPE_bf16;
    assert_true(attention_forward_flops(&shape) == 4.0 * 10 * 8 * 12);
    assert_true(attention_forward_bytes(&shape) == 2.0 * 2 * (2 * 6 + 2 * 3) * 4 * 8 + 4.0 * 2 * 6 * 4);
    assert_null(softmax_tiled.decline(&shape));
    assert_non_null(softmax_blas.decline(&shape)); /* bf16 is not OpenBLAS's */
    mask_free(mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_grouped_heads),
        cmocka_unit_test(test_lists_of_pieces), cmocka_unit_test(test_strides),
        cmocka_unit_test(test_extreme_scores), cmocka_unit_test(test_nan),
        cmocka_unit_test(test_check),          cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
