/* bootstrap.h: how far a ratio of medians may be off. */
#ifndef REPORTS_BOOTSTRAP_H
#define REPORTS_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

enum { BOOTSTRAP_ROUNDS = 200, LAUNCH_SAMPLES_MAX = 200 };

/* The timings of a case's launches on one side. */
struct launches {
    const double *const *samples; /* by launch */
    const size_t *sample_counts;
    size_t count;
};

/* Standard error of ln(median over new launches of their medians / the same of old), by BOOTSTRAP_ROUNDS resamplings
   of launches (where a side has several) and of samples within them; of a launch at most LAUNCH_SAMPLES_MAX samples,
   evenly taken. The same input gives the same result. NAN if a side has no samples. */
double bootstrap_error(const struct launches *old, const struct launches *new_run, uint64_t seed);
double median_of(double *values, size_t count); /* reorders values; NAN for none */
#endif
