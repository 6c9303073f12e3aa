/* Comparisons: a NaN is never right, right products pass in every format and layout, one wrong element fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "bench/blas.h"
#include "bench/check.h"
#include "bench/random.h"

static void test_difference(void **state) {
    (void)state;
    struct difference exact = {0}, off = {0}, zero = {0}, nan = {0}, nan_reference = {0}, infinite = {0}, none = {0};
    for (int i = 1; i <= 4; i++) {
        difference_add(&exact, i, i);
        difference_add(&off, i + 0.1, i);
        difference_add(&zero, i == 3 ? -0.25 : 0, 0);
        difference_add(&nan, i == 2 ? NAN : i, i);
        difference_add(&nan_reference, i, i == 4 ? NAN : i);
        difference_add(&infinite, i == 1 ? INFINITY : i, i);
    }
    assert_true(difference_relative(&exact) == 0);
    assert_true(fabs(difference_relative(&off) - 0.2 / sqrt(30)) < 1e-12);
    assert_true(fabs(off.largest - 0.1) < 1e-12);
    assert_true(difference_relative(&zero) == 0.25);
    assert_true(isnan(difference_relative(&nan)) && isnan(nan.largest));
    assert_true(isnan(difference_relative(&nan_reference)));
    assert_false(difference_relative(&infinite) <= 1e300);
    assert_true(difference_relative(&none) == 0);
    struct difference nan_and_zero = {0};
    difference_add(&nan_and_zero, NAN, 0);
    difference_add(&nan_and_zero, 5, 0);
    assert_true(isnan(difference_relative(&nan_and_zero)));
    struct difference same_infinity = {0}; /* an infinite reference would hide every other error: no verdict */
    difference_add(&same_infinity, INFINITY, INFINITY);
    assert_true(isnan(difference_relative(&same_infinity)));
}

static void test_sample_rows(void **state) {
    (void)state;
    int64_t row[100];
    assert_int_equal(sample_rows(5, 32, 1, row), 5);
    for (int64_t i = 0; i < 5; i++)
        assert_int_equal(row[i], i);
    assert_int_equal(sample_rows(0, 32, 1, row), 0);
    assert_int_equal(sample_rows(10, 0, 1, row), 0);
    for (int64_t rows = 32; rows < 700; rows++) {
        int64_t count = sample_rows(rows, 32, (uint64_t)rows, row), sixteenth = rows / 16;
        assert_int_equal(count, 32);
        for (int64_t i = 1; i < count; i++)
            assert_true(row[i] > row[i - 1]);
        assert_true(row[0] >= 0 && row[count - 1] < rows);
        for (int64_t first = 0, next = 0; first + sixteenth <= rows; first++) { /* every contiguous sixteenth is hit */
            while (next < count && row[next] < first)
                next++;
            assert_true(next < count && row[next] < first + sixteenth);
        }
    }
    int64_t huge = INT64_MAX - 3, again[64], other[64], differ = 0;
    assert_int_equal(sample_rows(huge, 64, 1, row), 64);
    assert_true(row[0] >= 0 && row[63] < huge && row[63] > huge / 64 * 62);
    sample_rows(huge, 64, 1, again);
    sample_rows(huge, 64, 2, other);
    assert_memory_equal(row, again, sizeof again);
    for (int i = 0; i < 64; i++)
        differ += row[i] != other[i];
    assert_true(differ > 32);
}

/* One product C = alpha A B with every sum in double, rounded once to the output's format. */
struct product {
    struct matrix a, b, c;
    double alpha;
};

static struct matrix make_matrix(int64_t rows, int64_t columns, enum dtype dtype, bool transposed, uint64_t stream) {
    int64_t leading = (transposed ? rows : columns) + 5, lines = transposed ? columns : rows;
    struct run run = {.seed = 77, .threads = 1};
    void *data = malloc((size_t)(leading * lines) * dtype_size(dtype));
    assert_non_null(data);
    random_fill(&run, dtype, data, (size_t)(leading * lines), stream);
    return (struct matrix){data, dtype, rows, columns, leading, transposed};
}

static size_t place(const struct matrix *m, int64_t i, int64_t j) {
    return (size_t)(m->transposed ? j * m->leading + i : i * m->leading + j);
}

static double element(const struct matrix *m, int64_t i, int64_t j) {
    return dtype_load(m->dtype, m->data, place(m, i, j));
}

static void set_element(struct matrix *m, int64_t i, int64_t j, double value) {
    dtype_store(m->dtype, (void *)m->data, place(m, i, j), value);
}

static void fill_product(struct product *p) {
    for (int64_t i = 0; i < p->c.rows; i++) {
        for (int64_t j = 0; j < p->c.columns; j++) {
            double sum = 0;
            for (int64_t k = 0; k < p->a.columns; k++)
                sum += element(&p->a, i, k) * element(&p->b, k, j);
            set_element(&p->c, i, j, p->alpha * sum);
        }
    }
}

