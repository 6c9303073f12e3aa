/* cache_bandwidth.cu: the same on a CUDA device, a block of 1024 threads on every multiprocessor.

   shared  each block goes round its own shared memory (`bytes` a multiprocessor)
   l1      each block reads its own part of the memory through L1 (ld.global.ca; `bytes` a multiprocessor); L1 passes
           stores on, so that there is nothing to write or copy
   l2      all blocks go round the same `bytes`, L1 passed by (ld.global.cg); each starts elsewhere

   Time is taken inside the kernel, after a lap that fills the cache: from the earliest start of a block to the latest
   end, by globaltimer, whose ticks of a microsecond at most are below 0.5 % of a call; clocks by clock64.
   Floor: 64 MiB a multiprocessor at 128 B/clk are 524288 clocks, 0.26 ms at 1980 MHz; 32 MiB each of 132 from L2 at
   5120 B/clk 0.44 ms. In flight: 1024 threads x 8 loads x 16 bytes, 128 KiB a multiprocessor, where DRAM needs 30. */
#include "bench/cuda.h"
#include "bench/statistics.h"
#include "kernels/cache_bandwidth.h"
#include "kernels/lib/device_clock.h"

enum level { LEVEL_SHARED, LEVEL_L1, LEVEL_L2 };
enum { THREADS = CHUNK / sizeof(uint4), UNROLL = 8, STEPS_OWN = 4096, STEPS_L2 = 2048, SAMPLES_MOST = 256 };
static const double PATH_BYTES = 128; /* a clock and multiprocessor, since compute capability 7.0 */

struct block_time {
    unsigned long long start, end; /* globaltimer, ns */
    long long clocks;
};

struct walk_arguments {
    struct cache_data data;
    uint4 *memory;
    unsigned *result;        /* a sum for each block */
    struct block_time *time; /* for each block */
    unsigned vectors;        /* that one block reads, or writes; the other half of a copy begins there */
    unsigned lap, steps;     /* in chunks, multiples of UNROLL */
};

/* run->device_state, in host memory. */
struct cache_device {
    struct walk_arguments arguments;
    const void *kernel;
    unsigned blocks;
    size_t shared_bytes, memory_bytes;
    struct block_time *time; /* host memory */
    bool written;            /* the memory is the output */
    void *copy;              /* host memory, of `memory` if it is the output */
};

/* Volatile: each is done as often as it is written, in this order. */
template <enum level level> static __device__ uint4 load(const uint4 *from) {
    uint4 v;
    if (level == LEVEL_SHARED)
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "r"((unsigned)__cvta_generic_to_shared(from)));
    else if (level == LEVEL_L1)
        asm volatile("ld.global.ca.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "l"(from));
    else
        asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "l"(from));
    return v;
}

