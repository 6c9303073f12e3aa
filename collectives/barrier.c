/* barrier: no rank goes on before all have arrived.

   Question: what does waiting for everybody cost, and how far apart do ranks leave? Synchronized timings of all other
   programs here begin with a barrier, so its skew bounds what they can tell apart.

   Metrics call_time: of one call, the maximum over ranks of each iteration, all arriving together. skew (mpi_skew): the
           spread over ranks of the moment they leave, on one node, where all ranks read the same clock.
   Models  dissemination ceil(log2 n) a, with latency a (Hensgen, Finkel, Manber, IJPP 1988).
   Follows the OSU micro-benchmarks' osu_barrier; Hunold and Carpen-Amarie (ReproMPI, 2016) for stating the skew.
   Reference: the definition. One rank, drawn from the seed, comes late; each rank tells the others that it has arrived
           just before it enters, by remote memory access, and on leaving reads what all have told. Every rank must find
           all arrived. Where MPI has no remote access between these ranks (Open MPI 4.1 between nodes over plain TCP),
           the late one is later still, and everybody else must have been in the barrier for half of that.
           NCCL has no barrier: frameworks call an all-reduce of one element, whose sum is checked.

   NOTES
   With --pacing synchronized, the default, each call follows a barrier, so that all ranks arrive together within the
   skew; back_to_back is a plain loop of barriers.
   An MPI whose remote access needs the target's help makes progress inside the calls that all ranks make here.
 * needs: mpi
 */
#include <time.h>

#include "bench/ranks.h"
#include "collectives/lib/arrivals.h"
#include "collectives/lib/mpi_calls.h"

enum { AXIS_RANKS = COLLECTIVE_RANKS, SKEW_CALLS_MAX = 2000, SKEW_BATCH = 50 };

static const double lateness = 2e-3;      /* seconds; far above what a barrier takes */
static const double lateness_seen = 60e-3; /* the same where time is all there is to see it by: above a time slice */

static const struct axis axes[] = {
    COLLECTIVE_AXIS_RANKS,
    COLLECTIVE_AXIS_PLACEMENT,
    {.name = NULL},
};

static bool checking; /* the next call is the one that is checked */

static const char *decline(const struct run *run) {
    return run->value[AXIS_RANKS] > run->rank_count ? "more ranks than were launched" : NULL;
}

static const char *decline_skew(const struct run *run) {
    int ranks = (int)run->value[AXIS_RANKS];
    if (ranks == 1) return "one rank has no skew";
    return ranks_mpi_nodes(collective_set(run)) > 1 ? "ranks on several nodes do not read the same clock" : NULL;
}

static bool covers_skew(const struct run *run) { return run->value[AXIS_RANKS] > 1; }

static void describe(const struct run *run, struct work *work) {
    (void)run;
    bench_add_rate(work, METRIC_call_time, 1, (struct limit){0, NULL});
}

/* One element: what NCCL adds up. On the host, what a rank has read of all ranks. */
static void setup(struct run *run) {
    int ranks = (int)run->value[AXIS_RANKS];
    bool host = run->variant->place == PLACE_HOST;
    struct collective *c = collective_create_of(run, collective_set(run), host ? OPERATION_MOVE : OPERATION_SUM,
                                                DTYPE_int32, 1);
    if (host) c->output_count = (size_t)ranks;
}

static void setup_mpi(struct run *run) {
    const struct collective *c = run->state;
    mpi_setup(run);
    arrivals_open(c->group);
}

static void reset(struct run *run) {
    const struct collective *c = run->state;
    double all_told = 0;
    if (c->group == MPI_COMM_NULL) return;
    arrivals_tell(0);
    MPI_Allreduce(MPI_IN_PLACE, &all_told, 1, MPI_DOUBLE, MPI_MAX, c->group); /* no barrier, which is under test */
    checking = true;
}

/* The call that is checked: one rank is late, the others must wait for it. */
static void run_checked(const struct run *run, const struct collective *c) {
    double lag = arrivals_known() ? lateness : lateness_seen;
    const struct timespec pause = {.tv_nsec = (long)(lag * 1e9)};
    bool late = (uint64_t)c->rank == run->seed % (uint64_t)c->ranks;
    int *seen = c->output;
    checking = false;
    if (late) nanosleep(&pause, NULL);
    arrivals_tell(1);
    double begin = bench_seconds();
    MPI_Barrier(c->group);
    double waited = bench_seconds() - begin;
    if (arrivals_known()) arrivals_read(seen);
    else for (int peer = 0; peer < c->ranks; peer++) seen[peer] = late || waited > lag / 2;
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    if (checking) run_checked(run, c);
    else MPI_Barrier(c->group);
}

/* The moments of a batch of barriers, relative to one that all ranks take from rank 0; then their spread. */
static void measure_skew(struct run *run) {
    const struct collective *c = run->state;
    double *latest = bench_alloc(run, 2 * SKEW_CALLS_MAX * sizeof *latest), *earliest = latest + SKEW_CALLS_MAX;
    double begin = bench_seconds(), spent = 0;
    size_t count = 0;
    rank_backend->broadcast(&begin, sizeof begin);
    while (count + SKEW_BATCH <= SKEW_CALLS_MAX && spent < run->budget) {
        for (size_t i = count; i < count + SKEW_BATCH; i++) {
            if (c->group != MPI_COMM_NULL) MPI_Barrier(c->group);
            latest[i] = c->group != MPI_COMM_NULL ? bench_seconds() - begin : -HUGE_VAL;
            earliest[i] = c->group != MPI_COMM_NULL ? -latest[i] : -HUGE_VAL;
        }
        count += SKEW_BATCH;
        spent = bench_seconds() - begin;
        rank_backend->maximum(&spent, 1);
    }
    rank_backend->maximum(latest, count);
    rank_backend->maximum(earliest, count);
    for (size_t i = 0; i < count; i++) latest[i] += earliest[i];
    bench_report_samples(run, METRIC_skew, 1, latest, count, (struct limit){0, NULL});
    reset(run);
    run_mpi(run);
}

static void release_mpi(struct run *run) {
    (void)run;
    arrivals_close();
    checking = false;
}

static void check(struct run *run, struct verdict *verdict) {
    const struct collective *c = run->state;
    if (run->variant->place == PLACE_DEVICE) {
        collective_check(run, verdict);
        return;
    }
    const int *seen = c->output;
    double missing = 0;
    for (int peer = 0; seen != NULL && peer < c->ranks; peer++) missing += seen[peer] != 1;
    rank_backend->maximum(&missing, 1);
    *verdict = (struct verdict){missing, 0};
}

static const struct variant variants[] = {
    {.name = "mpi", .backend = "mpi", .place = PLACE_HOST, .setup = setup_mpi, .reset = reset, .run = run_mpi,
     .release = release_mpi, .staged = true},
    {.name = "mpi_skew", .backend = "mpi", .place = PLACE_HOST, .decline = decline_skew, .setup = setup_mpi,
     .measure = measure_skew, .release = release_mpi, .covers = covers_skew},
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "barrier",
    .question = "What does waiting for all ranks cost, and how far apart do they leave?",
    .decline = decline,
    .covers = collective_covers,
    .check = check,
};