static void release_product(struct product *p) {
    free((void *)p->a.data);
    free((void *)p->b.data);
    free((void *)p->c.data);
}

static double error_of(const struct product *p) {
    return freivalds_error(p->a, p->b, p->c, p->alpha, 2, 11);
}

static void test_right_products(void **state) {
    (void)state;
    static const struct {
        enum dtype input, output;
    } formats[] = {{DTYPE_fp64, DTYPE_fp64},     {DTYPE_fp32, DTYPE_fp32},     {DTYPE_tf32, DTYPE_fp32},
                   {DTYPE_bf16, DTYPE_bf16},     {DTYPE_fp16, DTYPE_fp16},     {DTYPE_fp8_e4m3, DTYPE_bf16},
                   {DTYPE_fp8_e4m3, DTYPE_fp16}, {DTYPE_fp8_e5m2, DTYPE_fp32}, {DTYPE_int8, DTYPE_int32},
                   {DTYPE_uint8, DTYPE_int32}};
    static const double alphas[] = {1, -0.5};
    for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
        for (int layout = 0; layout < 8; layout++) {
            bool exact = dtype_is_integer(formats[f].output);
            struct product p = {make_matrix(35, 131, formats[f].input, layout & 1, 0),
                                make_matrix(131, 141, formats[f].input, layout >> 1 & 1, 1),
                                make_matrix(35, 141, formats[f].output, layout >> 2 & 1, 2),
                                exact ? 1 : alphas[layout % 2]};
            fill_product(&p);
            double error = error_of(&p), epsilon = dtype_epsilon(formats[f].output);
            assert_true(error <= freivalds_tolerance(formats[f].output, formats[f].output, 131));
            if (formats[f].output != DTYPE_fp64) /* there the test's own sums round as much as the product's */
                assert_true(error <= 2 * epsilon);
            if (!exact)
                assert_true(error >= epsilon / 50);
            release_product(&p);
        }
    }
}

/* Narrow outputs, of more columns than one section holds: roundings must not add up to an alarm. */
static void test_wide_narrow_outputs(void **state) {
    (void)state;
    static const enum dtype outputs[] = {DTYPE_bf16, DTYPE_fp16, DTYPE_fp8_e5m2};
    for (size_t i = 0; i < ARRAY_LENGTH(outputs); i++) {
        struct product p = {make_matrix(40, 33, DTYPE_bf16, false, 0), make_matrix(33, 1501, DTYPE_bf16, false, 1),
                            make_matrix(40, 1501, outputs[i], false, 2), 1};
        fill_product(&p);
        assert_true(error_of(&p) <= freivalds_tolerance(outputs[i], DTYPE_fp32, 33));
        release_product(&p);
    }
}

static void test_single_wrong_element(void **state) {
    (void)state;
    static const enum dtype outputs[] = {DTYPE_fp32, DTYPE_bf16, DTYPE_fp16};
    for (size_t f = 0; f < ARRAY_LENGTH(outputs); f++) {
        struct product p = {make_matrix(45, 64, DTYPE_bf16, false, 0), make_matrix(64, 700, DTYPE_bf16, true, 1),
                            make_matrix(45, 700, outputs[f], false, 2), 1};
        fill_product(&p);
        double tolerance = freivalds_tolerance(outputs[f], DTYPE_fp32, 64);
        assert_true(error_of(&p) <= tolerance);
        /* As check.h has it: seen when off by more than tolerance * sqrt(columns of a section) * the row's root mean
           square, which is 8 here; 1.5 for what rounding takes away. */
        double enough = 1.5 * tolerance * sqrt(350) * 8;
        static const int64_t where[][2] = {{0, 0}, {44, 699}, {31, 349}, {32, 350}, {7, 128}};
        for (size_t i = 0; i < ARRAY_LENGTH(where); i++) {
            double right = element(&p.c, where[i][0], where[i][1]);
            set_element(&p.c, where[i][0], where[i][1], right + enough);
            assert_true(error_of(&p) > tolerance);
            set_element(&p.c, where[i][0], where[i][1], NAN);
            assert_true(isnan(error_of(&p)));
            set_element(&p.c, where[i][0], where[i][1], INFINITY);
            assert_false(error_of(&p) <= tolerance);
            set_element(&p.c, where[i][0], where[i][1], right);
        }
        assert_true(error_of(&p) <= tolerance);
        release_product(&p);
    }
}

