/* overlay.h: what a panel shows besides its series: limits, published figures, fitted curves, a roofline's roof. */
#ifndef REPORTS_OVERLAY_H
#define REPORTS_OVERLAY_H

#include "plot.h"

enum { LIMITS_MAX = 3, CEILINGS_MAX = 6, PEER_POINTS_MAX = 40 };

struct overlay {
    struct overlay_limit {
        double value;
        const char *source, *dtype; /* dtype: of the first line that has it */
        bool drawn;                 /* false: too far above the plot */
    } limits[CEILINGS_MAX];         /* of a roofline: its flat ceilings */
    size_t limit_count;
    bool many_limits; /* more than LIMITS_MAX (of a roofline CEILINGS_MAX): none is shown */
    struct overlay_peer {
        double x;
        int color; /* of the series it stands beside */
        const struct peer *peer;
    } peers[PEER_POINTS_MAX];
    size_t peer_count;
    double memory; /* bytes a second under a roofline's slope, in units of 1e12 as the rates; NAN: not known */
    const char *memory_source;
    bool fitted; /* a fit was found for one of the series at least */
};
void overlay_find(const struct plot *plot, const struct panel *panel, const struct peers *peers,
                  struct overlay *overlay);

/* What the fit of a series over bytes says at its points (fit_pieces.h), into fitted[0 .. count - 1]; NAN where no
   piece begins at or before it. It is shown as the plot's own metric by the ratio of the fitted to the measured time.
   false: none. */
bool overlay_fit(const struct plot *plot, const struct series *series, double *fitted);
#endif
