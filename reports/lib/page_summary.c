/* page_summary.c: the headline figures as cards. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "page.h"

enum { HEADLINES_SHOWN = 12, HEADLINES_OF_PLOT = 24 };

static void where(struct page *page, const struct headline *headline) {
    const struct section *section = headline->plot->section;
    const struct row *row = headline->point->row;
    struct text label = {0};
    section_label(section, row, section->names, section->name_count, &label);
    page_text(page, label.data);
    text_release(&label);
    page_markup(page, "<br>");
    page_text(page, row->field[COLUMN_device]);
    if (page->result_count > 1) page_markup(page, "<br>"), page_text(page, page->results[row->result].label);
}

/* The published figure nearest to being the same case: the first named. */
static void against_published(struct page *page, const struct row *row) {
    const struct peer *found[PEERS_OF_ROW_MAX];
    if (peers_of(page->peers, row, found) == 0 || !(found[0]->value > 0) || !(row->value > 0)) return;
    double ratio = row->better == LOWER ? found[0]->value / row->value : row->value / found[0]->value;
    const struct metric_facts *facts = metric_facts(row->field[COLUMN_metric]);
    bool timed = facts != NULL && facts->form != PLAIN;
    text_add(page->out, "<p class=\"quiet\">%.2f\xc3\x97 %s (", ratio,
             timed ? "as fast as published" : "the published");
    number_value(page->out, found[0]->value);
    page_markup(page, "; ");
    page_text(page, found[0]->source);
    page_markup(page, ")</p>");
}

/* An accuracy means little without what a trivial rule scores. */
static void bounds(struct page *page, const struct headline *headline) {
    const struct section *section = headline->plot->section;
    if (strcmp(headline->point->row->field[COLUMN_metric], "accuracy") != 0) return;
    for (size_t m = 0; m < section->metric_count; m++) {
        const struct row *row = headline->point->line->figures[m].row;
        if (row == NULL || !metric_is_bound(section->metrics[m])) continue;
        page_markup(page, "<p class=\"quiet\">");
        page_name(page, section->metrics[m]);
        page_markup(page, ": ");
        page_figure(page, row, row->value, NAN);
        page_markup(page, "</p>");
    }
}

static void card(struct page *page, const struct headline *headline) {
    const struct row *row = headline->point->row;
    double share = row_limit_share(row);
    text_add(page->out, "<li class=\"card\"><a href=\"#p%zu\">", headline->chapter);
    page_name(page, row->field[COLUMN_program]);
    page_markup(page, "</a> <span class=\"quiet\">");
    page_name(page, row->field[COLUMN_metric]);
    page_markup(page, "</span><p class=\"value\">");
    page_figure(page, row, row->value, NAN);
    page_markup(page, "</p>");
    if (isfinite(share)) {
        page_share(page, share);
        page_markup(page, " <span class=\"quiet\">");
        page_text(page, share_verdict(share));
        if (row->field[COLUMN_limit_source][0] != 0) {
            page_markup(page, " (");
            page_text(page, row->field[COLUMN_limit_source]);
            page_markup(page, ")");
        }
        page_markup(page, "</span>");
    }
    page_markup(page, "<p class=\"quiet\">");
    where(page, headline);
    page_markup(page, "</p>");
    bounds(page, headline);
    against_published(page, row);
    page_markup(page, "</li>\n");
}

void page_summary(struct page *page) {
    struct headline *headlines = NULL;
    size_t count = 0, capacity = 0;
    for (size_t c = 0; c < page->chapter_count; c++)
        for (size_t p = 0; p < page->chapters[c].plot_count; p++) {
            const struct plot *plot = &page->chapters[c].plots[p];
            struct headline found[HEADLINES_OF_PLOT];
            if (plot->headline == NOWHERE) continue;
            size_t found_count = headlines_find(plot, found, HEADLINES_OF_PLOT);
            for (size_t i = 0; i < found_count; i++) {
                headlines = array_grow(headlines, count, &capacity, sizeof *headlines);
                headlines[count] = found[i];
                headlines[count].chapter = c;
                headlines[count++].rank += p; /* a program's second plot comes second */
            }
        }
    count = headlines_choose(headlines, count, HEADLINES_SHOWN);
    page_markup(page, "<section id=\"summary\">\n<h2>In short</h2>\n");
    if (count == 0) page_markup(page, "<p>Nothing was measured.</p>\n");
    else page_markup(page, "<ul class=\"cards\">\n");
    for (size_t i = 0; i < count; i++) card(page, &headlines[i]);
    if (count > 0) page_markup(page, "</ul>\n");
    page_markup(page, "</section>\n");
    free(headlines);
}
