/* comparison.h: two sides of result folders, read, matched and judged: what compare and its tests do. */
#ifndef REPORTS_COMPARISON_H
#define REPORTS_COMPARISON_H

#include "verdict.h"

/* Start from {0}, fill results by comparison_add, then comparison_judge. */
struct comparison {
    struct result results[SIDES];
    struct samples *samples[SIDES]; /* by table */
    struct match match;
    struct judge judge;
    double level;     /* these four: see struct judge; few launches decide where a floor is given too */
    const struct index *only;
    size_t others;
    bool few_decide;
    bool lent[SIDES]; /* results and samples belong to another comparison */
};

/* Before judging: adds a folder to a side, as launches of their own. All folders of a side are of one hardware, or it
   is a problem, unless any_hardware. false: problem. */
bool comparison_add(struct comparison *comparison, int side, const char *folder, bool any_hardware,
                    struct problem *problem);
/* Reads the samples, matches, judges; floor as in struct judge. false: problem. Release in any case. */
bool comparison_judge(struct comparison *comparison, double floor, struct problem *problem);
void comparison_release(struct comparison *comparison);
/* The judgement of the same case and metric in another comparison; NULL: it has none. */
const struct judgement *comparison_find(const struct comparison *comparison, const struct match *of,
                                        const struct judgement *judgement);
/* Splits the launches of one side's folders into two sides, to see whether they agree: the first half in time against
   the second, or every other launch. halves starts from {0} and borrows nothing. false: problem, also if fewer than
   two launches are there. */
enum split { SPLIT_IN_TIME, SPLIT_ALTERNATING, SPLITS };
bool comparison_halves(struct comparison *halves, const char *const *folders, size_t count, enum split split,
                       struct problem *problem);
/* More cases of the halves than a few in a hundred differ, or one measured in one half alone. */
bool halves_disagree(const struct comparison *halves);
#endif
