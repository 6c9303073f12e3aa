/* matrix_chain_device.h: the operands of a chain in device memory, for .cu files. */
#ifndef KERNELS_LIB_MATRIX_CHAIN_DEVICE_H
#define KERNELS_LIB_MATRIX_CHAIN_DEVICE_H

#include "kernels/lib/device_clock.h"
#include "kernels/lib/matrix_chain.h"

static inline const void *matrix_chain_device_a(struct run *run, const struct matrix_chain *chain) {
    return device_copy(run, chain->a, (size_t)chain->m * CHAIN_ROW_BYTES);
}

/* B as dense instructions want it, or, spread, as sparse ones do: rows of CHAIN_ROW_BYTES, or twice as long. */
static inline const void *matrix_chain_device_b(struct run *run, const struct matrix_chain *chain, bool sparse) {
    if (!sparse) return device_copy(run, chain->b, (size_t)chain->n * CHAIN_ROW_BYTES);
    void *spread = bench_alloc(run, (size_t)chain->n * CHAIN_SPARSE_ROW_BYTES);
    matrix_chain_spread(chain, spread);
    return device_copy(run, spread, (size_t)chain->n * CHAIN_SPARSE_ROW_BYTES);
}

#endif
