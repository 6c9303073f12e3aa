#include "change_points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/random.h"
#include "bootstrap.h"
#include "pool.h"

enum { PERMUTATIONS = 199 };

/* A part of the series between two changes, and its best split. */
struct part {
    size_t begin, end, split;
    double distance; /* at split; below zero: too short to be split */
};

/* The best split of values[begin .. end). Moving one value over the border changes the three sums of distances by what
   it has to the others, so that all splits together cost as much as all distances do. */
static struct part best_split(const double *values, size_t begin, size_t end) {
    struct part part = {.begin = begin, .end = end, .distance = -1};
    size_t count = end - begin;
    double left = 0, right = 0, across = 0;
    if (count < 2 * CHANGE_SEGMENT_MIN) return part;
    for (size_t i = begin; i < end; i++)
        for (size_t j = i + 1; j < end; j++) right += fabs(values[i] - values[j]);
    for (size_t split = begin + 1; split < end; split++) {
        double to_left = 0, to_right = 0, moved = values[split - 1];
        for (size_t i = begin; i < split - 1; i++) to_left += fabs(values[i] - moved);
        for (size_t i = split; i < end; i++) to_right += fabs(values[i] - moved);
        left += to_left;
        right -= to_right;
        across += to_right - to_left;
        double n = (double)(split - begin), m = (double)(end - split);
        if (split - begin < CHANGE_SEGMENT_MIN || end - split < CHANGE_SEGMENT_MIN) continue;
        double energy = 2 * across / (n * m) - left / (n * (n - 1) / 2) - right / (m * (m - 1) / 2);
        double distance = n * m / (n + m) * energy;
        if (distance > part.distance) part.distance = distance, part.split = split;
    }
    return part;
}

static size_t widest(const struct part *parts, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (parts[i].distance > parts[best].distance) best = i;
    return best;
}

static void shuffle(double *values, size_t count, uint64_t seed, uint64_t stream) {
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)(random_uniform(seed, stream, i) * (double)i);
        double value = values[i - 1];
        values[i - 1] = values[other];
        values[other] = value;
    }
}

/* The share of permutations within the parts that have a split as wide somewhere. */
static double probability(const double *values, size_t count, const struct part *parts, size_t part_count,
                          uint64_t seed) {
    double *shuffled = array_zeroed(count, sizeof *shuffled), distance = parts[widest(parts, part_count)].distance;
    int as_wide = 0;
    for (uint64_t permutation = 0; permutation < PERMUTATIONS; permutation++) {
        memcpy(shuffled, values, count * sizeof *shuffled);
        bool reached = false;
        for (size_t i = 0; i < part_count && !reached; i++) {
            shuffle(shuffled + parts[i].begin, parts[i].end - parts[i].begin, seed,
                    permutation * CHANGE_POINTS_MAX + i + part_count * 1000003);
            reached = best_split(shuffled, parts[i].begin, parts[i].end).distance >= distance;
        }
        as_wide += reached;
    }
    free(shuffled);
    return (as_wide + 1.0) / (PERMUTATIONS + 1.0);
}

static int compare_indices(const void *a, const void *b) {
    const struct change_point *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

size_t change_points_find(const double *values, size_t count, double level, uint64_t seed,
                          struct change_point found[CHANGE_POINTS_MAX]) {
    struct part parts[CHANGE_POINTS_MAX + 1];
    size_t skipped = count > CHANGE_VALUES_MAX ? count - CHANGE_VALUES_MAX : 0, found_count = 0;
    values += skipped;
    count -= skipped;
    parts[0] = best_split(values, 0, count);
    while (found_count < CHANGE_POINTS_MAX) {
        size_t part_count = found_count + 1, best = widest(parts, part_count);
        if (!(parts[best].distance > 0)) break;
        double by_chance = probability(values, count, parts, part_count, seed);
        if (by_chance > level) break;
        struct part split = parts[best];
        found[found_count++] = (struct change_point){split.split + skipped, by_chance};
        parts[best] = best_split(values, split.begin, split.split);
        parts[part_count] = best_split(values, split.split, split.end);
    }
    qsort(found, found_count, sizeof *found, compare_indices);
    return found_count;
}

double robust_score(double value, const double *values, size_t count, double floor) {
    double *work = array_zeroed(count, sizeof *work);
    memcpy(work, values, count * sizeof *work);
    double median = median_of(work, count);
    for (size_t i = 0; i < count; i++) work[i] = fabs(values[i] - median);
    double scatter = fmax(1.4826 * median_of(work, count), floor * fabs(median));
    free(work);
    return scatter > 0 ? (value - median) / scatter : 0;
}
