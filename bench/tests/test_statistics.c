/* Order statistics against values worked out by hand, and the interval's coverage by simulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench/random.h"
#include "bench/statistics.h"

static void test_small(void **state) {
    (void)state;
    const double samples[] = {5, 1, 3, 2, 4};
    struct timing timing = statistics(samples, 5);
    assert_int_equal(timing.count, 5);
    assert_true(fabs(timing.median - (3)) <= 0);
    assert_true(fabs(timing.minimum - (1)) <= 0);
    assert_true(fabs(timing.p95 - (4.8)) <= 1e-12);
    assert_true(fabs(timing.ci_low - (1)) <= 0);
    assert_true(fabs(timing.ci_high - (5)) <= 0);
    assert_true(fabs(timing.noise - (1.4826 / 3)) <= 1e-12);
}

static void test_even_and_single(void **state) {
    (void)state;
    const double samples[] = {4, 1, 2, 3};
    assert_true(fabs(statistics(samples, 4).median - (2.5)) <= 0);
    struct timing one = statistics(samples, 1);
    assert_true(fabs(one.median - (4)) <= 0);
    assert_true(fabs(one.ci_low - (4)) <= 0);
    assert_true(fabs(one.noise - (0)) <= 0);
    assert_int_equal(statistics(samples, 0).count, 0);
}

/* The interval must hold the true median in about 95 % of trials, for a skewed distribution too. */
static void test_coverage(void **state) {
    (void)state;
    enum { TRIALS = 4000, COUNT = 25 };
    int inside = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double samples[COUNT];
        for (int i = 0; i < COUNT; i++)
            samples[i] = -log(1 - random_uniform(7, (uint64_t)trial, (uint64_t)i)); /* exponential, median ln 2 */
        struct timing timing = statistics(samples, COUNT);
        inside += timing.ci_low <= log(2) && log(2) <= timing.ci_high;
    }
    assert_in_range(inside, (int)(0.94 * TRIALS), (int)(0.995 * TRIALS));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small), cmocka_unit_test(test_even_and_single),
                                       cmocka_unit_test(test_coverage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
