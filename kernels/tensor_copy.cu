/* tensor_copy.cu: the copies. Boxes (small ones in groups of 8 KiB) are dealt out in turn: the k-th of a block is
   blockIdx.x + k gridDim.x. Floor of a throughput launch over 256 MiB: 8 x 256 MiB at 4.8 TB/s, 447 us. */
#include "bench/cuda.h"
#include "kernels/lib/cluster.h"
#include "kernels/lib/device_clock.h"
#include "kernels/tensor_copy_device.h"

/* run->device_state, in host memory. */
struct copy_device {
    struct copy_arguments arguments;
    struct device_clock clock;
    const void *kernel;
    size_t shared_bytes;
    bool latency;
};

/* Units of this block in all rounds, and the one after `unit`. */
static __device__ unsigned units_of_block(const struct copy_arguments *arguments) {
    unsigned units = arguments->units;
    return arguments->rounds * (blockIdx.x < units ? (units - blockIdx.x + gridDim.x - 1) / gridDim.x : 0);
}
static __device__ unsigned next_unit(const struct copy_arguments *arguments, unsigned unit) {
    return unit + gridDim.x < arguments->units ? unit + gridDim.x : blockIdx.x;
}

static __device__ uint32_t load_all(const struct copy_arguments *arguments, unsigned count) {
    unsigned unit = blockIdx.x;
    uint32_t sum = 0;
    for (unsigned k = 0; k < count; k++, unit = next_unit(arguments, unit)) sum += load_unit(arguments, unit);
    return sum;
}

/* Until the oldest of `stages` groups, a power of two, has come. */
static __device__ void wait_for_oldest(unsigned stages) {
    static_assert(STAGES_MOST == 16, "the cases");
    switch (stages) {
    case 16: asm volatile("cp.async.wait_group 15;" ::: "memory"); break;
    case 8: asm volatile("cp.async.wait_group 7;" ::: "memory"); break;
    case 4: asm volatile("cp.async.wait_group 3;" ::: "memory"); break;
    case 2: asm volatile("cp.async.wait_group 1;" ::: "memory"); break;
    default: asm volatile("cp.async.wait_group 0;" ::: "memory");
    }
}

/* A thread adds up what it asked for itself: no barriers. */
static __device__ uint32_t async_all(const struct copy_arguments *arguments, unsigned char *tiles, unsigned count) {
    unsigned stages = arguments->stages, bytes = arguments->unit_bytes, unit = blockIdx.x;
    uint32_t sum = 0;
    for (unsigned k = 0; k < stages; k++, unit = next_unit(arguments, unit))
        start_async(arguments, unit, k < count, (uint4 *)(tiles + k * bytes));
    for (unsigned k = 0; k < count; k++, unit = next_unit(arguments, unit)) {
        uint4 *tile = (uint4 *)(tiles + (k & (stages - 1)) * bytes);
        wait_for_oldest(stages);
        sum += sum_unit(tile, bytes);
        start_async(arguments, unit, k + stages < count, tile);
    }
    return sum;
}

/* The first warp asks, all wait and add up. */
template <enum kind kind>
static __device__ uint32_t copy_all(const struct copy_arguments *arguments, unsigned char *tiles, uint64_t *barriers,
                                    unsigned count) {
    unsigned stages = arguments->stages, bytes = arguments->unit_bytes, unit = blockIdx.x, parity = 0;
    uint32_t sum = 0;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    for (unsigned k = 0; k < stages && k < count; k++, unit = next_unit(arguments, unit))
        if (threadIdx.x < 32) start_copy<kind>(arguments, unit, tiles + k * bytes, &barriers[k]);
    for (unsigned k = 0; k < count; k++, unit = next_unit(arguments, unit)) {
        unsigned stage = k & (stages - 1);
        barrier_wait(&barriers[stage], parity);
        if (stage == stages - 1) parity ^= 1;
        sum += sum_unit((const uint4 *)(tiles + stage * bytes), bytes);
        __syncthreads(); /* all have read the tile */
        if (threadIdx.x < 32 && k + stages < count)
            start_copy<kind>(arguments, unit, tiles + stage * bytes, &barriers[stage]);
    }
#endif
    return sum;
}

