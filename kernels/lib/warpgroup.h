/* warpgroup.h: what a kernel of specialized warpgroups needs beside its copies and products, for .cu files: registers
   moved from one warpgroup to another, barriers of some warps of a block, clusters, and matrix fragments written to
   shared memory. Compute capability 9.0 and up; registers_.. exist for sm_90a alone and do nothing elsewhere. */
#ifndef KERNELS_LIB_WARPGROUP_H
#define KERNELS_LIB_WARPGROUP_H

#include <stdint.h>

#include "kernels/lib/bulk_copy.h"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

/* Registers of each thread of this warpgroup from now on, a multiple of 8. All the warpgroups of a block together stay
   within what the kernel was started with; the compiler obeys only where __launch_bounds__(threads, 1) capped that. */
template <int count> static __device__ __forceinline__ void registers_give_back(void) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
#endif
}
template <int count> static __device__ __forceinline__ void registers_take(void) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
#endif
}

/* Barrier `name` (1 .. 15; 0 is __syncthreads) of `threads` threads, whole warps. */
static __device__ __forceinline__ void named_barrier(int name, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory");
}

/* The rank of this block in its cluster, and a barrier of all threads of the cluster. */
static __device__ __forceinline__ unsigned cluster_rank(void) {
    unsigned rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
static __device__ __forceinline__ void cluster_barrier(void) {
    asm volatile("barrier.cluster.arrive.release.aligned;\n"
                 "barrier.cluster.wait.acquire.aligned;" ::
                     : "memory");
}

/* Four 8 x 8 matrices of 16-bit numbers, each thread's pair of matrix i in word<i> as the matrix instructions leave
   them; thread t gives the address of row t % 8 of matrix t / 8, 16 bytes. By all threads of a warp. */
static __device__ __forceinline__ void store_matrices(void *row, uint32_t word0, uint32_t word1, uint32_t word2,
                                                      uint32_t word3) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
                 "r"(word0), "r"(word1), "r"(word2), "r"(word3)
                 : "memory");
}

#endif
#endif
