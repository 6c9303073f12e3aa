/* device_cuda_time.cu: how a call on a CUDA device is timed.

   A batch of calls is enqueued behind a kernel that holds the stream until the host has enqueued all of it, so that
   the events around a call see the device's own time and not the host's launches. The holding kernel gives up after
   HOLD_LIMIT: a call that synchronizes inside, or that enqueues more work than the driver's queue takes, would wait
   for ever otherwise. Such a variant is then timed without it.

   Cold: before each call a kernel reads a buffer of twice the L2's size. It reads and does not write, because lines
   left dirty in the cache would have to be written back while the call runs, at the call's expense. A second kernel
   then discards what the first left there: lines of ordinary priority would outlive everything that the call marks as
   to be evicted first, and take the cache away from calls that stream (H200, 4 GiB arrays: triad 4048 GB/s without
   the second kernel and 4302 with it, copy 4238 and 4299).

   Ranks: each host lets its own stream go, and the rank that goes first waits for its peers inside its first call. So a
   batch begins with a call that is not timed; after it the ranks are as close together as the calls themselves keep
   them. */
#include <sched.h>

#include "device_cuda.h"
#include "statistics.h"
#include "telemetry.h"

enum { BATCH = 24, HELD_CALLS_LIMIT = 500, FLUSH_FACTOR = 2, FLUSH_THREADS = 512 };
static const unsigned long long HOLD_LIMIT = 2000000000; /* ns */

/* The host's words in pinned memory that the device sees. Tickets only grow, so a release is never lost, and a batch
   abandoned half-way is let go by the next one. */
struct hold {
    unsigned released; /* newest ticket let go */
    unsigned expired;  /* ticket of a holding kernel that gave up */
};

static struct {
    cudaEvent_t before[BATCH], after[BATCH];
    volatile struct hold *hold;
    struct hold *hold_device; /* the same as the device sees it */
    unsigned ticket;
    const struct variant *not_holdable;
    uint4 *flush;
    size_t flush_count;
    int flush_blocks;
    long long delay; /* clocks behind every call; negative: none */
} timer;

/* What a sample is: `calls` calls, or one replay of a graph that holds them. */
struct sample {
    size_t calls;
    cudaGraphExec_t graph; /* NULL: call the variant */
    bool flush, hold, run_up; /* run_up: an untimed one before the first of a batch */
};

static __device__ unsigned long long nanoseconds(void) {
    unsigned long long now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

static __global__ void hold_stream(volatile struct hold *hold, unsigned ticket, unsigned long long limit) {
    unsigned long long start = nanoseconds();
    while ((int)(hold->released - ticket) < 0) {
        if (nanoseconds() - start > limit) {
            hold->expired = ticket;
            return;
        }
        __nanosleep(200);
    }
}

/* In clocks, since how finely the global timer moves is left to the device. */
static __global__ void wait_for_clocks(long long wanted) {
    long long start = clock64();
    while (clock64() - start < wanted) continue;
}

/* The store happens next to never, which the compiler cannot know; nobody reads what it stores. */
static __global__ void read_all(const uint4 *buffer, size_t count, unsigned *sink) {
    unsigned all = 0;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count; i += (size_t)gridDim.x * blockDim.x) {
        uint4 four = __ldcg(&buffer[i]);
        all |= four.x | four.y | four.z | four.w;
    }
    if (all == 0xffffffffu) *sink = all;
}

/* A line at a time. What the buffer holds is undefined afterwards, which nobody minds. */
static __global__ void discard_all(const uint4 *buffer, size_t count) {
    const size_t line = 128 / sizeof *buffer;
    for (size_t i = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) * line; i + line <= count;
         i += (size_t)gridDim.x * blockDim.x * line)
        asm volatile("discard.global.L2 [%0], 128;" ::"l"(&buffer[i]) : "memory");
}

static bool enqueue_flush(char *reason) {
    read_all<<<timer.flush_blocks, FLUSH_THREADS, 0, device_cuda_stream()>>>(timer.flush, timer.flush_count,
                                                                             (unsigned *)timer.flush);
    DEVICE_CHECK(reason, cudaGetLastError());
    discard_all<<<timer.flush_blocks, FLUSH_THREADS, 0, device_cuda_stream()>>>(timer.flush, timer.flush_count);
    DEVICE_CHECK(reason, cudaGetLastError());
    return true;
}

static void let_go(void) {
    __atomic_store_n(&timer.hold->released, timer.ticket, __ATOMIC_RELEASE);
}

static bool enqueue_hold(char *reason) {
    timer.ticket++;
    hold_stream<<<1, 1, 0, device_cuda_stream()>>>(timer.hold_device, timer.ticket, HOLD_LIMIT);
    DEVICE_CHECK(reason, cudaGetLastError());
    return true;
}

