/* The judge: equal runs pass, slower ones fail, and what cannot be told is not claimed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/lib/bootstrap.h"
#include "reports/lib/verdict_table.h"
#include "reports/tests/sample.h"

static char root[256];

static int set_up(void **state) {
    (void)state;
    return sample_place_make(root, sizeof root, "verdict");
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(root);
}

/* What is left of a comparison: how many of each verdict, whether it passes, and its table. */
struct outcome {
    int counts[VERDICT_COUNT];
    double interrupted[SIDES];
    bool passes;
    struct text table;
};

static const char *folder_of(int side) {
    static char names[SIDES][300];
    snprintf(names[side], sizeof names[side], "%s/%d", root, side);
    return names[side];
}

static struct samples *samples_for(const struct result *result) {
    struct samples *samples = calloc(result->table_count + 1, sizeof *samples);
    struct problem problem;
    for (size_t t = 0; t < result->table_count; t++) {
        char path[1024];
        const char *table = result->tables[t].path;
        snprintf(path, sizeof path, "%.*s.samples.csv", (int)(strlen(table) - 4), table);
        if (!samples_read(path, &samples[t], &problem)) fail_msg("%s", problem.line);
    }
    return samples;
}

static struct outcome compare_folders(void) {
    struct result results[SIDES];
    struct samples *samples[SIDES];
    struct match match;
    struct problem problem;
    struct outcome outcome = {0};
    for (int side = 0; side < SIDES; side++) {
        if (!result_read(folder_of(side), side, &results[side], &problem)) fail_msg("%s", problem.line);
        samples[side] = samples_for(&results[side]);
    }
    if (!match_build(results, &match, &problem)) fail_msg("%s", problem.line);
    struct judge judge = {.results = results, .match = &match};
    judge_all(&judge, (const struct samples *const *)samples);
    memcpy(outcome.counts, judge.counts, sizeof outcome.counts);
    memcpy(outcome.interrupted, judge.interrupted, sizeof outcome.interrupted);
    outcome.passes = judge_passes(&judge);
    verdict_table(&judge, TABLE_MARKDOWN, ROWS_ALL, 0, &outcome.table);
    judge_release(&judge);
    match_release(&match);
    for (int side = 0; side < SIDES; side++) {
        for (size_t t = 0; t < results[side].table_count; t++) samples_release(&samples[side][t]);
        free(samples[side]);
        result_release(&results[side]);
    }
    return outcome;
}

static struct outcome compare_samples(struct sample old, struct sample new_run) {
    char command[1024];
    snprintf(command, sizeof command, "rm -rf %s/0 %s/1", root, root);
    assert_int_equal(system(command), 0);
    sample_folder(folder_of(BASELINE), old);
    sample_folder(folder_of(NEW_RUN), new_run);
    return compare_folders();
}

static void equal_runs(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sample quiet[2] = {{.seed = seed}, {.seed = seed + 100}};
        struct sample noisy[2] = {{.seed = seed, .between = 0.04, .within = 0.08},
                                  {.seed = seed + 100, .between = 0.04, .within = 0.08}};
        struct sample repeated[2] = {{.seed = seed, .between = 0.01, .launches = 3, .no_samples = true},
                                     {.seed = seed + 100, .between = 0.01, .launches = 3, .no_samples = true}};
        struct sample *pairs[] = {quiet, noisy, repeated};
        for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
            struct outcome outcome = compare_samples(pairs[i][0], pairs[i][1]);
            if (!outcome.passes) fail_msg("seed %d, pair %zu: %s", (int)seed, i, outcome.table.data);
            if (i == 0) assert_true(outcome.counts[VERDICT_same] > 300); /* and not all of them unsure */
            text_release(&outcome.table);
        }
    }
}

