/* The rank test against published values and against counting every way to deal the values out; Holm's correction by
   hand; the level it keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "bench/random.h"
#include "reports/lib/rank_test.h"

static void known_values(void **state) {
    (void)state;
    const double low[] = {1, 2, 3, 4, 5}, high[] = {6, 7, 8, 9, 10};
    const double mixed[] = {1, 2, 3, 4, 6}, upper[] = {5, 7, 8, 9, 10};
    assert_true(fabs(rank_test(low, 5, high, 5) - 2.0 / 252) < 1e-12); /* 0.0079, the least of 5 against 5 */
    assert_true(fabs(rank_test(high, 5, low, 5) - 2.0 / 252) < 1e-12);
    assert_true(fabs(rank_test_least(5, 5) - 2.0 / 252) < 1e-12);
    assert_true(fabs(rank_test(mixed, 5, upper, 5) - 4.0 / 252) < 1e-12); /* U = 1 */
    assert_true(rank_test(low, 5, low, 5) == 1);
    assert_true(fabs(rank_test_least(3, 3) - 0.1) < 1e-12);
    assert_true(fabs(rank_test_least(1, 1) - 1) < 1e-12);
    assert_true(rank_test(low, 0, high, 5) == 1);
}

static double rank_sum(const double *values, int count, unsigned chosen) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
        if (!(chosen >> i & 1)) continue;
        for (int k = 0; k < count; k++) sum += values[k] < values[i] ? 1 : values[k] == values[i] ? 0.5 : 0;
        sum += 0.5;
    }
    return sum;
}

/* With ties, where tables do not hold. */
static void counted_by_hand(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        double values[9];
        int count = 4 + (int)(seed % 6), first = 1 + (int)(seed % 3), ways = 0, extreme = 0;
        for (int i = 0; i < count; i++) values[i] = floor(5 * random_uniform(seed, 1, (uint64_t)i));
        double mean = first * (count + 1) / 2.0;
        double distance = fabs(rank_sum(values, count, (1u << first) - 1) - mean);
        for (unsigned chosen = 0; chosen < 1u << count; chosen++) {
            if (__builtin_popcount(chosen) != first) continue;
            ways++;
            extreme += fabs(rank_sum(values, count, chosen) - mean) >= distance - 1e-9;
        }
        double p = rank_test(values, (size_t)first, values + first, (size_t)(count - first));
        assert_true(fabs(p - (double)extreme / ways) < 1e-12);
    }
}

/* Equal sides are called different at a level as often as the level says: exact (few), and approximately (many). */
static void keeps_its_level(void **state) {
    (void)state;
    static const size_t sizes[] = {7, 40};
    for (size_t s = 0; s < 2; s++) {
        int trials = 2000, called = 0;
        for (int trial = 0; trial < trials; trial++) {
            double values[80];
            for (size_t i = 0; i < 2 * sizes[s]; i++) values[i] = random_normal(3 + s, (uint64_t)trial, i);
            called += rank_test(values, sizes[s], values + sizes[s], sizes[s]) <= 0.05;
        }
        assert_true(called > 0.03 * trials && called < 0.065 * trials);
    }
}

static void holm(void **state) {
    (void)state;
    double p[] = {0.01, NAN, 0.04, 0.03, 0.005};
    const double adjusted[] = {0.03, NAN, 0.06, 0.06, 0.02};
    assert_int_equal(holm_adjust(p, 5), 4);
    for (int i = 0; i < 5; i++) assert_true(isnan(adjusted[i]) ? isnan(p[i]) : fabs(p[i] - adjusted[i]) < 1e-12);
    double one[] = {0.7, 0.9};
    assert_int_equal(holm_adjust(one, 2), 2);
    assert_true(one[0] == 1 && one[1] == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_values), cmocka_unit_test(counted_by_hand),
                                       cmocka_unit_test(keeps_its_level), cmocka_unit_test(holm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
