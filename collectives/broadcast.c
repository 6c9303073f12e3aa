/* broadcast: every rank ends with the root's array.

   Question: what does it cost to give one rank's data to all? Weights at the start of a job and after a restart go this
   way, and the tokens that one rank has sampled or read.

   Bytes   the root reads S, every other rank writes S: S on each.
   Rates   algorithm bandwidth S/t; bus bandwidth the same, because some link carries all of S
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  binomial tree log2(n)(a + S B); chain in pieces about S B + n a; scatter and all-gather
           (log2(n) + n - 1) a + 2(n-1)/n S B, with latency a and time per byte B (Thakur, Rabenseifner, Gropp, IJHPCA
           2005).
   Follows nccl-tests' broadcast_perf: a root, both placements, exact verification.
   Reference: the root's array recomputed element by element (collectives/lib/pattern.h), every element on every rank,
           tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes. A switch that multiplies messages does not change the limit: a rank
           still receives all of S.

   NOTES
   MPI_Bcast has one buffer, so it is always in place. NCCL's has two, and out of place the root copies S to its own
   output as well.
   MPI lets the root leave as soon as its data is on the way; the maximum over ranks is what the last receiver sees.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    {.name = "in_place", .help = "whether the root's input is its output", .kind = AXIS_WORD, .words = in_place_names,
     .host = {"in_place", "in_place", "in_place"}, .device = {"out_of_place", "out_of_place", "all"}},
    COLLECTIVE_AXIS_ROOT,
    {.name = NULL},
};

static void describe(const struct run *run, struct work *work) {
    collective_describe(run, work, BUS_WHOLE);
    work->bytes /= 2;
}

static void setup(struct run *run) {
    struct collective *c = collective_create(run, OPERATION_MOVE);
    int root = (int)run->value[COLLECTIVE_ROOT];
    if (c->rank != root) c->input_count = 0;
    c->origin.source = root;
}

static const char *decline_mpi(const struct run *run) {
    return run->value[COLLECTIVE_IN_PLACE] == 1 ? mpi_decline_move(run) : "MPI_Bcast has one buffer: always in place";
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Bcast(c->output, (int)c->count, mpi_moved_type(c->pattern.dtype), (int)run->value[COLLECTIVE_ROOT], c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(decline_mpi),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "broadcast",
    .question = "What does giving one rank's array to all ranks cost, and how much of the links does it use?",
    .decline = collective_decline_root,
    .covers = collective_covers_root,
    .check = collective_check,
};
