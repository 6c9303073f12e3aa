/* blas.h: the one door to the CPU's BLAS (OpenBLAS by cblas.h). Without it blas_available says why and the others are
   plain loops, right but slow. Row major, C = alpha op(A) op(B) + beta C, op transposes where the flag is set. */
#ifndef BENCH_BLAS_H
#define BENCH_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
const char *blas_missing(void);       /* NULL: there; otherwise the reason */
const char *blas_version(void);       /* "OpenBLAS 0.3.21 SkylakeX", "none" */
void blas_set_threads(int threads);
void blas_gemm_fp32(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                    int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
void blas_gemm_fp64(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                    int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc);
#ifdef __cplusplus
}
#endif
#endif
