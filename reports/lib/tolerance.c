#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/statistics.h"
#include "bootstrap.h"
#include "verdict.h"

enum { DRIFT_CASES_MIN = 8, DRIFT_GROUP_MIN = 3 };
static const double false_alarms = 0.01; /* of whole comparisons */

/* Relative floors by metric and place: with fewer than LAUNCHES_MANY launches on a side, and with that many, whose own
   scatter is known. */
struct floors {
    const char *metric; /* NULL: any other that is a time or rate, then any other */
    double host_few, host_many, device_few, device_many;
};
static const struct floors floors[] = {
    {"harness_cost", 0.50, 0.25, 0.50, 0.25}, /* tens of nanoseconds */
    {"first_call", 1.00, 0.50, 1.00, 0.50},   /* loads libraries, once */
    {"skew", 1.00, 0.50, 1.00, 0.50},
    {"accuracy", 0.10, 0.05, 0.10, 0.05}, /* of a few thousand examples; reruns of a seed differ by less */
    {"loss", 0.05, 0.03, 0.05, 0.03},
};
static const struct floors floor_of_times = {NULL, 0.10, 0.02, 0.03, 0.007},
                           floor_of_others = {NULL, 0.02, 0.02, 0.02, 0.02};

bool row_on_device(const struct row *row) {
    static const char *const backends[] = {"cuda", "cublaslt", "cudnn", "nccl"};
    for (size_t i = 0; i < ARRAY_LENGTH(backends); i++)
        if (strcmp(backends[i], row->field[COLUMN_backend]) == 0) return true;
    return false;
}

bool row_is_timed(const struct row *row) {
    static const char *const made_of_times[] = {"latency_clocks", "issue_clocks", "bytes_per_clock",
                                                "rate_at_clock"};
    const struct metric_facts *facts = metric_facts(row->field[COLUMN_metric]);
    for (size_t i = 0; i < ARRAY_LENGTH(made_of_times); i++)
        if (strcmp(made_of_times[i], row->field[COLUMN_metric]) == 0) return true;
    return facts != NULL && facts->form != PLAIN;
}

/* `throttled` on the host is the harness's own word for the same. */
bool pair_interrupted(const struct pair *pair, int side) {
    size_t interrupted = 0;
    for (size_t i = 0; i < pair->count[side]; i++) {
        const struct row *row = pair->rows[side][i];
        bool late = row_number(row, COLUMN_time_p95_us) > INTERRUPTED * row_number(row, COLUMN_time_us);
        interrupted += !row_on_device(row) && (late || row_number(row, COLUMN_throttled) > 0);
    }
    return 2 * interrupted > pair->count[side]; /* the median of the launches is one of those */
}

double floor_of(const struct judge *judge, const struct pair *pair) {
    const struct row *row = pair_row(pair);
    const struct floors *chosen = row_is_timed(row) ? &floor_of_times : &floor_of_others;
    bool many = launches_of(pair) >= LAUNCHES_MANY;
    for (size_t i = 0; i < ARRAY_LENGTH(floors); i++)
        if (strcmp(floors[i].metric, row->field[COLUMN_metric]) == 0) chosen = &floors[i];
    if (judge->floor > 0 && row_is_timed(row)) return log1p(judge->floor);
    if (row_on_device(row)) return log1p(many ? chosen->device_many : chosen->device_few);
    return log1p(many ? chosen->host_many : chosen->host_few);
}

double pair_column(const struct pair *pair, int side, enum column column) {
    double *values = array_zeroed(pair->count[side], sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < pair->count[side]; i++) {
        const struct row *row = pair->rows[side][i];
        if (row_measured(row)) values[count++] = row_number(row, column);
    }
    double median = NAN;
    bool known = true;
    for (size_t i = 0; i < count; i++) known = known && isfinite(values[i]);
    if (known) median = median_of(values, count);
    free(values);
    return median;
}

/* The standard error of d where there are no samples: from the rows' 95 % intervals of the median time. */
static double error_of_intervals(const struct pair *pair) {
    double variance = 0;
    for (int side = 0; side < SIDES; side++) {
        double low = pair_column(pair, side, COLUMN_ci_low_us), high = pair_column(pair, side, COLUMN_ci_high_us);
        double error = low > 0 && high >= low ? log(high / low) / (2 * 1.96) : 0;
        variance += error * error / (double)(pair->count[side] > 0 ? pair->count[side] : 1);
    }
    return sqrt(variance);
}

static const struct samples *samples_for(const struct judge *judge, const struct samples *const samples[SIDES],
                                         int side, const struct row *row) {
    for (size_t t = 0; t < judge->results[side].table_count; t++)
        if (row->table == &judge->results[side].tables[t]) return &samples[side][t];
    return NULL;
}

