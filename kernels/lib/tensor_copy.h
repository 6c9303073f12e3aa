/* tensor_copy.h: tiles of 1- to 4-dimensional arrays by the copy engine (cp.async.bulk.tensor), for .cu files: the
   tensor map that describes an array and its tiles, made on the host, and the copies, started by one thread. What lies
   outside the array is read as zero and not written. Compute capability 9.0 and up; see the PTX ISA, "Tensors".

   Host: tensor_map_make in setup; the map goes to the kernel by value, in a __grid_constant__ parameter, aligned to 64
   bytes (alignof(CUtensorMap) is).
   Device: coordinates count elements, innermost dimension first. A load completes on a barrier of bulk_copy.h with the
   bytes of a whole tile, whatever part of it lies outside; a store is a group of its own, waited for with
   bulk_store_wait. Tiles in shared memory start at multiples of 128 bytes, with a swizzle of 128 bytes at multiples of
   1024, where the innermost dimension of a tile is at most 128 bytes. */
#ifndef KERNELS_LIB_TENSOR_COPY_H
#define KERNELS_LIB_TENSOR_COPY_H

#include <cudaTypedefs.h>

#include "bench/cuda.h"
#include "kernels/lib/bulk_copy.h"

enum { TENSOR_RANK_MAX = 4 };

struct tensor_tiling {
    enum dtype dtype;
    int rank;
    int64_t extent[TENSOR_RANK_MAX]; /* elements of the array, innermost dimension first */
    int64_t stride[TENSOR_RANK_MAX]; /* elements; the first is 1, the others are multiples of 16 bytes */
    int tile[TENSOR_RANK_MAX];       /* elements of a tile: up to 256 each */
    CUtensorMapSwizzle swizzle;
};

/* The driver's function, asked for by name, so that programs also start where there is no driver to link with. */
static inline PFN_cuTensorMapEncodeTiled_v12000 tensor_map_encoder(struct run *run) {
    static void *encoder;
    enum cudaDriverEntryPointQueryResult found;
    if (encoder != NULL) return (PFN_cuTensorMapEncodeTiled_v12000)encoder;
    CUDA_CHECK(run, cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encoder, 12000, cudaEnableDefault,
                                                     &found));
    if (found != cudaDriverEntryPointSuccess) bench_fail(run, "the driver has no cuTensorMapEncodeTiled");
    return (PFN_cuTensorMapEncodeTiled_v12000)encoder;
}

static inline CUtensorMapDataType tensor_map_dtype(struct run *run, enum dtype dtype) {
    switch (dtype) {
    case DTYPE_fp64: return CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
    case DTYPE_fp32: return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case DTYPE_tf32: return CU_TENSOR_MAP_DATA_TYPE_FLOAT32; /* as stored: already rounded */
    case DTYPE_bf16: return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DTYPE_fp16: return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DTYPE_fp8_e4m3:
    case DTYPE_fp8_e5m2:
    case DTYPE_int8:
    case DTYPE_uint8: return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    case DTYPE_int32: return CU_TENSOR_MAP_DATA_TYPE_INT32;
    default: bench_fail(run, "no tensor map for %s", dtype_names[dtype]);
    }
}

/* Fails the measurement where the driver refuses the map. */
static inline void tensor_map_make(struct run *run, CUtensorMap *map, const void *array,
                                   const struct tensor_tiling *tiling) {
    cuuint64_t extent[TENSOR_RANK_MAX], stride_bytes[TENSOR_RANK_MAX];
    cuuint32_t box[TENSOR_RANK_MAX], step[TENSOR_RANK_MAX];
    for (int d = 0; d < tiling->rank; d++) {
        extent[d] = (cuuint64_t)tiling->extent[d];
        stride_bytes[d] = (cuuint64_t)tiling->stride[d] * dtype_size(tiling->dtype);
        box[d] = (cuuint32_t)tiling->tile[d];
        step[d] = 1;
    }
    CUresult result = tensor_map_encoder(run)(
        map, tensor_map_dtype(run, tiling->dtype), (cuuint32_t)tiling->rank, (void *)array, extent, stride_bytes + 1,
        box, step, CU_TENSOR_MAP_INTERLEAVE_NONE, tiling->swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result != CUDA_SUCCESS)
        bench_fail(run, "cuTensorMapEncodeTiled: error %d for a tile of %d x %d in rows of %lld elements", (int)result,
                   tiling->tile[1], tiling->tile[0], (long long)tiling->stride[1]);
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

/* Brings the map itself near, before the first copy. */
static __device__ inline void tensor_map_prefetch(const CUtensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

static __device__ inline void tensor_load_2d(void *to, const CUtensorMap *map, int x, int y, uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3}], [%4];" ::"r"(shared_address(to)),
                 "l"(map), "r"(x), "r"(y), "r"(shared_address(barrier))
                 : "memory");
}

static __device__ inline void tensor_load_3d(void *to, const CUtensorMap *map, int x, int y, int z,
                                             uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3, %4}], [%5];" ::"r"(shared_address(to)),
                 "l"(map), "r"(x), "r"(y), "r"(z), "r"(shared_address(barrier))
                 : "memory");
}

static __device__ inline void tensor_load_4d(void *to, const CUtensorMap *map, int x, int y, int z, int w,
                                             uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3, %4, %5}], [%6];" ::"r"(shared_address(to)),
                 "l"(map), "r"(x), "r"(y), "r"(z), "r"(w), "r"(shared_address(barrier))
                 : "memory");
}

/* Into the same place, and on the barrier at the same place, of every block of the cluster whose bit is in `ranks`. */
static __device__ inline void tensor_load_2d_to(void *to, const CUtensorMap *map, int x, int y, uint64_t *barrier,
                                                uint16_t ranks) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
                 "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(to)),
                 "l"(map), "r"(x), "r"(y), "r"(shared_address(barrier)), "h"(ranks)
                 : "memory");
}

static __device__ inline void tensor_store_2d(const CUtensorMap *map, int x, int y, const void *from) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];\n"
                 "cp.async.bulk.commit_group;" ::"l"(map),
                 "r"(x), "r"(y), "r"(shared_address(from))
                 : "memory");
}

static __device__ inline void tensor_store_3d(const CUtensorMap *map, int x, int y, int z, const void *from) {
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3}], [%4];\n"
                 "cp.async.bulk.commit_group;" ::"l"(map),
                 "r"(x), "r"(y), "r"(z), "r"(shared_address(from))
                 : "memory");
}

static __device__ inline void tensor_store_4d(const CUtensorMap *map, int x, int y, int z, int w, const void *from) {
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3, %4}], [%5];\n"
                 "cp.async.bulk.commit_group;" ::"l"(map),
                 "r"(x), "r"(y), "r"(z), "r"(w), "r"(shared_address(from))
                 : "memory");
}

#endif
#endif
