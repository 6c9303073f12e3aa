/* problem_device.cu: problems on a device: data made there, results brought back. See problem.h. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "bench/cuda.h"
#include "bench/random.h"
#include "problem.h"
#include "quantize_device.h"

enum { FILL_THREADS = 256, FILL_BLOCKS = 1056 };

/* Elements of the stream as random_fill makes them on the host, up to the last bit of the logarithm and cosine. */
static __global__ void fill_kernel(void *data, enum dtype dtype, size_t count, uint64_t seed, uint64_t stream,
                                   bool zeros, enum problem_inputs inputs) {
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        float value = zeros ? 0 : (float)problem_element(seed, stream, i, inputs);
        if (dtype == DTYPE_fp32) ((float *)data)[i] = value;
        if (dtype == DTYPE_bf16) ((__nv_bfloat16 *)data)[i] = __float2bfloat16(value);
        if (dtype == DTYPE_fp16) ((__half *)data)[i] = __float2half(value);
    }
}

static void *operand(struct run *run, enum dtype dtype, size_t count, uint64_t stream) {
    void *data = bench_device_alloc(run, count * dtype_size(dtype));
    fill_kernel<<<FILL_BLOCKS, FILL_THREADS, 0, run->stream>>>(data, dtype, count, run->seed, stream, run->zeros,
                                                               (enum problem_inputs)run->value[PROBLEM_AXIS_INPUTS]);
    CUDA_CHECK_LAUNCH(run);
    return data;
}

/* Its scales come with it. */
static void *operand_fp8(struct run *run, int64_t heads, int64_t tokens, uint64_t stream, const float **scale) {
    const struct attention_problem *problem = &((struct problem *)run->state)->problem;
    struct quantize_operand operand = {.heads = problem->batch * heads, .tokens = tokens, .head_dim = problem->head_dim,
                                       .stream = stream, .rotated = stream != STREAM_VALUE,
                                       .by_token = problem->scale_tokens == 1};
    int64_t blocks = operand.heads * attention_scale_blocks(problem, tokens);
    operand.data = bench_device_alloc(run, (size_t)(operand.heads * tokens * operand.head_dim));
    operand.scale = (float *)bench_device_alloc(run, (size_t)blocks * sizeof(float));
    quantize_fill(run, &operand);
    *scale = operand.scale;
    return operand.data;
}

/* Query, key and value. */
static void setup_operands(struct run *run, const struct attention_problem *problem, struct attention_buffers *device) {
    enum dtype dtype = problem->dtype;
    size_t query_count = attention_query_count(problem), key_count = attention_key_count(problem);
    if (dtype == DTYPE_fp8_e4m3) {
        int64_t kv_heads = problem->kv_heads, keys = problem->keys;
        device->query = operand_fp8(run, problem->heads, problem->queries, STREAM_QUERY, &device->query_scale);
        device->key = operand_fp8(run, kv_heads, keys, STREAM_KEY, &device->key_scale);
        device->value = operand_fp8(run, kv_heads, keys, STREAM_VALUE, &device->value_scale);
        return;
    }
    device->query = operand(run, dtype, query_count, STREAM_QUERY);
    device->key = operand(run, dtype, key_count, STREAM_KEY);
    device->value = operand(run, dtype, key_count, STREAM_VALUE);
}

static void *result(struct run *run, size_t bytes, bool timed) {
    void *data = bench_device_alloc(run, bytes);
    if (timed) bench_output(run, data, bytes, PLACE_DEVICE, false);
    return data;
}

