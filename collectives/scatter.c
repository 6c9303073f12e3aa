/* scatter: the root's array is cut into shares, and each rank ends with its own.

   Question: what does it cost to spread one rank's array over all? Batches that one rank reads or draws go this way.

   S       the root's array, the larger side: a rank gets S/n.
   Bytes   the root reads S and writes its share: S + S/n.
   Rates   algorithm bandwidth S/t; bus bandwidth S/t * (n-1)/n, all that does not stay at the root
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  straight from the root (n-1) a + (n-1)/n S B; binomial tree log2(n) a + (n-1)/n S B, with latency a and time
           per byte B: the root's link is the bottleneck.
   Follows nccl-tests' scatter_perf: size is the larger side, both placements, exact verification.
   Reference: each rank's share of the root's array recomputed element by element (collectives/lib/pattern.h) on every
           rank, tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   In place concerns the root alone: its share stays where it lies.
   MPI lets the root leave as soon as its data is on the way; the maximum over ranks is what the last receiver sees.
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
    int root = (int)run->value[COLLECTIVE_ROOT];
    size_t offset = (size_t)c->rank * c->share;
    c->input_count = c->rank == root ? c->share * (size_t)c->ranks : 0;
    c->output_count = c->share;
    c->shared_offset = c->rank == root ? offset : 0;
    c->origin = (struct origin){.source = root, .block = c->share, .offset = offset};
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    int root = (int)run->value[COLLECTIVE_ROOT];
    MPI_Scatter(c->input, (int)c->share, type, c->in_place && c->rank == root ? MPI_IN_PLACE : c->output,
                (int)c->share, type, root, c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(mpi_decline_move),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "scatter",
    .question = "What does spreading one rank's array over all ranks cost, and how much of its link does it use?",
    .decline = collective_decline_root_share,
    .covers = collective_covers_root_share,
    .check = collective_check,
};
