/* plot_draw.h: a panel as SVG by gnuplot. */
#ifndef REPORTS_PLOT_DRAW_H
#define REPORTS_PLOT_DRAW_H

#include "plot.h"

enum { LIMITS_MAX = 3, PEER_POINTS_MAX = 40 };

/* What a panel shows besides its series. */
struct overlay {
    struct overlay_limit {
        double value;
        const char *source, *dtype; /* dtype: of the first line that has it */
        bool drawn;                 /* false: too far above the plot */
    } limits[LIMITS_MAX];
    size_t limit_count;
    bool many_limits; /* more than LIMITS_MAX: none is shown */
    struct overlay_peer {
        double x;
        int color; /* of the series it stands beside */
        const struct peer *peer;
    } peers[PEER_POINTS_MAX];
    size_t peer_count;
};
void overlay_find(const struct plot *plot, const struct panel *panel, const struct peers *peers,
                  struct overlay *overlay);
/* The limits of a panel's points are lines, or, where they change along x, curves in the series' own table. */
void panel_script(const struct plot *plot, const struct panel *panel, const struct overlay *overlay,
                  struct text *script);
/* Is there a gnuplot that draws SVG? */
bool gnuplot_works(void);
/* Adds the panel as <svg>; prefix makes its identifiers unique. false: gnuplot failed, nothing added. */
bool panel_draw(const struct plot *plot, const struct panel *panel, const struct overlay *overlay, const char *prefix,
                struct text *out);
#endif
