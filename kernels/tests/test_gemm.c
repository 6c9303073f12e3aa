/* test_gemm.c: the shapes of lib/gemm_problem.h against the paper's list, its data, and its check: right products pass
   in every format, and damaged ones do not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/check.h"
#include "kernels/lib/gemm_direct.h"
#include "kernels/lib/gemm_problem.h"

static const enum dtype formats[] = {DTYPE_fp64, DTYPE_fp32,     DTYPE_tf32, DTYPE_bf16,
                                     DTYPE_fp16, DTYPE_fp8_e4m3, DTYPE_int8};

static void shapes_are_those_of_a_layer(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t m, n, k;
    } expected[] = {
        {"square", 4096, 4096, 4096},           {"qkv", 8192, 12288, 4096},    {"attention_output", 8192, 4096, 4096},
        {"mlp_up", 8192, 16384, 4096},          {"mlp_down", 8192, 4096, 16384}, {"logits", 8192, 50304, 4096},
    };
    assert_int_equal(GEMM_SHAPE_COUNT, ARRAY_LENGTH(expected));
    assert_null(gemm_shape_names[GEMM_SHAPE_COUNT]);
    for (int s = 0; s < GEMM_SHAPE_COUNT; s++) {
        struct gemm_problem p = gemm_problem_make((enum gemm_shape)s, 4096, 8192, DTYPE_bf16, 1, false);
        assert_string_equal(gemm_shape_names[s], expected[s].name);
        assert_int_equal(p.m, expected[s].m);
        assert_int_equal(p.n, expected[s].n);
        assert_int_equal(p.k, expected[s].k);
    }
}

/* arXiv 2401.14489: a layer's products without attention's own take 24 b s h^2 FLOPs in the forward pass. */
static void layer_flops_add_up(void **state) {
    (void)state;
    double tokens = 8192, hidden = 4096, sum = 0;
    for (int s = GEMM_SHAPE_qkv; s <= GEMM_SHAPE_mlp_down; s++) {
        struct gemm_problem p = gemm_problem_make((enum gemm_shape)s, 4096, 8192, DTYPE_bf16, 1, false);
        sum += gemm_flops(&p);
    }
    assert_true(sum == 24 * tokens * hidden * hidden);
}

static void formats_of_the_output(void **state) {
    (void)state;
    static const enum dtype output[] = {DTYPE_fp64, DTYPE_fp32, DTYPE_fp32, DTYPE_bf16,
                                        DTYPE_fp16, DTYPE_bf16, DTYPE_int32};
    static const double bytes[] = {8 + 8 + 8, 4 + 4 + 4, 4 + 4 + 4, 2 + 2 + 2, 2 + 2 + 2, 1 + 1 + 2, 1 + 1 + 4};
    for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
        struct gemm_problem p = gemm_problem_make(GEMM_SHAPE_square, 128, 1, formats[f], 1, false);
        assert_int_equal(p.output, output[f]);
        assert_true(gemm_bytes(&p) == 128 * 128 * bytes[f]);
    }
}

static void elements_are_scaled_normal_numbers(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
        struct gemm_problem p = gemm_problem_make(GEMM_SHAPE_square, 256, 1, formats[f], 7, false);
        double sum = 0, squares = 0, products = 0;
        for (uint64_t i = 0; i < COUNT; i++) {
            double a = gemm_element(&p, GEMM_A, i) / p.factor, b = gemm_element(&p, GEMM_B, i) / p.factor;
            assert_true(fabs(a) < 6.9);
            sum += a;
            squares += a * a;
            products += a * b;
        }
        /* five standard errors; rounding to 3 bits and to whole sixteenths widens the variance by less than 1 % */
        assert_true(fabs(sum / COUNT) < 5 / sqrt(COUNT));
        assert_true(fabs(squares / COUNT - 1) < 5 * sqrt(2.0 / COUNT) + 0.01);
        assert_true(fabs(products / COUNT) < 5 / sqrt(COUNT)); /* A and B are independent */
        p.zeros = true;
        assert_true(gemm_element(&p, GEMM_A, 3) == 0);
    }
}

