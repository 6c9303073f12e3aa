/* row_gather.cu: the same on a CUDA device. A thread moves one vector of 16 bytes: of row v / (row / 16), the vector
   v % (row / 16). Floor: 128 MiB at 4.8 TB/s, 28 us; across a link of 55 GB/s 64 MiB take 1.2 ms. */
#include "bench/cuda.h"
#include "kernels/row_gather.h"

enum { THREADS = 256 };

/* run->device_state, in host memory. */
struct gather_device {
    void *pinned;         /* host memory that the device can read, NULL: not used */
    const uint4 *table;
    uint4 *out;
    uint32_t *index;
};

static __global__ void __launch_bounds__(THREADS)
    gather_rows(const uint4 *table, const uint32_t *index, uint4 *out, size_t vectors, unsigned per_row) {
    size_t v = blockIdx.x * (size_t)THREADS + threadIdx.x;
    if (v < vectors) out[v] = table[index[v / per_row] * (size_t)per_row + v % per_row];
}

static size_t out_bytes(const struct run *run) {
    const struct gather_state *state = (const struct gather_state *)run->state;
    return (size_t)(state->count * run->value[AXIS_ROW]);
}

static void setup(struct run *run) {
    struct gather_state *state = (struct gather_state *)run->state;
    struct gather_device *device = (struct gather_device *)bench_alloc(run, sizeof *device);
    size_t bytes = (size_t)run->value[AXIS_BYTES];
    uint64_t *table;
    run->device_state = device;
    if (run->value[AXIS_MEMORY] == MEMORY_HOST) {
        CUDA_CHECK(run, cudaHostAlloc(&device->pinned, bytes, cudaHostAllocMapped));
        CUDA_CHECK(run, cudaHostGetDevicePointer((void **)&table, device->pinned, 0));
    } else {
        table = (uint64_t *)bench_device_alloc(run, bytes);
    }
    linear_fill<<<4096, 256, 0, run->stream>>>(state->factor, table, bytes / sizeof *table);
    CUDA_CHECK_LAUNCH(run);
    device->table = (const uint4 *)table;
    device->index = (uint32_t *)bench_device_alloc(run, (size_t)state->count * sizeof *device->index);
    device->out = (uint4 *)bench_device_alloc(run, out_bytes(run));
    CUDA_CHECK(run, cudaMemcpy(device->index, state->index, (size_t)state->count * sizeof *device->index,
                               cudaMemcpyHostToDevice));
    bench_output(run, device->out, out_bytes(run), PLACE_DEVICE, false);
}

static void launch(struct run *run) {
    const struct gather_device *device = (const struct gather_device *)run->device_state;
    size_t vectors = out_bytes(run) / sizeof(uint4);
    gather_rows<<<(unsigned)((vectors + THREADS - 1) / THREADS), THREADS, 0, run->stream>>>(
        device->table, device->index, device->out, vectors, (unsigned)run->value[AXIS_ROW] / 16);
    CUDA_CHECK_LAUNCH(run);
}

static void fetch(struct run *run) {
    struct gather_state *state = (struct gather_state *)run->state;
    const struct gather_device *device = (const struct gather_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(state->out, device->out, out_bytes(run), cudaMemcpyDeviceToHost));
}

static void release(struct run *run) {
    const struct gather_device *device = (const struct gather_device *)run->device_state;
    if (device != NULL && device->pinned != NULL) cudaFreeHost(device->pinned);
}

const struct variant cuda_variants[] = {
    {.name = "vector", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup, .run = launch, .fetch = fetch,
     .release = release},
    {}};
