/* wgmma.cu: the chains of wgmma. A block is a warpgroup with tiles of its own; the dynamic shared memory it asks for
   decides how many of them a multiprocessor holds.

   Floor of a throughput launch: chain x warpgroups x N / 2 clocks; at N = 256 and 1.98 GHz 16385 x 128 clocks are
   1.06 ms. */
#include "bench/cuda.h"
#include "bench/device.h"
#include "kernels/lib/matrix_chain_device.h"
#include "kernels/lib/wgmma_sparse.h"
#include "kernels/wgmma.h"

static const int rounds_unrolled = 4;
static_assert(CHAIN_ROUNDS_SHORT % rounds_unrolled == 0 && CHAIN_ROUNDS_MAX_FP16 % rounds_unrolled == 0,
              "whole iterations");
static_assert((int)ROWS == (int)WGMMA_M && (int)CHAIN_ROW_BYTES == (int)WGMMA_ROW_BYTES &&
                  (int)CHAIN_SLICE_BYTES == (int)WGMMA_K_BYTES,
              "a row of a chain is a row of a tile");

struct wgmma_arguments {
    const void *a, *b;   /* ROWS and n rows of CHAIN_ROW_BYTES; of a sparse chain b's are twice as long */
    void *out;           /* block after block ROWS x n */
    struct device_span *spans; /* for each block */
    int n;
    uint32_t metadata;   /* of a sparse A */
    int iterations;      /* of rounds_unrolled rounds each, at least 1 */
    int keep;            /* an iteration starts from D = 0 when none of these bits are in its number */
};

/* run->device_state, in host memory. */
struct wgmma_device {
    struct wgmma_arguments arguments;
    struct device_clock clock;
    const void *kernel[2]; /* by whether each instruction is waited for */
    unsigned shared_bytes;
    size_t out_bytes, matrix_bytes;
    struct limit limit;
};

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* Rows of row_bytes, as one tile for each WGMMA_ROW_BYTES of them, one after the other. */
static __device__ void load_tiles(unsigned char *tiles, const void *rows, unsigned count, unsigned row_bytes) {
    const uint4 *from = (const uint4 *)rows;
    unsigned chunks = row_bytes / 16;
    for (unsigned i = threadIdx.x; i < count * chunks; i += WGMMA_THREADS) {
        unsigned row = i / chunks, byte = i % chunks * 16;
        unsigned char *tile = tiles + byte / WGMMA_ROW_BYTES * count * WGMMA_ROW_BYTES;
        *(uint4 *)(tile + wgmma_swizzled(row, byte % WGMMA_ROW_BYTES)) = from[i];
    }
}

/* What the instructions of a chain have in common. A slice of a sparse chain's B is 64 bytes of k: two to a tile. */
struct operands {
    uint64_t tile_a, tile_b; /* descriptors */
    uint64_t next_b;         /* from B's first tile to its second, as a descriptor's address */
    uint32_t metadata;
};

/* Instruction `slice` of a round; A from registers where the instruction takes it so. */
template <bool registers, bool sparse, auto instruction, typename word, int count>
static __device__ __forceinline__ void issue(word (&d)[count], const uint32_t (&a)[CHAIN_SLICES][4],
                                             const struct operands *operands, int slice, bool accumulate) {
    const uint64_t step = WGMMA_K_BYTES >> 4; /* of a descriptor's address */
    uint64_t tile_a = operands->tile_a + slice * step, tile_b = operands->tile_b;
    if constexpr (sparse) {
        tile_b += slice % 2 * 2 * step + slice / 2 * operands->next_b;
        if constexpr (registers) instruction(d, a[slice], tile_b, operands->metadata, accumulate);
        else instruction(d, tile_a, tile_b, operands->metadata, accumulate);
    } else {
        tile_b += slice * step;
        if constexpr (registers) instruction(d, a[slice], tile_b, accumulate);
        else instruction(d, tile_a, tile_b, accumulate);
    }
}

template <typename word, int count> static __device__ __forceinline__ void wait_for_all(word (&d)[count]) {
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(d);
    wgmma_fence();
}

