/* distributed_shared_memory.cu: a block of 1024 threads on each multiprocessor, with a tile of 64 KiB. In flight: 1024
   threads x 4 loads x 16 bytes, 64 KiB. The floor of a throughput launch is 16 MiB a multiprocessor at 128 B/clk,
   131072 clocks. */
#include "bench/cuda.h"
#include "kernels/distributed_shared_memory.h"
#include "kernels/lib/cluster.h"
#include "kernels/lib/device_clock.h"
#include "kernels/lib/device_sum.h"

/* SHARED_BYTES: more than half of a multiprocessor's, so that it holds one block. */
enum { THREADS = 1024, NODE_BYTES = 16, SHARED_BYTES = 120 << 10, TILE_BYTES = TILE_WORDS * 4 };
enum { VECTORS = TILE_BYTES / 16 };
static_assert((int)VECTORS % THREADS == 0 && (int)NODES * NODE_BYTES <= TILE_BYTES && TILE_BYTES <= SHARED_BYTES,
              "whole steps");

struct cluster_arguments {
    uint64_t seed;
    enum pattern pattern;
    uint32_t *sums;
    struct device_span *spans;
    unsigned rank, target;
    bool zeros;
};

/* run->device_state, in host memory. */
struct cluster_device {
    struct cluster_arguments arguments;
    struct device_clock clock;
    const void *kernel;
    unsigned blocks;
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
static __device__ uint4 load_remote(unsigned address) {
    uint4 v;
    asm volatile("ld.shared::cluster.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(address));
    return v;
}

static __device__ void store_remote(unsigned address, uint4 v) {
    asm volatile("st.shared::cluster.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(v.x), "r"(v.y), "r"(v.z),
                 "r"(v.w)
                 : "memory");
}

static __device__ unsigned walk(unsigned address, int steps) {
#pragma unroll 64
    for (int i = 0; i < steps; i++)
        asm volatile("ld.shared::cluster.u32 %0, [%0];" : "+r"(address)::"memory");
    return address;
}

/* Weighted by its place; the four words of vector `at`. */
static __device__ uint32_t weighted(uint4 v, unsigned at) {
    return v.x * (8 * at + 1) + v.y * (8 * at + 3) + v.z * (8 * at + 5) + v.w * (8 * at + 7);
}

static __device__ uint4 make_vector(const struct cluster_arguments *arguments, unsigned rank, unsigned at) {
    return make_uint4(tile_word(arguments->seed, arguments->zeros, rank, 4 * at),
                      tile_word(arguments->seed, arguments->zeros, rank, 4 * at + 1),
                      tile_word(arguments->seed, arguments->zeros, rank, 4 * at + 2),
                      tile_word(arguments->seed, arguments->zeros, rank, 4 * at + 3));
}

/* Each load has another address than the one before it, without which the assembler would load once. */
template <bool writes>
static __device__ uint32_t go_round(const struct cluster_arguments *arguments, unsigned remote, unsigned owner) {
    uint32_t sum = 0;
    uint4 mine[VECTORS / THREADS];
#pragma unroll
    for (int i = 0; i < VECTORS / THREADS; i++)
        mine[i] = writes ? make_vector(arguments, owner, threadIdx.x + i * THREADS) : make_uint4(0, 0, 0, 0);
#pragma unroll 1
    for (int round = 0; round < TILE_ROUNDS; round++) {
        uint4 v[VECTORS / THREADS];
#pragma unroll
        for (int i = 0; i < VECTORS / THREADS; i++) {
            unsigned address = remote + (threadIdx.x + (i + round) % (VECTORS / THREADS) * THREADS) * 16;
            if (writes) store_remote(remote + (threadIdx.x + i * THREADS) * 16, mine[i]);
            else v[i] = load_remote(address);
        }
#pragma unroll
        for (int i = 0; !writes && i < VECTORS / THREADS; i++) sum += v[i].x + v[i].y + v[i].z + v[i].w;
    }
    return sum;
}

#endif

/* The nodes are written by the block that walks, as addresses that it can use. */
static __global__ void __launch_bounds__(THREADS)
    cluster_latency(const __grid_constant__ struct cluster_arguments arguments) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    extern __shared__ uint4 tile[];
    cluster_barrier();
    if (cluster_rank() == arguments.rank) {
        unsigned base = cluster_address(tile, arguments.target);
        for (unsigned node = threadIdx.x; node < NODES; node += THREADS)
            store_remote(base + node * NODE_BYTES, make_uint4(base + next_node(node) * NODE_BYTES, 0, 0, 0));
        __syncthreads();
        if (threadIdx.x == 0) {
            struct device_span span;
            unsigned address = walk(base, NODES); /* once round: back at node 0 */
            device_span_begin(&span);
            address = walk(address, WALK_STEPS);
            arguments.sums[0] = (address - base) / NODE_BYTES; /* waits for it */
            device_span_end(&span);
            arguments.spans[0] = span;
        }
    }
    cluster_barrier();
#else
    __trap(); /* decline keeps us from here */
#endif
}

template <bool writes>
static __global__ void __launch_bounds__(THREADS)
    cluster_throughput(const __grid_constant__ struct cluster_arguments arguments) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    extern __shared__ uint4 tile[];
    __shared__ uint32_t total;
    unsigned rank = cluster_rank(), target = partner(arguments.pattern, rank, cluster_size());
    struct device_span span;
    uint32_t sum;
    if (threadIdx.x == 0) total = 0;
    for (unsigned at = threadIdx.x; at < VECTORS; at += THREADS)
        tile[at] = writes ? make_uint4(0, 0, 0, 0) : make_vector(&arguments, rank, at);
    cluster_barrier();
    device_span_begin(&span);
    sum = go_round<writes>(&arguments, cluster_address(tile, target), target);
    if (writes) cluster_barrier(); /* all stores have arrived */
    else device_add_up(&total, sum);
    __syncthreads();
    device_span_end(&span);
    if (writes) {
        sum = 0;
        for (unsigned at = threadIdx.x; at < VECTORS; at += THREADS) sum += weighted(tile[at], at);
        device_add_up(&total, sum);
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        arguments.sums[blockIdx.x] = total;
        arguments.spans[blockIdx.x] = span;
    }
    cluster_barrier(); /* nobody's memory goes while somebody may read it */
#else
    __trap(); /* decline keeps us from here */
#endif
}

