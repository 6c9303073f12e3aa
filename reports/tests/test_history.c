/* Change points, the store, outliers.
 * needs: sqlite3
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/lib/trend.h"
#include "reports/tests/html.h"
#include "reports/tests/mutate.h"
#include "reports/tests/sample.h"

enum { HOSTS = 6, RUNS = 20, BREAK = 12 };

static char folder[256], database[300];

static int set_up(void **state) {
    (void)state;
    int made = sample_place_make(folder, sizeof folder, "history");
    snprintf(database, sizeof database, "%s/h.db", folder);
    return made;
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(folder);
}

static void noise(double *values, size_t count, uint64_t stream, double scatter) {
    for (size_t i = 0; i < count; i++) values[i] = 100 * (1 + scatter * random_normal(7, stream, i));
}

static bool has(const struct change_point *found, size_t count, long index) {
    bool near = false;
    for (size_t i = 0; i < count; i++) near = near || labs((long)found[i].index - index) <= 1;
    return near;
}

/* A step of three standard deviations is found where it is, two steps as two. */
static void steps(void **state) {
    (void)state;
    enum { COUNT = 60 };
    int right = 0, two = 0;
    for (uint64_t trial = 0; trial < 50; trial++) {
        double values[COUNT];
        struct change_point found[CHANGE_POINTS_MAX];
        noise(values, COUNT, trial, 0.01);
        for (size_t i = 25; i < COUNT; i++) values[i] -= 3;
        size_t count = change_points_find(values, COUNT, 0.05, 1, found);
        right += has(found, count, 25) && count <= 2;
        for (size_t i = 45; i < COUNT; i++) values[i] += 6;
        count = change_points_find(values, COUNT, 0.05, 1, found);
        two += has(found, count, 25) && has(found, count, 45) && count <= 3;
    }
    print_message("one step found %d times of 50, two %d times\n", right, two);
    assert_true(right >= 47);
    assert_true(two >= 45);
}

/* Without a change there is one no more often than the level says, whatever the distribution's tail. */
static void false_alarms(void **state) {
    (void)state;
    enum { COUNT = 40, TRIALS = 300 };
    int alarms = 0, heavy = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        double values[COUNT];
        struct change_point found[CHANGE_POINTS_MAX];
        noise(values, COUNT, 1000 + trial, 0.01);
        alarms += change_points_find(values, COUNT, 0.05, 1, found) > 0;
        for (size_t i = 0; i < COUNT; i++) values[i] = 100 * exp(pow((values[i] - 100) / 2, 3));
        heavy += change_points_find(values, COUNT, 0.05, 1, found) > 0;
    }
    print_message("false alarms at 0.05: %d and %d of %d\n", alarms, heavy, TRIALS);
    assert_in_range(alarms, 1, 24); /* 15 expected, standard deviation 3.8 */
    assert_in_range(heavy, 1, 24);
}

/* Short, constant and many values. */
static void edges(void **state) {
    (void)state;
    struct change_point found[CHANGE_POINTS_MAX];
    double values[2000] = {0};
    for (size_t count = 0; count < 12; count++) assert_int_equal(change_points_find(values, count, 0.05, 1, found), 0);
    noise(values, ARRAY_LENGTH(values), 5, 0.01);
    for (size_t i = 1700; i < ARRAY_LENGTH(values); i++) values[i] *= 1.1;
    size_t count = change_points_find(values, ARRAY_LENGTH(values), 0.01, 1, found);
    assert_true(count >= 1);
    assert_int_equal(found[0].index, 1700);
    const double alike[] = {10, 10, 10, 10, 10, 12};
    assert_true(fabs(robust_score(12, alike, 6, 0.01) - 20) < 1e-9);
    const double spread[] = {8, 9, 10, 11, 12};
    assert_true(fabs(robust_score(12, spread, 5, 0.01) - 2 / 1.4826) < 1e-9);
}