template <typename word, int count>
static __device__ void store(const struct wgmma_arguments *arguments, const word (&d)[count]) {
    const int pairs = (int)(count * sizeof(word) / sizeof(uint32_t)); /* n / 2 registers or n / 4 */
    const bool packed = pairs * 4 == arguments->n;
    uint32_t *out = (uint32_t *)arguments->out + (size_t)blockIdx.x * ROWS * arguments->n / (packed ? 2 : 1);
#pragma unroll
    for (int i = 0; i < count; i++) {
        unsigned pair = packed ? i : i / 2, row = wgmma_pair_row(threadIdx.x, pair);
        unsigned at = row * arguments->n + wgmma_pair_column(threadIdx.x, pair);
        memcpy(&out[packed ? at / 2 : at + i % 2], &d[i], sizeof d[i]);
    }
}
#endif

/* word d[count]: the accumulators of a thread. */
template <typename word, int count, bool registers, bool sparse, bool wait_each, auto instruction>
static __global__ void __launch_bounds__(WGMMA_THREADS)
    wgmma_chain(const __grid_constant__ struct wgmma_arguments arguments) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(WGMMA_TILE_ALIGNMENT) unsigned char shared[];
    unsigned char *tile_a = shared + (0 - shared_address(shared)) % WGMMA_TILE_ALIGNMENT;
    unsigned char *tile_b = tile_a + ROWS * WGMMA_ROW_BYTES;
    uint32_t a[CHAIN_SLICES][4] = {};
    word d[count] = {};
    load_tiles(tile_a, arguments.a, ROWS, WGMMA_ROW_BYTES);
    load_tiles(tile_b, arguments.b, (unsigned)arguments.n, sparse ? CHAIN_SPARSE_ROW_BYTES : CHAIN_ROW_BYTES);
    fence_for_copy_engine();
    __syncthreads();
    for (int i = 0; registers && i < CHAIN_SLICES * 4; i++) {
        unsigned byte = i / 4 * WGMMA_K_BYTES + wgmma_a_byte(threadIdx.x, i % 4);
        a[i / 4][i % 4] = *(const uint32_t *)(tile_a + wgmma_swizzled(wgmma_pair_row(threadIdx.x, i % 4), byte));
    }
    struct operands operands = {wgmma_tile_descriptor(tile_a, 0), wgmma_tile_descriptor(tile_b, 0),
                                (uint64_t)arguments.n * WGMMA_ROW_BYTES >> 4, arguments.metadata};
    struct device_span span;
    wgmma_hold(d);
    device_span_begin(&span);
    int i = 0;
    do {
        wgmma_fence(); /* one path leads to each instruction, from a fence; else the compiler adds fences of its own */
#pragma unroll
        for (int j = 0; j < rounds_unrolled * CHAIN_SLICES; j++) {
            issue<registers, sparse, instruction>(d, a, &operands, j % CHAIN_SLICES,
                                                   j > 0 || (i & arguments.keep) != 0);
            if (wait_each) wait_for_all(d);
            else if (j % CHAIN_SLICES == CHAIN_SLICES - 1) wgmma_commit();
        }
    } while (++i < arguments.iterations);
    wgmma_fence();
    issue<registers, sparse, instruction>(d, a, &operands, 0, true);
    wait_for_all(d);
    device_span_end(&span);
    store(&arguments, d);
    if (threadIdx.x == 0) arguments.spans[blockIdx.x] = span;
#else
    __trap(); /* decline keeps us from here */
#endif
}

