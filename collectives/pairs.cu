/* pairs.cu: the links between every two devices, one process a device; the question and formulas are in pairs.c. NCCL
   moves the data by kernels, which take multiprocessors from whatever computes meanwhile; the copy engine takes none,
   but nothing tells the receiver that its data is there.
 * needs: nccl mpi
 */
#include "bench/cuda.h"
#include "bench/ranks.h"
#include "collectives/lib/nccl_calls.h"
#include "collectives/lib/peer_memory.h"
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

static const char *decline_copy(const struct run *run) {
    return run->value[AXIS_PATTERN] == PATTERN_ROUND_TRIP ? "a copy brings no answer" : NULL;
}

static bool covers_copy(const struct run *run) { return run->value[AXIS_PATTERN] != PATTERN_ROUND_TRIP; }

static void setup_copy(struct run *run) {
    nccl_setup(run);
    peer_memory_open(run);
}

/* The others write to this rank's output without asking, so it must be ready on all of them first. */
static void reset_copy(struct run *run) {
    nccl_reset(run);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    rank_backend->barrier();
}

static void copy(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    struct pair pair = pair_now();
    bool sends = c->rank == pair.first || (c->rank == pair.second && run->value[AXIS_PATTERN] == PATTERN_BOTH_WAYS);
    if (!sends) return;
    int peer = c->rank == pair.first ? pair.second : pair.first;
    CUDA_CHECK(run, cudaMemcpyAsync(peer_memory(run)[peer], c->input, c->count * sizeof(float), cudaMemcpyDefault,
                                    run->stream));
}

static void measure_copy(struct run *run) {
    pairs_measure(run, copy);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    rank_backend->barrier(); /* the receiver's own stream knows nothing of the sender's copy */
}

extern const struct variant cuda_variants[] = {
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .setup = nccl_setup, .reset = nccl_reset,
     .fetch = nccl_fetch, .measure = measure},
    {.name = "copy_engine", .backend = "cuda", .place = PLACE_DEVICE, .decline = decline_copy, .setup = setup_copy,
     .reset = reset_copy, .fetch = nccl_fetch, .measure = measure_copy, .release = peer_memory_close,
     .covers = covers_copy},
    {.name = NULL},
};
