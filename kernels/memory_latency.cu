/* memory_latency.cu: the same walk by one thread of a CUDA device.

   load_ca  ld.global.ca: through L1
   load_cg  ld.global.cg: L1 is passed by, the smallest sizes show L2

   Both clocks are read inside the kernel, around the steps alone: clock64 for clocks, globaltimer for time, whose ticks
   (up to a microsecond) are nothing beside a sample's milliseconds. L1 does not outlive a kernel, so each launch walks
   a lap before it looks at the clock where one is short. */
#include "bench/cuda.h"
#include "bench/telemetry.h"
#include "kernels/memory_latency.h"

enum { SHORT_LAP = 8192 }; /* nodes: 1 MiB of lines, more than any L1 */

struct elapsed {
    unsigned long long nanoseconds;
    long long clocks;
};

/* run->device_state, in host memory. */
struct latency_device {
    char *nodes;
    unsigned long long *cursor; /* device: address of the node where the walk stands */
    unsigned long long *end;    /* device, the output: the same, once it is over */
    struct elapsed *elapsed;    /* device */
    void (*kernel)(unsigned long long *cursor, int64_t lap, int64_t steps, struct elapsed *elapsed);
};

template <bool through_l1> static __device__ unsigned long long step(unsigned long long node) {
    unsigned long long next;
    if (through_l1) asm volatile("ld.global.ca.u64 %0, [%1];" : "=l"(next) : "l"(node));
    else asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(next) : "l"(node));
    return next;
}

static __device__ unsigned long long global_timer(void) {
    unsigned long long now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

/* Storing the node makes the thread wait for it, before a clock is read. */
template <bool through_l1>
static __global__ void walk(unsigned long long *cursor, int64_t lap, int64_t steps, struct elapsed *elapsed) {
    volatile unsigned long long *arrived = cursor;
    unsigned long long node = *arrived;
    for (int64_t i = 0; i < lap; i++) node = step<through_l1>(node);
    *arrived = node;
    unsigned long long start = global_timer();
    long long start_clock = clock64();
    for (int64_t i = 0; i < steps; i += UNROLL) {
#pragma unroll
        for (int j = 0; j < UNROLL; j++) node = step<through_l1>(node);
    }
    *arrived = node;
    elapsed->clocks = clock64() - start_clock;
    elapsed->nanoseconds = global_timer() - start;
}

static __global__ void link_nodes(struct tour tour, uint64_t stride, char *nodes) {
    for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < tour.count;
         i += (uint64_t)gridDim.x * blockDim.x)
        *(char **)(nodes + node_at(&tour, i) * stride) =
            nodes + node_at(&tour, i + 1 < tour.count ? i + 1 : 0) * stride;
}

static void setup(struct run *run, bool through_l1) {
    const struct latency_state *state = (const struct latency_state *)run->state;
    struct latency_device *device = (struct latency_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    device->kernel = through_l1 ? walk<true> : walk<false>;
    device->nodes = (char *)bench_device_alloc(run, (size_t)(state->tour.count * state->stride));
    device->cursor = (unsigned long long *)bench_device_alloc(run, sizeof *device->cursor);
    device->end = (unsigned long long *)bench_device_alloc(run, sizeof *device->end);
    device->elapsed = (struct elapsed *)bench_device_alloc(run, sizeof *device->elapsed);
    bench_output(run, device->end, sizeof *device->end, PLACE_DEVICE, false);
    link_nodes<<<4096, 256, 0, run->stream>>>(state->tour, state->stride, device->nodes);
    CUDA_CHECK_LAUNCH(run);
    const char *first = device->nodes + node_at(&state->tour, 0) * state->stride;
    CUDA_CHECK(run, cudaMemcpy(device->cursor, &first, sizeof first, cudaMemcpyHostToDevice));
}

static void setup_ca(struct run *run) {
    setup(run, true);
}

static void setup_cg(struct run *run) {
    setup(run, false);
}

static double sample_device(struct run *run, int64_t steps, double *clocks) {
    const struct latency_state *state = (const struct latency_state *)run->state;
    const struct latency_device *device = (const struct latency_device *)run->device_state;
    struct elapsed elapsed;
    cudaError_t status;
    int64_t lap = state->tour.count <= SHORT_LAP ? (int64_t)state->tour.count : 0;
    device->kernel<<<1, 1, 0, run->stream>>>(device->cursor, lap, steps, device->elapsed);
    CUDA_CHECK_LAUNCH(run);
    while ((status = cudaStreamQuery(run->stream)) == cudaErrorNotReady) {
        cudaGetLastError();
        telemetry_poll();
    }
    CUDA_CHECK(run, status);
    CUDA_CHECK(run, cudaMemcpy(&elapsed, device->elapsed, sizeof elapsed, cudaMemcpyDeviceToHost));
    *clocks = (double)elapsed.clocks;
    return 1e-9 * (double)elapsed.nanoseconds;
}

static void measure(struct run *run) {
    const struct latency_device *device = (const struct latency_device *)run->device_state;
    latency_measure(run, sample_device);
    CUDA_CHECK(run, cudaMemcpy(device->end, device->cursor, sizeof *device->end, cudaMemcpyDeviceToDevice));
}

/* An address that is no node's counts as none. */
static void fetch(struct run *run) {
    struct latency_state *state = (struct latency_state *)run->state;
    const struct latency_device *device = (const struct latency_device *)run->device_state;
    unsigned long long end;
    CUDA_CHECK(run, cudaMemcpy(&end, device->end, sizeof end, cudaMemcpyDeviceToHost));
    uint64_t offset = end - (uint64_t)(uintptr_t)device->nodes;
    state->end = offset % state->stride == 0 ? offset / state->stride : UINT64_MAX;
}

const struct variant cuda_variants[] = {
    {.name = "load_ca", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_ca, .fetch = fetch,
     .measure = measure},
    {.name = "load_cg", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_cg, .fetch = fetch,
     .measure = measure},
    {}};
