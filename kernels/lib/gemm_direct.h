/* gemm_direct.h: C = A B by a plain call of cblas.h, as a program without this suite would make it: what the way
   through bench/blas.h is compared with. Row major and packed: A m x k, B k x n, C m x n. Without OpenBLAS
   (blas_missing() tells) both go through bench/blas.h, and comparing them has no meaning. */
#ifndef KERNELS_GEMM_DIRECT_H
#define KERNELS_GEMM_DIRECT_H

#include <stdint.h>

void gemm_direct_fp32(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c);
void gemm_direct_fp64(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *c);

#endif
