/* all_gather.cu: all-gather of device memory by NCCL, one process a device; the question and formulas are in
   all_gather.c.

   NOTES, seen on 2 H200 with NCCL 2.28, NVLink multicast off, fp32 out of place, us, beside the same loop as in
   all_reduce.cu: in graphs 32 B 4.98 and theirs 5.05, 64 KiB 6.10 and 6.24; one by one 64 MiB 157.1 and 155.4, 256 MiB
   546.7 and 544.1. At 1 GiB 1969 to 2016 by launch, theirs 1951 to 1976; what keeps our launches apart is not known.
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
