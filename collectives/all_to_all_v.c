/* all_to_all_v: as all_to_all, but rank 0 is sent more than the others: the exchange of expert parallelism when one
   expert is popular.

   Question: what does imbalance cost an all-to-all? Dispatch and combine of a mixture of experts each send
   tokens * top_k * hidden * b bytes a rank, and routers do not spread tokens evenly.

   S       what one rank puts in. With skew s percent, (100-s) % of it goes to all ranks in equal parts (rounded down to
           elements), the rest to rank 0 on top: rank 0 receives S (1 + s/100 (n-1)), the others S (1 - s/100).
   Bytes   a rank reads S; rank 0 writes the most: S + S (1 + s/100 (n-1)).
   Rates   algorithm bandwidth S/t; bus bandwidth: what the busiest link of a rank carries in one direction, over t: the
           larger of what a rank other than 0 sends away and what rank 0 receives from others. With skew 0 it is
           all_to_all's, S (n-1)/n. An exchange that nothing but that link holds back keeps its bus bandwidth as skew
           grows.
   Models  pairwise, (n-1) a + the busiest link's bytes B, with latency a and time per byte B.
   Follows nccl-tests' alltoallv_perf; the measure of imbalance is the busiest rank's load over the mean, as papers on
           expert parallelism state it: 1 + s/100 (n-1).
   Reference: block b of rank q's result is what rank b has for q, recomputed element by element
           (collectives/lib/pattern.h) on every rank, tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   Every rank has the same favourite. Skew that differs by sender loads links less than this does, so the figures here
   are the worse end.
 * needs: mpi
 */
#include "collectives/all_to_all_v.h"

#include <limits.h>

#include "collectives/lib/mpi_calls.h"

static const struct axis axes[] = {
    COLLECTIVE_AXIS_RANKS_FEW,
    COLLECTIVE_AXIS_PLACEMENT,
    COLLECTIVE_AXIS_BYTES_FEW,
    COLLECTIVE_AXIS_DTYPE,
    {.name = "skew", .help = "percent of each rank's data that goes to rank 0 beside an even spread of the rest",
     .kind = AXIS_INTEGER, .minimum = 0, .maximum = 100, .host = {"50", "50", "0,25,50,100"}},
    {.name = NULL},
};

/* What MPI wants: by rank, elements to send and where they begin, elements to receive and where they go. */
static int *table;

static double largest(double a, double b) { return a > b ? a : b; }

static void describe(const struct run *run, struct work *work) {
    int ranks = (int)run->value[COLLECTIVE_RANKS];
    double element = (double)dtype_size(bench_dtype(run)), size = (double)collective_count(run) * element;
    double hot = (double)part_for(run, 0).count * element;
    double even = ranks > 1 ? (double)part_for(run, 1).count * element : 0;
    collective_describe_bytes(run, work, size, largest(size - even, (ranks - 1) * hot), BUS_EXCHANGE);
    work->bytes = size + ranks * hot;
}

static void setup(struct run *run) {
    struct collective *c = collective_create(run, OPERATION_MOVE);
    struct part received = part_for(run, c->rank < 0 ? 0 : c->rank);
    c->output_count = received.count * (size_t)c->ranks;
    c->origin = (struct origin){.source = 0, .block = received.count, .offset = received.offset};
}

static void setup_mpi(struct run *run) {
    const struct collective *c = run->state;
    mpi_setup(run);
    table = bench_alloc(run, 4 * (size_t)c->ranks * sizeof *table);
    for (int peer = 0; peer < c->ranks; peer++) {
        struct part sent = part_for(run, peer);
        table[peer] = (int)sent.count;
        table[c->ranks + peer] = (int)sent.offset;
        table[2 * c->ranks + peer] = (int)c->origin.block;
        table[3 * c->ranks + peer] = (int)(c->origin.block * (size_t)peer);
    }
}

static const char *decline_mpi(const struct run *run) {
    size_t most = part_for(run, 0).count * (size_t)run->value[COLLECTIVE_RANKS];
    return most > INT_MAX ? "rank 0 would receive more elements than MPI can count in an int" : mpi_decline_move(run);
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    MPI_Alltoallv(c->input, table, table + c->ranks, type, c->output, table + 2 * c->ranks, table + 3 * c->ranks, type,
                  c->group);
}

static const struct variant variants[] = {
    {.name = "mpi", .backend = "mpi", .place = PLACE_HOST, .decline = decline_mpi, .setup = setup_mpi,
     .reset = mpi_reset, .run = run_mpi},
    {.name = NULL},
};

const struct bench bench = {
    .suite = "collectives",
    .name = "all_to_all_v",
    .question = "What does an uneven exchange between all ranks cost, as when one expert of a mixture is popular?",
    .axes = axes,
    .variants = variants,
    .decline = collective_decline,
    .covers = collective_covers,
    .describe = describe,
    .setup = setup,
    .check = collective_check,
    .ranks = true,
};
