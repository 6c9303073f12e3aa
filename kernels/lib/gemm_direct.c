/* gemm_direct.c: see gemm_direct.h. The build's choice is made here, so that no program has to make it. */
#include "kernels/lib/gemm_direct.h"

#if HAVE_OPENBLAS
#include <cblas.h>

void gemm_direct_fp32(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a, (blasint)k, b,
                (blasint)n, 0, c, (blasint)n);
}

void gemm_direct_fp64(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *c) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a, (blasint)k, b,
                (blasint)n, 0, c, (blasint)n);
}

#else
#include <stdbool.h>

#include "bench/blas.h"

void gemm_direct_fp32(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
    blas_gemm_fp32(false, false, m, n, k, 1, a, k, b, n, 0, c, n);
}

void gemm_direct_fp64(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *c) {
    blas_gemm_fp64(false, false, m, n, k, 1, a, k, b, n, 0, c, n);
}
#endif