void device_cuda_delay(double seconds) {
    timer.delay = seconds < 0 ? -1 : (long long)(seconds * device_cuda_clock_maximum());
}

static bool enqueue_delay(char *reason) {
    wait_for_clocks<<<1, 1, 0, device_cuda_stream()>>>(timer.delay);
    DEVICE_CHECK(reason, cudaGetLastError());
    return true;
}

static bool enqueue_calls(struct run *run, size_t calls, char *reason) {
    for (size_t call = 0; call < calls; call++) {
        run->variant->run(run);
        if (timer.delay >= 0 && !enqueue_delay(reason)) return false;
    }
    return true;
}

/* All kernels run once here: a kernel is loaded when first launched, and loading one may wait for the device, which
   must not happen behind the holding kernel. */
bool device_cuda_time_start(char *reason) {
    int device = device_cuda_index(), l2_bytes, multiprocessors, blocks;
    for (int i = 0; i < BATCH; i++) {
        DEVICE_CHECK(reason, cudaEventCreate(&timer.before[i]));
        DEVICE_CHECK(reason, cudaEventCreate(&timer.after[i]));
    }
    DEVICE_CHECK(reason, cudaHostAlloc((void **)&timer.hold, sizeof *timer.hold, cudaHostAllocMapped));
    timer.hold->released = 0;
    timer.hold->expired = 0;
    DEVICE_CHECK(reason, cudaHostGetDevicePointer((void **)&timer.hold_device, (void *)timer.hold, 0));
    DEVICE_CHECK(reason, cudaDeviceGetAttribute(&l2_bytes, cudaDevAttrL2CacheSize, device));
    DEVICE_CHECK(reason, cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device));
    DEVICE_CHECK(reason, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, read_all, FLUSH_THREADS, 0));
    timer.flush_blocks = multiprocessors * blocks;
    timer.flush_count = FLUSH_FACTOR * (size_t)l2_bytes / sizeof *timer.flush;
    DEVICE_CHECK(reason, cudaMalloc((void **)&timer.flush, timer.flush_count * sizeof *timer.flush));
    DEVICE_CHECK(reason, cudaMemsetAsync(timer.flush, 0x01, timer.flush_count * sizeof *timer.flush,
                                         device_cuda_stream()));
    timer.delay = 0;
    if (!enqueue_hold(reason) || !enqueue_flush(reason) || !enqueue_delay(reason)) return false;
    timer.delay = -1;
    let_go();
    DEVICE_CHECK(reason, cudaStreamSynchronize(device_cuda_stream()));
    return true;
}

void device_cuda_recover(void) {
    enum cudaStreamCaptureStatus status;
    cudaGraph_t graph = NULL;
    if (timer.hold != NULL) let_go();
    if (cudaStreamIsCapturing(device_cuda_stream(), &status) != cudaSuccess || status == cudaStreamCaptureStatusNone)
        return;
    cudaStreamEndCapture(device_cuda_stream(), &graph);
    if (graph != NULL) cudaGraphDestroy(graph);
    cudaGetLastError();
}

static bool wait_for(cudaEvent_t event, char *reason) {
    cudaError_t status;
    while ((status = cudaEventQuery(event)) == cudaErrorNotReady) {
        cudaGetLastError();
        telemetry_poll();
        sched_yield();
    }
    DEVICE_CHECK(reason, status);
    return true;
}

static bool enqueue_work(struct run *run, const struct sample *sample, char *reason) {
    if (sample->graph == NULL) return enqueue_calls(run, sample->calls, reason);
    DEVICE_CHECK(reason, cudaGraphLaunch(sample->graph, device_cuda_stream()));
    return true;
}

static bool enqueue_sample(struct run *run, const struct sample *sample, int index, char *reason) {
    cudaStream_t stream = device_cuda_stream();
    if (sample->flush && !enqueue_flush(reason)) return false;
    DEVICE_CHECK(reason, cudaEventRecord(timer.before[index], stream));
    if (!enqueue_work(run, sample, reason)) return false;
    DEVICE_CHECK(reason, cudaEventRecord(timer.after[index], stream));
    return true;
}

static bool time_batch(struct run *run, const struct sample *sample, double *seconds, int count, char *reason) {
    bool hold = sample->hold && run->variant != timer.not_holdable, enqueued = true;
    device_cuda_recover();
    if (hold && !enqueue_hold(reason)) return false;
    if (sample->run_up) enqueued = enqueue_work(run, sample, reason);
    for (int i = 0; i < count && enqueued; i++) enqueued = enqueue_sample(run, sample, i, reason);
    if (hold) let_go();
    if (!enqueued || !wait_for(timer.after[count - 1], reason)) return false;
    if (hold && timer.hold->expired == timer.ticket) timer.not_holdable = run->variant;
    for (int i = 0; i < count; i++) {
        float milliseconds;
        DEVICE_CHECK(reason, cudaEventElapsedTime(&milliseconds, timer.before[i], timer.after[i]));
        seconds[i] = milliseconds * 1e-3 / (double)sample->calls;
    }
    DEVICE_CHECK(reason, cudaGetLastError());
    return true;
}

