/* device.h: what the timing code needs of an accelerator. device_cuda.cu provides the table; the archive holds a NULL
   one for programs without a .cu. Functions that can fail return false and put one line into reason. */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { REASON_SIZE = 512 };

struct device_backend {
    const char *name;                                  /* "cuda" */
    int (*count)(char *reason);                        /* devices present; 0 with the reason; must not abort */
    bool (*start)(int index, char *reason);            /* choose the device, make the stream */
    const char *(*device_name)(void);                  /* "NVIDIA H200" */
    const char *(*pci_address)(void);                  /* "0000:18:00.0", for NVML and hwloc */
    struct CUstream_st *(*stream)(void);
    void *(*alloc)(size_t bytes, char *reason);        /* NULL with the sizes in reason */
    void (*release)(void *pointer);
    size_t (*held)(void);                              /* bytes allocated through alloc now */
    bool (*fill)(void *pointer, int byte, size_t bytes, char *reason); /* synchronous */
    bool (*corrupt)(void *pointer, size_t bytes, char *reason); /* xor 0x55 into every byte; synchronous */
    bool (*synchronize)(char *reason);                 /* also reports launch errors of the calls before */
    /* Seconds of `count` single calls, each after an L2 flush (cold) between events behind a spin kernel that holds the
       stream until the batch is enqueued. The host calls telemetry_poll() while it waits. */
    bool (*time_cold)(struct run *run, double *seconds, size_t count, char *reason);
    /* Seconds a call, count times: each from one replay of a graph of `calls` captured calls (plain back-to-back calls
       between two events where variant->no_graph). */
    bool (*time_hot)(struct run *run, double *seconds, size_t count, size_t calls, char *reason);
    /* For calls that involve peers, no flush. Plain: events around each call, as the host launches them. Held: events
       around every `calls` of them, behind the spin kernel. */
    bool (*time_plain)(struct run *run, double *seconds, size_t count, char *reason);
    bool (*time_held)(struct run *run, double *seconds, size_t count, size_t calls, char *reason);
    /* Behind every timed call from now on the stream waits so long at the highest clock; negative: no more. */
    void (*delay)(double seconds);
    bool (*delay_cost)(double *seconds, char *reason); /* what the waiting costs beyond its seconds */
    int (*multiprocessors)(void);
    double (*clock_maximum)(void);                     /* Hz, boost clock of the multiprocessors */
    struct limit (*memory_bandwidth)(void);
    struct limit (*flop_rate)(enum dtype dtype);
    struct limit (*link_bandwidth)(void);              /* NVLink count x rate by NVML, else PCIe; one direction */
    struct limit (*host_link_bandwidth)(void);         /* PCIe; one direction */
};
extern const struct device_backend *const device_backend;

#ifdef __cplusplus
}
#endif
#endif
