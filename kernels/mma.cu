/* mma.cu: the chains of mma. Every warp has the same operands, in registers, and sums of its own.

   Floor of a throughput call: 4097 slices x 4 chains x 16 warps at 4 m n k / (units' FLOP per clock / 2); for fp16 at
   Hopper's 4096 and 1.98 GHz 0.26 ms. */
#include "bench/cuda.h"
#include "kernels/mma.h"

struct mma_arguments {
    const unsigned char *a, *b; /* m and n rows of CHAIN_ROW_BYTES */
    void *out;                  /* chain after chain m x n */
    long long *clocks;          /* of the first warp */
    int rounds;
};

/* run->device_state, in host memory. */
struct mma_device {
    struct mma_arguments arguments;
    const void *kernel;
    unsigned blocks, threads;
    size_t out_bytes;
};

/* Instructions that a target is too old for trap; decline keeps us from them. */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define ASM_80(...) asm volatile(__VA_ARGS__)
#else
#define ASM_80(...) __trap()
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
#define ASM_89(...) asm volatile(__VA_ARGS__)
#else
#define ASM_89(...) __trap()
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define ASM_90(...) asm volatile(__VA_ARGS__)
#else
#define ASM_90(...) __trap()
#endif

/* One slice each: D += A_s B_s. Full: 32 bytes of k at once; half: two instructions of 16 bytes, whose registers are
   the first and second half of the same ones. d has four 32-bit registers, or two pairs of fp16. */
#define DEFINE_FULL(ASM, name, word, c, kind)                                                                          \
    static __device__ __forceinline__ void mma_##name(word(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) {     \
        ASM("mma.sync.aligned." kind " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                \
            : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                                       \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                       \
    }
#define DEFINE_HALF(ASM, name, word, c, kind)                                                                          \
    static __device__ __forceinline__ void mma_##name(word(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) {     \
        _Pragma("unroll") for (int half = 0; half < 2; half++)                                                         \
            ASM("mma.sync.aligned." kind " {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"                        \
                : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                                   \
                : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));                                               \
    }
DEFINE_FULL(ASM_80, fp16_m16n8k16, float, "+f", "m16n8k16.row.col.f32.f16.f16.f32")
DEFINE_HALF(ASM_80, fp16_m16n8k8, float, "+f", "m16n8k8.row.col.f32.f16.f16.f32")
DEFINE_FULL(ASM_80, bf16_m16n8k16, float, "+f", "m16n8k16.row.col.f32.bf16.bf16.f32")
DEFINE_HALF(ASM_80, bf16_m16n8k8, float, "+f", "m16n8k8.row.col.f32.bf16.bf16.f32")
DEFINE_FULL(ASM_80, tf32_m16n8k8, float, "+f", "m16n8k8.row.col.f32.tf32.tf32.f32")
DEFINE_HALF(ASM_80, tf32_m16n8k4, float, "+f", "m16n8k4.row.col.f32.tf32.tf32.f32")
DEFINE_FULL(ASM_89, fp8_e4m3_m16n8k32, float, "+f", "m16n8k32.row.col.f32.e4m3.e4m3.f32")
DEFINE_FULL(ASM_89, fp8_e5m2_m16n8k32, float, "+f", "m16n8k32.row.col.f32.e5m2.e5m2.f32")
DEFINE_FULL(ASM_80, int8_m16n8k32, int32_t, "+r", "m16n8k32.row.col.s32.s8.s8.s32")
DEFINE_HALF(ASM_80, int8_m16n8k16, int32_t, "+r", "m16n8k16.row.col.s32.s8.s8.s32")

