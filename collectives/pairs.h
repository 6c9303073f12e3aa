/* pairs.h: what pairs.c and pairs.cu share. */
#ifndef COLLECTIVES_PAIRS_H
#define COLLECTIVES_PAIRS_H

#include "collectives/lib/collective.h"
#include "collectives/lib/pair_times.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AXIS_FIRST, AXIS_SECOND, AXIS_BYTES, AXIS_PATTERN };
enum { PATTERN_ONE_WAY, PATTERN_BOTH_WAYS, PATTERN_ROUND_TRIP };

/* For variant.measure: reports the times of `call` between the case's pair, the one that pair_now() says, and how they
   compare with all pairs'; then leaves the result of one call on fresh data to be checked. */
void pairs_measure(struct run *run, void (*call)(struct run *run));

#ifdef __cplusplus
}
#endif
#endif