static void slower_runs(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double by;
        int launches, at_least;
    } slow[] = {{"openblas", 0.15, 3, 15}, /* a whole variant on the host */
                {"chase", 3, 1, 30},       /* with one launch a side */
                {"cublaslt", 0.06, 1, 60},
                {"gemm", 0.07, 5, 50},
                {"vector", 0.05, 5, 20}};
    for (size_t i = 0; i < ARRAY_LENGTH(slow); i++) {
        struct sample old = {.seed = 3, .launches = slow[i].launches}, now = {.seed = 4, .launches = slow[i].launches};
        struct sample slowed = now;
        slowed.slow_name = slow[i].name;
        slowed.slow_by = slow[i].by;
        struct outcome outcome = compare_samples(old, slowed);
        assert_false(outcome.passes);
        assert_true(outcome.counts[VERDICT_slower] >= slow[i].at_least);
        assert_int_equal(outcome.counts[VERDICT_faster], 0);
        text_release(&outcome.table);
        outcome = compare_samples(slowed, now); /* the other way round it is an improvement, which never fails */
        assert_true(outcome.passes);
        assert_true(outcome.counts[VERDICT_faster] >= slow[i].at_least);
        text_release(&outcome.table);
    }
}

static void missing_and_broken(void **state) {
    (void)state;
    struct outcome outcome = compare_samples((struct sample){.seed = 1}, (struct sample){.seed = 2, .no_gpu = true});
    assert_false(outcome.passes);
    assert_true(outcome.counts[VERDICT_missing] > 100);
    text_release(&outcome.table);
    outcome = compare_samples((struct sample){.seed = 1, .no_gpu = true}, (struct sample){.seed = 2});
    assert_true(outcome.passes);
    assert_true(outcome.counts[VERDICT_new] > 100);
    text_release(&outcome.table);
    static const struct {
        const char *status;
        enum case_verdict verdict;
    } fates[] = {{"wrong", VERDICT_wrong},
                 {"failed", VERDICT_failed},
                 {"timeout", VERDICT_failed},
                 {"skipped", VERDICT_missing}};
    for (size_t i = 0; i < ARRAY_LENGTH(fates); i++) {
        struct sample bad = {.seed = 2, .status_of = "chase", .status = fates[i].status};
        outcome = compare_samples((struct sample){.seed = 1}, bad);
        assert_false(outcome.passes);
        assert_int_equal(outcome.counts[fates[i].verdict], 34);
        text_release(&outcome.table);
        outcome = compare_samples(bad, (struct sample){.seed = 1});
        assert_true(outcome.passes);
        assert_int_equal(outcome.counts[i < 3 ? VERDICT_fixed : VERDICT_new], 34);
        text_release(&outcome.table);
    }
}

#define HEADER                                                                                                         \
    "suite,program,variant,backend,dtype,ranks,size,mode,metric,value,unit,better,status,time_us,time_min_us,time_"    \
    "p95_us\n"

static struct outcome compare_texts(const char *old, const char *new_run) {
    const char *contents[SIDES] = {old, new_run};
    char command[2048];
    snprintf(command, sizeof command, "rm -rf %s/0 %s/1 && mkdir %s/0 %s/1", root, root, root, root);
    assert_int_equal(system(command), 0);
    for (int side = 0; side < SIDES; side++) {
        struct text text = {0};
        text_string(&text, contents[side]);
        sample_write(folder_of(side), "p.csv", &text);
        text_release(&text);
    }
    return compare_folders();
}

