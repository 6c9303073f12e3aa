/* layernorm.c: layer normalization over the channels of a token. */
#include "lra_tasks/engine/layers.h"

static const real VARIANCE_FLOOR = (real)1e-5;

void layernorm_forward(real *restrict out, real *restrict statistic, const real *restrict in,
                       const real *restrict gain, const real *restrict bias, int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; row++) {
        const real *x = in + row * width;
        real *y = out + row * width, sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < width; c++) sum += x[c];
        const real mean = sum / (real)width;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < width; c++) squares += (x[c] - mean) * (x[c] - mean);
        const real inverse = 1 / engine_sqrt(squares / (real)width + VARIANCE_FLOOR);
#pragma omp simd
        for (int64_t c = 0; c < width; c++) y[c] = (x[c] - mean) * inverse * gain[c] + bias[c];
        statistic[2 * row] = mean;
        statistic[2 * row + 1] = inverse;
    }
}

/* With h = (x - mean) inverse and g = d_out gain: dx = inverse (g - mean(g) - h mean(g h)). */
void layernorm_backward(real *restrict d_in, real *restrict d_gain, real *restrict d_bias, const real *restrict d_out,
                        const real *restrict in, const real *restrict statistic, const real *restrict gain,
                        int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; row++) {
        const real *x = in + row * width, *dy = d_out + row * width;
        const real mean = statistic[2 * row], inverse = statistic[2 * row + 1];
        real *dx = d_in + row * width, sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
        for (int64_t c = 0; c < width; c++) {
            real normalized = (x[c] - mean) * inverse, g = dy[c] * gain[c];
            sum += g;
            product += g * normalized;
            d_gain[c] += dy[c] * normalized;
            d_bias[c] += dy[c];
        }
        sum /= (real)width;
        product /= (real)width;
#pragma omp simd
        for (int64_t c = 0; c < width; c++)
            dx[c] += inverse * (dy[c] * gain[c] - sum - (x[c] - mean) * inverse * product);
    }
}
