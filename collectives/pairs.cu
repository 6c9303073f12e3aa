/* pairs.cu: the links between every two devices by NCCL, one process a device; the question and formulas are in
   pairs.c. NCCL moves the data by kernels that copy through the peer's memory.
 * needs: nccl mpi
 */
#include "bench/cuda.h"
#include "collectives/lib/nccl_calls.h"
#include "collectives/pairs.h"

/* Ungrouped, a call ends before the next one of its stream begins: that is the round trip. */
static void exchange(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    struct pair pair = pair_now();
    if (c->rank != pair.first && c->rank != pair.second) return;
    int peer = c->rank == pair.first ? pair.second : pair.first;
    bool begins = c->rank == pair.first, both = run->value[AXIS_PATTERN] == PATTERN_BOTH_WAYS;
    bool answered = run->value[AXIS_PATTERN] == PATTERN_ROUND_TRIP;
    if (both) NCCL_CHECK(run, ncclGroupStart());
    if (begins || both) nccl_send(run, c->input, 0, c->count, peer);
    if (!begins || both || answered) nccl_receive(run, c->output, 0, c->count, peer);
    if (!begins && answered) nccl_send(run, c->input, 0, c->count, peer);
    if (both) NCCL_CHECK(run, ncclGroupEnd());
}

static void measure(struct run *run) {
    pairs_measure(run, exchange);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream)); /* the result is there before anybody looks or changes it */
}

extern const struct variant cuda_variants[] = {
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .setup = nccl_setup, .reset = nccl_reset,
     .fetch = nccl_fetch, .measure = measure},
    {.name = NULL},
};