static __device__ void start_barriers(uint64_t *barriers, unsigned count) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    for (unsigned i = 0; threadIdx.x == 0 && i < count; i++) barrier_start(&barriers[i]);
    barriers_started();
#endif
    __syncthreads();
}

template <enum kind kind>
static __global__ void __launch_bounds__(THREADS)
    copy_throughput(const __grid_constant__ struct copy_arguments arguments) {
    extern __shared__ __align__(ALIGNMENT) unsigned char tiles[];
    __shared__ uint64_t barriers[STAGES_MOST];
    struct device_span span;
    start_barriers(barriers, STAGES_MOST);
    device_span_begin(&span);
    unsigned count = units_of_block(&arguments);
    uint32_t sum = count == 0            ? 0
                   : kind == KIND_LOAD   ? load_all(&arguments, count)
                   : kind == KIND_ASYNC  ? async_all(&arguments, tiles, count)
                                         : copy_all<kind>(&arguments, tiles, barriers, count);
    device_add_up(arguments.sum, sum);
    __syncthreads();
    device_span_end(&span);
    if (threadIdx.x == 0) arguments.spans[blockIdx.x] = span;
}

/* Clocks from the request for box `box` to its end, for thread 0; the box is then in shared memory, or `sum` has it.
   Addresses are made before the clock is read. */
template <enum kind kind>
static __device__ long long copy_one(const struct copy_arguments *arguments, unsigned box, unsigned char *tile,
                                     uint64_t *barrier, uint32_t *sum) {
    const uint4 *from = arguments->array + (size_t)box * (arguments->box_bytes / 16);
    unsigned vectors = arguments->box_bytes / 16, bytes = arguments->box_bytes;
    int at[TENSOR_RANKS_MOST] = {};
    long long start;
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    if (kind == KIND_TENSOR) box_origin(&arguments->shape, box, at);
#endif
    __syncthreads();
    start = clock64();
    if (kind == KIND_LOAD) {
        for (unsigned i = threadIdx.x; i < vectors; i += THREADS) *sum += sum_of(load_vector(from + i));
    } else if (kind == KIND_ASYNC) {
        async_vectors(from, (uint4 *)tile, vectors);
        asm volatile("cp.async.wait_group 0;" ::: "memory");
    } else {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
        if (threadIdx.x == 0) {
            barrier_expect(barrier, bytes);
            if (kind == KIND_TENSOR) start_tensor(arguments, at, tile, barrier);
            else bulk_load(tile, from, bytes, barrier);
        }
        barrier_wait(barrier, box & 1);
#endif
    }
    asm volatile("" ::"r"(*sum) : "memory"); /* the sum is there before the clock is read */
    return clock64() - start;
}

/* All boxes once to bring them to L2, then once more. Thread 0's clocks, its own vectors of a box among them. */
template <enum kind kind>
static __global__ void __launch_bounds__(THREADS)
    copy_latency(const __grid_constant__ struct copy_arguments arguments) {
    extern __shared__ __align__(ALIGNMENT) unsigned char tiles[];
    __shared__ uint64_t barriers[STAGES_MOST];
    struct device_span span = {};
    uint32_t sum = 0;
    long long clocks = 0;
    start_barriers(barriers, STAGES_MOST);
    for (int lap = 0; lap < 2; lap++) {
        sum = 0;
        clocks = 0;
        device_span_begin(&span);
        for (unsigned box = 0; box < arguments.units; box++) {
            clocks += copy_one<kind>(&arguments, box, tiles, &barriers[0], &sum);
            if (kind != KIND_LOAD) sum += sum_unit((const uint4 *)tiles, arguments.unit_bytes);
        }
        device_span_end(&span);
    }
    device_add_up(arguments.sum, sum);
    if (threadIdx.x != 0) return;
    span.clocks = clocks;
    arguments.spans[0] = span;
}

/* The map of an array of words of 4 bytes, as copy_shape says. */
static void make_map(struct run *run, CUtensorMap *map, const void *array, const struct copy_shape *shape) {
    int64_t extent[TENSOR_RANKS_MOST];
    int box[TENSOR_RANKS_MOST];
    for (int d = 0; d < shape->rank; d++) {
        extent[d] = INT64_C(1) << shape->extent[d];
        box[d] = 1 << shape->box[d];
    }
    tensor_map_make_packed(run, map, array, shape->rank, extent, box);
}

