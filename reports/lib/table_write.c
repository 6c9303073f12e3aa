#include "table_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "markup.h"

/* What makes a row: its case, machine, metric and launch. */
static void row_identity(const struct selection *selection, const struct row *row, int launch, struct text *key) {
    text_clear(key);
    row_key(row, row->table->axis, row->table->axis_count, key);
    text_add(key, "%s\x1f%s\x1f%s\x1f%d", row->field[COLUMN_device], row->field[COLUMN_metric],
             selection->hosts_differ ? selection_value(selection, row, "host") : "", launch);
}

void table_merge(const struct selection *selection, struct text *out) {
    const char *names[SELECTION_COLUMNS_MAX];
    size_t count = selection_columns(selection, names);
    struct index index = {0};
    struct text key = {0};
    for (size_t i = 0; i < count; i++) {
        if (i > 0) text_string(out, ",");
        text_field(out, names[i]);
    }
    text_string(out, "\r\n");
    for (size_t r = 0; r < selection->row_count; r++) {
        const struct row *row = selection->rows[r];
        int launch = row->launch, added = 0;
        for (row_identity(selection, row, launch, &key); index_add(&index, key.data, &added), !added; launch++)
            row_identity(selection, row, launch + 1, &key);
        for (size_t i = 0; i < count; i++) {
            if (i > 0) text_string(out, ",");
            if (strcmp(names[i], "launch") == 0) text_add(out, "%d", launch);
            else text_field(out, selection_value(selection, row, names[i]));
        }
        text_string(out, "\r\n");
    }
    index_release(&index);
    text_release(&key);
}

/* A name that Prometheus allows: letters, digits, underscores, no digit first. */
static void add_name(struct text *out, const char *name) {
    if (name[0] >= '0' && name[0] <= '9') text_string(out, "_");
    for (const char *c = name; *c != 0; c++) {
        bool allowed = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_';
        text_bytes(out, allowed ? c : "_", 1);
    }
}

static void add_label(struct text *out, const char *name, const char *value, const char **separator) {
    if (value[0] == 0) return;
    text_string(out, *separator);
    add_name(out, name);
    text_string(out, "=\"");
    text_escaped(out, value, ESCAPE_PROMETHEUS);
    text_string(out, "\"");
    *separator = ",";
}

static void add_number(struct text *out, double value) {
    if (isnan(value)) text_string(out, "NaN");
    else if (isinf(value)) text_string(out, value > 0 ? "+Inf" : "-Inf");
    else text_add(out, "%.9g", value);
}

static void labels(const struct selection *selection, const struct row *row, bool metric, struct text *out) {
    static const enum column columns[] = {COLUMN_suite, COLUMN_program, COLUMN_variant, COLUMN_backend, COLUMN_device,
                                          COLUMN_dtype, COLUMN_ranks,   COLUMN_mode,    COLUMN_launch};
    const char *separator = "{";
    add_label(out, "host", selection_value(selection, row, "host"), &separator);
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
        add_label(out, column_names[columns[i]], row->field[columns[i]], &separator);
    for (size_t a = 0; a < row->table->axis_count; a++)
        if (strcmp(row->table->axis[a], "host") != 0)
            add_label(out, row->table->axis[a], row->axis_value[a], &separator);
    if (metric) add_label(out, "metric", row->field[COLUMN_metric], &separator);
    if (separator[0] == ',') text_string(out, "}");
    text_string(out, " ");
}

static void gauge(struct text *out, const char *metric, const char *unit, const char *meaning) {
    text_string(out, "# HELP plumbline_");
    add_name(out, metric);
    text_string(out, " ");
    text_escaped(out, meaning, ESCAPE_PROMETHEUS_HELP);
    if (unit[0] != 0 && strcmp(unit, "1") != 0)
        text_string(out, ", in "), text_escaped(out, unit, ESCAPE_PROMETHEUS_HELP);
    text_string(out, "\n# TYPE plumbline_");
    add_name(out, metric);
    text_string(out, " gauge\n");
}

