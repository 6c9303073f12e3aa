#include "comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"

bool comparison_add(struct comparison *comparison, int side, const char *folder, bool any_hardware,
                    struct problem *problem) {
    struct result *result = &comparison->results[side];
    if (result->folder == NULL) return result_read(folder, side, result, problem);
    return result_add(folder, side, any_hardware, result, problem);
}

static bool read_samples(struct comparison *comparison, int side, struct problem *problem) {
    const struct result *result = &comparison->results[side];
    bool good = true;
    struct text path = {0};
    comparison->samples[side] = array_zeroed(result->table_count, sizeof *comparison->samples[side]);
    for (size_t t = 0; t < result->table_count && good; t++) {
        const char *table = result->tables[t].path;
        text_clear(&path);
        text_bytes(&path, table, strlen(table) - strlen(".csv"));
        text_string(&path, ".samples.csv");
        good = samples_read(path.data, &comparison->samples[side][t], problem);
    }
    text_release(&path);
    return good;
}

bool comparison_judge(struct comparison *comparison, double floor, struct problem *problem) {
    for (int side = 0; side < SIDES; side++)
        if (comparison->samples[side] == NULL && !read_samples(comparison, side, problem)) return false;
    if (!match_build(comparison->results, &comparison->match, problem)) return false;
    comparison->judge = (struct judge){.results = comparison->results,
                                       .match = &comparison->match,
                                       .floor = floor,
                                       .level = comparison->level,
                                       .only = comparison->only,
                                       .others = comparison->others,
                                       .few_decide = comparison->few_decide || floor > 0};
    judge_all(&comparison->judge, (const struct samples *const *)comparison->samples);
    return true;
}

void comparison_release(struct comparison *comparison) {
    for (int side = 0; side < SIDES; side++) {
        if (comparison->lent[side]) continue;
        for (size_t t = 0; comparison->samples[side] != NULL && t < comparison->results[side].table_count; t++)
            samples_release(&comparison->samples[side][t]);
        free(comparison->samples[side]);
        result_release(&comparison->results[side]);
    }
    judge_release(&comparison->judge);
    match_release(&comparison->match);
    *comparison = (struct comparison){0};
}

const struct judgement *comparison_find(const struct comparison *comparison, const struct match *of,
                                        const struct judgement *judgement) {
    struct text key = {0};
    match_key(of, judgement->pair, &key);
    long number = index_find(&comparison->match.index, key.data);
    text_release(&key);
    for (size_t i = 0; i < comparison->judge.count && number != INDEX_NONE; i++)
        if (comparison->judge.judgements[i].pair == &comparison->match.pairs[number])
            return &comparison->judge.judgements[i];
    return NULL;
}

/* Of an odd number of launches the one in the middle of the time belongs to neither half. */
static bool belongs(int launch, int launches, enum split split, int side) {
    if (split == SPLIT_ALTERNATING) return launch % 2 == (side == BASELINE);
    return side == BASELINE ? launch <= launches / 2 : launch > launches - launches / 2;
}

static void keep_half(struct result *result, enum split split, int side) {
    int launches = result_launches(result);
    for (size_t t = 0; t < result->table_count; t++) {
        struct table *table = &result->tables[t];
        size_t kept = 0;
        for (size_t r = 0; r < table->row_count; r++)
            if (belongs(table->rows[r]->launch, launches, split, side)) table->rows[kept++] = table->rows[r];
        table->row_count = kept;
    }
}

bool comparison_halves(struct comparison *halves, const char *const *folders, size_t count, enum split split,
                       struct problem *problem) {
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < count; i++)
            if (!comparison_add(halves, side, folders[i], false, problem)) return false;
        if (result_launches(&halves->results[side]) < 2)
            return problem_set(problem, folders[0], 0, "one launch has no halves");
        keep_half(&halves->results[side], split, side);
    }
    halves->few_decide = true; /* they were taken one after another */
    return comparison_judge(halves, 0, problem);
}

/* Halves have two or three launches each, too few for the rank test, so that some of many cases differ by chance; more
   than that is a machine that changed meanwhile. */
bool halves_disagree(const struct comparison *halves) {
    static const double share = 0.02;
    const int *counts = halves->judge.counts;
    size_t compared = 0, differ = 0;
    for (size_t i = 0; i < halves->judge.count; i++) {
        enum case_verdict verdict = halves->judge.judgements[i].verdict;
        compared += isfinite(halves->judge.judgements[i].worse);
        differ += verdict == VERDICT_slower || verdict == VERDICT_faster || verdict == VERDICT_worse ||
                  verdict == VERDICT_improved;
    }
    int broken = counts[VERDICT_wrong] + counts[VERDICT_failed] + counts[VERDICT_missing] + counts[VERDICT_fixed] +
                 counts[VERDICT_new];
    return broken > 0 || compared == 0 || (double)differ > share * (double)compared;
}
