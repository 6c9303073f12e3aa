/* transfer: how fast do data go between the host's memory and a device's?

   One cudaMemcpyAsync a direction, pinned or pageable host memory, one way, the other, both at once (two streams), and
   within the device. After the vendor's bandwidthTest and nvbandwidth. `bytes` is what ONE direction moves. Bytes of a
   call: those, twice where both ways go at once, and twice within the device, where each is read and written.
   FLOPs: none. Time is the host's, from before the first call to after the wait for the last byte: what a program that
   waits for its data sees, so that small transfers show the cost of asking.

   Limit: the link's speed x width (PCI Express by NVML, one direction or both); within the device the memory's
   bandwidth, for what cannot hide in the L2. None where the link is not known. Packet headers are not taken off;
   published for generation 5 x 16 are 55 of 63 GB/s.
   Check: every word of eight bytes where it arrives, each against what the other side must have sent.

   NOTES
   - Pageable memory goes through the driver's own pinned buffer, and the call returns when that is done: one thread
     cannot have two such copies under way. That is why there is no pageable row of both ways.
   - The host's memory is touched by one core near the device, so that no link between sockets takes part.
 * needs: cuda
 */
#include "bench/device.h"
#include "bench/topology.h"
#include "kernels/transfer.h"

static const char *decline(const struct run *run) {
    int64_t direction = run->value[AXIS_DIRECTION];
    if (run->value[AXIS_BYTES] % (int64_t)sizeof(uint64_t) != 0) return "bytes is not a multiple of eight";
    if (run->value[AXIS_MEMORY] == MEMORY_PINNED) return NULL;
    if (direction == BOTH_WAYS) return "copies of pageable memory hold the calling thread: they cannot go at once";
    return direction == DEVICE_TO_DEVICE ? "no memory of the host takes part" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void describe(const struct run *run, struct work *work) {
    int64_t direction = run->value[AXIS_DIRECTION];
    bool twice = direction == BOTH_WAYS || direction == DEVICE_TO_DEVICE;
    work->bytes = (twice ? 2.0 : 1.0) * (double)run->value[AXIS_BYTES];
}

/* Host memory near the device, with words to send, or with none of those that should come. */
static uint64_t *host_memory(struct run *run, const struct transfer_state *state, bool sends) {
    uint64_t *word = bench_alloc(run, state->bytes);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < state->words; i++) {
        uint64_t sent = transfer_word(state->seed, state->zeros, STREAM_FROM_DEVICE, i);
        word[i] = sends ? transfer_word(state->seed, state->zeros, STREAM_FROM_HOST, i) : ~sent;
    }
    return word;
}

static void setup(struct run *run) {
    run->threads = 1; /* first touch by the core that waits */
    topology_bind_near(device_backend->pci_address());
    struct transfer_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    *state = (struct transfer_state){.direction = (enum direction)run->value[AXIS_DIRECTION],
                                     .memory = (enum memory)run->value[AXIS_MEMORY], .zeros = run->zeros,
                                     .seed = run->seed, .bytes = (size_t)run->value[AXIS_BYTES],
                                     .words = (size_t)run->value[AXIS_BYTES] / sizeof(uint64_t)};
    if (state->direction == HOST_TO_DEVICE || state->direction == BOTH_WAYS)
        state->host_from = host_memory(run, state, true);
    if (state->direction == DEVICE_TO_HOST || state->direction == BOTH_WAYS) {
        state->host_to = host_memory(run, state, false);
        bench_output(run, state->host_to, state->bytes, PLACE_HOST, false);
    }
}

/* The error is the number of wrong words. */
static void check(struct run *run, struct verdict *verdict) {
    const struct transfer_state *state = run->state;
    uint64_t wrong = state->device_wrong;
    if (state->host_to != NULL) {
#pragma omp parallel for schedule(static) reduction(+ : wrong)
        for (size_t i = 0; i < state->words; i++)
            wrong += state->host_to[i] != transfer_word(state->seed, state->zeros, STREAM_FROM_DEVICE, i);
    }
    verdict->error = (double)wrong;
    verdict->tolerance = 0;
}

static const char *const directions[] = {"host_to_device", "device_to_host", "both_ways", "device_to_device", NULL};
static const char *const memories[] = {"pinned", "pageable", NULL};

static const struct axis axes[] = {
    [AXIS_DIRECTION] = {.name = "direction", .help = "where from and where to", .kind = AXIS_WORD,
                        .words = directions, .host = {"all", "all", "all"}},
    [AXIS_MEMORY] = {.name = "memory", .help = "of the host: page-locked, or as malloc gives it", .kind = AXIS_WORD,
                     .words = memories, .host = {"all", "all", "all"}},
    [AXIS_BYTES] = {.name = "bytes", .help = "moved in one direction", .kind = AXIS_INTEGER,
                    .host = {"64k,16m", "64k,1m,16m,256m", "4k:4g:4"}, .minimum = 8,
                    .maximum = INT64_C(1) << 50},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "transfer",
                            .question = "How fast do data go between the host's memory and a device's?",
                            .axes = axes, .variants = variants, .decline = decline, .covers = covers,
                            .describe = describe, .setup = setup, .check = check};
