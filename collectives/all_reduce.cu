/* all_reduce.cu: all-reduce of device memory by NCCL, one process a device; the question and formulas are in
   all_reduce.c. With --cache hot the harness captures many calls in a graph, as training frameworks do, which takes
   the launch off the host.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void all_reduce(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclAllReduce(c->input, c->output, c->count, nccl_type(c->pattern.dtype),
                                  nccl_operation(c->pattern.operation), (ncclComm_t)c->library, run->stream));
}

extern const struct variant cuda_variants[] = {
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline, .setup = nccl_setup,
     .reset = nccl_reset, .run = all_reduce, .fetch = nccl_fetch},
    {.name = NULL},
};
