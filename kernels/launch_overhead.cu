/* launch_overhead.cu: the launches.

   The first launch of a kernel loads it, the first of a graph uploads it; both happen before the samples. The driver's
   queue is of finite length (CUDA does not say of which; QUEUE is taken to fit): past it the host goes at the device's
   pace. */
#include "bench/cuda.h"
#include "kernels/launch_overhead.h"

enum { SAMPLES_MOST = 4096, SAMPLES_LEAST = 11, WARM_CALLS = 20, QUEUE = 1000 };

/* run->device_state, in host memory. */
struct launch_device {
    unsigned long long *counter;          /* device memory */
    cudaGraphExec_t timed, counted;       /* NULL but in variant graph */
    void (*call)(struct run *run, unsigned long long *counter, cudaGraphExec_t graph);
    bool waits;                           /* the wait belongs to the call */
};

static __global__ void do_nothing(unsigned long long *counter) {
    if (counter != NULL) atomicAdd(counter, 1);
}

static void launch_all(struct run *run, unsigned long long *counter, cudaGraphExec_t graph) {
    const struct launch_state *state = (const struct launch_state *)run->state;
    (void)graph;
    for (int64_t i = 0; i < state->kernels; i++) do_nothing<<<1, 1, 0, run->stream>>>(counter);
    CUDA_CHECK_LAUNCH(run);
}

static void launch_graph(struct run *run, unsigned long long *counter, cudaGraphExec_t graph) {
    (void)counter;
    CUDA_CHECK(run, cudaGraphLaunch(graph, run->stream));
}

/* What is counted is a kernel all the same: that a stream which had something to do has done it after a wait. */
static void launch_counted_only(struct run *run, unsigned long long *counter, cudaGraphExec_t graph) {
    if (counter != NULL) launch_all(run, counter, graph);
}

static cudaGraphExec_t make_graph(struct run *run, unsigned long long *counter) {
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CUDA_CHECK(run, cudaStreamBeginCapture(run->stream, cudaStreamCaptureModeThreadLocal));
    launch_all(run, counter, NULL);
    CUDA_CHECK(run, cudaStreamEndCapture(run->stream, &graph));
    cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    CUDA_CHECK(run, status);
    return executable;
}

static struct launch_device *new_device(struct run *run, bool waits,
                                        void (*call)(struct run *run, unsigned long long *counter,
                                                     cudaGraphExec_t graph)) {
    struct launch_device *device = (struct launch_device *)bench_alloc(run, sizeof *device);
    run->device_state = device;
    device->call = call;
    device->waits = waits;
    device->counter = (unsigned long long *)bench_device_alloc(run, sizeof *device->counter);
    bench_output(run, device->counter, sizeof *device->counter, PLACE_DEVICE, false);
    return device;
}

static void setup_stream(struct run *run) {
    new_device(run, true, launch_all);
}

static void setup_submit(struct run *run) {
    new_device(run, false, launch_all);
}

static void setup_synchronize(struct run *run) {
    new_device(run, true, launch_counted_only);
}

static void setup_graph(struct run *run) {
    struct launch_device *device = new_device(run, true, launch_graph);
    device->timed = make_graph(run, NULL);
    device->counted = make_graph(run, device->counter);
    CUDA_CHECK(run, cudaGraphUpload(device->timed, run->stream));
}

static void release(struct run *run) {
    const struct launch_device *device = (const struct launch_device *)run->device_state;
    if (device == NULL) return;
    if (device->timed != NULL) cudaGraphExecDestroy(device->timed);
    if (device->counted != NULL) cudaGraphExecDestroy(device->counted);
}

/* Seconds of one call, which finds the stream empty and leaves it so. */
static double sample(struct run *run) {
    const struct launch_device *device = (const struct launch_device *)run->device_state;
    double start = bench_seconds(), end;
    device->call(run, NULL, device->timed);
    if (device->waits) CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    end = bench_seconds();
    if (!device->waits) CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    return end - start;
}

static void measure(struct run *run) {
    static double seconds[SAMPLES_MOST];
    static const double caps[PRESET_COUNT] = {0.03, 0.2, 1};
    const struct launch_state *state = (const struct launch_state *)run->state;
    const struct launch_device *device = (const struct launch_device *)run->device_state;
    double cap = caps[run->preset] < run->budget ? caps[run->preset] : run->budget, begin;
    size_t count = 0;
    for (int call = 0; call < WARM_CALLS; call++) sample(run);
    begin = bench_seconds();
    while (count < SAMPLES_MOST && (count < SAMPLES_LEAST || bench_seconds() - begin < cap))
        seconds[count++] = sample(run);
    bench_report_samples(run, METRIC_call_time, (double)state->kernels, seconds, count, (struct limit){0, NULL});
    CUDA_CHECK(run, cudaMemsetAsync(device->counter, 0, sizeof *device->counter, run->stream));
    device->call(run, device->counter, device->counted);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
}

static void fetch(struct run *run) {
    struct launch_state *state = (struct launch_state *)run->state;
    const struct launch_device *device = (const struct launch_device *)run->device_state;
    CUDA_CHECK(run, cudaMemcpy(&state->ran, device->counter, sizeof state->ran, cudaMemcpyDeviceToHost));
}

static const char *decline_submit(const struct run *run) {
    return run->value[AXIS_KERNELS] > QUEUE ? "so many launches do not fit the driver's queue: the host would wait"
                                            : NULL;
}

static bool covers_submit(const struct run *run) {
    return run->value[AXIS_KERNELS] <= QUEUE;
}

static const char *decline_synchronize(const struct run *run) {
    return run->value[AXIS_KERNELS] != 1 ? "a wait for no kernel has kernels = 1" : NULL;
}

static bool covers_synchronize(const struct run *run) {
    return run->value[AXIS_KERNELS] == 1;
}

const struct variant cuda_variants[] = {
    {.name = "stream", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_stream, .fetch = fetch,
     .measure = measure, .release = release},
    {.name = "graph", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_graph, .fetch = fetch,
     .measure = measure, .release = release},
    {.name = "submit", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_submit, .setup = setup_submit,
     .fetch = fetch, .measure = measure, .release = release, .covers = covers_submit},
    {.name = "synchronize", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_synchronize,
     .setup = setup_synchronize, .fetch = fetch, .measure = measure, .release = release,
     .covers = covers_synchronize},
    {}};
