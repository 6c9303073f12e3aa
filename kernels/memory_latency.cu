/* memory_latency.cu: the same walk by one thread of a CUDA device.

   load_ca  ld.global.ca: through L1
   load_cg  ld.global.cg: L1 is passed by, the smallest sizes show L2
   shared   ld.shared: the multiprocessor's own shared memory, as far as it goes; nodes hold addresses
   shared_index  the same with an index in each node, as i = array[i] does: the making of the address is in the step

   The L2 is in partitions, and a multiprocessor is nearer to one of them. Averages over a tour do not show it; these
   variants time single accesses, each of a line that another multiprocessor has just read (hit) or that nobody has
   (miss), by walkers on all multiprocessors, and part the times into two groups:
     near_hit, far_hit    the mean of the group with the shorter, the longer times
     near_miss, far_miss  the same with the L2 flushed before: what memory adds

   Of the first three both clocks are read inside the kernel, around the steps alone: clock64 for clocks, globaltimer
   for time, whose ticks (up to a microsecond) are nothing beside a sample's milliseconds. Single accesses carry some
   clocks for reading the clock. L1 does not outlive a kernel, so each launch walks
   a lap before it looks at the clock where one is short.

   NOTES. No TLB shows on an H200: a step through 16 GiB takes as long as one through 4 GiB, 667 clocks.
   What a step by index takes depends on how its address is made. An H200 takes 29.0 clocks with LEA from a
   uniform register, which published walks (a fixed number of steps, unrolled as a whole) compile to and this one does;
   28.4 to 28.8 where the compiler mixes LEA and IMAD, 31 in a loop that is left rolled. Without it, `shared`, 23.0. */
#include <stdlib.h>

#include "bench/cuda.h"
#include "kernels/lib/device_clock.h"
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
    void (*kernel)(unsigned long long *cursor, int64_t lap, int64_t steps, struct elapsed *elapsed); /* NULL: shared */
    void (*shared_kernel)(struct tour tour, unsigned stride, unsigned long long *cursor, int64_t lap, int64_t steps,
                          struct elapsed *elapsed);
    size_t shared_bytes;
};

template <bool through_l1> static __device__ unsigned long long step(unsigned long long node) {
    unsigned long long next;
    if (through_l1) asm volatile("ld.global.ca.u64 %0, [%1];" : "=l"(next) : "l"(node));
    else asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(next) : "l"(node));
    return next;
}

/* Storing the node makes the thread wait for it, before a clock is read. */
template <bool through_l1>
static __global__ void walk(unsigned long long *cursor, int64_t lap, int64_t steps, struct elapsed *elapsed) {
    volatile unsigned long long *arrived = cursor;
    unsigned long long node = *arrived;
    for (int64_t i = 0; i < lap; i++) node = step<through_l1>(node);
    *arrived = node;
    unsigned long long start = device_timer();
    long long start_clock = clock64();
    for (int64_t i = 0; i < steps; i += UNROLL) {
#pragma unroll
        for (int j = 0; j < UNROLL; j++) node = step<through_l1>(node);
    }
    *arrived = node;
    elapsed->clocks = clock64() - start_clock;
    elapsed->nanoseconds = device_timer() - start;
}

/* The same in shared memory, where the nodes do not outlive a kernel: they are linked by each. The cursor is an offset.
   */
template <bool by_index> static __device__ unsigned shared_step(unsigned base, unsigned node) {
    unsigned next;
    unsigned address = by_index ? base + node * 4 : node;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(next) : "r"(address));
    return next;
}

