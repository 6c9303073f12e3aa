#include "heat_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "markup.h"
#include "number.h"
#include "plot_draw.h"
#include "svg.h"

enum {
    WIDTH = 560,
    MARGIN_X = 90,
    LABEL_WIDTH = 7,
    TEXT_WIDTH_MIN = 30,
    TEXT_HEIGHT_MIN = 12,
    TICKS_MAX = 16,
    OUTLIER_CELLS_MIN = 6,
    BLACK_TEXT_FROM = 6
};

const double HEAT_OUTLIER = 3.5;
static const double NEWS_MIN = 0.01;      /* of the median: a smaller deviation is no news */
static const double SCATTER_MAX = 0.1;    /* of the median: with more the cells differ by what they are */
static const double COLOR_SPAN_MIN = 0.1; /* of the highest value: noise must not look like a pattern */

/* From dark blue to light yellow through green, lightness in equal steps (OKLCH), so that the order survives printing
   in grey and most colour-blindness; black or white text reaches a contrast of 4.5 on each. */
static const unsigned colors[HEAT_COLORS] = {0x182b58, 0x0e3967, 0x004774, 0x00577f, 0x006787, 0x00778c,
                                             0x00878e, 0x00968d, 0x00a489, 0x26b185, 0x57bc80, 0x7cc77c,
                                             0x9fd17a, 0xbfd97c, 0xdde282, 0xfaea8d};

unsigned heat_rgb(int color) { return colors[color]; }

static double lowest(const struct panel *panel) {
    if (panel->y_scale == LOG10) return panel->y_low;
    return fmin(panel->y_low, panel->y_high - COLOR_SPAN_MIN * fabs(panel->y_high));
}

static double position(const struct panel *panel, double value) {
    double low = lowest(panel), high = panel->y_high;
    if (!(high > low)) return 1;
    return panel->y_scale == LOG10 ? log(value / low) / log(high / low) : (value - low) / (high - low);
}

int heat_color(const struct panel *panel, double value) {
    double place = position(panel, value) * HEAT_COLORS;
    return place >= HEAT_COLORS - 1 ? HEAT_COLORS - 1 : place >= 0 ? (int)place : 0;
}

double heat_value(const struct panel *panel, int color) {
    double low = lowest(panel), high = panel->y_high, share = (double)color / HEAT_COLORS;
    return panel->y_scale == LOG10 ? low * pow(high / low, share) : low + share * (high - low);
}

/* Numbers by size before words, words as they came. */
struct category {
    const char *name;
    double number;
    bool is_number;
    size_t order;
};

static int compare_categories(const void *a, const void *b) {
    const struct category *p = a, *q = b;
    if (p->is_number != q->is_number) return p->is_number ? -1 : 1;
    if (p->is_number && p->number != q->number) return p->number < q->number ? -1 : 1;
    return p->order < q->order ? -1 : p->order > q->order;
}

/* The distinct values of a key among the panel's points; those beyond HEAT_SIDE_MAX are left out. */
static size_t categories(const struct plot *plot, const struct series *series, const char *key, const char **names,
                         size_t *left_out) {
    struct index index = {0};
    struct category *list = array_zeroed(series->count, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++) {
        const char *value = section_key(plot->section, series->points[i].row, key);
        int added;
        index_add(&index, value, &added);
        if (!added) continue;
        struct category *category = &list[count];
        *category = (struct category){.name = value, .order = count};
        category->is_number = number_parse(value, &category->number) && isfinite(category->number);
        count++;
    }
    qsort(list, count, sizeof *list, compare_categories);
    *left_out = count > HEAT_SIDE_MAX ? count - HEAT_SIDE_MAX : 0;
    for (size_t i = 0; i < count - *left_out; i++) names[i] = list[i].name;
    count -= *left_out;
    index_release(&index);
    free(list);
    return count;
}

static size_t find(const char *const *names, size_t count, const char *name) {
    size_t i = 0;
    while (i < count && strcmp(names[i], name) != 0) i++;
    return i;
}

void heat_map_build(const struct plot *plot, const struct panel *panel, struct heat_map *map) {
    const struct series *series = &panel->series[0];
    *map = (struct heat_map){0};
    map->x_count = categories(plot, series, plot->x, map->x, &map->x_left_out);
    map->y_count = categories(plot, series, plot->y, map->y, &map->y_left_out);
    for (size_t i = 0; i < series->count; i++) {
        const struct point *point = &series->points[i];
        size_t x = find(map->x, map->x_count, section_key(plot->section, point->row, plot->x));
        size_t y = find(map->y, map->y_count, section_key(plot->section, point->row, plot->y));
        if (x < map->x_count && y < map->y_count) map->cell[y][x] = point;
    }
}

