/* all_to_all_v.cu: uneven all-to-all of device memory by NCCL, one process a device; the question and formulas are in
   all_to_all_v.c. NCCL has no such call: a group of sends and receives, as its manual says and as frameworks do.
 * needs: nccl mpi
 */
#include "collectives/all_to_all_v.h"
#include "collectives/lib/nccl_calls.h"

static void exchange(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclGroupStart());
    for (int peer = 0; peer < c->ranks; peer++) {
        struct part sent = part_for(run, peer);
        nccl_send(run, c->input, sent.offset, sent.count, peer);
        nccl_receive(run, c->output, (size_t)peer * c->origin.block, c->origin.block, peer);
    }
    NCCL_CHECK(run, ncclGroupEnd());
}

extern const struct variant cuda_variants[] = {
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline, .setup = nccl_setup,
     .reset = nccl_reset, .run = exchange, .fetch = nccl_fetch},
    {.name = NULL},
};
