/* Five launches a side: the gate sees what is slower through a clock that varies, and claims nothing that its launches
   do not bear out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/lib/comparison.h"
#include "reports/tests/sample.h"

enum { CASES = 12 };
static char root[256];

static int set_up(void **state) {
    (void)state;
    return sample_place_make(root, sizeof root, "launches");
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(root);
}

/* One side to make: of CASES sizes the first is slow. */
struct side_made {
    uint64_t seed;
    int launches;
    const char *backend, *hardware;
    double noise;      /* of a launch's cycles, relative */
    double clock;      /* scatter of the clock, relative */
    double slower;     /* cycles of the first case */
    double clock_of_first; /* its clock, relative to the others', 0: 1 */
    bool only_median;  /* the fastest calls are as they were */
    int slow_launches; /* of the first case, 0: all */
    int disturbed;     /* so many launches of the first case take a fifth longer, and their calls vary */
};

static void make(const char *folder, const struct side_made *side) {
    char path[400];
    struct text text = {0}, manifest = {0};
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) fail_msg("%s", folder);
    text_string(&text, "program,variant,backend,size,mode,launch,metric,value,unit,better,status,time_us,time_min_us,"
                       "time_p95_us,clock_mhz\n");
    for (int launch = 0; launch < side->launches; launch++)
        for (int i = 0; i < CASES; i++) {
            uint64_t at = (uint64_t)(launch * CASES + i);
            bool slowed = i == 0 && (side->slow_launches == 0 || launch < side->slow_launches);
            double clock = 4000 * (1 + side->clock * random_normal(side->seed, 1, at));
            if (i == 0 && side->clock_of_first > 0) clock *= side->clock_of_first;
            double cycles = 4e6 * (1 + side->noise * random_normal(side->seed, 2, at)), fastest = 0.99 * cycles / clock;
            if (slowed) cycles *= 1 + side->slower;
            double time = cycles / clock;
            if (!side->only_median) fastest = 0.99 * time;
            if (i == 0 && launch < side->disturbed) time *= 1.2, fastest = 0.95 * time;
            text_add(&text, "p,v,%s,%d,loop,%d,flop_rate,%.6g,TFLOP/s,higher,ok,%.6g,%.6g,%.6g,%.5g\n",
                     side->backend, i, launch + 1, 1 / time, time, fastest, 1.02 * time, clock);
        }
    sample_write(folder, "p.csv", &text);
    text_add(&manifest,
             "{\"schema\": 1, \"host\": \"h\", \"fingerprint\": {\"hardware\": \"%s\", \"software\": \"s\"}}\n",
             side->hardware != NULL ? side->hardware : "one");
    sample_write(folder, "manifest.json", &manifest);
    text_release(&text);
    text_release(&manifest);
    snprintf(path, sizeof path, "%s/p.samples.csv", folder);
    remove(path);
}

static const char *folder_of(int number) {
    static char names[8][300];
    snprintf(names[number], sizeof names[number], "%s/%d", root, number);
    return names[number];
}

/* The verdict on the first case; the others must be the same, or unsure at worst. */
static enum case_verdict verdict_on(struct side_made old, struct side_made now, const char **note) {
    struct comparison comparison = {0};
    struct problem problem;
    make(folder_of(0), &old);
    make(folder_of(1), &now);
    for (int side = 0; side < SIDES; side++)
        if (!comparison_add(&comparison, side, folder_of(side), false, &problem)) fail_msg("%s", problem.line);
    if (!comparison_judge(&comparison, 0, &problem)) fail_msg("%s", problem.line);
    assert_int_equal(comparison.judge.count, CASES);
    enum case_verdict verdict = VERDICT_COUNT;
    for (int i = 0; i < CASES; i++) {
        const struct judgement *judgement = &comparison.judge.judgements[i];
        bool first = strcmp(row_axis(pair_row(judgement->pair), "size"), "0") == 0;
        if (first) verdict = judgement->verdict, *note = judgement->note;
        else if (judgement->verdict != VERDICT_same && judgement->verdict != VERDICT_unsure)
            fail_msg("case %d is %s", i, verdict_names[judgement->verdict]);
    }
    comparison_release(&comparison);
    return verdict;
}

static void sees_slower(void **state) {
    (void)state;
    static const struct {
        const char *backend;
        double slower, clock, noise;
    } cases[] = {{"c", 0.05, 0.001, 0.002}, {"c", 0.04, 0.03, 0.003}, {"openmp", 0.03, 0.02, 0.002},
                 {"cuda", 0.015, 0.001, 0.001}};
    const char *note = "";
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct side_made old = {.seed = seed, .launches = 5, .backend = cases[i].backend, .noise = cases[i].noise,
                                    .clock = cases[i].clock};
            struct side_made now = old;
            now.seed += 100;
            assert_int_equal(verdict_on(old, now, &note), VERDICT_same);
            now.slower = cases[i].slower;
            assert_int_equal(verdict_on(old, now, &note), VERDICT_slower);
            assert_int_equal(verdict_on(now, old, &note), VERDICT_faster);
        }
}

