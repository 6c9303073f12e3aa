/* prefill.cu: the same on a device: data made there, and operators enqueued on the harness's stream. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "bench/cuda.h"
#include "bench/random.h"
#include "attention/prefill.h"

enum { FILL_THREADS = 256, FILL_BLOCKS = 1056 };

/* Presets do not spend their time on more of the plain kernel. */
static const double plain_flops = 3e11;

static const struct attention_operator *const device_methods[] = {&softmax_plain, &softmax_mma, &softmax_cudnn, NULL};

/* Elements of the stream as random_fill makes them on the host, up to the last bit of the logarithm and cosine. */
static __global__ void fill_kernel(void *data, enum dtype dtype, size_t count, uint64_t seed, uint64_t stream,
                                   bool zeros) {
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        float value = zeros ? 0 : (float)random_normal(seed, stream, i);
        if (dtype == DTYPE_fp32) ((float *)data)[i] = value;
        if (dtype == DTYPE_bf16) ((__nv_bfloat16 *)data)[i] = __float2bfloat16(value);
        if (dtype == DTYPE_fp16) ((__half *)data)[i] = __float2half(value);
    }
}

static void *operand(struct run *run, enum dtype dtype, size_t count, uint64_t stream) {
    void *data = bench_device_alloc(run, count * dtype_size(dtype));
    fill_kernel<<<FILL_BLOCKS, FILL_THREADS, 0, run->stream>>>(data, dtype, count, run->seed, stream, run->zeros);
    CUDA_CHECK_LAUNCH(run);
    return data;
}

static const char *decline(const struct run *run) {
    return prefill_decline(run, prefill_method(run, device_methods));
}

static bool covers_plain(const struct run *run) {
    return prefill_flops(run) <= plain_flops;
}

static void setup(struct run *run) {
    struct prefill *prefill = (struct prefill *)run->state;
    const struct attention_problem *problem = &prefill->problem;
    enum dtype dtype = problem->dtype;
    size_t query_count = attention_query_count(problem), key_count = attention_key_count(problem);
    size_t output_bytes = query_count * dtype_size(dtype);
    size_t row_bytes = query_count / (size_t)problem->head_dim * sizeof(float);
    prefill->device.query = operand(run, dtype, query_count, STREAM_QUERY);
    prefill->device.key = operand(run, dtype, key_count, STREAM_KEY);
    prefill->device.value = operand(run, dtype, key_count, STREAM_VALUE);
    prefill->device.output = bench_device_alloc(run, output_bytes);
    prefill->device.log_sum_exp = (float *)bench_device_alloc(run, row_bytes);
    bench_output(run, prefill->device.output, output_bytes, PLACE_DEVICE, false);
    bench_output(run, prefill->device.log_sum_exp, row_bytes, PLACE_DEVICE, false);
    prefill_prepare(run, prefill_method(run, device_methods));
    if (prefill->plan.workspace > 0) prefill->device.workspace = bench_device_alloc(run, prefill->plan.workspace);
}

static void enqueue(struct run *run) {
    struct prefill *prefill = (struct prefill *)run->state;
    char reason[REASON_SIZE] = "";
    if (!prefill->method->forward(&prefill->problem, &prefill->plan, &prefill->device, run->stream, reason))
        bench_fail(run, "%s", reason);
}

/* Operands too: the check must see what was timed. */
static void fetch(struct run *run) {
    struct prefill *prefill = (struct prefill *)run->state;
    const struct attention_buffers *host = &prefill->host, *device = &prefill->device;
    size_t size = dtype_size(prefill->problem.dtype), queries = attention_query_count(&prefill->problem);
    size_t keys = attention_key_count(&prefill->problem), rows = queries / (size_t)prefill->problem.head_dim;
    CUDA_CHECK(run, cudaMemcpy((void *)host->query, device->query, queries * size, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy((void *)host->key, device->key, keys * size, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy((void *)host->value, device->value, keys * size, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(host->output, device->output, queries * size, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(host->log_sum_exp, device->log_sum_exp, rows * sizeof(float), cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {{.name = "plain",
                                         .backend = "cuda",
                                         .place = PLACE_DEVICE,
                                         .decline = decline,
                                         .setup = setup,
                                         .run = enqueue,
                                         .fetch = fetch,
                                         .release = prefill_release,
                                         .covers = covers_plain},
                                        {.name = "mma",
                                         .backend = "cuda",
                                         .place = PLACE_DEVICE,
                                         .decline = decline,
                                         .setup = setup,
                                         .run = enqueue,
                                         .fetch = fetch,
                                         .release = prefill_release},
                                        {.name = "cudnn",
                                         .backend = "cudnn",
                                         .place = PLACE_DEVICE,
                                         .decline = decline,
                                         .setup = setup,
                                         .run = enqueue,
                                         .fetch = fetch,
                                         .release = prefill_release},
                                        {}};
