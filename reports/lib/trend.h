/* trend.h: what histories say: changes for good, and nodes that stand out. */
#ifndef REPORTS_TREND_H
#define REPORTS_TREND_H

#include "change_points.h"
#include "store.h"

enum { TREND_SEED = 20261122 };
extern const double OUTLIER_SCORE; /* Iglewicz and Hoaglin's 3.5 */

struct trend {
    const struct history *history;
    struct segment {
        size_t begin, end; /* of the history's observations */
        double median;
        double change;      /* against the segment before, relative, positive: better or, without a direction, more */
        double probability; /* of such a change by chance; 0 for the first */
    } segments[CHANGE_POINTS_MAX + 1];
    size_t segment_count;
};
/* Change points of the history, those by less than `least` (relative) put together again. */
void trend_find(const struct history *history, double level, double least, struct trend *trend);
/* "run 7, 2026-11-20, driver 570 -> 580, commit 1a2b3c -> 4d5e6f": where a segment begins, and what changed there. */
void trend_cause(const struct histories *histories, const struct trend *trend, size_t segment, struct text *text);

/* A host's newest figure of a case against the same of the other hosts with the same hardware. */
struct outlier {
    const struct history *history;
    size_t run;
    double value, median, score; /* score: positive is worse; without a direction, away from the median */
    size_t host_count;
};
enum { OUTLIER_HOSTS_MIN = 4 };
/* All figures of hosts, worst score first; free the array. Cases of fewer hosts than OUTLIER_HOSTS_MIN are passed
   over. */
struct outlier *outliers_find(const struct histories *histories, size_t *count);

/* The histories as a page: what changed, then a plot for each, changed ones first. draw: by gnuplot, if it is there. */
void trend_page(const struct histories *histories, const struct trend *trends, size_t count, bool draw,
                struct text *out);
#endif
