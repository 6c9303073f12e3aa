/* test_softmax_backward.c: gradients. The reference against central differences of the forward definition, in double;
   the host's operator against the reference, every row of every head; the check of the programs against results that
   are wrong. */
#include "operands.h"

#include <math.h>
#include <string.h>

#include "bench/check.h"

static const struct attention_operator *const operators[] = {&softmax_tiled};

struct problem {
    struct attention_problem shape;
    struct attention_buffers buffers;
    struct attention_gradients gradients;
};

static struct attention_problem backward_shape(int64_t heads, int64_t queries, int64_t keys, int64_t head_dim,
                                               const struct mask *mask) {
    struct attention_problem shape = shape_of(heads, queries, keys, head_dim, mask);
    shape.backward = shape.deterministic = true;
    return shape;
}

static struct problem problem_make(const struct attention_problem *shape) {
    size_t queries = attention_query_count(shape), keys = attention_key_count(shape);
    enum dtype dtype = shape->dtype;
    return (struct problem){.shape = *shape,
                            .buffers = {.query = operand_new(dtype, queries, 1, 1),
                                        .key = operand_new(dtype, keys, 2, 1),
                                        .value = operand_new(dtype, keys, 3, 1),
                                        .output = operand_new(dtype, queries, 4, 1),
                                        .log_sum_exp = operand_new(DTYPE_fp32, queries, 5, 1)},
                            .gradients = {.output_gradient = operand_new(dtype, queries, 6, 1),
                                          .query_gradient = operand_new(dtype, queries, 7, 1),
                                          .key_gradient = operand_new(dtype, keys, 8, 1),
                                          .value_gradient = operand_new(dtype, keys, 9, 1)}};
}

static void problem_free(struct problem *problem) {
    void *arrays[] = {(void *)problem->buffers.query, (void *)problem->buffers.key, (void *)problem->buffers.value,
                      problem->buffers.output, problem->buffers.log_sum_exp,
                      (void *)problem->gradients.output_gradient, problem->gradients.query_gradient,
                      problem->gradients.key_gradient, problem->gradients.value_gradient};
    for (size_t i = 0; i < ARRAY_LENGTH(arrays); i++) free(arrays[i]);
}

/* Forward's results by the definition; returns the loss, sum of output * output_gradient. */
static double define_forward(const struct problem *problem) {
    const struct attention_problem *p = &problem->shape;
    double output[ATTENTION_HEAD_DIM_MAX], magnitude, log_sum_exp, loss = 0;
    for (int64_t row = 0; row < p->batch * p->heads * p->queries; row++) {
        int64_t query = row % p->queries, head = row / p->queries % p->heads, batch = row / p->queries / p->heads;
        size_t first = (size_t)(batch * p->output.batch + head * p->output.head + query * p->output.row);
        attention_reference_row(p, &problem->buffers, batch, head, query, output, &magnitude, &log_sum_exp);
        dtype_store_row(p->dtype, problem->buffers.output, first, (size_t)p->head_dim, output);
        problem->buffers.log_sum_exp[row] = (float)log_sum_exp;
        for (int64_t d = 0; d < p->head_dim; d++)
            loss += output[d] * dtype_load(p->dtype, problem->gradients.output_gradient, first + (size_t)d);
    }
    return loss;
}

/* The loss's derivative by one element, which is left as it was. */
static double difference_quotient(const struct problem *problem, void *tensor, int64_t at) {
    const double step = 1e-4;
    double *element = (double *)tensor + at, kept = *element;
    *element = kept + step;
    double above = define_forward(problem);
    *element = kept - step;
    double below = define_forward(problem);
    *element = kept;
    return (above - below) / (2 * step);
}

/* log_sum_exp is fp32, which gives probabilities about 1e-7 off. */
static void assert_near(double found, double expected) {
    if (!(fabs(found - expected) <= 2e-6 * fmax(1, fabs(expected)))) fail_msg("%.9g, not %.9g", found, expected);
}

