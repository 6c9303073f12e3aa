/* prefill.h: what prefill.c and prefill.cu share. */
#ifndef ATTENTION_PREFILL_H
#define ATTENTION_PREFILL_H

#include "attention/op/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Streams of the seeded data. */
enum { STREAM_QUERY = 1, STREAM_KEY, STREAM_VALUE };

struct prefill {
    struct mask *mask;
    struct attention_problem problem;
    const struct attention_operator *method;
    struct attention_plan plan;
    struct attention_buffers host;   /* operands of host variants; copies for the check of device variants */
    struct attention_buffers device; /* set and read by prefill.cu alone */
};

/* Callbacks and parts of callbacks that variants of both places share. */
const char *prefill_decline(const struct run *run, const struct attention_operator *method);
void prefill_prepare(struct run *run, const struct attention_operator *method); /* makes the plan */
void prefill_release(struct run *run);
double prefill_flops(const struct run *run);
/* The operator of a table, ended by NULL, that has the variant's name. */
const struct attention_operator *prefill_method(const struct run *run, const struct attention_operator *const *table);

#ifdef __cplusplus
}
#endif
#endif
