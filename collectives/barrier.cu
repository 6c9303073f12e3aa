/* barrier.cu: what frameworks take for a barrier of devices, as NCCL has none: an all-reduce of one element, one
   process a device; the question is in barrier.c.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void barrier(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclAllReduce(c->input, c->output, c->count, nccl_type(c->pattern.dtype), ncclSum,
                                  (ncclComm_t)c->library, run->stream));
}

extern const struct variant cuda_variants[] = {
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .setup = nccl_setup, .reset = nccl_reset,
     .run = barrier, .fetch = nccl_fetch},
    {.name = NULL},
};
