#include "spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "rank_test.h"

const char *const measure_names[MEASURES] = {"time", "cycles", "fastest"};

/* Of a row: NAN where it does not tell. */
static double time_by(const struct row *row, enum measure measure) {
    const struct metric_facts *facts = metric_facts(row->field[COLUMN_metric]);
    double time = row->better == LOWER ? log(row->value) : -log(row->value);
    if (measure == MEASURE_TIME) return time;
    if (facts == NULL || facts->form == PLAIN) return NAN;
    double clock = row_number(row, COLUMN_clock_mhz), fastest = row_number(row, COLUMN_time_min_us),
           median = row_number(row, COLUMN_time_us);
    if (measure == MEASURE_CYCLES) return time + log(clock);
    return time + log(fastest / median) + (clock > 0 ? log(clock) : 0);
}

size_t launches_on(const struct pair *pair, int side) {
    size_t count = 0;
    for (size_t i = 0; i < pair->count[side]; i++) count += row_measured(pair->rows[side][i]);
    return count;
}

size_t launches_of(const struct pair *pair) {
    size_t old = launches_on(pair, BASELINE), now = launches_on(pair, NEW_RUN);
    return old < now ? old : now;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Adds |time - median|; of an odd number of launches the median is one of them and says nothing. */
static size_t add_deviations(const double *times, size_t count, double median, double *deviations) {
    for (size_t i = 0; i < count; i++) deviations[i] = fabs(times[i] - median);
    if (count % 2 == 0) return count;
    qsort(deviations, count, sizeof *deviations, compare_doubles);
    memmove(deviations, deviations + 1, (count - 1) * sizeof *deviations);
    return count - 1;
}

/* What makes the median deviation of normal values their standard deviation: 1.4826 for many; for few, whose median
   follows them, by simulation 2.03 with 4 launches a side, 1.86 with 6, 1.66 with 10 (the formula gives 2.04, 1.82,
   1.67), and near 1.40 with 3, 5 or 7, of which one is left out. */
static double deviation_factor(size_t launches) {
    return launches % 2 != 0 && launches < 20 ? 1.40 : 1.4826 * (double)launches / ((double)launches - 1.1);
}

double shift_error(const struct shift *shift, double spread) {
    static const double of_a_median = 1.2; /* times spread / sqrt(launches): 1.18 with 5 launches, 1.25 with many */
    double inverse = 0;
    for (int side = 0; side < SIDES; side++) inverse += 1 / (double)shift->launches[side];
    return of_a_median * spread * sqrt(inverse);
}

/* The rows of a pair that count. */
struct counted {
    const struct row *rows[SIDES][LAUNCHES_MAX];
    size_t count[SIDES];
};

/* How far the median call of a launch lies above its fastest, ln. NAN: the row does not tell. */
static double own_spread(const struct row *row) {
    return log(row_number(row, COLUMN_time_us) / row_number(row, COLUMN_time_min_us));
}

static double disturbed_from(const struct counted *all) {
    double spreads[2 * LAUNCHES_MAX];
    size_t count = 0;
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < all->count[side]; i++) {
            spreads[count] = own_spread(all->rows[side][i]);
            if (!isfinite(spreads[count++])) return INFINITY;
        }
    return count > 0 ? fmax(DISTURBED * median_of(spreads, count), DISTURBED_LEAST) : INFINITY;
}

/* False: most of a side would go. */
static bool leave_out_disturbed(struct counted *all) {
    double from = disturbed_from(all);
    size_t left[SIDES] = {0};
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < all->count[side]; i++) left[side] += !(own_spread(all->rows[side][i]) > from);
        if (2 * left[side] <= all->count[side] || left[side] < LAUNCHES_SOME) return false;
    }
    for (int side = 0; side < SIDES; side++) {
        size_t kept = 0;
        for (size_t i = 0; i < all->count[side]; i++)
            if (!(own_spread(all->rows[side][i]) > from)) all->rows[side][kept++] = all->rows[side][i];
        all->count[side] = kept;
    }
    return true;
}

static void collect_rows(const struct pair *pair, struct counted *counted) {
    for (int side = 0; side < SIDES; side++) {
        counted->count[side] = 0;
        for (size_t i = 0; i < pair->count[side] && counted->count[side] < LAUNCHES_MAX; i++)
            if (row_measured(pair->rows[side][i])) counted->rows[side][counted->count[side]++] = pair->rows[side][i];
    }
}

struct shift shift_of(const struct pair *pair, enum measure measure) {
    struct shift shift = {.worse = NAN, .spread = NAN, .error = NAN, .p = NAN};
    struct counted counted;
    double times[SIDES][LAUNCHES_MAX], sorted[LAUNCHES_MAX], deviations[2 * LAUNCHES_MAX], median[SIDES];
    size_t deviation_count = 0;
    collect_rows(pair, &counted);
    shift.lopsided = !leave_out_disturbed(&counted);
    for (int side = 0; side < SIDES; side++) {
        size_t count = shift.launches[side] = counted.count[side];
        if (count < LAUNCHES_SOME) return shift;
        for (size_t i = 0; i < count; i++) {
            sorted[i] = times[side][i] = time_by(counted.rows[side][i], measure);
            if (!isfinite(times[side][i])) return shift;
        }
        median[side] = median_of(sorted, count);
        deviation_count += add_deviations(times[side], count, median[side], deviations + deviation_count);
    }
    size_t old = counted.count[BASELINE], now = counted.count[NEW_RUN];
    shift.known = true;
    shift.worse = median[NEW_RUN] - median[BASELINE];
    shift.spread = deviation_factor(old < now ? old : now) * median_of(deviations, deviation_count);
    shift.error = shift_error(&shift, shift.spread);
    shift.least = rank_test_least(old, now);
    shift.p = rank_test(times[BASELINE], old, times[NEW_RUN], now);
    return shift;
}
