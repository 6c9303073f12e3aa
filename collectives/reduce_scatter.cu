/* reduce_scatter.cu: reduce-scatter of device memory by NCCL, one process a device; the question and formulas are in
   reduce_scatter.c.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void reduce_scatter(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclReduceScatter(c->input, c->output, c->share, nccl_type(c->pattern.dtype),
                                      nccl_operation(c->pattern.operation), (ncclComm_t)c->library, run->stream));
}

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(reduce_scatter),
    NCCL_VARIANT_REGISTERED(reduce_scatter),
    NCCL_VARIANT_SYMMETRIC(reduce_scatter)
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
