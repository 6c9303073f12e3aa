/* fma_peak.h: what both halves of fma_peak know: the walk that every accumulator makes. */
#ifndef KERNELS_FMA_PEAK_H
#define KERNELS_FMA_PEAK_H

#include "bench/bench.h"
#include "bench/random.h"

enum { AXIS_DTYPE, AXIS_TEAM };

/* A pair of steps is x = -x + FIRST; x = -x + SECOND, so that a pair adds one. A round is PAIRS pairs; the next round
   has the two addends exchanged and walks back. An odd number of rounds ends PAIRS above the start. The largest value
   stays below 2048, where fp16 still holds every integer. A step keeps distances, so that one wrong result anywhere is
   still there at the end. */
enum { FIRST = 3, SECOND = 4, PAIRS = 1024, STARTS = 64, ROUNDS_HOST = 65, ROUNDS_DEVICE = 9 };

struct kernel;

/* run->state of every variant. */
struct fma_state {
    uint64_t seed;
    bool zeros;
    int rounds, team;
    enum dtype output; /* of the accumulators */
    size_t count;      /* accumulators of all threads */
    void *out;         /* host memory: every accumulator at the end */
    /* host variants */
    const struct kernel *kernel;
    void *start;       /* every accumulator at the beginning */
    void *constants;   /* three registers */
    void *aside;       /* where walks that only tell the clock end */
};

/* Where accumulator `index` starts, a whole number below STARTS. */
RANDOM_INLINE int fma_start(uint64_t seed, bool zeros, size_t index) {
    return zeros ? 0 : (int)(random_bits(seed, 0, index) % STARTS);
}

#endif
