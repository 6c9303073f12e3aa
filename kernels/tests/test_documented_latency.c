/* test_documented_latency.c: the clocks that are published are found for their processor and the level with the
   bytes, and for nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/lib/documented_latency.h"

static const size_t zen5[2] = {48 * KIB, MIB}, sapphire[2] = {48 * KIB, 2 * MIB};

static double clocks(const char *vendor, int family, int model, const size_t caches[2], size_t bytes) {
    return documented_latency_of(vendor, family, model, caches, bytes).value;
}

static void test_levels(void **state) {
    (void)state;
    assert_true(clocks("AuthenticAMD", 26, 2, zen5, 4 * KIB) == 4);
    assert_true(clocks("AuthenticAMD", 26, 2, zen5, 36 * KIB) == 4);
    assert_true(clocks("AuthenticAMD", 26, 2, zen5, 96 * KIB) == 14);
    assert_true(clocks("AuthenticAMD", 26, 2, zen5, 256 * KIB) == 14);
    assert_true(clocks("GenuineIntel", 6, 143, sapphire, 32 * KIB) == 5);
    assert_true(clocks("GenuineIntel", 6, 207, sapphire, 512 * KIB) == 16);
    assert_non_null(documented_latency_of("AuthenticAMD", 25, 0x11, zen5, 4 * KIB).source);
}

/* At the edge of a level some of the bytes are in the next one; of those beyond the second nothing is known. */
static void test_nothing_known(void **state) {
    (void)state;
    static const size_t edges[] = {48 * KIB, 64 * KIB, 512 * KIB, MIB, 8 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(edges); i++)
        assert_true(clocks("AuthenticAMD", 26, 2, zen5, edges[i]) == 0);
    assert_true(clocks("AuthenticAMD", 25, 0x21, zen5, 4 * KIB) == 0); /* Zen 3 */
    assert_true(clocks("GenuineIntel", 6, 85, sapphire, 4 * KIB) == 0);
    assert_true(clocks("HygonGenuine", 26, 2, zen5, 4 * KIB) == 0);
    assert_null(documented_latency_of("GenuineIntel", 26, 2, zen5, 4 * KIB).source);
    static const size_t none[2] = {0, 0}; /* a machine that tells no sizes */
    assert_true(clocks("AuthenticAMD", 26, 2, none, 4 * KIB) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_nothing_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
