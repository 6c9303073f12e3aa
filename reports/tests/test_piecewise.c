/* Fits of curves that are known: lines, lines that break, noise, and what no line can have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "bench/random.h"
#include "reports/lib/piecewise.h"

enum { POINTS = 28 };

/* 8 B, 16 B .. of t(S) = latency[k] + S per_byte[k], with k changing above each break, and a relative error of up to
   `noise`. Returns the number of points. */
static size_t make(double *sizes, double *seconds, const double *latency, const double *per_byte, const double *breaks,
                   size_t pieces, double noise) {
    for (size_t i = 0; i < POINTS; i++) {
        size_t k = 0;
        sizes[i] = ldexp(8, (int)i);
        while (k + 1 < pieces && sizes[i] > breaks[k]) k++;
        double error = noise * (2 * (double)(random_bits(7, 0, i) >> 32) / 4294967296.0 - 1);
        seconds[i] = (latency[k] + per_byte[k] * sizes[i]) * (1 + error);
    }
    return POINTS;
}

static bool fit_all_alike(const double *sizes, const double *seconds, size_t count, double noise, struct fit *fit) {
    double noises[POINTS];
    for (size_t i = 0; i < count; i++) noises[i] = noise;
    return piecewise_fit(sizes, seconds, noises, count, fit);
}

static void assert_near(double value, double expected, double relative) {
    if (!(fabs(value - expected) <= relative * fabs(expected))) fail_msg("%g is not %g", value, expected);
}

static void one_line_is_found_exactly(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    size_t count = make(sizes, seconds, (double[]){5e-6}, (double[]){1e-11}, NULL, 1, 0);
    assert_true(fit_all_alike(sizes, seconds, count, 0.01, &fit));
    assert_int_equal(fit.count, 1);
    assert_near(fit.pieces[0].latency, 5e-6, 1e-6);
    assert_near(fit.pieces[0].per_byte, 1e-11, 1e-6);
    assert_near(fit.half_power, 5e-6 / 1e-11, 1e-6);
    assert_near(fit.r_squared, 1, 1e-9);
    assert_near(fit.within, 1, 0);
}

static void breaks_are_found_where_they_are(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    const double latency[] = {5e-6, 40e-6, 60e-6}, per_byte[] = {1e-9, 4e-11, 2.5e-12}, breaks[] = {8192, 2097152};
    size_t count = make(sizes, seconds, latency, per_byte, breaks, 3, 0.02);
    assert_true(fit_all_alike(sizes, seconds, count, 0.01, &fit));
    assert_int_equal(fit.count, 3);
    for (size_t k = 0; k < 3; k++) {
        assert_near(fit.pieces[k].latency, latency[k], 0.1);
        assert_near(fit.pieces[k].per_byte, per_byte[k], 0.1);
        if (k < 2) assert_true(fit.pieces[k].to == breaks[k] && fit.pieces[k + 1].from == 2 * breaks[k]);
    }
    assert_true(fit.within == 1 && fit.r_squared > 0.999);
    assert_near(fit.half_power, 60e-6 / 2.5e-12, 0.15);
    for (size_t i = 0; i < count; i++) assert_near(piecewise_predict(&fit, sizes[i]), seconds[i], 0.1);
}

static void noise_makes_no_breaks(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    size_t count = make(sizes, seconds, (double[]){5e-6}, (double[]){1e-11}, NULL, 1, 0.05);
    assert_true(fit_all_alike(sizes, seconds, count, 0.05, &fit));
    assert_int_equal(fit.count, 1);
    assert_near(fit.pieces[0].per_byte, 1e-11, 0.05);
}

/* Not within 10 %, and no number of pieces may pretend to be. */
static void noise_beyond_a_tenth_makes_no_breaks_either(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    size_t count = make(sizes, seconds, (double[]){5e-6}, (double[]){1e-11}, NULL, 1, 0.25);
    assert_true(fit_all_alike(sizes, seconds, count, 0.15, &fit));
    assert_int_equal(fit.count, 1);
    assert_true(fit.within < 0.9);
}

/* A median that fell into the lower of two heaps of samples, and is known to be noisy. */
static void a_noisy_point_bends_nothing(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS], noises[POINTS];
    struct fit fit;
    size_t count = make(sizes, seconds, (double[]){5e-6}, (double[]){1e-11}, NULL, 1, 0.01);
    for (size_t i = 0; i < count; i++) noises[i] = 0.01;
    seconds[4] /= 4, noises[4] = 0.5;
    assert_true(piecewise_fit(sizes, seconds, noises, count, &fit));
    assert_int_equal(fit.count, 1);
    assert_near(fit.pieces[0].latency, 5e-6, 0.02);
    assert_near(fit.within, (POINTS - 1.0) / POINTS, 1e-9);
    noises[4] = 0.01; /* the same of samples that agree is not passed over */
    assert_true(piecewise_fit(sizes, seconds, noises, count, &fit));
    assert_true(fit.count > 1 || fit.pieces[0].latency < 4.5e-6);
}

static void nothing_is_negative(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    for (size_t i = 0; i < POINTS; i++) { /* falls, then rises faster than any line: no latency, no bandwidth fits */
        sizes[i] = ldexp(8, (int)i);
        seconds[i] = i < POINTS / 2 ? 1e-5 / (double)(i + 1) : 1e-20 * sizes[i] * sizes[i];
    }
    assert_true(fit_all_alike(sizes, seconds, POINTS, 0.01, &fit));
    for (size_t k = 0; k < fit.count; k++) assert_true(fit.pieces[k].latency >= 0 && fit.pieces[k].per_byte >= 0);
    assert_true(fit.within < 0.9); /* and it says that it does not fit */
}

static void constant_times_have_no_half_power(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    size_t count = make(sizes, seconds, (double[]){1e-6}, (double[]){0}, NULL, 1, 0);
    assert_true(fit_all_alike(sizes, seconds, count, 0.01, &fit));
    assert_true(fit.pieces[0].per_byte < 1e-15 && fit.within == 1);
}

static void few_points_are_refused(void **state) {
    (void)state;
    double sizes[POINTS], seconds[POINTS];
    struct fit fit;
    make(sizes, seconds, (double[]){1e-6}, (double[]){1e-9}, NULL, 1, 0);
    assert_true(fit_all_alike(sizes, seconds, FIT_POINTS_MIN, 0.01, &fit));
    assert_false(fit_all_alike(sizes, seconds, FIT_POINTS_MIN - 1, 0.01, &fit));
    assert_false(fit_all_alike(sizes, seconds, 0, 0.01, &fit));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_is_found_exactly),
        cmocka_unit_test(breaks_are_found_where_they_are),
        cmocka_unit_test(noise_makes_no_breaks),
        cmocka_unit_test(noise_beyond_a_tenth_makes_no_breaks_either),
        cmocka_unit_test(a_noisy_point_bends_nothing),
        cmocka_unit_test(nothing_is_negative),
        cmocka_unit_test(constant_times_have_no_half_power),
        cmocka_unit_test(few_points_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