/* As many samples as wait for one to end at most. Launches beyond the driver's queue, some 1000, would wait for the
   held stream. */
static size_t batch_most(const struct sample *sample) {
    size_t fit = HELD_CALLS_LIMIT / sample->calls;
    if (sample->graph != NULL || fit > BATCH) return BATCH;
    return fit > 1 ? fit : 1;
}

static bool time_samples(struct run *run, const struct sample *sample, double *seconds, size_t count, char *reason) {
    size_t most = batch_most(sample);
    for (size_t done = 0; done < count; done += most) {
        int batch = (int)(count - done < most ? count - done : most);
        if (!time_batch(run, sample, seconds + done, batch, reason)) return false;
    }
    return true;
}

/* What one kernel more costs in the stream, as the median of many: a call is a kernel that waits, alone and with
   another one behind it that waits for nothing. Alternating, so that no change of the clock comes in between. */
bool device_cuda_delay_cost(double *seconds, char *reason) {
    const double call = 20e-6;
    double differences[BATCH / 2];
    device_cuda_recover();
    if (!enqueue_hold(reason)) return false;
    for (int i = 0; i < BATCH; i++) {
        DEVICE_CHECK(reason, cudaEventRecord(timer.before[i], device_cuda_stream()));
        device_cuda_delay(call);
        if (!enqueue_delay(reason)) return false;
        device_cuda_delay(0);
        if (i % 2 != 0 && !enqueue_delay(reason)) return false;
        DEVICE_CHECK(reason, cudaEventRecord(timer.after[i], device_cuda_stream()));
    }
    device_cuda_delay(-1);
    let_go();
    if (!wait_for(timer.after[BATCH - 1], reason)) return false;
    for (int i = 0; i < BATCH / 2; i++) {
        float alone, two;
        DEVICE_CHECK(reason, cudaEventElapsedTime(&alone, timer.before[2 * i], timer.after[2 * i]));
        DEVICE_CHECK(reason, cudaEventElapsedTime(&two, timer.before[2 * i + 1], timer.after[2 * i + 1]));
        differences[i] = (two - alone) * 1e-3;
    }
    *seconds = statistics(differences, BATCH / 2).median;
    return true;
}

bool device_cuda_time_cold(struct run *run, double *seconds, size_t count, char *reason) {
    struct sample sample = {.calls = 1, .graph = NULL, .flush = true, .hold = true, .run_up = false};
    return time_samples(run, &sample, seconds, count, reason);
}

bool device_cuda_time_plain(struct run *run, double *seconds, size_t count, char *reason) {
    struct sample sample = {.calls = 1, .graph = NULL, .flush = false, .hold = false, .run_up = true};
    return time_samples(run, &sample, seconds, count, reason);
}

bool device_cuda_time_held(struct run *run, double *seconds, size_t count, size_t calls, char *reason) {
    struct sample sample = {.calls = calls, .graph = NULL, .flush = false, .hold = true, .run_up = true};
    return time_samples(run, &sample, seconds, count, reason);
}

static bool capture(struct run *run, size_t calls, cudaGraphExec_t *executable, char *reason) {
    cudaStream_t stream = device_cuda_stream();
    cudaGraph_t graph = NULL;
    device_cuda_recover();
    DEVICE_CHECK(reason, cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    bool enqueued = enqueue_calls(run, calls, reason);
    DEVICE_CHECK(reason, cudaStreamEndCapture(stream, &graph));
    if (!enqueued && graph != NULL) cudaGraphDestroy(graph);
    if (!enqueued) return false;
    cudaError_t status = cudaGraphInstantiate(executable, graph, 0);
    cudaGraphDestroy(graph);
    DEVICE_CHECK(reason, status);
    return true;
}

/* The graph is built anew each time: what it captured belongs to one measurement, and nothing tells reliably that the
   next one has begun (its struct run may lie at the same address). */
bool device_cuda_time_hot(struct run *run, double *seconds, size_t count, size_t calls, char *reason) {
    struct sample sample = {.calls = calls, .graph = NULL, .flush = false, .hold = !run->variant->no_graph,
                            .run_up = run->bench->ranks};
    if (run->variant->no_graph) return time_samples(run, &sample, seconds, count, reason);
    if (!capture(run, calls, &sample.graph, reason)) return false;
    double warm_up;
    bool timed = !device_cuda_failed(cudaGraphUpload(sample.graph, device_cuda_stream()), "cudaGraphUpload", reason) &&
                 time_samples(run, &sample, &warm_up, 1, reason) &&
                 time_samples(run, &sample, seconds, count, reason);
    cudaGraphExecDestroy(sample.graph);
    return timed;
}