static void setup(struct run *run, const void *kernel, bool latency, bool tensor) {
    struct copy_state *state = (struct copy_state *)run->state;
    struct copy_device *device = (struct copy_device *)bench_alloc(run, sizeof *device);
    struct copy_arguments *arguments = &device->arguments;
    unsigned per = (unsigned)run->value[AXIS_BLOCKS];
    unsigned blocks = latency ? 1 : per * (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount);
    size_t share = (size_t)(device_attribute(run, cudaDevAttrMaxSharedMemoryPerMultiprocessor) / (int)per) - 2048;
    run->device_state = device;
    device->kernel = kernel;
    device->latency = latency;
    state->bytes = run->value[AXIS_BYTES];
    state->shape = copy_shape_make((int)run->value[AXIS_RANK], run->value[AXIS_BOX], state->bytes);
    arguments->shape = state->shape;
    arguments->box_bytes = (unsigned)run->value[AXIS_BOX];
    arguments->group = latency || arguments->box_bytes >= GROUP_BYTES ? 1 : GROUP_BYTES / arguments->box_bytes;
    arguments->unit_bytes = arguments->group * arguments->box_bytes;
    arguments->units = (unsigned)(state->bytes / arguments->unit_bytes);
    arguments->rounds = latency ? 1 : THROUGHPUT_ROUNDS;
    arguments->stages = (unsigned)(share / arguments->unit_bytes);
    if (arguments->stages > STAGES_MOST) arguments->stages = STAGES_MOST;
    arguments->stages = 1u << log2_of(arguments->stages); /* for the waits of cp.async */
    device->shared_bytes = (size_t)arguments->stages * arguments->unit_bytes;
    CUDA_CHECK(run, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)device->shared_bytes));
    device_clock_setup(run, &device->clock, blocks);
    arguments->spans = device->clock.spans;
    uint32_t *array = (uint32_t *)bench_device_alloc(run, (size_t)state->bytes);
    linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, array, (size_t)state->bytes / 4);
    CUDA_CHECK_LAUNCH(run);
    arguments->array = (const uint4 *)array;
    arguments->sum = (uint32_t *)bench_device_alloc(run, sizeof *arguments->sum);
    bench_output(run, arguments->sum, sizeof *arguments->sum, PLACE_DEVICE, true);
    if (tensor) make_map(run, &arguments->map, array, &state->shape);
    state->expected = (uint32_t)linear_sum(state->factor, (uint64_t)state->bytes / 4, 1) * arguments->rounds;
}

static void launch(struct run *run) {
    struct copy_device *device = (struct copy_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaMemsetAsync(device->arguments.sum, 0, sizeof *device->arguments.sum, run->stream));
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->clock.blocks, THREADS, arguments, device->shared_bytes,
                                     run->stream));
}

static void measure_latency(struct run *run) {
    const struct copy_device *device = (const struct copy_device *)run->device_state;
    const struct limit none = {0, NULL};
    bench_report_plain(run, METRIC_latency_clocks,
                       device_clock_sample(run, &device->clock, launch)->median_clocks / device->arguments.units, none);
}

static void measure_throughput(struct run *run) {
    const struct copy_device *device = (const struct copy_device *)run->device_state;
    const struct copy_state *state = (const struct copy_state *)run->state;
    bool memory = state->bytes >= 4 * (int64_t)device_attribute(run, cudaDevAttrL2CacheSize);
    const struct device_samples *samples = device_clock_sample(run, &device->clock, launch);
    bench_report_samples(run, METRIC_bandwidth, (double)state->bytes * (double)THROUGHPUT_ROUNDS, samples->seconds,
                         samples->count, memory ? limit_memory_bandwidth(run) : (struct limit){0, NULL});
    bench_report_plain(run, METRIC_bytes_per_clock,
                       (double)state->bytes * (double)THROUGHPUT_ROUNDS * (double)run->value[AXIS_BLOCKS] /
                           ((double)device->clock.blocks * samples->median_clocks),
                       (struct limit){0, NULL});
}