static bool better(const struct point *a, const struct point *b) {
    return a->row->better == LOWER ? a->value < b->value : a->value > b->value;
}

void heat_map_prune(struct plot *plot) {
    struct index index = {0};
    struct text key = {0};
    size_t kept = 0;
    for (size_t i = 0; i < plot->point_count; i++) {
        const struct point point = plot->points[i];
        text_clear(&key);
        text_add(&key, "%zu\x1f%s\x1f%s", point.panel, section_key(plot->section, point.row, plot->x),
                 section_key(plot->section, point.row, plot->y));
        int added;
        size_t place = index_add(&index, key.data, &added);
        if (added) plot->points[kept++] = point;
        else if (better(&point, &plot->points[place])) plot->points[place] = point;
    }
    plot->hidden_cases = plot->point_count - kept;
    plot->point_count = kept;
    index_release(&index);
    text_release(&key);
}

size_t heat_map_drop_columns(struct plot *plot, const struct row **panel_rows, size_t panel_count) {
    const char **only = array_zeroed(panel_count, sizeof *only);
    bool *is_grid = array_zeroed(panel_count, sizeof *is_grid), any = false;
    size_t *number = array_zeroed(panel_count, sizeof *number), kept = 0, points = 0;
    for (size_t i = 0; i < plot->point_count; i++) {
        const struct point *point = &plot->points[i];
        const char *value = section_key(plot->section, point->row, plot->x);
        if (only[point->panel] == NULL) only[point->panel] = value;
        else if (strcmp(only[point->panel], value) != 0) is_grid[point->panel] = any = true;
    }
    for (size_t i = 0; i < panel_count; i++)
        if (is_grid[i] || !any) panel_rows[number[i] = kept++] = panel_rows[i];
    for (size_t i = 0; i < plot->point_count; i++) {
        struct point point = plot->points[i];
        if (!is_grid[point.panel] && any) continue;
        point.panel = number[point.panel];
        plot->points[points++] = point;
    }
    plot->point_count = points;
    free(only), free(is_grid), free(number);
    return kept;
}

/* Three digits, so that it fits into a cell. */
static void cell_text(struct text *text, double value) {
    double size = fabs(value);
    if (size >= 1e5 || (size > 0 && size < 1e-3)) text_add(text, "%.0e", value);
    else text_add(text, size >= 99.95 ? "%.0f" : size >= 9.995 ? "%.1f" : "%.2f", value);
}

static double longest(const char *const *names, size_t count, const char *axis) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        struct text label = {0};
        number_axis(&label, axis, names[i]);
        if (label.length > most) most = label.length;
        text_release(&label);
    }
    return (double)most * LABEL_WIDTH;
}

static void ticks(struct text *script, const char *which, const char *axis, const char *const *names, size_t count,
                  size_t step) {
    text_add(script, "set %stics (", which);
    for (size_t i = 0; i < count; i += step) {
        struct text label = {0};
        number_axis(&label, axis, names[i]);
        gnuplot_quoted(script, label.data);
        text_add(script, " %zu%s", i, i + step < count ? ", " : "");
        text_release(&label);
    }
    text_string(script, ")\n");
}

static void axis_name(struct text *script, const char *which, const char *axis) {
    struct text words = {0};
    for (const char *c = axis; *c != 0; c++) text_bytes(&words, *c == '_' ? " " : c, 1);
    text_add(script, "set %slabel ", which);
    gnuplot_quoted(script, words.data != NULL ? words.data : "");
    text_string(script, "\n");
    text_release(&words);
}

static void data(struct text *script, const struct panel *panel, const struct heat_map *map, double factor) {
    text_string(script, "$c << EOD\n");
    for (size_t y = 0; y < map->y_count; y++)
        for (size_t x = 0; x < map->x_count; x++) {
            if (map->cell[y][x] == NULL) continue;
            double value = map->cell[y][x]->value;
            int color = heat_color(panel, value);
            text_add(script, "%zu %zu %u ", x, y, heat_rgb(color));
            cell_text(script, value * factor);
            text_add(script, " %d\n", color >= BLACK_TEXT_FROM ? 0x000000 : 0xfffffe);
        }
    text_string(script, "EOD\n");
}

