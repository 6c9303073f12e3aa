/* page_table.c: a program's cases as a table. */
#include <math.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "page.h"

enum { METRIC_COLUMNS_MAX = 8, SOURCES_MAX = 24, PAPER_LINES = 40 /* as the style sheet says */ };

/* What stands in a table besides keys and metrics, where any case has it. */
enum extra { NOISE, LAUNCHES, ERROR, PUBLISHED, CLOCK, POWER, NOTE, EXTRA_COUNT };
static const char *const extra_titles[EXTRA_COUNT] = {
    "noise", "launches", "error (allowed)", "published", "clock, MHz", "power, W", "note"};

struct table_page {
    struct page *page;
    const struct section *section;
    const char *columns[SECTION_KEYS_MAX];
    size_t column_count, metric_count;
    int lead; /* metric of the plot: its row stands for the case */
    bool extras[EXTRA_COUNT];
    bool shares[SECTION_METRICS_MAX]; /* has the metric a limit? */
    const char *sources[SOURCES_MAX]; /* footnotes */
    size_t source_count;
};

static const struct row *lead_row(const struct table_page *table, const struct case_line *line) {
    return line->figures[table->lead].row != NULL ? line->figures[table->lead].row : line->row;
}

static void add_note(struct text *note, const struct row *row) {
    double throttled = row_number(row, COLUMN_throttled);
    if (throttled > 0) text_string(note, "throttled");
    if (row->field[COLUMN_reason][0] == 0) return;
    if (note->length > 0) text_string(note, "; ");
    text_string(note, row->field[COLUMN_reason]);
}

static bool has_extra(const struct table_page *table, enum extra extra, const struct case_line *line) {
    const struct peer *found[PEERS_OF_ROW_MAX];
    const struct row *row = lead_row(table, line);
    switch (extra) {
    case NOISE: return isfinite(row_number(row, COLUMN_noise));
    case LAUNCHES: return line->figures[table->lead].launches > 1;
    case ERROR: return isfinite(row_number(row, COLUMN_tolerance));
    case PUBLISHED: return peers_of(table->page->peers, row, found) > 0;
    case CLOCK: return isfinite(row_number(row, COLUMN_clock_mhz));
    case POWER: return isfinite(row_number(row, COLUMN_power_w));
    case NOTE: return row->field[COLUMN_reason][0] != 0 || row_number(row, COLUMN_throttled) > 0;
    default: return false;
    }
}

static void choose_cells(struct table_page *table, const struct case_line *line) {
    for (int extra = 0; extra < EXTRA_COUNT; extra++)
        table->extras[extra] = table->extras[extra] || has_extra(table, (enum extra)extra, line);
    for (size_t i = 0; i < table->metric_count; i++)
        if (line->figures[i].row != NULL && isfinite(row_limit_share(line->figures[i].row))) table->shares[i] = true;
}

static void published(struct table_page *table, const struct row *row) {
    const struct peer *found[PEERS_OF_ROW_MAX];
    size_t count = peers_of(table->page->peers, row, found);
    for (size_t i = 0; i < count; i++) {
        size_t note = 0;
        while (note < table->source_count && strcmp(table->sources[note], found[i]->source) != 0) note++;
        if (note == table->source_count && note < SOURCES_MAX) table->sources[table->source_count++] = found[i]->source;
        if (i > 0) page_markup(table->page, "<br>");
        double factor;
        number_unit(row->field[COLUMN_unit], table->section->metric_largest[table->lead], &factor);
        number_value(table->page->out, found[i]->value * factor);
        text_add(table->page->out, "<sup>%zu</sup>", note + 1);
    }
}

static void extra_cell(struct table_page *table, enum extra extra, const struct case_line *line) {
    struct page *page = table->page;
    const struct row *row = lead_row(table, line);
    const struct figure *figure = &line->figures[table->lead];
    static const enum column plain[EXTRA_COUNT] = {[CLOCK] = COLUMN_clock_mhz, [POWER] = COLUMN_power_w};
    page_markup(page, extra == NOTE ? "<td class=\"note\">" : "<td>");
    if (has_extra(table, extra, line)) {
        if (extra == NOISE) {
            number_percent(page->out, row_number(row, COLUMN_noise));
        } else if (extra == LAUNCHES) {
            text_add(page->out, "%d, spread ", figure->launches);
            number_percent(page->out, figure->spread);
        } else if (extra == ERROR) {
            double error = row_number(row, COLUMN_error), allowed = row_number(row, COLUMN_tolerance);
            if (error == 0 && allowed == 0) page_markup(page, "exact");
            else text_add(page->out, "%.2g (%.2g)", error, allowed);
        } else if (extra == PUBLISHED) {
            published(table, row);
        } else if (extra == NOTE) {
            struct text note = {0};
            add_note(&note, row);
            page_text(page, note.data);
            text_release(&note);
        } else {
            number_value(page->out, row_number(row, plain[extra]));
        }
    }
    page_markup(page, "</td>");
}

