/* pairs: the links between every two ranks of the launch, one pair at a time.

   Question: is every link of this machine what it should be, and which one is not? Collectives are as fast as their
   slowest link, and say no more than that there is one.

   Patterns  one_way: first sends S to second, every ordered pair. both_ways: both send S at once. round_trip: first
           sends S, second answers with S.
   Bytes   one_way S, the others 2 S, over the link.
   Metrics bandwidth (one_way S/t, both_ways 2 S/t, both directions together); latency, half a round trip; slowness, the
           robust z-score of the pair's time among all pairs of the launch: (t - median) / max(1.4826 median absolute
           deviation, 1 % of the median). A pair above 3.5 is slow (Iglewicz and Hoaglin, How to Detect and Handle
           Outliers, 1993); links measured to within 1 % are no news below it, hence the floor. From six pairs on.
   Models  a + S B, with latency a and time per byte B.
   Follows the OSU micro-benchmarks' osu_bw, osu_bibw and osu_latency, and NVIDIA's nvbandwidth for the matrix.
   Reference: what the case's own pair has received is recomputed element by element (collectives/lib/pattern.h),
           tolerance 0.
   Limits  the link between ranks on one node, once for each direction (half the memory bandwidth on the host, once the
           buffers exceed the caches); between nodes the network's rate, where known.

   NOTES
   A z-score needs all pairs, and a case is one pair: the first case of a pattern and size times them all, the others
   find theirs. A launch of many ranks shortens the time of each pair so that the case keeps within half its time limit.
   One way, the receiver is the one that is late; time is the maximum over ranks, so it is the receiver's. Where an MPI
   buffers short messages the sender is long gone, which is why short messages go on a round trip.
   Both ways is less than twice one way on the host: there the two copies share the memory.
 * needs: mpi
 */
#include "collectives/pairs.h"

#include <limits.h>

#include "collectives/lib/mpi_calls.h"

enum { COMPARED_MIN = 6, ROUND_TRIP_BYTES = 4096 };

static const double SLOW = 3.5;

static const char *const patterns[] = {"one_way", "both_ways", "round_trip", NULL};

static const struct axis axes[] = {
    {.name = "first", .help = "one rank of the pair; one way, the sender", .kind = AXIS_INTEGER, .minimum = 0,
     .maximum = INT32_MAX, .host = {"0:max:+1", "0:max:+1", "0:max:+1"}, .available = collective_last_rank},
    {.name = "second", .help = "the other rank", .kind = AXIS_INTEGER, .minimum = 0, .maximum = INT32_MAX,
     .host = {"0:max:+1", "0:max:+1", "0:max:+1"}, .available = collective_last_rank},
    {.name = "bytes", .help = "message size S of one direction", .kind = AXIS_INTEGER,
     .host = {"8,1m", "8,16m", "8,64k,64m"}, .device = {"8,16m", "8,256m", "8,64k,1g"}},
    {.name = "pattern", .help = "who sends", .kind = AXIS_WORD, .words = patterns, .host = {"all", "all", "all"}},
    {.name = NULL},
};

/* Both ways and there and back, (a, b) is (b, a). */
static struct pair pair_of(const struct run *run) {
    int first = (int)run->value[AXIS_FIRST], second = (int)run->value[AXIS_SECOND];
    bool turn = run->value[AXIS_PATTERN] != PATTERN_ONE_WAY && first > second;
    return (struct pair){turn ? second : first, turn ? first : second};
}

static const char *decline(const struct run *run) {
    struct pair pair = pair_of(run);
    if (run->rank_count == 1) return "one rank has no pair";
    if (pair.first >= run->rank_count || pair.second >= run->rank_count) return "more ranks than were launched";
    if (pair.first == pair.second) return "a rank and itself are no pair";
    if (run->value[AXIS_BYTES] % (int64_t)sizeof(float) != 0) return "not a whole number of elements";
    return NULL;
}

static const char *decline_mpi(const struct run *run) {
    return run->value[AXIS_BYTES] / (int64_t)sizeof(float) > INT_MAX ? "more elements than MPI can count in an int"
                                                                     : NULL;
}

