/* transfer.cu: the copies, the device's data, and their check.

   memcpy  cudaMemcpyAsync, which a copy engine of the device does

   Floor: PCI Express 5 x 16 at 63 GB/s takes 4.3 ms for 256 MiB, the memory of an H200 at 4.8 TB/s 0.11 ms for reading
   and writing as much. Asking and waiting come on top: launch_overhead. */
#include "bench/cuda.h"
#include "kernels/transfer.h"

enum { SAMPLES_MOST = 1024, SAMPLES_LEAST = 5, WARM_CALLS = 3 };

/* run->device_state, in host memory. */
struct transfer_device {
    uint64_t *from, *to;       /* device memory; NULL where nothing leaves or comes */
    unsigned long long *wrong; /* device memory */
    cudaStream_t back;         /* both ways: the stream of what leaves the device */
    bool from_pinned, to_pinned;
};

static __global__ void fill(uint64_t seed, bool zeros, int stream, bool inverted, uint64_t *word, size_t count) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x) {
        uint64_t value = transfer_word(seed, zeros, stream, i);
        word[i] = inverted ? ~value : value;
    }
}

static __global__ void compare(uint64_t seed, bool zeros, int stream, const uint64_t *word, size_t count,
                               unsigned long long *wrong) {
    unsigned long long mine = 0;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x)
        mine += word[i] != transfer_word(seed, zeros, stream, i);
    if (mine > 0) atomicAdd(wrong, mine);
}

/* Where what comes to the device comes from. */
static int stream_to_device(const struct transfer_state *state) {
    return state->direction == DEVICE_TO_DEVICE ? STREAM_FROM_DEVICE : STREAM_FROM_HOST;
}

static uint64_t *device_memory(struct run *run, int stream, bool inverted) {
    const struct transfer_state *state = (const struct transfer_state *)run->state;
    uint64_t *word = (uint64_t *)bench_device_alloc(run, state->bytes);
    fill<<<4096, 256, 0, run->stream>>>(state->seed, state->zeros, stream, inverted, word, state->words);
    CUDA_CHECK_LAUNCH(run);
    return word;
}

/* Pins what the host's allocator gave, so that both kinds of memory are the same pages otherwise. */
static bool pin(struct run *run, const struct transfer_state *state, void *memory) {
    if (memory == NULL || state->memory != MEMORY_PINNED) return false;
    cudaError_t status = cudaHostRegister(memory, state->bytes, cudaHostRegisterDefault);
    if (status == cudaErrorMemoryAllocation || status == cudaErrorNotSupported) {
        cudaGetLastError();
        bench_skip(run, "the system does not let %.3g GiB be pinned: %s", (double)state->bytes / (double)GIB,
                   cudaGetErrorString(status));
    }
    CUDA_CHECK(run, status);
    return true;
}

static void setup(struct run *run) {
    struct transfer_state *state = (struct transfer_state *)run->state;
    struct transfer_device *device = (struct transfer_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    if (state->direction != HOST_TO_DEVICE) device->from = device_memory(run, STREAM_FROM_DEVICE, false);
    if (state->direction != DEVICE_TO_HOST) {
        device->to = device_memory(run, stream_to_device(state), true);
        bench_output(run, device->to, state->bytes, PLACE_DEVICE, false);
    }
    device->wrong = (unsigned long long *)bench_device_alloc(run, sizeof *device->wrong);
    device->from_pinned = pin(run, state, state->host_from);
    device->to_pinned = pin(run, state, state->host_to);
    if (state->direction == BOTH_WAYS)
        CUDA_CHECK(run, cudaStreamCreateWithFlags(&device->back, cudaStreamNonBlocking));
}

static void release(struct run *run) {
    const struct transfer_state *state = (const struct transfer_state *)run->state;
    const struct transfer_device *device = (const struct transfer_device *)run->device_state;
    if (device == NULL) return;
    if (device->from_pinned) cudaHostUnregister(state->host_from);
    if (device->to_pinned) cudaHostUnregister(state->host_to);
    if (device->back != NULL) cudaStreamDestroy(device->back);
}

/* Seconds of one call, by the host. */
static double transfer(struct run *run) {
    const struct transfer_state *state = (const struct transfer_state *)run->state;
    const struct transfer_device *device = (const struct transfer_device *)run->device_state;
    cudaStream_t back = device->back != NULL ? device->back : run->stream;
    double start = bench_seconds();
    if (state->direction == DEVICE_TO_DEVICE)
        CUDA_CHECK(run, cudaMemcpyAsync(device->to, device->from, state->bytes, cudaMemcpyDeviceToDevice, run->stream));
    if (state->host_from != NULL)
        CUDA_CHECK(run, cudaMemcpyAsync(device->to, state->host_from, state->bytes, cudaMemcpyHostToDevice,
                                        run->stream));
    if (state->host_to != NULL)
        CUDA_CHECK(run, cudaMemcpyAsync(state->host_to, device->from, state->bytes, cudaMemcpyDeviceToHost, back));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    if (device->back != NULL) CUDA_CHECK(run, cudaStreamSynchronize(device->back));
    return bench_seconds() - start;
}

static struct limit limit_of(const struct run *run) {
    const struct transfer_state *state = (const struct transfer_state *)run->state;
    if (state->direction == DEVICE_TO_DEVICE)
        return 2 * state->bytes > 256 * (size_t)MIB ? limit_memory_bandwidth(run) : (struct limit){0, NULL};
    struct limit limit = limit_host_link_bandwidth(run);
    return limit.value > 0 && state->direction == BOTH_WAYS
               ? (struct limit){2 * limit.value, "PCIe speed x width, both ways"}
               : limit;
}

static void measure(struct run *run) {
    static double seconds[SAMPLES_MOST];
    static const double caps[PRESET_COUNT] = {0.03, 0.1, 1};
    const struct transfer_state *state = (const struct transfer_state *)run->state;
    double cap = caps[run->preset] < run->budget ? caps[run->preset] : run->budget, begin;
    bool twice = state->direction == BOTH_WAYS || state->direction == DEVICE_TO_DEVICE;
    size_t count = 0;
    for (int call = 0; call < WARM_CALLS; call++) transfer(run);
    begin = bench_seconds();
    while (count < SAMPLES_MOST && (count < SAMPLES_LEAST || bench_seconds() - begin < cap))
        seconds[count++] = transfer(run);
    bench_report_samples(run, METRIC_bandwidth, (twice ? 2.0 : 1.0) * (double)state->bytes, seconds, count,
                         limit_of(run));
}

static void fetch(struct run *run) {
    struct transfer_state *state = (struct transfer_state *)run->state;
    const struct transfer_device *device = (const struct transfer_device *)run->device_state;
    unsigned long long wrong;
    if (device->to == NULL) return;
    CUDA_CHECK(run, cudaMemsetAsync(device->wrong, 0, sizeof *device->wrong, run->stream));
    compare<<<4096, 256, 0, run->stream>>>(state->seed, state->zeros, stream_to_device(state), device->to,
                                           state->words, device->wrong);
    CUDA_CHECK_LAUNCH(run);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    CUDA_CHECK(run, cudaMemcpy(&wrong, device->wrong, sizeof wrong, cudaMemcpyDeviceToHost));
    state->device_wrong = wrong;
}

const struct variant cuda_variants[] = {
    {.name = "memcpy", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup, .fetch = fetch, .measure = measure,
     .release = release},
    {}};
