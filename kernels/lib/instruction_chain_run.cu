/* instruction_chain_run.cu: the measuring part of instruction_chain.h. */
#include "bench/cuda.h"
#include "bench/statistics.h"
#include "kernels/lib/instruction_chain.h"

/* run->device_state, in host memory. */
struct instruction_device {
    struct instruction_arguments arguments;
    struct device_clock clock;
    const struct instruction_kernels *kernels;
    const void *kernel;
    unsigned threads;
};

void instruction_chain_setup(struct run *run, const struct instruction_kernels *kernels, bool throughput) {
    struct instruction_state *state = (struct instruction_state *)run->state;
    struct instruction_device *device = (struct instruction_device *)bench_alloc(run, sizeof *device);
    struct instruction_arguments *arguments = &device->arguments;
    size_t record_bytes = (size_t)CHAIN_STEPS * CHAIN_LANES * sizeof *state->record;
    run->device_state = device;
    device->kernels = kernels;
    device->kernel = throughput ? kernels->throughput : kernels->latency;
    device->threads = throughput ? CHAIN_BLOCK : CHAIN_LANES;
    state->out_count = throughput ? (size_t)CHAIN_BLOCK * CHAIN_PARALLEL : (size_t)CHAIN_LANES;
    state->record = (uint64_t *)bench_alloc(run, record_bytes);
    state->out = (uint64_t *)bench_alloc(run, state->out_count * sizeof *state->out);
    device_clock_setup(run, &device->clock, 1);
    arguments->spans = device->clock.spans;
    arguments->start = (const uint64_t *)device_copy(run, state->start, sizeof state->start);
    arguments->a = state->a;
    arguments->b = state->b;
    arguments->record = (uint64_t *)bench_device_alloc(run, record_bytes);
    arguments->out = (uint64_t *)bench_device_alloc(run, state->out_count * sizeof *state->out);
    arguments->steps = CHAIN_STEPS;
    CUDA_CHECK(run, cudaMemset(arguments->record, 0xff, record_bytes));
    CUDA_CHECK(run, cudaMemset(arguments->out, 0xff, state->out_count * sizeof *state->out));
    bench_output(run, arguments->out, state->out_count * sizeof *state->out, PLACE_DEVICE, false);
}

static void launch(struct run *run) {
    struct instruction_device *device = (struct instruction_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, 1, device->threads, arguments, 0, run->stream));
}

/* Clocks of a step. The long chain is the last that ran. */
static double clocks_of_step(struct run *run) {
    struct instruction_device *device = (struct instruction_device *)run->device_state;
    device->arguments.steps = CHAIN_STEPS_SHORT;
    double little = device_clock_sample(run, &device->clock, launch)->median_clocks;
    device->arguments.steps = CHAIN_STEPS;
    double much = device_clock_sample(run, &device->clock, launch)->median_clocks;
    return (much - little) / (CHAIN_STEPS - CHAIN_STEPS_SHORT);
}

void instruction_chain_latency(struct run *run) {
    const struct instruction_device *device = (const struct instruction_device *)run->device_state;
    const struct limit none = {0, NULL};
    bench_report_plain(run, METRIC_latency_clocks, clocks_of_step(run) / device->kernels->operations, none);
}

void instruction_chain_throughput(struct run *run, double lanes_per_clock) {
    const struct instruction_device *device = (const struct instruction_device *)run->device_state;
    double steps = (double)(CHAIN_BLOCK * CHAIN_PARALLEL) * device->kernels->operations;
    struct limit limit = {lanes_per_clock, "lanes of a multiprocessor"};
    if (lanes_per_clock == 0) limit = (struct limit){0, NULL};
    bench_report_plain(run, METRIC_lanes_per_clock, steps / clocks_of_step(run), limit);
}

void instruction_chain_fetch(struct run *run) {
    struct instruction_state *state = (struct instruction_state *)run->state;
    struct instruction_device *device = (struct instruction_device *)run->device_state;
    const struct instruction_arguments *arguments = &device->arguments;
    void *pointer[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernels->record, 1, CHAIN_LANES, pointer, 0, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    CUDA_CHECK(run, cudaMemcpy(state->record, arguments->record,
                               (size_t)CHAIN_STEPS * CHAIN_LANES * sizeof *state->record, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(state->out, arguments->out, state->out_count * sizeof *state->out,
                               cudaMemcpyDeviceToHost));
}
