/* test_pair_times.c: every pair is timed once and found again; the score calls out the one slow pair and no other. The
   process takes the part of one rank of a launch whose size the test sets; a table of timings stands in for the
   harness's own timing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collectives/lib/pair_times.h"

enum { RANKS = 4, SAMPLES = 3 };

static const struct pair slow = {1, 3};
static int timed, called;

static void call(struct run *run) {
    (void)run;
    called++;
}

/* In the place of the harness's: 1 us a call, a few parts in a thousand apart, and ten times that for one pair. */
size_t bench_time_call(struct run *run, void (*function)(struct run *run), double cap, double **seconds) {
    struct pair pair = pair_now();
    double time = 1e-6 * (1 + 1e-3 * ((pair.first + 2 * pair.second) % 5));
    if (pair.first == slow.first && pair.second == slow.second) time *= 10;
    assert_true(cap > 0 && cap <= run->case_timeout / 2);
    function(run);
    timed++;
    *seconds = malloc(SAMPLES * sizeof **seconds);
    assert_non_null(*seconds);
    for (int i = 0; i < SAMPLES; i++) (*seconds)[i] = time;
    return SAMPLES;
}

static struct run launch(const struct variant *variant) {
    return (struct run){.variant = variant, .rank_count = RANKS, .budget = 1, .case_timeout = 60};
}

static void every_pair_is_timed_once(void **state) {
    (void)state;
    static const struct variant ordered = {.name = "ordered"}, unordered = {.name = "unordered"};
    struct run run = launch(&ordered);
    timed = called = 0;
    for (int first = 0; first < RANKS; first++)
        for (int second = 0; second < RANKS; second++) {
            struct pair pair = {first, second};
            if (first == second) continue;
            const struct pair_times *times = pair_times(&run, 8, 0, true, call, pair);
            assert_int_equal(times->pairs, RANKS * (RANKS - 1));
            assert_int_equal(times->count, SAMPLES);
            assert_int_equal(pair_now().first, first);
            assert_int_equal(pair_now().second, second);
            bool is_slow = first == slow.first && second == slow.second;
            assert_true(is_slow ? times->slowness > 3.5 : times->slowness < 3.5);
            assert_true(is_slow ? times->seconds[0] > 9e-6 : times->seconds[0] < 2e-6);
        }
    assert_int_equal(timed, RANKS * (RANKS - 1));
    assert_int_equal(called, 2 * timed); /* once to connect, once by the timing */

    run.variant = &unordered;
    assert_int_equal(pair_times(&run, 8, 0, false, call, slow)->pairs, RANKS * (RANKS - 1) / 2);
    assert_int_equal(timed, RANKS * (RANKS - 1) * 3 / 2);
}

static void another_size_or_pattern_is_timed_anew(void **state) {
    (void)state;
    static const struct variant variant = {.name = "fresh"};
    struct run run = launch(&variant);
    int pairs = RANKS * (RANKS - 1) / 2;
    timed = 0;
    pair_times(&run, 8, 0, false, call, slow);
    assert_int_equal(timed, pairs);
    pair_times(&run, 16, 0, false, call, slow);
    assert_int_equal(timed, 2 * pairs);
    pair_times(&run, 16, 1, false, call, slow);
    assert_int_equal(timed, 3 * pairs);
    pair_times(&run, 16, 1, false, call, slow);
    assert_int_equal(timed, 3 * pairs);
}

static void the_score_is_robust(void **state) {
    (void)state;
    static const double alike[] = {1, 1, 1, 1, 1, 1}, spread[] = {8, 9, 10, 11, 12, 1000};
    assert_float_equal(robust_score(1, alike, 6), 0, 1e-12);
    assert_float_equal(robust_score(1.05, alike, 6), 5, 1e-9); /* all alike: 1 % is one unit */
    /* median 10.5, absolute deviations 2.5 1.5 0.5 0.5 1.5 989.5: median 1.5; the outlier does not widen the scale */
    assert_float_equal(robust_score(1000, spread, 6), (1000 - 10.5) / (1.4826 * 1.5), 1e-6);
    assert_true(robust_score(8, spread, 6) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_is_timed_once),
        cmocka_unit_test(another_size_or_pattern_is_timed_anew),
        cmocka_unit_test(the_score_is_robust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
