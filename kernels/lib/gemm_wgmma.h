/* gemm_wgmma.h: C = A B in bf16 with fp32 sums by our own kernel for Hopper: bulk tensor copies feed warpgroup matrix
   instructions. For .cu files. C (m x n) is row major; A is m x k, or k x m with a_transposed; B is k x n, or n x k
   with b_transposed: any of the four, which is what a layer's forward and backward products need. */
#ifndef KERNELS_GEMM_WGMMA_H
#define KERNELS_GEMM_WGMMA_H

#include "kernels/lib/tensor_copy.h"

/* To the kernel, by value: D = L R, where D is C or C transposed. */
struct gemm_wgmma_arguments {
    CUtensorMap left, right, c;
    int rows, columns; /* of D, in tiles of a cluster */
    int k_steps;
    int group;         /* clusters walk over D in bands of so many rows of tiles */
    int bytes;         /* that a stage receives */
};

struct gemm_wgmma {
    struct gemm_wgmma_arguments arguments;
    const void *kernel;
    unsigned blocks, threads, shared_bytes, cluster;
};

struct gemm_wgmma_product {
    int64_t m, n, k;
    bool a_transposed, b_transposed;
    const void *a, *b; /* bf16, aligned to 16 bytes */
    void *c;
};

/* NULL, or why this device or these sizes cannot be: rows of A, B and C are whole multiples of 16 bytes (n and k of 8;
   m too where A is transposed), and dimensions are below 2^31. */
const char *gemm_wgmma_declines(const struct gemm_wgmma_product *product);

/* Chooses the tile and makes the maps. The plan holds nothing to release; put it at an address aligned to 64 bytes. */
void gemm_wgmma_create(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product);

/* The product on run->stream; returns at once, may be captured. */
void gemm_wgmma_run(struct run *run, struct gemm_wgmma *plan);

#endif
