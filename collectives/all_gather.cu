/* all_gather.cu: all-gather of device memory by NCCL, one process a device; the question and formulas are in
   all_gather.c.

   NOTES. Beside nccl-tests, and what moves 1 GiB: all_reduce.cu.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void all_gather(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclAllGather(c->input, c->output, c->share, nccl_type(c->pattern.dtype), (ncclComm_t)c->library,
                                  run->stream));
}

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(all_gather),
    NCCL_VARIANT_REGISTERED(all_gather),
    NCCL_VARIANT_SYMMETRIC(all_gather)
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
