/* host_device.cu: copies by the copy engine; the question and formulas are in host_device.c. Both directions at once
   need two streams: the second begins when the first gets to the call and is waited for before the call is over.
 * needs: mpi
 */
#include "bench/cuda.h"
#include "bench/topology.h"
#include "collectives/host_device.h"
#include "collectives/lib/pattern_device.h"

/* Sources hold this rank's data, destinations are outputs; a direction that is not asked for has neither. */
struct copies {
    void *host_source, *device_destination;
    void *device_source, *host_destination;
    double *device_error;
    cudaStream_t back; /* of the copy to the host where both go at once */
    cudaEvent_t begun, done;
};

static size_t bytes_of(const struct run *run) { return (size_t)run->value[COLLECTIVE_BYTES]; }

static bool takes_part(const struct run *run) {
    return ((const struct collective *)run->state)->group != MPI_COMM_NULL;
}

static void *host_buffer(struct run *run) {
    void *buffer = bench_alloc(run, bytes_of(run));
    if (run->value[AXIS_MEMORY] == MEMORY_PINNED)
        CUDA_CHECK(run, cudaHostRegister(buffer, bytes_of(run), cudaHostRegisterDefault));
    return buffer;
}

static void require_memory(struct run *run) {
    size_t unoccupied = 0, total, buffers = (size_t)(goes_to_device(run) + goes_to_host(run));
    double needed = (double)(bytes_of(run) * buffers);
    int sharing = ranks_mpi_per_node(collective_set(run));
    CUDA_CHECK(run, cudaMemGetInfo(&unoccupied, &total));
    collective_require_memory(run, needed, takes_part(run) ? 0.9 * (double)unoccupied : (double)total, "device");
    collective_require_memory(run, needed * sharing, 0.9 * (double)topology_memory_available(), "node");
}

static void setup(struct run *run) {
    require_memory(run);
    if (!takes_part(run)) return;
    struct copies *copies = (struct copies *)bench_alloc(run, sizeof *copies);
    run->device_state = copies;
    if (goes_to_device(run)) {
        copies->host_source = host_buffer(run);
        copies->device_destination = bench_device_alloc(run, bytes_of(run));
        bench_output(run, copies->device_destination, bytes_of(run), PLACE_DEVICE, false);
    }
    if (goes_to_host(run)) {
        copies->device_source = bench_device_alloc(run, bytes_of(run));
        copies->host_destination = host_buffer(run);
        bench_output(run, copies->host_destination, bytes_of(run), PLACE_HOST, false);
    }
    copies->device_error = (double *)bench_device_alloc(run, sizeof *copies->device_error);
    CUDA_CHECK(run, cudaStreamCreateWithFlags(&copies->back, cudaStreamNonBlocking));
    CUDA_CHECK(run, cudaEventCreateWithFlags(&copies->begun, cudaEventDisableTiming));
    CUDA_CHECK(run, cudaEventCreateWithFlags(&copies->done, cudaEventDisableTiming));
}

static void reset(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    const struct copies *copies = (const struct copies *)run->device_state;
    if (copies == NULL) return;
    if (goes_to_device(run)) pattern_fill(&c->pattern, c->rank, copies->host_source, c->count, run->threads);
    if (goes_to_host(run)) pattern_device_fill(run, &c->pattern, c->rank, copies->device_source, c->count);
}

static void copy(struct run *run) {
    const struct copies *copies = (const struct copies *)run->device_state;
    if (copies == NULL) return;
    bool both = goes_to_device(run) && goes_to_host(run);
    cudaStream_t back = both ? copies->back : run->stream;
    if (both) {
        CUDA_CHECK(run, cudaEventRecord(copies->begun, run->stream));
        CUDA_CHECK(run, cudaStreamWaitEvent(back, copies->begun, 0));
    }
    if (goes_to_device(run))
        CUDA_CHECK(run, cudaMemcpyAsync(copies->device_destination, copies->host_source, bytes_of(run),
                                        cudaMemcpyHostToDevice, run->stream));
    if (goes_to_host(run))
        CUDA_CHECK(run, cudaMemcpyAsync(copies->host_destination, copies->device_source, bytes_of(run),
                                        cudaMemcpyDeviceToHost, back));
    if (both) {
        CUDA_CHECK(run, cudaEventRecord(copies->done, back));
        CUDA_CHECK(run, cudaStreamWaitEvent(run->stream, copies->done, 0));
    }
}

static void fetch(struct run *run) {
    struct collective *c = (struct collective *)run->state;
    const struct copies *copies = (const struct copies *)run->device_state;
    if (copies == NULL) return;
    struct origin origin = {.reduced = false, .source = c->rank, .block = c->count, .offset = 0};
    double there = 0, back = 0;
    if (goes_to_device(run))
        there = pattern_device_error(run, &c->pattern, &origin, copies->device_destination, c->count,
                                     copies->device_error);
    if (goes_to_host(run)) back = pattern_error(&c->pattern, &origin, copies->host_destination, c->count, run->threads);
    c->error = there > back ? there : back;
}

/* Also after a setup that ended early: what is not there yet is NULL, and what was not registered is no error here. */
static void release(struct run *run) {
    const struct copies *copies = (const struct copies *)run->device_state;
    if (copies == NULL) return;
    cudaStreamSynchronize(run->stream);
    if (copies->done != NULL) cudaEventDestroy(copies->done);
    if (copies->begun != NULL) cudaEventDestroy(copies->begun);
    if (copies->back != NULL) cudaStreamDestroy(copies->back);
    if (run->value[AXIS_MEMORY] == MEMORY_PINNED) {
        if (copies->host_source != NULL) cudaHostUnregister(copies->host_source);
        if (copies->host_destination != NULL) cudaHostUnregister(copies->host_destination);
    }
    cudaGetLastError();
}

extern const struct variant cuda_variants[] = {
    {.name = "copy_engine", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup, .reset = reset, .run = copy,
     .fetch = fetch, .release = release, .no_graph = true},
    {.name = NULL},
};
