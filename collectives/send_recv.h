/* send_recv.h: who sends to whom, for send_recv.c and .cu. */
#ifndef COLLECTIVES_SEND_RECV_H
#define COLLECTIVES_SEND_RECV_H

#include "collectives/lib/collective.h"

enum { AXIS_PATTERN = COLLECTIVE_IN_PLACE }; /* there is no working in place */
enum pattern_word { PATTERN_RING, PATTERN_PAIRS };

static inline int send_to(const struct run *run, const struct collective *c) {
    int step = run->value[AXIS_PATTERN] == PATTERN_RING ? 1 : c->ranks / 2;
    return (c->rank + step) % c->ranks;
}

static inline int receive_from(const struct run *run, const struct collective *c) {
    int step = run->value[AXIS_PATTERN] == PATTERN_RING ? 1 : c->ranks / 2;
    return (c->rank + c->ranks - step) % c->ranks;
}

#endif
