/* page_summary.c: the headline figures as cards. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "page.h"

enum { HEADLINES_OF_PLOT = 24 };

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
    page_share(page, share);
    page_markup(page, isfinite(share) ? " <span class=\"quiet\">" : "<span class=\"quiet\">");
    page_text(page, headline_verdict(headline));
    if (isfinite(share) && row->field[COLUMN_limit_source][0] != 0) {
        page_markup(page, " (");
        page_text(page, row->field[COLUMN_limit_source]);
        page_markup(page, ")");
    }
    page_markup(page, "</span>");
    page_markup(page, "<p class=\"quiet\">");
    where(page, headline);
    page_markup(page, "</p>");
    bounds(page, headline);
    against_published(page, row);
    page_markup(page, "</li>\n");
}

/* Is it the same figure, of another run or another device of the run? */
static bool same_case(const struct headline *a, const struct headline *b) {
    const struct section *section = a->plot->section;
    bool same = a->plot == b->plot;
    for (size_t i = 0; i < section->name_count && same; i++)
        same = strcmp(section_key(section, a->point->row, section->names[i]),
                      section_key(section, b->point->row, section->names[i])) == 0;
    return same;
}

size_t page_headlines(const struct page *page, struct headline headlines[HEADLINES_SHOWN]) {
    struct headline *all = NULL;
    size_t count = 0, capacity = 0;
    for (size_t c = 0; c < page->chapter_count; c++)
        for (size_t p = 0; p < page->chapters[c].plot_count; p++) {
            const struct plot *plot = &page->chapters[c].plots[p];
            struct headline found[HEADLINES_OF_PLOT];
            if (plot->headline == NOWHERE) continue;
            size_t found_count = headlines_find(plot, found, HEADLINES_OF_PLOT);
            for (size_t i = 0; i < found_count; i++) {
                bool known = false;
                for (size_t j = 0; j < count && page->result_count > 1; j++)
                    known = known || same_case(&all[j], &found[i]);
                if (known) continue; /* it stands beside the other run's */
                all = array_grow(all, count, &capacity, sizeof *all);
                all[count] = found[i];
                all[count].chapter = c;
                all[count++].rank += p; /* a program's second plot comes second */
            }
        }
    if (count > 0) count = headlines_choose(all, count, HEADLINES_SHOWN);
    for (size_t i = 0; i < count; i++) headlines[i] = all[i];
    free(all);
    return count;
}

const struct row *page_headline_of_run(const struct headline *headline, int run) {
    const struct section *section = headline->plot->section;
    const struct row *found = NULL;
    for (size_t i = 0; i < section->case_count; i++) {
        const struct case_line *line = &section->cases[i];
        const struct row *row = line->figures[headline->plot->metric].row;
        bool same = row != NULL && row->result == run;
        for (size_t k = 0; k < section->name_count && same; k++)
            same = strcmp(section_key(section, row, section->names[k]),
                          section_key(section, headline->point->row, section->names[k])) == 0;
        if (!same) continue;
        bool better = found == NULL || (row->better == LOWER ? row->value < found->value : row->value > found->value);
        if (better) found = row;
    }
    return found;
}

static void run_cell(struct page *page, const struct row *row, const struct row *first) {
    page_markup(page, "<td>");
    if (row != NULL) page_figure(page, row, row->value, NAN);
    if (row != NULL && first != NULL && row != first && row->value > 0 && first->value > 0)
        text_add(page->out, " <span class=\"quiet\">%.2f\xc3\x97</span>",
                 row->better == LOWER ? first->value / row->value : row->value / first->value);
    page_markup(page, row != NULL ? "</td>" : "\xe2\x80\x93</td>");
}

/* The same figures of all runs beside one another, against the first run that has them. */
static void side_by_side(struct page *page, const struct headline *headlines, size_t count) {
    page_markup(page, "<div class=\"scroll whole\" tabindex=\"0\" role=\"region\" aria-label=\"Runs side by side\">\n"
                      "<table class=\"runs\">\n<caption>The same figures of every run; beside them how many times as "
                      "good as in the first run that has one.</caption>\n<thead><tr><th scope=\"col\">figure</th>");
    for (size_t r = 0; r < page->result_count; r++) {
        page_markup(page, "<th scope=\"col\" class=\"number\">");
        page_text(page, page->results[r].label);
        page_markup(page, "</th>");
    }
    page_markup(page, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        const struct headline *headline = &headlines[i];
        const struct section *section = headline->plot->section;
        const struct row *first = NULL;
        struct text label = {0};
        section_label(section, headline->point->row, section->names, section->name_count, &label);
        text_add(page->out, "<tr><th scope=\"row\"><a href=\"#p%zu\">", headline->chapter);
        page_name(page, section->program);
        page_markup(page, "</a> ");
        page_name(page, section->metrics[headline->plot->metric]);
        page_markup(page, "<br><span class=\"quiet\">");
        page_text(page, label.data);
        page_markup(page, "</span></th>");
        for (size_t r = 0; r < page->result_count; r++) {
            const struct row *row = page_headline_of_run(headline, (int)r);
            if (first == NULL) first = row;
            run_cell(page, row, first);
        }
        page_markup(page, "</tr>\n");
        text_release(&label);
    }
    page_markup(page, "</tbody>\n</table>\n</div>\n");
}

void page_summary(struct page *page) {
    struct headline headlines[HEADLINES_SHOWN];
    size_t count = page_headlines(page, headlines);
    page_markup(page, "<section id=\"summary\">\n<h2>In short</h2>\n");
    if (count == 0) page_markup(page, "<p>Nothing was measured.</p>\n");
    else page_markup(page, "<ul class=\"cards\">\n");
    for (size_t i = 0; i < count; i++) card(page, &headlines[i]);
    if (count > 0) page_markup(page, "</ul>\n");
    if (count > 0 && page->result_count > 1) side_by_side(page, headlines, count);
    page_markup(page, "</section>\n");
}
