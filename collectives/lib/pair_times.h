/* pair_times.h: a call timed between every two ranks of the launch, and how one pair compares with all. */
#ifndef COLLECTIVES_PAIR_TIMES_H
#define COLLECTIVES_PAIR_TIMES_H

#include "bench/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pair {
    int first, second;
};
struct pair_times {
    const double *seconds; /* samples of the pair asked for, of one call each; valid until the next pair_times() */
    size_t count;
    size_t pairs;    /* pairs timed */
    double slowness; /* robust z-score of the pair's median time among all pairs', positive where it is slower */
};

/* The pair between which a call is to move data now; the other ranks have nothing to do in it. */
struct pair pair_now(void);

/* For variant.measure, on every rank alike: the times of one pair. The first request for a variant, size and pattern
   times `call` between all pairs, in at most half the time limit of a case; later ones find them. `ordered`: (a, b)
   and (b, a) are two pairs; otherwise first < second. Leaves `wanted` as the pair of pair_now(). */
const struct pair_times *pair_times(struct run *run, int64_t bytes, int64_t pattern, bool ordered,
                                    void (*call)(struct run *run), struct pair wanted);
/* The score by itself: (value - median) / max(1.4826 median absolute deviation, 1 % of the median). */
double robust_score(double value, const double *values, size_t count);

#ifdef __cplusplus
}
#endif
#endif
