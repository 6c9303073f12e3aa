/* device_clock.cu: the host's side of device_clock.h. */
#include <math.h>

#include "bench/cuda.h"
#include "bench/device.h"
#include "bench/statistics.h"
#include "bench/telemetry.h"
#include "kernels/lib/device_clock.h"

enum { WARM_LAUNCHES = 3, SAMPLES_LEAST = 7 };

void device_clock_setup(struct run *run, struct device_clock *clock, unsigned blocks) {
    clock->blocks = blocks;
    clock->spans = (struct device_span *)bench_device_alloc(run, blocks * sizeof *clock->spans);
    clock->copy = (struct device_span *)bench_alloc(run, blocks * sizeof *clock->copy);
}

void device_wait(struct run *run) {
    cudaError_t status;
    while ((status = cudaStreamQuery(run->stream)) == cudaErrorNotReady) {
        cudaGetLastError();
        telemetry_poll();
    }
    CUDA_CHECK(run, status);
}

struct device_time device_clock_read(struct run *run, const struct device_clock *clock) {
    unsigned long long start = UINT64_MAX, end = 0;
    struct device_time time = {0, 0, 0};
    device_wait(run);
    CUDA_CHECK(run, cudaMemcpy(clock->copy, clock->spans, clock->blocks * sizeof *clock->copy, cudaMemcpyDeviceToHost));
    for (unsigned block = 0; block < clock->blocks; block++) {
        const struct device_span *span = &clock->copy[block];
        start = span->start < start ? span->start : start;
        end = span->end > end ? span->end : end;
        time.clocks += (double)span->clocks / clock->blocks;
        if (span->end > span->start)
            time.hertz += 1e9 * (double)span->clocks / (double)(span->end - span->start) / clock->blocks;
    }
    time.seconds = 1e-9 * (double)(end - start);
    return time;
}

const struct device_samples *device_clock_sample(struct run *run, const struct device_clock *clock,
                                                 void (*launch)(struct run *run)) {
    static const double caps[PRESET_COUNT] = {0.02, 0.06, 0.5};
    return device_clock_sample_for(run, clock, launch, fmin(caps[run->preset], run->budget));
}

const struct device_samples *device_clock_sample_for(struct run *run, const struct device_clock *clock,
                                                     void (*launch)(struct run *run), double seconds) {
    static struct device_samples samples;
    static double hertz[DEVICE_SAMPLES_MOST];
    samples.count = 0;
    for (int warm = 0; warm < WARM_LAUNCHES; warm++) {
        launch(run);
        device_clock_read(run, clock);
    }
    double begin = bench_seconds();
    do {
        launch(run);
        struct device_time time = device_clock_read(run, clock);
        samples.seconds[samples.count] = time.seconds;
        samples.clocks[samples.count] = time.clocks;
        hertz[samples.count++] = time.hertz;
    } while (samples.count < DEVICE_SAMPLES_MOST && (samples.count < SAMPLES_LEAST || bench_seconds() - begin < seconds));
    samples.median_seconds = statistics(samples.seconds, samples.count).median;
    samples.median_clocks = statistics(samples.clocks, samples.count).median;
    samples.median_hertz = statistics(hertz, samples.count).median;
    return &samples;
}

void device_clock_report(struct run *run, const struct device_samples *samples, enum metric metric, double amount,
                         struct limit limit) {
    const struct limit none = {0, NULL};
    bench_report_samples(run, metric, amount, samples->seconds, samples->count, limit);
    if (limit.value == 0 || samples->median_hertz == 0) return;
    double rate = amount / samples->median_seconds;
    bench_report_plain(run, METRIC_rate_at_clock,
                       rate / (limit.value * samples->median_hertz / device_backend->clock_maximum()), none);
    bench_report_plain(run, METRIC_clock, samples->median_hertz * 1e-6, none);
}

void device_clock_report_latency(struct run *run, const struct device_samples *samples, double steps) {
    const struct limit none = {0, NULL};
    bench_report_samples(run, METRIC_latency, steps, samples->seconds, samples->count, none);
    bench_report_plain(run, METRIC_latency_clocks, samples->median_clocks / steps, none);
}

int device_attribute(struct run *run, enum cudaDeviceAttr which) {
    int device, value;
    CUDA_CHECK(run, cudaGetDevice(&device));
    CUDA_CHECK(run, cudaDeviceGetAttribute(&value, which, device));
    return value;
}

void *device_copy(struct run *run, const void *host, size_t bytes) {
    void *copy = bench_device_alloc(run, bytes);
    CUDA_CHECK(run, cudaMemcpy(copy, host, bytes, cudaMemcpyHostToDevice));
    return copy;
}
