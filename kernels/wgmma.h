/* wgmma.h: what both halves of wgmma know. The instructions themselves are in lib/wgmma.h. */
#ifndef KERNELS_WGMMA_H
#define KERNELS_WGMMA_H

#include "kernels/lib/matrix_chain.h"

enum { AXIS_DTYPE, AXIS_SUMS, AXIS_A_FROM, AXIS_N, AXIS_SPARSITY, AXIS_WARPGROUPS, AXIS_VALUES };
enum { TYPE_FP16, TYPE_BF16, TYPE_TF32, TYPE_FP8_E4M3, TYPE_FP8_E5M2, TYPE_INT8, TYPE_COUNT };
enum { SUMS_WIDE, SUMS_FP16 };
enum { A_SHARED, A_REGISTERS };
enum { DENSE, SPARSE };
enum { VALUES_RANDOM, VALUES_ZEROS };
enum { ROWS = 64, N_MIN = 8, N_MAX = 256 };

/* Of a throughput call: rounds of each warpgroup's chain. With few columns the chain is the longer in time anyway. */
enum { ROUNDS = CHAIN_ROUNDS_MAX, WARPGROUPS_MAX = 2 };

/* run->state */
struct wgmma_state {
    struct matrix_chain chain;
    int64_t rounds;   /* that the chains now in out were given since they were last zero */
    int64_t matrices; /* ROWS x n each, in out */
    void *out;
};

#endif
