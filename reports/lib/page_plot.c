/* page_plot.c: a plot's panels, with what belongs below each: legend, limits, published figures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heat_map.h"
#include "markup.h"
#include "number.h"
#include "page.h"
#include "plot_draw.h"

enum { BARS_MAX = 48 };

/* The marks of panel_script, 12 units wide. */
static const char *const marks[SERIES_MAX] = {"<circle cx=\"12\" cy=\"6\" r=\"4\"/>",
                                              "<rect x=\"8.5\" y=\"2.5\" width=\"7\" height=\"7\"/>",
                                              "<path d=\"M12 1.5 16.5 9.5 7.5 9.5z\"/>",
                                              "<path d=\"M12 1 17 6 12 11 7 6z\"/>",
                                              "<path d=\"M12 10.5 16.5 2.5 7.5 2.5z\"/>",
                                              "<circle class=\"open\" cx=\"12\" cy=\"6\" r=\"3.5\"/>",
                                              "<rect class=\"open\" x=\"8.5\" y=\"2.5\" width=\"7\" height=\"7\"/>",
                                              "<path class=\"open\" d=\"M12 1.5 16.5 9.5 7.5 9.5z\"/>"};

static void legend(struct page *page, const struct plot *plot, const struct panel *panel) {
    page_markup(page, "<ul class=\"legend\">");
    for (size_t s = 0; s < panel->series_count; s++) {
        const struct series *series = &panel->series[s];
        text_add(page->out,
                 "<li><svg class=\"mark series-%d\" viewBox=\"0 0 24 12\" aria-hidden=\"true\">"
                 "<path class=\"open\" d=\"M0 6H24\"/>%s</svg>",
                 series->color + 1, marks[series->color]);
        page_text(page, series->label[0] != 0 ? series->label : plot->section->metrics[plot->metric]);
        page_markup(page, "</li>");
    }
    page_markup(page, "</ul>\n");
    if (panel->series_left_out > 0)
        text_add(page->out, "<p class=\"quiet\">The best %d lines; %zu more are in the table.</p>\n", SERIES_MAX,
                 panel->series_left_out);
}

/* The colours in order, with the values at which the first begins and the last ends. */
static void color_scale(struct page *page, const struct plot *plot, const struct panel *panel) {
    const struct row *row = plot->section->metric_rows[plot->metric];
    const char *best = row->better == HIGHER ? ", higher is better" : row->better == LOWER ? ", lower is better" : "";
    page_markup(page, "<p class=\"legend\"><span>");
    page_figure(page, row, heat_value(panel, 0), panel->y_high);
    text_add(page->out, "</span><svg class=\"scale\" viewBox=\"0 0 %d 12\" aria-hidden=\"true\">", 10 * HEAT_COLORS);
    for (int color = 0; color < HEAT_COLORS; color++)
        text_add(page->out, "<rect x=\"%d\" width=\"10\" height=\"12\" fill=\"#%06x\"/>", 10 * color, heat_rgb(color));
    page_markup(page, "</svg><span>");
    page_figure(page, row, panel->y_high, panel->y_high);
    text_add(page->out, "</span><span class=\"quiet\">%s scale%s</span></p>\n",
             panel->y_scale == LINEAR ? "linear" : "logarithmic", best);
    struct heat_map *map = array_zeroed(1, sizeof *map);
    heat_map_build(plot, panel, map);
    if (map->x_left_out + map->y_left_out > 0)
        text_add(page->out, "<p class=\"quiet\">%zu columns and %zu lines more are in the table.</p>\n",
                 map->x_left_out, map->y_left_out);
    free(map);
}

static void limits(struct page *page, const struct plot *plot, const struct overlay *overlay) {
    for (size_t i = 0; i < overlay->limit_count; i++) {
        page_markup(page, overlay->limits[i].drawn ? "<p class=\"quiet\"><span class=\"dash\"></span>limit "
                                                   : "<p class=\"quiet\">outside the plot: limit ");
        if (overlay->limit_count > 1 && overlay->limits[i].dtype[0] != 0) {
            page_markup(page, "for ");
            page_text(page, overlay->limits[i].dtype);
            page_markup(page, " ");
        }
        page_figure(page, plot->section->metric_rows[plot->metric], overlay->limits[i].value, NAN);
        if (overlay->limits[i].source[0] != 0) {
            page_markup(page, " (");
            page_text(page, overlay->limits[i].source);
            page_markup(page, ")");
        }
        page_markup(page, "</p>\n");
    }
    if (overlay->memory > 0) {
        page_markup(page, "<p class=\"quiet\"><span class=\"dash\"></span>slope: memory, ");
        number_value(page->out, overlay->memory * 1000);
        page_markup(page, "\xc2\xa0GB/s (");
        page_text(page, overlay->memory_source);
        page_markup(page, ")</p>\n");
    } else if (plot->kind == PLOT_ROOFLINE) {
        page_markup(page,
                    "<p class=\"quiet\">No slope: no row tells the bandwidth limit of this device's memory.</p>\n");
    }
    if (overlay->fitted)
        page_markup(
            page, "<p class=\"quiet\">The lines are fits, time = latency + size / bandwidth in pieces; the marks were "
                  "measured.</p>\n");
    if (overlay->many_limits)
        page_markup(page, "<p class=\"quiet\">Each line has a limit of its own; the table has them.</p>\n");
}

