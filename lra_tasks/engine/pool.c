/* pool.c: mean pooling over an example's own tokens. */
#include "lra_tasks/engine/layers.h"

void pool_forward(real *restrict out, const real *restrict in, const struct packing *packing, int64_t width) {
    for (int64_t e = 0; e < packing->examples; e++) {
        real *mean = out + e * width;
        const real share = 1 / (real)(packing->start[e + 1] - packing->start[e]);
        memset(mean, 0, (size_t)width * sizeof *mean);
        for (int64_t row = packing->start[e]; row < packing->start[e + 1]; row++) {
#pragma omp simd
            for (int64_t c = 0; c < width; c++) mean[c] += in[row * width + c];
        }
        for (int64_t c = 0; c < width; c++) mean[c] *= share;
    }
}

void pool_backward(real *restrict d_in, const real *restrict d_out, const struct packing *packing, int64_t width) {
    for (int64_t e = 0; e < packing->examples; e++) {
        const real share = 1 / (real)(packing->start[e + 1] - packing->start[e]);
        for (int64_t row = packing->start[e]; row < packing->start[e + 1]; row++) {
#pragma omp simd
            for (int64_t c = 0; c < width; c++) d_in[row * width + c] = d_out[e * width + c] * share;
        }
    }
}
