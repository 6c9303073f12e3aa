/* all_gather.cu: all-gather of device memory by NCCL, one process a device; the question and formulas are in
   all_gather.c.

   NOTES, seen on 2 H200 with NCCL 2.28, NVLink multicast off, out of place, us, medians over launches in turn with
   nccl-tests as in all_reduce.cu, ours first. 64 MiB 157.4 and 156.9, 256 MiB 549.4 and 548.4, 1 GiB 1999 and 1987; in
   graphs 32 B 5.00 and 5.10, 16 KiB 5.83 and 6.12. 1 GiB takes 1966 to 2032 by where its buffers lie (72 pairs).
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
