#include "verdict_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "number.h"

enum {
    CELL_VERDICT,
    CELL_PROGRAM,
    CELL_CASE,
    CELL_METRIC,
    CELL_OLD,
    CELL_NEW,
    CELL_CHANGE,
    CELL_ALLOWED,
    CELL_NOTE,
    CELLS
};
static const char *const titles[CELLS] = {"verdict", "program", "case",    "metric", "baseline",
                                          "new",     "change",  "allowed", "note"};

void verdict_case_name(const struct row *row, struct text *out) {
    static const enum column shown[] = {COLUMN_dtype, COLUMN_ranks, COLUMN_mode};
    text_string(out, row->field[COLUMN_variant]);
    for (size_t i = 0; i < row->table->axis_count; i++)
        if (row->axis_value[i][0] != 0) {
            text_add(out, " %s=", row->table->axis[i]);
            text_string(out, row->axis_value[i]);
        }
    for (size_t i = 0; i < ARRAY_LENGTH(shown); i++)
        if (row->field[shown[i]][0] != 0 && strcmp(row->field[shown[i]], "1") != 0)
            text_add(out, " %s", row->field[shown[i]]);
}

static void value_cell(const struct judgement *judgement, int side, struct text *out) {
    double value = judgement->value[side];
    if (!isfinite(value)) return;
    text_add(out, "%.4g ", value);
    text_string(out, pair_row(judgement->pair)->field[COLUMN_unit]);
}

static void fill_cells(const struct judgement *judgement, struct text cells[CELLS]) {
    const struct row *row = pair_row(judgement->pair);
    for (int i = 0; i < CELLS; i++) text_clear(&cells[i]);
    text_string(&cells[CELL_VERDICT], verdict_names[judgement->verdict]);
    text_string(&cells[CELL_PROGRAM], row->field[COLUMN_program]);
    verdict_case_name(row, &cells[CELL_CASE]);
    text_string(&cells[CELL_METRIC], row->field[COLUMN_metric]);
    value_cell(judgement, BASELINE, &cells[CELL_OLD]);
    value_cell(judgement, NEW_RUN, &cells[CELL_NEW]);
    double sign = row->better == LOWER ? 1 : -1; /* the change of the value, not of the time */
    if (isfinite(judgement->worse)) text_add(&cells[CELL_CHANGE], "%+.1f %%", expm1(sign * judgement->worse) * 100);
    if (isfinite(judgement->tolerance)) text_add(&cells[CELL_ALLOWED], "%.1f %%", expm1(judgement->tolerance) * 100);
    if (judgement->by != MEASURE_TIME && isfinite(judgement->judged))
        text_add(&cells[CELL_NOTE], "%s %+.1f %%%s", judgement->by == MEASURE_CYCLES ? "cycles" : "fastest",
                 expm1(judgement->judged) * 100, judgement->note[0] != 0 ? "; " : "");
    text_string(&cells[CELL_NOTE], judgement->note);
}

static int compare_judgements(const void *a, const void *b) {
    const struct judgement *x = *(const struct judgement *const *)a, *y = *(const struct judgement *const *)b;
    if (x->verdict != y->verdict) return x->verdict < y->verdict ? -1 : 1;
    double p = fabs(x->worse), q = fabs(y->worse);
    if (isfinite(p) && isfinite(q) && p != q) return p > q ? -1 : 1;
    return x < y ? -1 : x > y; /* as they came */
}

/* One line, whatever a field holds; in Markdown without what would end a cell or begin markup. */
void table_cell(struct text *out, const struct text *cell, enum table_form form) {
    for (const char *c = cell->data; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) text_string(out, " ");
        else if (form == TABLE_MARKDOWN && strchr("|\\`*_<>[]&", *c) != NULL) text_add(out, "&#%d;", *c);
        else text_bytes(out, c, 1);
    }
}

/* Columns as wide as what a terminal shows: continuation bytes of UTF-8 take no room. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != 0; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void add_line(struct text *out, struct text cells[CELLS], const size_t widths[CELLS], enum table_form form) {
    size_t start = out->length;
    if (form == TABLE_MARKDOWN) text_string(out, "|");
    for (int i = 0; i < CELLS; i++) {
        size_t padding = widths[i] > width_of(cells[i].data) ? widths[i] - width_of(cells[i].data) : 0;
        bool number = i >= CELL_OLD && i <= CELL_ALLOWED;
        if (form == TABLE_MARKDOWN) {
            text_string(out, " ");
            table_cell(out, &cells[i], form);
            text_string(out, " |");
            continue;
        }
        if (number) text_add(out, "%*s", (int)padding, "");
        table_cell(out, &cells[i], form);
        text_add(out, "%*s", (number ? 0 : (int)padding) + 2, "");
    }
    while (form == TABLE_PLAIN && out->length > start && out->data[out->length - 1] == ' ') out->length--;
    text_string(out, "\n");
}

static void add_counts(const struct judge *judge, enum table_form form, struct text *out) {
    const char *separator = "";
    if (form == TABLE_MARKDOWN) text_string(out, "\n");
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
        if (judge->counts[verdict] == 0) continue;
        text_add(out, "%s%d %s", separator, judge->counts[verdict], verdict_names[verdict]);
        separator = ", ";
    }
    text_add(out, "%s: %s\n", separator[0] == 0 ? "nothing to compare" : "", judge_passes(judge) ? "pass" : "FAIL");
}

static size_t choose(const struct judge *judge, enum table_rows rows, const struct judgement **chosen) {
    size_t count = 0;
    for (size_t i = 0; i < judge->count; i++) {
        enum case_verdict verdict = judge->judgements[i].verdict;
        if (rows == ROWS_ALL || (verdict != VERDICT_same && verdict != VERDICT_noted))
            chosen[count++] = &judge->judgements[i];
    }
    qsort(chosen, count, sizeof *chosen, compare_judgements);
    return count;
}

void verdict_table(const struct judge *judge, enum table_form form, enum table_rows rows, size_t most,
                   struct text *out) {
    const struct judgement **chosen = array_zeroed(judge->count, sizeof *chosen);
    size_t count = choose(judge, rows, chosen), shown = most > 0 && count > most ? most : count;
    size_t widths[CELLS] = {0};
    struct text cells[CELLS] = {{0}};
    for (int i = 0; i < CELLS; i++) widths[i] = width_of(titles[i]);
    for (size_t i = 0; i < shown; i++) {
        fill_cells(chosen[i], cells);
        for (int c = 0; c < CELLS; c++)
            if (width_of(cells[c].data) > widths[c]) widths[c] = width_of(cells[c].data);
    }
    for (int i = 0; i < CELLS; i++) text_clear(&cells[i]), text_string(&cells[i], titles[i]);
    if (shown > 0) add_line(out, cells, widths, form);
    if (shown > 0 && form == TABLE_MARKDOWN) text_string(out, "|---|---|---|---|--:|--:|--:|--:|---|\n");
    for (size_t i = 0; i < shown; i++) {
        fill_cells(chosen[i], cells);
        add_line(out, cells, widths, form);
    }
    if (shown < count) text_add(out, "%sand %zu more\n", form == TABLE_MARKDOWN ? "\n" : "", count - shown);
    add_counts(judge, form, out);
    for (int i = 0; i < CELLS; i++) text_release(&cells[i]);
    free(chosen);
}
