/* all_gather: every rank ends with the shares of all ranks, one behind the other.

   Question: what does it cost to collect an array that is spread over the ranks? ZeRO-3 collects each layer's
   parameters before it computes, twice a step; sequence parallelism collects activations of batch * length * hidden * b
   bytes.

   S       the collected array, the larger side: a rank puts in S/n and gets S.
   Bytes   a rank reads its share and writes S: S + S/n.
   Rates   algorithm bandwidth S/t; bus bandwidth S/t * (n-1)/n, all that a rank does not have already
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  ring (n-1) a + (n-1)/n S B; recursive doubling log2(n) a + (n-1)/n S B, with latency a and time per byte B
           (Thakur, Rabenseifner, Gropp, IJHPCA 2005).
   Follows nccl-tests' all_gather_perf: size is the larger side, both placements, exact verification.
   Reference: block b of the result is rank b's share, recomputed element by element (collectives/lib/pattern.h) on
           every rank, tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   In place a rank's share already lies where it belongs in the result; the call then writes (n-1)/n S, which shows on
   devices, where the local copy costs memory bandwidth beside the links.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    COLLECTIVE_AXIS_IN_PLACE_FEW,
    {.name = NULL},
};

static void describe(const struct run *run, struct work *work) { collective_describe_share(run, work, BUS_SHARED); }

static void setup(struct run *run) {
    struct collective *c = collective_create(run, OPERATION_MOVE);
    c->input_count = c->share;
    c->output_count = c->share * (size_t)c->ranks;
    c->shared_offset = (size_t)c->rank * c->share;
    c->origin = (struct origin){.source = 0, .block = c->share}; /* block b comes from rank b */
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    MPI_Allgather(c->in_place ? MPI_IN_PLACE : c->input, (int)c->share, type, c->output, (int)c->share, type, c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(mpi_decline_move),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "all_gather",
    .question = "What does collecting the shares of all ranks on every rank cost, and how much of the links is used?",
    .decline = collective_decline_share,
    .covers = collective_covers_share,
    .check = collective_check,
};
