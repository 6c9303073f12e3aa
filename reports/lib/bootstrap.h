/* bootstrap.h: how far a ratio of medians may be off. */
#ifndef REPORTS_BOOTSTRAP_H
#define REPORTS_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOOTSTRAP_ROUNDS = 400, LAUNCH_SAMPLES_MAX = 200 };

/* The timings of a case's launches on one side. */
struct launches {
    const double *const *samples; /* by launch */
    const size_t *sample_counts;
    size_t count;
};
/* Of ln(median over new launches of their medians / the same of old). */
struct ratio {
    double error;     /* standard error */
    double low, high; /* its 95 % interval: percentiles */
};

/* By BOOTSTRAP_ROUNDS resamplings of launches (where a side has several) and of samples within them; of a launch at
   most LAUNCH_SAMPLES_MAX samples, evenly taken. The same input gives the same result. false: a side has no samples. */
bool bootstrap_ratio(const struct launches *old, const struct launches *new_run, uint64_t seed, struct ratio *ratio);
double median_of(double *values, size_t count); /* reorders values; NAN for none */
#endif