static void setup(struct run *run, const void *kernel, bool everywhere, bool written) {
    struct cluster_state *state = (struct cluster_state *)run->state;
    struct cluster_device *device = (struct cluster_device *)bench_alloc(run, sizeof *device);
    struct cluster_arguments *arguments = &device->arguments;
    unsigned cluster = (unsigned)run->value[AXIS_CLUSTER];
    unsigned clusters = cluster_prepare(run, kernel, THREADS, cluster, SHARED_BYTES);
    run->device_state = device;
    device->kernel = kernel;
    device->blocks = cluster * (everywhere ? clusters : 1);
    state->blocks = everywhere ? device->blocks : 1;
    state->written = written;
    state->sums = (uint32_t *)bench_alloc(run, state->blocks * sizeof *state->sums);
    device_clock_setup(run, &device->clock, state->blocks);
    arguments->seed = run->seed;
    arguments->zeros = run->zeros;
    arguments->pattern = (enum pattern)run->value[AXIS_PATTERN];
    arguments->rank = (unsigned)run->value[AXIS_RANK];
    arguments->target = (unsigned)run->value[AXIS_TARGET];
    arguments->spans = device->clock.spans;
    arguments->sums = (uint32_t *)bench_device_alloc(run, state->blocks * sizeof *arguments->sums);
    CUDA_CHECK(run, cudaMemset(arguments->sums, 0xff, state->blocks * sizeof *arguments->sums));
    bench_output(run, arguments->sums, state->blocks * sizeof *arguments->sums, PLACE_DEVICE, false);
}

static void setup_latency(struct run *run) {
    setup(run, (const void *)cluster_latency, false, false);
}

static void setup_read(struct run *run) {
    setup(run, (const void *)cluster_throughput<false>, true, false);
}

static void setup_write(struct run *run) {
    setup(run, (const void *)cluster_throughput<true>, true, true);
}

static void launch(struct run *run) {
    struct cluster_device *device = (struct cluster_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    cluster_launch(run, device->kernel, device->blocks, THREADS, (unsigned)run->value[AXIS_CLUSTER], false,
                   SHARED_BYTES, arguments);
}

static void measure_latency(struct run *run) {
    const struct cluster_device *device = (const struct cluster_device *)run->device_state;
    device_clock_report_latency(run, device_clock_sample(run, &device->clock, launch), WALK_STEPS);
}

static void measure_throughput(struct run *run) {
    const struct cluster_device *device = (const struct cluster_device *)run->device_state;
    const struct limit none = {0, NULL}, path = {128, "128 B a clock and multiprocessor"};
    const double bytes = (double)TILE_BYTES * (double)TILE_ROUNDS;
    const struct device_samples *samples = device_clock_sample(run, &device->clock, launch);
    bench_report_samples(run, METRIC_bandwidth, bytes * device->blocks, samples->seconds, samples->count, none);
    bench_report_plain(run, METRIC_bytes_per_clock, bytes / samples->median_clocks,
                       run->value[AXIS_PATTERN] == PATTERN_LOCAL ? path : none);
}

static void fetch(struct run *run) {
    struct cluster_state *state = (struct cluster_state *)run->state;
    const struct cluster_device *device = (const struct cluster_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->sums, device->arguments.sums, state->blocks * sizeof *state->sums,
                               cudaMemcpyDeviceToHost));
}

/* Of a quick run the whole matrix in clusters of eight, in others the first rank's row. */
static bool covers_latency(const struct run *run) {
    bool chosen = run->preset == PRESET_FULL || run->value[AXIS_RANK] == 0 || run->value[AXIS_CLUSTER] == 8;
    return run->value[AXIS_PATTERN] == PATTERN_ONE && chosen;
}

static const char *decline_latency(const struct run *run) {
    const char *missing = cluster_missing((const void *)cluster_latency);
    if (missing != NULL) return missing;
    return run->value[AXIS_PATTERN] == PATTERN_ONE ? NULL : "the latency is of pattern one";
}

static bool covers_throughput(const struct run *run) {
    return run->value[AXIS_PATTERN] != PATTERN_ONE && run->value[AXIS_RANK] == 0 && run->value[AXIS_TARGET] == 0;
}

static const char *decline_throughput(const struct run *run) {
    const char *missing = cluster_missing((const void *)cluster_throughput<false>);
    if (missing != NULL) return missing;
    return covers_throughput(run) ? NULL : "patterns of all blocks have rank 0 and target 0";
}

#define VARIANT(word, part)                                                                                            \
    {.name = #word, .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_##part, .setup = setup_##word,        \
     .fetch = fetch, .measure = measure_##part, .covers = covers_##part}
const struct variant cuda_variants[] = {VARIANT(latency, latency), VARIANT(read, throughput),
                                        VARIANT(write, throughput), {}};