template <bool by_index>
static __global__ void walk_shared(struct tour tour, unsigned stride, unsigned long long *cursor, int64_t lap,
                                   int64_t steps, struct elapsed *elapsed) {
    extern __shared__ __align__(16) unsigned char nodes[];
    unsigned base = (unsigned)__cvta_generic_to_shared(nodes);
    /* by a shuffle, which tells the compiler that it is the same in all lanes: an address is then made by LEA from a
       uniform register, as where a program's loop over array[j] is unrolled as a whole, in place of now LEA, now IMAD */
    if (by_index) base = __shfl_sync(~0u, base, 0);
    for (uint64_t i = threadIdx.x; i < tour.count; i += blockDim.x) {
        unsigned offset = (unsigned)node_at(&tour, i + 1 < tour.count ? i + 1 : 0) * stride;
        *(unsigned *)(nodes + node_at(&tour, i) * stride) = by_index ? offset / 4 : base + offset;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    volatile unsigned long long *arrived = cursor;
    unsigned node = by_index ? (unsigned)*arrived / 4 : base + (unsigned)*arrived;
    for (int64_t i = 0; i < lap; i++) node = shared_step<by_index>(base, node);
    *arrived = by_index ? node * 4 : node - base;
    unsigned long long start = device_timer();
    long long start_clock = clock64();
    for (int64_t i = 0; i < steps; i += UNROLL) {
#pragma unroll
        for (int j = 0; j < UNROLL; j++) node = shared_step<by_index>(base, node);
    }
    *arrived = by_index ? node * 4 : node - base;
    elapsed->clocks = clock64() - start_clock;
    elapsed->nanoseconds = device_timer() - start;
}

/* Walker w takes steps w WALKER_STEPS .. of the tour, on the multiprocessor that comes next after (w + shift) factor.
   clocks: of each step, NULL: not asked. */
static __global__ void walk_parts(struct tour tour, uint64_t stride, const char *nodes, unsigned factor, unsigned shift,
                                  unsigned *clocks, unsigned long long *ends) {
    __shared__ volatile unsigned long long arrived;
    unsigned self, walkers = (unsigned)(tour.count / WALKER_STEPS);
    asm("mov.u32 %0, %%smid;" : "=r"(self));
    for (unsigned w = 0; w < walkers; w++) {
        if ((w + shift) * factor % gridDim.x != self) continue;
        unsigned long long node = (unsigned long long)(nodes + node_at(&tour, (uint64_t)w * WALKER_STEPS) * stride);
        for (int i = 0; i < WALKER_STEPS; i++) {
            unsigned start = (unsigned)clock();
            node = step<false>(node);
            arrived = node; /* makes the clock wait for it */
            unsigned end = (unsigned)clock();
            if (clocks != NULL) clocks[w * WALKER_STEPS + i] = end - start;
        }
        ends[w] = node;
    }
}

static __global__ void read_all(const uint4 *memory, size_t vectors, unsigned *sum) {
    unsigned mine = 0;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < vectors; i += (size_t)gridDim.x * blockDim.x)
        mine += memory[i].x;
    if (mine != 0) atomicAdd(sum, mine);
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
    int64_t lap = state->tour.count <= SHORT_LAP ? (int64_t)state->tour.count : 0;
    if (device->kernel != NULL)
        device->kernel<<<1, 1, 0, run->stream>>>(device->cursor, lap, steps, device->elapsed);
    else
        device->shared_kernel<<<1, 256, device->shared_bytes, run->stream>>>(
            state->tour, (unsigned)state->stride, device->cursor, lap, steps, device->elapsed);
    CUDA_CHECK_LAUNCH(run);
    device_wait(run);
    CUDA_CHECK(run, cudaMemcpy(&elapsed, device->elapsed, sizeof elapsed, cudaMemcpyDeviceToHost));
    *clocks = (double)elapsed.clocks;
    return 1e-9 * (double)elapsed.nanoseconds;
}

/* In place of memory the nodes have offsets from NULL. */
static void setup_in_shared(struct run *run, bool by_index) {
    const struct latency_state *state = (const struct latency_state *)run->state;
    struct latency_device *device = (struct latency_device *)bench_alloc(run, sizeof *device);
    unsigned long long first = node_at(&state->tour, 0) * state->stride;
    run->device_state = device;
    device->shared_bytes = (size_t)(state->tour.count * state->stride);
    device->shared_kernel = by_index ? walk_shared<true> : walk_shared<false>;
    CUDA_CHECK(run, cudaFuncSetAttribute((const void *)device->shared_kernel,
                                         cudaFuncAttributeMaxDynamicSharedMemorySize, (int)device->shared_bytes));
    device->cursor = (unsigned long long *)device_copy(run, &first, sizeof first);
    device->end = (unsigned long long *)bench_device_alloc(run, sizeof *device->end);
    device->elapsed = (struct elapsed *)bench_device_alloc(run, sizeof *device->elapsed);
    bench_output(run, device->end, sizeof *device->end, PLACE_DEVICE, false);
}

static void setup_shared(struct run *run) {
    setup_in_shared(run, false);
}

static void setup_shared_index(struct run *run) {
    setup_in_shared(run, true);
}

static int ascending(const void *p, const void *q) {
    unsigned a = *(const unsigned *)p, b = *(const unsigned *)q;
    return (a > b) - (a < b);
}

/* Means of the two groups that a threshold halfway between them parts (Ridler and Calvard, 1978). The slowest
   hundredth, which waited for something else, is left out. */
static void part(unsigned *clocks, size_t count, double mean[2]) {
    qsort(clocks, count, sizeof *clocks, ascending);
    count -= count / 100;
    double threshold = (clocks[0] + clocks[count - 1]) / 2.0, before = 0;
    for (int round = 0; round < 100 && threshold != before; round++) {
        double sum[2] = {0, 0}, members[2] = {0, 0};
        for (size_t i = 0; i < count; i++) {
            int group = clocks[i] > threshold;
            sum[group] += clocks[i];
            members[group]++;
        }
        for (int group = 0; group < 2; group++)
            mean[group] = members[group] > 0 ? sum[group] / members[group] : sum[1 - group] / members[1 - group];
        before = threshold;
        threshold = (mean[0] + mean[1]) / 2;
    }
}

