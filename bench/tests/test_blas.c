/* The door to BLAS against sums in double: the library's side (where there is one) and the plain loops that stand in
   for it, which are compiled in here under other names. */
#define _GNU_SOURCE 1 /* cpu_set_t */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <sched.h>
#include <string.h>

#include "bench/blas.h"
#include "bench/random.h"

#undef HAVE_OPENBLAS
#define blas_missing plain_missing
#define blas_version plain_version
#define blas_set_threads plain_set_threads
#define blas_gemm_fp32 plain_gemm_fp32
#define blas_gemm_fp64 plain_gemm_fp64
const char *plain_missing(void);
const char *plain_version(void);
void plain_set_threads(int threads);
void plain_gemm_fp32(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                     int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
void plain_gemm_fp64(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                     int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc);
#include "bench/blas.c"
#undef blas_missing
#undef blas_version
#undef blas_set_threads
#undef blas_gemm_fp32
#undef blas_gemm_fp64

enum { M = 37, N = 29, K = 53, LEADING = 64, AREA = LEADING * LEADING };

/* Largest difference from the definition, over all of C's memory: what is not C's must stay as it was. */
#define DEFINE_WORST(name, type, dtype)                                                                                \
    static double name(void (*gemm)(bool, bool, int64_t, int64_t, int64_t, type, const type *, int64_t, const type *, \
                                    int64_t, type, type *, int64_t),                                                   \
                       bool transpose_a, bool transpose_b, type alpha, type beta) {                                    \
        static type a[AREA], b[AREA], c[AREA], before[AREA];                                                           \
        struct run run = {.seed = 1, .threads = 1};                                                                    \
        double worst = 0;                                                                                              \
        random_fill(&run, dtype, a, AREA, 0);                                                                          \
        random_fill(&run, dtype, b, AREA, 1);                                                                          \
        random_fill(&run, dtype, c, AREA, 2);                                                                          \
        if (beta == 0) /* C is not read then */                                                                        \
            for (int64_t i = 0; i < M; i++)                                                                            \
                for (int64_t j = 0; j < N; j++)                                                                        \
                    c[i * LEADING + j] = (type)NAN;                                                                    \
        memcpy(before, c, sizeof c);                                                                                   \
        gemm(transpose_a, transpose_b, M, N, K, alpha, a, LEADING, b, LEADING, beta, c, LEADING);                      \
        for (int64_t i = 0; i < LEADING; i++) {                                                                        \
            for (int64_t j = 0; j < LEADING; j++) {                                                                    \
                double sum = 0, wanted = before[i * LEADING + j];                                                      \
                for (int64_t k = 0; i < M && j < N && k < K; k++)                                                      \
                    sum += (double)a[transpose_a ? k * LEADING + i : i * LEADING + k] *                                \
                           (double)b[transpose_b ? j * LEADING + k : k * LEADING + j];                                 \
                if (i < M && j < N)                                                                                    \
                    wanted = alpha * sum + (beta == 0 ? 0 : beta * wanted);                                            \
                double error = fabs(wanted - (double)c[i * LEADING + j]);                                              \
                worst = error <= worst ? worst : error; /* NaN stays */                                                \
            }                                                                                                          \
        }                                                                                                              \
        return worst;                                                                                                  \
    }
DEFINE_WORST(worst_fp32, float, DTYPE_fp32)
DEFINE_WORST(worst_fp64, double, DTYPE_fp64)

static void test_products(void **state) {
    (void)state;
    static const float factors[][2] = {{1, 0}, {0.5f, 1}, {-2, 0.25f}};
    for (int transposed = 0; transposed < 4; transposed++) {
        for (size_t i = 0; i < ARRAY_LENGTH(factors); i++) {
            bool a = transposed & 1, b = transposed >> 1;
            float alpha = factors[i][0], beta = factors[i][1];
            assert_true(worst_fp32(blas_gemm_fp32, a, b, alpha, beta) < 1e-4);
            assert_true(worst_fp64(blas_gemm_fp64, a, b, alpha, beta) < 1e-12);
            assert_true(worst_fp32(plain_gemm_fp32, a, b, alpha, beta) < 1e-4);
            assert_true(worst_fp64(plain_gemm_fp64, a, b, alpha, beta) < 1e-12);
        }
    }
}

static void test_names(void **state) {
    (void)state;
    assert_non_null(plain_missing());
    assert_string_equal(plain_version(), "none");
    if (blas_missing() == NULL)
        assert_true(strncmp(blas_version(), "OpenBLAS ", 9) == 0 && strlen(blas_version()) > 12);
    else
        assert_string_equal(blas_version(), "none");
}

static void test_threads(void **state) {
    (void)state;
    cpu_set_t before, after;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int threads = 2; threads >= 1; threads--) {
        blas_set_threads(threads);
        plain_set_threads(threads);
        assert_true(worst_fp32(blas_gemm_fp32, false, true, 1, 0) < 1e-4);
        assert_true(worst_fp32(plain_gemm_fp32, false, true, 1, 0) < 1e-4);
    }
    plain_set_threads(0); /* taken as one */
    assert_true(worst_fp32(plain_gemm_fp32, true, false, 1, 0) < 1e-4);
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after)); /* the caller's binding is as it was */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
