/* gemm_device.cu: see gemm_device.h.
 * needs: cublasLt
 */
#include "kernels/lib/gemm_device.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/statistics.h"
#include "kernels/lib/cublaslt.h"
#include "kernels/lib/device_matrix.h"
#include "kernels/lib/gemm_wgmma.h"

struct gemm_device { /* run->device_state */
    void *a, *b, *c;
    float *scale_a, *scale_b; /* fp8; see gemm_scale_grid */
    struct cublaslt_plan plan;
    bool first_alone; /* of the library's algorithms */
    bool own; /* wgmma is what runs, not plan */
    struct gemm_wgmma wgmma;
    struct device_freivalds test;
};

static __global__ void fill_scales(float *scale, struct gemm_scale_grid grid, enum gemm_operand operand, uint64_t seed,
                                   double factor) {
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < grid.rows * grid.columns; i += step) {
        int64_t row = i % grid.rows, column = i / grid.rows;
        scale[row * grid.row_stride + column * grid.k_stride] = gemm_scale(seed, operand, factor, row, column);
    }
}

static float *make_scales(struct run *run, const struct gemm_problem *problem, enum gemm_operand operand) {
    struct gemm_scale_grid grid = gemm_scale_grid(problem, operand);
    float *scale = (float *)bench_device_alloc(run, (size_t)grid.count * sizeof *scale);
    if ((operand == GEMM_A ? problem->scaling_a : problem->scaling_b) == GEMM_SCALE_TENSOR) {
        float one = (float)(1 / problem->factor);
        CUDA_CHECK(run, cudaMemcpyAsync(scale, &one, sizeof one, cudaMemcpyHostToDevice, run->stream));
        CUDA_CHECK(run, cudaStreamSynchronize(run->stream)); /* one is about to leave the stack */
        return scale;
    }
    CUDA_CHECK(run, cudaMemsetAsync(scale, 0xff, (size_t)grid.count * sizeof *scale, run->stream)); /* NaN as padding */
    fill_scales<<<1024, 256, 0, run->stream>>>(scale, grid, operand, run->seed, problem->factor);
    CUDA_CHECK_LAUNCH(run);
    return scale;
}

static void make_operands(struct run *run, const struct gemm_problem *problem, struct gemm_device *device) {
    int64_t in_a = problem->m * problem->k, in_b = problem->k * problem->n;
    size_t bytes = dtype_size(problem->dtype);
    device->a = bench_device_alloc(run, (size_t)in_a * bytes);
    device->b = bench_device_alloc(run, (size_t)in_b * bytes);
    device->c = bench_device_alloc(run, gemm_output_bytes(problem));
    device_fill_normal(run, problem->dtype, device->a, in_a, GEMM_A, problem->factor);
    device_fill_normal(run, problem->dtype, device->b, in_b, GEMM_B, problem->factor);
    bench_output(run, device->c, gemm_output_bytes(problem), PLACE_DEVICE, false);
    if (problem->dtype != DTYPE_fp8_e4m3) return;
    device->scale_a = make_scales(run, problem, GEMM_A);
    device->scale_b = make_scales(run, problem, GEMM_B);
}

