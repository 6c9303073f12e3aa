#include "bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "bench/random.h"
#include "bench/statistics.h"
#include "pool.h"

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, size_t count) {
    if (count == 0) return NAN;
    qsort(values, count, sizeof *values, compare_doubles);
    return quantile_sorted(values, count, 0.5);
}

/* Draws from one sequence of random bits. */
struct draw {
    uint64_t seed, stream, index;
};

static size_t draw_below(struct draw *draw, size_t count) {
    size_t drawn = (size_t)(random_uniform(draw->seed, draw->stream, draw->index++) * (double)count);
    return drawn < count ? drawn : count - 1;
}

/* A launch's samples in order, so that a resampling is counts and its median a walk. */
struct sorted {
    double values[LAUNCH_SAMPLES_MAX];
    size_t count;
};

static void sort_launch(const double *samples, size_t count, struct sorted *sorted) {
    size_t step = (count + LAUNCH_SAMPLES_MAX - 1) / LAUNCH_SAMPLES_MAX;
    sorted->count = 0;
    for (size_t i = 0; i < count; i += step) sorted->values[sorted->count++] = samples[i];
    qsort(sorted->values, sorted->count, sizeof *sorted->values, compare_doubles);
}

static double resampled_launch(const struct sorted *sorted, struct draw *draw) {
    unsigned short times[LAUNCH_SAMPLES_MAX] = {0};
    size_t below = 0, lower = (sorted->count - 1) / 2, upper = sorted->count / 2, i = 0;
    for (size_t drawn = 0; drawn < sorted->count; drawn++) times[draw_below(draw, sorted->count)]++;
    while (below + times[i] <= lower) below += times[i++];
    double median = sorted->values[i];
    while (below + times[i] <= upper) below += times[i++];
    return (median + sorted->values[i]) / 2;
}

/* The launches of a side that have samples; *count says how many. */
static struct sorted *sort_side(const struct launches *side, size_t *count) {
    struct sorted *sorted = array_zeroed(side->count, sizeof *sorted);
    *count = 0;
    for (size_t i = 0; i < side->count; i++)
        if (side->sample_counts[i] > 0) sort_launch(side->samples[i], side->sample_counts[i], &sorted[(*count)++]);
    return sorted;
}

static double resampled_side(const struct sorted *launches, size_t count, double *medians, struct draw *draw) {
    for (size_t i = 0; i < count; i++)
        medians[i] = resampled_launch(&launches[count > 1 ? draw_below(draw, count) : 0], draw);
    return median_of(medians, count);
}

static void summarize(double *differences, struct ratio *ratio) {
    double sum = 0, squares = 0;
    for (int i = 0; i < BOOTSTRAP_ROUNDS; i++) {
        sum += differences[i];
        squares += differences[i] * differences[i];
    }
    double variance = (squares - sum * sum / BOOTSTRAP_ROUNDS) / (BOOTSTRAP_ROUNDS - 1);
    ratio->error = variance > 0 ? sqrt(variance) : 0;
    qsort(differences, BOOTSTRAP_ROUNDS, sizeof *differences, compare_doubles);
    ratio->low = quantile_sorted(differences, BOOTSTRAP_ROUNDS, 0.025);
    ratio->high = quantile_sorted(differences, BOOTSTRAP_ROUNDS, 0.975);
}

bool bootstrap_ratio(const struct launches *old, const struct launches *new_run, uint64_t seed, struct ratio *ratio) {
    size_t old_count, new_count;
    struct sorted *before = sort_side(old, &old_count), *after = sort_side(new_run, &new_count);
    double *medians = array_zeroed(old_count + new_count, sizeof *medians), differences[BOOTSTRAP_ROUNDS];
    bool known = old_count > 0 && new_count > 0;
    for (int round = 0; round < BOOTSTRAP_ROUNDS && known; round++) {
        struct draw draw = {seed, (uint64_t)round, 0};
        differences[round] = log(resampled_side(after, new_count, medians, &draw));
        differences[round] -= log(resampled_side(before, old_count, medians, &draw));
    }
    if (known) summarize(differences, ratio);
    free(before);
    free(after);
    free(medians);
    return known;
}
