/* harness_cost.h: the state that both halves of harness_cost know. */
#ifndef KERNELS_HARNESS_COST_H
#define KERNELS_HARNESS_COST_H
#include <stdint.h>

struct sum {
    int64_t adds;
    uint64_t *total; /* output: 8 bytes */
};
#endif
