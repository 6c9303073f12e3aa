/* fma_peak: what do the arithmetic units reach, in every instruction set and number format?

   Many independent chains of dependent multiply-adds x = a x + b, which live in registers; nothing is loaded. FLOPs of
   a call: 2 a multiply-add (4 a lane of vdpbf16ps, 8 operations a lane of vpdpbusd, which add up products of two and
   four neighbours; 64 and 128 an element of an AMX tile, whose dot products have 32 and 64 members). Bytes: none. After
   likwid's peakflops and Dolbeau's "Theoretical peak FLOPS per instruction set" (2018). Each host variant is compiled
   for its own instruction set and declines where the processor lacks it.

   Limit, host: ports x lanes x clock, the clock by dependent additions, by each thread of the team right after its
   work, while all are busy. Two ports for multiply-adds are assumed. A processor with half as many, or with 256-bit
   units behind 512-bit instructions (Zen 4), shows a share of 0.5. sse2 has no multiply-add: a product and a sum go
   through the same two ports, but through two ports each on AMD's, which have adders of their own.
   Limit, device: FLOP per clock and multiprocessor x multiprocessors x boost clock; in fp64 without the tensor cores.
   Check: every accumulator, exactly, against the same steps made one by one by scalars; the numbers are small integers,
   so that no format rounds them and mul + add gives what a multiply-add gives.

   NOTES
   - Chains: two ports of four clocks latency need 8. Sixteen registers hold 12 chains and what is common to them,
     thirty-two hold 24. A product and a sum of six clocks together on four ports need 12, and a few more to have a
     choice: all sixteen registers, 13 chains, and the order as written, because GCC's moves the products together.
   - The accumulators of vpdpbusd are vectors of int32_t and not __m512i: GCC copies those through the stack.
   - sve was tried in emulation at 128 and 256 bits, for results alone.
   - A limit from the clock of one idle core is wrong for a busy machine, hence the clock of each thread. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "bench/counters.h"
#include "bench/topology.h"
#include "kernels/fma_peak_walks.h"

static const struct variant variants[];

/* Only where run->variant is the table's own: not within the harness's timing. */
static enum instructions instructions_of(const struct run *run) {
    return (enum instructions)(run->variant - variants);
}

static const struct kernel *kernel_of(const struct run *run) {
    return &kernels[instructions_of(run)][bench_dtype(run)];
}

static bool covers_host(const struct run *run) {
    return kernel_of(run)->walk != NULL;
}

static const char *decline_host(const struct run *run) {
    return covers_host(run) ? missing(instructions_of(run)) : "these instructions have no multiply-add of this format";
}

static size_t accumulators(const struct kernel *kernel) {
    return (size_t)kernel->chains * (size_t)kernel->lanes;
}

static void walk_all(struct run *run) {
    const struct fma_state *state = run->state;
    size_t bytes = accumulators(state->kernel) * dtype_size(state->output);
#pragma omp parallel num_threads(state->team)
    {
        size_t offset = (size_t)omp_get_thread_num() * bytes;
        state->kernel->walk((const char *)state->start + offset, state->constants, state->rounds,
                            (char *)state->out + offset);
    }
}

/* Sum of the clocks of all threads of the team, each taken right after a walk. */
static double busy_clocks(struct run *run) {
    const struct fma_state *state = run->state;
    double clocks = 0;
    walk_all(run);
#pragma omp parallel num_threads(state->team) reduction(+ : clocks)
    clocks += counters_clock();
    return clocks;
}

/* Host variants. Those of a device report theirs themselves: they know its multiprocessors. */
static void describe(const struct run *run, struct work *work) {
    if (run->variant->place != PLACE_HOST) return;
    const struct kernel *kernel = kernel_of(run);
    work->flops = 2.0 * PAIRS * ROUNDS_HOST * (double)accumulators(kernel) * kernel->operations *
                  (double)run->value[AXIS_TEAM];
}

static void measure_host(struct run *run) {
    const struct kernel *kernel = kernel_of(run);
    enum metric metric = dtype_is_integer(bench_dtype(run)) ? METRIC_op_rate : METRIC_flop_rate;
    struct work work = {0};
    struct limit limit;
    double *seconds, clocks = busy_clocks(run);
    describe(run, &work);
    size_t count = bench_time_call(run, walk_all, run->budget, &seconds);
    clocks = fmax(clocks, busy_clocks(run));
    limit.value = clocks * steps_per_clock(instructions_of(run), &limit.source) * kernel->lanes * kernel->operations;
    bench_report_samples(run, metric, work.flops, seconds, count, limit);
    free(seconds);
}

/* Three registers: a, and what belongs to FIRST and to SECOND. The dot product of the first row with the second is
   -FIRST, with the third SECOND: such an accumulator goes up by one a pair too, in every round. */
static const int affine[3] = {-1, FIRST, SECOND};
static const int dot_bf16[3][2] = {{2, 3}, {3, -3}, {-1, 2}};
static const int dot_int8[3][4] = {{1, 2, 3, 4}, {1, -2, 4, -3}, {2, -1, 0, 1}};

/* Of a tile the dot products have 16 times as many members: the neighbours of `group` 0 as above, those of 1 to 14
   taking back what each other add, those of 15 zero. */
