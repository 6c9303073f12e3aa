/* harness_cost: what does measuring cost, inside and outside the timed region?

   A call does `adds` dependent additions (0: nothing but the call through a pointer). call_time is what the harness
   reports for it, so at adds = 0 it is the part of every figure of the suite that is the harness's own; harness_cost is
   what a sample costs outside the timed region: reading the clock, barriers and flushes, enqueuing, bookkeeping.
   The sum is checked, so that the additions cannot be optimized away. Bytes and FLOPs: none. Limit: none. */
#include "bench/bench.h"
#include "kernels/harness_cost.h"

enum { AXIS_ADDS };

static void setup(struct run *run) {
    struct sum *sum = bench_alloc(run, sizeof *sum);
    sum->adds = run->value[AXIS_ADDS];
    sum->total = bench_alloc(run, sizeof *sum->total);
    run->state = sum;
    if (run->variant->place == PLACE_HOST) bench_output(run, sum->total, sizeof *sum->total, PLACE_HOST, false);
}

static void add_up(struct run *run) {
    struct sum *sum = run->state;
    uint64_t total = 0;
    for (int64_t i = 0; i < sum->adds; i++) {
        total += (uint64_t)i;
        __asm__ volatile("" : "+r"(total)); /* one dependent add each, not a closed formula */
    }
    *sum->total = total;
}

static void describe(const struct run *run, struct work *work) {
    (void)run;
    bench_add_rate(work, METRIC_call_time, 1, (struct limit){0, NULL});
    bench_add_rate(work, METRIC_harness_cost, 1, (struct limit){0, NULL});
}

static void check(struct run *run, struct verdict *verdict) {
    const struct sum *sum = run->state;
    uint64_t n = (uint64_t)sum->adds, expected = n == 0 ? 0 : n * (n - 1) / 2;
    verdict->error = *sum->total == expected ? 0 : 1;
    verdict->tolerance = 0;
}

static const struct axis axes[] = {
    [AXIS_ADDS] = {.name = "adds", .help = "dependent additions in one call", .kind = AXIS_INTEGER,
                   .host = {"0,1000", "0,10,100,1k,10k,100k", "0,10,100,1k,10k,100k,1m"},
                   .device = {"0", "0,1k", "0,1k,10k"}, .minimum = 0, .maximum = INT64_C(1) << 32},
    {0}};

static const struct variant variants[] = {{.name = "call", .backend = "c", .place = PLACE_HOST, .run = add_up}, {0}};

const struct bench bench = {.suite = "kernels", .name = "harness_cost",
                            .question = "What does measuring cost, inside and outside the timed region?",
                            .axes = axes, .variants = variants, .describe = describe, .setup = setup, .check = check};