static bool covers(const struct run *run) {
    int64_t first = run->value[AXIS_FIRST], second = run->value[AXIS_SECOND], pattern = run->value[AXIS_PATTERN];
    if ((pattern == PATTERN_ROUND_TRIP) != (run->value[AXIS_BYTES] <= ROUND_TRIP_BYTES)) return false;
    if (collective_last_rank() == 0) return true; /* to say why there is nothing */
    return pattern == PATTERN_ONE_WAY ? first != second : first < second;
}

static double moved(const struct run *run) {
    return (run->value[AXIS_PATTERN] == PATTERN_ONE_WAY ? 1.0 : 2.0) * (double)run->value[AXIS_BYTES];
}

static void describe(const struct run *run, struct work *work) { work->bytes = moved(run); }

static void setup(struct run *run) {
    collective_create_of(run, (struct rank_set){run->rank_count, PLACEMENT_PACKED}, OPERATION_MOVE, DTYPE_fp32,
                         (size_t)run->value[AXIS_BYTES] / sizeof(float));
}

static struct limit limit_of(const struct run *run, struct pair pair) {
    bool one_node = ranks_mpi_node(pair.first) == ranks_mpi_node(pair.second);
    struct limit limit = one_node ? collective_node_limit(run, 2 * moved(run)) : limit_network_bandwidth(run);
    if (run->value[AXIS_PATTERN] == PATTERN_BOTH_WAYS) limit.value *= 2;
    return limit;
}

/* What the case's own pair, which has just moved its data, should hold. */
static void expect(const struct run *run, struct pair pair) {
    struct collective *c = run->state;
    bool answered = run->value[AXIS_PATTERN] != PATTERN_ONE_WAY;
    bool receives = c->rank == pair.second || (c->rank == pair.first && answered);
    if (!receives) c->output_count = 0;
    c->origin.source = c->rank == pair.second ? pair.first : pair.second;
}

void pairs_measure(struct run *run, void (*call)(struct run *run)) {
    struct pair pair = pair_of(run);
    const struct limit none = {0, NULL};
    run->variant->reset(run);
    const struct pair_times *times =
        pair_times(run, run->value[AXIS_BYTES], run->value[AXIS_PATTERN], run->value[AXIS_PATTERN] == PATTERN_ONE_WAY,
                   call, pair);
    if (run->value[AXIS_PATTERN] == PATTERN_ROUND_TRIP)
        bench_report_samples(run, METRIC_latency, 2, times->seconds, times->count, none);
    else
        bench_report_samples(run, METRIC_bandwidth, moved(run), times->seconds, times->count, limit_of(run, pair));
    if (times->pairs >= COMPARED_MIN) bench_report_plain(run, METRIC_slowness, times->slowness, none);
    if (times->pairs >= COMPARED_MIN && times->slowness > SLOW)
        bench_note(run, "slow: %.1f robust standard deviations behind the median pair", times->slowness);
    run->variant->reset(run);
    call(run);
    expect(run, pair);
}

static void exchange_mpi(struct run *run) {
    const struct collective *c = run->state;
    struct pair pair = pair_now();
    if (c->rank != pair.first && c->rank != pair.second) return;
    int count = (int)c->count, peer = c->rank == pair.first ? pair.second : pair.first;
    bool begins = c->rank == pair.first;
    if (run->value[AXIS_PATTERN] == PATTERN_BOTH_WAYS) {
        MPI_Sendrecv(c->input, count, MPI_FLOAT, peer, 0, c->output, count, MPI_FLOAT, peer, 0, c->group,
                     MPI_STATUS_IGNORE);
        return;
    }
    bool answered = run->value[AXIS_PATTERN] == PATTERN_ROUND_TRIP;
    if (begins) MPI_Send(c->input, count, MPI_FLOAT, peer, 0, c->group);
    if (!begins || answered) MPI_Recv(c->output, count, MPI_FLOAT, peer, 0, c->group, MPI_STATUS_IGNORE);
    if (!begins && answered) MPI_Send(c->input, count, MPI_FLOAT, peer, 0, c->group);
}

static void measure_mpi(struct run *run) { pairs_measure(run, exchange_mpi); }

static const struct variant variants[] = {
    {.name = "mpi", .backend = "mpi", .place = PLACE_HOST, .decline = decline_mpi, .setup = mpi_setup,
     .reset = mpi_reset, .measure = measure_mpi},
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "pairs",
    .question = "Is every link between two ranks what it should be, and which one is slow?",
    .decline = decline,
    .covers = covers,
    .check = collective_check,
};
