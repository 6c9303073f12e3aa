/* page_chapter.c: one program: its question, what its plots say, its table. */
#include <math.h>
#include <string.h>

#include "heat_map.h"
#include "markup.h"
#include "number.h"
#include "overlay.h"
#include "page.h"

/* Of all tables together, so that a page of any number of rows opens at once; a program has its equal share. */
enum { TABLE_CELLS_OF_PAGE = 60000, TABLE_ROWS_MIN = 60, READINGS_MAX = 12 };

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

/* Which points of a roofline are held back by memory and which by arithmetic. */
static void roof_readings(struct page *page, const struct plot *plot) {
    for (size_t i = 0; i < plot->panel_count && i < READINGS_MAX; i++) {
        const struct panel *panel = &plot->panels[i];
        struct overlay overlay;
        overlay_find(plot, panel, page->peers, &overlay);
        size_t slope = 0, flat = 0;
        double slope_best = 0, flat_best = 0;
        for (size_t s = 0; s < panel->series_count; s++)
            for (size_t p = 0; p < panel->series[s].count; p++) {
                const struct point *point = &panel->series[s].points[p];
                double under_memory = overlay.memory * point->x;
                if (!(under_memory > 0) || !isfinite(point->limit)) continue;
                if (under_memory < point->limit) slope++, slope_best = fmax(slope_best, point->value / under_memory);
                else flat++, flat_best = fmax(flat_best, point->value / point->limit);
            }
        if (slope + flat == 0) continue;
        page_markup(page, "<p>");
        page_text(page, panel->device);
        page_markup(page, panel->device[0] && panel->label[0] ? ", " : "");
        page_text(page, panel->label);
        text_add(page->out, "%s%zu of %zu points lie under the slope of memory",
                 panel->device[0] || panel->label[0] ? ": " : "", slope, slope + flat);
        if (slope > 0) page_markup(page, ", the best of them at "), number_share(page->out, slope_best);
        if (flat > 0) {
            text_add(page->out, "%s%zu under the ceiling of arithmetic, the best at ", slope > 0 ? " of it; " : "; ",
                     flat);
            number_share(page->out, flat_best);
        }
        page_markup(page, " of it.</p>\n");
    }
}

static void heat_cell(struct page *page, const struct plot *plot, const struct point *point) {
    const char *const keys[] = {plot->y, plot->x};
    struct text label = {0};
    page_figure(page, point->row, point->value, NAN);
    section_label(plot->section, point->row, keys, ARRAY_LENGTH(keys), &label);
    page_markup(page, " (");
    page_text(page, label.data);
    page_markup(page, ")");
    text_release(&label);
}

static void heat_readings(struct page *page, const struct plot *plot) {
    page_markup(page, "<ul class=\"reading\">\n");
    for (size_t i = 0; i < plot->panel_count && i < READINGS_MAX; i++) {
        const struct panel *panel = &plot->panels[i];
        struct heat_reading reading;
        heat_map_read(panel, &reading);
        page_markup(page, "<li>");
        page_text(page, panel->device);
        page_markup(page, panel->device[0] && panel->label[0] ? ", " : "");
        page_text(page, panel->label);
        page_markup(page, panel->device[0] || panel->label[0] ? ": " : "");
        if (reading.best->row->better == NEITHER) page_markup(page, "highest ");
        else page_markup(page, "best ");
        heat_cell(page, plot, reading.best);
        page_markup(page, reading.best->row->better == NEITHER ? ", lowest " : ", worst ");
        heat_cell(page, plot, reading.worst);
        text_add(page->out, ", median of %zu ", reading.count);
        page_figure(page, reading.best->row, reading.median, NAN);
        if (reading.outliers > 0)
            text_add(page->out, "; <b>%zu stand%s out as worse</b>, by more than %g robust standard deviations",
                     reading.outliers, reading.outliers == 1 ? "s" : "", HEAT_OUTLIER);
        page_markup(page, ".</li>\n");
    }
    page_markup(page, "</ul>\n");
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
        if (plot->question != NULL && strcmp(plot->question, page_chapter_title(chapter)) != 0) {
            page_markup(page, "<h4>");
            page_text(page, plot->question);
            page_markup(page, "</h4>\n");
        }
        page_plot(page, plot);
        if (plot->kind == PLOT_HEAT_MAP) heat_readings(page, plot);
        else if (plot->kind == PLOT_LINES) readings(page, plot);
        else roof_readings(page, plot);
    }
    if (chapter->plot_count > 0) {
        size_t rows = TABLE_CELLS_OF_PAGE / page->chapter_count / page_table_width(chapter->section);
        page_table(page, chapter->section, &chapter->plots[0], rows > TABLE_ROWS_MIN ? rows : TABLE_ROWS_MIN);
    }
    page_markup(page, "</section>\n");
}
