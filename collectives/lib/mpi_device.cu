/* mpi_device.cu: MPI's calls on device memory; see nccl_calls.h. A call returns when it is done, so the events around
   it span the time that the host spent in it.
 * needs: nccl mpi
 */
#include "bench/cuda.h"
#include "collectives/lib/nccl_calls.h"

#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

#ifdef MPIX_CUDA_AWARE_SUPPORT /* 0 or 1 of the MPI built with; the one run with is asked */
/* Open MPI 4's query tells how the library was built. A parameter of its own tells what became of that when it started:
   a user may switch it off, and it switches itself off where it finds no driver. Device memory would then be read like
   the host's. Versions that have no such parameter answer the query by the state they are in. */
static bool switched_off(void) {
    int level, index, count = 0, enabled = 0; /* of an enabled one some versions write a byte */
    MPI_T_cvar_handle handle;
    if (MPI_T_init_thread(MPI_THREAD_SINGLE, &level) != MPI_SUCCESS) return false;
    bool told = MPI_T_cvar_get_index("opal_cuda_support", &index) == MPI_SUCCESS &&
                MPI_T_cvar_handle_alloc(index, NULL, &handle, &count) == MPI_SUCCESS;
    if (told) {
        told = count == 1 && MPI_T_cvar_read(handle, &enabled) == MPI_SUCCESS;
        MPI_T_cvar_handle_free(&handle);
    }
    MPI_T_finalize();
    return told && enabled == 0;
}
#endif

/* NULL: it can be given device memory. The same through the launch. */
static const char *refusal(void) {
#ifdef MPIX_CUDA_AWARE_SUPPORT
    static int built = -1, off;
    if (built < 0) {
        built = MPIX_Query_cuda_support() == 1;
        off = built && switched_off();
    }
    if (!built) return "this MPI does not take device memory (MPIX_Query_cuda_support)";
    return off ? "this MPI's support of device memory is switched off (opal_cuda_support)" : NULL;
#else
    return "this MPI has no way to tell whether it takes device memory";
#endif
}

const char *mpi_device_decline(const struct run *run) {
    const struct variant *host = &run->bench->variants[0];
    if (refusal() != NULL) return refusal();
    return host->decline != NULL ? host->decline(run) : NULL;
}

void mpi_device_setup(struct run *run) { device_setup(run, bench_device_alloc); }

void mpi_device_run(struct run *run) { run->bench->variants[0].run(run); }

/* Where MPI cannot, one row says so. Where it can, the quick preset has some sizes, on all ranks: the sums of Open MPI 4
   take 0.25 s a call at 128 MiB, and every size of all_reduce took a minute. */
bool mpi_device_covers(const struct run *run) {
    enum { SMALLEST = 64 };
    int64_t ranks = run->value[COLLECTIVE_RANKS];
    bool whole = ranks == collective_ranks_launched() && ranks > 1;
    if (refusal() == NULL) return run->preset != PRESET_QUICK || (whole && collective_covers_some(run));
    return run->value[COLLECTIVE_BYTES] <= SMALLEST && !collective_works_in_place(run);
}
