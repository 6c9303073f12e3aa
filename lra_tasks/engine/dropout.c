/* dropout.c: counter-based dropout. Word w of a row decides the columns w, w + words, w + 2 words and w + 3 words by
   its four 16-bit parts: a loop over words then writes four contiguous runs, which a compiler vectorizes. */
#include "bench/random.h"
#include "lra_tasks/engine/layers.h"

static uint64_t threshold_of(const struct dropout *dropout) { return (uint64_t)(dropout->probability * 65536 + 0.5); }

static double scale_of(const struct dropout *dropout) { return 65536.0 / (65536.0 - (double)threshold_of(dropout)); }

void dropout_row(real *restrict multiplier, int64_t columns, const struct dropout *dropout, uint64_t row) {
    const uint64_t seed = dropout->seed, stream = dropout->stream, first = row * (DROPOUT_COLUMNS / 4);
    const uint64_t threshold = threshold_of(dropout);
    const real scale = (real)scale_of(dropout);
    const int64_t words = (columns + 3) / 4;
#pragma omp simd
    for (int64_t w = 0; w < words; w++) {
        uint64_t bits = random_bits(seed, stream, first + (uint64_t)w);
        multiplier[w] = (bits & 0xffff) < threshold ? 0 : scale;
        multiplier[words + w] = (bits >> 16 & 0xffff) < threshold ? 0 : scale;
        multiplier[2 * words + w] = (bits >> 32 & 0xffff) < threshold ? 0 : scale;
        multiplier[3 * words + w] = bits >> 48 < threshold ? 0 : scale;
    }
}

double dropout_multiplier(const struct dropout *dropout, uint64_t row, int64_t column, int64_t columns) {
    int64_t words = (columns + 3) / 4;
    uint64_t index = row * (DROPOUT_COLUMNS / 4) + (uint64_t)(column % words);
    uint64_t part = random_bits(dropout->seed, dropout->stream, index) >> (16 * (column / words)) & 0xffff;
    if (threshold_of(dropout) == 0) return 1;
    return part < threshold_of(dropout) ? 0 : scale_of(dropout);
}

void dropout_apply(real *restrict value, const struct packing *packing, int64_t columns,
                   const struct dropout *dropout) {
    if (threshold_of(dropout) == 0) return;
    real multiplier[DROPOUT_COLUMNS];
    for (int64_t e = 0; e < packing->examples; e++) {
        uint64_t first = (uint64_t)packing->identity[e] * DROPOUT_ROWS;
        for (int64_t row = packing->start[e]; row < packing->start[e + 1]; row++) {
            dropout_row(multiplier, columns, dropout, first + (uint64_t)(row - packing->start[e]));
#pragma omp simd
            for (int64_t c = 0; c < columns; c++) value[row * columns + c] *= multiplier[c];
        }
    }
}
