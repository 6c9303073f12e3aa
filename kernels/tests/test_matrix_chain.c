/* test_matrix_chain.c: the closed form of matrix_chain.h against chains multiplied out step by step, with sums as short
   as a matrix unit may keep them, and against chains that lack something. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/lib/matrix_chain.h"

enum { M = 16, N = 24, ROUNDS = 5 };

/* bits: every sum must be an integer below 2^bits */
static const struct {
    enum dtype dtype, sums;
    int bits;
} cases[] = {{DTYPE_fp64, DTYPE_fp64, 53},     {DTYPE_tf32, DTYPE_fp32, 24},     {DTYPE_bf16, DTYPE_fp32, 24},
             {DTYPE_fp16, DTYPE_fp32, 24},     {DTYPE_fp8_e4m3, DTYPE_fp32, 14}, {DTYPE_fp8_e5m2, DTYPE_fp32, 14},
             {DTYPE_int8, DTYPE_int32, 31},    {DTYPE_fp16, DTYPE_fp16, 11},     {DTYPE_fp8_e4m3, DTYPE_fp16, 11},
             {DTYPE_fp8_e5m2, DTYPE_fp16, 11}};

static struct matrix_chain make(size_t which, uint64_t seed, bool zeros) {
    struct matrix_chain chain = {.m = M, .n = N, .dtype = cases[which].dtype, .sums = cases[which].sums, .seed = seed,
                                 .zeros = zeros, .a = calloc(M, CHAIN_ROW_BYTES), .b = calloc(N, CHAIN_ROW_BYTES),
                                 .product = calloc(M * N, sizeof(double)), .growth = calloc(M * N, sizeof(double))};
    assert_true(chain.a != NULL && chain.b != NULL && chain.product != NULL && chain.growth != NULL);
    matrix_chain_fill(&chain);
    return chain;
}

static void release(struct matrix_chain *chain) {
    free(chain->a);
    free(chain->b);
    free(chain->product);
    free(chain->growth);
}

/* D after `rounds` rounds and slice 0. Instruction `skipped` of the chain is left out; -1: none. */
static void multiply(const struct matrix_chain *chain, int rounds, int skipped, double limit, double *d) {
    int k = (int)(CHAIN_SLICE_BYTES / dtype_size(chain->dtype)), row = CHAIN_SLICES * k;
    for (int entry = 0; entry < M * N; entry++) {
        int i = entry / N, j = entry % N;
        d[entry] = 0;
        for (int step = 0; step <= rounds * CHAIN_SLICES; step++) {
            if (step == skipped) continue;
            for (int p = step % CHAIN_SLICES * k, end = p + k; p < end; p++)
                d[entry] += dtype_load(chain->dtype, chain->a, (size_t)(i * row + p)) *
                            dtype_load(chain->dtype, chain->b, (size_t)(j * row + p));
            assert_true(fabs(d[entry]) < limit && d[entry] == rint(d[entry]));
        }
    }
}

static double error_of(const struct matrix_chain *chain, const double *d, int rounds) {
    static double stored[M * N];
    dtype_store_row(chain->sums, stored, 0, M * N, d);
    return matrix_chain_error(chain, stored, 1, rounds);
}

static void right_chains_are_right(void **unused) {
    (void)unused;
    double d[M * N];
    for (size_t c = 0; c < ARRAY_LENGTH(cases); c++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct matrix_chain chain = make(c, seed, false);
            multiply(&chain, ROUNDS, -1, ldexp(1, cases[c].bits), d);
            assert_true(error_of(&chain, d, ROUNDS) == 0);
            release(&chain);
        }
}

