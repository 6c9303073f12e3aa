/* cluster.h: thread block clusters, for .cu files: who we are in one, its barrier, and the shared memory of its other
   blocks. Compute capability 9.0 and up: below it the device functions are missing. See the PTX ISA, "mapa" and
   "barrier.cluster". */
#ifndef KERNELS_LIB_CLUSTER_H
#define KERNELS_LIB_CLUSTER_H

#include "bench/cuda.h"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
static __device__ inline unsigned cluster_rank(void) {
    unsigned rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
static __device__ inline unsigned cluster_size(void) {
    unsigned size;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    return size;
}
/* By all threads of all blocks; what was written before it is seen after it. */
static __device__ inline void cluster_barrier(void) {
    asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}
/* Where block `rank` of the cluster has what this block has at `pointer` of its shared memory: an address for
   .shared::cluster instructions. */
static __device__ inline unsigned cluster_address(const void *pointer, unsigned rank) {
    unsigned address;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(address)
                 : "r"((unsigned)__cvta_generic_to_shared(pointer)), "r"(rank));
    return address;
}
#endif

/* Blocks in clusters of `cluster` (0: without), or, `together`, all of them resident at the same time. */
static inline void cluster_launch(struct run *run, const void *kernel, unsigned blocks, unsigned threads,
                                  unsigned cluster, bool together, size_t shared_bytes, void **arguments) {
    cudaLaunchAttribute attribute[1] = {};
    cudaLaunchConfig_t config = {.gridDim = dim3(blocks), .blockDim = dim3(threads), .dynamicSmemBytes = shared_bytes,
                                 .stream = run->stream};
    attribute[0].id = together ? cudaLaunchAttributeCooperative : cudaLaunchAttributeClusterDimension;
    if (together) attribute[0].val.cooperative = 1;
    else attribute[0].val.clusterDim.x = cluster, attribute[0].val.clusterDim.y = attribute[0].val.clusterDim.z = 1;
    config.attrs = attribute;
    config.numAttrs = together || cluster > 0 ? 1 : 0;
    CUDA_CHECK(run, cudaLaunchKernelExC(&config, kernel, arguments));
}

/* Before launches in clusters: allows sizes above 8 and so much dynamic shared memory. Returns how many clusters the
   device holds at a time. */
static inline unsigned cluster_prepare(struct run *run, const void *kernel, unsigned threads, unsigned cluster,
                                       size_t shared_bytes) {
    cudaLaunchAttribute attribute[1] = {};
    cudaLaunchConfig_t config = {.gridDim = dim3(cluster), .blockDim = dim3(threads), .dynamicSmemBytes = shared_bytes};
    int clusters = 0;
    if (cluster > 8)
        CUDA_CHECK(run, cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    CUDA_CHECK(run, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes));
    attribute[0].id = cudaLaunchAttributeClusterDimension;
    attribute[0].val.clusterDim.x = cluster;
    attribute[0].val.clusterDim.y = attribute[0].val.clusterDim.z = 1;
    config.attrs = attribute;
    config.numAttrs = 1;
    CUDA_CHECK(run, cudaOccupancyMaxActiveClusters(&clusters, kernel, &config));
    if (clusters < 1) bench_skip(run, "the device holds no cluster of %u blocks of this size", cluster);
    return (unsigned)clusters;
}

/* NULL, or why this kernel, compiled for clusters, does not run on the current device. */
static inline const char *cluster_missing(const void *kernel) {
    struct cudaFuncAttributes attributes;
    if (cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess && attributes.ptxVersion >= 90) return NULL;
    cudaGetLastError();
    return "needs compute capability 9.0, on the device and in the build";
}

#endif
