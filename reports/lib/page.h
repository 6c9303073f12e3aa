/* page.h: result folders as one self-contained HTML page. */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

#include "headline.h"
#include "peers.h"
#include "plot.h"
#include "result.h"
#include "section.h"

/* One program's part of the page. */
struct chapter {
    const struct section *section;
    struct plot plots[PLOTS_MAX];
    size_t plot_count;
};
struct page {
    struct text *out;
    const struct result *results;
    size_t result_count;
    const struct peers *peers;
    struct chapter *chapters; /* in reading order */
    size_t chapter_count;
    bool draw; /* plots and topology by other programs; false: tables only */
    size_t drawing_count;
};

/* Writes the page for the results into html, and its summary as Markdown into markdown; either may be NULL. draw: false
   leaves the drawings out, and says nothing about it (tests). */
void page_write(const struct result *results, size_t result_count, const struct peers *peers, bool draw,
                struct text *html, struct text *markdown);

enum { HEADLINES_SHOWN = 10 };
/* The figures that stand first, of several runs each case once. */
size_t page_headlines(const struct page *page, struct headline headlines[HEADLINES_SHOWN]);
/* The row of the headline's case in a run, of several devices the best; NULL: not measured there. */
const struct row *page_headline_of_run(const struct headline *headline, int run);

/* The parts, each in a file of its own. */
extern const char page_style[];
extern const char page_script[], page_script_hash[]; /* the hash is what lets the script run, see page_script.c */
void page_markdown(struct page *page);               /* all of it */
void page_machines(struct page *page);
void page_summary(struct page *page);
void page_wrong(struct page *page); /* results that failed their check, if any: before everything else */
void page_chapter(struct page *page, size_t chapter);
void page_plot(struct page *page, const struct plot *plot);
void page_table(struct page *page, const struct section *section, const struct plot *plot, size_t rows_max);
size_t page_table_width(const struct section *section); /* columns, at most */
void page_not_measured(struct page *page);

/* Small helpers of the parts. */
void page_text(struct page *page, const char *string);   /* escaped */
void page_markup(struct page *page, const char *markup); /* as it is */
void page_name(struct page *page, const char *name);     /* escaped, '_' as a space */
/* A value of the row's metric with its unit, scaled so that `largest` is above one; NAN: by itself. */
void page_figure(struct page *page, const struct row *row, double value, double largest);
void page_unit(struct page *page, const char *unit);
/* A share of the limit as a bar with its number. */
void page_share(struct page *page, double share);
const char *page_suite_title(const char *suite);
const char *page_chapter_title(const struct chapter *chapter);
#endif
