/* test_vector.c: the exponential over its whole range, and the vectors' edges. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "attention/op/vector.h"

static float exp2_of(float x) {
    return vector_exp2(vector_splat(x))[LANES - 1];
}

static double relative_error(float x) {
    double exact = exp2((double)x);
    return fabs((double)exp2_of(x) - exact) / exact;
}

/* Every 1021st number from -126 to -2^-40, which meets every exponent and, in each, thousands of fractions. */
static void test_exp2_error(void **state) {
    (void)state;
    double worst = 0;
    float smallest = 0x1p-40f, largest = 126;
    uint32_t first, last;
    memcpy(&first, &smallest, sizeof(first));
    memcpy(&last, &largest, sizeof(last));
    for (uint32_t bits = first; bits <= last; bits += 1021) {
        float x;
        memcpy(&x, &bits, sizeof(x));
        double error = relative_error(-x);
        if (!(error <= worst)) worst = error;
    }
    for (int n = 0; n <= 126; n++) /* integers, halves and their neighbours, where the rounding turns over */
        for (int half = 0; half < 2; half++) {
            float x = -(float)n + (half ? -0.5f : 0);
            float near[] = {x, nextafterf(x, -INFINITY), nextafterf(x, 0)};
            for (int i = 0; i < 3; i++)
                if (near[i] >= -126 && !(relative_error(near[i]) <= worst)) worst = relative_error(near[i]);
        }
    print_message("largest relative error of vector_exp2: %.3g\n", worst);
    assert_true(worst < 2.4e-7);
}

static void test_exp2_edges(void **state) {
    (void)state;
    assert_true(exp2_of(-127) == 0 && exp2_of(-128) == 0 && exp2_of(-1e30f) == 0 && exp2_of(-INFINITY) == 0);
    assert_true(isnan(exp2_of(NAN)));
    assert_true(exp2_of(-126.5f) >= 0 && exp2_of(-126.5f) <= 0x1p-126f);
    assert_true(fabsf(exp2_of(0) - 1) < 2.4e-7f && exp2_of(0) == exp2_of(-0.0f));
    for (float x = -126; x < 0; x += 0.37f) assert_true(exp2_of(x) <= exp2_of(x + 0.01f));
}

static void test_lanes(void **state) {
    (void)state;
    float numbers[LANES + 1], out[LANES + 1];
    for (int i = 0; i <= LANES; i++) numbers[i] = (float)(i % 3) - 1;
    vector_store(out + 1, vector_larger(vector_load(numbers + 1), vector_splat(0))); /* + 1: any address will do */
    for (int i = 1; i <= LANES; i++) assert_true(out[i] == (numbers[i] > 0 ? numbers[i] : 0));
    vector_int mask = vector_load(numbers + 1) > 0;
    vector_store(out + 1, vector_select(mask, vector_splat(5), vector_splat(-INFINITY)));
    for (int i = 1; i <= LANES; i++) assert_true(out[i] == (numbers[i] > 0 ? 5 : -INFINITY));
    assert_true(isnan(vector_larger(vector_splat(NAN), vector_splat(1))[0]));
    assert_true(vector_larger(vector_splat(1), vector_splat(NAN))[0] == 1);
    assert_true(signbit(vector_splat(-0.0f)[0]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp2_error),
        cmocka_unit_test(test_exp2_edges),
        cmocka_unit_test(test_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