template <enum level level> static __device__ void store(uint4 *to, uint4 v) {
    if (level == LEVEL_SHARED)
        asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"((unsigned)__cvta_generic_to_shared(to)),
                     "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                     : "memory");
    else
        asm volatile("st.global.cg.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                     : "memory");
}

/* Vector `at` of the data. */
static __device__ uint4 make_vector(struct cache_data data, unsigned at) {
    unsigned first = cache_word(data, 4 * (uint64_t)at);
    return make_uint4(first, first + data.factor, first + 2 * data.factor, first + 3 * data.factor);
}

static __device__ unsigned sum_of(uint4 v) {
    return v.x + v.y + v.z + v.w;
}

/* `steps` chunks from vector *at on, round and round. Returns the sum of what was read. */
template <enum level level, enum access access>
static __device__ unsigned go_round(const struct walk_arguments *arguments, uint4 *memory, unsigned steps,
                                    unsigned *at) {
    unsigned sum = 0;
    for (unsigned step = 0; step < steps; step += UNROLL) {
        unsigned index[UNROLL];
        uint4 v[UNROLL];
#pragma unroll
        for (int j = 0; j < UNROLL; j++) {
            index[j] = *at;
            if (access != ACCESS_WRITE) v[j] = load<level>(memory + index[j]);
            *at += THREADS;
            if (*at >= arguments->vectors) *at -= arguments->vectors;
        }
#pragma unroll
        for (int j = 0; j < UNROLL; j++) {
            if (access == ACCESS_READ) sum += sum_of(v[j]);
            else if (access == ACCESS_WRITE) store<level>(memory + index[j], make_vector(arguments->data, index[j]));
            else store<level>(memory + arguments->vectors + index[j], v[j]);
        }
    }
    return sum;
}

/* The sum over the block, in thread 0. */
static __device__ unsigned block_sum(unsigned sum) {
    __shared__ unsigned of_warp[THREADS / 32];
    unsigned all = 0;
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_down_sync(0xffffffffu, sum, distance);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    for (unsigned warp = 0; threadIdx.x == 0 && warp < THREADS / 32; warp++) all += of_warp[warp];
    return all;
}

/* Shared memory has neither data when the kernel begins nor anybody to look at it when it has ended: the block fills it
   (what is to be overwritten, with ones), and makes a sum that weights each word by its place. */
template <enum access access>
static __device__ void fill_tile(const struct walk_arguments *arguments, uint4 *tile) {
    for (unsigned i = threadIdx.x; i < arguments->vectors; i += THREADS) {
        tile[i] = access == ACCESS_WRITE ? make_uint4(~0u, ~0u, ~0u, ~0u) : make_vector(arguments->data, i);
        if (access == ACCESS_COPY) tile[arguments->vectors + i] = make_uint4(~0u, ~0u, ~0u, ~0u);
    }
    __syncthreads();
}

static __device__ unsigned weighted_sum(const struct walk_arguments *arguments, const uint4 *tile) {
    unsigned sum = 0;
    for (unsigned i = threadIdx.x; i < arguments->vectors; i += THREADS)
        sum += tile[i].x * (8 * i + 1) + tile[i].y * (8 * i + 3) + tile[i].z * (8 * i + 5) + tile[i].w * (8 * i + 7);
    return sum;
}

template <enum level level, enum access access>
static __global__ void __launch_bounds__(THREADS, 1) walk(const __grid_constant__ struct walk_arguments arguments) {
    extern __shared__ uint4 tile[];
    unsigned chunks = arguments.vectors / THREADS, at = threadIdx.x, sum;
    uint4 *memory = arguments.memory;
    if (level == LEVEL_SHARED) fill_tile<access>(&arguments, memory = tile);
    if (level == LEVEL_L1) memory += (size_t)blockIdx.x * arguments.vectors;
    if (level == LEVEL_L2) at += (unsigned)((uint64_t)chunks * blockIdx.x / gridDim.x) * THREADS;
    sum = go_round<level, access>(&arguments, memory, arguments.lap, &at);
    __syncthreads();
    unsigned long long start = device_timer();
    long long start_clock = clock64();
    sum += go_round<level, access>(&arguments, memory, arguments.steps, &at);
    if (level == LEVEL_L2 && access != ACCESS_READ) __threadfence(); /* the stores have arrived */
    sum = block_sum(sum);                                             /* waits for all threads, and what they read */
    long long clocks = clock64() - start_clock;
    unsigned long long end = device_timer();
    if (level == LEVEL_SHARED && access != ACCESS_READ) {
        __syncthreads();
        sum = block_sum(weighted_sum(&arguments, tile + (access == ACCESS_COPY ? arguments.vectors : 0)));
    }
    if (threadIdx.x != 0) return;
    arguments.result[blockIdx.x] = sum;
    arguments.time[blockIdx.x].start = start;
    arguments.time[blockIdx.x].end = end;
    arguments.time[blockIdx.x].clocks = clocks;
}

static __global__ void fill_memory(struct cache_data data, uint4 *memory, size_t vectors) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < vectors; i += (size_t)gridDim.x * blockDim.x)
        memory[i] = make_vector(data, (unsigned)i);
}

static unsigned whole_unrolls(size_t steps) {
    return (unsigned)((steps + UNROLL - 1) / UNROLL * UNROLL);
}

/* The sums of blocks over what they read, chunk by chunk; of shared memory that was written, over what it must hold. */
static void expect_sums(struct cache_state *state, const struct walk_arguments *arguments, enum level level) {
    size_t chunks = arguments->vectors / THREADS;
    unsigned weighted = 0;
    for (uint64_t w = 0; state->access != ACCESS_READ && level == LEVEL_SHARED && w < chunks * CHUNK_WORDS; w++)
        weighted += cache_word(state->data, w) * (unsigned)(2 * w + 1);
    for (size_t block = 0; block < state->result_count; block++) {
        size_t first = level == LEVEL_L1 ? block * chunks : 0;
        size_t at = level == LEVEL_L2 ? chunks * block / state->result_count : 0;
        state->expected[block] = weighted;
        for (unsigned step = 0; state->access == ACCESS_READ && step < arguments->lap + arguments->steps; step++) {
            state->expected[block] += cache_chunk_sum(state->data, first + at);
            at = at + 1 < chunks ? at + 1 : 0;
        }
    }
}

