#include "plot_draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heat_map.h"
#include "markup.h"
#include "number.h"
#include "process.h"
#include "svg.h"

enum { WIDTH = 480, HEIGHT = 300, TICKS_MAX = 7, GNUPLOT_SECONDS = 30 };

void gnuplot_quoted(struct text *script, const char *string) {
    text_string(script, "'");
    for (const char *c = string; *c != 0; c++)
        if ((unsigned char)*c >= 0x20 && strchr("'`\"\\@$", *c) == NULL) text_bytes(script, c, 1);
    text_string(script, "'");
}

static void x_ticks(struct text *script, const struct plot *plot, const struct panel *panel) {
    if (plot->x_scale == LOG10) {
        text_string(script, "set logscale x 10\nset format x '%g'\n");
        return;
    }
    if (plot->x_scale != LOG2) {
        text_string(script, "set format x '%g'\n");
        return;
    }
    int low = (int)floor(log2(panel->x_low)), high = (int)ceil(log2(panel->x_high));
    int step = (high - low) / TICKS_MAX + 1;
    if (axis_is_bytes(plot->x) && step > 1) step = step <= 2 ? 2 : step <= 5 ? 5 : 10; /* 1 KiB, 1 MiB, 1 GiB */
    text_string(script, "set logscale x 2\nset xtics (");
    for (int power = (int)floor((double)low / step) * step; power <= high; power += step) {
        struct text label = {0};
        number_tick(&label, plot->x, exp2(power));
        gnuplot_quoted(script, label.data);
        text_add(script, " %.17g%s", exp2(power), power + step <= high ? ", " : "");
        text_release(&label);
    }
    text_string(script, ")\n");
}

const char *panel_unit(const struct plot *plot, const struct panel *panel, double *factor) {
    return number_unit(plot->section->metric_rows[plot->metric]->field[COLUMN_unit], panel->y_high, factor);
}

/* 1, 2, 5, 10 .. over a few decades, powers of ten over many. */
static void log_ticks(struct text *script, double low, double high) {
    static const double steps[] = {1, 2, 5};
    int first = (int)floor(log10(low)), last = (int)ceil(log10(high)), decades = last - first;
    size_t per_decade = decades <= 3 ? ARRAY_LENGTH(steps) : 1;
    int stride = decades / (TICKS_MAX + 1) + 1;
    const char *separator = "";
    text_add(script, "set logscale y 10\nset yrange [%.9g:%.9g]\nset ytics (", low, high);
    for (int power = first; power <= last; power += stride)
        for (size_t i = 0; i < per_decade; i++) {
            double tick = steps[i] * pow(10, power);
            text_add(script, "%s'%.6g' %.9g", separator, tick, tick);
            separator = ", ";
        }
    text_string(script, ")\n");
}

/* What a roofline shows beside its points: the ridges, where memory and arithmetic meet. */
static void roofline_range(const struct panel *panel, const struct overlay *overlay, double *low, double *high) {
    *low = panel->x_low / 1.5;
    *high = panel->x_high * 1.5;
    for (size_t i = 0; i < overlay->limit_count && overlay->memory > 0; i++) {
        *low = fmin(*low, overlay->limits[i].value / overlay->memory / 1.5);
        *high = fmax(*high, overlay->limits[i].value / overlay->memory * 1.5);
    }
}

static void ceiling(struct text *script, double from_x, double from_y, double to_x, double to_y) {
    if (from_x < to_x)
        text_add(script,
                 "set arrow from first %.9g,first %.9g to first %.9g,first %.9g nohead linetype 1 linewidth 1.5 "
                 "dashtype 2 linecolor rgb '#%06x'\n",
                 from_x, from_y, to_x, to_y, SVG_LIMIT);
}

/* One slope, up to the highest ceiling; each ceiling begins where it meets the slope. y_low: the plot's lower edge. */
static void roof(struct text *script, const struct panel *panel, const struct overlay *overlay, double y_low,
                 double factor) {
    double low, high, top = 0;
    roofline_range(panel, overlay, &low, &high);
    for (size_t i = 0; i < overlay->limit_count; i++) {
        double limit = overlay->limits[i].value, begins = overlay->memory > 0 ? limit / overlay->memory : low;
        ceiling(script, fmax(low, begins), limit * factor, high, limit * factor);
        top = fmax(top, limit);
    }
    if (!(overlay->memory > 0)) return;
    double ends = top > 0 ? fmin(top / overlay->memory, high) : high, begins = fmax(low, y_low / overlay->memory);
    ceiling(script, begins, begins * overlay->memory * factor, ends, ends * overlay->memory * factor);
}

