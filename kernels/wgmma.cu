/* wgmma.cu: the chains of wgmma. A block is a warpgroup with tiles of its own; the dynamic shared memory it asks for
   decides how many of them a multiprocessor holds.

   Floor of a throughput call: chain x warpgroups x N / 2 clocks; at N = 256 and 1.98 GHz 8193 x 2 x 128 clocks are
   1.06 ms. Writing the accumulators, 17 MB, adds microseconds, and so does filling the tiles. */
#include "bench/cuda.h"
#include "kernels/lib/wgmma.h"
#include "kernels/wgmma.h"

static const int rounds_unrolled = 4;
static_assert(CHAIN_ROUNDS_SHORT % rounds_unrolled == 0 && CHAIN_ROUNDS_MAX_FP16 % rounds_unrolled == 0,
              "whole iterations");
static_assert((int)ROWS == (int)WGMMA_M && (int)CHAIN_ROW_BYTES == (int)WGMMA_ROW_BYTES &&
                  (int)CHAIN_SLICE_BYTES == (int)WGMMA_K_BYTES,
              "a row of a chain is a row of a tile");

struct wgmma_arguments {
    const void *a, *b;   /* ROWS and n rows of CHAIN_ROW_BYTES */
    void *out;           /* block after block ROWS x n */
    long long *clocks;   /* of block 0 */
    int n;
    int iterations;      /* of rounds_unrolled rounds each, at least 1 */
    int keep;            /* an iteration starts from D = 0 when none of these bits are in its number */
};

/* run->device_state, in host memory. */
struct wgmma_device {
    struct wgmma_arguments arguments;
    const void *kernel[2]; /* by whether each instruction is waited for */
    unsigned blocks, shared_bytes;
    size_t out_bytes, matrix_bytes;
};

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
static __device__ void load_tile(unsigned char *tile, const void *rows, unsigned count) {
    const uint4 *from = (const uint4 *)rows;
    for (unsigned i = threadIdx.x; i < count * (WGMMA_ROW_BYTES / 16); i += WGMMA_THREADS) {
        unsigned row = i / (WGMMA_ROW_BYTES / 16), byte = i % (WGMMA_ROW_BYTES / 16) * 16;
        *(uint4 *)(tile + wgmma_swizzled(row, byte)) = from[i];
    }
}

/* Instruction `slice` of a round; A from registers where the instruction takes it so. */
template <bool registers, auto instruction, typename word, int count>
static __device__ __forceinline__ void issue(word (&d)[count], const uint32_t (&a)[CHAIN_SLICES][4], uint64_t tile_a,
                                             uint64_t tile_b, int slice, bool accumulate) {
    const uint64_t step = WGMMA_K_BYTES >> 4; /* of a descriptor's address */
    if constexpr (registers) instruction(d, a[slice], tile_b + slice * step, accumulate);
    else instruction(d, tile_a + slice * step, tile_b + slice * step, accumulate);
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
template <typename word, int count, bool registers, bool wait_each, auto instruction>
static __global__ void __launch_bounds__(WGMMA_THREADS)
    wgmma_chain(const __grid_constant__ struct wgmma_arguments arguments) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(WGMMA_TILE_ALIGNMENT) unsigned char shared[];
    unsigned char *tile_a = shared + (0 - shared_address(shared)) % WGMMA_TILE_ALIGNMENT;
    unsigned char *tile_b = tile_a + ROWS * WGMMA_ROW_BYTES;
    uint32_t a[CHAIN_SLICES][4] = {};
    word d[count] = {};
    load_tile(tile_a, arguments.a, ROWS);
    load_tile(tile_b, arguments.b, (unsigned)arguments.n);
    fence_for_copy_engine();
    __syncthreads();
    for (int i = 0; registers && i < CHAIN_SLICES * 4; i++) {
        unsigned byte = i / 4 * WGMMA_K_BYTES + wgmma_a_byte(threadIdx.x, i % 4);
        a[i / 4][i % 4] = *(const uint32_t *)(tile_a + wgmma_swizzled(wgmma_pair_row(threadIdx.x, i % 4), byte));
    }
    uint64_t at_a = wgmma_tile_descriptor(tile_a, 0), at_b = wgmma_tile_descriptor(tile_b, 0);
    wgmma_hold(d);
    long long start = clock64();
    int i = 0;
    do {
        wgmma_fence(); /* one path leads to each instruction, from a fence; else the compiler adds fences of its own */
#pragma unroll
        for (int j = 0; j < rounds_unrolled * CHAIN_SLICES; j++) {
            issue<registers, instruction>(d, a, at_a, at_b, j % CHAIN_SLICES, j > 0 || (i & arguments.keep) != 0);
            if (wait_each) wait_for_all(d);
            else if (j % CHAIN_SLICES == CHAIN_SLICES - 1) wgmma_commit();
        }
    } while (++i < arguments.iterations);
    wgmma_fence();
    issue<registers, instruction>(d, a, at_a, at_b, 0, true);
    wait_for_all(d);
    long long end = clock64();
    store(&arguments, d);
    if (threadIdx.x == 0 && blockIdx.x == 0) *arguments.clocks = end - start;
#else
    __trap(); /* decline keeps us from here */
#endif
}