/* One row of the old and of the new run, and what becomes of it. */
static void single_rows(void **state) {
    (void)state;
    static const struct {
        const char *backend, *old, *now;
        enum case_verdict verdict;
    } cases[] = {
        {"cuda", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,80,GB/s,higher,ok,12.5,12.4,12.6",
         VERDICT_slower},
        {"cuda", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,130,GB/s,higher,ok,7.7,7.6,7.8",
         VERDICT_faster},
        {"cuda", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,98,GB/s,higher,ok,10.2,10.1,10.3",
         VERDICT_same},
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,95,GB/s,higher,ok,10.5,10.4,10.6", VERDICT_same},
        /* one launch on the host */
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,80,GB/s,higher,ok,12.5,12.4,12.6", VERDICT_unsure},
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,25,GB/s,higher,ok,40,39,41", VERDICT_slower},
        /* the fastest call is as fast as before */
        {"cuda", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,80,GB/s,higher,ok,12.5,9.9,12.6",
         VERDICT_unsure},
        /* calls lost the processor */
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,25,GB/s,higher,ok,40,39,90", VERDICT_unsure},
        {"cuda", "latency,100,ns,lower,ok,10,9.9,10.1", "latency,80,ns,lower,ok,8,7.9,8.1", VERDICT_faster},
        {"cuda", "latency,100,ns,lower,ok,10,9.9,10.1", "latency,130,ns,lower,ok,13,12.9,13.1", VERDICT_slower},
        {"c", "accuracy,0.36,1,higher,ok,,,", "accuracy,0.30,1,higher,ok,,,", VERDICT_worse},
        {"c", "accuracy,0.36,1,higher,ok,,,", "accuracy,0.365,1,higher,ok,,,", VERDICT_same},
        {"c", "loss,1.7,nats,lower,ok,,,", "loss,1.2,nats,lower,ok,,,", VERDICT_improved},
        {"c", "memory,0,MiB,lower,ok,,,", "memory,0,MiB,lower,ok,,,", VERDICT_same},
        {"c", "memory,0,MiB,lower,ok,,,", "memory,5,MiB,lower,ok,,,", VERDICT_worse},
        {"c", "ratio,1,1,neither,ok,,,", "ratio,5,1,neither,ok,,,", VERDICT_noted},
        {"c", "unheard_of,1,x,higher,ok,,,", "unheard_of,0.5,x,higher,ok,,,", VERDICT_worse},
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", "bandwidth,nan,GB/s,higher,ok,10,9.9,10.1", VERDICT_failed},
        {"c", "bandwidth,inf,GB/s,higher,ok,10,9.9,10.1", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", VERDICT_broken},
        {"c", "bandwidth,100,GB/s,higher,wrong,10,9.9,10.1", "bandwidth,100,GB/s,higher,wrong,10,9.9,10.1",
         VERDICT_broken},
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", ",,,,failed,,,", VERDICT_failed},
        {"c", "bandwidth,100,GB/s,higher,ok,10,9.9,10.1", ",,,,skipped,,,", VERDICT_missing},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char old[1024], now[1024];
        snprintf(old, sizeof old, HEADER "s,p,v,%s,fp32,1,64,loop,%s\n", cases[i].backend, cases[i].old);
        snprintf(now, sizeof now, HEADER "s,p,v,%s,fp32,1,64,loop,%s\n", cases[i].backend, cases[i].now);
        struct outcome outcome = compare_texts(old, now);
        if (outcome.counts[cases[i].verdict] != 1) fail_msg("case %zu: %s", i, outcome.table.data);
        assert_int_equal(outcome.passes, !verdict_fails[cases[i].verdict]);
        text_release(&outcome.table);
    }
}

static void keys(void **state) {
    (void)state;
    /* An axis that only the new run has names no case, and columns may be in another order. */
    struct outcome outcome = compare_texts(HEADER "s,p,v,c,fp32,1,64,loop,bandwidth,100,GB/s,higher,ok,10,9,10\n",
                                           "value,status,metric,mode,size,fresh,ranks,dtype,backend,variant,program,"
                                           "suite\n100,ok,bandwidth,loop,64,x,1,fp32,c,v,p,s\n");
    assert_int_equal(outcome.counts[VERDICT_same], 1);
    text_release(&outcome.table);
    outcome = compare_texts(HEADER "s,p,v,c,fp32,1,64,loop,bandwidth,100,GB/s,higher,ok,10,9,10\n",
                            HEADER "s,p,v,c,fp32,1,65,loop,bandwidth,100,GB/s,higher,ok,10,9,10\n");
    assert_int_equal(outcome.counts[VERDICT_missing], 1);
    assert_int_equal(outcome.counts[VERDICT_new], 1);
    assert_false(outcome.passes);
    text_release(&outcome.table);
}

static void stands_twice(void **state) {
    (void)state;
    struct outcome outcome = compare_texts(HEADER, HEADER);
    text_release(&outcome.table);
    struct text text = {0};
    text_string(&text, HEADER
                "s,p,v,c,fp32,1,64,loop,bandwidth,1,GB/s,higher,ok,1,1,1\n\"s\",p,v,c,fp32,1,64,loop,bandwidth,2,GB/s,"
                "higher,ok,1,1,1\n");
    sample_write(folder_of(NEW_RUN), "p.csv", &text);
    text_release(&text);
    struct result results[SIDES];
    struct match match;
    struct problem problem;
    for (int side = 0; side < SIDES; side++) assert_true(result_read(folder_of(side), side, &results[side], &problem));
    assert_false(match_build(results, &match, &problem));
    assert_non_null(strstr(problem.line, "/1/p.csv:3: the same case and launch as line 2"));
    match_release(&match);
    for (int side = 0; side < SIDES; side++) result_release(&results[side]);
}

static void busy_host(void **state) {
    (void)state;
    struct text texts[SIDES] = {{0}, {0}};
    for (int side = 0; side < SIDES; side++) {
        text_string(&texts[side], HEADER);
        for (int i = 0; i < 20; i++) /* four times slower, half of the cases with calls that were interrupted */
            text_add(&texts[side], "s,p,v,c,fp32,1,%d,loop,bandwidth,%s%d\n", i,
                     side ? "25,GB/s,higher,ok,40,39," : "100,GB/s,higher,ok,10,9,",
                     side && i < 10 ? 400
                     : side         ? 41
                                    : 11);
    }
    struct outcome outcome = compare_texts(texts[0].data, texts[1].data);
    assert_true(outcome.passes);
    assert_int_equal(outcome.counts[VERDICT_unsure], 20);
    assert_true(outcome.interrupted[NEW_RUN] == 0.5 && outcome.interrupted[BASELINE] == 0);
    for (int side = 0; side < SIDES; side++) text_release(&texts[side]);
    text_release(&outcome.table);
}

/* The bootstrap agrees with theory on normal samples, and with itself. */
static void bootstrap(void **state) {
    (void)state;
    enum { COUNT = 100 };
    double samples[2][COUNT];
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < COUNT; i++)
            samples[side][i] = 100 * (1 + 0.02 * random_normal(7, (uint64_t)side, (uint64_t)i));
    const double *series[2] = {samples[0], samples[1]};
    size_t count = COUNT;
    struct launches sides[2] = {{&series[0], &count, 1}, {&series[1], &count, 1}};
    struct ratio ratio, again;
    assert_true(bootstrap_ratio(&sides[0], &sides[1], 1, &ratio));
    double theory = sqrt(2) * 1.2533 * 0.02 / sqrt(COUNT); /* of the difference of two medians */
    assert_true(ratio.error > 0.6 * theory && ratio.error < 1.6 * theory);
    assert_true(ratio.high - ratio.low > 2 * 1.2 * theory && ratio.high - ratio.low < 2 * 3.2 * theory);
    assert_true(bootstrap_ratio(&sides[0], &sides[1], 1, &again));
    assert_memory_equal(&ratio, &again, sizeof ratio);
    size_t none = 0;
    struct launches empty = {&series[0], &none, 1};
    assert_false(bootstrap_ratio(&empty, &sides[1], 1, &ratio));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_runs),  cmocka_unit_test(slower_runs), cmocka_unit_test(missing_and_broken),
        cmocka_unit_test(single_rows), cmocka_unit_test(keys),        cmocka_unit_test(stands_twice),
        cmocka_unit_test(busy_host),   cmocka_unit_test(bootstrap)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
