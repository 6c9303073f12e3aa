/* all_to_all_v.h: how much each rank sends where, for all_to_all_v.c and .cu. */
#ifndef COLLECTIVES_ALL_TO_ALL_V_H
#define COLLECTIVES_ALL_TO_ALL_V_H

#include "collectives/lib/collective.h"

enum { AXIS_SKEW = COLLECTIVE_IN_PLACE }; /* there is no working in place */

/* Elements that each rank sends to rank `to`, and where they begin in its input. The same from every rank. */
struct part {
    size_t count, offset;
};

static inline struct part part_for(const struct run *run, int to) {
    size_t total = collective_count(run), ranks = (size_t)run->value[COLLECTIVE_RANKS];
    size_t even = total * (size_t)(100 - run->value[AXIS_SKEW]) / (100 * ranks);
    size_t hot = total - (ranks - 1) * even;
    struct part part = {to == 0 ? hot : even, to == 0 ? 0 : hot + ((size_t)to - 1) * even};
    return part;
}

#endif
