/* mma.cu: the chains of mma. Every warp has the same operands, in registers, and sums of its own.

   Floor of a throughput launch: 4097 slices x 8 chains x 16 warps at 4 m n k / (units' FLOP per clock / 2); for fp16
   at Hopper's 4096 and 1.98 GHz 0.26 ms. */
#include "bench/cuda.h"
#include "bench/device.h"
#include "kernels/lib/matrix_chain_device.h"
#include "kernels/lib/mma_instructions.h"
#include "kernels/mma.h"

struct mma_arguments {
    const unsigned char *a, *b; /* m and n rows of CHAIN_ROW_BYTES; of a sparse chain b's are twice as long */
    void *out;                  /* chain after chain m x n */
    struct device_span *spans;  /* for each block, by its first thread */
    int rounds;
    uint32_t metadata;          /* of a sparse A */
};

/* run->device_state, in host memory. */
struct mma_device {
    struct mma_arguments arguments;
    struct device_clock clock;
    const void *kernel;
    unsigned threads;
    int chains;
    size_t out_bytes;
};

/* A thread's registers of a slice: lane / 4 is its row (of A, and that plus 8; of B's columns), lane % 4 its place in
   16 bytes of k, or in 32 bytes of doubles. */
template <typename word, int count>
static __device__ void load(word (&to)[count], const unsigned char *rows, unsigned row_bytes, bool two_rows,
                            unsigned byte) {
    unsigned row = threadIdx.x % 32 / 4;
    byte += threadIdx.x % 4 * sizeof(word);
#pragma unroll
    for (int i = 0; i < count; i++) {
        unsigned down = two_rows ? i % 2 * 8 : 0, right = (two_rows ? i / 2 : i) * 16;
        to[i] = *(const word *)(rows + (row + down) * row_bytes + byte + right);
    }
}

/* Registers d[2p], d[2p + 1], or the halves of d[p]: row lane / 4 + 8 p, columns 2 (lane % 4) and the next. */
template <typename word, int count> static __device__ void store(word *out, const word (&d)[count], int per_pair) {
    unsigned row = threadIdx.x % 32 / 4, pair = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < count; i++)
        out[((row + i / per_pair * 8) * 4 + pair) * per_pair + i % per_pair] = d[i];
}

/* operand: of A and B; word d[count]: the sums of one chain; per_pair: registers that hold two of them; slices: that an
   instruction takes; rows: of A, 16 or 8. The last instruction takes slice 0 and, where it would take more, zeros. */
template <typename operand, int a_count, int b_count, typename word, int count, int per_pair, int slices, int rows,
          auto instruction, int chains, int unroll>
static __global__ void __launch_bounds__(WARPS * 32)
    mma_chains(const __grid_constant__ struct mma_arguments arguments) {
    const unsigned b_slice = sizeof(operand) == 8 ? CHAIN_SLICE_BYTES : b_count * 16;
    operand a[CHAIN_SLICES][a_count], b[CHAIN_SLICES][b_count];
    operand last_a[slices][a_count] = {}, last_b[slices][b_count] = {};
    word d[chains][count] = {};
#pragma unroll
    for (int slice = 0; slice < CHAIN_SLICES; slice++) {
        load(a[slice], arguments.a, CHAIN_ROW_BYTES, rows == 16, slice * CHAIN_SLICE_BYTES);
        load(b[slice], arguments.b, CHAIN_SLICES * b_slice, false, slice * b_slice);
    }
    load(last_a[0], arguments.a, CHAIN_ROW_BYTES, rows == 16, 0);
    load(last_b[0], arguments.b, CHAIN_SLICES * b_slice, false, 0);
    struct device_span span;
    device_span_begin(&span);
#pragma unroll unroll
    for (int round = 0; round < arguments.rounds; round++)
#pragma unroll
        for (int slice = 0; slice < CHAIN_SLICES; slice += slices)
#pragma unroll
            for (int chain = 0; chain < chains; chain++)
                instruction(d[chain], a + slice, b + slice, arguments.metadata);
#pragma unroll
    for (int chain = 0; chain < chains; chain++) instruction(d[chain], last_a, last_b, arguments.metadata);
    size_t warp = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) / 32;
