/* test_linear_data.c: the closed forms of linear_data.h against sums made one by one, at every width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/lib/linear_data.h"

static void sums_agree(void **unused) {
    (void)unused;
    const uint64_t counts[] = {0, 1, 2, 3, 64, 1001}, strides[] = {1, 2, 7, 128};
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (size_t c = 0; c < ARRAY_LENGTH(counts); c++)
            for (size_t s = 0; s < ARRAY_LENGTH(strides); s++) {
                struct run run = {.seed = seed};
                uint64_t factor = linear_factor(&run), sum = 0, expected = linear_sum(factor, counts[c], strides[s]);
                uint8_t narrow = 0;
                for (uint64_t k = 0; k < counts[c]; k++) {
                    sum += linear_word(factor, k * strides[s]);
                    narrow += (uint8_t)linear_word(factor, k * strides[s]);
                }
                assert_true(factor % 2 == 1);
                assert_int_equal(sum, expected);
                assert_int_equal(narrow, (uint8_t)expected);
            }
}

static void zeros_are_zeros(void **unused) {
    (void)unused;
    struct run run = {.seed = 1, .zeros = true};
    assert_int_equal(linear_factor(&run), 0);
    assert_int_equal(linear_sum(0, 1000, 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_agree), cmocka_unit_test(zeros_are_zeros)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
