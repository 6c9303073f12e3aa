/* embedding.c: learned token and position tables. */
#include "lra_tasks/engine/layers.h"

void embedding_forward(real *restrict out, const real *token_table, const real *position_table, const uint16_t *token,
                       const struct packing *packing, int64_t width) {
    for (int64_t e = 0; e < packing->examples; e++)
        for (int64_t row = packing->start[e]; row < packing->start[e + 1]; row++) {
            const real *by_token = token_table + token[row] * width;
            const real *by_position = position_table + (row - packing->start[e]) * width;
#pragma omp simd
            for (int64_t c = 0; c < width; c++) out[row * width + c] = by_token[c] + by_position[c];
        }
}

void embedding_backward(real *restrict d_token_table, real *restrict d_position_table, const real *restrict d_out,
                        const uint16_t *token, const struct packing *packing, int64_t width) {
    for (int64_t e = 0; e < packing->examples; e++)
        for (int64_t row = packing->start[e]; row < packing->start[e + 1]; row++) {
            real *by_token = d_token_table + token[row] * width;
            real *by_position = d_position_table + (row - packing->start[e]) * width;
#pragma omp simd
            for (int64_t c = 0; c < width; c++) {
                by_token[c] += d_out[row * width + c];
                by_position[c] += d_out[row * width + c];
            }
        }
}
