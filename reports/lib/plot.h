/* plot.h: which of a section's figures are drawn together, and how. */
#ifndef REPORTS_PLOT_H
#define REPORTS_PLOT_H

#include "peers.h"
#include "section.h"

enum scale { LINEAR, LOG2, LOG10, AUTO }; /* AUTO: LOG10 where a device's values span much */
enum headline_end { LAST, FIRST, NOWHERE };
enum plot_kind { PLOT_LINES, PLOT_HEAT_MAP, PLOT_ROOFLINE, PLOT_SCATTER };
enum { PANELS_MAX = 12, PANEL_KEYS_MAX = 6, SERIES_MAX = 8, SERIES_POINTS_MAX = 200 };

/* A line of plots.def. */
struct plot_spec {
    enum plot_kind kind;
    const char *program, *question, *x, *y, *metric, *panels; /* y: of a heat map and a scatter plot, else NULL */
    enum scale x_scale, y_scale;                              /* y_scale: of the colours of a heat map */
    enum headline_end headline;
};
extern const struct plot_spec plot_specs[];
extern const size_t plot_spec_count;
const char *plot_question(const char *program); /* NULL: not in plots.def */

struct point {
    size_t panel, series;       /* panel: over the whole plot; series: over the whole plot, before the choice */
    double x, value, low, high; /* low = high = value without an interval */
    double limit;               /* NAN: none */
    const char *label;          /* of its series */
    const struct case_line *line;
    const struct row *row; /* the metric's in line */
};
struct series {
    const char *label;
    const struct point *points; /* ascending x; of a heat map's only series: all of the panel */
    size_t count;
    int color; /* 0 .. SERIES_MAX - 1 */
};
struct panel {
    const char *device; /* "" where the plot has one */
    const char *label;  /* "" for a device's only one */
    struct series series[SERIES_MAX];
    size_t series_count, series_left_out;
    double x_low, x_high, y_low, y_high; /* y and its scale are common to the panels of a device */
    enum scale y_scale;                  /* LINEAR or LOG10 */
};
struct plot {
    enum plot_kind kind;
    const struct section *section;
    const char *question; /* NULL: the section's own */
    int metric;
    const char *x;   /* NULL: nothing varies as a number: bars. Of a roofline: what moves along a line; the points' x is
                      their operations per byte */
    const char *y;   /* of a heat map: the other key of its cells; of a scatter plot, whose x is like a roofline's: the
                      metric that the points' x is */
    int x_metric;    /* of a scatter plot, its number */
    bool x_replaced; /* the x that plots.def asks for does not vary */
    enum scale x_scale;
    enum headline_end headline;
    struct panel panels[PANELS_MAX];
    size_t panel_count, panels_left_out;
    struct point *points;
    size_t point_count;
    size_t hidden_cases; /* of a heat map: those that a better one hides */
    struct pool pool;
};

/* The plots of a section: one for each of its lines in plots.def whose metric was measured, else one by its values.
   Returns how many; 0 if nothing was measured. */
enum { PLOTS_MAX = 8 };
size_t plots_build(const struct section *section, struct plot plots[PLOTS_MAX]);
void plots_release(struct plot *plots, size_t count);
#endif
