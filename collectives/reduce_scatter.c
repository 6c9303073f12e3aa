/* reduce_scatter: all ranks' arrays are added up element by element, and each rank ends with its share of the sum.

   Question: what does the first half of an all-reduce cost? ZeRO and FSDP reduce gradients so (parameters * b bytes a
   step), sequence parallelism the outputs of a layer's matrix products.

   S       the array that every rank puts in, the larger side: a rank gets S/n.
   Bytes   a rank reads S and writes its share: S + S/n. Additions of all ranks: (n-1) S/b, each rank's share 1/n.
   Rates   algorithm bandwidth S/t; bus bandwidth S/t * (n-1)/n (collectives/lib/bus_factor.h); time t of one call, the
           maximum over ranks of each iteration.
   Models  ring (n-1) a + (n-1)/n S B; recursive halving log2(n) a + (n-1)/n S B, with latency a and time per byte B
           (Thakur, Rabenseifner, Gropp, IJHPCA 2005).
   Follows nccl-tests' reduce_scatter_perf: size is the larger side, both placements, exact verification.
   Reference: collectives/lib/pattern.h recomputes each element of the sum from (seed, rank, element) alone; every
           element on every rank is compared, with tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); none is known between nodes. A switch that adds up itself may exceed the bus bandwidth's limit.

   NOTES
   In place means two things: NCCL leaves a rank's share where it lies in the input, MPI leaves it at the beginning of
   the input, whichever rank it is.
   As in all_reduce, repeated calls in place go on from the last result; only the checked one starts from fresh data.
 * needs: mpi
 */
#include <string.h>

#include "collectives/lib/mpi_calls.h"

enum { AXIS_OPERATION = COLLECTIVE_AXES };

static const struct axis axes[] = {
    COLLECTIVE_AXES_FEW,
    COLLECTIVE_AXIS_IN_PLACE_FEW,
    COLLECTIVE_AXIS_OPERATION,
    {.name = NULL},
};

static enum operation operation_of(const struct run *run) { return (enum operation)run->value[AXIS_OPERATION]; }

static void describe(const struct run *run, struct work *work) {
    collective_describe_share(run, work, BUS_SHARED);
    work->flops = collective_additions(run);
}

static void setup(struct run *run) {
    struct collective *c = collective_create(run, operation_of(run));
    size_t offset = (size_t)c->rank * c->share;
    c->input_count = c->share * (size_t)c->ranks;
    c->output_count = c->share;
    c->shared_offset = strcmp(run->variant->backend, "nccl") == 0 ? offset : 0;
    c->origin = (struct origin){.reduced = true, .block = c->share, .offset = offset};
}

/* Open MPI up to 4 adds up in the host's memory what is on a device, and in place it brings one share there, where the
   whole array is input: the sums are wrong, and it reads behind its copy (its pull request 13883). */
static const char *decline_mpi(const struct run *run) {
#if defined(OMPI_MAJOR_VERSION) && OMPI_MAJOR_VERSION < 5
    if (run->variant->place == PLACE_DEVICE && run->value[COLLECTIVE_IN_PLACE] == 1)
        return "Open MPI before 5 is wrong in place on device memory";
#endif
    return mpi_decline(run, operation_of(run));
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Reduce_scatter_block(c->in_place ? MPI_IN_PLACE : c->input, c->output, (int)c->share,
                             mpi_type(c->pattern.dtype), mpi_operation(c->pattern.operation), c->group);
}

static const struct variant variants[] = {
    MPI_VARIANT(decline_mpi),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "reduce_scatter",
    .question = "What does adding up an array over all ranks cost where each rank keeps its share of the sum?",
    .decline = collective_decline_share,
    .covers = collective_covers_share,
    .check = collective_check,
};
