/* page_markdown.c: the summary as Markdown, for a merge request, a wiki or a mail. */
#include <math.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "page.h"

enum { REASONS_MAX = 30, WRONG_MAX = 20 };

static void words(struct page *page, const char *name) {
    struct text text = {0};
    text_clear(&text);
    for (; *name != 0; name++) text_bytes(&text, *name == '_' ? " " : name, 1);
    text_markdown(page->out, text.data);
    text_release(&text);
}

static void figure(struct page *page, const struct row *row) {
    double factor;
    if (metric_is_fraction(row->field[COLUMN_metric])) {
        text_add(page->out, "%.1f %%", row->value * 100);
        return;
    }
    const char *unit = number_unit(row->field[COLUMN_unit], fabs(row->value), &factor);
    number_value(page->out, row->value * factor);
    if (strcmp(unit, "1") != 0) text_string(page->out, " "), text_markdown(page->out, unit);
}

static void case_label(struct page *page, const struct section *section, const struct row *row) {
    struct text label = {0};
    section_label(section, row, section->names, section->name_count, &label);
    text_markdown(page->out, label.data);
    text_release(&label);
}

static void share(struct page *page, const struct headline *headline) {
    double of_limit = row_limit_share(headline->point->row);
    if (isfinite(of_limit)) number_share(page->out, of_limit);
    text_string(page->out, " | ");
    text_string(page->out, headline_verdict(headline));
}

/* One run: value, limit and verdict. */
static void headline_line(struct page *page, const struct headline *headline) {
    const struct row *row = headline->point->row;
    text_string(page->out, "| ");
    words(page, row->field[COLUMN_program]);
    text_string(page->out, ", ");
    words(page, row->field[COLUMN_metric]);
    text_string(page->out, " | ");
    case_label(page, headline->plot->section, row);
    text_string(page->out, " | ");
    text_markdown(page->out, row->field[COLUMN_device]);
    text_string(page->out, " | ");
    figure(page, row);
    text_string(page->out, " | ");
    share(page, headline);
    text_string(page->out, " |\n");
}

static void runs_line(struct page *page, const struct headline *headline) {
    const struct row *first = NULL;
    text_string(page->out, "| ");
    words(page, headline->plot->section->program);
    text_string(page->out, ", ");
    words(page, headline->plot->section->metrics[headline->plot->metric]);
    text_string(page->out, ": ");
    case_label(page, headline->plot->section, headline->point->row);
    for (size_t r = 0; r < page->result_count; r++) {
        const struct row *row = page_headline_of_run(headline, (int)r);
        text_string(page->out, " | ");
        if (row != NULL) figure(page, row);
        else text_string(page->out, "\xe2\x80\x93");
        if (row != NULL && first != NULL && first->value > 0 && row->value > 0)
            text_add(page->out, " (%.2f\xc3\x97)",
                     row->better == LOWER ? first->value / row->value : row->value / first->value);
        if (first == NULL) first = row;
    }
    text_string(page->out, " |\n");
}

static void headlines(struct page *page) {
    struct headline found[HEADLINES_SHOWN];
    size_t count = page_headlines(page, found);
    text_string(page->out, "\n## In short\n\n");
    if (count == 0) {
        text_string(page->out, "Nothing was measured.\n");
        return;
    }
    if (page->result_count > 1) {
        text_string(page->out, "| figure");
        for (size_t r = 0; r < page->result_count; r++)
            text_string(page->out, " | "), text_markdown(page->out, page->results[r].label);
        text_string(page->out, " |\n| ---");
        for (size_t r = 0; r < page->result_count; r++) text_string(page->out, " | ---:");
        text_string(page->out, " |\n");
    } else {
        text_string(page->out, "| figure | case | device | value | of limit | verdict |\n"
                               "| --- | --- | --- | ---: | ---: | --- |\n");
    }
    for (size_t i = 0; i < count; i++) {
        if (page->result_count > 1) runs_line(page, &found[i]);
        else headline_line(page, &found[i]);
    }
}

static void machines(struct page *page) {
    text_string(page->out, "\n## The machine\n");
    for (size_t r = 0; r < page->result_count; r++) {
        const struct machine *machine = &page->results[r].machine;
        if (page->result_count > 1) {
            text_string(page->out, "\n### ");
            text_markdown(page->out, page->results[r].label);
            text_string(page->out, "\n");
        }
        text_string(page->out, "\n");
        for (int i = 0; i < machine->fact_count; i++) {
            text_add(page->out, "- %s: ", machine->facts[i].label);
            text_markdown(page->out, machine->facts[i].value);
            text_string(page->out, "\n");
        }
        if (!page->results[r].has_manifest) text_string(page->out, "- no manifest.json: nothing is known of it\n");
    }
}