/* Memory of l1 and l2: all blocks' parts, or one footprint, with a copy's second half overwritten. */
static void setup_memory(struct run *run, struct cache_device *device, size_t bytes) {
    const struct cache_state *state = (const struct cache_state *)run->state;
    size_t half = state->access == ACCESS_COPY ? bytes / 2 : state->access == ACCESS_WRITE ? 0 : bytes;
    device->memory_bytes = bytes;
    device->arguments.memory = (uint4 *)bench_device_alloc(run, bytes);
    fill_memory<<<4096, 256, 0, run->stream>>>(state->data, device->arguments.memory, half / sizeof(uint4));
    CUDA_CHECK_LAUNCH(run);
    CUDA_CHECK(run, cudaMemsetAsync((char *)device->arguments.memory + half, 0xff, bytes - half, run->stream));
    device->written = state->access != ACCESS_READ;
    if (!device->written) return;
    device->copy = bench_alloc(run, bytes);
    bench_output(run, device->arguments.memory, bytes, PLACE_DEVICE, true);
}

static void setup_level(struct run *run, enum level level, const void *kernel) {
    struct cache_state *state = (struct cache_state *)run->state;
    struct cache_device *device = (struct cache_device *)bench_alloc(run, sizeof *device);
    struct walk_arguments *arguments = &device->arguments;
    size_t chunks = cache_chunks(state->access, state->bytes);
    run->device_state = device;
    device->kernel = kernel;
    device->blocks = (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount);
    arguments->data = state->data;
    arguments->vectors = (unsigned)(chunks * THREADS);
    arguments->lap = whole_unrolls(level == LEVEL_L2 ? chunks / device->blocks + 1 : chunks);
    arguments->steps = level == LEVEL_L2 ? STEPS_L2 : STEPS_OWN;
    arguments->time = (struct block_time *)bench_device_alloc(run, device->blocks * sizeof *arguments->time);
    arguments->result = (unsigned *)bench_device_alloc(run, device->blocks * sizeof *arguments->result);
    device->time = (struct block_time *)bench_alloc(run, device->blocks * sizeof *device->time);
    if (level == LEVEL_SHARED) {
        device->shared_bytes = state->bytes;
        CUDA_CHECK(run, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)state->bytes));
    } else {
        setup_memory(run, device, state->bytes * (level == LEVEL_L1 ? device->blocks : 1));
        if (level == LEVEL_L1)
            CUDA_CHECK(run, cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                                 cudaSharedmemCarveoutMaxL1));
    }
    if (level == LEVEL_L2 && state->access != ACCESS_READ) return; /* its output is the memory */
    state->result_count = device->blocks;
    state->result = (uint32_t *)bench_alloc(run, device->blocks * sizeof *state->result);
    state->expected = (uint32_t *)bench_alloc(run, device->blocks * sizeof *state->expected);
    expect_sums(state, arguments, level);
    bench_output(run, arguments->result, device->blocks * sizeof *arguments->result, PLACE_DEVICE, false);
}

#define KERNELS(level)                                                                                                 \
    {                                                                                                                  \
        (const void *)walk<level, ACCESS_READ>, (const void *)walk<level, ACCESS_WRITE>,                               \
            (const void *)walk<level, ACCESS_COPY>                                                                     \
    }

static void setup_shared(struct run *run) {
    static const void *const kernels[] = KERNELS(LEVEL_SHARED);
    setup_level(run, LEVEL_SHARED, kernels[run->value[AXIS_ACCESS]]);
}

static void setup_l1(struct run *run) {
    setup_level(run, LEVEL_L1, (const void *)walk<LEVEL_L1, ACCESS_READ>);
}

static void setup_l2(struct run *run) {
    static const void *const kernels[] = KERNELS(LEVEL_L2);
    setup_level(run, LEVEL_L2, kernels[run->value[AXIS_ACCESS]]);
}

/* Seconds of one launch's steps; *clocks: their mean over the blocks. */
static double sample(struct run *run, double *clocks) {
    const struct cache_device *device = (const struct cache_device *)run->device_state;
    void *arguments[] = {(void *)&device->arguments};
    unsigned long long start = UINT64_MAX, end = 0;
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->blocks, THREADS, arguments, device->shared_bytes,
                                     run->stream));
    device_wait(run);
    CUDA_CHECK(run, cudaMemcpy(device->time, device->arguments.time, device->blocks * sizeof *device->time,
                               cudaMemcpyDeviceToHost));
    *clocks = 0;
    for (unsigned block = 0; block < device->blocks; block++) {
        const struct block_time *time = &device->time[block];
        start = time->start < start ? time->start : start;
        end = time->end > end ? time->end : end;
        *clocks += (double)time->clocks / device->blocks;
    }
    return 1e-9 * (double)(end - start);
}

