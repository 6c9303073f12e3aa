/* all_to_all: every rank has a share for every rank; rank q ends with the q-th share of each, in the order of ranks.

   Question: what does the exchange of everything with everybody cost? Expert parallelism sends tokens to their experts
   and back so; context parallelism after Ulysses turns sequence shards into head shards, a rank's being batch *
   length / n * hidden * b bytes for each of Q, K, V and O.

   S       what one rank puts in, and what it gets: n shares of S/n.
   Bytes   a rank reads S and writes S: 2 S.
   Rates   algorithm bandwidth S/t; bus bandwidth S/t * (n-1)/n, since a rank's own share stays
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  pairwise (n-1) a + (n-1)/n S B; Bruck, for short messages, log2(n)(a + S/2 B), with latency a and time per
           byte B (Thakur, Rabenseifner, Gropp, IJHPCA 2005).
   Follows nccl-tests' alltoall_perf: exact verification.
   Reference: block b of rank q's result is share q of rank b, recomputed element by element (collectives/lib/pattern.h)
           on every rank, tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   MPI can work in place, at the price of buffering inside the library; NCCL cannot. Twice in place gives back the
   start, so repeated calls move changing data; only the checked one starts from fresh data.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    {.name = "in_place", .help = "whether input and output share memory", .kind = AXIS_WORD, .words = in_place_names,
     .host = {"out_of_place", "out_of_place", "all"}, .device = {"out_of_place", "out_of_place", "out_of_place"}},
    {.name = NULL},
};

static void describe(const struct run *run, struct work *work) { collective_describe(run, work, BUS_EXCHANGE); }

static void setup(struct run *run) {
    struct collective *c = collective_create(run, OPERATION_MOVE);
    c->input_count = c->share * (size_t)c->ranks;
    c->output_count = c->input_count;
    c->origin = (struct origin){.source = 0, .block = c->share, .offset = (size_t)c->rank * c->share};
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    MPI_Alltoall(c->in_place ? MPI_IN_PLACE : c->input, (int)c->share, type, c->output, (int)c->share, type, c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(mpi_decline_move),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "all_to_all",
    .question = "What does the exchange of equal shares between all ranks cost, and how much of the links does it use?",
    .decline = collective_decline_share,
    .covers = collective_covers_share,
    .check = collective_check,
};