/* By the words of gemm_problem.h. */
static double scale(const struct gemm_problem *p, enum gemm_operand operand, int64_t row, int64_t q) {
    enum gemm_scaling scaling = operand == GEMM_A ? p->scaling_a : p->scaling_b;
    int64_t block_row = scaling == GEMM_SCALE_128X128 ? row / 128 : row;
    if (scaling == GEMM_SCALE_TENSOR) return 1;
    return (double)gemm_scale(p->seed, operand, p->factor, block_row, scaling == GEMM_SCALE_ROW ? 0 : q / 128);
}

/* C of a problem with every element rounded once to the output's format: as right as the format allows. */
static double *right_product(const struct gemm_problem *p) {
    double *a = malloc((size_t)(p->m * p->k) * sizeof *a), *b = malloc((size_t)(p->k * p->n) * sizeof *b);
    double *c = malloc((size_t)(p->m * p->n) * sizeof *c);
    assert_true(a != NULL && b != NULL && c != NULL);
    for (int64_t i = 0; i < p->m * p->k; i++) a[i] = gemm_element(p, GEMM_A, (uint64_t)i);
    for (int64_t i = 0; i < p->k * p->n; i++) b[i] = gemm_element(p, GEMM_B, (uint64_t)i);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0, stored;
            for (int64_t q = 0; q < p->k; q++)
                sum += a[i * p->k + q] * scale(p, GEMM_A, i, q) * scale(p, GEMM_B, j, q) *
                       b[p->b_transposed ? j * p->k + q : q * p->n + j];
            dtype_store(p->output, &stored, 0, p->alpha * sum);
            c[i * p->n + j] = dtype_load(p->output, &stored, 0);
        }
    free(a);
    free(b);
    return c;
}

static void right_entries_pass_and_wrong_ones_do_not(void **state) {
    (void)state;
    enum { ENTRIES = 64 };
    for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
        struct gemm_problem p = gemm_problem_make(GEMM_SHAPE_qkv, 48, 40, formats[f], 3, false);
        double *c = right_product(&p), value[ENTRIES];
        int64_t entry[ENTRIES];
        assert_int_equal(sample_rows(p.m * p.n, ENTRIES, 5, entry), ENTRIES);
        for (int s = 0; s < ENTRIES; s++) value[s] = c[entry[s]];
        double tolerance = gemm_tolerance(&p, false);
        assert_true(gemm_entries_error(&p, entry, value, ENTRIES) <= tolerance);
        double kept = value[20];
        value[20] += p.alpha * p.factor * p.factor * sqrt((double)p.k) * (4 * tolerance + 0.01) + fabs(kept) * 0.1;
        assert_true(gemm_entries_error(&p, entry, value, ENTRIES) > tolerance);
        value[20] = NAN;
        assert_true(isnan(gemm_entries_error(&p, entry, value, ENTRIES)));
        value[20] = kept;
        value[41] = c[entry[41] + 1]; /* a neighbour's value: finite, of the right size, and wrong */
        assert_true(gemm_entries_error(&p, entry, value, ENTRIES) > tolerance);
        free(c);
    }
}

static void finer_scales_are_part_of_the_product(void **state) {
    (void)state;
    enum { ENTRIES = 64 };
    static const enum gemm_scaling scalings[] = {GEMM_SCALE_ROW, GEMM_SCALE_1X128, GEMM_SCALE_128X128};
    for (size_t f = 0; f < ARRAY_LENGTH(scalings); f++) {
        struct gemm_problem p = gemm_problem_sized(40, 272, 400, DTYPE_fp8_e4m3, true, 5, false);
        p.scaling_a = scalings[f] == GEMM_SCALE_128X128 ? GEMM_SCALE_1X128 : scalings[f];
        p.scaling_b = scalings[f];
        p.alpha = 1;
        double *c = right_product(&p), value[ENTRIES];
        int64_t entry[ENTRIES];
        sample_rows(p.m * p.n, ENTRIES, 5, entry);
        for (int s = 0; s < ENTRIES; s++) value[s] = c[entry[s]];
        double tolerance = gemm_tolerance(&p, false);
        assert_true(gemm_entries_error(&p, entry, value, ENTRIES) <= tolerance);
        p.scaling_a = GEMM_SCALE_TENSOR; /* a library that forgets the scales of A, or gives all the same */
        p.alpha = 1.5 / p.factor;
        assert_true(gemm_entries_error(&p, entry, value, ENTRIES) > 2 * tolerance);
        free(c);
    }
}