void heat_map_script(const struct plot *plot, const struct panel *panel, struct text *script) {
    struct heat_map *map = array_zeroed(1, sizeof *map);
    double factor;
    heat_map_build(plot, panel, map);
    panel_unit(plot, panel, &factor);
    double x_words = longest(map->x, map->x_count, plot->x), y_words = longest(map->y, map->y_count, plot->y);
    double cell = (WIDTH - MARGIN_X - y_words) / (double)map->x_count;
    double row = map->y_count <= 10 ? 30 : map->y_count <= 20 ? 20 : map->y_count <= 40 ? 12 : 8;
    size_t x_step = map->x_count > TICKS_MAX ? (map->x_count + TICKS_MAX - 1) / TICKS_MAX : 1;
    bool turned = x_words > cell * (double)x_step;
    double height = row * (double)map->y_count + 60 + (turned ? 0.6 * x_words : 0);
    text_clear(script);
    text_add(script, "set terminal svg size %d,%.0f dynamic font 'sans-serif,13' noenhanced\n", WIDTH, height);
    text_string(script,
                "set encoding utf8\nunset key\nunset border\nset tics nomirror scale 0 textcolor rgb '#000001'\n");
    axis_name(script, "x", plot->x);
    axis_name(script, "y", plot->y);
    text_add(script, "set xlabel textcolor rgb '#%06x'\nset ylabel textcolor rgb '#%06x'\n", SVG_INK, SVG_INK);
    ticks(script, "x", plot->x, map->x, map->x_count, x_step);
    if (turned) text_string(script, "set xtics rotate by 35 right\n");
    ticks(script, "y", plot->y, map->y, map->y_count, row < TEXT_HEIGHT_MIN ? 4 : 1);
    text_add(script, "set xrange [-0.5:%g]\nset yrange [%g:-0.5]\n", (double)map->x_count - 0.5,
             (double)map->y_count - 0.5);
    data(script, panel, map, factor);
    text_string(script, "plot $c using 1:2:($1-0.49):($1+0.49):($2-0.48):($2+0.48):3 with boxxyerror fillstyle solid 1 "
                        "noborder linecolor rgb variable");
    if (cell >= TEXT_WIDTH_MIN && row >= TEXT_HEIGHT_MIN)
        text_add(script, ", $c using 1:2:4:5 with labels font ',%d' textcolor rgb variable", row >= 20 ? 11 : 9);
    text_string(script, "\n");
    free(map);
}

static void add_cell(const struct plot *plot, const struct point *point, double factor, struct text *text) {
    number_value(text, point->value * factor);
    text_add(text, " at %s ", plot->x);
    number_axis(text, plot->x, section_key(plot->section, point->row, plot->x));
    text_add(text, ", %s ", plot->y);
    number_axis(text, plot->y, section_key(plot->section, point->row, plot->y));
}

void heat_map_describe(const struct plot *plot, const struct panel *panel, struct text *title,
                       struct text *description) {
    struct heat_reading reading;
    double factor;
    const char *unit = panel_unit(plot, panel, &factor);
    heat_map_read(panel, &reading);
    text_add(title, "%s, %s by %s and %s%s%s%s%s", plot->section->metrics[plot->metric], unit, plot->x, plot->y,
             panel->device[0] ? "; " : "", panel->device, panel->label[0] ? "; " : "", panel->label);
    text_add(description, "%zu cells, median ", reading.count);
    number_value(description, reading.median * factor);
    text_string(description, ", best ");
    add_cell(plot, reading.best, factor, description);
    text_string(description, ", worst ");
    add_cell(plot, reading.worst, factor, description);
    text_string(description, ". The table below has every value.");
}

void heat_map_read(const struct panel *panel, struct heat_reading *reading) {
    const struct series *series = &panel->series[0];
    double *values = array_zeroed(series->count, sizeof *values);
    *reading = (struct heat_reading){.count = series->count, .best = series->points, .worst = series->points};
    for (size_t i = 0; i < series->count; i++) {
        values[i] = series->points[i].value;
        if (better(&series->points[i], reading->best)) reading->best = &series->points[i];
        if (better(reading->worst, &series->points[i])) reading->worst = &series->points[i];
    }
    reading->median = median_of(values, series->count);
    for (size_t i = 0; i < series->count; i++) values[i] = fabs(series->points[i].value - reading->median);
    double scatter = fmax(1.4826 * median_of(values, series->count), NEWS_MIN * fabs(reading->median));
    bool alike = series->count >= OUTLIER_CELLS_MIN && scatter <= SCATTER_MAX * fabs(reading->median);
    for (size_t i = 0; i < series->count && alike; i++) {
        double behind = series->points[i].value - reading->median;
        if (series->points[i].row->better == HIGHER) behind = -behind;
        reading->outliers += series->points[i].row->better != NEITHER && behind > HEAT_OUTLIER * scatter;
    }
    free(values);
}
