/* statistics.h: order statistics of timings. Seconds in, seconds out. */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct timing {
    size_t count;
    double median, minimum, p95, ci_low, ci_high;
    double noise; /* 1.4826 * median absolute deviation / median */
};

/* samples is left as it is. count 0 gives all zeros. The interval is the distribution-free 95 % one: the order
   statistics at n/2 -+ 1.96 sqrt(n)/2 (Le Boudec, Performance Evaluation, 2.2); below 6 samples minimum and maximum. */
struct timing statistics(const double *samples, size_t count);
double quantile_sorted(const double *sorted, size_t count, double share); /* linear between order statistics */

#ifdef __cplusplus
}
#endif
#endif