void table_prometheus(const struct selection *selection, struct text *out) {
    struct index metrics = {0};
    size_t *metric_of = array_zeroed(selection->row_count, sizeof *metric_of);
    size_t statuses[ROW_STATUS_COUNT] = {0};
    for (size_t i = 0; i < selection->row_count; i++) {
        statuses[selection->rows[i]->status]++;
        struct text name = {0};
        text_clear(&name);
        add_name(&name, selection->rows[i]->field[COLUMN_metric]);
        metric_of[i] = row_measured(selection->rows[i]) ? index_add(&metrics, name.data, NULL) : SIZE_MAX;
        text_release(&name);
    }
    for (size_t m = 0; m < metrics.count; m++) { /* the samples of a metric stand together */
        bool first = true;
        for (size_t i = 0; i < selection->row_count; i++) {
            const struct row *row = selection->rows[i];
            if (metric_of[i] != m) continue;
            const struct metric_facts *facts = metric_facts(row->field[COLUMN_metric]);
            if (first)
                gauge(out, row->field[COLUMN_metric], row->field[COLUMN_unit], facts != NULL ? facts->meaning : "");
            first = false;
            text_string(out, "plumbline_");
            add_name(out, row->field[COLUMN_metric]);
            labels(selection, row, false, out);
            add_number(out, row->value);
            text_string(out, "\n");
        }
    }
    gauge(out, "limit_share", "", "share of the physical limit that the metric reached");
    for (size_t i = 0; i < selection->row_count; i++) {
        const struct row *row = selection->rows[i];
        if (!row_measured(row) || !isfinite(row_limit_share(row))) continue;
        text_string(out, "plumbline_limit_share");
        labels(selection, row, true, out);
        add_number(out, row_limit_share(row));
        text_string(out, "\n");
    }
    gauge(out, "rows", "", "rows by status");
    for (int status = 0; status < ROW_STATUS_COUNT; status++)
        text_add(out, "plumbline_rows{status=\"%s\"} %zu\n", row_status_names[status], statuses[status]);
    free(metric_of);
    index_release(&metrics);
}

/* Columns that are words even where they look like numbers. */
static bool is_word(const char *name) {
    static const enum column words[] = {
        COLUMN_suite,  COLUMN_program, COLUMN_variant, COLUMN_backend, COLUMN_device, COLUMN_dtype,       COLUMN_mode,
        COLUMN_metric, COLUMN_unit,    COLUMN_better,  COLUMN_status,  COLUMN_reason, COLUMN_limit_source};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strcmp(column_names[words[i]], name) == 0) return true;
    return strcmp(name, "host") == 0;
}

/* Is the text a number by JSON's grammar too? Digits stand on both sides of the point, no plus, no leading zero. */
static bool is_json_number(const char *text) {
    const char *c = text + (*text == '-');
    size_t whole = strspn(c, "0123456789");
    if (whole == 0 || (whole > 1 && *c == '0')) return false;
    c += whole;
    if (*c == '.') {
        size_t digits = strspn(++c, "0123456789");
        if (digits == 0) return false;
        c += digits;
    }
    if (*c == 'e' || *c == 'E') {
        c++;
        c += *c == '-' || *c == '+';
        size_t digits = strspn(c, "0123456789");
        if (digits == 0) return false;
        c += digits;
    }
    return *c == 0;
}

void table_json_lines(const struct selection *selection, struct text *out) {
    const char *names[SELECTION_COLUMNS_MAX];
    size_t count = selection_columns(selection, names);
    for (size_t r = 0; r < selection->row_count; r++) {
        const char *separator = "{";
        for (size_t i = 0; i < count; i++) {
            const char *value = selection_value(selection, selection->rows[r], names[i]);
            double number;
            if (value[0] == 0) continue;
            text_string(out, separator);
            separator = ",";
            text_string(out, "\"");
            text_escaped(out, names[i], ESCAPE_JSON);
            text_string(out, "\":");
            bool finite = !is_word(names[i]) && number_parse(value, &number) && isfinite(number);
            if (finite && is_json_number(value)) {
                text_string(out, value);
            } else if (finite) {
                text_add(out, "%.17g", number);
            } else {
                text_string(out, "\"");
                text_escaped(out, value, ESCAPE_JSON);
                text_string(out, "\"");
            }
        }
        text_string(out, separator[0] == '{' ? "{}\n" : "}\n");
    }
}
