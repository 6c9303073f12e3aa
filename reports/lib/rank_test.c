#include "rank_test.h"

#include <math.h>
#include <stdlib.h>

#include "pool.h"

struct ranked {
    double value;
    int from_a;
    size_t doubled_rank; /* twice the mean rank of its ties, so that it is a whole number */
};

static int compare_ranked(const void *a, const void *b) {
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Fills in the ranks and returns the sum of t^3 - t over ties of t values. */
static double rank_all(struct ranked *values, size_t count) {
    double ties = 0;
    qsort(values, count, sizeof *values, compare_ranked);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && !(values[end].value > values[i].value);) end++;
        for (size_t k = i; k < end; k++) values[k].doubled_rank = i + 1 + end;
        double tied = (double)(end - i);
        ties += tied * tied * tied - tied;
    }
    return ties;
}

/* Share of the ways to choose `chosen` of the values whose doubled rank sum is at least as far from its mean. */
static double counted_tail(const struct ranked *values, size_t count, size_t chosen, size_t sum) {
    size_t largest = count * (count + 1), width = largest + 1;
    double *ways = array_zeroed((chosen + 1) * width, sizeof *ways), tail = 0, all = 0;
    ways[0] = 1;
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1 < chosen ? i + 1 : chosen; k > 0; k--)
            for (size_t s = values[i].doubled_rank; s < width; s++)
                ways[k * width + s] += ways[(k - 1) * width + s - values[i].doubled_rank];
    double mean = (double)(chosen * (count + 1)), distance = fabs((double)sum - mean);
    for (size_t s = 0; s < width; s++) {
        all += ways[chosen * width + s];
        if (fabs((double)s - mean) >= distance) tail += ways[chosen * width + s];
    }
    free(ways);
    return tail / all;
}

static double approximate_tail(size_t a_count, size_t b_count, size_t sum, double ties) {
    double a = (double)a_count, b = (double)b_count, all = a + b;
    double variance = a * b / 12 * (all + 1 - ties / (all * (all - 1)));
    double distance = fabs((double)sum / 2 - a * (all + 1) / 2) - 0.5; /* corrected for continuity */
    return variance > 0 && distance > 0 ? fmin(1, erfc(distance / sqrt(2 * variance))) : 1;
}

double rank_test(const double *a, size_t a_count, const double *b, size_t b_count) {
    size_t count = a_count + b_count, sum = 0;
    if (a_count == 0 || b_count == 0) return 1;
    struct ranked *values = array_zeroed(count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i].value = i < a_count ? a[i] : b[i - a_count];
        values[i].from_a = i < a_count;
    }
    double ties = rank_all(values, count);
    for (size_t i = 0; i < count; i++)
        if (values[i].from_a) sum += values[i].doubled_rank;
    double p = count <= RANKS_EXACT_MAX ? counted_tail(values, count, a_count, sum)
                                        : approximate_tail(a_count, b_count, sum, ties);
    free(values);
    return p;
}

double rank_test_least(size_t a_count, size_t b_count) {
    double least = 2;
    for (size_t i = 1; i <= a_count; i++) least *= (double)i / (double)(b_count + i);
    return fmin(1, least);
}

struct entry {
    double p;
    size_t at;
};

static int compare_entries(const void *a, const void *b) {
    double x = ((const struct entry *)a)->p, y = ((const struct entry *)b)->p;
    return (x > y) - (x < y);
}

size_t holm_adjust(double *p, size_t count) {
    struct entry *entries = array_zeroed(count, sizeof *entries);
    size_t family = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(p[i])) entries[family++] = (struct entry){p[i], i};
    qsort(entries, family, sizeof *entries, compare_entries);
    double adjusted = 0;
    for (size_t i = 0; i < family; i++) {
        adjusted = fmax(adjusted, fmin(1, (double)(family - i) * entries[i].p));
        p[entries[i].at] = adjusted;
    }
    free(entries);
    return family;
}
