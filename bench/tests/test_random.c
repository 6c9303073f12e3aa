/* Seeded data: published numbers of the generator, the same array for any number of threads, and its distribution. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/random.h"

static void test_published(void **state) {
    (void)state;
    /* the first outputs of splitmix64 for these seeds, as its reference program prints them */
    assert_int_equal(random_bits(0, 0, 0), UINT64_C(0xe220a8397b1dcdaf));
    static const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                        UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                        UINT64_C(16408922859458223821)};
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_int_equal(random_bits(1234567, 0, i), expected[i]);
}

static void test_threads_agree(void **state) {
    (void)state;
    enum { COUNT = 10007 };
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        size_t bytes = COUNT * dtype_size((enum dtype)dtype);
        char *one = malloc(bytes + 1), *other = malloc(bytes + 1);
        assert_true(one != NULL && other != NULL);
        one[bytes] = other[bytes] = 0x5a;
        struct run run = {.seed = 42, .threads = 1};
        random_fill(&run, (enum dtype)dtype, one, COUNT, 3);
        run.threads = 3;
        random_fill(&run, (enum dtype)dtype, other, COUNT, 3);
        assert_memory_equal(one, other, bytes);
        random_fill(&run, (enum dtype)dtype, other, COUNT, 4);
        assert_memory_not_equal(one, other, bytes);
        run.seed = 43;
        random_fill(&run, (enum dtype)dtype, other, COUNT, 3);
        assert_memory_not_equal(one, other, bytes);
        assert_true(one[bytes] == 0x5a && other[bytes] == 0x5a);
        free(one);
        free(other);
    }
}

static void test_elements(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    static double array[COUNT];
    struct run run = {.seed = 9, .threads = 2};
    random_fill(&run, DTYPE_fp64, array, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(array[i] == random_normal(9, 1, i));
    static uint16_t narrow[COUNT];
    random_fill(&run, DTYPE_bf16, narrow, COUNT, 1);
    for (size_t i = 0; i < COUNT; i++) { /* nearest: within half a step */
        double value = dtype_load(DTYPE_bf16, narrow, i), wanted = random_normal(9, 1, i);
        assert_true(fabs(value - wanted) <= 0x1p-8 * fabs(wanted));
    }
}

static void test_distribution(void **state) {
    (void)state;
    enum { COUNT = 200000 };
    double sum = 0, squares = 0, fourth = 0, product = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double value = random_normal(1, 0, i);
        assert_true(isfinite(value));
        sum += value;
        squares += value * value;
        fourth += value * value * value * value;
        product += value * random_normal(1, 1, i);
        double uniform = random_uniform(1, 2, i);
        assert_true(uniform >= 0 && uniform < 1);
    }
    double deviation = 1 / sqrt(COUNT); /* the seed is fixed: these hold or do not, every time */
    assert_true(fabs(sum / COUNT) < 5 * deviation);
    assert_true(fabs(squares / COUNT - 1) < 5 * sqrt(2) * deviation);
    assert_true(fabs(fourth / COUNT - 3) < 5 * sqrt(96) * deviation);
    assert_true(fabs(product / COUNT) < 5 * deviation);
}

static void test_integers(void **state) {
    (void)state;
    enum { COUNT = 4096 };
    struct run run = {.seed = 5, .threads = 2};
    static const struct {
        enum dtype dtype;
        int lowest;
    } kinds[] = {{DTYPE_int8, -8}, {DTYPE_int32, -8}, {DTYPE_uint8, 0}};
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        static int32_t array[COUNT];
        int seen[16] = {0};
        random_fill(&run, kinds[k].dtype, array, COUNT, 0);
        for (size_t i = 0; i < COUNT; i++) {
            double value = dtype_load(kinds[k].dtype, array, i) - kinds[k].lowest;
            assert_true(value >= 0 && value < 16);
            seen[(int)value]++;
        }
        for (size_t i = 0; i < 16; i++)
            assert_in_range(seen[i], COUNT / 32, COUNT / 8);
    }
}

static void test_zeros(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static double array[COUNT];
    struct run run = {.seed = 5, .threads = 2, .zeros = true};
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        memset(array, 0xff, sizeof array);
        random_fill(&run, (enum dtype)dtype, array, COUNT, 0);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(dtype_load((enum dtype)dtype, array, i) == 0);
    }
    random_fill(&run, DTYPE_fp64, array, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),    cmocka_unit_test(test_threads_agree), cmocka_unit_test(test_elements),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_integers),      cmocka_unit_test(test_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
