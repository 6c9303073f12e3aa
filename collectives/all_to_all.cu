/* all_to_all.cu: all-to-all of device memory by NCCL, one process a device; the question and formulas are in
   all_to_all.c. NCCL has a call of its own from 2.28 on; nccl_grouped puts it together from sends and receives in a
   group, as its manual says and as frameworks do.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static const char *decline(const struct run *run) {
    return run->value[COLLECTIVE_IN_PLACE] == 1 ? "NCCL does not exchange in place" : nccl_decline(run);
}

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
static void all_to_all(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclAlltoAll(c->input, c->output, c->share, nccl_type(c->pattern.dtype), (ncclComm_t)c->library,
                                 run->stream));
}
#endif

static void grouped(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclGroupStart());
    for (int peer = 0; peer < c->ranks; peer++) {
        nccl_send(run, c->input, (size_t)peer * c->share, c->share, peer);
        nccl_receive(run, c->output, (size_t)peer * c->share, c->share, peer);
    }
    NCCL_CHECK(run, ncclGroupEnd());
}

extern const struct variant cuda_variants[] = {
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .decline = decline, .setup = nccl_setup,
     .reset = nccl_reset, .run = all_to_all, .fetch = nccl_fetch},
#endif
    {.name = "nccl_grouped", .backend = "nccl", .place = PLACE_DEVICE, .decline = decline, .setup = nccl_setup,
     .reset = nccl_reset, .run = grouped, .fetch = nccl_fetch},
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
