/* synchronization.cu: the barriers. */
#include "bench/cuda.h"
#include "kernels/lib/bulk_copy.h"
#include "kernels/lib/cluster.h"
#include "kernels/lib/device_clock.h"
#include "kernels/synchronization.h"

enum kind { KIND_WARP, KIND_BLOCK, KIND_MBARRIER, KIND_CLUSTER, KIND_GRID };
enum { LAUNCHES = 200, LAUNCH_SAMPLES = 15 };

struct synchronization_arguments {
    unsigned long long *rounds; /* added up over the blocks */
    unsigned long long *early;
    unsigned *counter;          /* of grid barriers; zero before the launch */
    volatile int *notes;        /* of grid barriers: the round of each block */
    struct device_span *spans;
};

/* run->device_state, in host memory. */
struct synchronization_device {
    struct synchronization_arguments arguments;
    struct device_clock clock;
    const void *kernel, *checked;
    unsigned threads;
    bool cluster, grid;
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
/* The shared memory of another block of the cluster. */
static __device__ int note_of_rank(const int *note, unsigned rank) {
    int value;
    asm volatile("ld.shared::cluster.s32 %0, [%1];" : "=r"(value) : "r"(cluster_address(note, rank)) : "memory");
    return value;
}
static __device__ void arrive_and_wait(uint64_t *barrier, unsigned parity) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
    barrier_wait(barrier, parity);
}
#endif

/* One thread of each block counts; the others wait for it. */
static __device__ void grid_barrier(unsigned *counter, unsigned target) {
    unsigned seen;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(counter, 1);
        do asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
        while (seen < target);
    }
    __syncthreads();
}

template <enum kind kind>
static __device__ __forceinline__ void wait_for_others(const struct synchronization_arguments *arguments,
                                                       uint64_t *barrier, unsigned passed) {
    if (kind == KIND_WARP) __syncwarp();
    if (kind == KIND_BLOCK) __syncthreads();
    if (kind == KIND_GRID) grid_barrier(arguments->counter, (passed + 1) * gridDim.x);
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    if (kind == KIND_MBARRIER) arrive_and_wait(barrier, passed & 1);
    if (kind == KIND_CLUSTER) cluster_barrier();
#endif
}

/* The round that a neighbour wrote down: of the next warp (in a warp: thread), of the next block. */
template <enum kind kind>
static __device__ int neighbour(const struct synchronization_arguments *arguments, const volatile int *notes) {
    if (kind == KIND_WARP) return notes[(threadIdx.x + 1) % 32];
    if (kind == KIND_GRID) return arguments->notes[(blockIdx.x + 1) % gridDim.x];
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    if (kind == KIND_CLUSTER) {
        unsigned rank = (blockIdx.x + 1) % cluster_size();
        return note_of_rank((const int *)&notes[(threadIdx.x + 32) % blockDim.x], rank);
    }
#endif
    return notes[(threadIdx.x + 32) % blockDim.x];
}

/* checked: a note before each barrier, a look after it, and one more barrier before the next note. */
template <enum kind kind, bool checked>
static __global__ void wait_often(const __grid_constant__ struct synchronization_arguments arguments) {
    __shared__ uint64_t barrier;
    __shared__ volatile int notes[1024];
    struct device_span span;
    unsigned passed = 0, early = 0;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    if (kind == KIND_MBARRIER && threadIdx.x == 0)
        asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(blockDim.x)
                     : "memory");
#endif
    __syncthreads();
    wait_for_others<kind>(&arguments, &barrier, passed++); /* all have started */
    device_span_begin(&span);
#pragma unroll 1
    for (int round = 0; round < ROUNDS; round++) {
        if (checked) {
            notes[threadIdx.x] = round;
            if (kind == KIND_GRID && threadIdx.x == 0) arguments.notes[blockIdx.x] = round;
        }
        wait_for_others<kind>(&arguments, &barrier, passed++);
        if (checked) {
            early += neighbour<kind>(&arguments, notes) != round;
            wait_for_others<kind>(&arguments, &barrier, passed++);
        }
    }
    device_span_end(&span);
    if (early > 0) atomicAdd(arguments.early, early);
    if (threadIdx.x == 0) {
        arguments.spans[blockIdx.x] = span;
        atomicAdd(arguments.rounds, (passed - 1) / (checked ? 2 : 1));
    }
}

