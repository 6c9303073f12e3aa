/* occupancy.cu: as many blocks of up to 32 warps as make `warps` on every multiprocessor; the dynamic shared memory
   that they ask for keeps others out. Floor of 512 MiB at 4.8 TB/s: 112 us. */
#include "bench/cuda.h"
#include "kernels/lib/device_clock.h"
#include "kernels/lib/device_sum.h"
#include "kernels/occupancy.h"

enum { BLOCK_WARPS_MOST = 32 };

struct occupancy_arguments {
    const ulonglong2 *array;
    size_t vectors;
    unsigned long long *sum;
    struct device_span *spans;
};

/* run->device_state, in host memory. */
struct occupancy_device {
    struct occupancy_arguments arguments;
    struct device_clock clock;
    const void *kernel;
    unsigned threads, shared_bytes;
};

/* Each warp goes from chunk to chunk of 32 x loads vectors; a round's loads are issued before the first is added. */
template <int loads>
static __global__ void __launch_bounds__(BLOCK_WARPS_MOST * 32)
    read_array(const __grid_constant__ struct occupancy_arguments arguments) {
    size_t warp = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) / 32, warps = gridDim.x * (size_t)blockDim.x / 32;
    unsigned long long sum = 0;
    struct device_span span;
    __syncthreads();
    device_span_begin(&span);
    for (size_t at = warp * 32 * loads + threadIdx.x % 32; at < arguments.vectors; at += warps * 32 * loads) {
        ulonglong2 v[loads];
#pragma unroll
        for (int j = 0; j < loads; j++)
            asm volatile("ld.global.nc.L1::no_allocate.v2.u64 {%0, %1}, [%2];"
                         : "=l"(v[j].x), "=l"(v[j].y)
                         : "l"(arguments.array + at + j * 32));
#pragma unroll
        for (int j = 0; j < loads; j++) sum += v[j].x + v[j].y;
    }
    device_add_up(arguments.sum, sum);
    __syncthreads();
    device_span_end(&span);
    if (threadIdx.x == 0) arguments.spans[blockIdx.x] = span;
}

static const void *kernel_of(int64_t loads) {
    return loads == 1   ? (const void *)read_array<1>
           : loads == 2 ? (const void *)read_array<2>
           : loads == 4 ? (const void *)read_array<4>
                        : (const void *)read_array<8>;
}

static void setup(struct run *run) {
    const struct occupancy_state *state = (const struct occupancy_state *)run->state;
    struct occupancy_device *device = (struct occupancy_device *)bench_alloc(run, sizeof *device);
    struct occupancy_arguments *arguments = &device->arguments;
    int64_t warps = run->value[AXIS_WARPS];
    int blocks = warps > BLOCK_WARPS_MOST ? (int)(warps / BLOCK_WARPS_MOST) : 1;
    size_t bytes = (size_t)run->value[AXIS_BYTES];
    run->device_state = device;
    device->kernel = kernel_of(run->value[AXIS_LOADS]);
    device->threads = (unsigned)(warps / blocks * 32);
    device->shared_bytes = (unsigned)(device_attribute(run, cudaDevAttrMaxSharedMemoryPerMultiprocessor) / blocks -
                                      device_attribute(run, cudaDevAttrReservedSharedMemoryPerBlock));
    CUDA_CHECK(run, cudaFuncSetAttribute(device->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)device->shared_bytes));
    device_clock_setup(run, &device->clock,
                       (unsigned)(blocks * device_attribute(run, cudaDevAttrMultiProcessorCount)));
    uint64_t *array = (uint64_t *)bench_device_alloc(run, bytes);
    linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, array, bytes / sizeof *array);
    CUDA_CHECK_LAUNCH(run);
    arguments->array = (const ulonglong2 *)array;
    arguments->vectors = bytes / sizeof(ulonglong2);
    arguments->spans = device->clock.spans;
    arguments->sum = (unsigned long long *)bench_device_alloc(run, sizeof *arguments->sum);
    bench_output(run, arguments->sum, sizeof *arguments->sum, PLACE_DEVICE, true);
}

static void launch(struct run *run) {
    struct occupancy_device *device = (struct occupancy_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaMemsetAsync(device->arguments.sum, 0, sizeof *device->arguments.sum, run->stream));
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->clock.blocks, device->threads, arguments,
                                     device->shared_bytes, run->stream));
}

static void measure(struct run *run) {
    const struct occupancy_device *device = (const struct occupancy_device *)run->device_state;
    int64_t bytes = run->value[AXIS_BYTES];
    bool memory = bytes >= 4 * (int64_t)device_attribute(run, cudaDevAttrL2CacheSize);
    const struct device_samples *samples = device_clock_sample(run, &device->clock, launch);
    bench_report_samples(run, METRIC_bandwidth, (double)bytes, samples->seconds, samples->count,
                         memory ? limit_memory_bandwidth(run) : (struct limit){0, NULL});
}

static void fetch(struct run *run) {
    struct occupancy_state *state = (struct occupancy_state *)run->state;
    const struct occupancy_device *device = (const struct occupancy_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(&state->sum, device->arguments.sum, sizeof state->sum, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "read", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup, .fetch = fetch, .measure = measure},
    {}};
