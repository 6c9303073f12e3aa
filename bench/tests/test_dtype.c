/* Number formats against tables made by independent arithmetic (ldexp on the fields): every code, and around every
   pair of neighbours the values where rounding turns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/random.h"

struct format {
    enum dtype dtype;
    int exponent_bits, mantissa_bits;
    bool infinities; /* as in IEEE 754: the highest exponent is for infinity and NaN */
};
static const struct format formats[] = {{DTYPE_bf16, 8, 7, true},
                                        {DTYPE_fp16, 5, 10, true},
                                        {DTYPE_fp8_e4m3, 4, 3, false},
                                        {DTYPE_fp8_e5m2, 5, 2, true}};

static double load_code(enum dtype dtype, uint32_t code) {
    uint16_t half = (uint16_t)code;
    uint8_t byte = (uint8_t)code;
    return dtype_size(dtype) == 2 ? dtype_load(dtype, &half, 0) : dtype_load(dtype, &byte, 0);
}

static uint32_t store_code(enum dtype dtype, double value) {
    uint16_t half = 0;
    uint8_t byte = 0;
    dtype_store(dtype, dtype_size(dtype) == 2 ? (void *)&half : (void *)&byte, 0, value);
    return dtype_size(dtype) == 2 ? half : byte;
}

/* What a code without its sign means; NaN and infinity included. */
static double meaning(const struct format *f, uint32_t code) {
    int bias = (1 << (f->exponent_bits - 1)) - 1;
    int exponent = (int)(code >> f->mantissa_bits), fraction = (int)(code & ((1u << f->mantissa_bits) - 1));
    int highest = (1 << f->exponent_bits) - 1;
    if (f->infinities && exponent == highest)
        return fraction == 0 ? INFINITY : NAN;
    if (!f->infinities && exponent == highest && fraction == (1 << f->mantissa_bits) - 1)
        return NAN;
    if (exponent == 0)
        return ldexp(fraction, 1 - bias - f->mantissa_bits);
    return ldexp((1 << f->mantissa_bits) + fraction, exponent - bias - f->mantissa_bits);
}

static void test_every_code(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        const struct format *f = &formats[i];
        int width = f->exponent_bits + f->mantissa_bits;
        for (uint32_t code = 0; code < 1u << width; code++) {
            double expected = meaning(f, code), plus = load_code(f->dtype, code);
            double minus = load_code(f->dtype, code | 1u << width);
            if (isnan(expected)) {
                assert_true(isnan(plus) && isnan(minus));
                continue;
            }
            assert_true(plus == expected && minus == -expected && signbit(minus) != 0);
            assert_int_equal(store_code(f->dtype, expected), code);
            assert_int_equal(store_code(f->dtype, -expected), code | 1u << width);
        }
    }
}

/* Between neighbours: below the middle to the lower, above it to the upper, at it to the even code. */
static void test_rounding(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        const struct format *f = &formats[i];
        int width = f->exponent_bits + f->mantissa_bits;
        for (uint32_t code = 0; isfinite(meaning(f, code + 1)); code++) {
            double low = meaning(f, code), high = meaning(f, code + 1), middle = (low + high) / 2;
            assert_int_equal(store_code(f->dtype, nextafter(middle, low)), code);
            assert_int_equal(store_code(f->dtype, nextafter(middle, high)), code + 1);
            assert_int_equal(store_code(f->dtype, middle), code + (code & 1));
            assert_int_equal(store_code(f->dtype, -middle), (code + (code & 1)) | 1u << width);
            if (low > 0) { /* far above the first subnormal these do not disturb the code */
                assert_int_equal(store_code(f->dtype, nextafter(low, 0)), code);
                assert_int_equal(store_code(f->dtype, nextafter(high, INFINITY)), code + 1);
            }
        }
    }
}

static void test_overflow(void **state) {
    (void)state;
    static const double largest[] = {0x1.fep127, 65504, 448, 57344};
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        const struct format *f = &formats[i];
        double step = largest[i] - load_code(f->dtype, store_code(f->dtype, largest[i]) - 1);
        double turn = largest[i] + step / 2; /* the largest code is odd in the IEEE formats, so a tie goes up */
        double beyond = f->infinities ? INFINITY : largest[i];
        assert_true(load_code(f->dtype, store_code(f->dtype, nextafter(turn, 0))) == largest[i]);
        const double over[] = {turn, nextafter(turn, INFINITY), 2 * largest[i], 1e300, INFINITY};
        for (size_t j = 0; j < ARRAY_LENGTH(over); j++) {
            assert_true(load_code(f->dtype, store_code(f->dtype, over[j])) == beyond);
            assert_true(load_code(f->dtype, store_code(f->dtype, -over[j])) == -beyond);
        }
        assert_true(isnan(load_code(f->dtype, store_code(f->dtype, NAN))));
        assert_true(isnan(load_code(f->dtype, store_code(f->dtype, -NAN))));
    }
}

static void test_tiny(void **state) {
    (void)state;
    const double tiny[] = {0.0, 0x1p-1074, 0x1p-1022, 0x1p-200};
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(tiny); j++) {
            int width = formats[i].exponent_bits + formats[i].mantissa_bits;
            assert_int_equal(store_code(formats[i].dtype, tiny[j]), 0);
            assert_int_equal(store_code(formats[i].dtype, -tiny[j]), 1u << width);
        }
    }
}

static double through(enum dtype dtype, double value) {
    double room = 0;
    dtype_store(dtype, &room, 0, value);
    return dtype_load(dtype, &room, 0);
}