/* By type, sums, source of A, whether each is waited for, and n from 8. */
#define KERNELS_N(word, name, registers, source, wait_each, per)                                                       \
    {(const void *)wgmma_chain<word, 8 / per, registers, wait_each, wgmma_##name##_n8_##source>,                       \
     (const void *)wgmma_chain<word, 16 / per, registers, wait_each, wgmma_##name##_n16_##source>,                     \
     (const void *)wgmma_chain<word, 32 / per, registers, wait_each, wgmma_##name##_n32_##source>,                     \
     (const void *)wgmma_chain<word, 64 / per, registers, wait_each, wgmma_##name##_n64_##source>,                     \
     (const void *)wgmma_chain<word, 128 / per, registers, wait_each, wgmma_##name##_n128_##source>,                   \
     (const void *)wgmma_chain<word, 256 / per, registers, wait_each, wgmma_##name##_n256_##source>}
#define KERNELS_WAIT(word, name, registers, source, per)                                                               \
    {KERNELS_N(word, name, registers, source, false, per), KERNELS_N(word, name, registers, source, true, per)}
#define KERNELS(word, name, per)                                                                                       \
    {KERNELS_WAIT(word, name, false, ss, per), KERNELS_WAIT(word, name, true, rs, per)}
static const void *const kernels[TYPE_COUNT][2][2][2][6] = {
    [TYPE_FP16] = {KERNELS(float, fp16_fp32, 2), KERNELS(uint32_t, fp16_fp16, 4)},
    [TYPE_BF16] = {KERNELS(float, bf16_fp32, 2)},
    [TYPE_TF32] = {KERNELS(float, tf32_fp32, 2)},
    [TYPE_FP8_E4M3] = {KERNELS(float, fp8_e4m3_fp32, 2), KERNELS(uint32_t, fp8_e4m3_fp16, 4)},
    [TYPE_FP8_E5M2] = {KERNELS(float, fp8_e5m2_fp32, 2), KERNELS(uint32_t, fp8_e5m2_fp16, 4)},
    [TYPE_INT8] = {KERNELS(int32_t, int8_int32, 2)}};

static const char *decline(const struct run *run) {
    (void)run;
    return wgmma_missing();
}

static const void *kernel_of(const struct run *run, int wait_each) {
    int at = 0;
    while (N_MIN << at < run->value[AXIS_N]) at++;
    return kernels[run->value[AXIS_DTYPE]][run->value[AXIS_SUMS]][run->value[AXIS_A_FROM]][wait_each][at];
}

static int attribute(struct run *run, enum cudaDeviceAttr which) {
    int device, value;
    CUDA_CHECK(run, cudaGetDevice(&device));
    CUDA_CHECK(run, cudaDeviceGetAttribute(&value, which, device));
    return value;
}

static void *on_device(struct run *run, const void *rows, int64_t count) {
    void *copy = bench_device_alloc(run, (size_t)count * CHAIN_ROW_BYTES);
    CUDA_CHECK(run, cudaMemcpy(copy, rows, (size_t)count * CHAIN_ROW_BYTES, cudaMemcpyHostToDevice));
    return copy;
}

/* `blocks` warpgroups run at a time, `matrices` are kept. */
static struct wgmma_device *setup(struct run *run, unsigned blocks, int64_t matrices) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    struct wgmma_device *device = (struct wgmma_device *)bench_alloc(run, sizeof *device);
    struct wgmma_arguments *arguments = &device->arguments;
    run->device_state = device;
    state->matrices = matrices;
    for (int wait_each = 0; wait_each < 2; wait_each++) device->kernel[wait_each] = kernel_of(run, wait_each);
    device->blocks = blocks;
    device->matrix_bytes = (size_t)ROWS * (size_t)state->chain.n * dtype_size(state->chain.sums);
    device->out_bytes = (size_t)matrices * device->matrix_bytes;
    arguments->a = on_device(run, state->chain.a, ROWS);
    arguments->b = on_device(run, state->chain.b, state->chain.n);
    arguments->out = bench_device_alloc(run, device->out_bytes);
    arguments->clocks = (long long *)bench_device_alloc(run, sizeof *arguments->clocks);
    arguments->n = state->chain.n;
    state->out = bench_alloc(run, device->out_bytes);
    bench_output(run, arguments->out, device->out_bytes, PLACE_DEVICE, false);
    /* a share of the shared memory, so that just WARPGROUPS fit; a block's first KiB is the system's */
    int all = attribute(run, cudaDevAttrMaxSharedMemoryPerMultiprocessor);
    int reserved = attribute(run, cudaDevAttrReservedSharedMemoryPerBlock);
    device->shared_bytes = (unsigned)(all / WARPGROUPS - reserved);
    for (int wait_each = 0; wait_each < 2; wait_each++)
        CUDA_CHECK(run, cudaFuncSetAttribute(device->kernel[wait_each], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             (int)device->shared_bytes));
    return device;
}

