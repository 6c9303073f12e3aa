/* plot_draw.h: a panel as SVG by gnuplot. */
#ifndef REPORTS_PLOT_DRAW_H
#define REPORTS_PLOT_DRAW_H

#include "overlay.h"

/* The limits of a panel's points are lines, or, where they change along x, curves in the series' own table. */
void panel_script(const struct plot *plot, const struct panel *panel, const struct overlay *overlay,
                  struct text *script);
/* Is there a gnuplot that draws SVG? */
bool gnuplot_works(void);
/* Adds the panel as <svg>; prefix makes its identifiers unique. false: gnuplot failed, nothing added. */
bool panel_draw(const struct plot *plot, const struct panel *panel, const struct overlay *overlay, const char *prefix,
                struct text *out);

/* What the kinds of plots share. */
void gnuplot_quoted(struct text *script, const char *string); /* without anything that gnuplot could interpret */
bool gnuplot_draw(const char *script, struct text *drawing);  /* false: no drawing */
/* The panel's unit; *factor from the rows' unit to it. */
const char *panel_unit(const struct plot *plot, const struct panel *panel, double *factor);
#endif
