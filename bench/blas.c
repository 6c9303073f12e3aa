/* blas.c: OpenBLAS by cblas.h where the build has it, plain loops where not. */
#define _GNU_SOURCE 1 /* pthread_setaffinity_np */
#include "blas.h"

#include <stdio.h>

#if HAVE_OPENBLAS
#include <cblas.h>
#include <pthread.h>

#include "topology.h"

const char *blas_missing(void) {
    return NULL;
}

const char *blas_version(void) {
    static char version[128];
    if (version[0] == '\0') {
        /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64": the second word is the
           version. The set of kernels it chose is also among them, but not in the same place in every release. */
        char number[32] = "";
        sscanf(openblas_get_config(), "OpenBLAS %31s", number);
        snprintf(version, sizeof version, "OpenBLAS %s %s", number, openblas_get_corename());
    }
    return version;
}

/* OpenBLAS creates its threads in the first large call after a fork, with the caller's affinity: from a thread that is
   pinned to one core, all of them would share that core. So they are created here, by a thread let loose for the time
   of one product. */
void blas_set_threads(int threads) {
    enum { SIZE = 192 }; /* large enough for OpenBLAS to use every thread */
    static float a[SIZE * SIZE], c[SIZE * SIZE];
    cpu_set_t pinned;
    bool restore = pthread_getaffinity_np(pthread_self(), sizeof pinned, &pinned) == 0;
    if (restore)
        topology_unbind_thread();
    openblas_set_num_threads(threads);
    blas_gemm_fp32(false, false, SIZE, SIZE, SIZE, 1, a, SIZE, a, SIZE, 0, c, SIZE);
    if (restore)
        pthread_setaffinity_np(pthread_self(), sizeof pinned, &pinned);
}

void blas_gemm_fp32(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                    int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

void blas_gemm_fp64(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                    int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc) {
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

#else

const char *blas_missing(void) {
    return "built without OpenBLAS (cblas.h was not found)";
}

const char *blas_version(void) {
    return "none";
}

static int thread_count = 1;

void blas_set_threads(int threads) {
    thread_count = threads > 0 ? threads : 1;
}

/* Row by row of C, so that the inner loop runs along rows of B and C; a transposed B is read down its columns. As BLAS
   has it, beta = 0 does not read C, which may hold NaN. */
#define PLAIN_GEMM(name, type)                                                                                         \
    void name(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, type alpha, const type *a,          \
              int64_t lda, const type *b, int64_t ldb, type beta, type *c, int64_t ldc) {                              \
        _Pragma("omp parallel for schedule(static) num_threads(thread_count)")                                         \
        for (int64_t i = 0; i < m; i++) {                                                                              \
            type *row = c + i * ldc;                                                                                   \
            for (int64_t j = 0; j < n; j++)                                                                            \
                row[j] = beta == 0 ? 0 : beta * row[j];                                                                \
            for (int64_t p = 0; p < k; p++) {                                                                          \
                type factor = alpha * (transpose_a ? a[p * lda + i] : a[i * lda + p]);                                 \
                const type *first = transpose_b ? b + p : b + p * ldb;                                                 \
                int64_t step = transpose_b ? ldb : 1;                                                                  \
                for (int64_t j = 0; j < n; j++)                                                                        \
                    row[j] += factor * first[j * step];                                                                \
            }                                                                                                          \
        }                                                                                                              \
    }
PLAIN_GEMM(blas_gemm_fp32, float)
PLAIN_GEMM(blas_gemm_fp64, double)
#endif
