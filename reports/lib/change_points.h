/* change_points.h: where a series of figures changed for good. */
#ifndef REPORTS_CHANGE_POINTS_H
#define REPORTS_CHANGE_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHANGE_POINTS_MAX = 32, CHANGE_VALUES_MAX = 600, CHANGE_SEGMENT_MIN = 3 };

struct change_point {
    size_t index;       /* of the first value after the change */
    double probability; /* of a change as large where there is none, by permutations */
};

/* E-divisive means (Matteson and James, J. Am. Stat. Assoc. 109, 2014): the series is split where the energy distance
   between the values on both sides of the split is largest, with the first power of the distances, in each part again,
   as long as fewer than `level` of the permutations within the parts show a distance as large. Segments of at least
   CHANGE_SEGMENT_MIN values; of more than CHANGE_VALUES_MAX values the last ones are looked at. Values in the order of
   time; the seed makes the permutations, so that the same series gives the same answer. Returns how many, in order. */
size_t change_points_find(const double *values, size_t count, double level, uint64_t seed,
                          struct change_point found[CHANGE_POINTS_MAX]);

/* (value - median) / (1.4826 median absolute deviation), the deviation taken as `floor` of the median at least. */
double robust_score(double value, const double *values, size_t count, double floor);
#endif
