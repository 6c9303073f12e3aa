/* occupancy.h: what both halves of occupancy know. */
#ifndef KERNELS_OCCUPANCY_H
#define KERNELS_OCCUPANCY_H

#include "kernels/lib/linear_data.h"

enum { AXIS_BYTES, AXIS_WARPS, AXIS_LOADS };
enum { WARPS_MOST = 64, LOADS_MOST = 8 };

/* run->state */
struct occupancy_state {
    uint64_t factor, sum;
};

#endif
