/* cublaslt.cu: see cublaslt.h.

   The library's matrices are column major. A row-major matrix read so is its transpose, and C^T = B^T A^T: B goes in as
   the library's left operand and A as its right one, with m and n exchanged. A B stored n x k then is the library's
   left operand "T", the only layout it has for 8-bit formats on Hopper.
 * needs: cublasLt
 */
#include "kernels/lib/cublaslt.h"

#include <math.h>
#include <stdio.h>

#define CUBLASLT_CHECK(run, expression)                                                                                \
    do {                                                                                                               \
        cublasStatus_t cublaslt_check_status = (expression);                                                           \
        if (cublaslt_check_status != CUBLAS_STATUS_SUCCESS)                                                            \
            bench_fail(run, "%s: %s", #expression, cublasLtGetStatusString(cublaslt_check_status));                    \
    } while (0)

#if CUBLAS_VERSION >= 120900
#define CUBLASLT_SCALE_MODES
#endif

/* One for the process: making it takes milliseconds, and it holds nothing of a measurement. */
static cublasLtHandle_t library(struct run *run) {
    static cublasLtHandle_t handle;
    if (handle == NULL) CUBLASLT_CHECK(run, cublasLtCreate(&handle));
    return handle;
}

static cudaDataType_t data_type(struct run *run, enum dtype dtype) {
    switch (dtype) {
    case DTYPE_fp64: return CUDA_R_64F;
    case DTYPE_fp32:
    case DTYPE_tf32: return CUDA_R_32F;
    case DTYPE_bf16: return CUDA_R_16BF;
    case DTYPE_fp16: return CUDA_R_16F;
    case DTYPE_fp8_e4m3: return CUDA_R_8F_E4M3;
    case DTYPE_int8: return CUDA_R_8I;
    case DTYPE_int32: return CUDA_R_32I;
    default: bench_fail(run, "cuBLASLt products know no %s", dtype_names[dtype]);
    }
}

static cublasComputeType_t compute_type(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_fp64: return CUBLAS_COMPUTE_64F;
    case DTYPE_tf32: return CUBLAS_COMPUTE_32F_FAST_TF32;
    case DTYPE_int8: return CUBLAS_COMPUTE_32I;
    default: return CUBLAS_COMPUTE_32F;
    }
}

static cudaDataType_t scale_type(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_fp64: return CUDA_R_64F;
    case DTYPE_int8: return CUDA_R_32I;
    default: return CUDA_R_32F;
    }
}

static void set(struct run *run, struct cublaslt_plan *plan, cublasLtMatmulDescAttributes_t attribute,
                const void *value, size_t bytes) {
    CUBLASLT_CHECK(run, cublasLtMatmulDescSetAttribute(plan->operation, attribute, value, bytes));
}

#ifdef CUBLASLT_SCALE_MODES
static int32_t scale_mode(enum gemm_scaling scaling) {
    switch (scaling) {
    case GEMM_SCALE_ROW: return CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    case GEMM_SCALE_1X128: return CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F;
    case GEMM_SCALE_128X128: return CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F;
    default: return CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
    }
}
#endif

static void set_scale_modes(struct run *run, struct cublaslt_plan *plan, const struct cublaslt_product *product) {
    if (product->scaling_a == GEMM_SCALE_TENSOR && product->scaling_b == GEMM_SCALE_TENSOR) return;
#ifdef CUBLASLT_SCALE_MODES
    int32_t left = scale_mode(product->scaling_b), right = scale_mode(product->scaling_a);
    set(run, plan, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &left, sizeof left);
    set(run, plan, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &right, sizeof right);
#else
    (void)plan;
    bench_skip(run, "this build's cuBLASLt has one scale a tensor alone: 12.9 brought the others");
#endif
}