static void launch_chain(struct run *run, int wait_each) {
    struct wgmma_device *device = (struct wgmma_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel[wait_each], device->blocks, WGMMA_THREADS, arguments,
                                     device->shared_bytes, run->stream));
}

static void run_throughput(struct run *run) {
    launch_chain(run, 0);
}

static void setup_throughput(struct run *run) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    unsigned blocks = WARPGROUPS * (unsigned)attribute(run, cudaDevAttrMultiProcessorCount);
    struct wgmma_device *device = setup(run, blocks, blocks);
    struct wgmma_arguments *arguments = &device->arguments;
    int resident;
    CUDA_CHECK(run, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, device->kernel[0], WGMMA_THREADS,
                                                                  device->shared_bytes));
    if (resident != WARPGROUPS) bench_fail(run, "%d warpgroups fit, not %d", resident, WARPGROUPS);
    bool restart = state->chain.sums == DTYPE_fp16;
    int rounds = wgmma_rounds(state->chain.n);
    state->rounds = restart ? CHAIN_ROUNDS_MAX_FP16 : rounds;
    arguments->iterations = rounds / rounds_unrolled;
    arguments->keep = restart ? CHAIN_ROUNDS_MAX_FP16 / rounds_unrolled - 1 : -1;
}

/* Two matrices: of the chains that do not wait, and of those that do. They hold NaN until then. */
static void setup_issue(struct run *run) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    struct wgmma_device *device = setup(run, 1, 2);
    device->arguments.keep = -1;
    state->rounds = CHAIN_ROUNDS_MAX_FP16;
    CUDA_CHECK(run, cudaMemset(device->arguments.out, 0xff, device->out_bytes));
}

/* wait_each: also which of the matrices is written. */
static double clocks_of_chain(struct run *run, int64_t rounds, int wait_each) {
    struct wgmma_device *device = (struct wgmma_device *)run->device_state;
    struct wgmma_arguments *arguments = &device->arguments;
    void *out = arguments->out;
    long long clocks;
    arguments->iterations = (int)(rounds / rounds_unrolled);
    arguments->out = (char *)out + (size_t)wait_each * device->matrix_bytes;
    launch_chain(run, wait_each);
    arguments->out = out;
    CUDA_CHECK(run, cudaMemcpyAsync(&clocks, arguments->clocks, sizeof clocks, cudaMemcpyDeviceToHost, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    return (double)clocks;
}

static void measure_issue(struct run *run) {
    double n = (double)run->value[AXIS_N], unit = n / 2, memory = n / 4;
    if (run->value[AXIS_A_FROM] == A_SHARED) memory += (double)ROWS / 4;
    struct limit none = {0, NULL};
    struct limit limit = memory > unit ? (struct limit){memory, "shared memory, 128 bytes a clock"}
                                       : (struct limit){unit, "matrix units"};
    bench_report_plain(run, METRIC_issue_clocks, matrix_chain_clocks(run, clocks_of_chain, 0), limit);
    bench_report_plain(run, METRIC_latency_clocks, matrix_chain_clocks(run, clocks_of_chain, 1), none);
}

/* The presets but full leave out the shapes that a product does not use. */
static bool covers_throughput(const struct run *run) {
    return run->preset == PRESET_FULL || run->value[AXIS_N] == N_MIN || run->value[AXIS_N] >= 64;
}

static void fetch(struct run *run) {
    struct wgmma_state *state = (struct wgmma_state *)run->state;
    const struct wgmma_device *device = (const struct wgmma_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->out, device->arguments.out, device->out_bytes, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "issue", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline, .setup = setup_issue,
     .fetch = fetch, .measure = measure_issue},
    {.name = "throughput", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline, .setup = setup_throughput,
     .run = run_throughput, .fetch = fetch, .covers = covers_throughput},
    {}};