static void sources(struct page *page, const struct overlay *overlay) {
    for (size_t i = 0; i < overlay->peer_count; i++) {
        const char *source = overlay->peers[i].peer->source;
        bool told = false;
        for (size_t j = 0; j < i; j++) told = told || strcmp(source, overlay->peers[j].peer->source) == 0;
        if (told) continue;
        page_markup(page, "<p class=\"quiet\"><span class=\"diamond\">\xe2\x97\x87</span> published: ");
        page_text(page, source);
        page_markup(page, "</p>\n");
    }
}

static void panel_figure(struct page *page, const struct plot *plot, const struct panel *panel) {
    struct overlay overlay;
    char prefix[32];
    overlay_find(plot, panel, page->peers, &overlay);
    snprintf(prefix, sizeof prefix, "d%zu-", page->drawing_count++);
    page_markup(page, "<figure>");
    if (panel->label[0] != 0) {
        page_markup(page, "<figcaption>");
        page_text(page, panel->label);
        page_markup(page, "</figcaption>\n");
    }
    if (!panel_draw(plot, panel, &overlay, prefix, page->out))
        page_markup(page, "<p class=\"notice\">gnuplot could not draw this panel.</p>\n");
    if (plot->kind == PLOT_HEAT_MAP) {
        color_scale(page, plot, panel);
    } else {
        legend(page, plot, panel);
        limits(page, plot, &overlay);
        sources(page, &overlay);
    }
    page_markup(page, "</figure>\n");
}

static void device_title(struct page *page, const char *device) {
    if (device[0] == 0) return;
    page_markup(page, "<p class=\"device\">");
    page_text(page, device);
    page_markup(page, "</p>\n");
}

/* One device's bars have one scale: the largest value or bound, or a limit not too far above it. */
struct bar_scale {
    double largest, end;
};

static bool shows_bounds(const struct plot *plot) {
    return strcmp(plot->section->metrics[plot->metric], "accuracy") == 0;
}

static struct bar_scale scale_of(const struct plot *plot, const char *device) {
    struct bar_scale scale = {0, 0};
    for (size_t i = 0; i < plot->point_count; i++)
        if (strcmp(plot->points[i].row->field[COLUMN_device], device) == 0)
            scale.largest = fmax(scale.largest, plot->points[i].value);
    const struct section *section = plot->section;
    for (size_t m = 0; m < section->metric_count && shows_bounds(plot); m++)
        if (metric_is_bound(section->metrics[m])) scale.largest = fmax(scale.largest, section->metric_largest[m]);
    scale.end = scale.largest;
    for (size_t i = 0; i < plot->point_count; i++)
        if (strcmp(plot->points[i].row->field[COLUMN_device], device) == 0 &&
            plot->points[i].limit <= 4 * scale.largest)
            scale.end = fmax(scale.end, plot->points[i].limit);
    return scale;
}

static void bar(struct page *page, const char *label, const struct row *row, double limit, struct bar_scale scale) {
    bool bound = metric_is_bound(row->field[COLUMN_metric]);
    page_markup(page, bound ? "<li class=\"bound\"><span>" : "<li><span>");
    if (bound) page_name(page, label);
    else page_text(page, label);
    text_add(page->out, "</span><span class=\"track\"><i style=\"width:%.1f%%\"></i>",
             scale.end > 0 ? fmax(fmin(row->value / scale.end, 1), 0) * 100 : 0);
    if (limit <= scale.end) text_add(page->out, "<b style=\"left:%.1f%%\"></b>", limit / scale.end * 100);
    page_markup(page, "</span><span>");
    page_figure(page, row, row->value, scale.largest);
    page_markup(page, "</span></li>\n");
}

