#include "limit_rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "csv_read.h"

enum rule_column { PROGRAM, DEVICE, VARIANT, DTYPE, AXES_OF_CASE, METRIC_NAME, LEAST_SHARE, RULE_COLUMNS };
static const char *const names[RULE_COLUMNS] = {"program", "device", "variant",    "dtype",
                                                "axes",    "metric", "least_share"};
static const bool required[RULE_COLUMNS] = {[PROGRAM] = true, [METRIC_NAME] = true, [LEAST_SHARE] = true};
const char *const limit_verdict_names[LIMIT_VERDICTS] = {"met", "below", "missing"};

struct rules_reading {
    const char *path;
    struct limit_rules *rules;
    bool header_seen;
    size_t field[RULE_COLUMNS]; /* the number of fields: the file has no such column */
};

static bool header_take(struct rules_reading *reading, size_t line, char *const *fields, size_t count,
                        struct problem *problem) {
    for (int column = 0; column < RULE_COLUMNS; column++) {
        reading->field[column] = csv_find(fields, count, names[column]);
        if (required[column] && reading->field[column] == count)
            return problem_set(problem, reading->path, line, "no column %s", names[column]);
    }
    return true;
}

static bool rule_take(struct rules_reading *reading, size_t line, char *const text[RULE_COLUMNS],
                      struct limit_rule *rule, struct problem *problem) {
    *rule = (struct limit_rule){.line = line,
                                .selector = {.program = text[PROGRAM],
                                             .device = text[DEVICE],
                                             .variant = text[VARIANT],
                                             .dtype = text[DTYPE],
                                             .metric = text[METRIC_NAME],
                                             .unit = "",
                                             .source = ""}};
    if (text[PROGRAM][0] == 0) return problem_set(problem, reading->path, line, "program: it is empty");
    if (metric_facts(text[METRIC_NAME]) == NULL)
        return problem_set(problem, reading->path, line, "metric: '%.60s' is no metric; see --schema of any program",
                           text[METRIC_NAME]);
    if (!number_parse(text[LEAST_SHARE], &rule->least_share) || !(rule->least_share > 0 && rule->least_share <= 2))
        return problem_set(problem, reading->path, line, "least_share: '%.60s' is not a number above 0 and up to 2",
                           text[LEAST_SHARE]);
    char *axes = pool_copy(&reading->rules->pool, text[AXES_OF_CASE], strlen(text[AXES_OF_CASE]));
    return peer_take_axes(&rule->selector, axes) ||
           problem_set(problem, reading->path, line, "axes: '%.60s' is not name=value;name=value", text[AXES_OF_CASE]);
}

static bool record_take(void *context, size_t line, char *const *fields, size_t count, struct problem *problem) {
    struct rules_reading *reading = context;
    struct limit_rules *rules = reading->rules;
    if (!reading->header_seen) {
        reading->header_seen = true;
        return header_take(reading, line, fields, count, problem);
    }
    char *text[RULE_COLUMNS];
    for (int column = 0; column < RULE_COLUMNS; column++) {
        const char *field = reading->field[column] < count ? fields[reading->field[column]] : "";
        text[column] = pool_copy(&rules->pool, field, strlen(field));
    }
    rules->list = array_grow(rules->list, rules->count, &rules->capacity, sizeof *rules->list);
    return rule_take(reading, line, text, &rules->list[rules->count++], problem);
}

bool limit_rules_read(const char *path, struct limit_rules *rules, struct problem *problem) {
    struct rules_reading reading = {.path = path, .rules = rules};
    rules->path = pool_copy(&rules->pool, path, strlen(path));
    if (!csv_read(path, record_take, &reading, problem)) return false;
    return rules->count > 0 || problem_set(problem, path, 1, "no rules in it");
}

void limit_rules_release(struct limit_rules *rules) {
    free(rules->list);
    pool_release(&rules->pool);
    *rules = (struct limit_rules){0};
}

static double share_of(const struct pair *pair) {
    double shares[LAUNCHES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < pair->count[NEW_RUN] && count < LAUNCHES_MAX; i++) {
        double share = row_measured(pair->rows[NEW_RUN][i]) ? row_limit_share(pair->rows[NEW_RUN][i]) : NAN;
        if (isfinite(share)) shares[count++] = share;
    }
    return median_of(shares, count);
}

void limit_rules_judge(const struct limit_rules *rules, const struct match *match, struct limit_judgement *judgements) {
    for (size_t r = 0; r < rules->count; r++) {
        struct limit_judgement *judgement = &judgements[r];
        *judgement = (struct limit_judgement){&rules->list[r], LIMIT_MISSING, NULL, NAN};
        for (size_t i = 0; i < match->count; i++) {
            const struct pair *pair = &match->pairs[i];
            if (pair->count[NEW_RUN] == 0 || !peer_matches(&rules->list[r].selector, pair->rows[NEW_RUN][0])) continue;
            double share = share_of(pair);
            if (!isfinite(share) || (judgement->row != NULL && !(share > judgement->share))) continue;
            judgement->row = pair->rows[NEW_RUN][0];
            judgement->share = share;
        }
        if (judgement->row != NULL)
            judgement->verdict = judgement->share >= rules->list[r].least_share ? LIMIT_MET : LIMIT_BELOW;
    }
}
