/* occupancy: how many warps and loads in flight does a device's memory need?

   `warps` warps on every multiprocessor, each thread with `loads` loads of 16 bytes under way, go through an array of
   `bytes` once. By Little's law bandwidth = bytes in flight / latency until the memory is the limit: warps x 32 x loads
   x 16 bytes a multiprocessor; what saturates is where the curve over warps bends, and more loads a thread bring that
   point to fewer warps. After Volkov (2010), "Better performance at lower occupancy".

   Bytes: read. FLOPs: none. Limit: the memory's bandwidth, of arrays of four times the L2 at least. Time is taken
   inside the kernel. Check: the sum of all words (lib/linear_data.h), exactly.
 * needs: cuda
 */
#include "kernels/occupancy.h"

static const char *decline(const struct run *run) {
    int64_t warps = run->value[AXIS_WARPS], loads = run->value[AXIS_LOADS];
    if ((warps & (warps - 1)) != 0 || (loads & (loads - 1)) != 0) return "warps and loads are powers of two";
    return run->value[AXIS_BYTES] % (16 * 32 * LOADS_MOST) != 0 ? "bytes are a multiple of 4096" : NULL;
}

static void setup(struct run *run) {
    struct occupancy_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    state->factor = linear_factor(run);
}

static void check(struct run *run, struct verdict *verdict) {
    const struct occupancy_state *state = run->state;
    uint64_t expected = linear_sum(state->factor, (uint64_t)run->value[AXIS_BYTES] / sizeof(uint64_t), 1);
    verdict->error = state->sum == expected ? 0 : 1;
    verdict->tolerance = 0;
}

static const struct axis axes[] = {
    [AXIS_BYTES] = {.name = "bytes", .help = "of the array", .kind = AXIS_INTEGER, .host = {"64m", "512m", "32m,2g"},
                    .minimum = 4096, .maximum = INT64_C(1) << 36},
    [AXIS_WARPS] = {.name = "warps", .help = "on a multiprocessor", .kind = AXIS_INTEGER,
                    .host = {"1,32", "1:64:2", "1:64:2"}, .minimum = 1, .maximum = WARPS_MOST},
    [AXIS_LOADS] = {.name = "loads", .help = "of 16 bytes that a thread has under way", .kind = AXIS_INTEGER,
                    .host = {"1,8", "1:8:2", "1:8:2"}, .minimum = 1, .maximum = LOADS_MOST},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "occupancy",
                            .question = "How many warps and loads in flight does a device's memory need?", .axes = axes,
                            .variants = variants, .decline = decline, .setup = setup, .check = check};