static void ranges(struct text *script, const struct plot *plot, const struct panel *panel,
                   const struct overlay *overlay, double factor) {
    double low = panel->y_low, high = panel->y_high;
    for (size_t i = 0; i < overlay->limit_count; i++) {
        if (!overlay->limits[i].drawn) continue;
        high = fmax(high, overlay->limits[i].value);
        low = fmin(low, overlay->limits[i].value);
    }
    for (size_t i = 0; i < overlay->peer_count; i++) {
        high = fmax(high, overlay->peers[i].peer->value);
        if (overlay->peers[i].peer->value > 0) low = fmin(low, overlay->peers[i].peer->value);
    }
    if (plot->kind == PLOT_ROOFLINE) {
        double x_low, x_high;
        roofline_range(panel, overlay, &x_low, &x_high);
        if (overlay->limit_count == 0 && overlay->memory > 0) high = fmax(high, x_high * overlay->memory);
        text_add(script, "set xrange [%.9g:%.9g]\n", x_low, x_high);
        log_ticks(script, low * factor / 1.2, high * factor * 1.2);
        roof(script, panel, overlay, low / 1.2, factor);
        return;
    }
    low *= factor;
    high *= factor;
    double margin = plot->x_scale == LINEAR ? 0.04 * (panel->x_high - panel->x_low) + 1e-9 * fabs(panel->x_high) : 0;
    text_add(script, "set xrange [%.9g:%.9g]\n", plot->x_scale == LINEAR ? panel->x_low - margin : panel->x_low / 1.25,
             plot->x_scale == LINEAR ? panel->x_high + margin : panel->x_high * 1.25);
    if (panel->y_scale == LINEAR)
        text_add(script, "set yrange [%.9g:%.9g]\n", fmin(low * 1.05, 0), high > 0 ? high * 1.08 : 1.0);
    else log_ticks(script, low / 1.2, high * 1.2);
}

static const char *x_name(const struct plot *plot) {
    if (plot->kind == PLOT_ROOFLINE) return "operations per byte";
    if (plot->kind == PLOT_SCATTER) return plot->y;
    return strcmp(plot->x, "seq") == 0 ? "sequence length" : plot->x;
}

static void preamble(struct text *script, const struct plot *plot, const char *unit) {
    const struct section *section = plot->section;
    struct text label = {0};
    text_add(script, "set terminal svg size %d,%d dynamic font 'sans-serif,13' noenhanced\n", WIDTH, HEIGHT);
    text_string(script, "set encoding utf8\nunset key\nset tics nomirror out scale 0.5 textcolor rgb '#000001'\n");
    text_add(script, "set border 3 linecolor rgb '#%06x'\n", SVG_GRID);
    text_add(script, "set grid ytics linetype 1 linecolor rgb '#%06x' linewidth 0.5\n", SVG_GRID);
    for (const char *c = section->metrics[plot->metric]; *c != 0; c++) text_bytes(&label, *c == '_' ? " " : c, 1);
    if (strcmp(unit, "1") != 0) text_add(&label, ", %s", strcmp(unit, "us") == 0 ? "\xc2\xb5s" : unit);
    text_string(script, "set ylabel ");
    gnuplot_quoted(script, label.data);
    text_add(script, " textcolor rgb '#%06x'\nset xlabel ", SVG_INK);
    gnuplot_quoted(script, x_name(plot));
    text_add(script, " textcolor rgb '#%06x'\n", SVG_INK);
    text_release(&label);
}

static void fit_block(struct text *script, const struct plot *plot, const struct panel *panel, size_t s,
                      double factor) {
    const struct series *series = &panel->series[s];
    double *fitted = array_zeroed(series->count, sizeof *fitted);
    text_add(script, "$f%zu << EOD\n", s);
    bool found = overlay_fit(plot, series, fitted);
    for (size_t i = 0; i < series->count && found; i++)
        if (isfinite(fitted[i])) text_add(script, "%.9g %.9g\n", series->points[i].x, fitted[i] * factor);
    text_string(script, "EOD\n");
    free(fitted);
}

static void data_blocks(struct text *script, const struct plot *plot, const struct panel *panel,
                        const struct overlay *overlay, double factor) {
    for (size_t s = 0; s < panel->series_count; s++) {
        const struct series *series = &panel->series[s];
        size_t step = (series->count + SERIES_POINTS_MAX - 1) / SERIES_POINTS_MAX;
        text_add(script, "$s%zu << EOD\n", s);
        for (size_t i = 0; i < series->count; i += step) {
            const struct point *point = &series->points[i];
            text_add(script, "%.9g %.9g %.9g %.9g\n", point->x, point->value * factor, point->low * factor,
                     point->high * factor);
        }
        text_string(script, "EOD\n");
        if (overlay->fitted) fit_block(script, plot, panel, s, factor);
    }
    for (int color = 0; color < SERIES_MAX && overlay->peer_count > 0; color++) {
        text_add(script, "$p%d << EOD\n", color);
        for (size_t i = 0; i < overlay->peer_count; i++)
            if (overlay->peers[i].color == color)
                text_add(script, "%.9g %.9g\n", overlay->peers[i].x, overlay->peers[i].peer->value * factor);
        text_string(script, "EOD\n");
    }
}

