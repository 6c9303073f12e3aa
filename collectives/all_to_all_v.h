/* all_to_all_v.h: the axes of its own, for all_to_all_v.c and .cu. */
#ifndef COLLECTIVES_ALL_TO_ALL_V_H
#define COLLECTIVES_ALL_TO_ALL_V_H

#include "collectives/lib/exchanges.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AXIS_SKEW = COLLECTIVE_IN_PLACE, AXIS_SIZES }; /* there is no working in place */
enum { SIZES_BY_SKEW, SIZES_BY_MATRIX };

#ifdef __cplusplus
}
#endif
#endif