/* Flushes the L2 by reading four times as much, lets the lines be touched from elsewhere (hits), and walks. */
static void measure_parts(struct run *run, bool hit, int group) {
    struct latency_state *state = (struct latency_state *)run->state;
    const struct latency_device *device = (const struct latency_device *)run->device_state;
    unsigned walkers = (unsigned)(state->tour.count / WALKER_STEPS);
    unsigned blocks = (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount);
    size_t flush = 4 * (size_t)device_attribute(run, cudaDevAttrL2CacheSize), count = (size_t)walkers * WALKER_STEPS;
    uint4 *other = (uint4 *)bench_device_alloc(run, flush);
    unsigned *clocks = (unsigned *)bench_device_alloc(run, count * sizeof *clocks), *sum;
    unsigned *copy = (unsigned *)bench_alloc(run, count * sizeof *copy);
    unsigned long long *ends = (unsigned long long *)bench_device_alloc(run, walkers * sizeof *ends);
    unsigned long long *at = (unsigned long long *)bench_alloc(run, walkers * sizeof *at);
    double mean[2];
    sum = (unsigned *)bench_device_alloc(run, sizeof *sum);
    CUDA_CHECK(run, cudaMemset(other, 0, flush));
    read_all<<<4 * blocks, 256, 0, run->stream>>>(other, flush / sizeof *other, sum);
    if (hit) walk_parts<<<blocks, 1, 0, run->stream>>>(state->tour, state->stride, device->nodes, 7, 0, NULL, ends);
    walk_parts<<<blocks, 1, 0, run->stream>>>(state->tour, state->stride, device->nodes, 5, 1, clocks, ends);
    CUDA_CHECK_LAUNCH(run);
    device_wait(run);
    CUDA_CHECK(run, cudaMemcpy(copy, clocks, count * sizeof *copy, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(at, ends, walkers * sizeof *at, cudaMemcpyDeviceToHost));
    part(copy, count, mean);
    bench_report_plain(run, METRIC_latency_clocks, mean[group], (struct limit){0, NULL});
    for (uint64_t w = 0; w < walkers; w++)
        state->astray += at[w] - (uint64_t)(uintptr_t)device->nodes !=
                         node_at(&state->tour, (w + 1) * WALKER_STEPS % state->tour.count) * state->stride;
    CUDA_CHECK(run, cudaMemcpy(device->end, device->cursor, sizeof *device->end, cudaMemcpyDeviceToDevice));
}

#define MEASURE_PART(name, hit, group)                                                                                 \
    static void measure_##name(struct run *run) {                                                                      \
        measure_parts(run, hit, group);                                                                                \
    }
MEASURE_PART(near_hit, true, 0)
MEASURE_PART(far_hit, true, 1)
MEASURE_PART(near_miss, false, 0)
MEASURE_PART(far_miss, false, 1)

static const char *decline_shared(const struct run *run) {
    int device, most = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess)
        return "the device does not say how much shared memory a block may have";
    return run->value[AXIS_BYTES] > most ? "more than a block's shared memory" : NULL;
}

static bool covers_shared(const struct run *run) {
    return run->value[AXIS_BYTES] <= 64 * KIB;
}

static const char *decline_parts(const struct run *run) {
    int64_t count = run->value[AXIS_BYTES] / run->value[AXIS_STRIDE];
    if (count % WALKER_STEPS != 0) return "walkers take 1024 nodes each";
    return run->value[AXIS_BYTES] > 32 * MIB || count < 64 * WALKER_STEPS
               ? "single accesses are timed over 64 walkers' nodes at least and 32 MiB at most"
               : NULL;
}

static bool covers_parts(const struct run *run) {
    return run->value[AXIS_BYTES] == 16 * MIB && run->value[AXIS_STRIDE] == 128;
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
    {.name = "shared", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_shared, .setup = setup_shared,
     .fetch = fetch, .measure = measure, .covers = covers_shared},
    {.name = "shared_index", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_shared,
     .setup = setup_shared_index, .fetch = fetch, .measure = measure, .covers = covers_shared},
#define PART(word)                                                                                                     \
    {.name = #word, .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_parts, .setup = setup_cg,             \
     .fetch = fetch, .measure = measure_##word, .covers = covers_parts}
    PART(near_hit),
    PART(far_hit),
    PART(near_miss),
    PART(far_miss),
#undef PART
    {}};