static void write_run(const char *host, int day, double flop_rate, double latency, const char *driver) {
    struct text text = {0};
    text_add(&text,
             "{\"schema\":1,\"host\":\"%s\",\"created\":\"2026-10-%02dT00:00:00Z\",\"gpus\":[{\"name\":\"G\"}],"
             "\"driver\":{\"version\":\"%s\"},\"commit\":\"abc\",\"fingerprint\":{\"hardware\":\"one kind\"}}",
             host, day, driver);
    sample_write(folder, "manifest.json", &text);
    text_clear(&text);
    text_add(&text,
             "suite,program,variant,device,dtype,ranks,size,shape,mode,launch,metric,value,unit,better,status\n"
             "kernels,gemm,lib,G,bf16,1,64,square,cold,1,flop_rate,%.9g,TFLOP/s,higher,ok\n"
             "kernels,gemm,lib,G,bf16,1,64,square,cold,2,flop_rate,%.9g,TFLOP/s,higher,ok\n"
             "kernels,gemm,lib,G,bf16,1,64,square,cold,3,flop_rate,%.9g,TFLOP/s,higher,ok\n"
             "kernels,gemm,lib,G,bf16,1,128,square,cold,1,flop_rate,1,TFLOP/s,higher,wrong\n"
             "kernels,chase,lib,G,,1,,,own,1,latency,%.9g,ns,lower,ok\n",
             flop_rate * 0.5, flop_rate, flop_rate * 1.01, latency);
    sample_write(folder, "rows.csv", &text);
    text_release(&text);
}

static enum store_outcome import(struct store *store) {
    struct result result;
    struct problem problem;
    enum store_outcome outcome = STORE_KNOWN;
    if (!result_read(folder, 0, &result, &problem) || !store_import(store, &result, &outcome, &problem))
        fail_msg("%s", problem.line);
    result_release(&result);
    return outcome;
}

static struct store *filled(void) {
    struct store *store;
    struct problem problem;
    unlink(database);
    if (!store_open(database, STORE_CREATE, &store, &problem)) fail_msg("%s", problem.line);
    for (int day = 1; day <= RUNS; day++) {
        double rate = (day <= BREAK ? 100 : 95) * (1 + 0.004 * random_normal(3, 0, (uint64_t)day));
        write_run("n0", day, rate, 50 * (1 + 0.004 * random_normal(3, 1, (uint64_t)day)), day <= BREAK ? "570" : "580");
        assert_int_equal(import(store), STORE_ADDED);
    }
    return store;
}

/* Twice the same run, then more of it; what is wrong stays out; launches become their median. */
static void importing(void **state) {
    (void)state;
    struct store *store = filled();
    struct problem problem;
    struct histories histories;
    assert_int_equal(import(store), STORE_KNOWN);
    write_run("n0", RUNS, 80, 50, "580");
    assert_int_equal(import(store), STORE_REPLACED);
    struct filter filters[] = {{"program", "gemm,other"}, {"size", "64"}, {"since", "2026-10-02"}};
    assert_true(store_filters_check(store, filters, 3, &problem));
    assert_true(store_histories(store, filters, 3, &histories, &problem));
    assert_int_equal(histories.run_count, RUNS - 1);
    assert_int_equal(histories.count, 1);
    assert_int_equal(histories.list[0].count, RUNS - 1);
    assert_int_equal(histories.list[0].observations[0].launches, 3);
    assert_true(histories.list[0].observations[RUNS - 2].value == 80);
    assert_string_equal(histories.list[0].label,
                        "gemm \xc2\xb7 lib \xc2\xb7 bf16 \xc2\xb7 cold \xc2\xb7 size 64 \xc2\xb7 shape square");
    histories_release(&histories);
    struct filter none = {"size", "128"}, unknown = {"colour", "red"};
    assert_true(store_histories(store, &none, 1, &histories, &problem));
    assert_int_equal(histories.count, 0);
    histories_release(&histories);
    assert_false(store_filters_check(store, &unknown, 1, &problem));
    assert_non_null(strstr(problem.line, "colour: no such column or axis; valid: suite, program,"));
    assert_non_null(strstr(problem.line, "shape, size"));
    assert_true(store_forget(store, 1, &problem));
    assert_false(store_forget(store, 1, &problem));
    store_close(store);
}