/* The longest chains stay exact: what a round adds is 1, what a product reaches is bounded by the data. */
static void long_chains_stay_exact(void **unused) {
    (void)unused;
    for (size_t c = 0; c < ARRAY_LENGTH(cases); c++) {
        struct matrix_chain chain = make(c, 1, false);
        double largest = 0, rounds = cases[c].sums == DTYPE_fp16 ? CHAIN_ROUNDS_MAX_FP16 : CHAIN_ROUNDS_MAX;
        int k = (int)(CHAIN_SLICE_BYTES / dtype_size(chain.dtype));
        for (size_t i = 0; i < (size_t)(M * CHAIN_SLICES * k); i++)
            largest = fmax(largest, fabs(dtype_load(chain.dtype, chain.a, i)));
        assert_true(k * largest * largest + rounds <= ldexp(1, cases[c].bits));
        for (int entry = 0; entry < M * N; entry++) assert_true(fabs(chain.growth[entry]) == 1);
        release(&chain);
    }
}

static void wrong_chains_are_seen(void **unused) {
    (void)unused;
    double d[M * N];
    for (size_t c = 0; c < ARRAY_LENGTH(cases); c++) {
        struct matrix_chain chain = make(c, 1, false);
        for (int skipped = 0; skipped <= ROUNDS * CHAIN_SLICES; skipped++) {
            multiply(&chain, ROUNDS, skipped, INFINITY, d);
            assert_true(error_of(&chain, d, ROUNDS) > 0);
        }
        multiply(&chain, ROUNDS + 1, -1, INFINITY, d);
        assert_true(error_of(&chain, d, ROUNDS) == 1);
        multiply(&chain, ROUNDS, -1, INFINITY, d);
        d[M * N / 2] += 1;
        assert_true(error_of(&chain, d, ROUNDS) == 1);
        d[M * N / 2] = NAN; /* 0 in an integer */
        assert_true(error_of(&chain, d, ROUNDS) > 0);
        release(&chain);
    }
}

static void zeros_are_zeros(void **unused) {
    (void)unused;
    double d[M * N] = {0};
    for (size_t c = 0; c < ARRAY_LENGTH(cases); c++) {
        struct matrix_chain chain = make(c, 1, true);
        assert_true(error_of(&chain, d, ROUNDS) == 0);
        d[3] = -1;
        assert_true(error_of(&chain, d, ROUNDS) == 1);
        d[3] = 0;
        release(&chain);
    }
}

/* Place, within its group of four (tf32: two), of the p-th number kept, by the metadata as the PTX ISA reads them. */
static size_t decoded_place(enum dtype dtype, size_t p) {
    uint32_t metadata = matrix_chain_metadata(dtype);
    if (dtype == DTYPE_tf32) {
        uint32_t bits = metadata >> 4 * (p % 8) & 15;
        assert_true(bits == 0x4 || bits == 0xe);
        return 2 * p + (bits == 0xe);
    }
    uint32_t bits = metadata >> 4 * (p / 2 % 8) & 15;
    assert_true((bits & 3) < bits >> 2); /* ascending */
    return p / 2 * 4 + (p % 2 == 0 ? bits & 3 : bits >> 2);
}

static void spread_rows_keep_their_numbers(void **unused) {
    (void)unused;
    static unsigned char spread[N * CHAIN_SPARSE_ROW_BYTES];
    for (size_t c = 1; c < ARRAY_LENGTH(cases); c++) /* no fp64 */
        for (int zeros = 0; zeros < 2; zeros++) {
            struct matrix_chain chain = make(c, 1, zeros);
            size_t row = CHAIN_ROW_BYTES / dtype_size(chain.dtype), ignored = 0;
            matrix_chain_spread(&chain, spread);
            for (size_t i = 0; i < N; i++) {
                for (size_t p = 0; p < row; p++)
                    assert_true(dtype_load(chain.dtype, spread, 2 * i * row + decoded_place(chain.dtype, p)) ==
                                dtype_load(chain.dtype, chain.b, i * row + p));
                for (size_t p = 0; p < 2 * row; p++) ignored += dtype_load(chain.dtype, spread, 2 * i * row + p) != 0;
            }
            assert_true(zeros ? ignored == 0 : ignored > N * row); /* what must not count is there to be seen */
            release(&chain);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_chains_are_right), cmocka_unit_test(long_chains_stay_exact),
        cmocka_unit_test(wrong_chains_are_seen), cmocka_unit_test(zeros_are_zeros),
        cmocka_unit_test(spread_rows_keep_their_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
