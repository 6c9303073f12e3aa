/* time_call.c: the harness's own timing, lent to measure variants that compare it with something else. */
#include "session.h"

size_t bench_time_call(struct run *run, void (*call)(struct run *run), double cap, double **seconds) {
    struct session *session = session_of(run);
    const struct variant *variant = run->variant;
    const struct options *options = session->options;
    /* static: a call that fails leaves through bench_fail, past this frame, and run->variant is still used then */
    static struct variant timed;
    static struct options limited;
    timed = *variant;
    timed.run = call;
    timed.measure = NULL;
    limited = *options;
    limited.time_cap = cap;
    run->variant = &timed;
    session->options = &limited;
    session->sampling.seconds = NULL;
    sampling_begin(session);
    while (!session->sampling.over) sampling_round(session);
    *seconds = session->sampling.seconds;
    session->sampling.seconds = NULL;
    run->variant = variant;
    session->options = options;
    return session->sampling.count;
}