/* For each program of a suite the best figure of each device and run. */
static void suites(struct page *page) {
    const char *suite = NULL;
    for (size_t c = 0; c < page->chapter_count; c++) {
        const struct chapter *chapter = &page->chapters[c];
        if (suite == NULL || strcmp(suite, chapter->section->suite) != 0) {
            suite = chapter->section->suite;
            text_string(page->out, "\n## ");
            words(page, page_suite_title(suite));
            text_string(page->out, "\n");
        }
        text_string(page->out, "\n**");
        words(page, page_chapter_title(chapter));
        text_string(page->out, "** (`");
        for (const char *s = chapter->section->program; *s != 0; s++)
            if (*s != '`' && *s != '\n' && *s != '\r') text_bytes(page->out, s, 1);
        text_add(page->out, "`, %zu case%s)\n\n", chapter->section->case_count,
                 chapter->section->case_count == 1 ? "" : "s");
        for (size_t p = 0; p < chapter->plot_count; p++) {
            enum { FOUND_MAX = 12 };
            struct headline found[FOUND_MAX];
            if (chapter->plots[p].kind != PLOT_LINES) continue;
            size_t count = headlines_find(&chapter->plots[p], found, FOUND_MAX);
            for (size_t i = 0; i < count; i++) {
                const struct row *row = found[i].point->row;
                if (found[i].rank > 0) continue;
                text_string(page->out, "- ");
                text_markdown(page->out, row->field[COLUMN_device]);
                if (page->result_count > 1)
                    text_string(page->out, ", "), text_markdown(page->out, page->results[row->result].label);
                text_string(page->out, ": ");
                case_label(page, chapter->section, row);
                text_string(page->out, ": ");
                figure(page, row);
                if (isfinite(row_limit_share(row)))
                    text_string(page->out, ", "), number_share(page->out, row_limit_share(row)),
                        text_string(page->out, " of the limit");
                text_string(page->out, "\n");
            }
        }
        if (chapter->section->case_count == 0) text_string(page->out, "- nothing was measured here\n");
    }
}

static void wrong(struct page *page) {
    size_t count = 0;
    for (size_t c = 0; c < page->chapter_count; c++)
        for (size_t i = 0; i < page->chapters[c].section->row_count; i++) {
            const struct row *row = page->chapters[c].section->rows[i];
            if (row->status != ROW_wrong || ++count > WRONG_MAX) continue;
            if (count == 1) text_string(page->out, "\n## Wrong results\n\nThese failed their check.\n\n");
            text_string(page->out, "- ");
            words(page, row->field[COLUMN_program]);
            text_string(page->out, ": ");
            case_label(page, page->chapters[c].section, row);
            text_string(page->out, "\n");
        }
    if (count > WRONG_MAX) text_add(page->out, "- and %zu more\n", count - WRONG_MAX);
}

static void statuses(struct page *page) {
    size_t counts[ROW_STATUS_COUNT] = {0};
    for (size_t c = 0; c < page->chapter_count; c++)
        for (size_t i = 0; i < page->chapters[c].section->row_count; i++)
            counts[page->chapters[c].section->rows[i]->status]++;
    text_string(page->out, "\n## Rows\n\n");
    for (int status = 0; status < ROW_STATUS_COUNT; status++)
        text_add(page->out, "- %s: %zu\n", row_status_names[status], counts[status]);
    text_string(page->out, "\nWhy cases were skipped or failed, the plots and the tables stand in the HTML page.\n");
}

void page_markdown(struct page *page) {
    const struct machine *machine = &page->results[0].machine;
    text_string(page->out, "# Plumbline: ");
    if (page->result_count > 1) text_add(page->out, "%zu runs side by side", page->result_count);
    else text_markdown(page->out, machine->host[0] != 0 ? machine->host : page->results[0].label);
    text_string(page->out, "\n");
    if (page->result_count == 1 && machine->created[0] != 0) {
        text_string(page->out, "\nMeasured ");
        text_markdown(page->out, machine->created);
        text_string(page->out, ".\n");
    }
    wrong(page);
    headlines(page);
    machines(page);
    suites(page);
    statuses(page);
}
