/* send_recv: every rank sends an array to one rank and receives one from one rank, all at the same time.

   Question: what do neighbours get from the links when all of them talk? Ring attention passes keys and values around a
   ring, 2 * batch * length / n * kv_heads * head_dim * b bytes a step, pipelines pass activations of micro-batch *
   length * hidden * b bytes on, and pairs across the middle show what the machine's two halves have between them.

   Patterns  ring: rank r to r+1. pairs: ranks r and r + n/2 exchange. Two ranks are the same in both.
   Bytes   a rank reads S and writes S: 2 S.
   Rates   algorithm bandwidth S/t; bus bandwidth the same, for one direction (collectives/lib/bus_factor.h); time t of
           one call, the maximum over ranks of each iteration.
   Models  a + S B, with latency a and time per byte B.
   Follows nccl-tests' sendrecv_perf (the ring) and the OSU micro-benchmarks' multiple-pair tests (the pairs, here in
           both directions).
   Reference: the sender's array recomputed element by element (collectives/lib/pattern.h) on every rank, tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   One link at a time, in one direction and in both, is what pairs measures: the program, not the pattern.
   One rank sends to itself: a copy by the library.
 * needs: mpi
 */
#include "collectives/send_recv.h"

#include "collectives/lib/mpi_calls.h"

static const char *const patterns[] = {[PATTERN_RING] = "ring", [PATTERN_PAIRS] = "pairs", NULL};

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    {.name = "pattern", .help = "who sends to whom", .kind = AXIS_WORD, .words = patterns,
     .host = {"all", "all", "all"}},
    {.name = NULL},
};

static const char *decline(const struct run *run) {
    if (run->value[AXIS_PATTERN] == PATTERN_PAIRS && run->value[COLLECTIVE_RANKS] % 2 != 0)
        return "an odd number of ranks makes no pairs";
    return collective_decline(run);
}

/* A pair is a ring of two. */
static bool covers(const struct run *run) {
    int64_t ranks = run->value[COLLECTIVE_RANKS];
    bool own = run->value[AXIS_PATTERN] == PATTERN_RING || (ranks > 2 && ranks % 2 == 0);
    return own && collective_covers(run);
}

static void describe(const struct run *run, struct work *work) { collective_describe(run, work, BUS_WHOLE); }

static void setup(struct run *run) {
    struct collective *c = collective_create(run, OPERATION_MOVE);
    c->origin.source = receive_from(run, c);
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    MPI_Sendrecv(c->input, (int)c->count, type, send_to(run, c), 0, c->output, (int)c->count, type,
                 receive_from(run, c), 0, c->group, MPI_STATUS_IGNORE);
}

static const struct variant variants[] = {
    MPI_VARIANT(mpi_decline_move),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "send_recv",
    .question = "What do neighbours get from the links when every rank sends and receives at once?",
    .decline = decline,
    .covers = covers,
    .check = collective_check,
};
