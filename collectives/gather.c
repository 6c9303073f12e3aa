/* gather: the root ends with the shares of all ranks, one behind the other.

   Question: what does it cost to collect on one rank what is spread over all? Checkpoints written by one rank, samples,
   and the last layer's outputs go this way.

   S       the collected array, the larger side: a rank puts in S/n and the root gets S.
   Bytes   the root reads its share and writes S: S + S/n.
   Rates   algorithm bandwidth S/t; bus bandwidth S/t * (n-1)/n, all that the root does not have already
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  straight to the root a + (n-1)/n S B or, with a start-up for each sender, (n-1) a + (n-1)/n S B; binomial
           tree log2(n) a + (n-1)/n S B, with latency a and time per byte B: the root's link is the bottleneck.
   Follows nccl-tests' gather_perf: size is the larger side, both placements, exact verification.
   Reference: block b of the result is rank b's share, recomputed element by element (collectives/lib/pattern.h) at the
           root, tolerance 0. The other ranks have no output.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   In place concerns the root alone: its share already lies where it belongs.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    COLLECTIVE_AXIS_IN_PLACE_FEW,
    COLLECTIVE_AXIS_ROOT,
    {.name = NULL},
};

static void describe(const struct run *run, struct work *work) { collective_describe_share(run, work, BUS_ROOT); }

static void setup(struct run *run) {
    struct collective *c = collective_create(run, OPERATION_MOVE);
    bool root = c->rank == run->value[COLLECTIVE_ROOT];
    c->input_count = c->share;
    c->output_count = root ? c->share * (size_t)c->ranks : 0;
    c->shared_offset = root ? (size_t)c->rank * c->share : 0;
    c->origin = (struct origin){.source = 0, .block = c->share}; /* block b comes from rank b */
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    int root = (int)run->value[COLLECTIVE_ROOT];
    MPI_Gather(c->in_place && c->rank == root ? MPI_IN_PLACE : c->input, (int)c->share, type, c->output, (int)c->share,
               type, root, c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(mpi_decline_move),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "gather",
    .question = "What does collecting the shares of all ranks on one of them cost, and how much of its link is used?",
    .decline = collective_decline_root_share,
    .covers = collective_covers_root_share,
    .check = collective_check,
};
