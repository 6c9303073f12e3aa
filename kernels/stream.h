/* stream.h: what both halves of stream know: the case, its data, and what the result must be. */
#ifndef KERNELS_STREAM_H
#define KERNELS_STREAM_H

#include "bench/bench.h"
#include "bench/random.h"

enum operation { COPY, SCALE, ADD, TRIAD, READ, FILL, OPERATION_COUNT };
enum { AXIS_OPERATION, AXIS_BYTES, AXIS_DTYPE, AXIS_TEAM };
/* Arrays are multiples of LINE bytes, so that no loop of full vectors has a rest. The sum that `read` makes is stored
   RESULT_COPIES times: what corrupts a sixteenth of that output then hits an exponent, not only a last digit. */
enum { LINE = 64, RESULT_COPIES = 16, SAMPLES = 4096 };

/* A power of two, so that scalar * b is exact and a fused multiply-add gives the very bits of a product and a sum. */
#define SCALAR 0.5

struct stream_case {
    enum operation operation;
    bool single; /* fp32, else fp64 */
    bool zeros;
    uint64_t seed;
    size_t count; /* elements of one array */
    size_t bytes; /* of one array */
};

/* run->state of every variant. The arrays are host memory or, with device variants, device memory. */
struct stream_state {
    struct stream_case task;
    int team;
    void *first, *second, *out; /* NULL where the operation has none */
    double *result;             /* read: the sum, RESULT_COPIES times */
    double *partial;            /* host, read: a line for each thread */
    /* what fetch brings from a device */
    double worst;               /* largest |out - expected| over all elements */
    int64_t sample_count, sample_index[SAMPLES];
    double sample[SAMPLES], total[RESULT_COPIES];
};

/* How many arrays an operation reads; a macro, because device code needs it at compile time. */
#define STREAM_INPUTS(operation) ((operation) == FILL ? 0 : (operation) == ADD || (operation) == TRIAD ? 2 : 1)

RANDOM_INLINE double stream_round(const struct stream_case *task, double value) {
    return task->single ? (double)(float)value : value;
}

/* Element `index` of input 0 or 1, in [0, 1]. */
RANDOM_INLINE double stream_value(const struct stream_case *task, int input, size_t index) {
    return task->zeros ? 0 : stream_round(task, random_uniform(task->seed, (uint64_t)input, index));
}

/* The one right value of element `index` of the output, not for READ. Sums of two floats may be made in double and
   rounded again: double has more than twice their digits (Figueroa, SIGNUM 1995). */
RANDOM_INLINE double stream_expected(const struct stream_case *task, size_t index) {
    double a = stream_value(task, 0, index);
    switch (task->operation) {
    case COPY: return a;
    case SCALE: return SCALAR * a;
    case ADD: return stream_round(task, a + stream_value(task, 1, index));
    case TRIAD: return stream_round(task, a + SCALAR * stream_value(task, 1, index));
    default: return SCALAR;
    }
}

#endif
