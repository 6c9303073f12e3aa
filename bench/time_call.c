/* time_call.c: the harness's own timing, lent to measure variants that compare it with something else. */
#include <string.h>

#include "session.h"

size_t bench_time_call(struct run *run, void (*call)(struct run *run), double cap, double **seconds) {
    struct session *session = session_of(run);
    const struct variant *variant = run->variant;
    const struct options *options = session->options;
    /* static: a call that fails leaves through bench_fail, past this frame, and run->variant is still used then */
    static struct variant timed;
    static struct options limited;
    size_t noted = strlen(session->note);
    timed = *variant;
    timed.run = call;
    timed.measure = NULL;
    limited = *options;
    limited.time_cap = cap;
    run->variant = &timed;
    session->options = &limited;
    size_t count = time_variant(session, seconds);
    run->variant = variant;
    session->options = options;
    session->note[noted] = '\0'; /* a cap that was reached is the caller's plan */
    return count;
}
