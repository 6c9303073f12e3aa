#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "plot_draw.h"

void page_text(struct page *page, const char *string) { text_html(page->out, string); }

void page_markup(struct page *page, const char *markup) { text_string(page->out, markup); }

void page_name(struct page *page, const char *name) {
    struct text words = {0};
    for (text_clear(&words); *name != 0; name++) text_bytes(&words, *name == '_' ? " " : name, 1);
    text_html(page->out, words.data);
    text_release(&words);
}

void page_unit(struct page *page, const char *unit) {
    if (strcmp(unit, "us") == 0) page_markup(page, "\xc2\xb5s");
    else if (strcmp(unit, "1") != 0) page_text(page, unit);
}

void page_figure(struct page *page, const struct row *row, double value, double largest) {
    if (metric_is_fraction(row->field[COLUMN_metric])) {
        text_add(page->out, "%.1f<span class=\"unit\">\xc2\xa0%%</span>", value * 100);
        return;
    }
    double factor;
    const char *unit = number_unit(row->field[COLUMN_unit], isfinite(largest) ? largest : fabs(value), &factor);
    number_value(page->out, value * factor);
    page_markup(page, "<span class=\"unit\">\xc2\xa0");
    page_unit(page, unit);
    page_markup(page, "</span>");
}

void page_share(struct page *page, double share) {
    if (!isfinite(share)) return;
    const char *class = share > 1.05 ? " over" : "";
    text_add(page->out, "<span class=\"share%s\"><span class=\"bar\"><i style=\"width:%.0f%%\"></i></span><span>",
             class, fmin(share, 1) * 100);
    number_share(page->out, share);
    page_markup(page, "</span></span>");
}

const char *page_chapter_title(const struct chapter *chapter) {
    const char *question = plot_question(chapter->section->program);
    return question != NULL ? question : chapter->section->program;
}

static const struct {
    const char *suite, *title;
} suites[] = {
    {"kernels", "Kernels"}, {"attention", "Attention"}, {"collectives", "Collectives"}, {"lra_tasks", "LRA tasks"}};

static size_t suite_rank(const char *suite) {
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++)
        if (strcmp(suites[i].suite, suite) == 0) return i;
    return ARRAY_LENGTH(suites);
}

const char *page_suite_title(const char *suite) {
    size_t rank = suite_rank(suite);
    return rank < ARRAY_LENGTH(suites) ? suites[rank].title : suite[0] != 0 ? suite : "other";
}

static size_t program_rank(const char *program) {
    for (size_t i = 0; i < plot_spec_count; i++)
        if (strcmp(plot_specs[i].program, program) == 0) return i;
    return plot_spec_count;
}

static int compare_chapters(const void *a, const void *b) {
    const struct section *x = ((const struct chapter *)a)->section, *y = ((const struct chapter *)b)->section;
    size_t p = suite_rank(x->suite), q = suite_rank(y->suite);
    if (p != q) return p < q ? -1 : 1;
    int order = strcmp(x->suite, y->suite);
    if (order != 0) return order;
    p = program_rank(x->program), q = program_rank(y->program);
    return p != q ? (p < q ? -1 : 1) : strcmp(x->program, y->program);
}