static void describe_operation(struct run *run, struct cublaslt_plan *plan, const struct cublaslt_product *product) {
    enum dtype dtype = product->dtype;
    CUBLASLT_CHECK(run, cublasLtMatmulDescCreate(&plan->operation, compute_type(dtype), scale_type(dtype)));
    int32_t left = product->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    int32_t right = product->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(run, plan, CUBLASLT_MATMUL_DESC_TRANSA, &left, sizeof left);
    set(run, plan, CUBLASLT_MATMUL_DESC_TRANSB, &right, sizeof right);
    if (dtype != DTYPE_fp8_e4m3) return;
    set_scale_modes(run, plan, product);
    int8_t fast = product->fast_accumulation;
    set(run, plan, CUBLASLT_MATMUL_DESC_FAST_ACCUM, &fast, sizeof fast);
    set(run, plan, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &product->scale_b, sizeof product->scale_b);
    set(run, plan, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &product->scale_a, sizeof product->scale_a);
}

/* A row-major rows x columns matrix is a column-major columns x rows one; the leading dimension is the row's length. */
static void describe_matrix(struct run *run, cublasLtMatrixLayout_t *layout, enum dtype dtype, int64_t rows,
                            int64_t columns) {
    CUBLASLT_CHECK(run, cublasLtMatrixLayoutCreate(layout, data_type(run, dtype), (uint64_t)columns, (uint64_t)rows,
                                                   columns));
}

