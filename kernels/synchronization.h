/* synchronization.h: what both halves of synchronization know. */
#ifndef KERNELS_SYNCHRONIZATION_H
#define KERNELS_SYNCHRONIZATION_H

#include "bench/bench.h"

enum { AXIS_THREADS, AXIS_BLOCKS };
enum { ROUNDS = 1024, CLUSTER_MAX = 16, GRID_MAX = 1024 };

/* run->state */
struct synchronization_state {
    uint64_t rounds;   /* that every block says it made, added up; of cluster_launch: blocks that ran */
    uint64_t expected;
    uint64_t early;    /* times somebody was through a barrier before somebody else had come */
};

#endif