static bool has_peer(const struct overlay *overlay, int color) {
    for (size_t i = 0; i < overlay->peer_count; i++)
        if (overlay->peers[i].color == color) return true;
    return false;
}

void panel_script(const struct plot *plot, const struct panel *panel, const struct overlay *overlay,
                  struct text *script) {
    static const int marks[SERIES_MAX] = {7, 5, 9, 13, 11, 6, 4, 8}; /* as the legend draws them */
    double factor;
    const char *unit = panel_unit(plot, panel, &factor);
    text_clear(script);
    preamble(script, plot, unit);
    x_ticks(script, plot, panel);
    text_string(script, "set format y '%g'\n");
    ranges(script, plot, panel, overlay, factor);
    data_blocks(script, plot, panel, overlay, factor);
    for (size_t i = 0; i < overlay->limit_count && plot->kind != PLOT_ROOFLINE; i++)
        if (overlay->limits[i].drawn)
            text_add(
                script,
                "set arrow from graph 0,first %.9g to graph 1,first %.9g nohead linetype 1 linewidth 1.5 dashtype 2 "
                "linecolor rgb '#%06x'\n",
                overlay->limits[i].value * factor, overlay->limits[i].value * factor, SVG_LIMIT);
    text_string(script, "plot ");
    for (size_t s = 0; s < panel->series_count; s++) {
        int color = panel->series[s].color;
        text_add(script, "%s$s%zu using 1:2:3:4 with yerrorbars pointtype 0 linewidth 1 linecolor rgb '#%06x'",
                 s ? ", " : "", s, SVG_SERIES + color);
        text_add(script, ", $s%zu using 1:2 with %s pointtype %d pointsize 0.8 linewidth 2 linecolor rgb '#%06x'", s,
                 overlay->fitted ? "points" : "linespoints", marks[color], SVG_SERIES + color);
        if (overlay->fitted) /* the fit is the line then */
            text_add(script, ", $f%zu using 1:2 with lines linewidth 1.5 linecolor rgb '#%06x'", s, SVG_SERIES + color);
    }
    for (int color = 0; color < SERIES_MAX; color++)
        if (has_peer(overlay, color))
            text_add(script,
                     ", $p%d using 1:2 with points pointtype 12 pointsize 1.3 linewidth 1.5 linecolor rgb '#%06x'",
                     color, SVG_SERIES + color);
    text_string(script, "\n");
}

bool gnuplot_draw(const char *script, struct text *drawing) {
    char *const argv[] = {"gnuplot", "-d", "-", NULL};
    return process_run(argv, script, GNUPLOT_SECONDS, drawing) && strstr(drawing->data, "</svg>") != NULL;
}

bool gnuplot_works(void) {
    struct text drawing = {0};
    bool works = gnuplot_draw("set terminal svg\nplot 0\n", &drawing);
    text_release(&drawing);
    return works;
}

static void x_value(const struct plot *plot, double x, struct text *text) {
    if (plot->kind != PLOT_LINES) number_value(text, x);
    else number_tick(text, plot->x, x);
}

static void describe(const struct plot *plot, const struct panel *panel, struct text *title, struct text *description) {
    const struct section *section = plot->section;
    double factor;
    const char *unit = panel_unit(plot, panel, &factor);
    const char *x = plot->kind == PLOT_LINES ? plot->x : x_name(plot);
    text_add(title, "%s, %s over %s%s%s%s%s", section->metrics[plot->metric], unit, x, panel->device[0] ? "; " : "",
             panel->device, panel->label[0] ? "; " : "", panel->label);
    for (size_t s = 0; s < panel->series_count; s++) {
        const struct series *series = &panel->series[s];
        const struct point *first = &series->points[0], *last = &series->points[series->count - 1];
        if (s > 0) text_string(description, "; ");
        text_add(description, "%s: from ", series->label[0] != 0 ? series->label : section->metrics[plot->metric]);
        number_value(description, first->value * factor);
        text_string(description, " at ");
        x_value(plot, first->x, description);
        text_string(description, " to ");
        number_value(description, last->value * factor);
        text_string(description, " at ");
        x_value(plot, last->x, description);
    }
    text_string(description, ". The table below has every value.");
}

bool panel_draw(const struct plot *plot, const struct panel *panel, const struct overlay *overlay, const char *prefix,
                struct text *out) {
    struct text script = {0}, drawing = {0}, title = {0}, description = {0};
    if (plot->kind == PLOT_HEAT_MAP) heat_map_script(plot, panel, &script);
    else panel_script(plot, panel, overlay, &script);
    bool drawn = gnuplot_draw(script.data, &drawing);
    if (drawn) {
        if (plot->kind == PLOT_HEAT_MAP) heat_map_describe(plot, panel, &title, &description);
        else describe(plot, panel, &title, &description);
        drawn = svg_inline(out, drawing.data, prefix, "plot", title.data, description.data, SVG_KEEP_COLORS);
    }
    text_release(&script);
    text_release(&drawing);
    text_release(&title);
    text_release(&description);
    return drawn;
}