static void check_differences(struct attention_problem shape) {
    shape.dtype = DTYPE_fp64;
    attention_pack(&shape);
    struct problem problem = problem_make(&shape);
    const struct attention_problem *p = &shape;
    double gradient[2][ATTENTION_HEAD_DIM_MAX], magnitude[2];
    for (int64_t row = 0; row < p->batch * p->heads * p->queries; row++) {
        int64_t query = row % p->queries, head = row / p->queries % p->heads, batch = row / p->queries / p->heads;
        define_forward(&problem);
        attention_reference_query_gradient(p, &problem.buffers, &problem.gradients, batch, head, query, gradient[0],
                                           magnitude);
        for (int64_t d = 0; d < p->head_dim; d++)
            assert_near(gradient[0][d],
                        difference_quotient(&problem, (void *)problem.buffers.query, row * p->head_dim + d));
    }
    for (int64_t row = 0; row < p->batch * p->kv_heads * p->keys; row++) {
        int64_t key = row % p->keys, head = row / p->keys % p->kv_heads, batch = row / p->keys / p->kv_heads;
        define_forward(&problem);
        attention_reference_key_gradients(p, &problem.buffers, &problem.gradients, batch, head, key, gradient[0],
                                          gradient[1], &magnitude[0], &magnitude[1]);
        for (int64_t d = 0; d < p->head_dim; d++) {
            int64_t at = row * p->head_dim + d;
            assert_near(gradient[0][d], difference_quotient(&problem, (void *)problem.buffers.key, at));
            assert_near(gradient[1][d], difference_quotient(&problem, (void *)problem.buffers.value, at));
        }
    }
    problem_free(&problem);
}

/* A mask by name alone, of pieces alone. */
static bool has_backward(enum mask_name name) {
    struct mask *mask = name == MASK_file ? NULL : mask_new(name, 4, 4, 1);
    bool pieces = mask && mask->grid.query_blocks == 0;
    mask_free(mask);
    return pieces;
}

static void test_central_differences(void **state) {
    (void)state;
    static const int64_t lengths[][2] = {{1, 1}, {5, 5}, {3, 7}, {7, 3}}; /* the last: queries that see nothing */
    for (int name = 0; name < MASK_COUNT; name++)
        for (size_t i = 0; i < ARRAY_LENGTH(lengths) && has_backward((enum mask_name)name); i++) {
            struct mask *mask = mask_new((enum mask_name)name, lengths[i][0], lengths[i][1], 2);
            struct attention_problem shape = backward_shape(2, lengths[i][0], lengths[i][1], 3, mask);
            shape.batch = 2;
            shape.kv_heads = 1 + name % 2;
            check_differences(shape);
            mask_free(mask);
        }
}

static void backward(const struct attention_operator *method, struct problem *problem, bool define) {
    struct attention_plan plan = {0};
    char reason[REASON_SIZE] = "";
    assert_null(method->decline(&problem->shape));
    assert_true(method->prepare(&problem->shape, &plan, reason));
    if (define) define_forward(problem);
    struct attention_gradients *gradients = &problem->gradients;
    gradients->workspace = workspace_new(plan.backward_workspace);
    memset(gradients->query_gradient, 0xff, attention_query_count(&problem->shape) * sizeof(float));
    memset(gradients->key_gradient, 0xff, attention_key_count(&problem->shape) * sizeof(float));
    memset(gradients->value_gradient, 0xff, attention_key_count(&problem->shape) * sizeof(float));
    assert_true(method->backward(&problem->shape, &plan, &problem->buffers, gradients, NULL, reason));
    if (method->release) method->release(&plan);
    free(gradients->workspace);
}

/* |found - reference| / max(|reference|, magnitude), Euclidean over head_dim. */
static double vector_error(const struct attention_problem *p, const void *tensor, int64_t first,
                           const double *reference, double magnitude) {
    struct difference difference = {0};
    for (int64_t d = 0; d < p->head_dim; d++)
        difference_add(&difference, (double)((const float *)tensor)[first + d], reference[d]);
    difference.reference_squared = fmax(difference.reference_squared, magnitude * magnitude);
    return difference_relative(&difference);
}

/* The largest error of all rows of query_gradient, key_gradient, value_gradient. */
static void compare(const struct problem *problem, double error[3]) {
    const struct attention_problem *p = &problem->shape;
    const struct attention_gradients *gradients = &problem->gradients;
    double reference[2][ATTENTION_HEAD_DIM_MAX], magnitude[2], found[3] = {0};
    error[0] = error[1] = error[2] = 0;
    for (int64_t row = 0; row < p->batch * p->heads * p->queries; row++) {
        int64_t query = row % p->queries, head = row / p->queries % p->heads, batch = row / p->queries / p->heads;
        attention_reference_query_gradient(p, &problem->buffers, gradients, batch, head, query, reference[0],
                                           magnitude);
        found[0] = vector_error(p, gradients->query_gradient,
                                batch * p->query.batch + head * p->query.head + query * p->query.row, reference[0],
                                magnitude[0]);
        if (!(found[0] <= error[0])) error[0] = found[0];
    }
    for (int64_t row = 0; row < p->batch * p->kv_heads * p->keys; row++) {
        int64_t key = row % p->keys, head = row / p->keys % p->kv_heads, batch = row / p->keys / p->kv_heads;
        attention_reference_key_gradients(p, &problem->buffers, gradients, batch, head, key, reference[0],
                                          reference[1], &magnitude[0], &magnitude[1]);
        found[1] = vector_error(p, gradients->key_gradient,
                                batch * p->key.batch + head * p->key.head + key * p->key.row, reference[0],
                                magnitude[0]);
        found[2] = vector_error(p, gradients->value_gradient,
                                batch * p->value.batch + head * p->value.head + key * p->value.row, reference[1],
                                magnitude[1]);
        for (int i = 1; i < 3; i++)
            if (!(found[i] <= error[i])) error[i] = found[i];
    }
}

