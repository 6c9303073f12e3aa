/* fma_peak.cu: the CUDA cores' multiply-adds; the tensor cores are gemm's.

   cuda_core  a block of 256 threads, 4 blocks a multiprocessor, 16 chains a thread: 16 x 32 steps in flight for each
              lane, where 4 clocks of latency need 4. fp16 computes pairs (half2).

   Floor: on 132 multiprocessors at 1980 MHz a call is 9 rounds x 2048 steps x 16 chains x 1024 threads over 128 lanes
   a clock, 1.19 ms in fp32, twice that in fp64 and int32 (64 lanes). A multiprocessor issues 4 instructions of 32 lanes
   a clock, which 128 lanes use up, so that what a loop costs beside its multiply-adds is lost: 3 of 515 here. */
#include <cuda_fp16.h>

#include "bench/cuda.h"
#include "bench/statistics.h"
#include "bench/telemetry.h"
#include "kernels/fma_peak.h"
#include "kernels/lib/device_clock.h"

enum { THREADS = 256, BLOCKS_PER_MULTIPROCESSOR = 4, CHAINS = 16, UNROLL = 16 };

/* run->device_state, in host memory. */
struct fma_device {
    void *out;
    unsigned blocks;
    size_t bytes;
    void (*launch)(const struct run *run);
};

static __device__ inline double multiply_add(double x, double a, double b) {
    return fma(x, a, b);
}
static __device__ inline float multiply_add(float x, float a, float b) {
    return fmaf(x, a, b);
}
static __device__ inline __half2 multiply_add(__half2 x, __half2 a, __half2 b) {
    return __hfma2(x, a, b);
}
static __device__ inline int multiply_add(int x, int a, int b) {
    return x * a + b;
}


/* Accumulators `index` and, in half2, index + 1. */
template <typename type> static __device__ inline type start_at(uint64_t seed, bool zeros, size_t index) {
    return (type)fma_start(seed, zeros, index);
}
template <> __device__ inline __half2 start_at<__half2>(uint64_t seed, bool zeros, size_t index) {
    return __halves2half2(__int2half_rn(fma_start(seed, zeros, 2 * index)),
                          __int2half_rn(fma_start(seed, zeros, 2 * index + 1)));
}

/* a, first and second are arguments, so that the compiler cannot know them. Chain c of thread t is element c T + t of
   out, with T the threads of the grid. */
template <typename type>
static __global__ void __launch_bounds__(THREADS, BLOCKS_PER_MULTIPROCESSOR)
    walk(uint64_t seed, bool zeros, int rounds, type a, type first, type second, type *out) {
    const size_t thread = blockIdx.x * (size_t)THREADS + threadIdx.x, threads = gridDim.x * (size_t)THREADS;
    type chain[CHAINS];
#pragma unroll
    for (int i = 0; i < CHAINS; i++) chain[i] = start_at<type>(seed, zeros, i * threads + thread);
    for (int round = 0; round < rounds; round++) {
#pragma unroll 1
        for (int block = 0; block < PAIRS / UNROLL; block++) {
#pragma unroll
            for (int pair = 0; pair < UNROLL; pair++) {
#pragma unroll
                for (int i = 0; i < CHAINS; i++) chain[i] = multiply_add(chain[i], a, first);
#pragma unroll
                for (int i = 0; i < CHAINS; i++) chain[i] = multiply_add(chain[i], a, second);
            }
        }
        type other = first;
        first = second;
        second = other;
    }
#pragma unroll
    for (int i = 0; i < CHAINS; i++) out[i * threads + thread] = chain[i];
}

template <typename type> static type constant(int value) {
    return (type)value;
}
template <> __half2 constant<__half2>(int value) {
    return __float2half2_rn((float)value);
}

template <typename type> static void launch(const struct run *run) {
    const struct fma_state *state = (const struct fma_state *)run->state;
    const struct fma_device *device = (const struct fma_device *)run->device_state;
    walk<type><<<device->blocks, THREADS, 0, run->stream>>>(state->seed, state->zeros, state->rounds,
                                                            constant<type>(-1), constant<type>(FIRST),
                                                            constant<type>(SECOND), (type *)device->out);
}

static void run_walk(struct run *run) {
    ((const struct fma_device *)run->device_state)->launch(run);
    CUDA_CHECK_LAUNCH(run);
}

static const char *decline(const struct run *run) {
    enum dtype dtype = bench_dtype(run);
    if (dtype == DTYPE_bf16 || dtype == DTYPE_int8) return "the CUDA cores are measured in fp64, fp32, fp16 and int32";
    return run->value[AXIS_TEAM] != 1 ? "a team is of host threads" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void setup(struct run *run) {
    struct fma_state *state = (struct fma_state *)run->state;
    struct fma_device *device = (struct fma_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    state->output = bench_dtype(run);
    state->rounds = ROUNDS_DEVICE;
    device->launch = state->output == DTYPE_fp64   ? launch<double>
                     : state->output == DTYPE_fp32 ? launch<float>
                     : state->output == DTYPE_fp16 ? launch<__half2>
                                                   : launch<int>;
    device->blocks = (unsigned)(BLOCKS_PER_MULTIPROCESSOR * device_attribute(run, cudaDevAttrMultiProcessorCount));
    state->count = (size_t)device->blocks * THREADS * CHAINS * (state->output == DTYPE_fp16 ? 2 : 1);
    device->bytes = state->count * dtype_size(state->output);
    device->out = bench_device_alloc(run, device->bytes);
    state->out = bench_alloc(run, device->bytes);
    bench_output(run, device->out, device->bytes, PLACE_DEVICE, false);
}

/* What the CUDA cores can do is known in fp32 and fp64. They do at most half as much in fp64; what is above that in the
   device's limit is the tensor cores'. */
static struct limit limit_of(const struct run *run) {
    struct limit single = limit_flop_rate(run, DTYPE_fp32), wide = limit_flop_rate(run, DTYPE_fp64);
    if (bench_dtype(run) == DTYPE_fp32) return single;
    if (bench_dtype(run) != DTYPE_fp64) return (struct limit){0, NULL};
    return 2 * wide.value > single.value ? (struct limit){single.value / 2, single.source} : wide;
}

static void measure(struct run *run) {
    const struct fma_state *state = (const struct fma_state *)run->state;
    double operations = 4.0 * (PAIRS * state->rounds) * (double)state->count, *seconds;
    struct limit limit = limit_of(run);
    struct telemetry telemetry;
    size_t count = bench_time_call(run, run_walk, run->budget, &seconds);
    bench_report_samples(run, dtype_is_integer(state->output) ? METRIC_op_rate : METRIC_flop_rate, operations, seconds,
                         count, limit);
    telemetry_poll();
    telemetry_read(&telemetry);
    double rate = operations / statistics(seconds, count).median;
    double highest = device_attribute(run, cudaDevAttrClockRate) * 1e3;
    free(seconds);
    if (limit.value == 0 || telemetry.polls == 0 || telemetry.clock_mhz <= 0) return;
    bench_report_plain(run, METRIC_rate_at_clock, rate / (limit.value * telemetry.clock_mhz * 1e6 / highest),
                       (struct limit){0, NULL});
}

static void fetch(struct run *run) {
    const struct fma_state *state = (const struct fma_state *)run->state;
    const struct fma_device *device = (const struct fma_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->out, device->out, device->bytes, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "cuda_core", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline, .setup = setup, .fetch = fetch,
     .measure = measure, .covers = covers},
    {}};
