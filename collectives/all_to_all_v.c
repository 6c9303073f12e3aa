/* all_to_all_v: as all_to_all, but rank 0 is sent more than the others: the exchange of expert parallelism when one
   expert is popular.

   Question: what does imbalance cost an all-to-all? Dispatch and combine of a mixture of experts each send
   tokens * top_k * hidden * b bytes a rank, and routers do not spread tokens evenly.

   S       what one rank puts in; with a matrix, the rank that puts in most. With skew s percent, (100-s) % of it goes
           to all ranks in equal parts (rounded down to elements), the rest to rank 0 on top: rank 0 receives
           S (1 + s/100 (n-1)), the others S (1 - s/100).
           --file gives a matrix instead (collectives/lib/size_matrix.h), as routers of real models make it.
   Bytes   of the rank that reads and writes most together: with skew S + S (1 + s/100 (n-1)).
   Rates   algorithm bandwidth S/t; bus bandwidth: what the busiest link of a rank carries in one direction, over t: the
           largest of what any rank sends to others or receives from others. With skew 0 it is
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

#include "bench/ranks.h"
#include "collectives/lib/mpi_calls.h"
#include "collectives/lib/size_matrix.h"

static const char *const sizes[] = {[SIZES_BY_SKEW] = "skew", [SIZES_BY_MATRIX] = "matrix", NULL};

static struct axis axes[] = {
    COLLECTIVE_AXIS_RANKS_FEW,
    COLLECTIVE_AXIS_PLACEMENT,
    COLLECTIVE_AXIS_BYTES_FEW,
    COLLECTIVE_AXIS_DTYPE,
    {.name = "skew", .help = "percent of each rank's data that goes to rank 0 beside an even spread of the rest",
     .kind = AXIS_INTEGER, .minimum = 0, .maximum = 100, .host = {"50", "50", "0,25,50,100"}},
    {.name = "sizes", .help = "who is sent how much: by --skew, or as the matrix of --file says", .kind = AXIS_WORD,
     .words = sizes, .host = {"skew", "skew", "skew"}},
    {.name = NULL},
};

static struct size_matrix matrix;

/* Who names a matrix means it. */
static bool read_file(const char *path, char *reason) {
    for (int preset = 0; preset < PRESET_COUNT; preset++) {
        axes[AXIS_SKEW].host[preset] = "0";
        axes[AXIS_SIZES].host[preset] = "matrix";
    }
    return size_matrix_read(path, &matrix, reason);
}

static const struct setting settings[] = {
    {.name = "file", .argument = "FILE",
     .help = "who sends how much to whom: a line a sender, a number a receiver; the busiest sender sends S",
     .set = read_file},
    {0},
};

static const char *decline(const struct run *run) {
    bool by_matrix = run->value[AXIS_SIZES] == SIZES_BY_MATRIX;
    if (by_matrix && matrix.ranks == 0) return "there is no matrix: --file gives one";
    if (by_matrix && run->value[AXIS_SKEW] != 0) return "a matrix says it all: no skew beside it";
    if (by_matrix && matrix.ranks != run->value[COLLECTIVE_RANKS])
        return "the matrix is for another number of ranks";
    return collective_decline(run);
}

/* Elements. With skew everybody sends the same to a rank: the even part, and to rank 0 what is left. */
static size_t elements(const struct run *run, int from, int to) {
    size_t total = collective_count(run), ranks = (size_t)run->value[COLLECTIVE_RANKS];
    if (run->value[AXIS_SIZES] == SIZES_BY_MATRIX) return size_matrix_elements(&matrix, total, from, to);
    size_t even = total * (size_t)(100 - run->value[AXIS_SKEW]) / (100 * ranks);
    return to == 0 ? total - (ranks - 1) * even : even;
}

static double larger(double a, double b) { return a > b ? a : b; }

static void describe(const struct run *run, struct work *work) {
    double element = (double)dtype_size(bench_dtype(run)), size = (double)collective_count(run) * element;
    double busiest = 0, most = 0;
    for (int rank = 0; rank < run->value[COLLECTIVE_RANKS]; rank++) {
        struct exchange_load load = exchange_load(run, elements, rank);
        busiest = larger(busiest, larger((double)load.sent, (double)load.received) - (double)load.own);
        most = larger(most, (double)load.sent + (double)load.received);
    }
    collective_describe_bytes(run, work, size, busiest * element, BUS_EXCHANGE);
    work->bytes = most * element;
}

static void setup(struct run *run) {
    double digests[4] = {(double)(uint32_t)matrix.digest, (double)(matrix.digest >> 32)};
    digests[2] = -digests[0], digests[3] = -digests[1];
    rank_backend->maximum(digests, ARRAY_LENGTH(digests));
    if (digests[0] != -digests[2] || digests[1] != -digests[3])
        bench_fail(run, "the ranks have read different matrices: --file names one on a file system that they share");
    collective_create(run, OPERATION_MOVE);
    exchanges_make(run, elements);
}

static const char *decline_mpi(const struct run *run) {
    for (int rank = 0; rank < run->value[COLLECTIVE_RANKS]; rank++) {
        struct exchange_load load = exchange_load(run, elements, rank);
        if (load.received > INT_MAX) return "a rank would receive more elements than MPI can count in an int";
    }
    return mpi_decline_move(run);
}

static void run_mpi(struct run *run) {
    const struct collective *c = run->state;
    if (c->group == MPI_COMM_NULL) return;
    MPI_Datatype type = mpi_moved_type(c->pattern.dtype);
    const struct exchange_counts *counts = exchange_counts();
    MPI_Alltoallv(c->input, counts->sent, counts->sent_at, type, c->output, counts->received, counts->received_at,
                  type, c->group);
}

/* Each sender's part by itself: they differ in length. */
static void check(struct run *run, struct verdict *verdict) {
    struct collective *c = run->state;
    size_t size = dtype_size(c->pattern.dtype);
    double error = c->error;
    for (int peer = 0; run->variant->place == PLACE_HOST && c->rank >= 0 && peer < c->ranks; peer++) {
        const struct exchange *e = &exchanges()[peer];
        const struct origin origin = {.source = peer, .block = e->received, .offset = e->source_at};
        if (e->received == 0) continue;
        error = larger(error, pattern_error(&c->pattern, &origin, (const char *)c->output + e->received_at * size,
                                            e->received, run->threads));
    }
    rank_backend->maximum(&error, 1);
    *verdict = (struct verdict){error, c->pattern.tolerance};
}

static const struct variant variants[] = {
    MPI_VARIANT(decline_mpi),
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "all_to_all_v",
    .question = "What does an uneven exchange between all ranks cost, as when one expert of a mixture is popular?",
    .decline = decline,
    .covers = collective_covers,
    .check = check,
    .settings = settings,
};