static __device__ __forceinline__ void mma_fp16_fp16_m16n8k16(uint32_t (&d)[2], const uint32_t (&a)[4],
                                                              const uint32_t (&b)[2]) {
    ASM_80("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, {%0, %1};"
           : "+r"(d[0]), "+r"(d[1])
           : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
static __device__ __forceinline__ void mma_fp16_fp16_m16n8k8(uint32_t (&d)[2], const uint32_t (&a)[4],
                                                             const uint32_t (&b)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++)
        ASM_80("mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3}, {%4}, {%0, %1};"
               : "+r"(d[0]), "+r"(d[1])
               : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
}
static __device__ __forceinline__ void mma_fp64_m8n8k4(double (&d)[2], const double (&a)[1], const double (&b)[1]) {
    ASM_80("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
           : "+d"(d[0]), "+d"(d[1])
           : "d"(a[0]), "d"(b[0]));
}
static __device__ __forceinline__ void mma_fp64_m16n8k4(double (&d)[4], const double (&a)[2], const double (&b)[1]) {
    ASM_90("mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
           : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
           : "d"(a[0]), "d"(a[1]), "d"(b[0]));
}

/* A thread's registers of a slice: lane / 4 is its row (of A, and that plus 8; of B's columns), lane % 4 its place in
   16 bytes of k, or in 32 bytes of doubles. */
template <typename word, int count>
static __device__ void load(word (&to)[count], const unsigned char *rows, bool of_a, int slice) {
    unsigned row = threadIdx.x % 32 / 4, byte = slice * CHAIN_SLICE_BYTES + threadIdx.x % 4 * sizeof(word);
#pragma unroll
    for (int i = 0; i < count; i++) {
        unsigned down = of_a ? i % 2 * 8 : 0, right = (of_a ? i / 2 : i) * 16;
        to[i] = *(const word *)(rows + (row + down) * CHAIN_ROW_BYTES + byte + right);
    }
}

/* Registers d[2p], d[2p + 1], or the halves of d[p]: row lane / 4 + 8 p, columns 2 (lane % 4) and the next. */
template <typename word, int count> static __device__ void store(word *out, const word (&d)[count], int per_pair) {
    unsigned row = threadIdx.x % 32 / 4, pair = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < count; i++)
        out[((row + i / per_pair * 8) * 4 + pair) * per_pair + i % per_pair] = d[i];
}

/* operand: of A and B; word d[count]: the sums of one chain; per_pair: registers that hold two of them. */
template <typename operand, int a_count, int b_count, typename word, int count, int per_pair, auto instruction,
          int chains, int unroll>
static __global__ void __launch_bounds__(WARPS * 32)
    mma_chains(const __grid_constant__ struct mma_arguments arguments) {
    operand a[CHAIN_SLICES][a_count], b[CHAIN_SLICES][b_count];
    word d[chains][count] = {};
#pragma unroll
    for (int slice = 0; slice < CHAIN_SLICES; slice++) {
        load(a[slice], arguments.a, true, slice);
        load(b[slice], arguments.b, false, slice);
    }
    long long start = clock64();
#pragma unroll unroll
    for (int round = 0; round < arguments.rounds; round++)
#pragma unroll
        for (int slice = 0; slice < CHAIN_SLICES; slice++)
#pragma unroll
            for (int chain = 0; chain < chains; chain++) instruction(d[chain], a[slice], b[slice]);
#pragma unroll
    for (int chain = 0; chain < chains; chain++) instruction(d[chain], a[0], b[0]);
    size_t warp = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) / 32;
#pragma unroll
    for (int chain = 0; chain < chains; chain++) /* storing them makes the thread wait for them */
        store((word *)arguments.out + (warp * chains + chain) * count * 32, d[chain], per_pair);
    long long end = clock64();
    if (blockIdx.x == 0 && threadIdx.x == 0) *arguments.clocks = end - start;
}

/* One chain, and mma_chains_of(type) chains. fp8: where the device has no such instruction the compiler makes it of
   fp16 products that start from zero, and computes just once what it can see to be the same product: hence one chain
   and no two rounds in a row, so that each product is a new one. */
#define KERNELS(...) {(const void *)mma_chains<__VA_ARGS__, 1, 4>, (const void *)mma_chains<__VA_ARGS__, CHAINS, 4>}
#define WIDE(name, word) KERNELS(uint32_t, 4, 2, word, 4, 2, mma_##name)
#define FP8_KERNEL(name) (const void *)mma_chains<uint32_t, 4, 2, float, 4, 2, mma_##name, 1, 1>
#define FP8(name) {FP8_KERNEL(name), FP8_KERNEL(name)}
static const struct {
    int type, sums, shape;
    const void *kernel[2];
} instructions[] = {
    {TYPE_FP64, SUMS_WIDE, SHAPE_m8n8k4, KERNELS(double, 1, 1, double, 2, 2, mma_fp64_m8n8k4)},
    {TYPE_FP64, SUMS_WIDE, SHAPE_m16n8k4, KERNELS(double, 2, 1, double, 4, 2, mma_fp64_m16n8k4)},
    {TYPE_FP16, SUMS_WIDE, SHAPE_m16n8k8, WIDE(fp16_m16n8k8, float)},
    {TYPE_FP16, SUMS_WIDE, SHAPE_m16n8k16, WIDE(fp16_m16n8k16, float)},
    {TYPE_FP16, SUMS_FP16, SHAPE_m16n8k8, KERNELS(uint32_t, 4, 2, uint32_t, 2, 1, mma_fp16_fp16_m16n8k8)},
    {TYPE_FP16, SUMS_FP16, SHAPE_m16n8k16, KERNELS(uint32_t, 4, 2, uint32_t, 2, 1, mma_fp16_fp16_m16n8k16)},
    {TYPE_BF16, SUMS_WIDE, SHAPE_m16n8k8, WIDE(bf16_m16n8k8, float)},
    {TYPE_BF16, SUMS_WIDE, SHAPE_m16n8k16, WIDE(bf16_m16n8k16, float)},
    {TYPE_TF32, SUMS_WIDE, SHAPE_m16n8k4, WIDE(tf32_m16n8k4, float)},
    {TYPE_TF32, SUMS_WIDE, SHAPE_m16n8k8, WIDE(tf32_m16n8k8, float)},
    {TYPE_FP8_E4M3, SUMS_WIDE, SHAPE_m16n8k32, FP8(fp8_e4m3_m16n8k32)},
    {TYPE_FP8_E5M2, SUMS_WIDE, SHAPE_m16n8k32, FP8(fp8_e5m2_m16n8k32)},
    {TYPE_INT8, SUMS_WIDE, SHAPE_m16n8k16, WIDE(int8_m16n8k16, int32_t)},
    {TYPE_INT8, SUMS_WIDE, SHAPE_m16n8k32, WIDE(int8_m16n8k32, int32_t)}};

