/* dpx: how fast are the dynamic-programming instructions?

   DPX: additions with a maximum or minimum, maxima of three, and such with a floor of zero (relu), on one 32-bit number
   or two of 16 bits: the inner step of Smith-Waterman, Floyd-Warshall and their like. On Hopper they are instructions;
   devices before it make each of several. All that CUDA has, 36 intrinsics; after arXiv 2402.13499 and 2501.12084,
   whose 15 are among them.

   latency     clocks from one to the next that needs its result, of one warp
   throughput  lanes_per_clock: of all warps that a multiprocessor holds

   A step is x = viaddmax(x, a, y), vimax3(x, y, a), vimax_relu(x, y), or, of vibmax, the larger (x, y) and its
   predicate folded in by an exclusive or. Limit of the rate: 128 lanes a clock and multiprocessor. Bytes, FLOPs: none.
   Check: lib/instruction_chain.h; each step against the same in plain arithmetic, exactly.

   NOTES. Published figures of 2 to 4 clocks come from compilers that folded steps. Here y is what x was a step before,
   and a is an argument. In Hopper's machine code each step is one instruction, VIADDMNMX, VIMNMX3 or VIMNMX, but of
   vibmax and vibmin, whose predicates cost comparisons and selections.
 * needs: cuda
 */
#include "bench/random.h"
#include "kernels/dpx.h"

static const struct {
    enum dpx_what what;
    int bits;
    bool is_signed, largest, relu;
} table[DPX_COUNT] = {
#define DPX_ROW(name, what, bits, is_signed, largest, relu) [DPX_##name] = {what, bits, is_signed, largest, relu},
    DPX_INSTRUCTIONS(DPX_ROW)
#undef DPX_ROW
};

/* Part `part` of a word. */
static int64_t part_of(int which, uint64_t word, int part) {
    int bits = table[which].bits;
    uint64_t value = word >> (part * bits) & ((UINT64_C(1) << bits) - 1);
    if (table[which].is_signed && value >> (bits - 1)) return (int64_t)value - (INT64_C(1) << bits);
    return (int64_t)value;
}

static int64_t better(int which, int64_t p, int64_t q) {
    return (p > q) == table[which].largest ? p : q;
}

/* One part of a step. Sums wrap. vibmax's predicate is that the first operand is at least as good. */
static int64_t step_part(int which, int part, uint64_t x, uint64_t y, uint64_t a, bool *first) {
    int64_t p = part_of(which, x, part), q = part_of(which, y, part), r = part_of(which, a, part), result;
    *first = table[which].largest ? p >= q : p <= q;
    if (table[which].what == DPX_ADD) result = better(which, part_of(which, (uint64_t)(p + r), 0), q);
    else if (table[which].what == DPX_THREE) result = better(which, better(which, p, q), r);
    else result = better(which, p, q);
    return table[which].relu && result < 0 ? 0 : result;
}

static double error_of(int which, uint64_t x, uint64_t y, uint64_t a, uint64_t b, uint64_t result) {
    uint64_t expected = 0, flips = 0;
    int bits = table[which].bits;
    for (int part = 0; part < 32 / bits; part++) {
        bool first;
        int64_t value = step_part(which, part, x, y, a, &first);
        expected |= ((uint64_t)value & ((UINT64_C(1) << bits) - 1)) << (part * bits);
        if (first) flips ^= part == 0 ? b & 0xffffffff : a & 0xffffffff;
    }
    if (table[which].what == DPX_WHICH) expected ^= flips;
    return expected == result ? 0 : 1;
}

static void setup(struct run *run) {
    struct instruction_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    for (uint64_t i = 0; i < 2 * CHAIN_LANES; i++)
        state->start[i] = run->zeros ? 0 : random_bits(run->seed, 1, i) & 0xffffffff;
    state->a = random_bits(run->seed, 2, 0) & 0xffffffff;
    state->b = random_bits(run->seed, 2, 1) & 0xffffffff;
}

static void check(struct run *run, struct verdict *verdict) {
    verdict->error = instruction_chain_error(run->state, (int)run->value[AXIS_INSTRUCTION], error_of);
    verdict->tolerance = 0;
}

static const char *const names[] = {
#define DPX_NAME(name, what, bits, is_signed, largest, relu) [DPX_##name] = #name,
    DPX_INSTRUCTIONS(DPX_NAME)
#undef DPX_NAME
    NULL};

static const struct axis axes[] = {
    [AXIS_INSTRUCTION] = {.name = "instruction", .help = "CUDA's intrinsic, without the two underscores",
                          .kind = AXIS_WORD, .words = names,
                          .host = {"viaddmax_s32,vimax3_s32,vibmax_s32", "all", "all"}},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "dpx",
                            .question = "How fast are the dynamic-programming instructions?", .axes = axes,
                            .variants = variants, .setup = setup, .check = check};
