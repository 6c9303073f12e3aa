#include "verdict_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "markup.h"

bool gate_passes(const struct gate_outcome *outcome) {
    bool passes = judge_passes(&outcome->comparison->judge);
    for (size_t i = 0; i < outcome->rules->count; i++) passes = passes && outcome->limits[i].verdict == LIMIT_MET;
    return passes;
}

static void add_number(cJSON *object, const char *name, double value) {
    if (isfinite(value)) cJSON_AddNumberToObject(object, name, value);
    else cJSON_AddNullToObject(object, name);
}

/* cJSON writes bytes as they are, so that what is no UTF-8 would make a file that nobody reads. */
static void add_string(cJSON *object, const char *name, const char *value) {
    struct text text = {0};
    text_clear(&text);
    text_html(&text, value);
    bool plain = strcmp(text.data, value) == 0;
    text_clear(&text);
    for (const char *c = value; *c != 0; c++) {
        bool kept = plain || ((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
        text_bytes(&text, kept ? c : "?", 1);
    }
    cJSON_AddStringToObject(object, name, text.data);
    text_release(&text);
}

static cJSON *side_object(const struct comparison *comparison, int side) {
    const struct result *result = &comparison->results[side];
    cJSON *object = cJSON_CreateObject();
    if (result->folder == NULL) return object;
    add_string(object, "folder", result->folder);
    add_string(object, "hardware", result->machine.hardware);
    add_string(object, "software", result->machine.software);
    return object;
}

/* How many measured, and how many of those were left out since they were known to be disturbed. */
static void add_launches(cJSON *object, const struct judgement *judgement, int side, const char *prefix) {
    size_t measured = launches_on(judgement->pair, side);
    const struct shift *shift = &judgement->shift[judgement->by];
    char name[40];
    snprintf(name, sizeof name, "%s_launches", prefix);
    add_number(object, name, (double)measured);
    snprintf(name, sizeof name, "%s_disturbed", prefix);
    add_number(object, name, shift->known ? (double)(measured - shift->launches[side]) : 0);
}

static void add_figures(cJSON *object, const struct judgement *judgement) {
    add_number(object, "baseline", judgement->value[BASELINE]);
    add_number(object, "new", judgement->value[NEW_RUN]);
    add_number(object, "slowdown", expm1(judgement->worse));
    add_number(object, "slowdown_low", expm1(judgement->low));
    add_number(object, "slowdown_high", expm1(judgement->high));
    add_number(object, "tolerance", expm1(judgement->tolerance));
    add_number(object, "launch_spread", judgement->spread);
    add_string(object, "judged_by", measure_names[judgement->by]);
    add_number(object, "judged_slowdown", expm1(judgement->judged));
    add_number(object, "p", isnan(judgement->p_holm) ? NAN : judgement->shift[judgement->by].p);
    add_number(object, "p_holm", judgement->p_holm);
    add_launches(object, judgement, BASELINE, "baseline");
    add_launches(object, judgement, NEW_RUN, "new");
}

static cJSON *case_object(const struct judgement *judgement) {
    static const enum column named[] = {COLUMN_suite, COLUMN_program, COLUMN_variant, COLUMN_backend, COLUMN_device,
                                        COLUMN_dtype, COLUMN_ranks,   COLUMN_mode,    COLUMN_metric,  COLUMN_unit};
    const struct row *row = pair_row(judgement->pair);
    cJSON *object = cJSON_CreateObject();
    add_string(object, "verdict", verdict_names[judgement->verdict]);
    for (size_t i = 0; i < ARRAY_LENGTH(named); i++) add_string(object, column_names[named[i]], row->field[named[i]]);
    cJSON *axes = cJSON_AddObjectToObject(object, "axes");
    for (size_t i = 0; i < row->table->axis_count; i++)
        if (row->axis_value[i][0] != 0) add_string(axes, row->table->axis[i], row->axis_value[i]);
    add_figures(object, judgement);
    add_string(object, "note", judgement->note);
    return object;
}

static cJSON *limit_object(const struct limit_judgement *limit, const char *path) {
    cJSON *object = cJSON_CreateObject();
    add_string(object, "verdict", limit_verdict_names[limit->verdict]);
    add_string(object, "file", path);
    add_number(object, "line", (double)limit->rule->line);
    add_number(object, "least_share", limit->rule->least_share);
    add_number(object, "share", limit->share);
    return object;
}

void gate_json(const struct gate_outcome *outcome, struct text *out) {
    const struct judge *judge = &outcome->comparison->judge;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", 1);
    cJSON_AddBoolToObject(root, "pass", gate_passes(outcome));
    cJSON_AddItemToObject(root, "baseline", side_object(outcome->comparison, BASELINE));
    cJSON_AddItemToObject(root, "new", side_object(outcome->comparison, NEW_RUN));
    cJSON *counts = cJSON_AddObjectToObject(root, "counts");
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        cJSON_AddNumberToObject(counts, verdict_names[verdict], judge->counts[verdict]);
    cJSON_AddNumberToObject(root, "family", (double)judge->family);
    cJSON *cases = cJSON_AddArrayToObject(root, "cases");
    for (size_t i = 0; i < judge->count; i++) cJSON_AddItemToArray(cases, case_object(&judge->judgements[i]));
    cJSON *limits = cJSON_AddArrayToObject(root, "limits");
    for (size_t i = 0; i < outcome->rules->count; i++)
        cJSON_AddItemToArray(limits, limit_object(&outcome->limits[i], outcome->rules->path));
    char *text = cJSON_Print(root);
    if (text != NULL) text_string(out, text), text_string(out, "\n");
    cJSON_free(text);
    cJSON_Delete(root);
}

static void describe_change(const struct judgement *judgement, struct text *text) {
    text_string(text, verdict_names[judgement->verdict]);
    if (isfinite(judgement->worse))
        text_add(text, ": %+.1f %% (allowed %.1f %%), %.6g against %.6g", expm1(judgement->worse) * 100,
                 expm1(judgement->tolerance) * 100, judgement->value[NEW_RUN], judgement->value[BASELINE]);
    if (judgement->note[0] != 0) text_string(text, "; "), text_string(text, judgement->note);
}

static void add_attribute(struct text *out, const char *name, const char *value) {
    text_add(out, " %s=\"", name);
    text_html(out, value);
    text_string(out, "\"");
}

static void junit_case(const struct judgement *judgement, struct text *out) {
    const struct row *row = pair_row(judgement->pair);
    struct text name = {0}, change = {0};
    verdict_case_name(row, &name);
    text_string(&name, " ");
    text_string(&name, row->field[COLUMN_metric]);
    describe_change(judgement, &change);
    text_string(out, "  <testcase");
    add_attribute(out, "classname", row->field[COLUMN_program]);
    add_attribute(out, "name", name.data);
    if (verdict_fails[judgement->verdict] || judgement->verdict == VERDICT_unsure) {
        text_add(out, "><%s", verdict_fails[judgement->verdict] ? "failure" : "skipped");
        add_attribute(out, "message", change.data);
        text_string(out, "/></testcase>\n");
    } else {
        text_string(out, "/>\n");
    }
    text_release(&name);
    text_release(&change);
}

static void describe_limit(const struct limit_judgement *limit, struct text *text) {
    text_add(text, "%s", limit_verdict_names[limit->verdict]);
    if (limit->row == NULL) text_add(text, ": nothing measured that the rule selects");
    else
        text_add(text, ": %.1f %% of the limit, at least %.1f %% asked", limit->share * 100,
                 limit->rule->least_share * 100);
}

static void rule_name(const struct limit_rule *rule, struct text *text) {
    const struct peer *selector = &rule->selector;
    const char *const words[] = {selector->program, selector->variant, selector->dtype, selector->device};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (words[i][0] != 0) text_string(text, words[i]), text_string(text, " ");
    for (int i = 0; i < selector->axis_count; i++) {
        text_string(text, selector->axes[i].name), text_string(text, "=");
        text_string(text, selector->axes[i].value), text_string(text, " ");
    }
    text_string(text, selector->metric);
}

static void junit_limit(const struct limit_judgement *limit, struct text *out) {
    struct text name = {0}, found = {0};
    rule_name(limit->rule, &name);
    describe_limit(limit, &found);
    text_string(out, "  <testcase classname=\"limits\"");
    add_attribute(out, "name", name.data);
    if (limit->verdict != LIMIT_MET) {
        text_string(out, "><failure");
        add_attribute(out, "message", found.data);
        text_string(out, "/></testcase>\n");
    } else {
        text_string(out, "/>\n");
    }
    text_release(&name);
    text_release(&found);
}

void gate_junit(const struct gate_outcome *outcome, struct text *out) {
    const struct judge *judge = &outcome->comparison->judge;
    size_t tests = judge->count + outcome->rules->count, failures = 0;
    for (size_t i = 0; i < judge->count; i++) failures += verdict_fails[judge->judgements[i].verdict];
    for (size_t i = 0; i < outcome->rules->count; i++) failures += outcome->limits[i].verdict != LIMIT_MET;
    text_add(out,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<testsuites>\n <testsuite name=\"plumbline\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
             "skipped=\"%d\">\n",
             tests, failures, judge->counts[VERDICT_unsure]);
    for (size_t i = 0; i < judge->count; i++) junit_case(&judge->judgements[i], out);
    for (size_t i = 0; i < outcome->rules->count; i++) junit_limit(&outcome->limits[i], out);
    text_string(out, " </testsuite>\n</testsuites>\n");
}

void gate_limits(const struct gate_outcome *outcome, enum table_form form, struct text *out) {
    for (size_t i = 0; i < outcome->rules->count; i++) {
        struct text name = {0}, found = {0};
        rule_name(outcome->limits[i].rule, &name);
        describe_limit(&outcome->limits[i], &found);
        text_string(out, form == TABLE_MARKDOWN ? "- limit " : "limit ");
        table_cell(out, &name, form);
        text_string(out, ": ");
        table_cell(out, &found, form);
        text_string(out, "\n");
        text_release(&name);
        text_release(&found);
    }
}
