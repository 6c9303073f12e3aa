/* reduce: the root ends with the element-wise sum (product, minimum, maximum, average) of all ranks' arrays.

   Question: what does it cost to add up all ranks' arrays on one of them? Losses and metrics go this way, and gradients
   where one rank owns each bucket (ZeRO-2 as first published).

   Bytes   every rank reads S, the root writes S: 2 S at the root. Additions of all ranks: (n-1) S/b, each rank's share
           1/n.
   Rates   algorithm bandwidth S/t; bus bandwidth the same, because some link carries all of S
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  binomial tree log2(n)(a + S B); chain in pieces about S B + n a; Rabenseifner 2 log2(n) a + 2(n-1)/n S B,
           with latency a and time per byte B (Thakur, Rabenseifner, Gropp, IJHPCA 2005).
   Follows nccl-tests' reduce_perf: a root, both placements, exact verification.
   Reference: collectives/lib/pattern.h recomputes each element of the sum from (seed, rank, element) alone; every
           element at the root is compared, with tolerance 0. The other ranks have no output.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes.

   NOTES
   In place concerns the root alone. As in all_reduce, repeated calls in place go on from the last result; only the
   checked one starts from fresh data.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

enum { AXIS_OPERATION = COLLECTIVE_ROOT + 1 };

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    COLLECTIVE_AXIS_IN_PLACE_FEW,
    COLLECTIVE_AXIS_ROOT,
    COLLECTIVE_AXIS_OPERATION,
    {.name = NULL},
};

static enum operation operation_of(const struct run *run) { return (enum operation)run->value[AXIS_OPERATION]; }

static void describe(const struct run *run, struct work *work) {
    collective_describe(run, work, BUS_WHOLE);
    work->flops = collective_additions(run);
}

static void setup(struct run *run) {
    struct collective *c = collective_create(run, operation_of(run));
    if (c->rank != run->value[COLLECTIVE_ROOT]) c->output_count = 0;
}

static const char *decline_mpi(const struct run *run) { return mpi_decline(run, operation_of(run)); }

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    int root = (int)run->value[COLLECTIVE_ROOT];
    MPI_Reduce(c->in_place && c->rank == root ? MPI_IN_PLACE : c->input, c->output, (int)c->count,
               mpi_type(c->pattern.dtype), mpi_operation(c->pattern.operation), root, c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(decline_mpi),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "reduce",
    .question = "What does adding up all ranks' arrays on one of them cost, and how much of the links does it use?",
    .decline = collective_decline_root,
    .covers = collective_covers_root,
    .check = collective_check,
};
