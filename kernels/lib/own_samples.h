/* own_samples.h: when a measure variant that takes its samples itself has enough of them. */
#ifndef KERNELS_OWN_SAMPLES_H
#define KERNELS_OWN_SAMPLES_H

#include "bench/bench.h"
#include "bench/statistics.h"

enum { OWN_SAMPLES_MOST = 2048 };

/* At least 5, and either as many as there is room for, or the budget spent since `start` (bench_seconds), or 21 whose
   median is known within 0.5 %. */
static inline bool own_samples_enough(const struct run *run, const double *seconds, size_t count, double start) {
    if (count < 5) return false;
    if (count == OWN_SAMPLES_MOST || bench_seconds() - start > run->budget) return true;
    struct timing timing = statistics(seconds, count);
    return count >= 21 && timing.ci_high - timing.ci_low <= 0.005 * timing.median;
}

#endif