static void check_operator(const struct attention_operator *method, struct problem *problem) {
    double error[3];
    backward(method, problem, true);
    compare(problem, error);
    if (error[0] < 64 * 0x1p-23 && error[1] < 64 * 0x1p-23 && error[2] < 64 * 0x1p-23) return;
    const struct attention_problem *p = &problem->shape;
    fail_msg("%s: queries %d keys %d head_dim %d mask %d: errors %g, %g and %g", method->name, (int)p->queries,
             (int)p->keys, (int)p->head_dim, (int)p->mask->name, error[0], error[1], error[2]);
}

static void check_shape(struct attention_problem shape) {
    attention_pack(&shape);
    struct problem problem = problem_make(&shape);
    for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) check_operator(operators[i], &problem);
    problem_free(&problem);
}

static void test_shapes(void **state) {
    (void)state;
    static const int64_t queries[] = {1, 2, 48, 49, 150}, keys[] = {1, 3, 127, 129, 200};
    static const int64_t head_dims[] = {1, 7, 8, 40, 64};
    int number = 0;
    for (int name = 0; name < MASK_COUNT; name++)
        for (size_t q = 0; q < ARRAY_LENGTH(queries) && has_backward((enum mask_name)name); q++)
            for (size_t k = 0; k < ARRAY_LENGTH(keys); k++, number++) {
                struct mask *mask = mask_new((enum mask_name)name, queries[q], keys[k], number % 2 ? 20 : 130);
                struct attention_problem shape = backward_shape(2, queries[q], keys[k], head_dims[number % 5], mask);
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
    struct attention_problem shape = backward_shape(6, 70, 70, 16, mask);
    shape.batch = shape.threads = 2;
    for (shape.kv_heads = 1; shape.kv_heads <= 6; shape.kv_heads++)
        if (6 % shape.kv_heads == 0) check_shape(shape);
    mask_free(mask);
}

/* A causal mask cut into pieces, so that rows and columns pass through several of them, and begin and end anywhere. */
static void test_lists_of_pieces(void **state) {
    (void)state;
    static const struct mask_piece pieces[] = {{0, 61, 0, 61, MASK_KIND_CAUSAL},
                                               {61, 150, 0, 40, MASK_KIND_FULL},
                                               {61, 150, 40, 61, MASK_KIND_FULL},
                                               {61, 149, 61, 149, MASK_KIND_CAUSAL},
                                               {149, 150, 61, 150, MASK_KIND_FULL}};
    struct mask mask = {.name = MASK_causal,
                        .queries = 150,
                        .keys = 150,
                        .piece_count = ARRAY_LENGTH(pieces),
                        .piece = pieces};
    check_shape(backward_shape(2, 150, 150, 24, &mask));
}

static void test_sees_nothing(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal, 100, 40, 0); /* the first 60 queries stand before every key */
    struct attention_problem shape = backward_shape(1, 100, 40, 8, mask);
    struct problem problem = problem_make(&shape);
    backward(&softmax_tiled, &problem, true);
    const float *gradient = problem.gradients.query_gradient, *output = problem.buffers.output;
    for (int i = 0; i < 60 * 8; i++) assert_true(gradient[i] == 0 && output[i] == 0);
    assert_true(gradient[61 * 8] != 0);
    problem_free(&problem);
    mask_free(mask);
}