#pragma unroll
    for (int chain = 0; chain < chains; chain++) /* storing them makes the thread wait for them */
        store((word *)arguments.out + (warp * chains + chain) * count * 32, d[chain], per_pair);
    if (blockDim.x > 32) __syncthreads();
    device_span_end(&span);
    if (threadIdx.x == 0) arguments.spans[blockIdx.x] = span;
}

/* One chain, and mma_chains_of(type) chains. fp8: where the device has no such instruction the compiler makes it of
   fp16 products that start from zero, and computes just once what it can see to be the same product: hence one chain
   and no two rounds in a row, so that each product is a new one. */
#define KERNELS(...) {(const void *)mma_chains<__VA_ARGS__, 1, 4>, (const void *)mma_chains<__VA_ARGS__, CHAINS, 4>}
#define FP8_KERNEL(...) (const void *)mma_chains<__VA_ARGS__, 1, 1>
#define FP8_KERNELS(...) {FP8_KERNEL(__VA_ARGS__), FP8_KERNEL(__VA_ARGS__)}
/* m = 16 but for some of FP64 and INT8_8. word: of the sums */
#define FP64(shape, a_count, count, slices, rows)                                                                      \
    {TYPE_FP64, SUMS_WIDE, DENSE, SHAPE_##shape,                                                                       \
     KERNELS(double, a_count, 1, double, count, 2, slices, rows, mma_fp64_##shape)}
#define WIDE(TYPE, type, word, shape)                                                                                  \
    {TYPE_##TYPE, SUMS_WIDE, DENSE, SHAPE_##shape, KERNELS(uint32_t, 4, 2, word, 4, 2, 1, 16, mma_##type##_##shape)}
#define WIDE_SPARSE(TYPE, type, word, shape)                                                                           \
    {TYPE_##TYPE, SUMS_WIDE, SPARSE, SHAPE_##shape,                                                                    \
     KERNELS(uint32_t, 4, 4, word, 4, 2, 1, 16, mma_sparse_##type##_##shape)}
#define FP8(TYPE, type)                                                                                                \
    {TYPE_##TYPE, SUMS_WIDE, DENSE, SHAPE_m16n8k32,                                                                    \
     FP8_KERNELS(uint32_t, 4, 2, float, 4, 2, 1, 16, mma_##type##_m16n8k32)}
#define FP8_SPARSE(TYPE, type)                                                                                         \
    {TYPE_##TYPE, SUMS_WIDE, SPARSE, SHAPE_m16n8k64,                                                                   \
     FP8_KERNELS(uint32_t, 4, 4, float, 4, 2, 1, 16, mma_sparse_##type##_m16n8k64)}
#define PACKED(sparsity, b_count, shape, name)                                                                         \
    {TYPE_FP16, SUMS_FP16, sparsity, SHAPE_##shape,                                                                    \
     KERNELS(uint32_t, 4, b_count, uint32_t, 2, 1, 1, 16, name##_##shape)}
#define INT8_8(shape)                                                                                                  \
    {TYPE_INT8, SUMS_WIDE, DENSE, SHAPE_##shape, KERNELS(uint32_t, 2, 2, int32_t, 2, 2, 1, 8, mma_int8_##shape)}
static const struct {
    int type, sums, sparsity, shape;
    const void *kernel[2];
} instructions[] = {
    FP64(m8n8k4, 1, 2, 1, 8), FP64(m16n8k4, 2, 4, 1, 16), FP64(m16n8k8, 2, 4, 2, 16), FP64(m16n8k16, 2, 4, 4, 16),
    WIDE(FP16, fp16, float, m16n8k8), WIDE(FP16, fp16, float, m16n8k16),
    PACKED(DENSE, 2, m16n8k8, mma_fp16_fp16), PACKED(DENSE, 2, m16n8k16, mma_fp16_fp16),
    WIDE(BF16, bf16, float, m16n8k8), WIDE(BF16, bf16, float, m16n8k16),
    WIDE(TF32, tf32, float, m16n8k4), WIDE(TF32, tf32, float, m16n8k8),
    FP8(FP8_E4M3, fp8_e4m3), FP8(FP8_E5M2, fp8_e5m2),
    INT8_8(m8n8k16), WIDE(INT8, int8, int32_t, m16n8k16), WIDE(INT8, int8, int32_t, m16n8k32),
    WIDE_SPARSE(FP16, fp16, float, m16n8k16), WIDE_SPARSE(FP16, fp16, float, m16n8k32),
    PACKED(SPARSE, 4, m16n8k16, mma_sparse_fp16_fp16), PACKED(SPARSE, 4, m16n8k32, mma_sparse_fp16_fp16),
    WIDE_SPARSE(BF16, bf16, float, m16n8k16), WIDE_SPARSE(BF16, bf16, float, m16n8k32),
    WIDE_SPARSE(TF32, tf32, float, m16n8k8), WIDE_SPARSE(TF32, tf32, float, m16n8k16),
    FP8_SPARSE(FP8_E4M3, fp8_e4m3), FP8_SPARSE(FP8_E5M2, fp8_e5m2),
    WIDE_SPARSE(INT8, int8, int32_t, m16n8k32), WIDE_SPARSE(INT8, int8, int32_t, m16n8k64)};

static const void *kernel_of(const struct run *run, bool many) {
    for (size_t i = 0; i < ARRAY_LENGTH(instructions); i++)
        if (instructions[i].type == run->value[AXIS_DTYPE] && instructions[i].sums == run->value[AXIS_SUMS] &&
            instructions[i].sparsity == run->value[AXIS_SPARSITY] &&
            instructions[i].shape == run->value[AXIS_SHAPE])
            return instructions[i].kernel[many];
    return NULL;
}

static const char *decline(const struct run *run) {
    struct cudaFuncAttributes attributes;
    int64_t type = run->value[AXIS_DTYPE];
    bool fp8 = type == TYPE_FP8_E4M3 || type == TYPE_FP8_E5M2;
    bool tall = type == TYPE_FP64 && run->value[AXIS_SHAPE] != SHAPE_m8n8k4;
    cudaError_t status = cudaFuncGetAttributes(&attributes, kernel_of(run, false));
    if (status != cudaSuccess) cudaGetLastError();
    if (status == cudaSuccess && attributes.ptxVersion >= (tall ? 90 : fp8 ? 89 : 80)) return NULL;
    return tall  ? "needs compute capability 9.0, on the device and in the build"
           : fp8 ? "needs compute capability 8.9, on the device and in the build"
                 : "needs compute capability 8.0, on the device and in the build";
}

static void setup(struct run *run, unsigned blocks, unsigned warps, bool many) {
    struct mma_state *state = (struct mma_state *)run->state;
    const struct matrix_chain *chain = &state->chain;
    struct mma_device *device = (struct mma_device *)bench_alloc(run, sizeof *device);
    struct mma_arguments *arguments = &device->arguments;
    run->device_state = device;
    device->chains = many ? mma_chains_of(run->value[AXIS_DTYPE]) : 1;
    device->kernel = kernel_of(run, many);
    device->threads = warps * 32;
    device_clock_setup(run, &device->clock, blocks);
    state->matrices = (int64_t)blocks * warps * device->chains;
    device->out_bytes = (size_t)(state->matrices * chain->m * chain->n) * dtype_size(chain->sums);
    arguments->a = (const unsigned char *)matrix_chain_device_a(run, chain);
    arguments->b = (const unsigned char *)matrix_chain_device_b(run, chain, run->value[AXIS_SPARSITY] == SPARSE);
    arguments->out = bench_device_alloc(run, device->out_bytes);
    arguments->spans = device->clock.spans;
    arguments->rounds = ROUNDS;
    arguments->metadata = matrix_chain_metadata(chain->dtype);
    state->out = bench_alloc(run, device->out_bytes);
    bench_output(run, arguments->out, device->out_bytes, PLACE_DEVICE, false);
    CUDA_CHECK(run, cudaMemset(arguments->out, 0xff, device->out_bytes));
}

static void setup_latency(struct run *run) {
    setup(run, 1, 1, false);
}

static void setup_issue(struct run *run) {
    setup(run, 1, 1, true);
}

static void setup_throughput(struct run *run) {
    setup(run, (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount), WARPS, true);
}

static void setup_throughput_one(struct run *run) {
    setup(run, 1, WARPS, true);
}

static void launch(struct run *run) {
    struct mma_device *device = (struct mma_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->clock.blocks, device->threads, arguments, 0, run->stream));
}

static double clocks_of_chain(struct run *run, int64_t rounds, int mode) {
    struct mma_device *device = (struct mma_device *)run->device_state;
    (void)mode;
    device->arguments.rounds = (int)rounds;
    launch(run);
    return device_clock_read(run, &device->clock).clocks;
}

static void measure_latency(struct run *run) {
    const struct mma_state *state = (const struct mma_state *)run->state;
    struct limit none = {0, NULL};
    bench_report_plain(run, METRIC_latency_clocks, matrix_chain_clocks(run, clocks_of_chain, 0) / state->instructions,
                       none);
}

/* FLOP of a slice of one chain. */
static double flops_of_slice(const struct run *run) {
    const struct mma_state *state = (const struct mma_state *)run->state;
    return 2.0 * (double)(state->shape.m * state->shape.n * state->shape.k) * state->instructions;
}

/* Of `multiprocessors`; a sparse instruction counts for two. */
static struct limit limit_of(const struct run *run, double multiprocessors) {
    const struct mma_state *state = (const struct mma_state *)run->state;
    struct limit limit = limit_flop_rate(run, state->chain.dtype);
    limit.value *= (run->value[AXIS_SPARSITY] == SPARSE ? 2.0 : 1.0) * multiprocessors /
                   device_backend->multiprocessors();
    return limit;
}

static void measure_issue(struct run *run) {
    const struct mma_state *state = (const struct mma_state *)run->state;
    const struct mma_device *device = (const struct mma_device *)run->device_state;
    double clocks = matrix_chain_clocks(run, clocks_of_chain, 0) / (state->instructions * device->chains);
    struct limit limit = limit_of(run, 0.25);
    if (limit.value > 0) {
        limit.value = flops_of_slice(run) / state->instructions / (limit.value / device_backend->clock_maximum());
        limit.source = "a quarter of the matrix units";
    }
    bench_report_plain(run, METRIC_issue_clocks, clocks, limit);
}

static void measure_throughput(struct run *run) {
    const struct mma_state *state = (const struct mma_state *)run->state;
    const struct mma_device *device = (const struct mma_device *)run->device_state;
    double slices = ((double)ROUNDS * (int)CHAIN_SLICES + 1) * (double)state->matrices;
    device_clock_report(run, device_clock_sample(run, &device->clock, launch),
                        dtype_is_integer(state->chain.dtype) ? METRIC_op_rate : METRIC_flop_rate,
                        flops_of_slice(run) * slices, limit_of(run, device->clock.blocks));
}

static const char *decline_issue(const struct run *run) {
    const char *reason = decline(run);
    if (reason != NULL) return reason;
    return mma_chains_of(run->value[AXIS_DTYPE]) == 1 ? "the issue interval needs independent chains; fp8 has one here"
                                                      : NULL;
}

static bool covers_issue(const struct run *run) {
    return mma_chains_of(run->value[AXIS_DTYPE]) > 1;
}

static void fetch(struct run *run) {
    struct mma_state *state = (struct mma_state *)run->state;
    const struct mma_device *device = (const struct mma_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->out, device->arguments.out, device->out_bytes, cudaMemcpyDeviceToHost));
}

#define VARIANT(word, declines, measures)                                                                              \
    .name = #word, .backend = "cuda", .place = PLACE_DEVICE, .decline = declines, .setup = setup_##word,               \
    .fetch = fetch, .measure = measures
const struct variant cuda_variants[] = {
    {VARIANT(latency, decline, measure_latency)},
    {VARIANT(issue, decline_issue, measure_issue), .covers = covers_issue},
    {VARIANT(throughput, decline, measure_throughput)},
    {VARIANT(throughput_one, decline, measure_throughput)},
    {}};
