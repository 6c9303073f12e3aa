/* tensor_copy_device.h: single copies of tensor_copy, and the sums over what they brought. */
#ifndef KERNELS_TENSOR_COPY_DEVICE_H
#define KERNELS_TENSOR_COPY_DEVICE_H

#include "kernels/lib/device_clock.h"
#include "kernels/lib/device_sum.h"
#include "kernels/lib/tensor_copy_ranks.h"
#include "kernels/tensor_copy.h"

enum kind { KIND_TENSOR, KIND_BULK, KIND_ASYNC, KIND_LOAD };
enum { THREADS = 256, STAGES_MOST = 16, ALIGNMENT = 128, LOADS = 8, GROUP_BYTES = 8192 };

struct copy_arguments {
    CUtensorMap map;
    struct copy_shape shape;
    const uint4 *array;
    uint32_t *sum; /* over all blocks */
    struct device_span *spans;
    unsigned box_bytes, group; /* boxes that are copied and added up together: GROUP_BYTES of small ones */
    unsigned units, unit_bytes; /* groups */
    unsigned stages, rounds;
};

static __device__ uint32_t sum_of(uint4 v) {
    return v.x + v.y + v.z + v.w;
}

/* The vectors of a unit in shared memory that are this thread's. */
static __device__ uint32_t sum_unit(const uint4 *box, unsigned bytes) {
    uint32_t sum = 0;
    for (unsigned i = threadIdx.x; i < bytes / 16; i += THREADS) sum += sum_of(box[i]);
    return sum;
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
/* Where box `box` begins in the array, in words of each dimension. */
static __device__ void box_origin(const struct copy_shape *shape, unsigned box, int (&at)[TENSOR_RANKS_MOST]) {
#pragma unroll
    for (int d = 0; d < TENSOR_RANKS_MOST; d++) {
        int bits = shape->extent[d] - shape->box[d];
        at[d] = (int)((box & ((1u << bits) - 1)) << shape->box[d]);
        box >>= bits;
    }
}

static __device__ __forceinline__ void start_tensor(const struct copy_arguments *arguments,
                                                    const int (&at)[TENSOR_RANKS_MOST], void *to, uint64_t *barrier) {
    switch (arguments->shape.rank) {
    case 1: tensor_load_1d(to, &arguments->map, at[0], barrier); break;
    case 2: tensor_load_2d(to, &arguments->map, at[0], at[1], barrier); break;
    case 3: tensor_load_3d(to, &arguments->map, at[0], at[1], at[2], barrier); break;
    case 4: tensor_load_4d(to, &arguments->map, at[0], at[1], at[2], at[3], barrier); break;
    default: tensor_load_5d(to, &arguments->map, at, barrier);
    }
}

/* The boxes of a group, one by each lane of the first warp; they complete on the barrier, which expects them. */
template <enum kind kind>
static __device__ void start_copy(const struct copy_arguments *arguments, unsigned unit, unsigned char *to,
                                  uint64_t *barrier) {
    unsigned box = unit * arguments->group + threadIdx.x;
    if (threadIdx.x == 0) barrier_expect(barrier, arguments->unit_bytes);
    if (arguments->group > 1) __syncwarp();
    if (threadIdx.x >= arguments->group) return;
    to += threadIdx.x * arguments->box_bytes;
    if (kind == KIND_TENSOR) {
        int at[TENSOR_RANKS_MOST];
        box_origin(&arguments->shape, box, at);
        start_tensor(arguments, at, to, barrier);
    } else bulk_load(to, arguments->array + (size_t)box * (arguments->box_bytes / 16), arguments->box_bytes, barrier);
}
#endif

/* cp.async by this thread of its share of the vectors, as one group. */
static __device__ void async_vectors(const uint4 *from, uint4 *to, unsigned vectors) {
    for (unsigned i = threadIdx.x; i < vectors; i += THREADS)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(to + i)),
                     "l"(from + i)
                     : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* The same of a unit; an empty group past the last one. */
static __device__ void start_async(const struct copy_arguments *arguments, unsigned unit, bool any, uint4 *to) {
    unsigned vectors = arguments->unit_bytes / 16;
    async_vectors(arguments->array + (size_t)unit * vectors, to, any ? vectors : 0);
}

static __device__ uint4 load_vector(const uint4 *from) {
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from));
    return v;
}

/* This thread's vectors of a unit, LOADS of them under way. */
static __device__ uint32_t load_unit(const struct copy_arguments *arguments, unsigned unit) {
    const uint4 *from = arguments->array + (size_t)unit * (arguments->unit_bytes / 16);
    unsigned vectors = arguments->unit_bytes / 16;
    uint32_t sum = 0;
    for (unsigned first = threadIdx.x; first < vectors; first += THREADS * LOADS) {
        uint4 v[LOADS] = {};
#pragma unroll
        for (unsigned j = 0; j < LOADS; j++)
            if (first + j * THREADS < vectors) v[j] = load_vector(from + first + j * THREADS);
#pragma unroll
        for (unsigned j = 0; j < LOADS; j++) sum += sum_of(v[j]);
    }
    return sum;
}

#endif
