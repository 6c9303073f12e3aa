/* linear.c: y = x W + b as GEMMs; the bias is written first and the product added to it. */
#include "lra_tasks/engine/layers.h"

void linear_forward(real *restrict out, const real *in, const real *weight, const real *bias, int64_t rows,
                    int64_t inputs, int64_t outputs) {
    for (int64_t row = 0; row < rows; row++) memcpy(out + row * outputs, bias, (size_t)outputs * sizeof *out);
    engine_gemm(false, false, rows, outputs, inputs, 1, in, inputs, weight, outputs, 1, out, outputs);
}

void linear_backward(real *d_in, real *d_weight, real *restrict d_bias, const real *restrict d_out, const real *in,
                     const real *weight, int64_t rows, int64_t inputs, int64_t outputs) {
    engine_gemm(false, true, rows, inputs, outputs, 1, d_out, outputs, weight, outputs, 0, d_in, inputs);
    engine_gemm(true, false, inputs, outputs, rows, 1, in, inputs, d_out, outputs, 1, d_weight, outputs);
    for (int64_t row = 0; row < rows; row++) {
#pragma omp simd
        for (int64_t c = 0; c < outputs; c++) d_bias[c] += d_out[row * outputs + c];
    }
}