static void head(struct table_page *table) {
    struct page *page = table->page;
    page_markup(page, "<thead><tr>");
    for (size_t i = 0; i < table->column_count; i++) {
        page_markup(page, "<th scope=\"col\">");
        page_name(page, table->columns[i]);
        page_markup(page, "</th>");
    }
    for (size_t i = 0; i < table->metric_count; i++) {
        double factor;
        const char *unit = number_unit(table->section->metric_rows[i]->field[COLUMN_unit],
                                       table->section->metric_largest[i], &factor);
        page_markup(page, "<th scope=\"col\" class=\"number\">");
        const char *metric = table->section->metrics[i];
        page_name(page, metric);
        if (metric_is_fraction(metric)) page_markup(page, ", %");
        else if (unit[0] != 0 && strcmp(unit, "1") != 0 && strstr(metric, unit) == NULL)
            page_markup(page, ", "), page_unit(page, unit);
        page_markup(page, table->shares[i] ? "</th><th scope=\"col\" class=\"number\">of limit</th>" : "</th>");
    }
    for (int extra = 0; extra < EXTRA_COUNT; extra++)
        if (table->extras[extra])
            text_add(page->out, "<th scope=\"col\" class=\"%s\">%s</th>", extra == NOTE ? "note" : "number",
                     extra_titles[extra]);
    page_markup(page, "</tr></thead>\n");
}

static void figure_cell(struct page *page, const struct figure *figure, double largest, bool share) {
    page_markup(page, "<td>");
    if (figure->row != NULL) page_figure(page, figure->row, figure->row->value, largest);
    if (share) page_markup(page, "</td><td>");
    if (share && figure->row != NULL) page_share(page, row_limit_share(figure->row));
    page_markup(page, "</td>");
}

static void line_of(struct table_page *table, const struct case_line *line) {
    struct page *page = table->page;
    struct text value = {0};
    page_markup(page, "<tr>");
    for (size_t i = 0; i < table->column_count; i++) {
        double number;
        const char *text = section_key(table->section, line->row, table->columns[i]);
        text_clear(&value);
        number_axis(&value, table->columns[i], text);
        page_markup(page, i == 0 ? "<th scope=\"row\">" : number_parse(text, &number) ? "<td>" : "<td class=\"word\">");
        page_text(page, value.data);
        page_markup(page, i == 0 ? "</th>" : "</td>");
    }
    for (size_t i = 0; i < table->metric_count; i++)
        figure_cell(page, &line->figures[i], table->section->metric_largest[i], table->shares[i]);
    for (int extra = 0; extra < EXTRA_COUNT; extra++)
        if (table->extras[extra]) extra_cell(table, (enum extra)extra, line);
    page_markup(page, "</tr>\n");
    text_release(&value);
}

static void footnotes(struct table_page *table) {
    if (table->source_count == 0) return;
    page_markup(table->page, "<ol class=\"sources quiet\">\n");
    for (size_t i = 0; i < table->source_count; i++) {
        page_markup(table->page, "<li>");
        page_text(table->page, table->sources[i]);
        page_markup(table->page, "</li>\n");
    }
    page_markup(table->page, "</ol>\n");
}

static void limits_named(struct table_page *table) {
    const struct section *section = table->section;
    const char *told = "";
    bool first = true;
    for (size_t i = 0; i < section->case_count; i++) {
        const char *source = lead_row(table, &section->cases[i])->field[COLUMN_limit_source];
        if (source[0] == 0 || strcmp(source, told) == 0) continue;
        bool known = false;
        for (size_t j = 0; j < i && j < 64; j++)
            known = known || strcmp(lead_row(table, &section->cases[j])->field[COLUMN_limit_source], source) == 0;
        told = source;
        if (known) continue;
        page_markup(table->page, first ? " Limits: " : ", ");
        page_text(table->page, source);
        first = false;
    }
    if (!first) page_markup(table->page, ".");
}

size_t page_table_width(const struct section *section) {
    size_t metrics = section->metric_count < METRIC_COLUMNS_MAX ? section->metric_count : METRIC_COLUMNS_MAX;
    return section->column_count + 2 * metrics + EXTRA_COUNT;
}

void page_table(struct page *page, const struct section *section, const struct plot *plot, size_t rows_max) {
    struct table_page table = {.page = page, .section = section, .lead = plot->metric};
    memcpy(table.columns, section->columns, sizeof table.columns);
    table.column_count = section->column_count;
    if (table.column_count == 0) table.columns[table.column_count++] = "variant";
    table.metric_count = section->metric_count < METRIC_COLUMNS_MAX ? section->metric_count : METRIC_COLUMNS_MAX;
    size_t step = (section->case_count + rows_max - 1) / rows_max;
    for (size_t i = 0; i < section->case_count; i += step) choose_cells(&table, &section->cases[i]);
    page_markup(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of ");
    page_text(page, section->program);
    page_markup(page, section->case_count / step > PAPER_LINES ? "\">\n<table class=\"long\">\n<caption>"
                                                               : "\">\n<table>\n<caption>");
    if (step > 1)
        text_add(page->out, "Every %zuth of %zu cases; the CSV file has all of them.", step, section->case_count);
    else text_add(page->out, section->case_count == 1 ? "%zu case." : "All %zu cases.", section->case_count);
    if (table.metric_count < section->metric_count)
        text_add(page->out, " The first %zu of %zu metrics.", table.metric_count, section->metric_count);
    limits_named(&table);
    page_markup(page, "</caption>\n");
    head(&table);
    page_markup(page, "<tbody>\n");
    for (size_t i = 0; i < section->case_count; i += step) line_of(&table, &section->cases[i]);
    page_markup(page, "</tbody>\n</table>\n</div>\n");
    footnotes(&table);
}
