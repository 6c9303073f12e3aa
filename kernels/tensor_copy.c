/* tensor_copy: how fast are copies to shared memory: by the copy engine, in bulk and in boxes, and by threads?

   tensor  cp.async.bulk.tensor (TMA): a box of `box` bytes of an array of `rank` dimensions
   bulk    cp.async.bulk: as many bytes in a row, no tensor map
   async   cp.async: threads ask for 16 bytes each and do not wait
   load    ordinary loads of 16 bytes, to registers

   Each as itself, the throughput: `blocks` of 256 threads on every multiprocessor, each with as many boxes under way as
   fit its share of the shared memory, at most 16 (of small boxes 16 groups of 8 KiB), over an array of `bytes`, and
   each word of each box added up; and as .._latency: one block, one box at a time from L2, from the request to the end
   of the wait, with the some ten clocks that two readings of the clock take. After arXiv 2501.12084.

   Bytes: what is copied. FLOPs: none. Limit: memory, of arrays of four times the L2 at least.
   Check: the sum of all words copied; the array holds multiples of a random odd number, so that every word counts.

   NOTES. A box has at most 256 elements in a dimension: 1 KiB is the largest of one dimension in 4-byte words.
 * needs: cuda
 */
#include "kernels/tensor_copy.h"

static bool power_of_two(int64_t value) {
    return (value & (value - 1)) == 0;
}

static const char *decline(const struct run *run) {
    if (!power_of_two(run->value[AXIS_BOX]) || !power_of_two(run->value[AXIS_BYTES]))
        return "boxes and arrays are of powers of two";
    return run->value[AXIS_BYTES] < 2 * run->value[AXIS_BOX] ? "the array is no larger than a box" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void setup(struct run *run) {
    struct copy_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    state->factor = linear_factor(run);
}

static void check(struct run *run, struct verdict *verdict) {
    const struct copy_state *state = run->state;
    verdict->error = state->sum == state->expected ? 0 : 1;
    verdict->tolerance = 0;
}

static const struct axis axes[] = {
    [AXIS_RANK] = {.name = "rank", .help = "dimensions of the array (tensor; else 1)", .kind = AXIS_INTEGER,
                   .host = {"1,3", "1:5:+1", "1:5:+1"}, .minimum = 1, .maximum = COPY_RANKS_MOST},
    [AXIS_BOX] = {.name = "box", .help = "bytes of one copy", .kind = AXIS_INTEGER,
                  .host = {"1k,8k", "512,2k,8k,32k", "512:32k:2"}, .minimum = BOX_LEAST, .maximum = BOX_MOST},
    [AXIS_BLOCKS] = {.name = "blocks", .help = "blocks on a multiprocessor (latency: 1)", .kind = AXIS_INTEGER,
                     .host = {"1", "1,2", "1,2,4"}, .minimum = 1, .maximum = 6},
    [AXIS_BYTES] = {.name = "bytes", .help = "of the array (latency: 1m)", .kind = AXIS_INTEGER,
                    .host = {"1m,64m", "1m,256m", "1m,16m,256m,1g"}, .minimum = LATENCY_BYTES,
                    .maximum = INT64_C(1) << 33},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "tensor_copy",
                            .question = "How fast are copies to shared memory, by the copy engine and by threads?",
                            .axes = axes, .variants = variants, .decline = decline, .covers = covers, .setup = setup,
                            .check = check};
