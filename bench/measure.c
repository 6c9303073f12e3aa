/* measure.c: one measurement from setup to figures. Runs in a worker; see harness.h. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counters.h"
#include "interruptions.h"
#include "session.h"
#include "telemetry.h"
#include "topology.h"

const struct metric_description metrics[METRIC_COUNT] = {
#define METRIC(identifier, unit, scale, form, better, meaning) {#identifier, unit, meaning, scale, form, better},
#include "metrics.def"
#undef METRIC
};

double bench_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t bench_threads_available(void) {
    return topology_cores();
}

const char *bench_word(const struct run *run, int axis) {
    return run->bench->axes[axis].words[run->value[axis]];
}

enum dtype bench_dtype(const struct run *run) {
    for (int i = 0; run->bench->axes[i].name != NULL; i++) {
        enum dtype dtype;
        if (strcmp(run->bench->axes[i].name, "dtype") == 0 && dtype_parse(bench_word(run, i), &dtype)) return dtype;
    }
    die(EXIT_USAGE, "bench_dtype: the program has no axis dtype whose words are number formats");
}

void bench_add_rate(struct work *work, enum metric metric, double amount, struct limit limit) {
    if (work->rate_count == RATES_MAX) die(EXIT_USAGE, "more than %d rates", RATES_MAX);
    work->rates[work->rate_count++] = (struct rate){metric, amount, limit};
}

void session_end(struct session *session, enum status status, const char *reason) {
    session->outcome->status = status;
    snprintf(session->outcome->reason, REASON_SIZE, "%s", reason);
    session->ended = true;
    longjmp(session->end, 1);
}

static void end_formatted(struct run *run, enum status status, const char *format, va_list arguments) {
    char reason[REASON_SIZE];
    vsnprintf(reason, sizeof reason, format, arguments);
    for (char *c = reason; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    session_end(session_of(run), status, reason);
}

void bench_skip(struct run *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    end_formatted(run, STATUS_skipped, format, arguments);
    __builtin_unreachable();
}

void bench_fail(struct run *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    end_formatted(run, STATUS_failed, format, arguments);
    __builtin_unreachable();
}

void bench_note(struct run *run, const char *format, ...) {
    struct session *session = session_of(run);
    size_t used = strlen(session->note);
    char text[sizeof session->note];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (strstr(session->note, text) != NULL) return; /* communicators made alike say the same */
    snprintf(session->note + used, sizeof session->note - used, "%s%s", used > 0 ? "; " : "", text);
}

static struct figure *new_figure(struct session *session, enum metric metric, struct limit limit) {
    struct outcome *outcome = session->outcome;
    if (outcome->figure_count == FIGURES_MAX) bench_fail(&session->run, "more than %d figures", FIGURES_MAX);
    struct figure *figure = &outcome->figures[outcome->figure_count++];
    *figure = (struct figure){.metric = metric, .limit = limit};
    return figure;
}

static double rate_value(enum metric metric, double amount, double seconds) {
    const struct metric_description *m = &metrics[metric];
    return m->form == TIME ? seconds / amount / m->scale : amount / seconds / m->scale;
}

void bench_report_samples(struct run *run, enum metric metric, double amount, const double *seconds, size_t count,
                          struct limit limit) {
    struct figure *figure = new_figure(session_of(run), metric, limit);
    figure->seconds = malloc((count > 0 ? count : 1) * sizeof *seconds);
    if (figure->seconds == NULL) abort();
    memcpy(figure->seconds, seconds, count * sizeof *seconds);
    figure->timing = statistics(seconds, count);
    figure->value = rate_value(metric, amount, figure->timing.median);
}

void bench_report_plain(struct run *run, enum metric metric, double value, struct limit limit) {
    new_figure(session_of(run), metric, limit)->value = value / metrics[metric].scale;
}

static void enter(struct session *session, enum phase phase) {
    session->phase = phase;
    session->shared->phase = phase;
    session->shared->current = session->index;
}

static void synchronize(struct session *session) {
    char reason[REASON_SIZE];
    if (session->run.variant->place == PLACE_DEVICE && !device_backend->synchronize(reason))
        bench_fail(&session->run, "%s", reason);
}

