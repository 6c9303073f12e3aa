/* device_sum.h: sums over the threads of a block, for .cu files. */
#ifndef KERNELS_LIB_DEVICE_SUM_H
#define KERNELS_LIB_DEVICE_SUM_H

/* By all threads of whole warps: adds every thread's sum to *total, one atomic addition for each warp. word: unsigned
   or unsigned long long. */
template <typename word> static __device__ inline void device_add_up(word *total, word sum) {
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (threadIdx.x % 32 == 0) atomicAdd(total, sum);
}

#endif
