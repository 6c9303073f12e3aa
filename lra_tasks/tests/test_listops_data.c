/* The ListOps generator: values, determinism, and the statistics that the task is known by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the headers above first */
#include <cmocka.h>
#include <math.h>

/* its slices are not public */
#include "lra_tasks/tasks/listops.c"

/* "[X 4 2 [N 0 9]]" as tokens: N minimum, X maximum, M median, S sum; returns the length. */
static int64_t tokens_of(const char *text, uint16_t *token) {
    static const char letters[] = "NXMS]";
    int64_t length = 0;
    for (; *text; text++) {
        const char *letter = strchr(letters, *text);
        if (letter) token[length++] = (uint16_t)(LISTOPS_MIN + (letter - letters));
        if (*text >= '0' && *text <= '9') token[length++] = (uint16_t)(LISTOPS_DIGIT + *text - '0');
    }
    return length;
}

static int value_of(const char *text) {
    uint16_t token[256];
    return listops_value(token, tokens_of(text, token));
}

static void test_values(void **unused) {
    (void)unused;
    assert_int_equal(value_of("7"), 7);
    assert_int_equal(value_of("[X 4 3 [N 2 3] 1 0 [M 1 5 8 9 2]]"), 5); /* the task paper's example */
    assert_int_equal(value_of("[M 1 4]"), 2);                           /* the integer part of 2.5 */
    assert_int_equal(value_of("[M 9 0 9 1]"), 5);
    assert_int_equal(value_of("[M 3 3 8]"), 3);
    assert_int_equal(value_of("[S 9 8 [S 7 6] [X 0 0]]"), 0);
    assert_int_equal(value_of("[N [S 5 5] 3]"), 0);
}

static void test_malformed(void **unused) {
    (void)unused;
    static const char *const texts[] = {"", "[X", "[X 1", "]", "[X]", "[X 1] 2", "1 2", "[S 1]]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) assert_int_equal(value_of(texts[i]), -1);
    const uint16_t pad[] = {LISTOPS_MIN, LISTOPS_PAD, LISTOPS_CLOSE}, beyond[] = {LISTOPS_VOCABULARY};
    assert_int_equal(listops_value(pad, 3), -1);
    assert_int_equal(listops_value(beyond, 1), -1);
    uint16_t deep[200];
    for (int i = 0; i < 200; i++) deep[i] = LISTOPS_MAX;
    assert_int_equal(listops_value(deep, 200), -1);
}

/* What must hold of every example, whatever was drawn. */
static void expect_examples(const struct listops_data *data, int64_t above, int64_t below) {
    for (int64_t i = 0; i < data->count; i++) {
        const uint16_t *token = data->token + data->start[i];
        int64_t length = data->start[i + 1] - data->start[i], depth = 0;
        assert_true(length > above && length < below);
        assert_int_equal(listops_value(token, length), data->label[i]);
        for (int64_t t = 0, children[16] = {0}; t < length; t++) {
            bool opens = token[t] >= LISTOPS_MIN && token[t] <= LISTOPS_SM;
            if (token[t] == LISTOPS_CLOSE) {
                assert_true(children[depth] >= 2 && children[depth] <= 10);
                depth--;
                continue;
            }
            children[depth]++;
            if (opens) children[++depth] = 0;
            assert_true(depth < 10); /* operators at depths 1 .. 9 only */
        }
    }
}

/* Within four standard deviations of the published sample and of ours together. */
static void expect_share(double share, double known, double count, double known_count) {
    const double variance = known * (1 - known) * (1 / count + 1 / known_count);
    if (fabs(share - known) > 4 * sqrt(variance)) fail_msg("%.4f, known %.4f", share, known);
}

static void test_full(void **unused) {
    (void)unused;
    enum { COUNT = 4000, KNOWN = 20000 };
    struct listops_data data;
    assert_true(listops_generate(11, LISTOPS_FULL, COUNT, 2, &data));
    assert_int_equal(data.count, COUNT);
    expect_examples(&data, 500, 2000);
    expect_share((double)COUNT / (double)data.candidates, 0.083, (double)data.candidates, KNOWN / 0.083);
    expect_share(listops_largest_class(&data, 0, COUNT), 0.170, COUNT, KNOWN);
    expect_share(listops_first_operator(&data, 0, COUNT), 0.363, COUNT, KNOWN);
    double squares = 0, mean = (double)data.start[COUNT] / COUNT;
    for (int64_t i = 0; i < COUNT; i++) squares += pow((double)(data.start[i + 1] - data.start[i]) - mean, 2) / COUNT;
    assert_true(fabs(mean - 1039) < 4 * sqrt(squares * (1.0 / COUNT + 1.0 / KNOWN)));
    listops_release(&data);
    assert_null(data.token);
}

static void test_short(void **unused) {
    (void)unused;
    enum { COUNT = 4000, KNOWN = 20000 };
    struct listops_data data;
    assert_true(listops_generate(11, LISTOPS_SHORT, COUNT, 2, &data));
    expect_examples(&data, 64, 256);
    expect_share(listops_largest_class(&data, 0, COUNT), 0.155, COUNT, KNOWN);
    expect_share(listops_first_operator(&data, 0, COUNT), 0.334, COUNT, KNOWN);
    listops_release(&data);
}

/* The same examples whatever the number of threads; a shorter list is the beginning of a longer one; another seed gives
   others. */
static void test_determinism(void **unused) {
    (void)unused;
    struct listops_data one, three, other;
    assert_true(listops_generate(2, LISTOPS_SHORT, 300, 1, &one));
    assert_true(listops_generate(2, LISTOPS_SHORT, 3000, 3, &three));
    assert_true(listops_generate(3, LISTOPS_SHORT, 300, 1, &other));
    assert_memory_equal(one.start, three.start, 301 * sizeof *one.start);
    assert_memory_equal(one.label, three.label, 300);
    assert_memory_equal(one.token, three.token, (size_t)one.start[300] * sizeof *one.token);
    assert_true(one.start[300] != other.start[300] || memcmp(one.label, other.label, 300) != 0);
    listops_release(&one);
    listops_release(&three);
    listops_release(&other);
}

/* Duplicates are so rare at these lengths that none is met; so one slice is merged twice. */
static void test_duplicates(void **unused) {
    (void)unused;
    enum { ROOM = 100, PLACES = 256 };
    struct slice *slice = calloc(1, sizeof *slice);
    struct listops_data data = {.start = calloc(ROOM + 1, sizeof *data.start), .label = malloc(ROOM)};
    int64_t places[PLACES], capacity = 0;
    memset(places, 0xff, sizeof places);
    struct seen seen = {.example = places, .mask = PLACES - 1};
    assert_true(slice_draw(slice, 1, 0, LISTOPS_SHORT));
    assert_true(slice->count > 5 && slice->count < ROOM / 2);
    assert_true(slice_merge(slice, 0, ROOM, &seen, &data, &capacity));
    assert_int_equal(data.count, slice->count);
    assert_true(slice_merge(slice, 0, ROOM, &seen, &data, &capacity));
    assert_int_equal(data.count, slice->count);
    assert_true(slice_draw(slice, 1, SLICE_CANDIDATES, LISTOPS_SHORT));
    const int64_t before = data.count;
    assert_true(slice_merge(slice, 0, ROOM, &seen, &data, &capacity));
    assert_int_equal(data.count, before + slice->count);
    free(slice->token);
    free(slice);
    listops_release(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_malformed),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_short),  cmocka_unit_test(test_determinism), cmocka_unit_test(test_duplicates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
