#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile_sorted(const double *sorted, size_t count, double share) {
    double position = share * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct timing statistics(const double *samples, size_t count) {
    struct timing timing = {.count = count};
    if (count == 0) return timing;
    double *sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL) abort();
    memcpy(sorted, samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    timing.median = quantile_sorted(sorted, count, 0.5);
    timing.minimum = sorted[0];
    timing.p95 = quantile_sorted(sorted, count, 0.95);
    timing.ci_low = sorted[0];
    timing.ci_high = sorted[count - 1];
    if (count >= 6) {
        double half = 1.96 * sqrt((double)count) / 2;
        double low = floor((double)count / 2 - half), high = ceil((double)count / 2 + half);
        timing.ci_low = sorted[low < 1 ? 0 : (size_t)low - 1];
        timing.ci_high = sorted[high >= (double)count ? count - 1 : (size_t)high];
    }
    for (size_t i = 0; i < count; i++) sorted[i] = fabs(samples[i] - timing.median);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    timing.noise = timing.median > 0 ? 1.4826 * quantile_sorted(sorted, count, 0.5) / timing.median : 0;
    free(sorted);
    return timing;
}