static void setup_gradients(struct run *run, struct problem *state) {
    const struct attention_problem *problem = &state->problem;
    size_t size = dtype_size(problem->dtype), key_bytes = attention_key_count(problem) * size;
    char reason[REASON_SIZE] = "";
    struct attention_gradients *gradients = &state->device_gradients;
    gradients->output_gradient = operand(run, problem->dtype, attention_query_count(problem), STREAM_OUTPUT_GRADIENT);
    gradients->query_gradient = result(run, attention_query_count(problem) * size, true);
    gradients->key_gradient = result(run, key_bytes, true);
    gradients->value_gradient = result(run, key_bytes, true);
    if (state->plan.backward_workspace > 0)
        gradients->workspace = bench_device_alloc(run, state->plan.backward_workspace);
    if (!state->method->forward(problem, &state->plan, &state->device, run->stream, reason))
        bench_fail(run, "%s", reason);
}

/* A copy of what the host has. */
static const float *numbers(struct run *run, const float *host, size_t count) {
    if (!host) return NULL;
    void *data = bench_device_alloc(run, count * sizeof(float));
    CUDA_CHECK(run, cudaMemcpy(data, host, count * sizeof(float), cudaMemcpyHostToDevice));
    return (const float *)data;
}

void problem_setup_device(struct run *run, const struct attention_operator *method) {
    struct problem *state = (struct problem *)run->state;
    const struct attention_problem *problem = &state->problem;
    size_t query_count = attention_query_count(problem), rows = query_count / (size_t)problem->head_dim;
    size_t output_size = dtype_size(attention_output_dtype(problem->dtype));
    setup_operands(run, problem, &state->device);
    state->device.output = result(run, query_count * output_size, !problem->backward);
    state->device.log_sum_exp = (float *)result(run, rows * sizeof(float), !problem->backward);
    state->device.sink = numbers(run, state->host.sink, (size_t)problem->heads);
    state->device.gate = numbers(run, state->host.gate, rows);
    problem_prepare(run, method);
    if (state->plan.workspace > 0) state->device.workspace = bench_device_alloc(run, state->plan.workspace);
    if (problem->backward) setup_gradients(run, state);
}

static void copy_back(struct run *run, const void *host, const void *device, size_t bytes) {
    CUDA_CHECK(run, cudaMemcpy((void *)host, device, bytes, cudaMemcpyDeviceToHost));
}

static void fetch_scales(struct run *run, const struct attention_problem *problem,
                         const struct attention_buffers *host, const struct attention_buffers *device) {
    int64_t keys = problem->batch * problem->kv_heads * attention_scale_blocks(problem, problem->keys);
    int64_t queries = problem->batch * problem->heads * attention_scale_blocks(problem, problem->queries);
    copy_back(run, host->query_scale, device->query_scale, (size_t)queries * sizeof(float));
    copy_back(run, host->key_scale, device->key_scale, (size_t)keys * sizeof(float));
    copy_back(run, host->value_scale, device->value_scale, (size_t)keys * sizeof(float));
}

void problem_fetch(struct run *run) {
    struct problem *state = (struct problem *)run->state;
    const struct attention_problem *problem = &state->problem;
    const struct attention_buffers *host = &state->host, *device = &state->device;
    size_t size = dtype_size(problem->dtype), queries = attention_query_count(problem) * size;
    size_t keys = attention_key_count(problem) * size;
    size_t outputs = attention_query_count(problem) * dtype_size(attention_output_dtype(problem->dtype));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    copy_back(run, host->query, device->query, queries);
    copy_back(run, host->key, device->key, keys);
    copy_back(run, host->value, device->value, keys);
    copy_back(run, host->output, device->output, outputs);
    copy_back(run, host->log_sum_exp, device->log_sum_exp,
              attention_query_count(problem) / (size_t)problem->head_dim * sizeof(float));
    if (device->query_scale) fetch_scales(run, problem, host, device);
    if (!problem->backward) return;
    const struct attention_gradients *to = &state->host_gradients, *from = &state->device_gradients;
    copy_back(run, to->output_gradient, from->output_gradient, queries);
    copy_back(run, to->query_gradient, from->query_gradient, queries);
    copy_back(run, to->key_gradient, from->key_gradient, keys);
    copy_back(run, to->value_gradient, from->value_gradient, keys);
}
