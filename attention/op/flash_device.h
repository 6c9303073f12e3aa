/* flash_device.h: what flash kernels are made of, for .cu files compiled for sm_90a: tiles in shared memory that the
   copy engine fills from tensor maps, barriers between warpgroups, and the two products of attention by the types of
   their operands.

   A tile of `rows` tokens lies as chunks of 64 elements of head_dim, [chunk][row][64], swizzled as wgmma.h says; a last
   chunk that head_dim does not fill is padded with zeros by the copy engine. Names of operations: PTX ISA. */
#ifndef ATTENTION_FLASH_DEVICE_H
#define ATTENTION_FLASH_DEVICE_H

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/lib/wgmma.h"

enum { CHUNK = 64, CHUNK_BYTES = 128, WARP = 32 };

#if WGMMA_BUILT
/* A barrier whose phases end with `arrivals` arrivals and all expected bytes. */
static __device__ inline void barrier_start_for(uint64_t *barrier, unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
static __device__ inline void barrier_arrive(uint64_t *barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/* `rows` tokens from `row` on of one head: all chunks of the box's height; completes on the barrier. */
static __device__ inline void load_chunk(void *to, const CUtensorMap *map, int element, int row, int head, int batch,
                                         uint64_t *barrier) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
                 "[%1, {%2, %3, %4, %5}], [%6];" ::"r"(shared_address(to)),
                 "l"(map), "r"(element), "r"(row), "r"(head), "r"(batch), "r"(shared_address(barrier))
                 : "memory");
}

static __device__ inline void store_chunk(const CUtensorMap *map, const void *from, int element, int row, int head,
                                          int batch) {
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3, %4}], [%5];" ::"l"(map),
                 "r"(element), "r"(row), "r"(head), "r"(batch), "r"(shared_address(from))
                 : "memory");
}
static __device__ inline void store_commit(void) {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* Four 8 x 8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8. */
static __device__ inline void store_matrices(void *row, const uint32_t (&piece)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
                 "r"(piece[0]), "r"(piece[1]), "r"(piece[2]), "r"(piece[3])
                 : "memory");
}

/* Named barriers of the block: threads that wait and threads that only arrive, `threads` in all. */
static __device__ inline void named_wait(int name, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory");
}
static __device__ inline void named_arrive(int name, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(name), "r"(threads) : "memory");
}

/* Registers go from the warpgroup that only copies to those that compute. */
template <int registers> static __device__ inline void take_registers(void) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers> static __device__ inline void give_registers(void) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

static __device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
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

/* D (64 x n) += A B^T, both tiles in shared memory with head_dim contiguous. */
#define PRODUCT_SS(n)                                                                                                  \
    static __device__ __forceinline__ void product_ss(float(&d)[n / 2], uint64_t a, uint64_t b, bool accumulate,       \
                                                      __nv_bfloat16) {                                                 \
        wgmma_bf16_fp32_n##n##_ss(d, a, b, accumulate);                                                                \
    }                                                                                                                  \
    static __device__ __forceinline__ void product_ss(float(&d)[n / 2], uint64_t a, uint64_t b, bool accumulate,       \
                                                      __half) {                                                        \
        wgmma_fp16_fp32_n##n##_ss(d, a, b, accumulate);                                                                \
    }
PRODUCT_SS(64)
PRODUCT_SS(80)
PRODUCT_SS(96)
PRODUCT_SS(112)
PRODUCT_SS(128)
PRODUCT_SS(144)
PRODUCT_SS(160)
PRODUCT_SS(176)
PRODUCT_SS(192)

/* D (64 x n) += A B with A in registers and B's n contiguous. */
#define PRODUCT_RS(n)                                                                                                  \
    static __device__ __forceinline__ void product_rs(float(&d)[n / 2], const uint32_t(&a)[4], uint64_t b,             \
                                                      bool accumulate, __nv_bfloat16) {                                \
        wgmma_bf16_fp32_t_n##n##_rs(d, a, b, accumulate);                                                              \
    }                                                                                                                  \
    static __device__ __forceinline__ void product_rs(float(&d)[n / 2], const uint32_t(&a)[4], uint64_t b,             \
                                                      bool accumulate, __half) {                                       \
        wgmma_fp16_fp32_t_n##n##_rs(d, a, b, accumulate);                                                              \
    }
PRODUCT_RS(64)
PRODUCT_RS(96)
PRODUCT_RS(128)
PRODUCT_RS(192)
PRODUCT_RS(256)
#endif

#endif
