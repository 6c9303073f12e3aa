/* test_timing.c: what is left of a measurement's samples when the first half turns out to be warm-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "bench/session.h"

const struct bench bench = {.suite = "bench", .name = "test_timing"};

/* The later half stays, one more of an odd number; what the harness costs a sample does not change with their number. */
static void leaves_out_the_first_half(void **state) {
    (void)state;
    enum { MOST = 9 };
    static const size_t counts[] = {1, 2, 8, MOST};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        double seconds[MOST];
        struct options options = {.preset = PRESET_SMOKE};
        struct session session = {.options = &options, .run = {.preset = PRESET_SMOKE}};
        struct sampling *sampling = &session.sampling;
        *sampling = (struct sampling){.seconds = seconds, .count = counts[i], .overhead = 0.25 * (double)counts[i]};
        for (size_t k = 0; k < counts[i]; k++) seconds[k] = (double)k;
        sampling_drop_half(&session);
        assert_int_equal(sampling->count, counts[i] - counts[i] / 2);
        assert_true(seconds[0] == (double)(counts[i] / 2));
        assert_true(seconds[sampling->count - 1] == (double)(counts[i] - 1));
        assert_true(fabs(sampling->overhead / (double)sampling->count - 0.25) < 1e-12);
        assert_non_null(strstr(session.note, "left out as warm-up"));
    }
}

/* Whether the median is known well enough is asked again, of the samples that stay. */
static void judges_what_stays(void **state) {
    (void)state;
    double seconds[20];
    struct options options = {.preset = PRESET_SMOKE};
    struct session session = {.options = &options, .run = {.preset = PRESET_SMOKE}};
    for (size_t k = 0; k < 20; k++) seconds[k] = k < 10 ? 1 + (double)k : 1;
    session.sampling = (struct sampling){.seconds = seconds, .count = 20};
    sampling_drop_half(&session);
    assert_true(session.sampling.settled);
    sampling_drop_half(&session); /* five of them are the least that smoke wants */
    assert_true(session.sampling.settled);
    sampling_drop_half(&session);
    assert_false(session.sampling.settled);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(leaves_out_the_first_half),
                                       cmocka_unit_test(judges_what_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
