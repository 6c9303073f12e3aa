/* reduce.cu: reduction of device memory to one device by NCCL, one process a device; the question and formulas are in
   reduce.c.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void reduce(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclReduce(c->input, c->output, c->count, nccl_type(c->pattern.dtype),
                               nccl_operation(c->pattern.operation), (int)run->value[COLLECTIVE_ROOT],
                               (ncclComm_t)c->library, run->stream));
}

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(reduce),
    NCCL_VARIANT_REGISTERED(reduce),
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
