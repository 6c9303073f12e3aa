/* broadcast.cu: broadcast of device memory by NCCL, one process a device; the question and formulas are in broadcast.c.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void broadcast(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    const void *sent = c->input_count > 0 ? c->input : c->output; /* read on the root alone */
    NCCL_CHECK(run, ncclBroadcast(sent, c->output, c->count, nccl_type(c->pattern.dtype),
                                  (int)run->value[COLLECTIVE_ROOT], (ncclComm_t)c->library, run->stream));
}

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(broadcast),
    NCCL_VARIANT_REGISTERED(broadcast),
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
