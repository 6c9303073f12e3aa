/* test_softmax_options.c: bf16, and soft cap, ALiBi, sink, gate and clipping on the host, every row of every head
   against the reference of the programs' check; and that reference against the definition by hand. */
#include "operands.h"

#include <math.h>
#include <string.h>

#include "bench/check.h"

/* Every row against attention_reference_row, which the programs' check uses too: bf16, and the options. */
static void check_with_reference(struct attention_problem shape, double tolerance) {
    struct attention_plan plan = {0};
    char reason[REASON_SIZE] = "";
    size_t queries = attention_query_count(&shape), keys = attention_key_count(&shape), size = dtype_size(shape.dtype);
    size_t rows = queries / (size_t)shape.head_dim;
    float *log_sum_exps = operand_new(DTYPE_fp32, rows, 5, 1);
    float *sink = operand_new(DTYPE_fp32, (size_t)shape.heads, 11, 1), *gate = operand_new(DTYPE_fp32, rows, 12, 2);
    void *query = operand_new(shape.dtype, queries, 1, 1), *key = operand_new(shape.dtype, keys, 2, 1);
    void *value = operand_new(shape.dtype, keys, 3, 1), *output = operand_new(shape.dtype, queries, 4, 1);
    struct attention_buffers buffers = {.query = query, .key = key, .value = value, .output = output,
                                        .log_sum_exp = log_sum_exps, .sink = sink, .gate = gate};
    assert_null(softmax_tiled.decline(&shape));
    assert_true(softmax_tiled.prepare(&shape, &plan, reason));
    buffers.workspace = workspace_new(plan.workspace);
    memset(output, 0xff, queries * size);
    assert_true(softmax_tiled.forward(&shape, &plan, &buffers, NULL, reason));
    for (size_t row = 0; row < rows; row++) {
        double expected[ATTENTION_HEAD_DIM_MAX], magnitude, log_sum_exp;
        int64_t batch = (int64_t)row / shape.queries / shape.heads, head = (int64_t)row / shape.queries % shape.heads;
        attention_reference_row(&shape, &buffers, batch, head, (int64_t)row % shape.queries, expected, &magnitude,
                                &log_sum_exp);
        struct difference difference = {0};
        for (int64_t d = 0; d < shape.head_dim; d++)
            difference_add(&difference, dtype_load(shape.dtype, output, row * (size_t)shape.head_dim + (size_t)d),
                           expected[d]);
        difference.reference_squared = fmax(difference.reference_squared, magnitude * magnitude);
        double found = (double)log_sum_exps[row];
        assert_true(difference_relative(&difference) <= tolerance);
        assert_true(found == log_sum_exp || fabs(found - log_sum_exp) <= 2e-5 * fmax(1, fabs(log_sum_exp)));
    }
    softmax_tiled.release(&plan);
    void *arrays[] = {buffers.workspace, query, key, value, output, sink, gate, log_sum_exps};
    for (size_t i = 0; i < ARRAY_LENGTH(arrays); i++) free(arrays[i]);
}

static void test_options(void **state) {
    (void)state;
    static const struct attention_options options[] = {
        {0},
        {.soft_cap = 2},
        {.alibi = true},
        {.sink = true},
        {.gate = true},
        {.clip_low = -0.02f, .clip_high = 1.02f},
        {.clip_low = -0.001f, .clip_high = 1.5f, .soft_cap = 1, .alibi = true, .sink = true, .gate = true}};
    static const int64_t lengths[][2] = {{1, 1}, {70, 200}, {150, 90}, {49, 257}};
    static const int64_t head_dims[] = {64, 96, 33, 128};
    for (size_t o = 0; o < ARRAY_LENGTH(options); o++)
        for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
            struct mask *mask = mask_new(i % 2 ? MASK_causal_sliding : MASK_causal, lengths[i][0], lengths[i][1], 40);
            struct attention_problem shape = shape_of(4, lengths[i][0], lengths[i][1], head_dims[(o + i) % 4], mask);
            shape.kv_heads = 2;
            shape.batch = 1 + (int64_t)i % 2;
            shape.options = options[o];
            attention_pack(&shape);
            check_with_reference(shape, 64 * 0x1p-23);
            shape.dtype = DTYPE_bf16;
            check_with_reference(shape, 2 * dtype_epsilon(DTYPE_bf16));
            shape.scale = -shape.scale;
            check_with_reference(shape, 2 * dtype_epsilon(DTYPE_bf16));
            mask_free(mask);
        }
}

/* The definition of the options by hand: two keys, one query. */
static void test_option_definitions(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_full, 1, 2, 0);
    struct attention_problem shape = shape_of(1, 1, 2, 1, mask);
    float query = 1, keys[] = {1, 2}, values[] = {1, 0}, sink = 0.5f, gate = 0, log_sum_exp_found;
    struct attention_buffers buffers = {.query = &query, .key = keys, .value = values, .sink = &sink, .gate = &gate,
                                        .log_sum_exp = &log_sum_exp_found};
    double output, magnitude, log_sum_exp;
    shape.scale = 1;
    shape.options = (struct attention_options){.sink = true};
    attention_reference_row(&shape, &buffers, 0, 0, 0, &output, &magnitude, &log_sum_exp);
    assert_true(fabs(output - exp(1) / (exp(1) + exp(2) + exp(0.5))) < 1e-12);
    assert_true(fabs(log_sum_exp - log(exp(1) + exp(2) + exp(0.5))) < 1e-12);
    shape.options = (struct attention_options){.soft_cap = 1, .alibi = true, .gate = true};
    attention_reference_row(&shape, &buffers, 0, 0, 0, &output, &magnitude, &log_sum_exp);
    double first = exp(tanh(1) - 0x1p-8), second = exp(tanh(2));
    assert_true(fabs(output - 0.5 * first / (first + second)) < 1e-12);
    shape.options = (struct attention_options){.clip_low = -0.5f, .clip_high = 1.5f};
    attention_reference_row(&shape, &buffers, 0, 0, 0, &output, &magnitude, &log_sum_exp);
    assert_true(fabs(output - (2 / (1 + exp(1)) - 0.5)) < 1e-12);
    mask_free(mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options), cmocka_unit_test(test_option_definitions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
