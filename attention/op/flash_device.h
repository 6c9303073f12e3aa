/* flash_device.h: what flash kernels are made of, for .cu files compiled for sm_90a: tiles in shared memory that the
   copy engine fills from tensor maps, turns of warpgroups, and the two products of attention by the type of their
   operands.

   A tile of `rows` tokens lies as chunks of 64 elements of head_dim, [chunk][row][64], swizzled as wgmma.h says; a last
   chunk that head_dim does not fill is padded with zeros by the copy engine. */
#ifndef ATTENTION_FLASH_DEVICE_H
#define ATTENTION_FLASH_DEVICE_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/lib/tensor_copy.h"
#include "kernels/lib/warpgroup.h"
#include "kernels/lib/wgmma.h"

enum { CHUNK = 64, CHUNK_BYTES = 128, WARP = 32 };

#if WGMMA_BUILT
/* `rows` tokens from `row` on of one head, in all chunks; completes on the barrier. flash_copy is its second half: the
   bytes have been announced. elements: of head_dim in a chunk. */
static __device__ inline void flash_copy(void *to, const CUtensorMap *map, int chunks, int rows, int row, int head,
                                         int batch, uint64_t *full, int elements = CHUNK) {
    for (int chunk = 0; chunk < chunks; chunk++)
        tensor_load_4d((char *)to + chunk * rows * CHUNK_BYTES, map, chunk * elements, row, head, batch, full);
}
static __device__ inline void flash_load(void *to, const CUtensorMap *map, int chunks, int rows, int row, int head,
                                         int batch, uint64_t *full, int elements = CHUNK) {
    barrier_expect(full, (unsigned)(chunks * rows * CHUNK_BYTES));
    flash_copy(to, map, chunks, rows, row, head, batch, full, elements);
}

/* Arrives at a named barrier of `threads` threads without waiting there. */
static __device__ inline void named_arrive(int name, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(name), "r"(threads) : "memory");
}
static __device__ inline void flash_warp_arrive(uint64_t *barrier) {
    if (threadIdx.x % WARP == 0) barrier_arrive(barrier);
}

/* The same in all threads of a warp, which the compiler only believes of a shuffle: descriptors made of anything else it
   computes anew, in every thread, before each product. */
static __device__ __forceinline__ unsigned flash_uniform(unsigned number) {
    return __shfl_sync(~0u, number, 0);
}

/* Descriptors of tiles count in 16 bytes, so that a step along a tile is an addition, to the low word alone: the high one
   (eight rows of 128 bytes after eight, swizzled) is the same for all tiles. */
static __host__ __device__ constexpr unsigned flash_step(int bytes) {
    return (unsigned)bytes / 16;
}
static __device__ __forceinline__ uint64_t flash_descriptor(unsigned tile, int bytes) {
    constexpr uint64_t HIGH = (uint64_t)(8 * CHUNK_BYTES / 16) | (uint64_t)WGMMA_SWIZZLE_128 << 30;
    return HIGH << 32 | (tile + flash_step(bytes));
}

static __device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

static __device__ inline float reciprocal_fast(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Two numbers in a register, the first one low. */
static __device__ inline uint32_t pack_pair(float low, float high, __nv_bfloat16) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
static __device__ inline uint32_t pack_pair(float low, float high, __half) {
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/* D (64 x n) += A B^T, both tiles in shared memory with head_dim contiguous; `name`: of the type's instructions. */
#define PRODUCT_SS(n, element, name)                                                                                   \
    static __device__ __forceinline__ void product_ss(float(&d)[n / 2], uint64_t a, uint64_t b, bool accumulate,       \
                                                      element) {                                                       \
        wgmma_##name##_fp32_n##n##_ss(d, a, b, accumulate);                                                            \
    }
#define PRODUCT_SS_16(n) PRODUCT_SS(n, __nv_bfloat16, bf16) PRODUCT_SS(n, __half, fp16)
PRODUCT_SS_16(32)
PRODUCT_SS_16(64)
PRODUCT_SS_16(80)
PRODUCT_SS_16(96)
PRODUCT_SS_16(128)

/* D (64 x n) += A B with A in registers and, in 16 bits, B's n contiguous. */
#define PRODUCT_RS(n, element, name)                                                                                   \
    static __device__ __forceinline__ void product_rs(float(&d)[n / 2], const uint32_t(&a)[4], uint64_t b,             \
                                                      bool accumulate, element) {                                      \
        wgmma_##name##_fp32_n##n##_rs(d, a, b, accumulate);                                                            \
    }
#define PRODUCT_RS_16(n) PRODUCT_RS(n, __nv_bfloat16, bf16_bt) PRODUCT_RS(n, __half, fp16_bt)
PRODUCT_RS_16(64)
PRODUCT_RS_16(96)
PRODUCT_RS_16(128)
PRODUCT_RS_16(192)
PRODUCT_RS_16(256)

/* D (64 x n) += A B, both in shared memory, B's n contiguous, and for at_bt A's 64. */
#define PRODUCT_TRANSPOSED(kind, n, element, name)                                                                     \
    static __device__ __forceinline__ void product_ss_##kind(float(&d)[n / 2], uint64_t a, uint64_t b,                 \
                                                             bool accumulate, element) {                               \
        wgmma_##name##_##kind##_fp32_n##n##_ss(d, a, b, accumulate);                                                   \
    }
#define PRODUCT_TRANSPOSED_16(kind, n)                                                                                 \
    PRODUCT_TRANSPOSED(kind, n, __nv_bfloat16, bf16) PRODUCT_TRANSPOSED(kind, n, __half, fp16)
PRODUCT_TRANSPOSED_16(bt, 64)
PRODUCT_TRANSPOSED_16(bt, 128)
PRODUCT_TRANSPOSED_16(at_bt, 128)
#endif

#endif
