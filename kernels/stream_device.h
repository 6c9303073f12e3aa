/* stream_device.h: the parts of stream's kernels: an operation on sixteen bytes, and a sum over all blocks. */
#ifndef KERNELS_STREAM_DEVICE_H
#define KERNELS_STREAM_DEVICE_H

#include "kernels/stream.h"

struct stream_arguments {
    void *out;
    const void *first, *second;
    size_t bytes;
    double *partial;  /* read: the sum of each block */
    unsigned *ticket; /* read: blocks that are done */
    double *result;
};

template <typename type> union sixteen_bytes {
    uint4 bits;
    type lane[sizeof(uint4) / sizeof(type)];
};

template <enum operation operation, typename type> static __device__ inline uint4 combine(uint4 first, uint4 second) {
    union sixteen_bytes<type> a, b, out;
    a.bits = first;
    b.bits = second;
    for (int i = 0; i < (int)(sizeof(uint4) / sizeof(type)); i++) {
        if (operation == SCALE) out.lane[i] = (type)SCALAR * a.lane[i];
        else if (operation == ADD) out.lane[i] = a.lane[i] + b.lane[i];
        else if (operation == TRIAD) out.lane[i] = a.lane[i] + (type)SCALAR * b.lane[i];
        else if (operation == FILL) out.lane[i] = (type)SCALAR;
        else out.lane[i] = a.lane[i];
    }
    return out.bits;
}

template <typename type> static __device__ inline type sum_of(uint4 four) {
    union sixteen_bytes<type> a;
    type sum = 0;
    a.bits = four;
    for (int i = 0; i < (int)(sizeof(uint4) / sizeof(type)); i++) sum += a.lane[i];
    return sum;
}

/* Input is read once, so it need not push anything out of L1. */
static __device__ inline uint4 load_once(const uint4 *from) {
    uint4 four;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(four.x), "=r"(four.y), "=r"(four.z), "=r"(four.w)
                 : "l"(from));
    return four;
}

/* The sum over the block, in every thread. */
static __device__ inline double block_sum(double sum) {
    __shared__ double of_warp[32], all;
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        all = 0;
        for (unsigned warp = 0; warp < blockDim.x / 32; warp++) all += of_warp[warp];
    }
    __syncthreads();
    return all;
}

/* The last block to come here adds the sums of all. atomicInc wraps to 0 with that block: ready for the next call. */
static __device__ inline void finish_sum(const struct stream_arguments *arguments, double sum) {
    __shared__ bool last;
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        arguments->partial[blockIdx.x] = sum;
        __threadfence();
        last = atomicInc(arguments->ticket, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    double total = 0;
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x)
        total += __ldcg(&arguments->partial[block]);
    total = block_sum(total);
    if (threadIdx.x < RESULT_COPIES) arguments->result[threadIdx.x] = total;
}

#endif