static void scales_lie_as_the_library_wants_them(void **state) {
    (void)state;
    struct gemm_problem p = gemm_problem_sized(40, 272, 640, DTYPE_fp8_e4m3, true, 5, false);
    p.scaling_a = GEMM_SCALE_1X128;
    p.scaling_b = GEMM_SCALE_128X128;
    struct gemm_scale_grid a = gemm_scale_grid(&p, GEMM_A), b = gemm_scale_grid(&p, GEMM_B);
    assert_int_equal(a.rows, 40);
    assert_int_equal(a.columns, 5);
    assert_int_equal(a.row_stride, 1);
    assert_int_equal(a.k_stride, 40);
    assert_int_equal(a.count, 200);
    assert_int_equal(b.rows, 3);
    assert_int_equal(b.columns, 5);
    assert_int_equal(b.row_stride, 8); /* 5, to a multiple of 4 */
    assert_int_equal(b.k_stride, 1);
    assert_int_equal(b.count, 24);
    p.scaling_b = GEMM_SCALE_ROW;
    b = gemm_scale_grid(&p, GEMM_B);
    assert_int_equal(b.count, 272);
    assert_int_equal(b.k_block, 640);
    p.scaling_b = GEMM_SCALE_TENSOR;
    assert_int_equal(gemm_scale_grid(&p, GEMM_B).count, 1);
}

static void zeros_make_zero_and_nothing_else(void **state) {
    (void)state;
    struct gemm_problem p = gemm_problem_make(GEMM_SHAPE_square, 32, 1, DTYPE_fp32, 1, true);
    const int64_t entry[] = {0, 500};
    assert_true(gemm_entries_error(&p, entry, (const double[]){0, 0}, 2) == 0);
    assert_false(gemm_entries_error(&p, entry, (const double[]){0, 1e-30}, 2) <= gemm_tolerance(&p, false));
}

/* A tolerance near 1 would pass noise: a random row gives an error of about 1. */
static void tolerances_stay_far_below_noise(void **state) {
    (void)state;
    for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
        for (int64_t size = 64; size <= 16384; size *= 2) {
            struct gemm_problem p = gemm_problem_make(GEMM_SHAPE_mlp_down, size, 64, formats[f], 1, false);
            double plain = gemm_tolerance(&p, false), fast = gemm_tolerance(&p, true);
            assert_true(plain < 0.03);
            assert_true(fast < 0.3 && fast >= plain);
            assert_true(formats[f] == DTYPE_int8 ? plain == 0 : plain >= 2 * dtype_epsilon(p.output));
        }
    }
}

static void direct_calls_give_the_product(void **state) {
    (void)state;
    const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, 0, 2, 0, 1, 3, 1, 1, 1}; /* 2 x 3 and 3 x 3 */
    const double expected[] = {4, 5, 11, 10, 11, 29};
    float a32[6], b32[9], c32[6];
    double c[6];
    for (int i = 0; i < 6; i++) a32[i] = (float)a[i];
    for (int i = 0; i < 9; i++) b32[i] = (float)b[i];
    gemm_direct_fp64(2, 3, 3, a, b, c);
    gemm_direct_fp32(2, 3, 3, a32, b32, c32);
    for (int i = 0; i < 6; i++) {
        assert_true(c[i] == expected[i]);
        assert_true(c32[i] == (float)expected[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_a_layer),
        cmocka_unit_test(layer_flops_add_up),
        cmocka_unit_test(formats_of_the_output),
        cmocka_unit_test(elements_are_scaled_normal_numbers),
        cmocka_unit_test(right_entries_pass_and_wrong_ones_do_not),
        cmocka_unit_test(finer_scales_are_part_of_the_product),
        cmocka_unit_test(scales_lie_as_the_library_wants_them),
        cmocka_unit_test(zeros_make_zero_and_nothing_else),
        cmocka_unit_test(tolerances_stay_far_below_noise),
        cmocka_unit_test(direct_calls_give_the_product),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