/* By type, sums, source of A, whether each is waited for, and n from 8. */
#define KERNELS_N(word, name, registers, sparse, source, wait_each, per)                                               \
    {(const void *)wgmma_chain<word, 8 / per, registers, sparse, wait_each, name##_n8_##source>,                       \
     (const void *)wgmma_chain<word, 16 / per, registers, sparse, wait_each, name##_n16_##source>,                     \
     (const void *)wgmma_chain<word, 32 / per, registers, sparse, wait_each, name##_n32_##source>,                     \
     (const void *)wgmma_chain<word, 64 / per, registers, sparse, wait_each, name##_n64_##source>,                     \
     (const void *)wgmma_chain<word, 128 / per, registers, sparse, wait_each, name##_n128_##source>,                   \
     (const void *)wgmma_chain<word, 256 / per, registers, sparse, wait_each, name##_n256_##source>}
#define KERNELS_WAIT(word, name, registers, sparse, source, per)                                                       \
    {KERNELS_N(word, name, registers, sparse, source, false, per),                                                     \
     KERNELS_N(word, name, registers, sparse, source, true, per)}
#define KERNELS(word, name, per)                                                                                       \
    {KERNELS_WAIT(word, wgmma_##name, false, false, ss, per), KERNELS_WAIT(word, wgmma_##name, true, false, rs, per)}
#define SPARSE_KERNELS(word, name)                                                                                     \
    {KERNELS_WAIT(word, wgmma_sparse_##name, false, true, ss, 2),                                                      \
     KERNELS_WAIT(word, wgmma_sparse_##name, true, true, rs, 2)}
static const void *const kernels[TYPE_COUNT][2][2][2][6] = {
    [TYPE_FP16] = {KERNELS(float, fp16_fp32, 2), KERNELS(uint32_t, fp16_fp16, 4)},
    [TYPE_BF16] = {KERNELS(float, bf16_fp32, 2)},
    [TYPE_TF32] = {KERNELS(float, tf32_fp32, 2)},
    [TYPE_FP8_E4M3] = {KERNELS(float, fp8_e4m3_fp32, 2), KERNELS(uint32_t, fp8_e4m3_fp16, 4)},
    [TYPE_FP8_E5M2] = {KERNELS(float, fp8_e5m2_fp32, 2), KERNELS(uint32_t, fp8_e5m2_fp16, 4)},
    [TYPE_INT8] = {KERNELS(int32_t, int8_int32, 2)}};
static const void *const sparse_kernels[TYPE_COUNT][2][2][6] = {
    [TYPE_FP16] = SPARSE_KERNELS(float, fp16),         [TYPE_BF16] = SPARSE_KERNELS(float, bf16),
    [TYPE_TF32] = SPARSE_KERNELS(float, tf32),         [TYPE_FP8_E4M3] = SPARSE_KERNELS(float, fp8_e4m3),
    [TYPE_FP8_E5M2] = SPARSE_KERNELS(float, fp8_e5m2), [TYPE_INT8] = SPARSE_KERNELS(int32_t, int8)};

static const char *decline(const struct run *run) {
    (void)run;
    return wgmma_missing();
}

static const void *kernel_of(const struct run *run, int wait_each) {
    int64_t type = run->value[AXIS_DTYPE], source = run->value[AXIS_A_FROM];
    int at = 0;
    while (N_MIN << at < run->value[AXIS_N]) at++;
    if (run->value[AXIS_SPARSITY] == SPARSE) return sparse_kernels[type][source][wait_each][at];
    return kernels[type][run->value[AXIS_SUMS]][source][wait_each][at];
}

/* `blocks` warpgroups run at a time, `warpgroups` of them on a multiprocessor; `matrices` are kept. */
static struct wgmma_device *setup(struct run *run, unsigned blocks, int warpgroups, int64_t matrices) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    struct wgmma_device *device = (struct wgmma_device *)bench_alloc(run, sizeof *device);
    struct wgmma_arguments *arguments = &device->arguments;
    run->device_state = device;
    state->matrices = matrices;
    for (int wait_each = 0; wait_each < 2; wait_each++) device->kernel[wait_each] = kernel_of(run, wait_each);
    device->matrix_bytes = (size_t)ROWS * (size_t)state->chain.n * dtype_size(state->chain.sums);
    device->out_bytes = (size_t)matrices * device->matrix_bytes;
    device_clock_setup(run, &device->clock, blocks);
    arguments->spans = device->clock.spans;
    arguments->a = matrix_chain_device_a(run, &state->chain);
    arguments->b = matrix_chain_device_b(run, &state->chain, run->value[AXIS_SPARSITY] == SPARSE);
    arguments->metadata = matrix_chain_metadata(state->chain.dtype);
    arguments->out = bench_device_alloc(run, device->out_bytes);
    arguments->n = state->chain.n;
    state->out = bench_alloc(run, device->out_bytes);
    bench_output(run, arguments->out, device->out_bytes, PLACE_DEVICE, false);
    CUDA_CHECK(run, cudaMemset(arguments->out, 0xff, device->out_bytes));
    /* a share of the shared memory, so that just so many warpgroups fit; a block's first KiB is the system's */
    int all = device_attribute(run, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    int reserved = device_attribute(run, cudaDevAttrReservedSharedMemoryPerBlock);
    device->shared_bytes = (unsigned)(all / warpgroups - reserved);
    for (int wait_each = 0; wait_each < 2; wait_each++)
        CUDA_CHECK(run, cudaFuncSetAttribute(device->kernel[wait_each], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             (int)device->shared_bytes));
    return device;
}

static void launch_chain(struct run *run, int wait_each) {
    struct wgmma_device *device = (struct wgmma_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel[wait_each], device->clock.blocks, WGMMA_THREADS, arguments,
                                     device->shared_bytes, run->stream));
}

static void launch_throughput(struct run *run) {
    launch_chain(run, 0);
}

static void setup_on(struct run *run, int multiprocessors) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    int warpgroups = (int)run->value[AXIS_WARPGROUPS], resident;
    unsigned blocks = (unsigned)(warpgroups * multiprocessors);
    struct wgmma_device *device = setup(run, blocks, warpgroups, blocks);
    struct wgmma_arguments *arguments = &device->arguments;
    CUDA_CHECK(run, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, device->kernel[0], WGMMA_THREADS,
                                                                  device->shared_bytes));
    if (resident != warpgroups) bench_fail(run, "%d warpgroups fit, not %d", resident, warpgroups);
    bool restart = state->chain.sums == DTYPE_fp16;
    state->rounds = restart ? (int)CHAIN_ROUNDS_MAX_FP16 : (int)ROUNDS;
    arguments->iterations = ROUNDS / rounds_unrolled;
    arguments->keep = restart ? CHAIN_ROUNDS_MAX_FP16 / rounds_unrolled - 1 : -1;
    device->limit = limit_flop_rate(run, state->chain.dtype);
    device->limit.value *= (run->value[AXIS_SPARSITY] == SPARSE ? 2.0 : 1.0) * multiprocessors /
                           device_attribute(run, cudaDevAttrMultiProcessorCount);
}

static void setup_throughput(struct run *run) {
    setup_on(run, device_attribute(run, cudaDevAttrMultiProcessorCount));
}

static void setup_throughput_one(struct run *run) {
    setup_on(run, 1);
}

/* On all multiprocessors, with the widest dense shape, long enough to see the power that random data and zeros take. */
static const struct device_samples *sample(struct run *run, const struct device_clock *clock) {
    const double power_seconds = 0.2;
    bool plain = run->value[AXIS_A_FROM] == A_SHARED && run->value[AXIS_SPARSITY] == DENSE;
    bool watched = run->preset != PRESET_SMOKE && run->value[AXIS_N] == N_MAX && plain &&
                   clock->blocks == (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount);
    return watched ? device_clock_sample_for(run, clock, launch_throughput, power_seconds)
                   : device_clock_sample(run, clock, launch_throughput);
}

static void measure_throughput(struct run *run) {
    const struct wgmma_device *device = (const struct wgmma_device *)run->device_state;
    const struct wgmma_state *state = (const struct wgmma_state *)run->state;
    enum dtype dtype = state->chain.dtype;
    double k = (double)(CHAIN_SLICE_BYTES / dtype_size(dtype)) * (run->value[AXIS_SPARSITY] == SPARSE ? 2 : 1);
    double instructions = ((double)ROUNDS * (int)CHAIN_SLICES + 1) * device->clock.blocks;
    device_clock_report(run, sample(run, &device->clock),
                        dtype_is_integer(dtype) ? METRIC_op_rate : METRIC_flop_rate,
                        2.0 * (double)(ROWS * state->chain.n) * k * instructions, device->limit);
}

/* Two matrices: of the chains that do not wait, and of those that do. They hold NaN until then. */
static void setup_issue(struct run *run) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    struct wgmma_device *device = setup(run, 1, 1, 2);
    device->arguments.keep = -1;
    state->rounds = CHAIN_ROUNDS_MAX_FP16;
}

/* wait_each: also which of the matrices is written. */
static double clocks_of_chain(struct run *run, int64_t rounds, int wait_each) {
    struct wgmma_device *device = (struct wgmma_device *)run->device_state;
    struct wgmma_arguments *arguments = &device->arguments;
    void *out = arguments->out;
    arguments->iterations = (int)(rounds / rounds_unrolled);
    arguments->out = (char *)out + (size_t)wait_each * device->matrix_bytes;
    launch_chain(run, wait_each);
    arguments->out = out;
    return device_clock_read(run, &device->clock).clocks;
}

static void measure_issue(struct run *run) {
    double n = (double)run->value[AXIS_N], unit = n / 2;
    double memory = n / (run->value[AXIS_SPARSITY] == SPARSE ? 2 : 4);
    if (run->value[AXIS_A_FROM] == A_SHARED) memory += (double)ROWS / 4;
    struct limit none = {0, NULL};
    struct limit limit = memory > unit ? (struct limit){memory, "shared memory, 128 bytes a clock"}
                                       : (struct limit){unit, "matrix units"};
    bench_report_plain(run, METRIC_issue_clocks, matrix_chain_clocks(run, clocks_of_chain, 0), limit);
    bench_report_plain(run, METRIC_latency_clocks, matrix_chain_clocks(run, clocks_of_chain, 1), none);
}

/* One chain alone, whose clocks do not depend on the data. */
static const char *decline_issue(const struct run *run) {
    if (wgmma_missing() != NULL) return wgmma_missing();
    return run->value[AXIS_WARPGROUPS] != 1 ? "the issue interval is of one warpgroup" : NULL;
}

static bool covers_issue(const struct run *run) {
    return run->value[AXIS_WARPGROUPS] == 1 && run->value[AXIS_VALUES] == VALUES_RANDOM;
}

/* The presets but full leave out the shapes that a product does not use, and vary one thing at a time. */
static bool covers_throughput(const struct run *run) {
    bool widest = run->value[AXIS_N] == N_MAX;
    int varied = (run->value[AXIS_SPARSITY] == SPARSE) + (run->value[AXIS_WARPGROUPS] != 1) +
                 (run->value[AXIS_VALUES] == VALUES_ZEROS) + (run->value[AXIS_A_FROM] == A_REGISTERS);
    if (run->preset == PRESET_FULL) return true;
    if (varied == 0) return run->value[AXIS_N] == N_MIN || run->value[AXIS_N] >= 64;
    return widest && varied == 1;
}

static const char *decline_throughput_one(const struct run *run) {
    if (wgmma_missing() != NULL) return wgmma_missing();
    return run->value[AXIS_WARPGROUPS] != 1 ? "two blocks would go to two multiprocessors" : NULL;
}

static bool covers_throughput_one(const struct run *run) {
    return run->value[AXIS_WARPGROUPS] == 1 && run->value[AXIS_VALUES] == VALUES_RANDOM && covers_throughput(run);
}

static void fetch(struct run *run) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    const struct wgmma_device *device = (const struct wgmma_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->out, device->arguments.out, device->out_bytes, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "issue", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_issue, .setup = setup_issue,
     .fetch = fetch, .measure = measure_issue, .covers = covers_issue},
    {.name = "throughput", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline, .setup = setup_throughput,
     .fetch = fetch, .measure = measure_throughput, .covers = covers_throughput},
    {.name = "throughput_one", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_throughput_one,
     .setup = setup_throughput_one, .fetch = fetch, .measure = measure_throughput, .covers = covers_throughput_one},
    {}};
