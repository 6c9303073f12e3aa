/* atomics.h: what both halves of atomics know. */
#ifndef KERNELS_ATOMICS_H
#define KERNELS_ATOMICS_H

#include "bench/bench.h"

enum { AXIS_OPERATION, AXIS_DTYPE, AXIS_TARGETS, AXIS_RESULT };
enum operation { OPERATION_ADD, OPERATION_MAX, OPERATION_EXCHANGE, OPERATION_COMPARE, OPERATION_COUNT };
enum { TYPE_INT32, TYPE_INT64, TYPE_FP32, TYPE_FP64, TYPE_COUNT };
enum { RESULT_DISCARDED, RESULT_USED };
enum { UPDATES = 32, SHARED_TARGETS_MOST = 4096 }; /* of a thread; words in a block's shared memory */

/* run->state. Update u of all goes to word u % targets; each copy of the words gets `updates` of them. */
struct atomics_state {
    int64_t updates, copies;
    void *words;            /* host memory: copies x targets words */
    uint64_t results;       /* what was there before, added up over all updates, where it is asked for */
};

#endif