/* The first three samples warm up. */
static void measure_level(struct run *run, struct limit limit, struct limit clock_limit) {
    static double seconds[SAMPLES_MOST], clocks[SAMPLES_MOST];
    static const double caps[PRESET_COUNT] = {0.03, 0.08, 0.5};
    const struct cache_state *state = (const struct cache_state *)run->state;
    const struct cache_device *device = (const struct cache_device *)run->device_state;
    double cap = caps[run->preset] < run->budget ? caps[run->preset] : run->budget, begin = bench_seconds();
    double bytes = (state->access == ACCESS_COPY ? 2.0 : 1.0) * (double)(device->arguments.steps * (size_t)CHUNK);
    size_t count = 0;
    for (int warm = 0; warm < 3; warm++) sample(run, &clocks[0]);
    do {
        seconds[count] = sample(run, &clocks[count]);
        count++;
    } while (count < SAMPLES_MOST && (count < 7 || bench_seconds() - begin < cap));
    bench_report_samples(run, METRIC_bandwidth, bytes * device->blocks, seconds, count, limit);
    bench_report_plain(run, METRIC_bytes_per_clock, bytes / statistics(clocks, count).median, clock_limit);
}

static void measure_own(struct run *run) {
    const struct cache_device *device = (const struct cache_device *)run->device_state;
    double clock = 1e3 * device_attribute(run, cudaDevAttrClockRate);
    struct limit limit = {PATH_BYTES * device->blocks * clock, "128 B a clock and multiprocessor x boost clock"};
    measure_level(run, limit, (struct limit){PATH_BYTES, "128 B a clock and multiprocessor"});
}

/* Past the cache, footprints of four times its size at least, the limit is the memory's. */
static void measure_l2(struct run *run) {
    const struct cache_device *device = (const struct cache_device *)run->device_state;
    bool memory = device->memory_bytes >= 4 * (size_t)device_attribute(run, cudaDevAttrL2CacheSize);
    measure_level(run, memory ? limit_memory_bandwidth(run) : (struct limit){0, NULL}, (struct limit){0, NULL});
}

static void fetch(struct run *run) {
    struct cache_state *state = (struct cache_state *)run->state;
    const struct cache_device *device = (const struct cache_device *)run->device_state;
    if (state->result_count > 0)
        CUDA_CHECK(run, cudaMemcpy(state->result, device->arguments.result,
                                   state->result_count * sizeof *state->result, cudaMemcpyDeviceToHost));
    if (!device->written) return;
    CUDA_CHECK(run, cudaMemcpy(device->copy, device->arguments.memory, device->memory_bytes, cudaMemcpyDeviceToHost));
    const uint32_t *word = (const uint32_t *)device->copy;
    size_t words = device->memory_bytes / sizeof *word, written = 4 * (size_t)device->arguments.vectors;
    uint64_t wrong = 0;
#pragma omp parallel for schedule(static) reduction(+ : wrong)
    for (size_t w = 0; w < words; w++) wrong += word[w] != cache_word(state->data, w % written);
    state->wrong = wrong;
}

static const char *decline_shared(const struct run *run) {
    int device, most = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess)
        return "the device does not say how much shared memory a block may have";
    /* the kernel's own 128 bytes and what the system keeps of each block */
    return run->value[AXIS_BYTES] > most - 1024 ? "more than a block's shared memory" : NULL;
}

static bool covers_shared(const struct run *run) {
    return run->value[AXIS_BYTES] < 256 * KIB;
}

static const char *decline_l1(const struct run *run) {
    if (run->value[AXIS_ACCESS] != ACCESS_READ) return "L1 passes stores on";
    return run->value[AXIS_BYTES] > 64 * MIB ? "more than 64 MiB for each multiprocessor" : NULL;
}

static bool covers_l1(const struct run *run) {
    return run->value[AXIS_ACCESS] == ACCESS_READ && run->value[AXIS_BYTES] <= MIB;
}

static bool covers_l2(const struct run *run) {
    return run->value[AXIS_BYTES] >= MIB;
}

const struct variant cuda_variants[] = {
    {.name = "shared", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_shared, .setup = setup_shared,
     .fetch = fetch, .measure = measure_own, .covers = covers_shared},
    {.name = "l1", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_l1, .setup = setup_l1, .fetch = fetch,
     .measure = measure_own, .covers = covers_l1},
    {.name = "l2", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_l2, .fetch = fetch, .measure = measure_l2,
     .covers = covers_l2},
    {}};