static __global__ void count_blocks(unsigned long long *blocks) {
    if (blocks != NULL && threadIdx.x == 0) atomicAdd(blocks, 1);
}

static struct synchronization_device *new_device(struct run *run, unsigned blocks) {
    struct synchronization_state *state = (struct synchronization_state *)run->state;
    struct synchronization_device *device = (struct synchronization_device *)bench_alloc(run, sizeof *device);
    struct synchronization_arguments *arguments = &device->arguments;
    run->device_state = device;
    device->threads = (unsigned)run->value[AXIS_THREADS];
    device_clock_setup(run, &device->clock, blocks);
    arguments->spans = device->clock.spans;
    arguments->rounds = (unsigned long long *)bench_device_alloc(run, sizeof *arguments->rounds);
    arguments->early = (unsigned long long *)bench_device_alloc(run, sizeof *arguments->early);
    arguments->counter = (unsigned *)bench_device_alloc(run, sizeof *arguments->counter);
    arguments->notes = (volatile int *)bench_device_alloc(run, blocks * sizeof *arguments->notes);
    CUDA_CHECK(run, cudaMemset(arguments->early, 0, sizeof *arguments->early));
    bench_output(run, arguments->rounds, sizeof *arguments->rounds, PLACE_DEVICE, true);
    state->expected = (uint64_t)blocks * ROUNDS;
    return device;
}

#define SETUP(word, kind, count, is_cluster, is_grid)                                                                  \
    static void setup_##word(struct run *run) {                                                                        \
        struct synchronization_device *device = new_device(run, (unsigned)(count));                                    \
        device->kernel = (const void *)wait_often<kind, false>;                                                        \
        device->checked = (const void *)wait_often<kind, true>;                                                        \
        device->cluster = is_cluster;                                                                                  \
        device->grid = is_grid;                                                                                        \
        if (!is_cluster) return;                                                                                       \
        cluster_prepare(run, device->kernel, device->threads, device->clock.blocks, 0);                                \
        cluster_prepare(run, device->checked, device->threads, device->clock.blocks, 0);                               \
    }
SETUP(warp, KIND_WARP, 1, false, false)
SETUP(block, KIND_BLOCK, 1, false, false)
SETUP(mbarrier, KIND_MBARRIER, 1, false, false)
SETUP(cluster, KIND_CLUSTER, run->value[AXIS_BLOCKS], true, false)
SETUP(grid, KIND_GRID, run->value[AXIS_BLOCKS], false, true)

static void launch(struct run *run, const void *kernel) {
    struct synchronization_device *device = (struct synchronization_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaMemsetAsync(device->arguments.counter, 0, sizeof *device->arguments.counter, run->stream));
    CUDA_CHECK(run, cudaMemsetAsync(device->arguments.rounds, 0, sizeof *device->arguments.rounds, run->stream));
    cluster_launch(run, kernel, device->clock.blocks, device->threads, device->cluster ? device->clock.blocks : 0,
                   device->grid, 0, arguments);
}

static void launch_timed(struct run *run) {
    launch(run, ((const struct synchronization_device *)run->device_state)->kernel);
}

static void measure(struct run *run) {
    const struct synchronization_device *device = (const struct synchronization_device *)run->device_state;
    device_clock_report_latency(run, device_clock_sample(run, &device->clock, launch_timed), ROUNDS);
    launch(run, device->checked);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
}

static void launch_many(struct run *run, unsigned long long *counter) {
    unsigned cluster = (unsigned)run->value[AXIS_BLOCKS];
    unsigned blocks = (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount) / cluster * cluster;
    void *arguments[] = {&counter};
    for (int i = 0; i < LAUNCHES; i++)
        cluster_launch(run, (const void *)count_blocks, blocks, (unsigned)run->value[AXIS_THREADS],
                       cluster == 1 ? 0 : cluster, false, 0, arguments);
}

static void setup_cluster_launch(struct run *run) {
    struct synchronization_state *state = (struct synchronization_state *)run->state;
    int64_t cluster = run->value[AXIS_BLOCKS];
    new_device(run, 1);
    cluster_prepare(run, (const void *)count_blocks, (unsigned)run->value[AXIS_THREADS], (unsigned)cluster, 0);
    state->expected = (uint64_t)(device_attribute(run, cudaDevAttrMultiProcessorCount) / cluster * cluster * LAUNCHES);
}