static const void *kernel_of(const struct run *run, bool many) {
    for (size_t i = 0; i < ARRAY_LENGTH(instructions); i++)
        if (instructions[i].type == run->value[AXIS_DTYPE] && instructions[i].sums == run->value[AXIS_SUMS] &&
            instructions[i].shape == run->value[AXIS_SHAPE])
            return instructions[i].kernel[many];
    return NULL;
}

static const char *decline(const struct run *run) {
    struct cudaFuncAttributes attributes;
    int64_t type = run->value[AXIS_DTYPE];
    bool fp8 = type == TYPE_FP8_E4M3 || type == TYPE_FP8_E5M2;
    bool tall = type == TYPE_FP64 && run->value[AXIS_SHAPE] == SHAPE_m16n8k4;
    cudaError_t status = cudaFuncGetAttributes(&attributes, kernel_of(run, false));
    if (status != cudaSuccess) cudaGetLastError();
    if (status == cudaSuccess && attributes.ptxVersion >= (tall ? 90 : fp8 ? 89 : 80)) return NULL;
    return tall  ? "needs compute capability 9.0, on the device and in the build"
           : fp8 ? "needs compute capability 8.9, on the device and in the build"
                 : "needs compute capability 8.0, on the device and in the build";
}

static void *on_device(struct run *run, const void *rows, int64_t count) {
    void *copy = bench_device_alloc(run, (size_t)count * CHAIN_ROW_BYTES);
    CUDA_CHECK(run, cudaMemcpy(copy, rows, (size_t)count * CHAIN_ROW_BYTES, cudaMemcpyHostToDevice));
    return copy;
}

static void setup(struct run *run, unsigned blocks, unsigned warps, bool many) {
    struct mma_state *state = (struct mma_state *)run->state;
    const struct matrix_chain *chain = &state->chain;
    struct mma_device *device = (struct mma_device *)bench_alloc(run, sizeof *device);
    struct mma_arguments *arguments = &device->arguments;
    run->device_state = device;
    state->matrices = (int64_t)blocks * warps * (many ? mma_chains_of(run->value[AXIS_DTYPE]) : 1);
    device->kernel = kernel_of(run, many);
    device->blocks = blocks;
    device->threads = warps * 32;
    device->out_bytes = (size_t)(state->matrices * chain->m * chain->n) * dtype_size(chain->sums);
    arguments->a = (const unsigned char *)on_device(run, chain->a, chain->m);
    arguments->b = (const unsigned char *)on_device(run, chain->b, chain->n);
    arguments->out = bench_device_alloc(run, device->out_bytes);
    arguments->clocks = (long long *)bench_device_alloc(run, sizeof *arguments->clocks);
    arguments->rounds = ROUNDS;
    state->out = bench_alloc(run, device->out_bytes);
    bench_output(run, arguments->out, device->out_bytes, PLACE_DEVICE, false);
}

static void setup_latency(struct run *run) {
    setup(run, 1, 1, false);
    const struct mma_device *device = (const struct mma_device *)run->device_state;
    CUDA_CHECK(run, cudaMemset(device->arguments.out, 0xff, device->out_bytes));
}

static void setup_throughput(struct run *run) {
    int index, multiprocessors;
    CUDA_CHECK(run, cudaGetDevice(&index));
    CUDA_CHECK(run, cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, index));
    setup(run, (unsigned)multiprocessors, WARPS, true);
}

static void launch(struct run *run) {
    struct mma_device *device = (struct mma_device *)run->device_state;
    void *arguments[] = {&device->arguments};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, device->blocks, device->threads, arguments, 0, run->stream));
}

static double clocks_of_chain(struct run *run, int64_t rounds, int mode) {
    struct mma_device *device = (struct mma_device *)run->device_state;
    long long clocks;
    (void)mode;
    device->arguments.rounds = (int)rounds;
    launch(run);
    CUDA_CHECK(run, cudaMemcpyAsync(&clocks, device->arguments.clocks, sizeof clocks, cudaMemcpyDeviceToHost,
                                    run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    return (double)clocks;
}

static void measure_latency(struct run *run) {
    const struct mma_state *state = (const struct mma_state *)run->state;
    struct limit none = {0, NULL};
    bench_report_plain(run, METRIC_latency_clocks, matrix_chain_clocks(run, clocks_of_chain, 0) / state->instructions,
                       none);
}

static void fetch(struct run *run) {
    struct mma_state *state = (struct mma_state *)run->state;
    const struct mma_device *device = (const struct mma_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->out, device->arguments.out, device->out_bytes, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "latency", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline, .setup = setup_latency,
     .fetch = fetch, .measure = measure_latency},
    {.name = "throughput", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline, .setup = setup_throughput,
     .run = launch, .fetch = fetch},
    {}};
