/* session.h: one measurement while it runs; struct run is its face towards the program. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <setjmp.h>

#include "harness.h"

enum { BLOCKS_MAX = 256 };

struct block {
    void *pointer;
    size_t bytes;
    enum place place;
};
struct output {
    void *pointer;
    size_t bytes;
    enum place place;
    bool in_place;
};
/* The samples of one measurement, while they are taken. */
struct sampling {
    double *seconds; /* of one call each; malloc, NULL before */
    size_t count, calls; /* samples; calls in each */
    double estimate;     /* seconds of a call, by the warm-up */
    double spent, overhead; /* seconds in rounds; what of them was no call */
    bool settled, over;  /* the median is known well enough; so, or the cap is reached */
};
struct session {
    struct run run; /* first: the program's pointer is ours */
    const struct options *options;
    struct shared *shared;
    struct outcome *outcome;
    struct block blocks[BLOCKS_MAX];
    int block_count;
    struct output outputs[OUTPUTS_MAX];
    int output_count;
    char note[256];    /* what else to know, for an ok row */
    double first_call; /* seconds of the call that is checked */
    struct sampling sampling;
    double lost, started; /* interruptions_lost and bench_seconds when the timing began */
    size_t index; /* in the plan */
    bool in_turn; /* with others: rounds of samples are short */
    const char *absent; /* why there is no device for it; NULL: there is */
    enum phase phase;
    jmp_buf end; /* bench_skip and bench_fail come back here */
    bool ended;
};

static inline struct session *session_of(struct run *run) {
    return (struct session *)run;
}
void session_end(struct session *session, enum status status, const char *reason) __attribute__((noreturn));
/* measure.c: the stages of a measurement. A new one is prepared (all that comes before the timing of a variant's run),
   begun, timed in rounds until sampling.over, and ended, each by session_step, which lets bench_skip and bench_fail end
   it; and closed. The outcome is turn's. */
struct session *session_new(const struct options *options, struct shared *shared, const struct measurement *measurement,
                            struct turn *turn);
void session_step(struct session *session, void (*step)(struct session *session));
void session_prepare(struct session *session);
void session_begin_timing(struct session *session);
void session_take_round(struct session *session);
void session_end_timing(struct session *session);
void session_close(struct session *session);
/* memory.c */
void outputs_poison(struct session *session);
void outputs_corrupt(struct session *session);
void blocks_release(struct session *session);
double blocks_held(const struct session *session);
/* timing.c */
void sampling_begin(struct session *session); /* warms up */
void sampling_round(struct session *session); /* takes at most a tenth of the time cap, in turn a hundredth */
void sampling_drop_half(struct session *session); /* the first, as warm-up */
void sampling_admit_cap(struct session *session); /* says so in the row where the cap ended it */
void take_samples(struct session *session, double *seconds, size_t count, size_t calls); /* on every rank */
/* slowdown.c: --inject-slowdown. Each does nothing where it is not asked for */
void slowdown_admit(struct session *session); /* says so in the row; ends a measurement that cannot be slowed */
void slowdown_prepare(struct session *session, double estimate, size_t calls); /* device: before samples are taken */
void slowdown_wait(const struct session *session, double start); /* host: at the end of a sample begun at start */
/* limits.c */
void limits_use(struct shared *shared, int threads);

#endif