/* The outputs are poisoned, one call is made, and what it left is compared. A wrong result is a verdict, no end. */
static void check(struct session *session) {
    struct run *run = &session->run;
    const struct variant *variant = run->variant;
    struct outcome *outcome = session->outcome;
    enter(session, PHASE_CHECK);
    if (variant->run != NULL) {
        outputs_poison(session);
        if (variant->reset != NULL) variant->reset(run);
        synchronize(session);
        if (rank_backend != NULL) rank_backend->barrier(); /* or the first call would hold the others' setup */
        double start = bench_seconds();
        variant->run(run);
        synchronize(session);
        session->first_call = bench_seconds() - start;
    }
    if (run->inject_fault) outputs_corrupt(session);
    if (variant->fetch != NULL) variant->fetch(run);
    if (run->bench->check == NULL) return;
    outcome->verdict = (struct verdict){0};
    run->bench->check(run, &outcome->verdict);
    if (rank_backend != NULL) { /* the worst rank speaks for all; a NaN must survive the maximum */
        double bad[2] = {isnan(outcome->verdict.error), outcome->verdict.error};
        if (bad[0] > 0) bad[1] = 0;
        rank_backend->maximum(bad, 2);
        outcome->verdict.error = bad[0] > 0 ? NAN : bad[1];
    }
    outcome->checked = true;
    if (!(outcome->verdict.error <= outcome->verdict.tolerance)) {
        outcome->status = STATUS_wrong;
        snprintf(outcome->reason, REASON_SIZE, "error %.3g is above the tolerance %.3g", outcome->verdict.error,
                 outcome->verdict.tolerance);
    }
}

static void add_rates(struct session *session) {
    struct outcome *outcome = session->outcome;
    struct sampling *sampling = &session->sampling;
    struct timing timing = statistics(sampling->seconds, sampling->count);
    bool device = session->run.variant->place == PLACE_DEVICE;
    for (int i = 0; i < outcome->work.rate_count; i++) {
        const struct rate *rate = &outcome->work.rates[i];
        struct figure *figure = new_figure(session, rate->metric, rate->limit);
        figure->timing = timing;
        if (i == 0) {
            figure->seconds = sampling->seconds;
            sampling->seconds = NULL;
        }
        double overhead = sampling->overhead / (double)sampling->count;
        double time = rate->metric == METRIC_harness_cost ? overhead : timing.median;
        figure->value = rate_value(rate->metric, rate->amount, time);
        bool matrix = rate->metric == METRIC_flop_rate || rate->metric == METRIC_op_rate;
        if (device && matrix && rate->limit.value > 0 && outcome->clock_mhz > 0) {
            double peak = rate->limit.value * outcome->clock_mhz * 1e6 / device_backend->clock_maximum();
            new_figure(session, METRIC_rate_at_clock, (struct limit){0, NULL})->value =
                rate->amount / timing.median / peak;
        }
    }
}

/* With ranks the first call connects them and chooses an algorithm, which no other call does. */
static void add_first_call(struct session *session) {
    const struct limit none = {0, NULL};
    if (rank_backend == NULL || session->run.variant->staged) return;
    rank_backend->maximum(&session->first_call, 1);
    new_figure(session, METRIC_first_call, none)->value = rate_value(METRIC_first_call, 1, session->first_call);
}

/* Counters of one more call, outside the timing. */
static void add_counters(struct session *session) {
    struct counter_values values;
    if (session->run.variant->place == PLACE_DEVICE || session->run.bench->ranks) return;
    counters_begin();
    session->run.variant->run(&session->run);
    counters_end(&values);
    if (!values.valid) return;
    const double value[] = {values.instructions, values.cycles, values.cache_misses};
    static const enum metric metric[] = {METRIC_instructions, METRIC_cycles, METRIC_cache_misses};
    for (size_t i = 0; i < ARRAY_LENGTH(value); i++)
        if (value[i] >= 0) new_figure(session, metric[i], (struct limit){0, NULL})->value = value[i];
}

static void read_telemetry(struct session *session) {
    struct outcome *outcome = session->outcome;
    if (session->run.variant->place == PLACE_HOST) {
        outcome->clock_mhz = counters_clock() * 1e-6;
        return;
    }
    struct telemetry telemetry;
    telemetry_poll();
    telemetry_read(&telemetry);
    if (telemetry.polls == 0) return;
    outcome->clock_mhz = telemetry.clock_mhz;
    outcome->power_w = telemetry.power_w;
    outcome->throttled = telemetry.throttled;
}

