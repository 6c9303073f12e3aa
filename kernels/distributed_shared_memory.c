/* distributed_shared_memory: what does the shared memory of a cluster's other blocks give?

   Hopper's thread blocks can be launched in clusters of up to 16 whose blocks address one another's shared memory,
   multiprocessor to multiprocessor. After arXiv 2501.12084, which found 180 to 213 clocks and 3.28 TB/s at size 2.

   latency    pattern one: one thread of block `rank` walks dependent loads through the memory of block `target`.
              latency_clocks; all ranks and targets make the matrix. target = rank is the own memory by the same
              instruction.
   read       every multiprocessor (as many as clusters fit) reads the memory of a partner, 16 bytes a thread: pattern
              local (its own), pair (rank xor 1), ring (rank + 1), broadcast (all read rank 0's)
   write      the same the other way; broadcast: all write the same to rank 0

   Bytes: what all blocks read or write. FLOPs: none. Limit of local: 128 B a clock and multiprocessor, as it is the own
   memory; of the others none is known. Time is taken inside the kernel.
   Check: the walk's last node; each block's sum of all that it read, or, after a cluster barrier and weighted by place,
   of all that was written to it, exactly.
 * needs: cuda
 */
#include "kernels/distributed_shared_memory.h"

static const char *decline(const struct run *run) {
    int64_t cluster = run->value[AXIS_CLUSTER];
    if ((cluster & (cluster - 1)) != 0) return "clusters are of 1, 2, 4, 8 or 16 blocks";
    if (run->value[AXIS_RANK] >= cluster || run->value[AXIS_TARGET] >= cluster) return "the cluster has no such rank";
    if (run->value[AXIS_PATTERN] == PATTERN_PAIR && cluster < 2) return "a pair is two blocks";
    return NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void setup(struct run *run) {
    run->state = bench_alloc(run, sizeof(struct cluster_state));
}

/* The sum that block `block` must have. */
static uint32_t expected_sum(const struct run *run, const struct cluster_state *state, uint32_t block) {
    uint32_t size = (uint32_t)run->value[AXIS_CLUSTER], rank = block % size, sum = 0;
    enum pattern pattern = (enum pattern)run->value[AXIS_PATTERN];
    uint32_t owner = state->written ? rank : partner(pattern, rank, size);
    if (state->written && pattern == PATTERN_BROADCAST && rank != 0) return 0; /* nobody wrote there */
    for (uint32_t i = 0; i < TILE_WORDS; i++)
        sum += tile_word(run->seed, run->zeros, owner, i) * (state->written ? 2 * i + 1 : 1);
    return sum;
}

static void check(struct run *run, struct verdict *verdict) {
    const struct cluster_state *state = run->state;
    verdict->error = verdict->tolerance = 0;
    if (run->value[AXIS_PATTERN] == PATTERN_ONE) {
        uint32_t node = 0;
        for (int step = 0; step < WALK_STEPS; step++) node = next_node(node);
        verdict->error = state->sums[0] != node;
        return;
    }
    for (uint32_t rank = 0; rank < (uint32_t)run->value[AXIS_CLUSTER]; rank++) {
        uint32_t sum = expected_sum(run, state, rank) * (state->written ? 1 : TILE_ROUNDS);
        for (uint32_t block = rank; block < state->blocks; block += (uint32_t)run->value[AXIS_CLUSTER])
            verdict->error += state->sums[block] != sum;
    }
}

static const char *const patterns[] = {[PATTERN_ONE] = "one",   [PATTERN_LOCAL] = "local",
                                       [PATTERN_PAIR] = "pair", [PATTERN_RING] = "ring",
                                       [PATTERN_BROADCAST] = "broadcast", [PATTERN_COUNT] = NULL};

static const struct axis axes[] = {
    [AXIS_CLUSTER] = {.name = "cluster", .help = "blocks of a cluster", .kind = AXIS_INTEGER,
                      .host = {"2", "2:16:2", "1:16:2"}, .minimum = 1, .maximum = CLUSTER_MAX},
    [AXIS_PATTERN] = {.name = "pattern", .help = "who uses whose memory", .kind = AXIS_WORD, .words = patterns,
                      .host = {"one,ring", "all", "all"}},
    [AXIS_RANK] = {.name = "rank", .help = "of the block that walks (pattern one; else 0)", .kind = AXIS_INTEGER,
                   .host = {"0", "0", "0:15:+1"}, .minimum = 0, .maximum = CLUSTER_MAX - 1},
    [AXIS_TARGET] = {.name = "target", .help = "rank of the block whose memory it walks through (pattern one; else 0)",
                     .kind = AXIS_INTEGER, .host = {"0,1", "0:15:+1", "0:15:+1"}, .minimum = 0,
                     .maximum = CLUSTER_MAX - 1},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "distributed_shared_memory",
                            .question = "What does the shared memory of a cluster's other blocks give?", .axes = axes,
                            .variants = variants, .decline = decline, .covers = covers, .setup = setup,
                            .check = check};
