/* pair_times.c: see pair_times.h. */
#include "collectives/lib/pair_times.h"

#include <stdlib.h>

#include "bench/statistics.h"

static const double scale_floor = 0.01;    /* of the median: links measured to within 1 % are alike below it */
static const double share_of_budget = 0.25; /* of a measurement's, for one pair */

/* All pairs of one variant, size and pattern, as timed. */
static struct {
    const struct variant *variant; /* NULL: nothing complete yet */
    int64_t bytes, pattern;
    int ranks;
    double **samples;     /* by first * ranks + second; NULL: not a pair */
    size_t *sample_count; /* likewise */
    double *median;       /* by pair, in the order timed */
    size_t pairs;
} table;
static struct pair now;

struct pair pair_now(void) { return now; }

double robust_score(double value, const double *values, size_t count) {
    struct timing all = statistics(values, count);
    double noise = all.noise > scale_floor ? all.noise : scale_floor;
    return (value - all.median) / (noise * all.median);
}

static void start_table(int ranks) {
    for (int i = 0; i < table.ranks * table.ranks; i++) free(table.samples[i]);
    free(table.samples);
    free(table.sample_count);
    free(table.median);
    size_t cells = (size_t)ranks * (size_t)ranks;
    table.samples = calloc(cells, sizeof *table.samples);
    table.sample_count = calloc(cells, sizeof *table.sample_count);
    table.median = calloc(cells, sizeof *table.median);
    if (table.samples == NULL || table.sample_count == NULL || table.median == NULL) abort();
    table.variant = NULL;
    table.ranks = ranks;
    table.pairs = 0;
}

static void time_all(struct run *run, bool ordered, void (*call)(struct run *run)) {
    int ranks = run->rank_count;
    double cap = share_of_budget * run->budget, most = run->case_timeout / 2 / ((double)ranks * ranks);
    start_table(ranks);
    for (now.first = 0; now.first < ranks; now.first++)
        for (now.second = ordered ? 0 : now.first + 1; now.second < ranks; now.second++) {
            size_t cell = (size_t)now.first * (size_t)ranks + (size_t)now.second;
            if (now.first == now.second) continue;
            call(run); /* the first call of a pair connects it, which must not happen inside a captured graph */
            table.sample_count[cell] = bench_time_call(run, call, cap < most ? cap : most, &table.samples[cell]);
            table.median[table.pairs++] = statistics(table.samples[cell], table.sample_count[cell]).median;
        }
}

const struct pair_times *pair_times(struct run *run, int64_t bytes, int64_t pattern, bool ordered,
                                    void (*call)(struct run *run), struct pair wanted) {
    static struct pair_times times;
    if (table.variant != run->variant || table.bytes != bytes || table.pattern != pattern) {
        time_all(run, ordered, call);
        table.variant = run->variant;
        table.bytes = bytes;
        table.pattern = pattern;
    }
    size_t cell = (size_t)wanted.first * (size_t)table.ranks + (size_t)wanted.second;
    times = (struct pair_times){.seconds = table.samples[cell], .count = table.sample_count[cell],
                                .pairs = table.pairs};
    times.slowness = robust_score(statistics(times.seconds, times.count).median, table.median, table.pairs);
    now = wanted;
    return &times;
}
