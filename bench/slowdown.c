/* slowdown.c: --inject-slowdown PERCENT: calls that really are slower, inside the timed region, so that anybody can
   see whether a gate catches them. Nothing is multiplied: on the host the thread that takes the time waits on for
   PERCENT of what the sample took; on a device a kernel of one thread is enqueued behind every call and waits for
   PERCENT of what the call took when it was first timed, less what one kernel more costs by itself (a microsecond or
   two). Calls too short for that are declined, as are variants that take their own time.

   NOTES: that cost was first taken from the call itself, with and without a kernel that waits for nothing. A device
   that gets hot in between slows the second series by more than the delay (H200, prefill of 16384 tokens: 7 % and
   more), so it is measured apart, on calls that wait. */
#include "session.h"

enum { CALIBRATION_SAMPLES = 12, CALIBRATION_SAMPLES_MIN = 5 };

void slowdown_admit(struct session *session) {
    double share = session->options->slowdown;
    if (!(share > 0)) return;
    if (session->run.variant->measure != NULL)
        bench_skip(&session->run, "--inject-slowdown: this variant takes its own time and cannot be slowed");
    snprintf(session->outcome->reason, REASON_SIZE, "slowed by %g %% on purpose (--inject-slowdown)", share * 100);
}

void slowdown_wait(const struct session *session, double start) {
    double share = session->options->slowdown;
    if (!(share > 0)) return;
    double end = start + (bench_seconds() - start) * (1 + share);
    while (bench_seconds() < end) continue;
}

void slowdown_prepare(struct session *session, double estimate, size_t calls) {
    double share = session->options->slowdown, seconds[CALIBRATION_SAMPLES], cost;
    char reason[REASON_SIZE];
    if (!(share > 0) || session->run.variant->place != PLACE_DEVICE) return;
    double wanted = session->options->time_cap / (estimate * (double)calls);
    size_t count = wanted > CALIBRATION_SAMPLES       ? CALIBRATION_SAMPLES
                   : wanted < CALIBRATION_SAMPLES_MIN ? CALIBRATION_SAMPLES_MIN
                                                      : (size_t)wanted;
    device_backend->delay(-1);
    if (!device_backend->delay_cost(&cost, reason)) bench_fail(&session->run, "%s", reason);
    take_samples(session, seconds, count, calls);
    if (rank_backend != NULL) rank_backend->maximum(&cost, 1);
    double call = statistics(seconds, count).median, delay = share * call - cost;
    if (!(delay > 0))
        bench_skip(&session->run, "--inject-slowdown: %g %% of %.3g us is less than the %.3g us of one kernel more",
                   share * 100, call * 1e6, cost * 1e6);
    device_backend->delay(delay);
}
