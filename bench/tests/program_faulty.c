/* program_faulty: a benchmark whose variants misbehave, each in its own way, so that test_isolation.sh can see what the
   harness makes of it. The first and the last variant are well: the sweep must reach them. program_faulty_in_turn.c is
   the same, timed in turn. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"

#ifndef IN_TURN
#define IN_TURN false
#endif
enum { AXIS_SIZE };
static int holders; /* measurements that have memory now */

static void setup(struct run *run) {
    int64_t *number = bench_alloc(run, sizeof *number);
    run->state = number;
    holders++;
    bench_output(run, number, sizeof *number, PLACE_HOST, false);
}
static void release(struct run *run) {
    holders -= run->state != NULL;
}
static const struct variant *latest;
static int switches; /* how often another variant was called than before */
static void well(struct run *run) {
    switches += run->variant != latest;
    latest = run->variant;
    *(int64_t *)run->state = run->value[AXIS_SIZE];
}
static void crash(struct run *run) {
    (void)run;
    raise(SIGSEGV);
}
static void hang(struct run *run) {
    (void)run;
    for (;;) usleep(10000);
}
static void leave(struct run *run) {
    (void)run;
    exit(9);
}
static void quit(struct run *run) {
    (void)run;
    exit(0);
}
static void fail(struct run *run) {
    bench_fail(run, "said \"no\", %s", "twice");
}
static void lie(struct run *run) {
    *(int64_t *)run->state = run->value[AXIS_SIZE] + 1;
}
static void forget(struct run *run) {
    (void)run; /* leaves the output as it was */
}
static void hog(struct run *run) {
    bench_alloc(run, (size_t)1 << 60);
}
static void spread(struct run *run) {
    if (holders > 1) bench_skip(run, "%d others have the memory", holders - 1);
}
static void tell(struct run *run) {
    well(run);
    bench_report_plain(run, METRIC_ratio, switches, (struct limit){0, NULL});
}
static void remark(struct run *run) {
    bench_note(run, "found %d", 3);
    bench_note(run, "of %d", 4);
}
/* Never settles: the time cap ends it. */
static void restless(struct run *run) {
    static unsigned calls;
    usleep(calls++ % 2 == 0 ? 10 : 2000);
    well(run);
}
static void lend(struct run *run) {
    double *seconds;
    size_t count = bench_time_call(run, restless, 0.02, &seconds);
    free(seconds);
    bench_report_plain(run, METRIC_ratio, 1, (struct limit){0, NULL});
    bench_note(run, "took %s", count > 0 ? "some" : "none");
}
static const char *decline(const struct run *run) {
    return run->value[AXIS_SIZE] > 1 ? "only size 1" : NULL;
}

static void describe(const struct run *run, struct work *work) {
    work->bytes = (double)run->value[AXIS_SIZE];
    bench_add_rate(work, METRIC_bandwidth, work->bytes, (struct limit){0, NULL});
}
static void check(struct run *run, struct verdict *verdict) {
    verdict->error = *(const int64_t *)run->state == run->value[AXIS_SIZE] ? 0 : 1;
}

static const struct axis axes[] = {[AXIS_SIZE] = {.name = "size", .help = "a number", .kind = AXIS_INTEGER,
                                                  .host = {"1", "1,2", "1,2,3"}},
                                   {0}};
#define VARIANT(word, ...) {.name = #word, .backend = "c", .in_turn = IN_TURN, __VA_ARGS__}
static const struct variant variants[] = {
    VARIANT(first, .run = well),
    VARIANT(crash, .run = crash),
    VARIANT(hang, .run = hang),
    VARIANT(leave, .run = leave),
    VARIANT(quit, .run = quit),
    VARIANT(fail, .run = fail),
    VARIANT(lie, .run = lie),
    VARIANT(forget, .run = forget),
    VARIANT(hog, .setup = hog, .run = well),
    VARIANT(spread, .setup = spread, .run = well),
    VARIANT(tell, .measure = tell),
    VARIANT(decline, .decline = decline, .run = well),
    VARIANT(remark, .setup = remark, .run = well),
    VARIANT(lend, .measure = lend),
    VARIANT(restless, .run = restless),
    VARIANT(last, .run = well),
    {0}};
const struct bench bench = {.suite = "bench", .name = "faulty", .question = "What becomes of a bad case?",
                            .axes = axes, .variants = variants, .describe = describe, .setup = setup, .check = check,
                            .release = release};
