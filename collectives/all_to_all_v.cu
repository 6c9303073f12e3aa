/* all_to_all_v.cu: uneven all-to-all of device memory by NCCL, one process a device; the question and formulas are in
   all_to_all_v.c. NCCL has no such call: a group of sends and receives, as its manual says and as frameworks do.
 * needs: nccl mpi
 */
#include "collectives/all_to_all_v.h"
#include "collectives/lib/nccl_calls.h"
#include "collectives/lib/pattern_device.h"

static void exchange(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclGroupStart());
    for (int peer = 0; peer < c->ranks; peer++) {
        const struct exchange *e = &exchanges()[peer];
        nccl_send(run, c->input, e->sent_at, e->sent, peer);
        nccl_receive(run, c->output, e->received_at, e->received, peer);
    }
    NCCL_CHECK(run, ncclGroupEnd());
}

/* Each sender's part by itself: they differ in length. */
static void fetch(struct run *run) {
    struct collective *c = (struct collective *)run->state;
    size_t size = dtype_size(c->pattern.dtype);
    c->error = 0;
    for (int peer = 0; c->rank >= 0 && peer < c->ranks; peer++) {
        const struct exchange *e = &exchanges()[peer];
        const struct origin origin = {.reduced = false, .source = peer, .block = e->received, .offset = e->source_at};
        if (e->received == 0) continue;
        double error = pattern_device_error(run, &c->pattern, &origin, (const char *)c->output + e->received_at * size,
                                            e->received, c->device_error);
        if (error > c->error) c->error = error;
    }
}

extern const struct variant cuda_variants[] = {
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline, .setup = nccl_setup,
     .reset = device_reset, .run = exchange, .fetch = fetch},
    {.name = "mpi_device", .backend = "mpi", .place = PLACE_DEVICE, .decline = mpi_device_decline,
     .setup = mpi_device_setup, .reset = device_reset, .run = mpi_device_run, .fetch = fetch,
     .covers = mpi_device_covers, .no_graph = true},
    {.name = NULL},
};
