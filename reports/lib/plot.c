#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heat_map.h"
#include "markup.h"

static const double LINEAR_SPAN_MAX = 8;

const struct plot_spec plot_specs[] = {
#define PLOT(program, question, x, metric, panels, x_scale, y_scale, headline)                                         \
    {PLOT_LINES, #program, question, x, NULL, metric, panels, x_scale, y_scale, headline},
#define HEAT_MAP(program, question, x, y, metric, panels, color_scale)                                                 \
    {PLOT_HEAT_MAP, #program, question, x, y, metric, panels, LINEAR, color_scale, NOWHERE},
#define ROOFLINE(program, question, x, metric, panels)                                                                 \
    {PLOT_ROOFLINE, #program, question, x, NULL, metric, panels, LOG10, LOG10, NOWHERE},
#define SCATTER(program, question, along, x, metric, panels)                                                           \
    {PLOT_SCATTER, #program, question, along, x, metric, panels, LOG10, AUTO, NOWHERE},
#include "../plots.def"
};
const size_t plot_spec_count = ARRAY_LENGTH(plot_specs);

const char *plot_question(const char *program) {
    for (size_t i = 0; i < plot_spec_count; i++)
        if (strcmp(plot_specs[i].program, program) == 0) return plot_specs[i].question;
    return NULL;
}

/* What tells the cases of a plot apart, and as what. */
struct layout {
    const char *panels[PANEL_KEYS_MAX], *series[SECTION_KEYS_MAX];
    size_t panel_count, series_count;
};

/* Operations per byte; NAN: the row does not tell. */
static double intensity(const struct row *row) {
    double flops = row_number(row, COLUMN_flops), bytes = row_number(row, COLUMN_bytes_moved);
    return flops > 0 && bytes > 0 && isfinite(flops / bytes) ? flops / bytes : NAN;
}

/* The row of a case that the plot shows; NULL: none. */
static const struct row *figure_row(const struct plot *plot, size_t i) {
    const struct row *row = plot->section->cases[i].figures[plot->metric].row;
    if (plot->kind == PLOT_SCATTER) {
        const struct row *x = plot->section->cases[i].figures[plot->x_metric].row;
        if (x == NULL || !(x->value > 0)) return NULL;
    }
    if (row != NULL && plot->kind == PLOT_ROOFLINE && !(row->value > 0 && intensity(row) > 0)) return NULL;
    return row;
}

/* Distinct values of a key among the plot's cases, and their range; 0 if one of them is not a finite number. */
static size_t numeric_values(const struct plot *plot, const char *key, double *low, double *high) {
    struct index index = {0};
    bool numeric = true;
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < plot->section->case_count && numeric; i++) {
        const struct row *row = figure_row(plot, i);
        double number = 0;
        if (row == NULL) continue;
        const char *value = section_key(plot->section, row, key);
        numeric = number_parse(value, &number) && isfinite(number);
        *low = fmin(*low, number);
        *high = fmax(*high, number);
        index_add(&index, value, NULL);
    }
    size_t count = numeric ? index.count : 0;
    index_release(&index);
    return count;
}

static bool is_axis(const char *key) {
    static const char *const others[] = {"run", "variant", "dtype", "mode", "backend", "device"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (strcmp(others[i], key) == 0) return false;
    return true;
}

/* The x axis: the wanted one if it varies, otherwise the number that takes most values, at least three. */
static void choose_x(struct plot *plot, const char *wanted, enum scale scale) {
    double low, high;
    size_t most = 2;
    if (wanted != NULL && wanted[0] == 0) return;
    if (plot->kind != PLOT_LINES) {
        plot->x = wanted;
        plot->x_scale = scale;
        return;
    }
    if (wanted != NULL && numeric_values(plot, wanted, &low, &high) >= 2) {
        plot->x = wanted;
        plot->x_scale = low > 0 ? scale : LINEAR;
        return;
    }
    plot->x_replaced = wanted != NULL;
    for (size_t i = 0; i < plot->section->key_count; i++) {
        const char *key = plot->section->keys[i];
        size_t count = is_axis(key) ? numeric_values(plot, key, &low, &high) : 0;
        if (count <= most) continue;
        most = count;
        plot->x = key;
        plot->x_scale = low > 0 && high >= 8 * low ? LOG2 : LINEAR;
    }
}

static bool settled(const struct plot *plot, const struct layout *layout, const char *key) {
    const char *givens[SECTION_KEYS_MAX + PANEL_KEYS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < layout->panel_count; i++) givens[count++] = layout->panels[i];
    for (size_t i = 0; i < layout->series_count; i++) givens[count++] = layout->series[i];
    if (plot->x != NULL) givens[count++] = plot->x;
    return section_settles(plot->section, givens, count, key, plot->metric);
}

static void add_panel_key(const struct plot *plot, struct layout *layout, const char *key, size_t length) {
    for (size_t i = 0; i < plot->section->key_count; i++) {
        const char *name = plot->section->keys[i];
        if (strlen(name) != length || memcmp(name, key, length) != 0) continue;
        if (plot->x != NULL && strcmp(name, plot->x) == 0) continue;
        if (plot->y != NULL && strcmp(name, plot->y) == 0) continue;
        if (layout->panel_count < PANEL_KEYS_MAX && !section_settles(plot->section, NULL, 0, name, plot->metric))
            layout->panels[layout->panel_count++] = name;
    }
}

/* Panels as asked for, and one for each device that a run used: a processor and an accelerator share no scale. Whatever
   else varies and is not settled by what is chosen already tells the lines apart. */
static void choose_layout(const struct plot *plot, const char *panels, struct layout *layout) {
    static const char *const run[] = {"run"};
    const struct section *section = plot->section;
    *layout = (struct layout){0};
    if (!section_settles(section, run, 1, "device", plot->metric))
        add_panel_key(plot, layout, "device", strlen("device"));
    for (const char *at = panels; *at != 0; at += strspn(at, ",")) {
        size_t length = strcspn(at, ",");
        add_panel_key(plot, layout, at, length);
        at += length;
    }
    if (plot->kind == PLOT_HEAT_MAP) { /* what else varies: a cell shows the best */
        add_panel_key(plot, layout, "run", strlen("run"));
        return;
    }
    for (size_t i = 0; i < section->key_count; i++) {
        const char *key = section->keys[i];
        if (plot->x != NULL && strcmp(key, plot->x) == 0) continue;
        if (!settled(plot, layout, key)) layout->series[layout->series_count++] = key;
    }
}

static const char *label_of(struct plot *plot, const struct row *row, const char *const *keys, size_t count) {
    struct text text = {0};
    section_label(plot->section, row, keys, count, &text);
    if (count > 0 && text.length == 0) text_string(&text, "all");
    char *label = pool_copy(&plot->pool, text.data, text.length);
    text_release(&text);
    return label;
}

static void fill_point(const struct plot *plot, struct point *point, const struct row *row) {
    point->row = row;
    point->value = point->low = point->high = row->value;
    if (plot->kind == PLOT_LINES) row_interval(row, &point->low, &point->high);
    point->limit = row_number(row, COLUMN_limit);
    if (!(point->limit > 0) || !isfinite(point->limit)) point->limit = NAN;
    if (plot->kind == PLOT_ROOFLINE) point->x = intensity(row);
    else if (plot->kind == PLOT_SCATTER) point->x = point->line->figures[plot->x_metric].row->value;
    else if (plot->x == NULL || !number_parse(section_key(plot->section, row, plot->x), &point->x)) point->x = 0;
}

static int compare_points(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    if (p->panel != q->panel) return p->panel < q->panel ? -1 : 1;
    if (p->series != q->series) return p->series < q->series ? -1 : 1;
    return p->x < q->x ? -1 : p->x > q->x;
}

static void place_device(struct plot *plot, const struct layout *layout, size_t device, const struct index *devices,
                         struct index *panels, struct index *series, const struct row **panel_rows) {
    for (size_t i = 0; i < plot->section->case_count; i++) {
        const struct row *row = figure_row(plot, i);
        if (row == NULL || index_find(devices, row->field[COLUMN_device]) != (long)device) continue;
        struct point *point = &plot->points[plot->point_count++];
        int added;
        point->panel = index_add(panels, label_of(plot, row, layout->panels, layout->panel_count), &added);
        if (added) panel_rows[point->panel] = row;
        point->label = label_of(plot, row, layout->series, layout->series_count);
        point->series = index_add(series, point->label, NULL);
        point->line = &plot->section->cases[i];
        fill_point(plot, point, row);
    }
}

/* Gives every case its panel and series, a device's panels together, and sorts. panel_rows: of each panel one. */
static void place_points(struct plot *plot, const struct layout *layout, const struct row **panel_rows,
                         size_t *series_total) {
    struct index devices = {0}, panels = {0}, series = {0};
    const struct section *section = plot->section;
    plot->points = array_zeroed(section->case_count, sizeof *plot->points);
    for (size_t i = 0; i < section->case_count; i++)
        if (figure_row(plot, i) != NULL) index_add(&devices, figure_row(plot, i)->field[COLUMN_device], NULL);
    for (size_t d = 0; d < devices.count; d++) place_device(plot, layout, d, &devices, &panels, &series, panel_rows);
    size_t panel_count = panels.count;
    if (plot->kind == PLOT_HEAT_MAP) {
        heat_map_prune(plot);
        if (panel_count > PANELS_MAX) panel_count = heat_map_drop_columns(plot, panel_rows, panel_count);
    }
    qsort(plot->points, plot->point_count, sizeof *plot->points, compare_points);
    *series_total = series.count;
    plot->panel_count = panel_count < PANELS_MAX ? panel_count : PANELS_MAX;
    plot->panels_left_out = panels.count - plot->panel_count;
    index_release(&devices);
    index_release(&panels);
    index_release(&series);
}

/* Of two series the one that ends better. */
static bool ends_better(const struct series *a, const struct series *b) {
    const struct point *p = &a->points[a->count - 1], *q = &b->points[b->count - 1];
    if (p->x != q->x) return p->x > q->x;
    return p->row->better == LOWER ? p->value < q->value : p->value > q->value;
}

static void panel_add(struct panel *panel, struct series series) {
    if (panel->series_count < SERIES_MAX) {
        panel->series[panel->series_count++] = series;
        return;
    }
    size_t worst = 0;
    for (size_t i = 1; i < SERIES_MAX; i++)
        if (ends_better(&panel->series[worst], &panel->series[i])) worst = i;
    panel->series_left_out++;
    if (!ends_better(&series, &panel->series[worst])) return;
    memmove(&panel->series[worst], &panel->series[worst + 1], (SERIES_MAX - 1 - worst) * sizeof series);
    panel->series[SERIES_MAX - 1] = series;
}

static void widen(struct panel *panel, const struct point *point, bool first) {
    panel->x_low = first ? point->x : fmin(panel->x_low, point->x);
    panel->x_high = first ? point->x : fmax(panel->x_high, point->x);
    panel->y_low = first ? point->low : fmin(panel->y_low, point->low);
    panel->y_high = first ? point->high : fmax(panel->y_high, point->high);
}

static void fill_panels(struct plot *plot, const struct layout *layout, const struct row *const *panel_rows,
                        size_t series_total) {
    bool by_device = layout->panel_count > 0 && strcmp(layout->panels[0], "device") == 0;
    for (size_t i = 0; i < plot->panel_count; i++) {
        plot->panels[i].device = by_device ? panel_rows[i]->field[COLUMN_device] : "";
        plot->panels[i].label = label_of(plot, panel_rows[i], layout->panels + by_device,
                                         layout->panel_count - by_device);
    }
    for (size_t i = 0, end; i < plot->point_count; i = end) {
        const struct point *first = &plot->points[i];
        for (end = i + 1; end < plot->point_count && plot->points[end].panel == first->panel &&
                          plot->points[end].series == first->series;)
            end++;
        if (first->panel >= PANELS_MAX) continue;
        struct series series = {.label = first->label, .points = first, .count = end - i};
        series.color = (int)(first->series % SERIES_MAX);
        panel_add(&plot->panels[first->panel], series);
    }
    for (size_t p = 0; p < plot->panel_count; p++) {
        struct panel *panel = &plot->panels[p];
        for (size_t s = 0; s < panel->series_count; s++) {
            if (series_total > SERIES_MAX) panel->series[s].color = (int)s; /* else the same in every panel */
            for (size_t i = 0; i < panel->series[s].count; i++)
                widen(panel, &panel->series[s].points[i], s == 0 && i == 0);
        }
    }
}

/* Panels of one device are read against one another: one y range. */
static void share_ranges(struct plot *plot) {
    for (size_t a = 0; a < plot->panel_count; a++)
        for (size_t b = 0; b < plot->panel_count; b++) {
            struct panel *p = &plot->panels[a], *q = &plot->panels[b];
            const char *device = p->series[0].points[0].row->field[COLUMN_device];
            if (strcmp(device, q->series[0].points[0].row->field[COLUMN_device]) != 0) continue;
            p->y_low = q->y_low = fmin(p->y_low, q->y_low);
            p->y_high = q->y_high = fmax(p->y_high, q->y_high);
        }
}

static void choose_y_scales(struct plot *plot, enum scale wanted) {
    for (size_t i = 0; i < plot->panel_count; i++) {
        struct panel *panel = &plot->panels[i];
        bool wide = panel->y_high > LINEAR_SPAN_MAX * panel->y_low;
        panel->y_scale = wanted == AUTO ? wide ? LOG10 : LINEAR : wanted;
        if (!(panel->y_low > 0)) panel->y_scale = LINEAR;
    }
}

/* Does each of a heat map's keys take two values at least? */
static bool is_grid(const struct plot *plot) {
    return !section_settles(plot->section, NULL, 0, plot->x, plot->metric) &&
           !section_settles(plot->section, NULL, 0, plot->y, plot->metric);
}

static bool plot_build(const struct section *section, const struct plot_spec *spec, int metric, struct plot *plot) {
    *plot = (struct plot){.section = section, .metric = metric, .question = spec != NULL ? spec->question : NULL};
    if (spec != NULL) plot->headline = spec->headline, plot->kind = spec->kind, plot->y = spec->y;
    choose_x(plot, spec != NULL ? spec->x : NULL, spec != NULL ? spec->x_scale : LOG2);
    if (plot->kind == PLOT_HEAT_MAP && !is_grid(plot)) return false;
    if (plot->kind == PLOT_SCATTER && (plot->x_metric = section_metric(section, plot->y)) < 0) return false;
    struct layout layout;
    size_t series_total;
    choose_layout(plot, spec != NULL ? spec->panels : "", &layout);
    const struct row **panel_rows = array_zeroed(section->case_count, sizeof *panel_rows);
    place_points(plot, &layout, panel_rows, &series_total);
    fill_panels(plot, &layout, panel_rows, series_total);
    free(panel_rows);
    if (plot->kind != PLOT_HEAT_MAP) share_ranges(plot);
    choose_y_scales(plot, spec != NULL ? spec->y_scale : AUTO);
    if (plot->panel_count == 0) plots_release(plot, 1);
    return plot->panel_count > 0;
}

/* Where the axis that a plot is about has one value only, another number took its place; beside a heat map, which has
   been given its axes, that says nothing more. */
static size_t drop_unwanted(struct plot *plots, size_t count) {
    size_t kept = 0;
    bool heat_map = false;
    for (size_t i = 0; i < count; i++) heat_map = heat_map || plots[i].kind == PLOT_HEAT_MAP;
    for (size_t i = 0; i < count; i++) {
        if (heat_map && plots[i].x_replaced) plots_release(&plots[i], 1);
        else plots[kept++] = plots[i];
    }
    return kept;
}

size_t plots_build(const struct section *section, struct plot plots[PLOTS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < plot_spec_count && count < PLOTS_MAX; i++) {
        int metric = section_metric(section, plot_specs[i].metric);
        if (strcmp(plot_specs[i].program, section->program) != 0 || metric < 0) continue;
        if (plot_build(section, &plot_specs[i], metric, &plots[count])) count++;
    }
    count = drop_unwanted(plots, count);
    if (count > 0 || section->metric_count == 0) return count;
    int metric = 0;
    for (size_t i = section->metric_count; i-- > 0;)
        if (section->metric_rows[i]->better != NEITHER) metric = (int)i;
    return plot_build(section, NULL, metric, &plots[0]) ? 1 : 0;
}

void plots_release(struct plot *plots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(plots[i].points);
        pool_release(&plots[i].pool);
    }
}