static void fetch(struct run *run) {
    struct copy_state *state = (struct copy_state *)run->state;
    const struct copy_device *device = (const struct copy_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(&state->sum, device->arguments.sum, sizeof state->sum, cudaMemcpyDeviceToHost));
}

/* Only the engine knows ranks; latencies are of one block and the small array. */
static bool is_latency(const struct run *run) {
    return run->value[AXIS_BLOCKS] == 1 && run->value[AXIS_BYTES] == LATENCY_BYTES;
}
static bool too_wide(const struct run *run) {
    return run->value[AXIS_RANK] == 1 && run->value[AXIS_BOX] > 4 * BOX_EXTENT_MOST;
}
static bool covers_tensor(const struct run *run) {
    return run->value[AXIS_BYTES] != LATENCY_BYTES && !too_wide(run);
}
static bool covers_tensor_latency(const struct run *run) {
    return is_latency(run) && !too_wide(run);
}
static bool covers_flat(const struct run *run) {
    return run->value[AXIS_BYTES] != LATENCY_BYTES && run->value[AXIS_RANK] == 1;
}
static bool covers_flat_latency(const struct run *run) {
    return is_latency(run) && run->value[AXIS_RANK] == 1;
}

static const char *decline_old(const struct run *run) {
    (void)run;
    return cluster_missing((const void *)copy_throughput<KIND_TENSOR>);
}
static const char *decline_tensor(const struct run *run) {
    const char *missing = decline_old(run);
    if (missing != NULL) return missing;
    return too_wide(run) ? "a box has at most 256 elements in a dimension: 1 KiB in one" : NULL;
}
static const char *decline_tensor_latency(const struct run *run) {
    const char *missing = decline_tensor(run);
    return missing != NULL ? missing : is_latency(run) ? NULL : "latencies are of one block and an array of 1 MiB";
}
static const char *decline_flat(const struct run *run) {
    return run->value[AXIS_RANK] != 1 ? "only tensor copies have dimensions" : NULL;
}
static const char *decline_flat_latency(const struct run *run) {
    return is_latency(run) ? decline_flat(run) : "latencies are of one block and an array of 1 MiB";
}
static const char *decline_bulk(const struct run *run) {
    const char *missing = decline_old(run);
    return missing != NULL ? missing : decline_flat(run);
}
static const char *decline_bulk_latency(const struct run *run) {
    const char *missing = decline_old(run);
    return missing != NULL ? missing : decline_flat_latency(run);
}

#define SETUP(word, kind)                                                                                              \
    static void setup_##word(struct run *run) {                                                                        \
        setup(run, (const void *)copy_throughput<kind>, false, kind == KIND_TENSOR);                                   \
    }                                                                                                                  \
    static void setup_##word##_latency(struct run *run) {                                                              \
        setup(run, (const void *)copy_latency<kind>, true, kind == KIND_TENSOR);                                       \
    }
SETUP(tensor, KIND_TENSOR)
SETUP(bulk, KIND_BULK)
SETUP(async, KIND_ASYNC)
SETUP(load, KIND_LOAD)

#define VARIANT(word, declines, is_covered, measures)                                                                  \
    {.name = #word, .backend = "cuda", .place = PLACE_DEVICE, .decline = declines, .setup = setup_##word,              \
     .fetch = fetch, .measure = measures, .covers = is_covered}
const struct variant cuda_variants[] = {
    VARIANT(tensor, decline_tensor, covers_tensor, measure_throughput),
    VARIANT(bulk, decline_bulk, covers_flat, measure_throughput),
    VARIANT(async, decline_flat, covers_flat, measure_throughput),
    VARIANT(load, decline_flat, covers_flat, measure_throughput),
    VARIANT(tensor_latency, decline_tensor_latency, covers_tensor_latency, measure_latency),
    VARIANT(bulk_latency, decline_bulk_latency, covers_flat_latency, measure_latency),
    VARIANT(async_latency, decline_flat_latency, covers_flat_latency, measure_latency),
    VARIANT(load_latency, decline_flat_latency, covers_flat_latency, measure_latency),
    {}};