static void measure_cluster_launch(struct run *run) {
    const struct synchronization_device *device = (const struct synchronization_device *)run->device_state;
    double seconds[LAUNCH_SAMPLES];
    for (int sample = -2; sample < LAUNCH_SAMPLES; sample++) {
        double start = bench_seconds();
        launch_many(run, NULL);
        CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
        if (sample >= 0) seconds[sample] = bench_seconds() - start;
    }
    bench_report_samples(run, METRIC_call_time, LAUNCHES, seconds, LAUNCH_SAMPLES, (struct limit){0, NULL});
    CUDA_CHECK(run, cudaMemset(device->arguments.rounds, 0, sizeof *device->arguments.rounds));
    launch_many(run, device->arguments.rounds);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
}

static void fetch(struct run *run) {
    struct synchronization_state *state = (struct synchronization_state *)run->state;
    const struct synchronization_device *device = (const struct synchronization_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(&state->rounds, device->arguments.rounds, sizeof state->rounds, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(&state->early, device->arguments.early, sizeof state->early, cudaMemcpyDeviceToHost));
}

static const char *decline_warp(const struct run *run) {
    return run->value[AXIS_THREADS] != 32 || run->value[AXIS_BLOCKS] != 1 ? "a warp is 32 threads of one block" : NULL;
}

static const char *decline_block(const struct run *run) {
    if (run->value[AXIS_THREADS] % 32 != 0) return "threads are counted in whole warps";
    return run->value[AXIS_BLOCKS] != 1 ? "the threads of one block" : NULL;
}

static const char *decline_mbarrier(const struct run *run) {
    const char *missing = cluster_missing((const void *)wait_often<KIND_MBARRIER, false>);
    return missing != NULL ? missing : decline_block(run);
}

static const char *decline_cluster(const struct run *run) {
    const char *missing = cluster_missing((const void *)wait_often<KIND_CLUSTER, false>);
    int64_t blocks = run->value[AXIS_BLOCKS];
    if (missing != NULL) return missing;
    if (run->value[AXIS_THREADS] % 32 != 0) return "threads are counted in whole warps";
    return blocks > CLUSTER_MAX || (blocks & (blocks - 1)) != 0 ? "clusters are of 1, 2, 4, 8 or 16 blocks" : NULL;
}

static const char *decline_grid(const struct run *run) {
    int device, most = 0;
    if (run->value[AXIS_THREADS] % 32 != 0) return "threads are counted in whole warps";
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
        return "the device does not say how many multiprocessors it has";
    return run->value[AXIS_BLOCKS] > most ? "more blocks than multiprocessors" : NULL;
}

/* What no other variant has, and of grids and clusters a few sizes of block. */
static bool covers_warp(const struct run *run) {
    return decline_warp(run) == NULL;
}
static bool covers_block(const struct run *run) {
    return run->value[AXIS_BLOCKS] == 1;
}
static bool covers_cluster(const struct run *run) {
    return run->value[AXIS_BLOCKS] <= CLUSTER_MAX && (run->value[AXIS_THREADS] == 256 || run->preset == PRESET_FULL);
}
static bool covers_grid(const struct run *run) {
    return run->value[AXIS_BLOCKS] > CLUSTER_MAX && (run->value[AXIS_THREADS] == 256 || run->preset == PRESET_FULL);
}

#define VARIANT(word, declines)                                                                                        \
    .name = #word, .backend = "cuda", .place = PLACE_DEVICE, .decline = declines, .setup = setup_##word, .fetch = fetch
const struct variant cuda_variants[] = {
    {VARIANT(warp, decline_warp), .measure = measure, .covers = covers_warp},
    {VARIANT(block, decline_block), .measure = measure, .covers = covers_block},
    {VARIANT(mbarrier, decline_mbarrier), .measure = measure, .covers = covers_block},
    {VARIANT(cluster, decline_cluster), .measure = measure, .covers = covers_cluster},
    {VARIANT(grid, decline_grid), .measure = measure, .covers = covers_grid},
    {VARIANT(cluster_launch, decline_cluster), .measure = measure_cluster_launch, .covers = covers_cluster},
    {}};
