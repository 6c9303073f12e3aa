/* all_to_all_v.h: how much each rank sends where, for all_to_all_v.c and .cu. */
#ifndef COLLECTIVES_ALL_TO_ALL_V_H
#define COLLECTIVES_ALL_TO_ALL_V_H

#include "collectives/lib/collective.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AXIS_SKEW = COLLECTIVE_IN_PLACE, AXIS_SIZES }; /* there is no working in place */
enum { SIZES_BY_SKEW, SIZES_BY_MATRIX };

/* What this rank exchanges with one other, in elements. */
struct exchange {
    size_t sent, sent_at;         /* and where it begins in this rank's input */
    size_t received, received_at; /* and where it goes in its output */
    size_t source_at;             /* where it begins in the other's input */
};
const struct exchange *exchanges(void); /* by rank; of the measurement under way */

#ifdef __cplusplus
}
#endif
#endif
