#include "piecewise.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bench/statistics.h"

static const double off = 0.1, noise_floor = 0.02;

struct points {
    const double *sizes, *seconds;
    double *weights, noise; /* noise: of a point of weight 1 */
    size_t count;
};

/* Weighted sums over points of powers of x = size / time and y = 1 / time: relative errors are 1 - a y - b x. */
struct sums {
    double n, x, y, xx, xy, yy;
};

static double error_of(const struct sums *s, double a, double b) {
    double error = s->n - 2 * a * s->y - 2 * b * s->x + a * a * s->yy + 2 * a * b * s->xy + b * b * s->xx;
    return error > 0 ? error : 0;
}

/* The least squares with a, b >= 0: the free solution, or the better one with either at zero. */
static double solve(const struct sums *s, double *a, double *b) {
    double determinant = s->xx * s->yy - s->xy * s->xy;
    if (determinant > 1e-12 * s->xx * s->yy) {
        *a = (s->y * s->xx - s->x * s->xy) / determinant;
        *b = (s->x * s->yy - s->y * s->xy) / determinant;
        if (*a >= 0 && *b >= 0) return error_of(s, *a, *b);
    }
    double only_a = s->y / s->yy, only_b = s->x / s->xx;
    double with_a = error_of(s, only_a, 0), with_b = error_of(s, 0, only_b);
    *a = with_a <= with_b ? only_a : 0;
    *b = with_a <= with_b ? 0 : only_b;
    return with_a <= with_b ? with_a : with_b;
}

static struct sums sums_of(const struct points *points, size_t begin, size_t end) {
    struct sums s = {0};
    for (size_t i = begin; i < end; i++) {
        double x = points->sizes[i] / points->seconds[i], y = 1 / points->seconds[i], w = points->weights[i];
        s.n += w, s.x += w * x, s.y += w * y, s.xx += w * x * x, s.xy += w * x * y, s.yy += w * y * y;
    }
    return s;
}

/* cost[k][end]: the least error of points 0 .. end-1 in k+1 pieces; cut[k][end]: where the last of them begins. */
struct table {
    double *cost;
    size_t *cut, width;
};

static void fill_table(const struct points *points, size_t most, struct table *table) {
    size_t count = points->count;
    double a, b;
    table->width = count + 1;
    table->cost = malloc(most * table->width * sizeof *table->cost);
    table->cut = calloc(most * table->width, sizeof *table->cut);
    if (table->cost == NULL || table->cut == NULL) abort();
    for (size_t i = 0; i < most * table->width; i++) table->cost[i] = INFINITY;
    for (size_t end = PIECE_POINTS_MIN; end <= count; end++)
        for (size_t begin = 0; begin + PIECE_POINTS_MIN <= end; begin++) {
            struct sums s = sums_of(points, begin, end);
            double error = solve(&s, &a, &b);
            if (begin == 0) table->cost[end] = error;
            for (size_t k = 1; k < most && begin > 0; k++) {
                double whole = table->cost[(k - 1) * table->width + begin] + error;
                if (whole >= table->cost[k * table->width + end]) continue;
                table->cost[k * table->width + end] = whole;
                table->cut[k * table->width + end] = begin;
            }
        }
}

static void read_pieces(const struct points *points, const struct table *table, size_t pieces, struct fit *fit) {
    fit->count = pieces;
    for (size_t k = pieces, end = points->count; k-- > 0;) {
        size_t begin = table->cut[k * table->width + end];
        struct sums s = sums_of(points, begin, end);
        struct piece *piece = &fit->pieces[k];
        *piece = (struct piece){.from = points->sizes[begin], .to = points->sizes[end - 1], .points = end - begin};
        solve(&s, &piece->latency, &piece->per_byte);
        end = begin;
    }
}

double piecewise_predict(const struct fit *fit, double size) {
    size_t k = 0;
    while (k + 1 < fit->count && size > fit->pieces[k].to) k++;
    return fit->pieces[k].latency + fit->pieces[k].per_byte * size;
}

/* Every point counts alike here, the noisy ones too. */
static void judge(const struct points *points, struct fit *fit) {
    double mean = 0, residual = 0, total = 0, count = (double)points->count;
    size_t near = 0;
    for (size_t i = 0; i < points->count; i++) mean += log(points->seconds[i]) / count;
    for (size_t i = 0; i < points->count; i++) {
        double predicted = piecewise_predict(fit, points->sizes[i]), measured = points->seconds[i];
        residual += log(predicted / measured) * log(predicted / measured);
        total += (log(measured) - mean) * (log(measured) - mean);
        near += fabs(predicted / measured - 1) <= off;
    }
    fit->r_squared = total > 0 ? 1 - residual / total : 1;
    fit->within = (double)near / count;
}

/* S / (a + S b) reaches half of 1 / b_last at S = a / (2 b_last - b), if b is less than twice b_last. */
static double half_power_size(const struct fit *fit) {
    double last = fit->pieces[fit->count - 1].per_byte;
    for (size_t k = 0; k < fit->count && last > 0; k++) {
        const struct piece *piece = &fit->pieces[k];
        double gap = 2 * last - piece->per_byte, size = piece->latency / gap;
        double begin = k == 0 ? 0 : fit->pieces[k - 1].to;
        if (gap <= 0) continue;
        if (k + 1 == fit->count || size <= piece->to) return size > begin ? size : begin;
    }
    return NAN;
}

/* The inverse of a point's variance, in units of the median point's. */
static void weigh(struct points *points, const double *noises) {
    double *variances = points->weights;
    for (size_t i = 0; i < points->count; i++) variances[i] = noises[i] * noises[i] + noise_floor * noise_floor;
    double median = statistics(variances, points->count).median;
    for (size_t i = 0; i < points->count; i++) points->weights[i] = median / variances[i];
    points->noise = sqrt(median);
}

static size_t choose(const struct points *points, const struct table *table, size_t most) {
    double n = (double)points->count, least = INFINITY;
    size_t chosen = 1;
    for (size_t k = 1; k <= most; k++) {
        double error = table->cost[(k - 1) * table->width + points->count] / n + points->noise * points->noise;
        double criterion = n * log(error) + (3 * (double)k - 1) * log(n);
        if (criterion < least) least = criterion, chosen = k;
    }
    return chosen;
}

bool piecewise_fit(const double *sizes, const double *seconds, const double *noises, size_t count, struct fit *fit) {
    struct table table;
    *fit = (struct fit){.points = count};
    if (count < FIT_POINTS_MIN) return false;
    struct points points = {.sizes = sizes, .seconds = seconds, .count = count};
    points.weights = malloc(count * sizeof *points.weights);
    if (points.weights == NULL) abort();
    weigh(&points, noises);
    size_t most = count / PIECE_POINTS_MIN;
    if (most > PIECES_MAX) most = PIECES_MAX;
    fill_table(&points, most, &table);
    read_pieces(&points, &table, choose(&points, &table, most), fit);
    judge(&points, fit);
    free(points.weights);
    free(table.cost);
    free(table.cut);
    fit->half_power = half_power_size(fit);
    return true;
}