static void test_integers_are_exact(void **state) {
    (void)state;
    struct product p = {make_matrix(33, 200, DTYPE_int8, false, 0), make_matrix(200, 150, DTYPE_int8, false, 1),
                        make_matrix(33, 150, DTYPE_int32, false, 2), 1};
    fill_product(&p);
    assert_true(freivalds_tolerance(DTYPE_int32, DTYPE_int32, 200) == 0);
    assert_true(error_of(&p) == 0);
    set_element(&p.c, 20, 149, element(&p.c, 20, 149) + 1);
    assert_true(error_of(&p) > 0);
    release_product(&p);
}

static void test_wrong_everywhere(void **state) {
    (void)state;
    struct product p = {make_matrix(50, 60, DTYPE_fp32, false, 0), make_matrix(60, 70, DTYPE_fp32, false, 1),
                        make_matrix(50, 70, DTYPE_fp32, false, 2), 1};
    assert_true(error_of(&p) > 0.5); /* C is random */
    fill_product(&p);
    p.alpha = 1.001;
    assert_true(error_of(&p) > 1e-4);
    p.alpha = 1;
    for (int64_t j = 0; j < 70; j++) { /* two rows exchanged */
        double one = element(&p.c, 3, j), other = element(&p.c, 4, j);
        set_element(&p.c, 3, j, other);
        set_element(&p.c, 4, j, one);
    }
    assert_true(error_of(&p) > 0.5);
    for (int64_t i = 0; i < 50; i++)
        for (int64_t j = 0; j < 70; j++)
            set_element(&p.c, i, j, 0);
    assert_true(error_of(&p) > 0.5);
    struct matrix narrow = p.b;
    narrow.columns = 69;
    assert_true(isnan(freivalds_error(p.a, narrow, p.c, 1, 2, 1)));
    narrow = p.b;
    narrow.rows = 59;
    assert_true(isnan(freivalds_error(p.a, narrow, p.c, 1, 2, 1)));
    assert_true(isnan(freivalds_error(p.a, p.b, p.c, 1, 0, 1)));
    set_element(&p.a, 9, 9, NAN);
    fill_product(&p);
    assert_true(isnan(error_of(&p)));
    release_product(&p);
}

static void test_small_and_zero(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1}, {1, 500, 1}, {1, 1, 900}, {900, 1, 1}, {33, 129, 513}};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        int64_t m = shapes[i][0], k = shapes[i][1], n = shapes[i][2];
        struct product p = {make_matrix(m, k, DTYPE_fp32, false, 0), make_matrix(k, n, DTYPE_fp32, false, 1),
                            make_matrix(m, n, DTYPE_fp32, false, 2), 2};
        fill_product(&p);
        assert_true(error_of(&p) <= freivalds_tolerance(DTYPE_fp32, DTYPE_fp32, k));
        set_element(&p.c, m - 1, n - 1, element(&p.c, m - 1, n - 1) + 10);
        assert_true(error_of(&p) > freivalds_tolerance(DTYPE_fp32, DTYPE_fp32, k));
        for (int64_t row = 0; row < m; row++)
            for (int64_t j = 0; j < k; j++)
                set_element(&p.a, row, j, 0);
        fill_product(&p);
        assert_true(error_of(&p) == 0);
        set_element(&p.c, 0, 0, 1e-6); /* where the right answer is 0 nothing else is right */
        assert_true(error_of(&p) > 0.01);
        release_product(&p);
    }
}

/* Sums kept in fp32, by the library that makes them: positive data, whose partial sums only grow, is the hard case. */
static void test_accumulation(void **state) {
    (void)state;
    enum { SIZE = 200, INNER = 3000 };
    for (int positive = 0; positive < 2; positive++) {
        struct product p = {make_matrix(SIZE, INNER, DTYPE_fp32, false, 0),
                            make_matrix(INNER, SIZE, DTYPE_fp32, true, 1),
                            make_matrix(SIZE, SIZE, DTYPE_fp32, false, 2), 0.75};
        for (int64_t i = 0; positive && i < SIZE; i++)
            for (int64_t k = 0; k < INNER; k++) {
                set_element(&p.a, i, k, fabs(element(&p.a, i, k)));
                set_element(&p.b, k, i, fabs(element(&p.b, k, i)));
            }
        blas_gemm_fp32(false, true, SIZE, SIZE, INNER, 0.75f, p.a.data, p.a.leading, p.b.data, p.b.leading, 0,
                       (float *)p.c.data, p.c.leading);
        assert_true(error_of(&p) <= freivalds_tolerance(DTYPE_fp32, DTYPE_fp32, INNER));
        release_product(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_difference),           cmocka_unit_test(test_sample_rows),
        cmocka_unit_test(test_right_products),       cmocka_unit_test(test_wide_narrow_outputs),
        cmocka_unit_test(test_single_wrong_element), cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_wrong_everywhere),     cmocka_unit_test(test_small_and_zero),
        cmocka_unit_test(test_accumulation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