/* What trivial rules score on the same examples, below the accuracies. */
static void bounds(struct page *page, const struct plot *plot, const struct point *point, struct bar_scale scale) {
    const struct section *section = plot->section;
    for (size_t m = 0; m < section->metric_count && shows_bounds(plot); m++)
        if (metric_is_bound(section->metrics[m]) && point->line->figures[m].row != NULL)
            bar(page, section->metrics[m], point->line->figures[m].row, NAN, scale);
}

/* Does a panel have but one x, or is there no x at all? Then there is nothing to draw lines over. */
static bool is_bars(const struct plot *plot, size_t panel) {
    if (plot->kind != PLOT_LINES) return false;
    return plot->x == NULL || (panel < plot->panel_count && plot->panels[panel].x_low == plot->panels[panel].x_high);
}

/* The bars of a panel, under its name; where the plot has an x, of all such panels of a device, each bar with its
   case's whole name. Returns how many of the points from begin on were looked at. */
static size_t bar_figure(struct page *page, const struct plot *plot, size_t begin, size_t *left) {
    const struct point *points = plot->points;
    const char *device = points[begin].row->field[COLUMN_device];
    struct bar_scale scale = scale_of(plot, device);
    bool one_panel = plot->x == NULL;
    const struct panel *panel = points[begin].panel < plot->panel_count ? &plot->panels[points[begin].panel] : NULL;
    page_markup(page, "<figure class=\"wide\"><figcaption>");
    page_name(page, plot->section->metrics[plot->metric]);
    if (one_panel && panel != NULL && panel->label[0] != 0) page_markup(page, ", "), page_text(page, panel->label);
    page_markup(page, "</figcaption>\n<ul class=\"bars\">\n");
    size_t i = begin;
    for (; i < plot->point_count && strcmp(points[i].row->field[COLUMN_device], device) == 0; i++) {
        if (one_panel && points[i].panel != points[begin].panel) break;
        if (!is_bars(plot, points[i].panel) || *left == 0) continue;
        struct text name = {0};
        section_label(plot->section, points[i].row, plot->section->names, plot->section->name_count, &name);
        const char *label = points[i].label[0] != 0 ? points[i].label : points[i].row->field[COLUMN_variant];
        bar(page, one_panel ? label : name.data, points[i].row, points[i].limit, scale);
        text_release(&name);
        --*left;
    }
    bounds(page, plot, &points[begin], scale);
    page_markup(page, "</ul></figure>\n");
    return i - begin;
}

static void bars(struct page *page, const struct plot *plot) {
    size_t left = BARS_MAX, bar_count = 0;
    const char *device = "";
    for (size_t i = 0; i < plot->point_count; i++) bar_count += is_bars(plot, plot->points[i].panel);
    for (size_t i = 0; i < plot->point_count && left > 0;) {
        size_t panel = plot->points[i].panel;
        if (!is_bars(plot, panel)) {
            i++;
            continue;
        }
        if (panel < plot->panel_count && strcmp(device, plot->panels[panel].device) != 0 && plot->x == NULL)
            device_title(page, plot->panels[panel].device);
        device = panel < plot->panel_count ? plot->panels[panel].device : "";
        i += bar_figure(page, plot, i, &left);
    }
    if (bar_count > BARS_MAX)
        text_add(page->out, "<p class=\"quiet\">%zu more are in the table.</p>\n", bar_count - BARS_MAX);
}

static void lines(struct page *page, const struct plot *plot) {
    const char *device = NULL;
    for (size_t i = 0; i < plot->panel_count; i++) {
        if (is_bars(plot, i)) continue;
        if (device == NULL || strcmp(device, plot->panels[i].device) != 0) {
            if (device != NULL) page_markup(page, "</div>\n");
            device_title(page, plot->panels[i].device);
            page_markup(page, "<div class=\"panels\">\n");
        }
        device = plot->panels[i].device;
        panel_figure(page, plot, &plot->panels[i]);
    }
    if (device != NULL) page_markup(page, "</div>\n");
    if (plot->hidden_cases > 0)
        text_add(page->out, "<p class=\"quiet\">Each cell is the best of its cases; %zu others are in the table.</p>\n",
                 plot->hidden_cases);
    if (plot->panels_left_out > 0)
        text_add(page->out, "<p class=\"quiet\">%zu more panels are left out; the table has their values.</p>\n",
                 plot->panels_left_out);
}

void page_plot(struct page *page, const struct plot *plot) {
    if (plot->x != NULL && page->draw) lines(page, plot);
    bars(page, plot);
}
