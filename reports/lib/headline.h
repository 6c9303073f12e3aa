/* headline.h: the figures one would tell a colleague first. */
#ifndef REPORTS_HEADLINE_H
#define REPORTS_HEADLINE_H

#include "plot.h"

struct headline {
    const struct plot *plot;
    const struct point *point;
    size_t chapter; /* set by the caller */
    size_t rank;    /* 0: the best of its device; 1: the best of another number format there; ... */
};

/* For each device of each run: the best point at the plot's last x (or first, as its line in plots.def says), for each
   number format, best format first. Returns how many, at most `most`. Nothing for a metric without a direction. */
size_t headlines_find(const struct plot *plot, struct headline *headlines, size_t most);
/* Of all headlines the `most` worth showing: every suite has its say, then every program, before one has a second; kept
   in the order given. */
size_t headlines_choose(struct headline *headlines, size_t count, size_t most);
/* What its share of the limit says in words; without a limit, an accuracy is held against what trivial rules score. */
const char *headline_verdict(const struct headline *headline);
#endif
