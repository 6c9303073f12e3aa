/* cublaslt.h: matrix products by cuBLASLt, a plan for each: which format, which shape, which of the library's
   algorithms. For .cu files. Errors of the library end the measurement as failed; a product that it has no algorithm
   for ends it as skipped, with its version and the shape in the reason. */
#ifndef KERNELS_CUBLASLT_H
#define KERNELS_CUBLASLT_H

#include <cublasLt.h>

#include "bench/cuda.h"
#include "kernels/lib/gemm_problem.h"

/* Workspace: twice the 32 MiB that frameworks give the library on Hopper. */
enum { CUBLASLT_CANDIDATES = 64, CUBLASLT_WORKSPACE = 64 << 20, CUBLASLT_DESCRIPTION = 160 };

/* Row major and packed: C (m x n) = A (m x k) B (k x n), each element times its scale in fp8; on a device.
     dtype     output            sums   needs
     fp64      fp64              fp64
     fp32      fp32              fp32   (never rounded to tf32)
     tf32      fp32              fp32
     bf16      bf16, fp32        fp32
     fp16      fp16, fp32        fp32
     fp8_e4m3  bf16, fp16, fp32  fp32   b_transposed alone, n and k multiples of 16, compute capability 8.9
     int8      int32             int32  b_transposed alone, multiples of 4
   Whether m may be any number is the library's business: it says so by having an algorithm or not. */
struct cublaslt_product {
    int64_t m, n, k;
    enum dtype dtype, output;
    bool a_transposed, b_transposed; /* stored k x m; stored n x k */
    bool first_alone;                /* ask for one algorithm: quicker, where no other will be tried */
    bool fast_accumulation;          /* fp8: keep sums in the matrix unit's short accumulator */
    const float *scale_a, *scale_b;  /* fp8: on the device, as gemm_scale_grid says; NULL: one of 1 */
    enum gemm_scaling scaling_a, scaling_b;
};

struct cublaslt_plan {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t left, right, result; /* in the library's column-major view: B, A and C */
    cublasLtMatmulPreference_t preference;
    int candidate_count, chosen;
    cublasLtMatmulAlgo_t candidate[CUBLASLT_CANDIDATES]; /* the library's own order, best guess first */
    cudaEvent_t begin, end;
    void *workspace;
    enum dtype dtype;
};

/* Makes the plan with the library's first guess chosen. *plan must be zeroed, but for a workspace that an earlier plan
   left, which is used again; it belongs to the measurement. Call cublaslt_release after it, even when it did not
   return. */
void cublaslt_create(struct run *run, struct cublaslt_plan *plan, const struct cublaslt_product *product);

/* Times the candidates on these operands, for at most `seconds`, and chooses the fastest of those it came to. Waits for
   the stream; C holds a product afterwards. L2 is warm here, as it is not when the harness times with a cold cache. */
void cublaslt_choose_fastest(struct run *run, struct cublaslt_plan *plan, const void *a, const void *b, void *c,
                             double seconds);

/* Whether the library runs a candidate on these operands, by running it; the first call also loads its kernel. */
bool cublaslt_can_run(struct run *run, const struct cublaslt_plan *plan, int candidate, const void *a, const void *b,
                      void *c);

/* What a candidate is, in the library's own numbers; text holds CUBLASLT_DESCRIPTION bytes. */
void cublaslt_describe(struct run *run, const struct cublaslt_plan *plan, int candidate, char *text);

/* The product on run->stream; returns at once, and may be captured into a graph. Operands are aligned to 256 bytes. */
void cublaslt_run(struct run *run, const struct cublaslt_plan *plan, const void *a, const void *b, void *c);

void cublaslt_release(struct cublaslt_plan *plan); /* also of a zeroed or half-made plan */

#endif
