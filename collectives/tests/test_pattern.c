/* test_pattern.c: the exactly predictable data: exact in every format and order, told apart by rank and element, and
   compared so that no single wrong element passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "collectives/lib/pattern.h"

enum { ELEMENTS = 257, RANKS_MAX = 600 };

static const int rank_counts[] = {1, 2, 3, 4, 7, 8, 16, 64, 100, 256, RANKS_MAX};
static const enum dtype dtypes[] = {DTYPE_fp64, DTYPE_fp32,     DTYPE_bf16, DTYPE_fp16, DTYPE_fp8_e4m3,
                                    DTYPE_fp8_e5m2, DTYPE_int8, DTYPE_int32, DTYPE_uint8};

static struct pattern make(enum dtype dtype, enum operation operation, int ranks) {
    struct run run = {.seed = 7};
    return pattern_make(&run, dtype, operation, ranks);
}

static double rounded(enum dtype dtype, double value) {
    unsigned char bytes[8];
    dtype_store(dtype, bytes, 0, value);
    return dtype_load(dtype, bytes, 0);
}

static double combine(enum operation operation, double a, double b) {
    switch (operation) {
    case OPERATION_PROD: return a * b;
    case OPERATION_MIN: return a < b ? a : b;
    case OPERATION_MAX: return a > b ? a : b;
    default: return a + b;
    }
}

/* Combines ranks `first` on in a binary tree, every step rounded to the format. */
static double tree(const struct pattern *pattern, int first, int count, uint64_t index) {
    if (count == 1) return pattern_value(pattern, first, index);
    double left = tree(pattern, first, count / 2, index);
    double right = tree(pattern, first + count / 2, count - count / 2, index);
    return rounded(pattern->dtype, combine(pattern->operation, left, right));
}

/* The same as a chain that starts at any rank, as a ring does. */
static double chain(const struct pattern *pattern, int start, uint64_t index) {
    double result = pattern_value(pattern, start, index);
    for (int step = 1; step < pattern->ranks; step++)
        result = rounded(pattern->dtype, combine(pattern->operation, result,
                                                 pattern_value(pattern, (start + step) % pattern->ranks, index)));
    return result;
}

static void values_and_results_are_exact_in_any_order(void **state) {
    (void)state;
    for (size_t d = 0; d < ARRAY_LENGTH(dtypes); d++)
        for (size_t n = 0; n < ARRAY_LENGTH(rank_counts); n++)
            for (enum operation operation = OPERATION_SUM; operation < OPERATION_AVG; operation++) {
                struct pattern pattern = make(dtypes[d], operation, rank_counts[n]);
                assert_true(pattern.tolerance == 0);
                for (uint64_t i = 0; i < 40; i++) {
                    double expected = pattern_reduced(&pattern, i);
                    for (int r = 0; r < rank_counts[n]; r++) {
                        double value = pattern_value(&pattern, r, i);
                        assert_true(rounded(dtypes[d], value) == value);
                    }
                    assert_true(fabs(expected) <= pattern.scale);
                    assert_true(tree(&pattern, 0, rank_counts[n], i) == expected);
                    assert_true(chain(&pattern, (int)i % rank_counts[n], i) == expected);
                }
            }
}

/* As libraries average floating numbers: each rank's value times a rounded 1/n, then added up. */
static void averages_stay_within_the_tolerance(void **state) {
    (void)state;
    for (size_t d = 0; d < ARRAY_LENGTH(dtypes); d++) {
        if (dtype_is_integer(dtypes[d])) continue;
        for (size_t n = 0; n < ARRAY_LENGTH(rank_counts); n++) {
            struct pattern pattern = make(dtypes[d], OPERATION_AVG, rank_counts[n]);
            bool power_of_two = (rank_counts[n] & (rank_counts[n] - 1)) == 0;
            assert_int_equal(pattern.tolerance == 0, power_of_two);
            double share = rounded(dtypes[d], 1.0 / rank_counts[n]);
            for (uint64_t i = 0; i < 40; i++) {
                double sum = 0;
                for (int r = 0; r < rank_counts[n]; r++)
                    sum = rounded(dtypes[d], sum + rounded(dtypes[d], share * pattern_value(&pattern, r, i)));
                assert_true(fabs(sum - pattern_reduced(&pattern, i)) / pattern.scale <= pattern.tolerance);
            }
        }
    }
}

static void integer_averages_round_one_way_only(void **state) {
    (void)state;
    struct pattern pattern = make(DTYPE_int8, OPERATION_AVG, 3);
    for (int i = 0; i < ELEMENTS; i++) {
        int sum = 0;
        for (int r = 0; r < 3; r++) sum += (int)pattern_value(&pattern, r, (uint64_t)i);
        assert_in_range(sum, 0, INT8_MAX);
        assert_true(pattern_reduced(&pattern, (uint64_t)i) == sum / 3);
    }
}

static void inputs_differ_by_rank_element_and_seed(void **state) {
    (void)state;
    struct pattern pattern = make(DTYPE_fp32, OPERATION_SUM, 8), other = pattern;
    other.seed++;
    int same_rank = 0, same_element = 0, same_seed = 0;
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        double value = pattern_value(&pattern, 3, i);
        same_rank += value == pattern_value(&pattern, 4, i);
        same_element += value == pattern_value(&pattern, 3, i + 1);
        same_seed += value == pattern_value(&other, 3, i);
    }
    assert_true(same_rank < 3 && same_element < 3 && same_seed < 3);
}