/* On the host the row's `throttled` says that the timed threads went without their cores for over 2 % of the time. */
static void note_interruptions(struct session *session) {
    const double share = 0.02;
    double spent = (bench_seconds() - session->started) * session->run.threads;
    if (session->run.variant->place == PLACE_HOST)
        session->outcome->throttled = interruptions_lost() - session->lost > share * spent;
}

void session_begin_timing(struct session *session) {
    enter(session, PHASE_TIMING);
    session->lost = interruptions_lost();
    session->started = bench_seconds();
    if (session->run.variant->measure == NULL) {
        sampling_begin(session);
        return;
    }
    telemetry_reset();
    session->run.variant->measure(&session->run);
    note_interruptions(session);
    read_telemetry(session);
}

void session_take_round(struct session *session) {
    enter(session, PHASE_TIMING);
    sampling_round(session);
}

void session_end_timing(struct session *session) {
    enter(session, PHASE_TIMING);
    sampling_admit_cap(session);
    note_interruptions(session);
    read_telemetry(session);
    add_rates(session);
    add_first_call(session);
    add_counters(session);
}

void session_prepare(struct session *session) {
    struct run *run = &session->run;
    const struct bench *b = run->bench;
    const char *reason = session->absent;
    if (reason == NULL && b->decline != NULL) reason = b->decline(run);
    if (reason == NULL && run->variant->decline != NULL) reason = run->variant->decline(run);
    if (reason != NULL) session_end(session, STATUS_skipped, reason);
    slowdown_admit(session);
    enter(session, PHASE_SETUP);
    if (b->describe != NULL) b->describe(run, &session->outcome->work);
    if (b->setup != NULL) b->setup(run);
    if (run->variant->setup != NULL) run->variant->setup(run);
    synchronize(session);
    /* a variant that measures itself has its result checked afterwards; the others are checked first, then timed */
    if (run->variant->measure != NULL) session_begin_timing(session);
    check(session);
    session->outcome->memory = blocks_held(session);
}

/* Also after an early end: what setup made is let go, so that the next measurement finds the machine empty. */
static void release(struct session *session) {
    struct run *run = &session->run;
    if (session->phase == PHASE_IDLE) return;
    if (run->variant->release != NULL) run->variant->release(run);
    if (run->bench->release != NULL) run->bench->release(run);
}

void session_step(struct session *session, void (*step)(struct session *session)) {
    if (setjmp(session->end) == 0) step(session);
}

struct session *session_new(const struct options *options, struct shared *shared,
                            const struct measurement *measurement, struct turn *turn) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) abort();
    turn->end = TURN_OVER;
    turn->outcome = (struct outcome){.memory = -1, .clock_mhz = -1, .power_w = -1, .throttled = -1};
    bool device = measurement->variant->place == PLACE_DEVICE;
    session->run = (struct run){
        .bench = &bench, .variant = measurement->variant, .value = measurement->value, .preset = options->preset,
        .seed = options->seed, .zeros = options->zeros,
        .captured = options->cache == CACHE_HOT, .inject_fault = options->inject_fault,
        .threads = options->threads, .budget = options->time_cap, .case_timeout = options->case_timeout,
        .rank = rank_backend != NULL ? rank_backend->rank() : 0,
        .rank_count = rank_backend != NULL ? rank_backend->size() : 1,
        .stream = device && measurement->absent == NULL ? device_backend->stream() : NULL};
    session->options = options;
    session->shared = shared;
    session->outcome = &turn->outcome;
    session->index = turn->index;
    session->absent = measurement->absent;
    enter(session, PHASE_IDLE);
    return session;
}

void session_close(struct session *session) {
    struct outcome *outcome = session->outcome;
    session_step(session, release);
    blocks_release(session);
    if (outcome->status == STATUS_ok && session->note[0] != '\0') {
        size_t used = strlen(outcome->reason);
        snprintf(outcome->reason + used, REASON_SIZE - used, "%s%s", used > 0 ? "; " : "", session->note);
    }
    if (outcome->status != STATUS_ok) outcome_release(outcome); /* a figure of a wrong result is no figure */
    free(session->sampling.seconds);
    free(session);
}

void outcome_release(struct outcome *outcome) {
    for (int i = 0; i < outcome->figure_count; i++) free(outcome->figures[i].seconds);
    outcome->figure_count = 0;
}
