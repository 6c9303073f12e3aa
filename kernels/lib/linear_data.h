/* linear_data.h: data whose sums are known in closed form: element `index` is (index + 1) * factor, with an odd factor,
   cut to the element's width. All arithmetic wraps, and cutting off high bits commutes with adding, so that a sum over
   any arithmetic progression of elements can be held against linear_sum, cut to the same width. */
#ifndef KERNELS_LIB_LINEAR_DATA_H
#define KERNELS_LIB_LINEAR_DATA_H

#include "bench/bench.h"
#include "bench/random.h"

static inline uint64_t linear_factor(const struct run *run) {
    return run->zeros ? 0 : random_bits(run->seed, 1, 0) | 1;
}

RANDOM_INLINE uint64_t linear_word(uint64_t factor, uint64_t index) {
    return (index + 1) * factor;
}

/* Of elements 0, stride, 2 stride, .. of them `count`. */
static inline uint64_t linear_sum(uint64_t factor, uint64_t count, uint64_t stride) {
    uint64_t steps = count % 2 == 0 ? count / 2 * (count - 1) : (count - 1) / 2 * count; /* 0 + 1 + .. + count - 1 */
    return factor * (count + stride * steps);
}

#ifdef __CUDACC__
template <typename word> static __global__ void linear_fill(uint64_t factor, word *array, size_t count) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x)
        array[i] = (word)linear_word(factor, i);
}
#endif
#endif
