/* device_clock.h: time taken inside kernels, for .cu files: by the device's timer (%globaltimer, which all
   multiprocessors share and which ticks at least every microsecond) and by the clock of the multiprocessor that a block
   runs on (clock64). Both together give the clock frequency during the work itself, which a reading from outside, a
   millisecond late, does not. */
#ifndef KERNELS_DEVICE_CLOCK_H
#define KERNELS_DEVICE_CLOCK_H

#include <cuda_runtime.h>

#include "bench/bench.h"

/* What one block sees: nanoseconds, and clocks of its multiprocessor in between. */
struct device_span {
    unsigned long long start, end;
    long long clocks;
};

/* Volatile: stands where it is written among other volatile instructions. */
static __device__ inline unsigned long long device_timer(void) {
    unsigned long long now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

/* By one thread, before and after what is timed. The clocks are read inside of the times. */
static __device__ inline void device_span_begin(struct device_span *span) {
    span->start = device_timer();
    span->clocks = -clock64();
}
static __device__ inline void device_span_end(struct device_span *span) {
    span->clocks += clock64();
    span->end = device_timer();
}

/* Where the blocks of a kernel leave their spans. */
struct device_clock {
    struct device_span *spans; /* device memory, one for each block */
    struct device_span *copy;  /* host memory */
    unsigned blocks;
};
void device_clock_setup(struct run *run, struct device_clock *clock, unsigned blocks);

/* Of one launch: seconds from the first block's start to the last one's end; clocks and hertz are means over blocks. */
struct device_time {
    double seconds, clocks, hertz;
};
/* Waits for the stream, then reads the spans. */
struct device_time device_clock_read(struct run *run, const struct device_clock *clock);

/* Samples of launch(), after three that warm up, until the preset's time for one case is over. Of the next call's
   storage. */
enum { DEVICE_SAMPLES_MOST = 256 };
struct device_samples {
    size_t count;
    double seconds[DEVICE_SAMPLES_MOST], clocks[DEVICE_SAMPLES_MOST];
    double median_seconds, median_clocks, median_hertz;
};
const struct device_samples *device_clock_sample(struct run *run, const struct device_clock *clock,
                                                 void (*launch)(struct run *run));
/* The same for so many seconds. */
const struct device_samples *device_clock_sample_for(struct run *run, const struct device_clock *clock,
                                                     void (*launch)(struct run *run), double seconds);

/* Reports samples as `metric`; for rates with a limit (at the boost clock) also the clock and the share of the limit at
   that clock. */
void device_clock_report(struct run *run, const struct device_samples *samples, enum metric metric, double amount,
                         struct limit limit);
/* Samples of `steps` that wait for one another: latency and latency_clocks of one. */
void device_clock_report_latency(struct run *run, const struct device_samples *samples, double steps);

/* Until the stream is empty; reads clock and power meanwhile. An error of its kernels ends the measurement. */
void device_wait(struct run *run);

int device_attribute(struct run *run, enum cudaDeviceAttr which); /* of the current device */

/* A copy of `bytes` of host memory in device memory of the measurement. */
void *device_copy(struct run *run, const void *host, size_t bytes);

#endif