static void test_tf32(void **state) {
    (void)state;
    assert_true(through(DTYPE_tf32, 1 + 0x1p-11) == 1);            /* a tie, to even */
    assert_true(through(DTYPE_tf32, 1 + 3 * 0x1p-11) == 1 + 0x1p-9);
    assert_true(through(DTYPE_tf32, 1 + 0x1p-11 + 0x1p-50) == 1 + 0x1p-10); /* wrong if it goes by a float first */
    assert_true(through(DTYPE_tf32, 1 + 0x1p-11 - 0x1p-50) == 1);
    assert_true(through(DTYPE_tf32, 0x1.ffep127) == INFINITY); /* a tie, and the largest code is odd */
    assert_true(through(DTYPE_tf32, 0x1.ffdfffp127) == 0x1.ffcp127);
    assert_true(through(DTYPE_tf32, -1e300) == -INFINITY);
    assert_true(through(DTYPE_tf32, INFINITY) == INFINITY);
    assert_true(isnan(through(DTYPE_tf32, NAN)));
    assert_true(through(DTYPE_tf32, 0x1p-200) == 0);
    for (uint64_t i = 0; i < 100000; i++) {
        int exponent;
        double value = random_normal(7, 0, i) * exp2(200 * random_uniform(7, 1, i) - 100);
        (void)frexp(value, &exponent);
        double quantum = ldexp(1, exponent - 11);
        assert_true(through(DTYPE_tf32, value) == nearbyint(value / quantum) * quantum);
    }
}

static void test_wide_and_integers(void **state) {
    (void)state;
    assert_true(through(DTYPE_fp64, 0.1) == 0.1);
    assert_true(through(DTYPE_fp32, 0.1) == (double)0.1f);
    assert_true(isnan(through(DTYPE_fp32, NAN)) && through(DTYPE_fp32, 1e300) == INFINITY);
    static const struct {
        enum dtype dtype;
        double lowest, largest;
    } integers[] = {{DTYPE_int8, -128, 127}, {DTYPE_uint8, 0, 255}, {DTYPE_int32, -2147483648.0, 2147483647.0}};
    for (size_t i = 0; i < ARRAY_LENGTH(integers); i++) {
        enum dtype dtype = integers[i].dtype;
        assert_true(dtype_is_integer(dtype) && dtype_epsilon(dtype) == 0);
        assert_true(through(dtype, integers[i].lowest) == integers[i].lowest);
        assert_true(through(dtype, integers[i].largest) == integers[i].largest);
        assert_true(through(dtype, integers[i].lowest - 1) == integers[i].lowest);
        assert_true(through(dtype, integers[i].largest + 1) == integers[i].largest);
        assert_true(through(dtype, INFINITY) == integers[i].largest);
        assert_true(through(dtype, -INFINITY) == integers[i].lowest);
        assert_true(through(dtype, NAN) == 0);
        assert_true(through(dtype, 2.5) == 2 && through(dtype, 3.5) == 4 && through(dtype, 2.501) == 3);
    }
    assert_true(through(DTYPE_int8, -2.5) == -2 && through(DTYPE_int8, -3.5) == -4);
}

static void test_facts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t size;
        double epsilon;
    } facts[] = {{"fp64", 8, 0x1p-52}, {"fp32", 4, 0x1p-23},    {"tf32", 4, 0x1p-10},    {"bf16", 2, 0x1p-7},
                 {"fp16", 2, 0x1p-10}, {"fp8_e4m3", 1, 0x1p-3}, {"fp8_e5m2", 1, 0x1p-2}, {"int8", 1, 0},
                 {"int32", 4, 0},      {"uint8", 1, 0}};
    assert_int_equal(ARRAY_LENGTH(facts), DTYPE_COUNT);
    assert_null(dtype_names[DTYPE_COUNT]);
    for (size_t i = 0; i < ARRAY_LENGTH(facts); i++) {
        enum dtype dtype = DTYPE_COUNT;
        assert_true(dtype_parse(facts[i].name, &dtype));
        assert_string_equal(dtype_names[dtype], facts[i].name);
        assert_int_equal(dtype_size(dtype), facts[i].size);
        assert_true(dtype_epsilon(dtype) == facts[i].epsilon);
        if (facts[i].epsilon > 0) /* the step from 1 to its neighbour */
            assert_true(through(dtype, 1 + 0.75 * facts[i].epsilon) == 1 + facts[i].epsilon);
    }
    enum dtype untouched = DTYPE_fp16;
    assert_false(dtype_parse("fp17", &untouched));
    assert_false(dtype_parse("", &untouched));
    assert_false(dtype_parse("bf16 ", &untouched));
    assert_int_equal(untouched, DTYPE_fp16);
}

static void test_rows(void **state) {
    (void)state;
    enum { COUNT = 301, FIRST = 5, ROW = 290 };
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        double array[COUNT] = {0}, again[COUNT] = {0}, values[COUNT], loaded[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = i == 40 ? NAN : i == 41 ? INFINITY : 20 * random_normal(3, 0, i);
            dtype_store((enum dtype)dtype, array, i, values[i]);
        }
        memcpy(again, array, sizeof again);
        for (size_t i = 0; i < ROW; i++)
            dtype_store((enum dtype)dtype, again, FIRST + i, 1);
        dtype_store_row((enum dtype)dtype, again, FIRST, ROW, values + FIRST);
        assert_memory_equal(array, again, sizeof array);
        dtype_store_row((enum dtype)dtype, again, 0, 0, values);
        assert_memory_equal(array, again, sizeof array);
        dtype_load_row((enum dtype)dtype, array, FIRST, ROW, loaded);
        for (size_t i = 0; i < ROW; i++) {
            double one = dtype_load((enum dtype)dtype, array, FIRST + i);
            assert_memory_equal(&one, &loaded[i], sizeof one);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code), cmocka_unit_test(test_rounding),          cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_tiny),       cmocka_unit_test(test_tf32),              cmocka_unit_test(test_facts),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_wide_and_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
