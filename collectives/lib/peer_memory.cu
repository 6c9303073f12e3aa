/* peer_memory.cu: see peer_memory.h. CUDA's handles for other processes do the mapping; a launcher that shows each task
   its own device alone can make them fail, which is a reason to skip and none to stop.
 * needs: mpi
 */
#include <string.h>

#include "bench/cuda.h"
#include "bench/ranks.h"
#include "collectives/lib/peer_memory.h"

void *const *peer_memory(const struct run *run) { return (void *const *)run->device_state; }

static cudaError_t worst_of_all(cudaError_t status) {
    double worst = (int)status;
    rank_backend->maximum(&worst, 1);
    return (cudaError_t)(int)worst;
}

void peer_memory_open(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (ranks_mpi_nodes(c->set) > 1) bench_skip(run, "devices on several nodes do not map each other's memory");
    size_t ranks = (size_t)c->ranks;
    cudaIpcMemHandle_t own, *handle = (cudaIpcMemHandle_t *)bench_alloc(run, ranks * sizeof *handle);
    void **mapped = (void **)bench_alloc(run, ranks * sizeof *mapped);
    run->device_state = mapped;
    memset(&own, 0, sizeof own);
    cudaError_t status = cudaIpcGetMemHandle(&own, c->output);
    MPI_Allgather(&own, sizeof own, MPI_BYTE, handle, sizeof own, MPI_BYTE, c->group);
    status = worst_of_all(status); /* a rank must not open what another could not export */
    for (int r = 0; r < c->ranks && status == cudaSuccess; r++) {
        if (r == c->rank) mapped[r] = c->output;
        else status = cudaIpcOpenMemHandle(&mapped[r], handle[r], cudaIpcMemLazyEnablePeerAccess);
        if (status != cudaSuccess) mapped[r] = NULL;
    }
    status = worst_of_all(status);
    if (status == cudaSuccess) return;
    cudaGetLastError();
    bench_skip(run, "the memory of another device cannot be mapped: %s", cudaGetErrorString(status));
}

void peer_memory_close(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    void **mapped = (void **)run->device_state;
    if (mapped == NULL) return;
    cudaStreamSynchronize(run->stream);
    for (int r = 0; r < c->ranks; r++)
        if (mapped[r] != NULL && r != c->rank) cudaIpcCloseMemHandle(mapped[r]);
    cudaGetLastError();
    rank_backend->barrier();
}
