/* heat_map.h: a panel as a grid of coloured cells. */
#ifndef REPORTS_HEAT_MAP_H
#define REPORTS_HEAT_MAP_H

#include "plot.h"

enum { HEAT_COLORS = 16, HEAT_SIDE_MAX = 64 };

struct heat_map {
    const char *x[HEAT_SIDE_MAX], *y[HEAT_SIDE_MAX]; /* numbers ascending, or words in order of appearance */
    size_t x_count, y_count, x_left_out, y_left_out;
    const struct point *cell[HEAT_SIDE_MAX][HEAT_SIDE_MAX]; /* [y][x]; NULL: not measured */
};
/* Keeps of the plot's points the best of each cell, of a metric without a direction the largest. */
void heat_map_prune(struct plot *plot);
/* Of panels that are too many: where some have several columns, those with one are left out. panel_rows: one row of each
   panel. Numbers the rest anew and returns how many they are. */
size_t heat_map_drop_columns(struct plot *plot, const struct row **panel_rows, size_t panel_count);
void heat_map_build(const struct plot *plot, const struct panel *panel, struct heat_map *map);
/* The colour's number for a value in the panel's range, 0 for the lowest; and its red, green and blue. */
int heat_color(const struct panel *panel, double value);
unsigned heat_rgb(int color);
/* The value at which a colour begins. */
double heat_value(const struct panel *panel, int color);

void heat_map_script(const struct plot *plot, const struct panel *panel, struct text *script);
void heat_map_describe(const struct plot *plot, const struct panel *panel, struct text *title,
                       struct text *description);

/* What a panel's cells say together. */
struct heat_reading {
    const struct point *best, *worst;
    double median;
    size_t count, outliers; /* outliers: worse than the median by more than HEAT_OUTLIER robust standard deviations */
};
extern const double HEAT_OUTLIER;
/* Outliers are asked for among six cells at least that are mostly alike (robust scatter up to 10 % of the median);
   deviations below 1 % of the median are none, as for the links of collectives/pairs. */
void heat_map_read(const struct panel *panel, struct heat_reading *reading);
#endif