/* Scores of 10^4 and more, exact in fp32: probabilities must not overflow on the way. */
static void test_extreme_scores(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_full, 50, 200, 0);
    struct attention_problem shape = backward_shape(1, 50, 200, 16, mask);
    shape.scale = 1;
    struct problem problem = problem_make(&shape);
    float *query = (float *)problem.buffers.query, *key = (float *)problem.buffers.key;
    for (int i = 0; i < 50 * 16; i++) query[i] = i % 16 ? 0 : 4096;
    for (int i = 0; i < 200 * 16; i++) key[i] = i % 16 ? 0 : (float)(i / 16 == 7 ? 24 : 17 + i / 16 % 6);
    backward(&softmax_tiled, &problem, true);
    double error[3];
    compare(&problem, error);
    /* one key has it all: score gradients cancel, query_gradient is 0 up to the roundings of numbers near 10^5 */
    for (int i = 1; i < 3; i++) assert_true(error[i] < 64 * 0x1p-23);
    const float *gradient = problem.gradients.query_gradient;
    for (int i = 0; i < 50 * 16; i++) assert_true(fabsf(gradient[i]) < 1e-3f);
    problem_free(&problem);
    mask_free(mask);
}

/* The same bits from one thread and from three, and call after call. */
static void test_deterministic(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal, 333, 333, 0);
    struct attention_problem shape = backward_shape(4, 333, 333, 32, mask);
    shape.kv_heads = 2;
    attention_pack(&shape);
    struct problem one = problem_make(&shape), three = problem_make(&shape);
    three.shape.threads = 3;
    define_forward(&one);
    define_forward(&three);
    backward(&softmax_tiled, &one, false);
    for (int i = 0; i < 3; i++) {
        backward(&softmax_tiled, &three, false);
        assert_memory_equal(one.gradients.query_gradient, three.gradients.query_gradient, 4 * 333 * 32 * 4);
        assert_memory_equal(one.gradients.key_gradient, three.gradients.key_gradient, 2 * 333 * 32 * 4);
        assert_memory_equal(one.gradients.value_gradient, three.gradients.value_gradient, 2 * 333 * 32 * 4);
    }
    problem_free(&one), problem_free(&three);
    mask_free(mask);
}

static double check_error(const struct problem *problem, double *tolerance) {
    struct verdict verdict;
    attention_check_backward(&problem->shape, &problem->buffers, &problem->gradients, 64, 3, &verdict);
    *tolerance = verdict.tolerance;
    return verdict.error;
}

/* What the programs' check lets pass and what not: any contiguous sixteenth of any result. */
static void test_check(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal_sliding, 200, 200, 90);
    struct attention_problem shape = backward_shape(4, 200, 200, 16, mask);
    shape.kv_heads = 2;
    shape.threads = 2;
    attention_pack(&shape);
    struct problem problem = problem_make(&shape);
    size_t queries = attention_query_count(&shape), keys = attention_key_count(&shape);
    double tolerance;
    backward(&softmax_tiled, &problem, true);
    assert_true(check_error(&problem, &tolerance) <= tolerance);
    assert_true(tolerance < 1e-5);
    void *results[] = {problem.gradients.query_gradient, problem.gradients.key_gradient,
                       problem.gradients.value_gradient, problem.buffers.output};
    size_t counts[] = {queries, keys, keys, queries};
    for (size_t r = 0; r < ARRAY_LENGTH(results); r++)
        for (size_t part = 0; part < 16; part++) {
            size_t size = counts[r] / 16;
            float *damaged = (float *)results[r] + part * size, kept[1000];
            memcpy(kept, damaged, size * sizeof(float));
            for (size_t i = 0; i < size; i++) damaged[i] *= 1.001f;
            assert_true(check_error(&problem, &tolerance) > tolerance);
            for (size_t i = 0; i < size; i++) damaged[i] = NAN;
            assert_true(isnan(check_error(&problem, &tolerance)));
            memcpy(damaged, kept, size * sizeof(float));
        }
    assert_true(check_error(&problem, &tolerance) <= tolerance);
    problem_free(&problem);
    mask_free(mask);
}

static void test_counts(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_causal, 4, 4, 0);
    struct attention_problem shape = backward_shape(6, 4, 4, 8, mask);
    shape.batch = 2;
    shape.kv_heads = 3;
    shape.dtype = DTYPE_bf16;
    assert_true(attention_backward_flops(&shape) == 10.0 * 10 * 8 * 12);
    assert_true(attention_backward_bytes(&shape) == 2.0 * 2 * (4 * 6 + 4 * 3) * 4 * 8 + 4.0 * 2 * 6 * 4);
    mask_free(mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_central_differences), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_grouped_heads),       cmocka_unit_test(test_lists_of_pieces),
        cmocka_unit_test(test_sees_nothing),        cmocka_unit_test(test_extreme_scores),
        cmocka_unit_test(test_deterministic),       cmocka_unit_test(test_check),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
