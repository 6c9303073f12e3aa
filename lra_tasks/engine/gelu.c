/* gelu.c: GELU in its tanh form (Hendrycks, Gimpel 2016), written with one exponential:
   x / 2 (1 + tanh u) = x s, s = 1 / (1 + exp(-2 u)), u = a (x + b x^3). */
#include "lra_tasks/engine/layers.h"

static const real A = (real)0.7978845608028654, B = (real)0.044715;

void gelu_forward(real *restrict out, const real *restrict in, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real x = in[i];
        out[i] = x / (1 + engine_exp(-2 * A * (x + B * x * x * x)));
    }
}

/* d (x s) / dx = s + x s (1 - s) 2 u'. */
void gelu_backward(real *d_in, const real *d_out, const real *restrict in, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        real x = in[i], s = 1 / (1 + engine_exp(-2 * A * (x + B * x * x * x)));
        d_in[i] = d_out[i] * (s + x * s * (1 - s) * 2 * A * (1 + 3 * B * x * x));
    }
}