static int tile_sign(size_t group) {
    return group == 0 ? 1 : group == 15 ? 0 : group % 2 == 0 ? -1 : 1;
}

static double factor_at(const struct fma_state *state, enum dtype dtype, size_t which, size_t i) {
    size_t neighbours = 4 / dtype_size(dtype);
    bool tiles = state->kernel->lanes == 256;
    int value = dtype == DTYPE_bf16   ? dot_bf16[which][i % neighbours]
                : dtype == DTYPE_int8 ? dot_int8[which][i % neighbours]
                                      : affine[which];
    if (tiles && which > 0) value *= tile_sign(i * dtype_size(dtype) / 64); /* rows of B are groups of A's columns */
    return value;
}

static void make_constants(struct fma_state *state, enum dtype dtype) {
    bool tiles = state->kernel->lanes == 256;
    size_t factors = (size_t)(state->kernel->lanes * state->kernel->operations / 2);
    size_t bytes = tiles ? REGISTER_MOST : factors * dtype_size(dtype);
    for (size_t which = 0; which < 3; which++)
        for (size_t i = 0; i < bytes / dtype_size(dtype); i++)
            dtype_store(dtype, state->constants, which * bytes / dtype_size(dtype) + i,
                        factor_at(state, dtype, which, i));
}

static void setup_host(struct run *run) {
    struct fma_state *state = run->state;
    state->kernel = kernel_of(run);
    state->output = state->kernel->output;
    state->rounds = ROUNDS_HOST;
    state->team = (int)run->value[AXIS_TEAM];
    state->count = accumulators(state->kernel) * (size_t)state->team;
    run->threads = state->team;
    topology_bind_team(state->team);
    size_t bytes = state->count * dtype_size(state->output);
    state->start = bench_alloc(run, bytes);
    state->out = bench_alloc(run, bytes);
    state->constants = bench_alloc(run, 3 * REGISTER_MOST);
    bench_output(run, state->out, bytes, PLACE_HOST, false);
    make_constants(state, bench_dtype(run));
    for (size_t i = 0; i < state->count; i++)
        dtype_store(state->output, state->start, i, fma_start(state->seed, state->zeros, i));
}

static void setup(struct run *run) {
    struct fma_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    state->seed = run->seed;
    state->zeros = run->zeros;
    if (run->variant->place == PLACE_HOST) setup_host(run);
}

/* The walk by scalars, step by step; of dot products, which add and never turn, where `adds`. */
static double walk_slowly(double x, int rounds, bool adds) {
    for (int round = 0; round < rounds; round++)
        for (int step = 0; step < 2 * PAIRS; step++) {
            bool first = (round + step) % 2 == 0;
            if (adds) x += first ? -FIRST : SECOND;
            else x = (first ? FIRST : SECOND) - x;
        }
    return x;
}

static void check(struct run *run, struct verdict *verdict) {
    const struct fma_state *state = run->state;
    double end[STARTS];
    bool adds = state->output != bench_dtype(run);
    for (int start = 0; start < STARTS; start++) end[start] = walk_slowly(start, state->rounds, adds);
    verdict->error = verdict->tolerance = 0;
    for (size_t i = 0; i < state->count; i++) {
        double error = fabs(dtype_load(state->output, state->out, i) - end[fma_start(state->seed, state->zeros, i)]);
        verdict->error = error <= verdict->error ? verdict->error : isnan(error) ? INFINITY : error;
    }
}

static const char *const dtypes[] = {"fp64", "fp32", "bf16", "fp16", "int8", "int32", NULL};

static const struct axis axes[] = {
    [AXIS_DTYPE] = {.name = "dtype", .help = "type of the factors", .kind = AXIS_WORD, .words = dtypes,
                    .host = {"all", "all", "all"}},
    [AXIS_TEAM] = {.name = "team", .help = "threads of the host (1 where a device runs)", .kind = AXIS_INTEGER,
                   .host = {"1,max", "1,max", "powers"}, .device = {"1", "1", "1"}, .minimum = 1, .maximum = 65536,
                   .available = bench_threads_available},
    {0}};

#define HOST_VARIANT(word)                                                                                             \
    {.name = word, .backend = "openmp", .place = PLACE_HOST, .decline = decline_host, .covers = covers_host,           \
     .measure = measure_host}
static const struct variant variants[] = {
#if defined(__x86_64__)
    [SSE2] = HOST_VARIANT("sse2"),
    [AVX2] = HOST_VARIANT("avx2"),
    [AVX512] = HOST_VARIANT("avx512"),
    [AVX512_FP16] = HOST_VARIANT("avx512_fp16"),
    [AVX512_BF16] = HOST_VARIANT("avx512_bf16"),
    [AVX512_VNNI] = HOST_VARIANT("avx512_vnni"),
    [AMX] = HOST_VARIANT("amx"),
#else
    [VECTOR128] = HOST_VARIANT("vector128"),
    [SVE] = HOST_VARIANT("sve"),
#endif
    [INSTRUCTIONS_COUNT] = {0}};

const struct bench bench = {.suite = "kernels", .name = "fma_peak",
                            .question = "What do the arithmetic units reach, in every instruction set and format?",
                            .axes = axes, .variants = variants, .describe = describe, .setup = setup, .check = check};
