/* device_cuda.cu: CUDA behind device.h: which devices there are, the stream, memory, faults. Timing is in
   device_cuda_time.cu, limits in device_cuda_peaks.cu.

   The CUDA driver does not survive fork: whoever calls count or start must not hand its work to a child process
   afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device_cuda.h"

/* The driver, the runtime's lazily loaded kernels and libraries' workspaces need some memory of their own. */
enum { RESERVE_MIB = 256, ALIGNMENT = 512 };

struct allocation {
    void *pointer;
    size_t bytes;
    struct allocation *next;
};

static struct {
    int index;
    cudaStream_t stream;
    char name[256], pci_address[32];
    struct allocation *allocations;
} device;

bool device_cuda_failed(cudaError_t status, const char *expression, char *reason) {
    if (status == cudaSuccess) return false;
    snprintf(reason, REASON_SIZE, "%s: %s", expression, cudaGetErrorString(status));
    cudaGetLastError();
    return true;
}

int device_cuda_index(void) {
    return device.index;
}

cudaStream_t device_cuda_stream(void) {
    return device.stream;
}

const char *device_cuda_pci_address(void) {
    return device.pci_address;
}

static int count_devices(char *reason) {
    int count = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0) return count;
    snprintf(reason, REASON_SIZE, "no CUDA device: %s",
             status == cudaSuccess ? "the driver lists none" : cudaGetErrorString(status));
    cudaGetLastError();
    return 0;
}

/* The stream waits for the legacy default stream and the other way round: a program may fill its inputs with a plain
   cudaMemcpy or cudaMemset and need not think of order. */
static bool start(int index, char *reason) {
    struct cudaDeviceProp properties;
    DEVICE_CHECK(reason, cudaSetDevice(index));
    DEVICE_CHECK(reason, cudaGetDeviceProperties(&properties, index));
    snprintf(device.name, sizeof device.name, "%s", properties.name);
    DEVICE_CHECK(reason, cudaDeviceGetPCIBusId(device.pci_address, sizeof device.pci_address, index));
    DEVICE_CHECK(reason, cudaStreamCreate(&device.stream));
    device.index = index;
    return device_cuda_time_start(reason);
}

static const char *device_name(void) {
    return device.name;
}

static double gibibytes(size_t bytes) {
    return (double)bytes / (double)GIB;
}

static void *alloc(size_t bytes, char *reason) {
    size_t unoccupied, total;
    void *pointer = NULL;
    struct allocation *allocation;
    if (device_cuda_failed(cudaMemGetInfo(&unoccupied, &total), "cudaMemGetInfo", reason)) return NULL;
    cudaError_t status = cudaErrorMemoryAllocation;
    if (bytes <= unoccupied && unoccupied - bytes >= (size_t)RESERVE_MIB * MIB)
        status = cudaMalloc(&pointer, bytes > 0 ? bytes : 1);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        snprintf(reason, REASON_SIZE, "needs %.1f GiB of device memory, %.1f GiB free", gibibytes(bytes),
                 gibibytes(unoccupied));
        return NULL;
    }
    if (device_cuda_failed(status, "cudaMalloc", reason)) return NULL;
    allocation = (struct allocation *)malloc(sizeof *allocation);
    if (allocation == NULL || (uintptr_t)pointer % ALIGNMENT != 0) {
        snprintf(reason, REASON_SIZE, allocation == NULL ? "out of host memory" : "cudaMalloc: not 512-byte aligned");
        free(allocation);
        cudaFree(pointer);
        return NULL;
    }
    *allocation = (struct allocation){.pointer = pointer, .bytes = bytes, .next = device.allocations};
    device.allocations = allocation;
    return pointer;
}

static void release(void *pointer) {
    device_cuda_recover();
    for (struct allocation **link = &device.allocations; *link != NULL; link = &(*link)->next) {
        struct allocation *found = *link;
        if (found->pointer != pointer) continue;
        *link = found->next;
        free(found);
        cudaFree(pointer); /* in a poisoned context it fails; synchronize has told or will tell */
        return;
    }
}

static size_t held(void) {
    size_t bytes = 0;
    for (const struct allocation *allocation = device.allocations; allocation != NULL; allocation = allocation->next)
        bytes += allocation->bytes;
    return bytes;
}

static bool synchronize(char *reason) {
    device_cuda_recover();
    DEVICE_CHECK(reason, cudaDeviceSynchronize());
    DEVICE_CHECK(reason, cudaGetLastError());
    return true;
}

static bool fill(void *pointer, int byte, size_t bytes, char *reason) {
    DEVICE_CHECK(reason, cudaMemsetAsync(pointer, byte, bytes, device.stream));
    return synchronize(reason);
}

static __global__ void corrupt_bytes(unsigned char *bytes, size_t count) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x)
        bytes[i] ^= 0x55;
}

static bool corrupt(void *pointer, size_t bytes, char *reason) {
    enum { THREADS = 256, BLOCKS_MAX = 4096 };
    size_t blocks = (bytes + THREADS - 1) / THREADS;
    if (bytes == 0) return true;
    if (blocks > BLOCKS_MAX) blocks = BLOCKS_MAX;
    corrupt_bytes<<<(unsigned)blocks, THREADS, 0, device.stream>>>((unsigned char *)pointer, bytes);
    DEVICE_CHECK(reason, cudaGetLastError());
    return synchronize(reason);
}

static const struct device_backend cuda_backend = {
    .name = "cuda",
    .count = count_devices,
    .start = start,
    .device_name = device_name,
    .pci_address = device_cuda_pci_address,
    .stream = device_cuda_stream,
    .alloc = alloc,
    .release = release,
    .held = held,
    .fill = fill,
    .corrupt = corrupt,
    .synchronize = synchronize,
    .time_cold = device_cuda_time_cold,
    .time_hot = device_cuda_time_hot,
    .time_plain = device_cuda_time_plain,
    .time_held = device_cuda_time_held,
    .delay = device_cuda_delay,
    .delay_cost = device_cuda_delay_cost,
    .multiprocessors = device_cuda_multiprocessors,
    .clock_maximum = device_cuda_clock_maximum,
    .memory_bandwidth = device_cuda_memory_bandwidth,
    .flop_rate = device_cuda_flop_rate,
    .link_bandwidth = device_cuda_link_bandwidth,
    .host_link_bandwidth = device_cuda_host_link_bandwidth,
};
extern "C" const struct device_backend *const device_backend = &cuda_backend;