bool ratio_of(const struct judge *judge, const struct pair *pair, const struct samples *const samples[SIDES],
              struct ratio *ratio) {
    struct launches sides[SIDES];
    const double **series[SIDES];
    size_t *counts[SIDES];
    for (int side = 0; side < SIDES; side++) {
        series[side] = array_zeroed(pair->count[side], sizeof *series[side]);
        counts[side] = array_zeroed(pair->count[side], sizeof *counts[side]);
        for (size_t i = 0; i < pair->count[side]; i++) {
            const struct samples *of = samples_for(judge, samples, side, pair->rows[side][i]);
            if (of != NULL) series[side][i] = samples_of(of, pair->rows[side][i], &counts[side][i]);
        }
        sides[side] = (struct launches){series[side], counts[side], pair->count[side]};
    }
    bool known = bootstrap_ratio(&sides[BASELINE], &sides[NEW_RUN], 1, ratio);
    for (int side = 0; side < SIDES; side++) free(series[side]), free(counts[side]);
    if (!known) *ratio = (struct ratio){.error = error_of_intervals(pair), .low = NAN, .high = NAN};
    return known;
}

static double normal_quantile(double tail) { /* x with P(X > x) = tail, by halving */
    double low = 0, high = 40;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (erfc(middle / sqrt(2)) / 2 > tail) low = middle;
        else high = middle;
    }
    return high;
}

double chance_quantile(size_t cases) { /* of a normal deviate: in one comparison of a hundred one case is beyond it */
    return normal_quantile(false_alarms / (double)(cases > 0 ? cases : 1));
}

static bool enters_drift(const struct judgement *judgement, bool device) {
    return isfinite(judgement->worse) && row_is_timed(pair_row(judgement->pair)) &&
           row_on_device(pair_row(judgement->pair)) == device;
}

/* Cases of one program and variant. */
static size_t group_of(struct index *groups, const struct row *row) {
    char key[512];
    snprintf(key, sizeof key, "%.250s\x1f%.250s", row->field[COLUMN_program], row->field[COLUMN_variant]);
    return index_add(groups, key, NULL);
}

struct member {
    size_t group, judgement;
    double worse;
};

static int compare_members(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    return x->group != y->group ? (x->group > y->group) - (x->group < y->group)
                                : (x->worse > y->worse) - (x->worse < y->worse);
}

double drift_of(const struct judge *judge, bool device) {
    struct index groups = {0};
    struct member *members = array_zeroed(judge->count, sizeof *members);
    double *residuals = array_zeroed(judge->count, sizeof *residuals), drift = 0;
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < judge->count; i++)
        if (enters_drift(&judge->judgements[i], device))
            members[count++] = (struct member){group_of(&groups, pair_row(judge->judgements[i].pair)), i,
                                               judge->judgements[i].worse};
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && members[end].group == members[i].group;) end++;
        double median = (members[(i + end - 1) / 2].worse + members[(i + end) / 2].worse) / 2;
        /* n residuals about their own median stand for n - 1 */
        double correction = sqrt((double)(end - i) / (double)(end - i > 1 ? end - i - 1 : 1));
        for (size_t m = i; m < end && end - i >= DRIFT_GROUP_MIN; m++)
            residuals[kept++] = fabs(members[m].worse - median) * correction;
    }
    if (kept >= DRIFT_CASES_MIN)
        drift = 1.4826 * median_of(residuals, kept) * chance_quantile(kept);
    free(members);
    free(residuals);
    index_release(&groups);
    return drift;
}

static size_t spread_group_of(struct index *groups, const struct row *row) {
    char key[512];
    snprintf(key, sizeof key, "%.160s\x1f%.160s\x1f%.160s", row->field[COLUMN_program], row->field[COLUMN_variant],
             row->field[COLUMN_metric]);
    return index_add(groups, key, NULL);
}

static int compare_spreads(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    return x->group != y->group ? (x->group > y->group) - (x->group < y->group) : 0;
}

/* No case is trusted to be much quieter than the quietest quarter of its group: a spread of five launches may come out
   small by chance. */
static void share_group(const struct judge *judge, const struct member *members, size_t count, double *values) {
    for (size_t i = 0; i < count; i++) values[i] = judge->judgements[members[i].judgement].spread;
    median_of(values, count); /* in order now */
    double typical = quantile_sorted(values, count, 0.25);
    for (size_t i = 0; i < count; i++) {
        struct judgement *judgement = &judge->judgements[members[i].judgement];
        if (judgement->spread < typical)
            judgement->spread = sqrt((judgement->spread * judgement->spread + typical * typical) / 2);
    }
}

void share_spreads(struct judge *judge) {
    struct index groups = {0};
    struct member *members = array_zeroed(judge->count, sizeof *members);
    double *values = array_zeroed(judge->count, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < judge->count; i++)
        if (isfinite(judge->judgements[i].spread))
            members[count++] = (struct member){spread_group_of(&groups, pair_row(judge->judgements[i].pair)), i, 0};
    qsort(members, count, sizeof *members, compare_spreads);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && members[end].group == members[i].group;) end++;
        share_group(judge, members + i, end - i, values);
    }
    free(members);
    free(values);
    index_release(&groups);
}
