/* all_reduce: every rank ends with the element-wise sum (product, minimum, maximum, average) of all ranks' arrays.

   Question: what does the all-reduce of one training or tensor-parallel step cost here, and how much of the links does
   it use? One message of S bytes a rank: tensor parallelism sends 2 a layer of batch * length * hidden * b bytes
   forward, data parallelism one of parameters * b a step.

   Bytes   a rank reads S and writes S: 2 S. Additions of all ranks: (n-1) S/b, of which each rank's share is 1/n.
   Rates   algorithm bandwidth S/t; bus bandwidth S/t * 2(n-1)/n, the rate every link of a ring carries
           (collectives/lib/bus_factor.h); time t of one call, the maximum over ranks of each iteration.
   Models  ring 2(n-1) a + 2(n-1)/n S B; Rabenseifner 2 log2(n) a + 2(n-1)/n S B; recursive doubling log2(n)(a + S B),
           with latency a and time per byte B (Thakur, Rabenseifner, Gropp, IJHPCA 2005).
   Follows nccl-tests' all_reduce_perf (sizes, bus bandwidth, both placements, exact verification), the OSU
           micro-benchmarks (the paired loop) and ReproMPI (maximum over ranks of each iteration, median).
   Reference: collectives/lib/pattern.h recomputes each element of the result from (seed, rank, element) alone; every
           element on every rank is compared, with tolerance 0.
   Limits  the link between ranks on one node (half the memory bandwidth on the host, once the buffers exceed the
           caches); no limit is known between nodes. A switch that adds up itself may exceed the bus bandwidth's limit.

   NOTES
   In place, repeated sums and products grow with every call until they stay at infinity (integers wrap), because
   nothing but zeros and infinities is unchanged by adding equal arrays. The checked call starts from fresh data; the
   timed ones do not. All ranks hold equal values after the first call, so no infinity meets its opposite and nothing
   becomes NaN or subnormal, and links and additions do not mind: seen on 2 ranks of an AMD EPYC at 2 MiB, in place,
   sum 82 us, minimum (which leaves the data as it is) 86, sum of zeros 84, each with 3 to 5 % noise. nccl-tests repeats
   its calls in place the same way.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

enum { AXIS_OPERATION = COLLECTIVE_AXES };

static const struct axis axes[] = {
    COLLECTIVE_AXIS_RANKS,
    COLLECTIVE_AXIS_PLACEMENT,
    COLLECTIVE_AXIS_BYTES,
    COLLECTIVE_AXIS_DTYPE,
    COLLECTIVE_AXIS_IN_PLACE,
    COLLECTIVE_AXIS_OPERATION,
    {.name = NULL},
};

static enum operation operation_of(const struct run *run) { return (enum operation)run->value[AXIS_OPERATION]; }

static void describe(const struct run *run, struct work *work) {
    work->flops = collective_additions(run);
    collective_describe(run, work, BUS_ALL_REDUCE);
}

static void setup(struct run *run) { collective_create(run, operation_of(run)); }

static const char *decline_mpi(const struct run *run) { return mpi_decline(run, operation_of(run)); }

static const char *decline_paired(const struct run *run) {
    if (run->value[COLLECTIVE_RANKS] == 1) return "one rank has no peer: the call is shorter than the clock resolves";
    if (run->value[COLLECTIVE_IN_PLACE] == 1) return "compared out of place only";
    return decline_mpi(run);
}

static bool covers_paired(const struct run *run) {
    return run->value[COLLECTIVE_RANKS] > 1 && run->value[COLLECTIVE_IN_PLACE] == 0 && collective_covers_some(run);
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Allreduce(c->in_place ? MPI_IN_PLACE : c->input, c->output, (int)c->count, mpi_type(c->pattern.dtype),
                  mpi_operation(c->pattern.operation), c->group);
}

static void measure_paired(struct run *run) { mpi_measure_paired(run, run_mpi); }

static const struct variant variants[] = {
    MPI_VARIANT(decline_mpi),
    {.name = "mpi_paired", .backend = "mpi", .place = PLACE_HOST, .decline = decline_paired, .setup = mpi_setup,
     .measure = measure_paired, .covers = covers_paired},
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "all_reduce",
    .question = "What does adding up an array over all ranks cost, and how much of the links does it use?",
    .decline = collective_decline,
    .covers = collective_covers,
    .check = collective_check,
};
