/* Value lists: what they expand to, and that every bad one is refused with the offending word in the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/harness.h"

static int64_t six(void) {
    return 6;
}
static const char *const words[] = {"full", "causal", "sliding", NULL};
static const struct axis integers = {.name = "bytes", .kind = AXIS_INTEGER, .available = six};
static const struct axis bounded = {.name = "size", .kind = AXIS_INTEGER, .minimum = 0, .maximum = 100};
static const struct axis masks = {.name = "mask", .kind = AXIS_WORD, .words = words};

static void expect(const struct axis *axis, const char *list, size_t count, const int64_t *expected) {
    char reason[REASON_SIZE];
    struct values values;
    assert_true(values_expand(axis, list, &values, reason));
    assert_int_equal(values.count, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(values.value[i], expected[i]);
    free(values.value);
}

static void refuse(const struct axis *axis, const char *list, const char *word) {
    char reason[REASON_SIZE];
    struct values values;
    assert_false(values_expand(axis, list, &values, reason));
    assert_non_null(strstr(reason, word));
    assert_null(strchr(reason, '\n'));
    free(values.value);
}

static void test_right(void **state) {
    (void)state;
    expect(&integers, "64", 1, (int64_t[]){64});
    expect(&integers, "1k,2M,1g", 3, (int64_t[]){1024, 2097152, 1073741824});
    expect(&integers, "8:64:2", 4, (int64_t[]){8, 16, 32, 64});
    expect(&integers, "8:100:3", 3, (int64_t[]){8, 24, 72});
    expect(&integers, "1:7:+3,4", 3, (int64_t[]){1, 4, 7});
    expect(&integers, "powers", 4, (int64_t[]){1, 2, 4, 6});
    expect(&integers, "max", 1, (int64_t[]){6});
    expect(&integers, "2:max:+1", 5, (int64_t[]){2, 3, 4, 5, 6});
    expect(&integers, "8:max:+1", 1, (int64_t[]){8});
    expect(&bounded, "0,100", 2, (int64_t[]){0, 100});
    expect(&masks, "all", 3, (int64_t[]){0, 1, 2});
    expect(&masks, "sliding,full", 2, (int64_t[]){2, 0});
}

static void test_wrong(void **state) {
    (void)state;
    const char *const bad[] = {"0", "-5", "x", "1.5", "12kk", "9223372036854775808", "9000000000g", "1k1", " 4", "nan"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) refuse(&integers, bad[i], bad[i]);
    refuse(&integers, "", "empty");
    refuse(&integers, "4,,8", "empty");
    refuse(&integers, "4,", "empty");
    refuse(&integers, "8:4:2", "8:4:2");
    refuse(&integers, "8:64:1", "8:64:1");
    refuse(&integers, "8:64:+0", "8:64:+0");
    refuse(&bounded, "101", "101");
    refuse(&bounded, "max", "max");
    refuse(&integers, "1:1t:+1", "100000");
    refuse(&masks, "caussal", "full, causal, sliding");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
