/* timing.c: how long one call takes.

   Host: calls are grouped so that a sample lasts at least 20 us (a thousand times the clock's own cost), one call a
   sample with ranks. Device: the backend's events, which with ranks take 3 us beside the call: samples are of about
   1 ms. After a warm-up that ends when calls stop getting faster, samples are
   taken until the 95 % interval of the median is within 1 % on both sides (0.5 % in full; 5 % in smoke), or until the
   time cap, which the row then admits to. With ranks every rank takes the same samples and each sample is the maximum
   over ranks. Georges et al., OOPSLA 2007, and Hunold & Carpen-Amarie, ReproMPI, 2016, are followed in this. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

enum { SAMPLES_LIMIT = 4096, WARM_CALLS_LIMIT = 1000, GRAPH_CALLS_LIMIT = 200, HELD_CALLS_LIMIT = 20 };

static const double sample_minimum = 20e-6;
static const double target_half_width[PRESET_COUNT] = {0.05, 0.01, 0.005};
static const size_t samples_minimum[PRESET_COUNT] = {5, 11, 21};

static bool one_at_a_time(const struct session *session) {
    return session->run.bench->ranks;
}

static bool is_held(const struct session *session) {
    return calls_are_held(session->options, session->run.variant);
}

/* The same on every rank, or they would part. */
static double agreed(double seconds) {
    if (rank_backend != NULL) rank_backend->maximum(&seconds, 1);
    return seconds;
}

static void host_samples(struct session *session, double *seconds, size_t count, size_t calls) {
    struct run *run = &session->run;
    bool waits = one_at_a_time(session) && session->options->pacing == PACING_SYNCHRONIZED && rank_backend != NULL;
    for (size_t i = 0; i < count; i++) {
        if (waits) rank_backend->barrier();
        double start = bench_seconds();
        for (size_t call = 0; call < calls; call++) run->variant->run(run);
        slowdown_wait(session, start);
        seconds[i] = (bench_seconds() - start) / (double)calls;
    }
}

static void device_samples(struct session *session, double *seconds, size_t count, size_t calls) {
    char reason[REASON_SIZE];
    struct run *run = &session->run;
    bool right = session->options->cache == CACHE_HOT ? device_backend->time_hot(run, seconds, count, calls, reason)
                 : is_held(session)                   ? device_backend->time_held(run, seconds, count, calls, reason)
                 : one_at_a_time(session)             ? device_backend->time_plain(run, seconds, count, reason)
                                                      : device_backend->time_cold(run, seconds, count, reason);
    if (!right) bench_fail(run, "%s", reason);
}

void take_samples(struct session *session, double *seconds, size_t count, size_t calls) {
    if (session->run.variant->place == PLACE_DEVICE) device_samples(session, seconds, count, calls);
    else host_samples(session, seconds, count, calls);
    if (rank_backend != NULL) rank_backend->maximum(seconds, count);
}

/* Calls until three in a row bring no new minimum by 2 %, or a tenth of the cap is spent. Returns the last estimate. */
static double warm_up(struct session *session) {
    double start = bench_seconds(), best = INFINITY, estimate = 0;
    int fixed = session->options->warm_calls;
    for (int call = 0, stale = 0; call < (fixed >= 0 ? fixed : WARM_CALLS_LIMIT); call++) {
        take_samples(session, &estimate, 1, 1);
        stale = estimate < 0.98 * best ? 0 : stale + 1;
        if (estimate < best) best = estimate;
        double spent = agreed(bench_seconds() - start);
        bool long_enough = spent > session->options->time_cap * 0.02 || call >= 30;
        if (fixed >= 0) continue;
        if ((stale >= 3 && long_enough) || spent > session->options->time_cap * 0.1) break;
    }
    return best > 0 && isfinite(best) ? best : 1e-9;
}

static size_t calls_per_sample(const struct session *session, double estimate) {
    double calls = 1;
    if (session->run.variant->place == PLACE_DEVICE) {
        int given = session->options->graph_calls;
        if (session->options->cache == CACHE_HOT && given > 0) return (size_t)given;
        bool hot = session->options->cache == CACHE_HOT;
        if (hot || is_held(session)) calls = fmin(ceil(1e-3 / estimate), hot ? GRAPH_CALLS_LIMIT : HELD_CALLS_LIMIT);
    } else if (!one_at_a_time(session)) {
        calls = fmin(ceil(sample_minimum / estimate), 1e6);
    }
    return calls < 1 ? 1 : (size_t)calls;
}

static bool settled(const struct session *session, const double *seconds, size_t count) {
    if (count < samples_minimum[session->run.preset]) return false;
    struct timing timing = statistics(seconds, count);
    double half = fmax(timing.ci_high - timing.median, timing.median - timing.ci_low);
    return half <= target_half_width[session->run.preset] * timing.median;
}

void sampling_admit_cap(struct session *session) {
    const struct sampling *sampling = &session->sampling;
    if (sampling->settled || session->options->iterations > 0) return;
    struct timing timing = statistics(sampling->seconds, sampling->count);
    double half = fmax(timing.ci_high - timing.median, timing.median - timing.ci_low);
    bench_note(&session->run, "stopped by the time cap: interval of the median +-%.2g %%", 100 * half / timing.median);
}

static size_t samples_most(const struct session *session) {
    return session->options->iterations > 0 ? session->options->iterations : SAMPLES_LIMIT;
}

void sampling_drop_half(struct session *session) {
    struct sampling *s = &session->sampling;
    size_t dropped = s->count / 2;
    s->overhead *= (double)(s->count - dropped) / (double)s->count; /* it is known of all samples together */
    s->count -= dropped;
    memmove(s->seconds, s->seconds + dropped, s->count * sizeof *s->seconds);
    s->settled = settled(session, s->seconds, s->count);
    bench_note(&session->run, "the first half of the samples left out as warm-up");
}

void sampling_begin(struct session *session) {
    double *seconds = malloc(samples_most(session) * sizeof *seconds);
    if (seconds == NULL) abort();
    session->sampling = (struct sampling){.seconds = seconds};
    double estimate = warm_up(session);
    size_t calls = calls_per_sample(session, estimate);
    slowdown_prepare(session, estimate, calls);
    session->sampling.estimate = estimate;
    session->sampling.calls = calls;
}

void sampling_round(struct session *session) {
    struct sampling *s = &session->sampling;
    double cap = session->options->time_cap, left = (double)(samples_most(session) - s->count);
    const double share = session->in_turn ? 0.01 : 0.1; /* of the cap, and a quarter of what is there already */
    double wanted = fmin(fmax((double)s->count * 0.25, (double)samples_minimum[session->run.preset]),
                         ceil(share * cap / (s->estimate * (double)s->calls)));
    size_t round = (size_t)fmin(fmax(wanted, 1), left);
    if (round == 0) return;
    double start = bench_seconds();
    take_samples(session, s->seconds + s->count, round, s->calls);
    double taken = bench_seconds() - start;
    s->overhead += taken;
    for (size_t i = s->count; i < s->count + round; i++) s->overhead -= s->seconds[i] * (double)s->calls;
    s->count += round;
    s->spent = agreed(s->spent + taken);
    s->settled = session->options->iterations == 0 && settled(session, s->seconds, s->count);
    bool capped = (s->spent > cap && s->count >= 3) || s->spent > 3 * cap;
    s->over = s->count == samples_most(session) || s->settled || (capped && session->options->iterations == 0);
}