static void page_head(struct page *page) {
    const struct machine *machine = &page->results[0].machine;
    page_markup(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"color-scheme\" content=\"light dark\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                      "'unsafe-inline'; script-src '");
    page_markup(page, page_script_hash);
    page_markup(page, "'\">\n<title>Plumbline");
    if (machine->host[0] != 0) page_markup(page, ": "), page_text(page, machine->host);
    page_markup(page, "</title>\n<style>\n");
    page_markup(page, page_style);
    page_markup(page, "</style>\n</head>\n<body>\n<header>\n<p class=\"brand\">Plumbline</p>\n<h1>");
    if (page->result_count > 1) text_add(page->out, "%zu runs side by side", page->result_count);
    else page_text(page, machine->host[0] != 0 ? machine->host : page->results[0].label);
    page_markup(page, "</h1>\n");
    if (page->result_count == 1 && machine->created[0] != 0) {
        page_markup(page, "<p class=\"quiet\">measured ");
        page_text(page, machine->created);
        page_markup(page, "</p>\n");
    }
    if (page->result_count == 1 && machine->hardware[0] != 0) {
        page_markup(page, "<p class=\"lead\">");
        page_text(page, machine->hardware);
        page_markup(page, "</p>\n");
    }
    page_markup(page, "</header>\n<main>\n");
}

static void page_contents(struct page *page) {
    const char *suite = NULL;
    page_markup(page, "<nav aria-label=\"Contents\"><ul>\n");
    for (size_t i = 0; i < page->chapter_count; i++) {
        const struct section *section = page->chapters[i].section;
        if (suite == NULL || strcmp(suite, section->suite) != 0) {
            if (suite != NULL) page_markup(page, "</li>\n");
            page_markup(page, "<li><b>");
            page_name(page, page_suite_title(section->suite));
            page_markup(page, "</b>");
            suite = section->suite;
        }
        text_add(page->out, " <a href=\"#p%zu\">", i);
        page_name(page, section->program);
        page_markup(page, "</a>");
    }
    page_markup(page, suite != NULL ? "</li>\n</ul></nav>\n" : "</ul></nav>\n");
}

static void page_foot(struct page *page) {
    page_markup(
        page, "</main>\n<footer>\n<h2>How to read this</h2>\n<p>Values come from the median of many timed calls. "
              "<b>Noise</b> is the scatter of the single calls (1.4826 times the median absolute deviation, over the "
              "median); error bars are the 95\xc2\xa0% interval of the median. A bar is the <b>share of the limit</b> "
              "that the row is held against: a peak of the hardware, computed or measured, named in the table; above "
              "100\xc2\xa0% the caches were faster than the memory the limit is about, or the limit is too low. "
              "<b>Error</b> is what the check found at the timed size, with what is allowed in brackets. "
              "<b>Published</b> figures are of other software and other machines, for scale.</p>\n"
              "</footer>\n<script>");
    page_markup(page, page_script);
    page_markup(page, "</script>\n</body>\n</html>\n");
}

static void chapters_build(struct page *page, const struct section *sections, size_t count) {
    page->chapters = array_zeroed(count, sizeof *page->chapters);
    page->chapter_count = count;
    for (size_t i = 0; i < count; i++) page->chapters[i].section = &sections[i];
    qsort(page->chapters, count, sizeof *page->chapters, compare_chapters);
    for (size_t i = 0; i < count; i++)
        page->chapters[i].plot_count = plots_build(page->chapters[i].section, page->chapters[i].plots);
}

static void page_html(struct page *page, bool draw) {
    page_head(page);
    if (draw && !gnuplot_works())
        page_markup(page, "<p class=\"notice\">gnuplot is not on this machine: the tables are here, the plots are not. "
                          "Install gnuplot and run report again.</p>\n");
    else page->draw = draw;
    page_wrong(page);
    page_summary(page);
    page_contents(page);
    page_machines(page);
    const char *suite = NULL;
    for (size_t i = 0; i < page->chapter_count; i++) {
        const struct section *section = page->chapters[i].section;
        if (suite == NULL || strcmp(suite, section->suite) != 0) {
            page_markup(page, "<h2 class=\"suite\">");
            page_name(page, page_suite_title(section->suite));
            page_markup(page, "</h2>\n");
        }
        suite = section->suite;
        page_chapter(page, i);
    }
    page_not_measured(page);
    page_foot(page);
}

void page_write(const struct result *results, size_t result_count, const struct peers *peers, bool draw,
                struct text *html, struct text *markdown) {
    size_t section_count;
    struct section *sections = sections_build(results, result_count, &section_count);
    struct page page = {.results = results, .result_count = result_count, .peers = peers};
    chapters_build(&page, sections, section_count);
    page.out = html;
    if (html != NULL) page_html(&page, draw);
    page.out = markdown;
    if (markdown != NULL) page_markdown(&page);
    for (size_t i = 0; i < page.chapter_count; i++) plots_release(page.chapters[i].plots, page.chapters[i].plot_count);
    free(page.chapters);
    sections_release(sections, section_count);
}
