/* launch_overhead.h: what both halves of launch_overhead know. */
#ifndef KERNELS_LAUNCH_OVERHEAD_H
#define KERNELS_LAUNCH_OVERHEAD_H

#include "bench/bench.h"

enum { AXIS_KERNELS };

/* run->state of every variant. */
struct launch_state {
    int64_t kernels;         /* of one call */
    unsigned long long ran;  /* of the checked call: kernels that ran */
};

#endif
