/* random.h: seeded data. Counter-based: element i of stream s depends on (seed, s, i) alone, so any thread, rank or
   device can make any part. The generator is splitmix64's finalizer (Steele, Lea, Flood 2014) over the counter. */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <math.h>
#include <stdint.h>

#include "bench.h"

#ifdef __CUDACC__
#define RANDOM_INLINE static inline __host__ __device__
#else
#define RANDOM_INLINE static inline
#endif

RANDOM_INLINE uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t index) {
    uint64_t z = seed + stream * UINT64_C(0xd1342543de82ef95) + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
RANDOM_INLINE double random_uniform(uint64_t seed, uint64_t stream, uint64_t index) { /* [0, 1) */
    return (double)(random_bits(seed, stream, index) >> 11) * 0x1p-53;
}
RANDOM_INLINE double random_normal(uint64_t seed, uint64_t stream, uint64_t index) { /* Box-Muller */
    uint64_t bits = random_bits(seed, stream, index);
    double u = ((double)(bits >> 32) + 0.5) * 0x1p-32, v = (double)(bits & 0xffffffffu) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

#ifdef __cplusplus
extern "C" {
#endif
/* Fill an array with N(0,1) (integers: uniform -8..7 or 0..15 unsigned), or zeros if run->zeros, in parallel. */
void random_fill(const struct run *run, enum dtype dtype, void *array, size_t count, uint64_t stream);
#ifdef __cplusplus
}
#endif
#endif
