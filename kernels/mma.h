/* mma.h: what both halves of mma know. */
#ifndef KERNELS_MMA_H
#define KERNELS_MMA_H

#include "kernels/lib/matrix_chain.h"

enum { AXIS_DTYPE, AXIS_SUMS, AXIS_SHAPE, AXIS_SPARSITY };
enum { TYPE_FP64, TYPE_FP16, TYPE_BF16, TYPE_TF32, TYPE_FP8_E4M3, TYPE_FP8_E5M2, TYPE_INT8, TYPE_COUNT };
enum { SUMS_WIDE, SUMS_FP16 };
enum { DENSE, SPARSE };

/* Of a throughput call: warps on each multiprocessor, independent chains of each warp, rounds of a chain. */
enum { WARPS = 16, CHAINS = 8, ROUNDS = CHAIN_ROUNDS_MAX_FP16 };
static inline int mma_chains_of(int64_t type) {
    return type == TYPE_FP8_E4M3 || type == TYPE_FP8_E5M2 ? 1 : CHAINS; /* mma.cu says why */
}

/* X(name, m, n, k) */
#define MMA_SHAPES(X)                                                                                                  \
    X(m8n8k4, 8, 8, 4)                                                                                                 \
    X(m8n8k16, 8, 8, 16)                                                                                               \
    X(m16n8k4, 16, 8, 4)                                                                                               \
    X(m16n8k8, 16, 8, 8)                                                                                               \
    X(m16n8k16, 16, 8, 16)                                                                                             \
    X(m16n8k32, 16, 8, 32)                                                                                             \
    X(m16n8k64, 16, 8, 64)
enum mma_shape {
#define MMA_SHAPE_ENUM(name, m, n, k) SHAPE_##name,
    MMA_SHAPES(MMA_SHAPE_ENUM)
#undef MMA_SHAPE_ENUM
    SHAPE_COUNT
};
struct mma_dimensions {
    int m, n, k;
};

/* run->state */
struct mma_state {
    struct matrix_chain chain;
    struct mma_dimensions shape; /* of the instruction */
    double instructions;         /* for a slice: 2 where it takes half of one, 1/2 or 1/4 where it takes several */
    int64_t matrices;            /* m x n each, in out, of ROUNDS rounds */
    void *out;
};

#endif
