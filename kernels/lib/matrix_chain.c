/* matrix_chain.c: the data and the results of a chain; see matrix_chain.h. */
#include <math.h>

#include "bench/random.h"
#include "kernels/lib/matrix_chain.h"

enum { STREAM_A = 1, STREAM_B = 2, STREAM_IGNORED = 3 };

enum dtype matrix_chain_sums(enum dtype dtype) {
    return dtype == DTYPE_fp64 ? DTYPE_fp64 : dtype == DTYPE_int8 ? DTYPE_int32 : DTYPE_fp32;
}

/* With k the length of a slice, k b^2 + CHAIN_ROUNDS_MAX keeps to the bounds in the header. */
static int64_t largest(const struct matrix_chain *chain) {
    if (chain->sums == DTYPE_fp16) return chain->dtype == DTYPE_fp16 ? 7 : 5;
    switch (chain->dtype) {
    case DTYPE_fp64: return (1 << 24) - 1;
    case DTYPE_tf32: return 1023;
    case DTYPE_fp16: return 511;
    case DTYPE_bf16: return 255;
    case DTYPE_int8: return 127;
    case DTYPE_fp8_e4m3: return 15;
    case DTYPE_fp8_e5m2: return 7;
    default: return 1;
    }
}

/* Element p of a slice of a row of A or B. The slices of a pair differ in B alone. */
static double element(const struct matrix_chain *chain, int operand, int64_t row, int slice, int p) {
    if (chain->zeros) return 0;
    uint64_t index = ((uint64_t)row * CHAIN_SLICES + (uint64_t)(slice / 2 * 2)) * CHAIN_ROW_BYTES + (uint64_t)p;
    uint64_t bits = random_bits(chain->seed, (uint64_t)operand, index) >> 8;
    bool odd_b = operand == STREAM_B && slice % 2 == 1;
    if (slice < 2 && p == 0) return odd_b ? 0 : bits % 2 == 0 ? 1 : -1;
    uint64_t bound = (uint64_t)largest(chain);
    double value = (double)(int64_t)(bits % (2 * bound + 1)) - (double)bound;
    return odd_b ? -value : value;
}

static void fill_operand(const struct matrix_chain *chain, int operand, void *array, int64_t rows, int k) {
    for (int64_t i = 0; i < rows; i++)
        for (int slice = 0; slice < CHAIN_SLICES; slice++)
            for (int p = 0; p < k; p++)
                dtype_store(chain->dtype, array, (size_t)((i * CHAIN_SLICES + slice) * k + p),
                            element(chain, operand, i, slice, p));
}

void matrix_chain_fill(struct matrix_chain *chain) {
    int k = (int)(CHAIN_SLICE_BYTES / dtype_size(chain->dtype)), row = CHAIN_SLICES * k;
    double a[CHAIN_SLICE_BYTES], b[CHAIN_SLICE_BYTES];
    fill_operand(chain, STREAM_A, chain->a, chain->m, k);
    fill_operand(chain, STREAM_B, chain->b, chain->n, k);
    for (int i = 0; i < chain->m; i++) {
        dtype_load_row(chain->dtype, chain->a, (size_t)(i * row), (size_t)k, a);
        for (int j = 0; j < chain->n; j++) {
            double sum = 0;
            dtype_load_row(chain->dtype, chain->b, (size_t)(j * row), (size_t)k, b);
            for (int p = 0; p < k; p++) sum += a[p] * b[p];
            chain->product[i * chain->n + j] = sum;
            chain->growth[i * chain->n + j] = a[0] * b[0];
        }
    }
}

double matrix_chain_error(const struct matrix_chain *chain, const void *d, int64_t count, int64_t rounds) {
    double worst = 0, row[CHAIN_N_MAX];
    size_t n = (size_t)chain->n;
    for (size_t i = 0; i < (size_t)count * (size_t)chain->m; i++) {
        size_t first = i % (size_t)chain->m * n;
        dtype_load_row(chain->sums, d, i * n, n, row);
        for (size_t j = 0; j < n; j++) {
            double error = fabs(row[j] - ((double)rounds * chain->growth[first + j] + chain->product[first + j]));
            worst = fmax(worst, isnan(error) ? INFINITY : error);
        }
    }
    return worst;
}

/* Places of what is kept, of each four numbers, or in tf32 of each two, where they come as pairs of halves. */
static const int places[4][2] = {{0, 1}, {1, 3}, {0, 2}, {2, 3}}, places_tf32[4] = {1, 0, 0, 1};

uint32_t matrix_chain_metadata(enum dtype dtype) {
    uint32_t metadata = 0;
    for (int group = 0; group < 8; group++) {
        const int *place = places[group % 4];
        int bits = dtype == DTYPE_tf32 ? (places_tf32[group % 4] == 0 ? 0x4 : 0xe) : place[0] | place[1] << 2;
        metadata |= (uint32_t)bits << 4 * group;
    }
    return metadata;
}

/* Where the p-th number of a row of b goes. */
static size_t place_of(enum dtype dtype, size_t p) {
    if (dtype == DTYPE_tf32) return 2 * p + (size_t)places_tf32[p % 4];
    return p / 2 * 4 + (size_t)places[p / 2 % 4][p % 2];
}

void matrix_chain_spread(const struct matrix_chain *chain, void *b) {
    size_t row = CHAIN_ROW_BYTES / dtype_size(chain->dtype);
    uint64_t bound = (uint64_t)largest(chain);
    for (size_t i = 0; i < (size_t)chain->n; i++) {
        for (size_t p = 0; p < 2 * row; p++) {
            uint64_t bits = random_bits(chain->seed, STREAM_IGNORED, i * 2 * row + p) >> 8;
            double ignored = (double)(int64_t)(bits % (2 * bound + 1)) - (double)bound;
            dtype_store(chain->dtype, b, i * 2 * row + p, chain->zeros ? 0 : ignored);
        }
        for (size_t p = 0; p < row; p++)
            dtype_store(chain->dtype, b, i * 2 * row + place_of(chain->dtype, p),
                        dtype_load(chain->dtype, chain->b, i * row + p));
    }
}
