/* page_chapter.c: one program: its question, what its plots say, its table. */
#include <math.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "page.h"

enum { READINGS_MAX = 12, TABLE_ROWS_OF_PAGE = 8000, TABLE_ROWS_MIN = 100 };

static void add_separator(struct page *page, bool *first) {
    if (!*first) page_markup(page, " \xc2\xb7 ");
    *first = false;
}

/* What is the same in all cases stands once above, not in every line. */
static void constants(struct page *page, const struct section *section) {
    bool first = false;
    page_markup(page, "<p class=\"quiet\"><code>");
    page_text(page, section->program);
    text_add(page->out, "</code> \xc2\xb7 %zu case%s", section->case_count, section->case_count == 1 ? "" : "s");
    for (size_t i = 0; i < section->key_count && section->case_count > 0; i++) {
        const char *key = section->keys[i], *value = section_key(section, section->cases[0].row, key);
        if (value[0] == 0 || strcmp(key, "run") == 0 || !section_constant(section, key)) continue;
        add_separator(page, &first);
        if (strcmp(key, "device") != 0) page_name(page, key), page_markup(page, "\xc2\xa0");
        struct text words = {0};
        number_axis(&words, key, value);
        page_text(page, words.data);
        text_release(&words);
    }
    page_markup(page, "</p>\n");
}

static void reading(struct page *page, const struct headline *headline) {
    const struct plot *plot = headline->plot;
    const struct point *point = headline->point;
    double share = row_limit_share(point->row);
    page_markup(page, "<li>");
    page_text(page, point->row->field[COLUMN_device]);
    if (page->result_count > 1) page_markup(page, ", "), page_text(page, page->results[point->row->result].label);
    page_markup(page, ": <b>");
    struct text label = {0};
    section_label(plot->section, point->row, plot->section->names, plot->section->name_count, &label);
    page_text(page, label.data);
    text_release(&label);
    page_markup(page, "</b> is best with ");
    page_figure(page, point->row, point->value, NAN);
    if (isfinite(share)) {
        page_markup(page, ", ");
        number_share(page->out, share);
        page_markup(page, " of the limit");
        if (point->row->field[COLUMN_limit_source][0] != 0) {
            page_markup(page, " (");
            page_text(page, point->row->field[COLUMN_limit_source]);
            page_markup(page, ")");
        }
    }
    page_markup(page, ".</li>\n");
}

static void readings(struct page *page, const struct plot *plot) {
    struct headline headlines[READINGS_MAX];
    size_t count = headlines_find(plot, headlines, READINGS_MAX), shown = 0;
    for (size_t i = 0; i < count; i++) {
        if (headlines[i].rank > 0 || plot->point_count == 1) continue;
        if (shown++ == 0) page_markup(page, "<ul class=\"reading\">\n");
        reading(page, &headlines[i]);
    }
    if (shown > 0) page_markup(page, "</ul>\n");
}

void page_chapter(struct page *page, size_t number) {
    const struct chapter *chapter = &page->chapters[number];
    text_add(page->out, "<section class=\"program\" id=\"p%zu\">\n<h3>", number);
    page_name(page, page_chapter_title(chapter));
    page_markup(page, "</h3>\n");
    constants(page, chapter->section);
    if (chapter->section->case_count == 0)
        page_markup(page, "<p>Nothing was measured here; <a href=\"#missing\">why not</a>.</p>\n");
    for (size_t i = 0; i < chapter->plot_count; i++) {
        const struct plot *plot = &chapter->plots[i];
        if (i > 0 && plot->question != NULL) {
            page_markup(page, "<h4>");
            page_text(page, plot->question);
            page_markup(page, "</h4>\n");
        }
        page_plot(page, plot);
        readings(page, plot);
    }
    size_t rows = TABLE_ROWS_OF_PAGE / page->chapter_count;
    if (chapter->plot_count > 0)
        page_table(page, chapter->section, &chapter->plots[0], rows > TABLE_ROWS_MIN ? rows : TABLE_ROWS_MIN);
    page_markup(page, "</section>\n");
}
