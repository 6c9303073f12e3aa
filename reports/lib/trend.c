#include "trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "markup.h"

const double OUTLIER_SCORE = 3.5;
static const double SCORE_FLOOR = 0.01; /* of the median: figures within it are no news */

static double median_between(const struct history *history, size_t begin, size_t end) {
    double *values = array_zeroed(end - begin, sizeof *values);
    for (size_t i = begin; i < end; i++) values[i - begin] = history->observations[i].value;
    double median = median_of(values, end - begin);
    free(values);
    return median;
}

/* By how much b is better than a, relative; without a direction by how much more. */
static double gain(const struct history *history, double a, double b) {
    if (!(a > 0) || !(b > 0)) return a == b ? 0 : b > a ? INFINITY : -INFINITY;
    return history->better == LOWER ? a / b - 1 : b / a - 1;
}

static void add_segment(struct trend *trend, size_t begin, size_t end, double probability) {
    struct segment *segment = &trend->segments[trend->segment_count];
    *segment = (struct segment){.begin = begin, .end = end, .probability = probability};
    segment->median = median_between(trend->history, begin, end);
    if (trend->segment_count > 0)
        segment->change = gain(trend->history, trend->segments[trend->segment_count - 1].median, segment->median);
    trend->segment_count++;
}

void trend_find(const struct history *history, double level, double least, struct trend *trend) {
    struct change_point found[CHANGE_POINTS_MAX];
    double *values = array_zeroed(history->count, sizeof *values);
    bool positive = true;
    for (size_t i = 0; i < history->count; i++) positive = positive && history->observations[i].value > 0;
    for (size_t i = 0; i < history->count; i++) /* relative changes count, so that one scale fits all */
        values[i] = positive ? log(history->observations[i].value) : history->observations[i].value;
    size_t count = change_points_find(values, history->count, level, TREND_SEED, found);
    free(values);
    *trend = (struct trend){.history = history};
    size_t begin = 0;
    double probability = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t end = i < count ? found[i].index : history->count;
        double before = trend->segment_count > 0 ? trend->segments[trend->segment_count - 1].median : NAN;
        if (trend->segment_count > 0 && fabs(gain(history, before, median_between(history, begin, end))) < least) {
            struct segment *last = &trend->segments[trend->segment_count - 1];
            last->end = end;
            last->median = median_between(history, last->begin, end);
        } else if (end > begin) {
            add_segment(trend, begin, end, probability);
        }
        begin = end;
        if (i < count) probability = found[i].probability;
    }
}

static void changed(struct text *text, const char *what, const char *before, const char *after) {
    enum { SHOWN = 24 };
    if (strcmp(before, after) != 0) text_add(text, ", %s %.*s -> %.*s", what, SHOWN, before, SHOWN, after);
}

void trend_cause(const struct histories *histories, const struct trend *trend, size_t number, struct text *text) {
    const struct segment *segment = &trend->segments[number];
    const struct store_run *now = &histories->runs[trend->history->observations[segment->begin].run];
    text_add(text, "run %ld, %.10s", now->number, now->created);
    if (number == 0) return;
    const struct store_run *before = &histories->runs[trend->history->observations[segment->begin - 1].run];
    changed(text, "host", before->host, now->host);
    changed(text, "driver", before->driver, now->driver);
    changed(text, "commit", before->commit, now->commit);
}

static int compare_outliers(const void *a, const void *b) {
    const struct outlier *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score;
}

struct outlier *outliers_find(const struct histories *histories, size_t *count) {
    struct outlier *list = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t h = 0; h < histories->count; h++) {
        const struct history *history = &histories->list[h];
        const struct observation **latest = array_zeroed(history->count, sizeof *latest);
        double *values = array_zeroed(history->count, sizeof *values);
        size_t hosts = 0;
        for (size_t i = history->count; i-- > 0;) { /* newest first: a host's first counts */
            const char *host = histories->runs[history->observations[i].run].host;
            bool known = false;
            for (size_t j = 0; j < hosts; j++) known = known || strcmp(histories->runs[latest[j]->run].host, host) == 0;
            if (known) continue;
            values[hosts] = history->observations[i].value;
            latest[hosts++] = &history->observations[i];
        }
        for (size_t i = 0; i < hosts && hosts >= OUTLIER_HOSTS_MIN; i++) {
            double score = robust_score(values[i], values, hosts, SCORE_FLOOR);
            if (history->better == HIGHER) score = -score;
            else if (history->better != LOWER) score = fabs(score);
            list = array_grow(list, *count, &capacity, sizeof *list);
            list[(*count)++] = (struct outlier){history, latest[i]->run, values[i], 0, score, hosts};
        }
        if (hosts >= OUTLIER_HOSTS_MIN) {
            double median = median_of(values, hosts);
            for (size_t i = 0; i < hosts; i++) list[*count - hosts + i].median = median;
        }
        free(latest);
        free(values);
    }
    if (*count > 0) qsort(list, *count, sizeof *list, compare_outliers);
    return list;
}