/* A rank whose contribution is lost must show, in every format, also with more ranks than the format can count. */
static void a_lost_rank_shows(void **state) {
    (void)state;
    for (size_t d = 0; d < ARRAY_LENGTH(dtypes); d++)
        for (size_t n = 1; n < ARRAY_LENGTH(rank_counts); n++) {
            struct pattern pattern = make(dtypes[d], OPERATION_SUM, rank_counts[n]);
            for (int lost = 0; lost < rank_counts[n]; lost += rank_counts[n] / 2) {
                int shown = 0;
                for (uint64_t i = 0; i < 4 * RANKS_MAX; i++) shown += pattern_value(&pattern, lost, i) != 0;
                assert_true(shown > 0);
            }
        }
}

static void fill_holds_the_values_and_error_accepts_them(void **state) {
    (void)state;
    for (size_t d = 0; d < ARRAY_LENGTH(dtypes); d++) {
        struct pattern pattern = make(dtypes[d], OPERATION_MOVE, 4);
        unsigned char array[ELEMENTS * 8];
        pattern_fill(&pattern, 2, array, ELEMENTS, 2);
        struct origin origin = {.reduced = false, .source = 2, .block = ELEMENTS};
        assert_true(pattern_error(&pattern, &origin, array, ELEMENTS, 2) == 0);
        origin.source = 1;
        assert_true(pattern_error(&pattern, &origin, array, ELEMENTS, 2) > 0);
    }
}

static void every_changed_element_is_found(void **state) {
    (void)state;
    struct pattern pattern = make(DTYPE_fp32, OPERATION_SUM, 3);
    struct origin origin = {.reduced = true, .block = ELEMENTS};
    float array[ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++) array[i] = (float)pattern_reduced(&pattern, (uint64_t)i);
    assert_true(pattern_error(&pattern, &origin, array, ELEMENTS, 2) == 0);
    for (int i = 0; i < ELEMENTS; i++) {
        float kept = array[i];
        ((unsigned char *)&array[i])[i % 4] ^= 0x55;
        assert_true(pattern_error(&pattern, &origin, array, ELEMENTS, 2) > 0);
        array[i] = NAN;
        assert_true(isinf(pattern_error(&pattern, &origin, array, ELEMENTS, 2)));
        array[i] = kept;
    }
    memset(array, 0xff, sizeof array); /* what an output looks like that nobody wrote */
    assert_true(isinf(pattern_error(&pattern, &origin, array, ELEMENTS, 1)));
}

/* Origins as the collectives use them, against outputs put together by hand from the ranks' inputs. */
static void origins_describe_the_collectives(void **state) {
    (void)state;
    enum { N = 4, SHARE = 10, TOTAL = N * SHARE, ME = 2 };
    struct pattern move = make(DTYPE_int32, OPERATION_MOVE, N), sum = make(DTYPE_int32, OPERATION_SUM, N);
    int32_t gathered[TOTAL], exchanged[TOTAL], scattered[SHARE];
    for (int r = 0; r < N; r++)
        for (int k = 0; k < SHARE; k++) {
            gathered[r * SHARE + k] = (int32_t)pattern_value(&move, r, (uint64_t)k);
            exchanged[r * SHARE + k] = (int32_t)pattern_value(&move, r, (uint64_t)(ME * SHARE + k));
        }
    for (int k = 0; k < SHARE; k++) {
        scattered[k] = 0;
        for (int r = 0; r < N; r++) scattered[k] += (int32_t)pattern_value(&sum, r, (uint64_t)(ME * SHARE + k));
    }
    struct origin all_gather = {false, 0, SHARE, 0}, all_to_all = {false, 0, SHARE, ME * SHARE},
                  reduce_scatter = {true, 0, SHARE, ME * SHARE};
    assert_true(pattern_error(&move, &all_gather, gathered, TOTAL, 1) == 0);
    assert_true(pattern_error(&move, &all_to_all, exchanged, TOTAL, 1) == 0);
    assert_true(pattern_error(&sum, &reduce_scatter, scattered, SHARE, 1) == 0);
    assert_true(pattern_error(&move, &all_to_all, gathered, TOTAL, 1) > 0);
}

static void zeros_are_zeros(void **state) {
    (void)state;
    struct run run = {.seed = 7, .zeros = true};
    for (enum operation operation = OPERATION_SUM; operation <= OPERATION_MOVE; operation++) {
        struct pattern pattern = pattern_make(&run, DTYPE_fp16, operation, 4);
        for (uint64_t i = 0; i < ELEMENTS; i++) assert_true(pattern_reduced(&pattern, i) == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_results_are_exact_in_any_order),
        cmocka_unit_test(averages_stay_within_the_tolerance),
        cmocka_unit_test(integer_averages_round_one_way_only),
        cmocka_unit_test(inputs_differ_by_rank_element_and_seed),
        cmocka_unit_test(a_lost_rank_shows),
        cmocka_unit_test(fill_holds_the_values_and_error_accepts_them),
        cmocka_unit_test(every_changed_element_is_found),
        cmocka_unit_test(origins_describe_the_collectives),
        cmocka_unit_test(zeros_are_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
