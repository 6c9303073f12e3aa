/* samples.h: the single timings behind a program's rows, from <program>.samples.csv. */
#ifndef REPORTS_SAMPLES_H
#define REPORTS_SAMPLES_H

#include "index.h"
#include "rows.h"

/* Start from {0}. */
struct samples {
    struct index index; /* of the series by their key */
    struct sample_series {
        double *time_us;
        size_t count, capacity;
    } * series;
    size_t series_capacity;
    size_t axis_count;
    const char *axis[TABLE_AXES_MAX];
    struct pool pool;
};

/* Reads a file; one that is not there is empty. Timings that are not positive and finite are passed over. false:
   problem. Release in either case. */
bool samples_read(const char *path, struct samples *samples, struct problem *problem);
void samples_release(struct samples *samples);
/* The timings of a row's case, metric and launch; *count 0 and NULL if there are none. */
const double *samples_of(const struct samples *samples, const struct row *row, size_t *count);
#endif
