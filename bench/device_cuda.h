/* device_cuda.h: what the files device_cuda*.cu share. Everybody else sees device.h. */
#ifndef BENCH_DEVICE_CUDA_H
#define BENCH_DEVICE_CUDA_H

#include <cuda_runtime.h>

#include "device.h"

/* One line into reason; true if status is an error. Clears the runtime's last error, unless it has poisoned the
   context. */
bool device_cuda_failed(cudaError_t status, const char *expression, char *reason);
#define DEVICE_CHECK(reason, expression)                                                                               \
    do {                                                                                                               \
        if (device_cuda_failed(expression, #expression, reason)) return false;                                         \
    } while (0)

/* device_cuda.cu: the device that start chose */
int device_cuda_index(void);
cudaStream_t device_cuda_stream(void);
const char *device_cuda_pci_address(void);

/* device_cuda_time.cu */
bool device_cuda_time_start(char *reason); /* once, after the stream exists: events, flush buffer, kernels loaded */
void device_cuda_recover(void); /* a callback that left by bench_fail: let the stream go, end its capture. Cheap */
bool device_cuda_time_cold(struct run *run, double *seconds, size_t count, char *reason);
bool device_cuda_time_hot(struct run *run, double *seconds, size_t count, size_t calls, char *reason);
void device_cuda_delay(double seconds);
bool device_cuda_delay_cost(double *seconds, char *reason);
bool device_cuda_time_plain(struct run *run, double *seconds, size_t count, char *reason);
bool device_cuda_time_held(struct run *run, double *seconds, size_t count, size_t calls, char *reason);

/* device_cuda_peaks.cu */
int device_cuda_multiprocessors(void);
double device_cuda_clock_maximum(void);
struct limit device_cuda_memory_bandwidth(void);
struct limit device_cuda_flop_rate(enum dtype dtype);
struct limit device_cuda_link_bandwidth(void);
struct limit device_cuda_host_link_bandwidth(void);

#endif
