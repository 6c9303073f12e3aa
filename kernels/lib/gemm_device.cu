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
    float *scale; /* of A and of B, fp8 */
    struct cublaslt_plan plan;
    bool own; /* wgmma is what runs, not plan */
    struct gemm_wgmma wgmma;
    struct device_freivalds test;
};

static void make_operands(struct run *run, const struct gemm_problem *problem, struct gemm_device *device) {
    int64_t in_a = problem->m * problem->k, in_b = problem->k * problem->n;
    size_t bytes = dtype_size(problem->dtype);
    size_t output_bytes = (size_t)(problem->m * problem->n) * dtype_size(problem->output);
    device->a = bench_device_alloc(run, (size_t)in_a * bytes);
    device->b = bench_device_alloc(run, (size_t)in_b * bytes);
    device->c = bench_device_alloc(run, output_bytes);
    device_fill_normal(run, problem->dtype, device->a, in_a, GEMM_A, problem->factor);
    device_fill_normal(run, problem->dtype, device->b, in_b, GEMM_B, problem->factor);
    bench_output(run, device->c, output_bytes, PLACE_DEVICE, false);
    if (problem->dtype != DTYPE_fp8_e4m3) return;
    float scale = (float)(1 / problem->factor);
    device->scale = (float *)bench_device_alloc(run, sizeof scale);
    CUDA_CHECK(run, cudaMemcpyAsync(device->scale, &scale, sizeof scale, cudaMemcpyHostToDevice, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream)); /* scale is about to leave the stack */
}

static struct gemm_device *make_device(struct run *run) {
    const struct gemm_problem *problem = &((struct gemm *)run->state)->problem;
    struct gemm_device *device = (struct gemm_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    make_operands(run, problem, device);
    device_freivalds_setup(run, &device->test, problem->m, problem->n, problem->k);
    return device;
}

static void setup_library(struct run *run, bool fast_accumulation) {
    struct gemm *gemm = (struct gemm *)run->state;
    const struct gemm_problem *problem = &gemm->problem;
    struct gemm_device *device = make_device(run);
    gemm->fast_accumulation = fast_accumulation;
    const struct cublaslt_product product = {.m = problem->m,
                                             .n = problem->n,
                                             .k = problem->k,
                                             .dtype = problem->dtype,
                                             .output = problem->output,
                                             .a_transposed = false,
                                             .b_transposed = problem->b_transposed,
                                             .fast_accumulation = fast_accumulation,
                                             .scale_a = device->scale,
                                             .scale_b = device->scale};
    cublaslt_create(run, &device->plan, &product);
}

void gemm_setup_first(struct run *run) {
    setup_library(run, false);
}

void gemm_setup_fast(struct run *run) {
    setup_library(run, true);
}

void gemm_setup_best(struct run *run) {
    setup_library(run, false);
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    cublaslt_choose_fastest(run, &device->plan, device->a, device->b, device->c, run->budget / 2);
}

static struct gemm_wgmma_product own_product(const struct gemm_problem *problem) {
    return {.m = problem->m, .n = problem->n, .k = problem->k, .b_transposed = problem->b_transposed};
}

void gemm_setup_wgmma(struct run *run) {
    struct gemm_device *device = make_device(run);
    struct gemm_wgmma_product product = own_product(&((struct gemm *)run->state)->problem);
    device->own = true;
    product.a = device->a;
    product.b = device->b;
    product.c = device->c;
    gemm_wgmma_create(run, &device->wgmma, &product);
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

/* Freivalds' test on the device, and the sampled entries for gemm_check to recompute. */
void gemm_fetch(struct run *run) {
    struct gemm *gemm = (struct gemm *)run->state;
    const struct gemm_device *device = (const struct gemm_device *)run->device_state;
    const struct gemm_problem *p = &gemm->problem;
    struct matrix a = {device->a, p->dtype, p->m, p->k, p->k, false};
    struct matrix b = {device->b, p->dtype, p->k, p->n, p->b_transposed ? p->k : p->n, p->b_transposed};
    struct matrix c = {device->c, p->output, p->m, p->n, p->n, false};
    gemm->freivalds = device_freivalds_error(run, &device->test, a, b, c, p->alpha, 2, run->seed);
    device_fetch_entries(run, c, gemm->entry, gemm->entry_count, gemm->entry_value);
}

void gemm_release(struct run *run) {
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    if (device != NULL) cublaslt_release(&device->plan);
}

/* Median seconds of a candidate, as the harness times calls. */
static double time_candidate(struct run *run, int candidate, double cap, double **seconds, size_t *count) {
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    double *samples;
    device->plan.chosen = candidate;
    size_t taken = bench_time_call(run, gemm_run_device, cap, &samples);
    double median = statistics(samples, taken).median;
    if (seconds == NULL) {
        free(samples);
    } else {
        *seconds = samples;
        *count = taken;
    }
    return median;
}

void gemm_measure_search(struct run *run) {
    const struct gemm_problem *problem = &((struct gemm *)run->state)->problem;
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    struct cublaslt_plan *plan = &device->plan;
    const size_t output_bytes = (size_t)(problem->m * problem->n) * dtype_size(problem->output);
    const enum metric metric = dtype_is_integer(problem->dtype) ? METRIC_op_rate : METRIC_flop_rate;
    double fastest = INFINITY, *seconds;
    int best = 0;
    size_t count;
    char algorithm[CUBLASLT_DESCRIPTION];
    for (int i = 0; i < plan->candidate_count; i++) {
        if (!cublaslt_can_run(run, plan, i, device->a, device->b, device->c)) continue;
        double time = time_candidate(run, i, run->budget / 2 / plan->candidate_count, NULL, NULL);
        if (time < fastest) {
            fastest = time;
            best = i;
        }
    }
    double first = time_candidate(run, 0, run->budget / 4, NULL, NULL);
    fastest = time_candidate(run, best, run->budget / 4, &seconds, &count);
    CUDA_CHECK(run, cudaMemsetAsync(device->c, 0xff, output_bytes, run->stream)); /* what is checked is of the fastest */
    gemm_run_device(run);
    bench_report_samples(run, metric, gemm_flops(problem), seconds, count, limit_flop_rate(run, problem->dtype));
    bench_report_plain(run, METRIC_ratio, first / fastest, (struct limit){0, NULL});
    free(seconds);
    cublaslt_describe(run, plan, best, algorithm);
    bench_note(run, "fastest is guess %d of %d: %s", best + 1, plan->candidate_count, algorithm);
}