static void find_candidates(struct run *run, struct cublaslt_plan *plan, const struct cublaslt_product *product) {
    cublasLtMatmulHeuristicResult_t found[CUBLASLT_CANDIDATES];
    size_t workspace = CUBLASLT_WORKSPACE;
    int count = 0;
    CUBLASLT_CHECK(run, cublasLtMatmulPreferenceCreate(&plan->preference));
    CUBLASLT_CHECK(run, cublasLtMatmulPreferenceSetAttribute(
                            plan->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(library(run), plan->operation, plan->left, plan->right,
                                                           plan->result, plan->result, plan->preference,
                                                           product->first_alone ? 1 : CUBLASLT_CANDIDATES, found,
                                                           &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) CUBLASLT_CHECK(run, status);
    for (int i = 0; i < count; i++)
        if (found[i].state == CUBLAS_STATUS_SUCCESS) plan->candidate[plan->candidate_count++] = found[i].algo;
    if (plan->candidate_count == 0)
        bench_skip(run, "cuBLASLt %zu has no algorithm for %s%s%s, m = %lld, n = %lld, k = %lld, on this device",
                   cublasLtGetVersion(), dtype_names[product->dtype],
                   product->scaling_a + product->scaling_b > 0 ? " with such scales" : "",
                   product->fast_accumulation ? " and fast accumulation" : "", (long long)product->m,
                   (long long)product->n, (long long)product->k);
}

void cublaslt_create(struct run *run, struct cublaslt_plan *plan, const struct cublaslt_product *product) {
    int64_t m = product->m, n = product->n, k = product->k;
    plan->dtype = product->dtype;
    describe_operation(run, plan, product);
    bool a_transposed = product->a_transposed, b_transposed = product->b_transposed;
    describe_matrix(run, &plan->left, product->dtype, b_transposed ? n : k, b_transposed ? k : n);
    describe_matrix(run, &plan->right, product->dtype, a_transposed ? k : m, a_transposed ? m : k);
    describe_matrix(run, &plan->result, product->output, m, n);
    find_candidates(run, plan, product);
    if (plan->workspace == NULL) plan->workspace = bench_device_alloc(run, CUBLASLT_WORKSPACE);
}

/* The factors alpha = 1 and beta = 0 in the type that the product scales with; read when the call is made. */
static cublasStatus_t multiply(struct run *run, const struct cublaslt_plan *plan, int candidate, const void *a,
                               const void *b, void *c) {
    static const double one_fp64 = 1, zero_fp64 = 0;
    static const float one_fp32 = 1, zero_fp32 = 0;
    static const int32_t one_int32 = 1, zero_int32 = 0;
    const void *one = &one_fp32, *zero = &zero_fp32;
    if (plan->dtype == DTYPE_fp64) one = &one_fp64, zero = &zero_fp64;
    if (plan->dtype == DTYPE_int8) one = &one_int32, zero = &zero_int32;
    return cublasLtMatmul(library(run), plan->operation, one, b, plan->left, a, plan->right, zero, c, plan->result, c,
                          plan->result, &plan->candidate[candidate], plan->workspace, CUBLASLT_WORKSPACE, run->stream);
}

void cublaslt_run(struct run *run, const struct cublaslt_plan *plan, const void *a, const void *b, void *c) {
    CUBLASLT_CHECK(run, multiply(run, plan, plan->chosen, a, b, c));
}

/* Seconds of one call of `calls`, the first of which follows `lead` more: behind them the stream is busy while the host
   enqueues the rest, so that short calls are not timed at the speed of their launches. */
static double time_candidate(struct run *run, struct cublaslt_plan *plan, int candidate, const void *a, const void *b,
                             void *c, int lead, int calls) {
    float milliseconds = 0;
    for (int call = 0; call < lead + calls; call++) {
        if (call == lead) CUDA_CHECK(run, cudaEventRecord(plan->begin, run->stream));
        CUBLASLT_CHECK(run, multiply(run, plan, candidate, a, b, c));
    }
    CUDA_CHECK(run, cudaEventRecord(plan->end, run->stream));
    CUDA_CHECK(run, cudaEventSynchronize(plan->end));
    CUDA_CHECK(run, cudaEventElapsedTime(&milliseconds, plan->begin, plan->end));
    return 1e-3 * milliseconds / calls;
}

bool cublaslt_can_run(struct run *run, const struct cublaslt_plan *plan, int candidate, const void *a, const void *b,
                      void *c) {
    if (multiply(run, plan, candidate, a, b, c) != CUBLAS_STATUS_SUCCESS) return false;
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    return true;
}

void cublaslt_choose_fastest(struct run *run, struct cublaslt_plan *plan, const void *a, const void *b, void *c,
                             double seconds) {
    const double long_call = 10e-3; /* one such call is sample enough */
    double start = bench_seconds(), fastest = INFINITY;
    if (plan->begin == NULL) CUDA_CHECK(run, cudaEventCreate(&plan->begin));
    if (plan->end == NULL) CUDA_CHECK(run, cudaEventCreate(&plan->end));
    for (int i = 0; i < plan->candidate_count && bench_seconds() - start < seconds; i++) {
        /* a candidate that cannot be run on these operands is passed over; the first call also loads the kernel */
        if (!cublaslt_can_run(run, plan, i, a, b, c)) continue;
        double time = time_candidate(run, plan, i, a, b, c, 0, 1);
        if (time < long_call) time = time_candidate(run, plan, i, a, b, c, 1, 3);
        if (time < fastest) {
            fastest = time;
            plan->chosen = i;
        }
    }
}

void cublaslt_describe(struct run *run, const struct cublaslt_plan *plan, int candidate, char *text) {
    static const struct {
        cublasLtMatmulAlgoConfigAttributes_t attribute;
        const char *name;
        size_t bytes; /* the newer ones are 16 bits wide */
    } parts[] = {{CUBLASLT_ALGO_CONFIG_ID, "algorithm", 4},      {CUBLASLT_ALGO_CONFIG_TILE_ID, "tile", 4},
                 {CUBLASLT_ALGO_CONFIG_STAGES_ID, "stages", 4},  {CUBLASLT_ALGO_CONFIG_SPLITK_NUM, "split", 4},
                 {CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, "cluster", 2}};
    int used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        uint32_t value = 0; /* little-endian, so that 16 bits fit */
        size_t written;
        CUBLASLT_CHECK(run, cublasLtMatmulAlgoConfigGetAttribute(&plan->candidate[candidate], parts[i].attribute,
                                                                 &value, parts[i].bytes, &written));
        used += snprintf(text + used, (size_t)(CUBLASLT_DESCRIPTION - used), "%s%s %u", i > 0 ? ", " : "",
                         parts[i].name, value);
    }
}

void cublaslt_release(struct cublaslt_plan *plan) {
    if (plan->operation != NULL) cublasLtMatmulDescDestroy(plan->operation);
    if (plan->left != NULL) cublasLtMatrixLayoutDestroy(plan->left);
    if (plan->right != NULL) cublasLtMatrixLayoutDestroy(plan->right);
    if (plan->result != NULL) cublasLtMatrixLayoutDestroy(plan->result);
    if (plan->preference != NULL) cublasLtMatmulPreferenceDestroy(plan->preference);
    if (plan->begin != NULL) cudaEventDestroy(plan->begin);
    if (plan->end != NULL) cudaEventDestroy(plan->end);
    *plan = {};
}