static struct gemm_device *make_device(struct run *run) {
    const struct gemm_problem *problem = &((struct gemm *)run->state)->problem;
    struct gemm_device *device = (struct gemm_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    make_operands(run, problem, device);
    device_freivalds_setup(run, &device->test, problem->m, problem->n, problem->k);
    return device;
}

static void plan_library(struct run *run) {
    const struct gemm *gemm = (const struct gemm *)run->state;
    const struct gemm_problem *problem = &gemm->problem;
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    const struct cublaslt_product product = {.m = problem->m,
                                             .n = problem->n,
                                             .k = problem->k,
                                             .dtype = problem->dtype,
                                             .output = problem->output,
                                             .a_transposed = problem->a_transposed,
                                             .b_transposed = problem->b_transposed,
                                             .first_alone = device->first_alone,
                                             .fast_accumulation = gemm->fast_accumulation,
                                             .scale_a = device->scale_a,
                                             .scale_b = device->scale_b,
                                             .scaling_a = problem->scaling_a,
                                             .scaling_b = problem->scaling_b};
    cublaslt_create(run, &device->plan, &product);
}

static void setup_library(struct run *run, bool first_alone, bool fast_accumulation) {
    ((struct gemm *)run->state)->fast_accumulation = fast_accumulation;
    make_device(run)->first_alone = first_alone;
    plan_library(run);
}

void gemm_setup_first(struct run *run) {
    setup_library(run, true, false);
}

void gemm_setup_fast(struct run *run) {
    setup_library(run, true, true);
}

void gemm_setup_best(struct run *run) {
    setup_library(run, false, false);
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    cublaslt_choose_fastest(run, &device->plan, device->a, device->b, device->c, run->budget / 2);
}

static struct gemm_wgmma_product own_product(const struct gemm_problem *problem) {
    return {.m = problem->m,
            .n = problem->n,
            .k = problem->k,
            .a_transposed = problem->a_transposed,
            .b_transposed = problem->b_transposed};
}

static void plan_own(struct run *run) {
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    struct gemm_wgmma_product product = own_product(&((struct gemm *)run->state)->problem);
    product.a = device->a;
    product.b = device->b;
    product.c = device->c;
    gemm_wgmma_create(run, &device->wgmma, &product);
}

void gemm_setup_wgmma(struct run *run) {
    make_device(run)->own = true;
    plan_own(run);
}

void gemm_plan_again(struct run *run) {
    const struct gemm_problem *problem = &((struct gemm *)run->state)->problem;
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    device->test.m = problem->m;
    device->test.n = problem->n;
    device->test.k = problem->k;
    bench_output(run, device->c, gemm_output_bytes(problem), PLACE_DEVICE, false);
    if (device->own) {
        plan_own(run);
        return;
    }
    void *workspace = device->plan.workspace;
    cublaslt_release(&device->plan);
    device->plan.workspace = workspace;
    plan_library(run);
}

const char *gemm_declines_fast(const struct run *run) {
    return bench_dtype(run) == DTYPE_fp8_e4m3 ? NULL : "fast accumulation is a setting of fp8 products";
}

const char *gemm_declines_wgmma(const struct run *run) {
    struct gemm_problem problem = gemm_problem_of(run);
    struct gemm_wgmma_product product = own_product(&problem);
    return problem.dtype == DTYPE_bf16 ? gemm_wgmma_declines(&product) : "our own kernel multiplies bf16 alone";
}

bool gemm_covers_fast(const struct run *run) {
    return bench_dtype(run) == DTYPE_fp8_e4m3;
}

bool gemm_covers_wgmma(const struct run *run) {
    return bench_dtype(run) == DTYPE_bf16;
}

void gemm_run_device(struct run *run) {
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    if (device->own) gemm_wgmma_run(run, &device->wgmma);
    else cublaslt_run(run, &device->plan, device->a, device->b, device->c);
}

/* For the test; rows of its operand are rows of A, and k of B. One scale a tensor is in alpha. */
static struct device_scales test_scales(const struct gemm_problem *problem, enum gemm_operand operand,
                                        const float *scale) {
    bool is_a = operand == GEMM_A;
    struct gemm_scale_grid grid = gemm_scale_grid(problem, operand);
    if ((is_a ? problem->scaling_a : problem->scaling_b) == GEMM_SCALE_TENSOR) return {};
    return {.scale = scale,
            .row_block = is_a ? grid.row_block : grid.k_block,
            .column_block = is_a ? grid.k_block : grid.row_block,
            .row_stride = is_a ? grid.row_stride : grid.k_stride,
            .column_stride = is_a ? grid.k_stride : grid.row_stride};
}

/* Freivalds' test on the device, and the sampled entries for gemm_check to recompute. */
void gemm_fetch(struct run *run) {
    struct gemm *gemm = (struct gemm *)run->state;
    const struct gemm_device *device = (const struct gemm_device *)run->device_state;
    const struct gemm_problem *p = &gemm->problem;
    struct gemm_matrices matrices = gemm_matrices(p, device->a, device->b, device->c);
    gemm->freivalds = device_freivalds_scaled(run, &device->test, matrices.a, test_scales(p, GEMM_A, device->scale_a),
                                              matrices.b, test_scales(p, GEMM_B, device->scale_b), matrices.c, p->alpha,
                                              2, run->seed);
    device_fetch_entries(run, matrices.c, gemm->entry, gemm->entry_count, gemm->entry_value);
}

void gemm_release(struct run *run) {
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    if (device != NULL) cublaslt_release(&device->plan);
}

/* Seconds added up over rounds in which all candidates have their turn, so that a drift of the clock favours none;
   medians of calls, as the harness times them. INFINITY: it does not run. */
static void time_candidates(struct run *run, double total[CUBLASLT_CANDIDATES]) {
    const int rounds = 3;
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    struct cublaslt_plan *plan = &device->plan;
    double cap = run->budget / rounds / plan->candidate_count, *seconds;
    for (int i = 0; i < plan->candidate_count; i++)
        total[i] = cublaslt_can_run(run, plan, i, device->a, device->b, device->c) ? 0 : INFINITY;
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < plan->candidate_count; i++) {
            if (total[i] == INFINITY) continue;
            plan->chosen = i;
            size_t count = bench_time_call(run, gemm_run_device, cap, &seconds);
            total[i] += statistics(seconds, count).median;
            free(seconds);
        }
}

void gemm_setup_search(struct run *run) {
    double total[CUBLASLT_CANDIDATES];
    char algorithm[CUBLASLT_DESCRIPTION];
    setup_library(run, false, false);
    struct cublaslt_plan *plan = &((struct gemm_device *)run->device_state)->plan;
    time_candidates(run, total);
    plan->chosen = 0;
    for (int i = 1; i < plan->candidate_count; i++)
        if (total[i] < total[plan->chosen]) plan->chosen = i;
    cublaslt_describe(run, plan, plan->chosen, algorithm);
    bench_note(run, "fastest is guess %d of %d: %s", plan->chosen + 1, plan->candidate_count, algorithm);
}
