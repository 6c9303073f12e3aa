/* gemm.cu: matrix products on a device, by cuBLASLt: fp64, fp32 (on the fp32 units, never rounded to tf32), tf32, bf16,
   fp16, fp8_e4m3 (one scale a tensor, read from the device; B stored transposed) and int8 (B stored transposed).

     cublaslt        the algorithm that the library guesses first: what a framework gets
     cublaslt_best   the fastest of its 16 first guesses, tried in setup
     cublaslt_fast   fp8 with fast accumulation: sums stay in the matrix unit's short accumulator, which is the setting
                     that frameworks use for forward passes; its error stands beside its speed

   The data are made and checked on the device; see gemm.c for what is computed and how it is checked.
 * needs: cublasLt
 */
#include "gemm.h"

#include "kernels/lib/cublaslt.h"
#include "kernels/lib/device_matrix.h"

struct gemm_device { /* run->device_state */
    void *a, *b, *c;
    float *scale; /* of A and of B, fp8 */
    struct cublaslt_plan plan;
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

static void prepare(struct run *run, bool fast_accumulation) {
    struct gemm *gemm = (struct gemm *)run->state;
    const struct gemm_problem *problem = &gemm->problem;
    struct gemm_device *device = (struct gemm_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    gemm->fast_accumulation = fast_accumulation;
    make_operands(run, problem, device);
    device_freivalds_setup(run, &device->test, problem->m, problem->n, problem->k);
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

static void setup_first(struct run *run) {
    prepare(run, false);
}

static void setup_fast(struct run *run) {
    prepare(run, true);
}

static void setup_best(struct run *run) {
    prepare(run, false);
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    cublaslt_choose_fastest(run, &device->plan, device->a, device->b, device->c, run->budget / 2);
}

static const char *decline_fast(const struct run *run) {
    return bench_dtype(run) == DTYPE_fp8_e4m3 ? NULL : "fast accumulation is a setting of fp8 products";
}

static bool covers_fast(const struct run *run) {
    return decline_fast(run) == NULL;
}

static void run_product(struct run *run) {
    const struct gemm_device *device = (const struct gemm_device *)run->device_state;
    cublaslt_run(run, &device->plan, device->a, device->b, device->c);
}

/* Freivalds' test on the device, and the sampled entries for gemm.c to recompute. */
static void fetch(struct run *run) {
    struct gemm *gemm = (struct gemm *)run->state;
    const struct gemm_device *device = (const struct gemm_device *)run->device_state;
    const struct gemm_problem *p = &gemm->problem;
    struct matrix a = {device->a, p->dtype, p->m, p->k, p->k, false};
    struct matrix b = {device->b, p->dtype, p->k, p->n, p->b_transposed ? p->k : p->n, p->b_transposed};
    struct matrix c = {device->c, p->output, p->m, p->n, p->n, false};
    gemm->freivalds = device_freivalds_error(run, &device->test, a, b, c, p->alpha, 2, run->seed);
    size_t bytes = dtype_size(p->output);
    double raw[GEMM_ENTRIES]; /* an entry's bytes at the start of each */
    for (int s = 0; s < gemm->entry_count; s++)
        CUDA_CHECK(run, cudaMemcpyAsync(&raw[s], (const char *)device->c + (size_t)gemm->entry[s] * bytes, bytes,
                                        cudaMemcpyDeviceToHost, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    for (int s = 0; s < gemm->entry_count; s++) gemm->entry_value[s] = dtype_load(p->output, &raw[s], 0);
}

static void release(struct run *run) {
    struct gemm_device *device = (struct gemm_device *)run->device_state;
    if (device != NULL) cublaslt_release(&device->plan);
}

const struct variant cuda_variants[] = {
    {.name = "cublaslt",
     .backend = "cublaslt",
     .place = PLACE_DEVICE,
     .setup = setup_first,
     .run = run_product,
     .fetch = fetch,
     .release = release},
    {.name = "cublaslt_best",
     .backend = "cublaslt",
     .place = PLACE_DEVICE,
     .setup = setup_best,
     .run = run_product,
     .fetch = fetch,
     .release = release},
    {.name = "cublaslt_fast",
     .backend = "cublaslt",
     .place = PLACE_DEVICE,
     .decline = decline_fast,
     .setup = setup_fast,
     .run = run_product,
     .fetch = fetch,
     .release = release,
     .covers = covers_fast},
    {},
};
