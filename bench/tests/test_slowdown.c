/* --inject-slowdown on the host: a sample lasts its own time and the share asked for on top, no less, and nothing is
   added where it is not asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "bench/session.h"

const struct bench bench = {.suite = "bench", .name = "test_slowdown"};

static void spin(double seconds) {
    double end = bench_seconds() + seconds;
    while (bench_seconds() < end) continue;
}

static void waits_for_its_share(void **state) {
    (void)state;
    static const double shares[] = {0.03, 0.5, 3};
    for (size_t i = 0; i < ARRAY_LENGTH(shares); i++) {
        struct options options = {.slowdown = shares[i]};
        struct session session = {.options = &options};
        double start = bench_seconds();
        spin(2e-3);
        double spent = bench_seconds() - start;
        slowdown_wait(&session, start);
        assert_true(bench_seconds() - start >= spent * (1 + shares[i]));
    }
}

static void says_so(void **state) {
    (void)state;
    struct options options = {.slowdown = 0.05};
    struct variant variant = {.name = "v"};
    struct outcome outcome = {.status = STATUS_ok};
    struct session session = {.options = &options, .outcome = &outcome, .run = {.variant = &variant}};
    slowdown_admit(&session);
    assert_non_null(strstr(outcome.reason, "slowed by 5 % on purpose"));
    outcome.reason[0] = 0;
    options.slowdown = 0;
    slowdown_admit(&session);
    assert_string_equal(outcome.reason, "");
}

static void own_time(struct run *run) { (void)run; }

static void declines_what_takes_its_own_time(void **state) {
    (void)state;
    struct options options = {.slowdown = 0.05};
    struct variant variant = {.name = "v", .measure = own_time};
    struct outcome outcome = {.status = STATUS_ok};
    struct session session = {.options = &options, .outcome = &outcome, .run = {.variant = &variant}};
    if (setjmp(session.end) == 0) {
        slowdown_admit(&session);
        fail_msg("not declined");
    }
    assert_int_equal(outcome.status, STATUS_skipped);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(waits_for_its_share), cmocka_unit_test(says_so),
                                       cmocka_unit_test(declines_what_takes_its_own_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
