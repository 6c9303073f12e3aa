/* match.h: the rows of two results, side by side by everything that names a case. */
#ifndef REPORTS_MATCH_H
#define REPORTS_MATCH_H

#include "index.h"
#include "result.h"

enum side { BASELINE, NEW_RUN, SIDES };

/* The launches of one case and metric. */
struct pair {
    const struct row **rows[SIDES];
    size_t count[SIDES], capacity[SIDES];
};
/* The axes of one table that name its cases. */
struct key_axes {
    const char *axis[TABLE_AXES_MAX];
    size_t count;
};
struct match {
    const struct result *results; /* SIDES of them, rows.result 0 and 1 */
    struct key_axes *axes[SIDES]; /* by table */
    struct pair *pairs;           /* in order of the baseline, then of the new run */
    size_t count, capacity;
    struct index index;
    struct text notes; /* lines about axes that only one side has */
};

/* Matches by suite, program, variant, backend, dtype, ranks, mode, axes and metric. An axis that only one side's file
   of a program has, with one value there, names no case and is noted. false: problem, naming file and line: one launch
   of a case stands twice. results must outlive match; release in either case. */
bool match_build(const struct result results[SIDES], struct match *match, struct problem *problem);
void match_release(struct match *match);
/* The pair of the same case with another metric ("" is a case that was not measured); NULL: none. */
const struct pair *match_sibling(const struct match *match, const struct pair *pair, const char *metric);
void match_key(const struct match *match, const struct pair *pair, struct text *key); /* what the pair is found by */
const struct row *pair_row(const struct pair *pair); /* any, the baseline's first */
#endif
