/* scatter.cu: scatter of device memory by NCCL, one process a device; the question and formulas are in scatter.c. NCCL
   has a call of its own from 2.28 on; before, its manual puts one together from sends and receives in a group.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void scatter(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    int root = (int)run->value[COLLECTIVE_ROOT];
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
    NCCL_CHECK(run, ncclScatter(c->input, c->output, c->share, nccl_type(c->pattern.dtype), root,
                                (ncclComm_t)c->library, run->stream));
#else
    NCCL_CHECK(run, ncclGroupStart());
    for (int peer = 0; c->rank == root && peer < c->ranks; peer++)
        nccl_send(run, c->input, (size_t)peer * c->share, c->share, peer);
    nccl_receive(run, c->output, 0, c->share, root);
    NCCL_CHECK(run, ncclGroupEnd());
#endif
}

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(scatter),
    NCCL_VARIANT_REGISTERED(scatter),
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
