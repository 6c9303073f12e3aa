/* slowdown.c: --inject-slowdown PERCENT: calls that really are slower, inside the timed region, so that anybody can see
   whether a gate catches them. Nothing is multiplied: on the host the thread that takes the time waits on for PERCENT of
   what the sample took; on a device a kernel of one thread is enqueued behind every call and waits. That kernel costs
   something by itself, a few microseconds, so calls are first timed without it and with it waiting for nothing, and it
   waits for the rest. Calls too short for that are declined, as are variants that take their own time. */
#include <stdlib.h>

#include "session.h"

enum { CALIBRATION_SAMPLES = 48, CALIBRATION_SAMPLES_MIN = 5 };

void slowdown_admit(struct session *session) {
    double share = session->options->slowdown;
    if (!(share > 0)) return;
    if (session->run.variant->measure != NULL)
        bench_skip(&session->run, "--inject-slowdown: this variant takes its own time and cannot be slowed");
    snprintf(session->outcome->reason, REASON_SIZE, "slowed by %g %% on purpose (--inject-slowdown)", share * 100);
}

void slowdown_wait(const struct session *session, double start) {
    double share = session->options->slowdown, end;
    if (!(share > 0)) return;
    end = start + (bench_seconds() - start) * (1 + share);
    while (bench_seconds() < end) continue;
}

static double typical(struct session *session, size_t count, size_t calls) {
    double seconds[CALIBRATION_SAMPLES];
    take_samples(session, seconds, count, calls);
    return statistics(seconds, count).median;
}

void slowdown_prepare(struct session *session, double estimate, size_t calls) {
    double share = session->options->slowdown;
    if (!(share > 0) || session->run.variant->place != PLACE_DEVICE) return;
    double wanted = session->options->time_cap / (estimate * (double)calls);
    size_t count = wanted > CALIBRATION_SAMPLES       ? CALIBRATION_SAMPLES
                   : wanted < CALIBRATION_SAMPLES_MIN ? CALIBRATION_SAMPLES_MIN
                                                      : (size_t)wanted;
    device_backend->delay(-1);
    double plain = typical(session, count, calls);
    device_backend->delay(0);
    double delay = share * plain - (typical(session, count, calls) - plain);
    device_backend->delay(delay > 0 ? delay : -1);
    if (!(delay > 0))
        bench_skip(&session->run, "--inject-slowdown: %g %% of %.3g us is less than what a kernel that waits costs",
                   share * 100, plain * 1e6);
}
