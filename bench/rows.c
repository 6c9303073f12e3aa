/* rows.c: an outcome as rows of text, and the schema they follow. */
#include "rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "text.h"
#include "topology.h"

const char *const status_names[STATUS_COUNT] = {
#define STATUS(identifier) #identifier,
#include "statuses.def"
#undef STATUS
};
static const char *const better_names[] = {"higher", "lower", "neither"};
_Static_assert(HIGHER == 0 && LOWER == 1 && NEITHER == 2, "better_names follows enum better");

static bool has_own_column(const struct axis *axis) {
    return strcmp(axis->name, "dtype") == 0 || strcmp(axis->name, "ranks") == 0;
}

static void axis_headers(struct text *text) {
    for (const struct axis *axis = bench.axes; axis->name != NULL; axis++)
        if (!has_own_column(axis)) text_add(text, "%s,", axis->name);
}

static void axis_value(struct text *text, const struct measurement *m, const struct axis *axis) {
    int64_t value = m->value[axis - bench.axes];
    if (m->absent != NULL) return;
    if (axis->kind == AXIS_WORD) text_field(text, axis->words[value]);
    else text_add(text, "%" PRId64, value);
}

static void named_axis(struct text *text, const struct measurement *m, const char *name, const char *otherwise) {
    for (const struct axis *axis = bench.axes; axis->name != NULL; axis++)
        if (strcmp(axis->name, name) == 0) {
            axis_value(text, m, axis);
            text_add(text, ",");
            return;
        }
    text_add(text, "%s,", otherwise);
}

static void axis_values(struct text *text, const struct measurement *m) {
    for (const struct axis *axis = bench.axes; axis->name != NULL; axis++) {
        if (has_own_column(axis)) continue;
        axis_value(text, m, axis);
        text_add(text, ",");
    }
}

void rows_header(struct text *csv, struct text *samples) {
    const char *separator = "";
#define COLUMN(identifier, meaning) text_add(csv, "%s%s", separator, #identifier), separator = ",";
#define AXES text_add(csv, ","), axis_headers(csv), separator = "";
#include "columns.def"
#undef COLUMN
#undef AXES
    text_add(csv, "\r\n");
    text_add(samples, "variant,dtype,ranks,");
    axis_headers(samples);
    text_add(samples, "mode,launch,metric,sample,time_us\r\n");
}

