/* send_recv.cu: sends and receives of device memory by NCCL, one process a device; the question and formulas are in
   send_recv.c. In a group, so that both directions go on at once.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"
#include "collectives/send_recv.h"

static void exchange(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclGroupStart());
    nccl_send(run, c->input, 0, c->count, send_to(run, c));
    nccl_receive(run, c->output, 0, c->count, receive_from(run, c));
    NCCL_CHECK(run, ncclGroupEnd());
}

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(exchange),
    NCCL_VARIANT_REGISTERED(exchange),
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