static void claims_nothing(void **state) {
    (void)state;
    const char *note = "";
    struct side_made old = {.seed = 1, .launches = 5, .backend = "c", .noise = 0.002, .clock = 0.001}, now = old;
    now.seed = 2;
    struct side_made lower_clock = now, one_launch = now, median = now, noisy = now, noisy_old = old;
    lower_clock.clock_of_first = 0.92; /* 8 % slower on the wall, the same in clock cycles */
    assert_int_equal(verdict_on(old, lower_clock, &note), VERDICT_unsure);
    median.slower = 0.06; /* the fastest calls are as fast as they were */
    median.only_median = true;
    assert_int_equal(verdict_on(old, median, &note), VERDICT_unsure);
    one_launch.slower = 0.5; /* one of five */
    one_launch.slow_launches = 1;
    assert_int_equal(verdict_on(old, one_launch, &note), VERDICT_same);
    one_launch.slower = 0.1; /* four of five, and one like before: they overlap */
    one_launch.slow_launches = 4;
    assert_int_equal(verdict_on(old, one_launch, &note), VERDICT_unsure);
    noisy_old.noise = noisy.noise = 0.2;
    noisy.slower = 0.10;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        noisy_old.seed = seed;
        noisy.seed = seed + 50;
        enum case_verdict verdict = verdict_on(noisy_old, noisy, &note);
        assert_true(verdict == VERDICT_unsure || verdict == VERDICT_same);
    }
}

/* Launches whose own calls vary are left out, as long as most of a side remain. */
static void disturbed_launches(void **state) {
    (void)state;
    const char *note = "";
    struct side_made old = {.seed = 1, .launches = 5, .backend = "c", .noise = 0.002, .clock = 0.001}, now = old;
    now.seed = 2;
    now.slower = 0.05;
    struct side_made slow = old;
    slow.slower = 0.2; /* as slow as a disturbed one, but regular */
    slow.slow_launches = 1;
    assert_int_equal(verdict_on(slow, now, &note), VERDICT_unsure);
    assert_string_equal(note, "launches overlap");
    old.disturbed = 1;
    assert_int_equal(verdict_on(old, now, &note), VERDICT_slower);
    old.disturbed = 3;
    assert_int_equal(verdict_on(old, now, &note), VERDICT_unsure);
    assert_string_equal(note, "most launches of one side were disturbed");
    old.disturbed = 0;
    now.disturbed = 5; /* a program that has become slow and irregular */
    assert_int_equal(verdict_on(old, now, &note), VERDICT_slower);
    now = old;
    now.seed = 2;
    now.disturbed = 2;
    assert_int_equal(verdict_on(old, now, &note), VERDICT_same);
}

/* Launches may lie in folders of their own; one of other hardware among them is refused. */
static void several_folders(void **state) {
    (void)state;
    struct comparison comparison = {0};
    struct problem problem;
    for (int i = 0; i < 8; i++) {
        struct side_made side = {.seed = (uint64_t)i, .launches = i == 0 ? 2 : 1, .backend = "c", .noise = 0.001,
                                 .clock = 0.001, .slower = i < 4 ? 0 : 0.06};
        make(folder_of(i), &side);
        if (!comparison_add(&comparison, i < 4 ? BASELINE : NEW_RUN, folder_of(i), false, &problem))
            fail_msg("%s", problem.line);
    }
    struct side_made more = {.seed = 9, .launches = 2, .backend = "c", .noise = 0.001, .clock = 0.001, .slower = 0.06};
    make(folder_of(1), &more);
    assert_true(comparison_add(&comparison, NEW_RUN, folder_of(1), false, &problem));
    assert_true(comparison_judge(&comparison, 0, &problem));
    const struct judgement *first = &comparison.judge.judgements[0];
    assert_int_equal(first->launches, 5);
    assert_int_equal(first->pair->count[NEW_RUN], 6);
    assert_int_equal(first->verdict, VERDICT_slower);
    comparison_release(&comparison);
    struct side_made other = {.seed = 9, .launches = 1, .backend = "c", .hardware = "two"};
    make(folder_of(2), &other);
    assert_true(comparison_add(&comparison, NEW_RUN, folder_of(1), false, &problem));
    assert_false(comparison_add(&comparison, NEW_RUN, folder_of(2), false, &problem));
    assert_non_null(strstr(problem.line, "of other hardware: 'two'"));
    assert_true(comparison_add(&comparison, NEW_RUN, folder_of(2), true, &problem));
    assert_int_equal(result_rows(&comparison.results[NEW_RUN]), 3 * CASES);
    comparison_release(&comparison);
}

static void halves(void **state) {
    (void)state;
    struct side_made side = {.seed = 5, .launches = 6, .backend = "c", .noise = 0.002, .clock = 0.001};
    const char *folders[] = {folder_of(0)};
    for (int changed = 0; changed < 2; changed++) {
        struct comparison comparison = {0};
        struct problem problem;
        side.slower = changed ? 0.3 : 0;
        side.slow_launches = 3; /* the machine changed half-way */
        make(folders[0], &side);
        assert_true(comparison_halves(&comparison, folders, 1, SPLIT_IN_TIME, &problem));
        assert_int_equal(halves_disagree(&comparison), changed);
        comparison_release(&comparison);
    }
    struct comparison one = {0};
    struct problem problem;
    side.launches = 1;
    make(folders[0], &side);
    assert_false(comparison_halves(&one, folders, 1, SPLIT_IN_TIME, &problem));
    assert_non_null(strstr(problem.line, "one launch has no halves"));
    comparison_release(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sees_slower), cmocka_unit_test(claims_nothing),
                                       cmocka_unit_test(disturbed_launches),
                                       cmocka_unit_test(several_folders), cmocka_unit_test(halves)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
