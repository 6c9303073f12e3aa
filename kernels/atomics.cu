/* atomics.cu: the same on a CUDA device, one block of 1024 threads on each multiprocessor, 32 updates a thread, in one
   launch; the words are zeroed before each.

   NOTES. Where 1 is added to 32-bit words of shared memory and nobody asks for the value before, the lanes of a warp
   that meet in a word are counted at once (ATOMS.POPC.INC): such rows do not fall with crowding. */
#include "bench/cuda.h"
#include "kernels/atomics.h"
#include "kernels/lib/device_clock.h"

enum { THREADS = 1024, UNROLL = 16, WORD_MOST = 8 };

struct atomics_arguments {
    void *words;                  /* global: targets; shared: block after block */
    unsigned long long *results;
    struct device_span *spans;
    unsigned targets;
};

/* run->device_state, in host memory. */
struct atomics_device {
    struct atomics_arguments arguments;
    struct device_clock clock;
    const void *kernel;
    size_t bytes;
};

template <enum operation operation, typename word> static __device__ __forceinline__ word update(word *at, word value) {
    if constexpr (operation == OPERATION_ADD) return atomicAdd(at, (word)1);
    else if constexpr (operation == OPERATION_MAX) return atomicMax(at, value);
    else if constexpr (operation == OPERATION_EXCHANGE) return atomicExch(at, value);
    else return atomicCAS(at, (word)0, value);
}

template <enum operation operation, typename word, bool shared, bool used>
static __global__ void __launch_bounds__(THREADS)
    update_words(const __grid_constant__ struct atomics_arguments arguments) {
    __shared__ __align__(16) unsigned char memory[shared ? SHARED_TARGETS_MOST * sizeof(word) : 16];
    word *words = shared ? (word *)memory : (word *)arguments.words;
    unsigned step = shared ? THREADS : gridDim.x * THREADS;
    unsigned u = shared ? threadIdx.x : blockIdx.x * THREADS + threadIdx.x;
    unsigned long long results = 0;
    struct device_span span;
    for (unsigned i = threadIdx.x; shared && i < arguments.targets; i += THREADS) words[i] = 0;
    __syncthreads();
    device_span_begin(&span);
#pragma unroll 1
    for (int i = 0; i < UPDATES; i += UNROLL) {
        word before[UNROLL];
#pragma unroll
        for (int j = 0; j < UNROLL; j++, u += step) {
            unsigned target = u & (arguments.targets - 1); /* a division would take longer than the update */
            before[j] = update<operation>(words + target, (word)(target + 1));
        }
#pragma unroll
        for (int j = 0; used && j < UNROLL; j++) results += (unsigned long long)before[j];
    }
    if (!shared) __threadfence(); /* the updates have arrived */
    __syncthreads();
    device_span_end(&span);
    for (unsigned i = threadIdx.x; shared && i < arguments.targets; i += THREADS)
        ((word *)arguments.words)[blockIdx.x * (size_t)arguments.targets + i] = words[i];
    if (used) atomicAdd(arguments.results, results);
    if (threadIdx.x == 0) arguments.spans[blockIdx.x] = span;
}

#define KERNEL_PAIR(operation, word, shared)                                                                           \
    {(const void *)update_words<operation, word, shared, false>,                                                       \
     (const void *)update_words<operation, word, shared, true>}
#define KERNELS(operation, word) {KERNEL_PAIR(operation, word, false), KERNEL_PAIR(operation, word, true)}
#define INTEGER_KERNELS(operation) {KERNELS(operation, int), KERNELS(operation, unsigned long long)}
static const void *const kernels[OPERATION_COUNT][TYPE_COUNT][2][2] = {
    {KERNELS(OPERATION_ADD, int), KERNELS(OPERATION_ADD, unsigned long long), KERNELS(OPERATION_ADD, float),
     KERNELS(OPERATION_ADD, double)},
    INTEGER_KERNELS(OPERATION_MAX),
    INTEGER_KERNELS(OPERATION_EXCHANGE),
    INTEGER_KERNELS(OPERATION_COMPARE)};

static void setup_in(struct run *run, bool shared) {
    struct atomics_state *state = (struct atomics_state *)run->state;
    struct atomics_device *device = (struct atomics_device *)bench_alloc(run, sizeof *device);
    struct atomics_arguments *arguments = &device->arguments;
    int64_t type = run->value[AXIS_DTYPE];
    unsigned blocks = (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount);
    run->device_state = device;
    device->kernel = kernels[run->value[AXIS_OPERATION]][type][shared][run->value[AXIS_RESULT]];
    device_clock_setup(run, &device->clock, blocks);
    arguments->spans = device->clock.spans;
    arguments->targets = (unsigned)run->value[AXIS_TARGETS];
    state->copies = shared ? blocks : 1;
    state->updates = (int64_t)THREADS * UPDATES * (shared ? 1 : blocks);
    device->bytes = (size_t)state->copies * arguments->targets * (type == TYPE_INT32 || type == TYPE_FP32 ? 4 : 8);
    arguments->words = bench_device_alloc(run, device->bytes);
    arguments->results = (unsigned long long *)bench_device_alloc(run, sizeof *arguments->results);
    state->words = bench_alloc(run, device->bytes);
    bench_output(run, arguments->words, device->bytes, PLACE_DEVICE, true);
}

static void setup_global(struct run *run) {
    setup_in(run, false);
}

static void setup_shared(struct run *run) {
    setup_in(run, true);
}

static void launch(struct run *run) {
    struct atomics_device *device = (struct atomics_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaMemsetAsync(device->arguments.words, 0, device->bytes, run->stream));
    CUDA_CHECK(run, cudaMemsetAsync(device->arguments.results, 0, sizeof *device->arguments.results, run->stream));
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->clock.blocks, THREADS, arguments, 0, run->stream));
}

static void measure(struct run *run) {
    const struct atomics_device *device = (const struct atomics_device *)run->device_state;
    const struct limit none = {0, NULL};
    const double of_block = (double)THREADS * (int)UPDATES;
    const struct device_samples *samples = device_clock_sample(run, &device->clock, launch);
    bench_report_samples(run, METRIC_update_rate, of_block * device->clock.blocks, samples->seconds, samples->count,
                         none);
    bench_report_plain(run, METRIC_lanes_per_clock, of_block / samples->median_clocks, none);
}

static void fetch(struct run *run) {
    struct atomics_state *state = (struct atomics_state *)run->state;
    const struct atomics_device *device = (const struct atomics_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->words, device->arguments.words, device->bytes, cudaMemcpyDeviceToHost));
    CUDA_CHECK(run, cudaMemcpy(&state->results, device->arguments.results, sizeof state->results,
                               cudaMemcpyDeviceToHost));
}

static const char *decline_shared(const struct run *run) {
    return run->value[AXIS_TARGETS] > SHARED_TARGETS_MOST ? "a block has 4096 words at most" : NULL;
}

static bool covers_shared(const struct run *run) {
    return decline_shared(run) == NULL;
}

const struct variant cuda_variants[] = {
    {.name = "global", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_global, .fetch = fetch,
     .measure = measure},
    {.name = "shared", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_shared, .setup = setup_shared,
     .fetch = fetch, .measure = measure, .covers = covers_shared},
    {}};
