/* tensor_copy_ranks.h: tensor_copy.h for arrays of one and of five dimensions, and maps of packed arrays of any rank up
   to five, for .cu files. */
#ifndef KERNELS_LIB_TENSOR_COPY_RANKS_H
#define KERNELS_LIB_TENSOR_COPY_RANKS_H

#include "kernels/lib/tensor_copy.h"

enum { TENSOR_RANKS_MOST = 5 };

/* The map of an array of 4-byte words without gaps, not swizzled: extent and box of `rank` dimensions, innermost first.
   Fails the measurement where the driver refuses it. */
static inline void tensor_map_make_packed(struct run *run, CUtensorMap *map, const void *array, int rank,
                                          const int64_t *extent, const int *box) {
    cuuint64_t extents[TENSOR_RANKS_MOST], stride[TENSOR_RANKS_MOST], bytes = 4;
    cuuint32_t boxes[TENSOR_RANKS_MOST], step[TENSOR_RANKS_MOST];
    for (int d = 0; d < rank; d++) {
        extents[d] = (cuuint64_t)extent[d];
        stride[d] = bytes; /* of the dimension itself; the first is implied */
        bytes *= extents[d];
        boxes[d] = (cuuint32_t)box[d];
        step[d] = 1;
    }
    CUresult result = tensor_map_encoder(run)(map, CU_TENSOR_MAP_DATA_TYPE_UINT32, (cuuint32_t)rank, (void *)array,
                                              extents, stride + 1, boxes, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                              CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                                              CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS) bench_fail(run, "cuTensorMapEncodeTiled: error %d", (int)result);
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

static __device__ inline void tensor_load_1d(void *to, const CUtensorMap *map, int x, uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2}], "
                 "[%3];" ::"r"(shared_address(to)),
                 "l"(map), "r"(x), "r"(shared_address(barrier))
                 : "memory");
}

static __device__ inline void tensor_load_5d(void *to, const CUtensorMap *map, const int (&at)[TENSOR_RANKS_MOST],
                                      uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3, %4, %5, %6}], [%7];" ::"r"(shared_address(to)),
                 "l"(map), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]), "r"(shared_address(barrier))
                 : "memory");
}

#endif
#endif
