/* strided_access.cu: the same on a CUDA device. Blocks of 256 threads, as many as the device holds, take chunks of 8
   elements a thread; all loads of a chunk are issued before the first sum. Floor: bytes over memory bandwidth for
   strides of 1.

   NOTES. One chunk a block would end in an addition to one word for each warp of it, and these, 1.4 a nanosecond on an
   H200, would be the limit. */
#include "bench/cuda.h"
#include "kernels/lib/device_clock.h"
#include "kernels/lib/device_sum.h"
#include "kernels/strided_access.h"

enum { THREADS = 256, UNROLL = 8, BLOCKS_PER_MULTIPROCESSOR = 8 };

/* run->device_state, in host memory. */
struct strided_device {
    void *array;
    unsigned long long *sum;
    const void *kernel;
    unsigned blocks_most;
};

template <typename word> static __device__ __forceinline__ unsigned long long value_of(word v) {
    return v;
}
template <> __device__ __forceinline__ unsigned long long value_of<ulonglong2>(ulonglong2 v) {
    return v.x + v.y;
}

template <typename word>
static __global__ void __launch_bounds__(THREADS)
    read_strided(const word *array, int64_t count, int64_t stride, unsigned long long *total) {
    const int64_t chunk = THREADS * UNROLL;
    unsigned long long sum = 0;
    for (int64_t first = blockIdx.x * chunk + threadIdx.x; first < count; first += gridDim.x * chunk) {
        word v[UNROLL] = {};
#pragma unroll
        for (int j = 0; j < UNROLL; j++)
            if (first + j * THREADS < count) v[j] = array[(first + j * THREADS) * stride];
#pragma unroll
        for (int j = 0; j < UNROLL; j++) sum += value_of(v[j]);
    }
    device_add_up(total, sum);
}

static const struct {
    int64_t width;
    const void *kernel;
} kernels[] = {{1, (const void *)read_strided<uint8_t>},
               {2, (const void *)read_strided<uint16_t>},
               {4, (const void *)read_strided<uint32_t>},
               {8, (const void *)read_strided<uint64_t>},
               {16, (const void *)read_strided<ulonglong2>}};

static void fill_array(struct run *run, void *array, int64_t width) {
    const struct strided_state *state = (const struct strided_state *)run->state;
    size_t count = (size_t)(run->value[AXIS_BYTES] / (width < 8 ? width : 8));
    if (width == 1) linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, (uint8_t *)array, count);
    else if (width == 2) linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, (uint16_t *)array, count);
    else if (width == 4) linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, (uint32_t *)array, count);
    else linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, (uint64_t *)array, count);
    CUDA_CHECK_LAUNCH(run);
}

static void setup(struct run *run) {
    struct strided_state *state = (struct strided_state *)run->state;
    struct strided_device *device = (struct strided_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    for (size_t i = 0; i < ARRAY_LENGTH(kernels); i++)
        if (kernels[i].width == run->value[AXIS_WIDTH]) device->kernel = kernels[i].kernel;
    device->blocks_most =
        BLOCKS_PER_MULTIPROCESSOR * (unsigned)device_attribute(run, cudaDevAttrMultiProcessorCount);
    device->array = bench_device_alloc(run, (size_t)run->value[AXIS_BYTES]);
    device->sum = (unsigned long long *)bench_device_alloc(run, sizeof *device->sum);
    state->sum = (uint64_t *)bench_alloc(run, sizeof *state->sum);
    bench_output(run, device->sum, sizeof *device->sum, PLACE_DEVICE, true);
    fill_array(run, device->array, run->value[AXIS_WIDTH]);
}

/* The timed calls go on adding to what the checked one left. */
static void reset(struct run *run) {
    const struct strided_device *device = (const struct strided_device *)run->device_state;
    CUDA_CHECK(run, cudaMemset(device->sum, 0, sizeof *device->sum));
}

static void launch(struct run *run) {
    struct strided_state *state = (struct strided_state *)run->state;
    struct strided_device *device = (struct strided_device *)run->device_state;
    int64_t stride = run->value[AXIS_STRIDE];
    int64_t chunks = (state->count + THREADS * UNROLL - 1) / (THREADS * UNROLL);
    unsigned blocks = chunks < device->blocks_most ? (unsigned)chunks : device->blocks_most;
    void *arguments[] = {&device->array, &state->count, &stride, &device->sum};
    CUDA_CHECK(run, cudaLaunchKernel(device->kernel, blocks, THREADS, arguments, 0, run->stream));
}

static void fetch(struct run *run) {
    struct strided_state *state = (struct strided_state *)run->state;
    const struct strided_device *device = (const struct strided_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->sum, device->sum, sizeof *state->sum, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "vector", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup, .reset = reset, .run = launch,
     .fetch = fetch},
    {}};
