/* mpi_device.cu: MPI's calls on device memory; see nccl_calls.h. A call returns when it is done, so the events around
   it span the time that the host spent in it.
 * needs: nccl mpi
 */
#include "bench/cuda.h"
#include "collectives/lib/nccl_calls.h"

#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

static bool takes_device_memory(void) {
#ifdef MPIX_CUDA_AWARE_SUPPORT /* 0 or 1 of the MPI built with; the one run with is asked */
    return MPIX_Query_cuda_support() == 1;
#else
    return false; /* another MPI has no way to tell that all versions share */
#endif
}

const char *mpi_device_decline(const struct run *run) {
    if (!takes_device_memory()) return "this MPI does not take device memory (MPIX_Query_cuda_support)";
    const struct variant *host = &run->bench->variants[0];
    return host->decline != NULL ? host->decline(run) : NULL;
}

void mpi_device_setup(struct run *run) { device_setup(run, bench_device_alloc); }

void mpi_device_run(struct run *run) { run->bench->variants[0].run(run); }

/* Where MPI cannot, one row says so. */
bool mpi_device_covers(const struct run *run) {
    enum { SMALLEST = 64 };
    return takes_device_memory() || (run->value[COLLECTIVE_BYTES] <= SMALLEST && run->value[COLLECTIVE_IN_PLACE] == 0);
}
