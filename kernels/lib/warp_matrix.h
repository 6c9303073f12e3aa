/* warp_matrix.h: the matrix instructions of a warp on 16-bit operands, and what feeds them, for .cu files: mma.sync
   m16n8k16, ldmatrix, cp.async. Compute capability 8.0 and up: below it the header is empty. See the PTX ISA.

   Fragments of a lane, g = lane / 4 and t = lane % 4, two elements a register:
     A 16 x 16   a[0] (g, 2 t), a[1] (g + 8, 2 t), a[2] (g, 2 t + 8), a[3] (g + 8, 2 t + 8), and the next column of each
     B 16 x 8    b[0] (2 t, g), b[1] (2 t + 8, g), and the next row of each
     D 16 x 8    d[0], d[1] (g, 2 t) and the next column; d[2], d[3] (g + 8, 2 t) and the next */
#ifndef KERNELS_WARP_MATRIX_H
#define KERNELS_WARP_MATRIX_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

/* D += A B, sums in fp32; the first argument's type chooses the format. */
static __device__ __forceinline__ void warp_mma(const __nv_bfloat16 *, float (&d)[4], const uint32_t (&a)[4],
                                                uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
static __device__ __forceinline__ void warp_mma(const __half *, float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                                uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Two numbers rounded into one register, `low` in the lower half. */
static __device__ __forceinline__ uint32_t warp_pack(const __nv_bfloat16 *, float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *(uint32_t *)&pair;
}
static __device__ __forceinline__ uint32_t warp_pack(const __half *, float low, float high) {
    __half2 pair = __floats2half2_rn(low, high);
    return *(uint32_t *)&pair;
}

static __device__ __forceinline__ unsigned warp_shared_address(const void *pointer) {
    return (unsigned)__cvta_generic_to_shared(pointer);
}

/* Four 8 x 8 matrices of 16-bit elements: lane l gives the shared address of row l % 8 of matrix l / 8, 16 bytes. A
   lane receives row g, columns 2 t and 2 t + 1 of each; transposed: rows 2 t and 2 t + 1, column g. */
static __device__ __forceinline__ void warp_load(uint32_t (&to)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}
static __device__ __forceinline__ void warp_load_transposed(uint32_t (&to)[4], unsigned address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

/* 16 bytes from global to shared memory in the background, or 16 zeros without reading. */
static __device__ __forceinline__ void copy_16_bytes(unsigned to, const void *from, bool read) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(read ? 16 : 0) : "memory");
}
static __device__ __forceinline__ void copies_commit(void) {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/* Until all but the last `left` groups of this thread's copies are there; a barrier must follow. */
template <int left> static __device__ __forceinline__ void copies_wait(void) {
    asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

#endif
#endif