static void trends(void **state) {
    (void)state;
    struct store *store = filled();
    struct problem problem;
    struct histories histories;
    assert_true(store_histories(store, NULL, 0, &histories, &problem));
    assert_int_equal(histories.count, 2);
    struct trend list[2];
    struct text text = {0};
    for (size_t i = 0; i < 2; i++) trend_find(&histories.list[i], 0.01, 0.01, &list[i]);
    const struct trend *rate = strcmp(histories.list[0].metric, "flop_rate") == 0 ? &list[0] : &list[1];
    const struct trend *latency = rate == &list[0] ? &list[1] : &list[0];
    assert_int_equal(latency->segment_count, 1);
    assert_int_equal(rate->segment_count, 2);
    assert_int_equal(rate->segments[1].begin, BREAK);
    assert_true(fabs(rate->segments[1].change + 0.05) < 0.01);
    trend_cause(&histories, rate, 1, &text);
    assert_string_equal(text.data, "run 13, 2026-10-13, driver 570 -> 580");
    text_clear(&text);
    trend_page(&histories, list, 2, false, &text);
    assert_null(html_unbalanced(text.data));
    assert_non_null(strstr(text.data, "driver 570 -&gt; 580"));
    trend_find(rate->history, 0.01, 0.2, &list[0]);
    assert_int_equal(list[0].segment_count, 1);
    text_release(&text);
    histories_release(&histories);
    store_close(store);
}

static void outliers(void **state) {
    (void)state;
    struct store *store = filled();
    struct problem problem;
    struct histories histories;
    for (int host = 1; host < HOSTS; host++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", host);
        write_run(name, 25, host == 4 ? 85 : 95 + 0.1 * host, host == 2 ? 60 : 50, "580");
        import(store);
    }
    assert_true(store_histories(store, NULL, 0, &histories, &problem));
    size_t count;
    struct outlier *list = outliers_find(&histories, &count);
    assert_int_equal(count, 2 * HOSTS);
    size_t out = 0;
    for (size_t i = 0; i < count; i++) {
        const char *host = histories.runs[list[i].run].host;
        bool expected = strcmp(host, strcmp(list[i].history->metric, "latency") == 0 ? "n2" : "n4") == 0;
        if (expected != (list[i].score > OUTLIER_SCORE)) fail_msg("%s: score %g", host, list[i].score);
        out += expected;
    }
    assert_int_equal(out, 2);
    free(list);
    histories_release(&histories);
    store_close(store);
}

/* A file that is damaged anywhere is refused, or read as far as it goes; SQLite and we survive. */
static void damaged(void **state) {
    (void)state;
    struct store *store = filled();
    struct problem problem;
    struct text whole = {0}, text = {0};
    store_close(store);
    assert_true(file_read(database, &whole, &problem));
    int refused = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct random random = {.seed = seed};
        struct histories histories;
        text_clear(&text);
        text_bytes(&text, whole.data, whole.length);
        for (int edit = 0; edit < 20; edit++) text.data[below(&random, text.length)] = (char)below(&random, 256);
        if (below(&random, 4) == 0) text.length = below(&random, text.length);
        sample_write(folder, "h.db", &text);
        problem.line[0] = 0;
        bool good = store_open(database, STORE_READ, &store, &problem);
        if (good) {
            good = store_histories(store, NULL, 0, &histories, &problem);
            histories_release(&histories);
        }
        store_close(store);
        refused += !good;
        if (!good && (strncmp(problem.line, folder, strlen(folder)) != 0 || strchr(problem.line, '\n') != NULL))
            fail_msg("seed %d: '%s'", (int)seed, problem.line);
    }
    assert_in_range(refused, 10, 290);
    unlink(database);
    text_release(&whole);
    text_release(&text);
}

static void refused(void **state) {
    (void)state;
    struct store *store;
    struct problem problem;
    struct text text = {0};
    unlink(database);
    assert_false(store_open(database, STORE_READ, &store, &problem));
    assert_non_null(strstr(problem.line, "No such file"));
    text_string(&text,
                "no database, but long enough to be looked at: ................................................");
    sample_write(folder, "h.db", &text);
    assert_false(store_open(database, STORE_CREATE, &store, &problem));
    assert_non_null(strstr(problem.line, "not a database"));
    unlink(database);
    assert_true(store_open(database, STORE_CREATE, &store, &problem));
    struct result result;
    struct text empty = {0};
    text_string(&empty, "{\"schema\":1,\"host\":\"h\"}");
    sample_write(folder, "manifest.json", &empty);
    enum store_outcome outcome;
    assert_true(result_read(folder, 0, &result, &problem));
    assert_false(store_import(store, &result, &outcome, &problem));
    assert_non_null(strstr(problem.line, "when it was measured"));
    result_release(&result);
    store_close(store);
    text_release(&text);
    text_release(&empty);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps),   cmocka_unit_test(false_alarms),
                                       cmocka_unit_test(edges),   cmocka_unit_test(importing),
                                       cmocka_unit_test(trends),  cmocka_unit_test(outliers),
                                       cmocka_unit_test(damaged), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
