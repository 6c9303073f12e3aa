/* host_device: every rank copies between host memory and its device by the copy engine, all ranks at once.

   Question: how fast do data get on and off the devices, and do devices share the way? Input batches, weights,
   checkpoints, and optimizer state or activations kept on the host go this way. One rank alone has the whole of a
   link; ranks whose devices hang on one switch, or whose host memory is one memory, share it, and rates fall as ranks
   grow.

   Bytes   S read and S written by each rank, in both directions at once twice that.
   Rates   bandwidth of one rank, S/t or 2 S/t, of the slowest rank; times ranks, it is the node's. Time t of one call,
           the maximum over ranks of each iteration.
   Models  a + S B, with latency a and time per byte B.
   Follows NVIDIA's nvbandwidth (host_to_device_memcpy_ce and its relatives), whose sum over devices at once is ours
           times ranks.
   Reference: what has arrived, on the device or on the host, is recomputed element by element
           (collectives/lib/pattern.h) on every rank, tolerance 0.
   Limits  the link of one device to the host, PCIe generation and width; both ways twice that. What devices share above
           their slots is not known.

   NOTES
   Pinned memory is what the copy engine reads by itself. From pageable memory the driver copies through a pinned buffer
   of its own, so that the host's memory and one core do the work.
   The buffers lie near the core that the rank runs on, which the harness has put near its device.
   Pageable copies keep the host waiting and cannot be captured: with --cache hot calls are timed back to back instead.
 * needs: cuda mpi
 */
#include "collectives/host_device.h"

static const char *const directions[] = {"to_device", "to_host", "both_ways", NULL};
static const char *const memories[] = {"pinned", "pageable", NULL};

static const struct axis axes[] = {
    COLLECTIVE_AXIS_RANKS_FEW,
    COLLECTIVE_AXIS_PLACEMENT,
    {.name = "bytes", .help = "size S of one copy", .kind = AXIS_INTEGER,
     .host = {"64,16m", "64k,256m", "64:1g:4"}},
    {.name = "direction", .help = "where the data goes", .kind = AXIS_WORD, .words = directions,
     .host = {"all", "all", "all"}},
    {.name = "memory", .help = "kind of the host's memory", .kind = AXIS_WORD, .words = memories,
     .host = {"pinned", "pinned", "all"}},
    {.name = NULL},
};

static const char *decline(const struct run *run) {
    if (run->value[COLLECTIVE_RANKS] > run->rank_count) return "more ranks than were launched";
    return run->value[COLLECTIVE_BYTES] % (int64_t)sizeof(float) != 0 ? "not a whole number of elements" : NULL;
}

static void describe(const struct run *run, struct work *work) {
    const struct limit none = {0, NULL};
    struct limit link = limit_host_link_bandwidth(run);
    bool both = goes_to_device(run) && goes_to_host(run);
    double moved = (double)run->value[COLLECTIVE_BYTES] * (both ? 2 : 1);
    if (both && link.value > 0) link = (struct limit){2 * link.value, "PCIe speed x width, both ways"};
    work->bytes = 2 * moved;
    bench_add_rate(work, METRIC_bandwidth, moved, link);
    bench_add_rate(work, METRIC_call_time, 1, none);
}

static void setup(struct run *run) {
    collective_create_of(run, collective_set(run), OPERATION_MOVE, DTYPE_fp32,
                         (size_t)run->value[COLLECTIVE_BYTES] / sizeof(float));
}

static const struct variant variants[] = {
    {.name = NULL},
};

const struct bench bench = {
    COLLECTIVE_BENCH,
    .name = "host_device",
    .question = "How fast are copies between host and device, one rank alone and all ranks at once?",
    .decline = decline,
    .covers = collective_covers,
    .check = collective_check,
};