static void add_number(struct text *text, bool known, double value, const char *format) {
    if (known && isfinite(value)) text_add(text, format, value);
    else if (known) text_add(text, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    text_add(text, ",");
}

static void case_fields(struct text *text, const struct options *options, const struct shared *shared,
                        const struct measurement *m) {
    bool device = m->variant->place == PLACE_DEVICE;
    text_add(text, "%s,%s,%s,%s,", bench.suite, bench.name, m->variant->name, m->variant->backend);
    text_field(text, device ? shared->device_name : topology_processor());
    text_add(text, ",");
    named_axis(text, m, "dtype", "");
    named_axis(text, m, "ranks", "1");
    axis_values(text, m);
    text_add(text, "%s,%d,", m->absent != NULL ? "" : measurement_mode(options, m), options->launch);
}

static double limit_share(const struct figure *figure) {
    double base = figure->limit.value / metrics[figure->metric].scale;
    return metrics[figure->metric].better == LOWER ? base / figure->value : figure->value / base;
}

static void row(struct text *text, const struct options *options, const struct shared *shared,
                const struct measurement *m, const struct outcome *outcome, const struct figure *figure) {
    case_fields(text, options, shared, m);
    if (figure != NULL) {
        text_add(text, "%s,", metrics[figure->metric].name);
        add_number(text, true, figure->value, "%.6g");
        text_add(text, "%s,%s,", metrics[figure->metric].unit, better_names[metrics[figure->metric].better]);
    } else {
        text_add(text, ",,,,");
    }
    text_add(text, "%s,", status_names[outcome->status]);
    text_field(text, outcome->reason);
    text_add(text, ",");
    struct timing none = {0}, timing = figure != NULL ? figure->timing : none;
    bool timed = timing.count > 0, limited = figure != NULL && figure->limit.value > 0;
    if (timed) text_add(text, "%zu", timing.count);
    text_add(text, ",");
    add_number(text, timed, timing.median * 1e6, "%.6g");
    add_number(text, timed, timing.minimum * 1e6, "%.6g");
    add_number(text, timed, timing.p95 * 1e6, "%.6g");
    add_number(text, timed, timing.ci_low * 1e6, "%.6g");
    add_number(text, timed, timing.ci_high * 1e6, "%.6g");
    add_number(text, timed, timing.noise, "%.4g");
    add_number(text, outcome->work.bytes > 0, outcome->work.bytes, "%.0f");
    add_number(text, outcome->work.flops > 0, outcome->work.flops, "%.0f");
    add_number(text, limited, limited ? figure->limit.value / metrics[figure->metric].scale : 0, "%.6g");
    if (limited) text_field(text, figure->limit.source);
    text_add(text, ",");
    add_number(text, limited, limited ? limit_share(figure) : 0, "%.4g");
    add_number(text, outcome->checked, outcome->verdict.error, "%.4g");
    add_number(text, outcome->checked, outcome->verdict.tolerance, "%.4g");
    add_number(text, outcome->memory >= 0, outcome->memory / (double)MIB, "%.6g");
    add_number(text, outcome->clock_mhz > 0, outcome->clock_mhz, "%.5g");
    add_number(text, outcome->power_w > 0, outcome->power_w, "%.4g");
    if (outcome->throttled >= 0) text_add(text, "%d", outcome->throttled);
    text_add(text, "\r\n");
}

static void sample_rows_of(struct text *text, const struct options *options, const struct measurement *m,
                           const struct figure *figure) {
    for (size_t i = 0; i < figure->timing.count; i++) {
        text_add(text, "%s,", m->variant->name);
        named_axis(text, m, "dtype", "");
        named_axis(text, m, "ranks", "1");
        axis_values(text, m);
        text_add(text, "%s,%d,%s,%zu,%.6g\r\n", measurement_mode(options, m), options->launch,
                 metrics[figure->metric].name, i, figure->seconds[i] * 1e6);
    }
}

void rows_write(const struct options *options, const struct shared *shared, const struct measurement *m,
                const struct outcome *outcome) {
    struct text csv = {0}, samples = {0};
    char key[KEY_SIZE];
    measurement_key(options, m, key);
    for (int i = 0; i < outcome->figure_count; i++) {
        row(&csv, options, shared, m, outcome, &outcome->figures[i]);
        if (outcome->figures[i].seconds != NULL) sample_rows_of(&samples, options, m, &outcome->figures[i]);
    }
    if (outcome->figure_count == 0) row(&csv, options, shared, m, outcome, NULL);
    folder_append(&csv, &samples, key, status_names[outcome->status]);
    text_release(&csv);
    text_release(&samples);
}

void rows_schema(FILE *out) {
    fprintf(out, "| column | meaning |\n| --- | --- |\n");
#define COLUMN(identifier, meaning) fprintf(out, "| %s | %s |\n", #identifier, meaning);
#define AXES                                                                                                           \
    for (const struct axis *axis = bench.axes; axis->name != NULL; axis++)                                             \
        if (!has_own_column(axis)) fprintf(out, "| %s | axis: %s |\n", axis->name, axis->help);
#include "columns.def"
#undef COLUMN
#undef AXES
    fprintf(out, "\n| metric | unit | better | meaning |\n| --- | --- | --- | --- |\n");
    for (int i = 0; i < METRIC_COUNT; i++)
        fprintf(out, "| %s | %s | %s | %s |\n", metrics[i].name, metrics[i].unit, better_names[metrics[i].better],
                metrics[i].meaning);
}
