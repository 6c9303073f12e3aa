/* fma_peak: what do the arithmetic units reach, in every instruction set and number format?

   Many independent chains of dependent multiply-adds x = a x + b, which live in registers; nothing is loaded. FLOPs of
   a call: 2 a multiply-add (4 a lane of vdpbf16ps, 8 operations a lane of vpdpbusd, which add up products of two and
   four neighbours; 64 and 128 an element of an AMX tile, whose dot products have 32 and 64 members). Bytes: none. After
   likwid's peakflops and Dolbeau's "Theoretical peak FLOPS per instruction set" (2018). Each host variant is compiled
   for its own instruction set and declines where the processor lacks it.

   Limit, host: ports x lanes x clock. The clock is that of each thread's core under the same load: after each walk come
   two short ones with dependent additions among the vectors, enough of them to set the pace; where they do not (a
   processor with fewer ports than assumed), additions alone. Two ports for multiply-adds are assumed. A processor with
   half as many, or with 256-bit units behind 512-bit instructions (Zen 4), shows a share of 0.5. sse2 has no
   multiply-add: a product and a sum go through two ports together, but through three on Intel's from Golden Cove on,
   and through two each on AMD's, which have adders of their own. Intel's vdpbf16ps takes two turns of one port.
   Limit, device: FLOP per clock and multiprocessor x multiprocessors x boost clock; in fp64 without the tensor cores.
   Check: every accumulator, exactly, against the same steps made one by one by scalars; the numbers are small integers,
   so that no format rounds them and mul + add gives what a multiply-add gives.

   NOTES
   - Chains: two ports of four clocks latency need 8. Sixteen registers hold 12 chains and what is common to them,
     thirty-two hold 24. A product and a sum of six clocks together on four ports need 12, and more to have a choice: 14
     in step, the sums seven products behind, show 0.997 on an EPYC of family 26; 13 in GCC's order 0.93.
   - The accumulators of vpdpbusd are vectors of int32_t and not __m512i: GCC copies those through the stack.
   - The clock belongs to the load and to the moment. On a Xeon of family 6 model 207 additions after the walk show 2.6
     to 2.9 GHz while the tiles work as if at 2.2, hence the additions among the products. For seconds at a time its
     tiles take twice as long, which no addition shows.
   - The median walk against the highest clock of a run gave avx512 0.94 on both machines. Each walk against its own
     clock gives 0.99 to 1.00 on the EPYC; on that Xeon, with other work on its cores (reports/gallery/h200/host), avx2
     0.98 and 1.00, avx512_fp16 0.99, avx512_vnni 0.98, but avx512 0.93, avx512_bf16 0.88, sse2 0.79 and 0.80, and amx
     0.73 in bf16 and 0.77 in int8.
   - A virtual machine may call the threads of a core cores, as that Xeon's does: all of them together then reach half
     of their limits, and the row's reason says what one of them reaches alone.
   - sve was tried in emulation at 128 and 256 bits, for results alone. */
#include <math.h>
#include <omp.h>
#include <time.h>

#include "bench/counters.h"
#include "bench/topology.h"
#include "kernels/fma_peak_walks.h"
#include "kernels/lib/own_samples.h"

enum { ROUNDS_PACED = 17 };
static const double warm_seconds = 0.02; /* until the clock is that of a core that does such work */

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

/* Additions a second that a walk makes, each of which needs the one before it. */
static double paced_rate(const struct fma_state *state, walk *kind, int additions, size_t offset) {
    double begin = bench_seconds();
    kind((const char *)state->start + offset, state->constants, ROUNDS_PACED, (char *)state->aside + offset);
    return (double)additions * PAIRS * ROUNDS_PACED / (bench_seconds() - begin);
}

/* The clock of the calling thread's core under the walk's own load, by additions among its instructions. They tell it
   as long as they, not the vectors, set the pace, which shows in a walk with more of them; else additions alone do. */
static double loaded_clock(const struct fma_state *state, size_t offset) {
    const struct kernel *kernel = state->kernel;
    if (kernel->paced != NULL) {
        double paced = paced_rate(state, kernel->paced, PACED(kernel->clocks), offset);
        double slow = paced_rate(state, kernel->slow, SLOW(kernel->clocks), offset);
        if (fabs(slow / paced - 1) < 0.02) return paced;
    }
    return counters_clock();
}

/* One sample: the team sets out together; seconds of the slowest walk, and in *clocks those that the cores of the team
   passed meanwhile, each with the clock found right after its own walk. Threads that share a core share its ports. */
static double sample(const struct fma_state *state, double *clocks) {
    size_t bytes = accumulators(state->kernel) * dtype_size(state->output);
    double longest = 0, sum = 0;
#pragma omp parallel num_threads(state->team) reduction(max : longest) reduction(+ : sum)
    {
        size_t offset = (size_t)omp_get_thread_num() * bytes;
#pragma omp barrier
        double begin = bench_seconds();
        state->kernel->walk((const char *)state->start + offset, state->constants, state->rounds,
                            (char *)state->out + offset);
        longest = bench_seconds() - begin;
        sum = loaded_clock(state, offset);
    }
    *clocks = longest * sum * fmin(1, (double)topology_cores() / state->team);
    return longest;
}

/* Steps that a thread can make in a walk's clocks over those that it makes, when it walks alone. */
static double share_alone(const struct fma_state *state, double steps_per_clock) {
    double steps = 2.0 * PAIRS * ROUNDS_HOST * state->kernel->chains, clocks = INFINITY;
    for (int piece = 0; piece < 5; piece++) {
        double begin = bench_seconds();
        state->kernel->walk(state->start, state->constants, ROUNDS_HOST, state->aside);
        double seconds = bench_seconds() - begin;
        clocks = fmin(clocks, seconds * loaded_clock(state, 0));
    }
    return steps / (clocks * steps_per_clock);
}

/* A virtual machine may give out the threads of one core as cores: no topology shows it, one thread alone does. */
static void tell_of_shared_cores(struct run *run, double share, double steps_per_clock) {
    const struct fma_state *state = run->state;
    const struct timespec until_the_team_sleeps = {.tv_nsec = 20000000};
    if (state->team == 1 || share > 0.75) return;
    nanosleep(&until_the_team_sleeps, NULL);
    double alone = share_alone(state, steps_per_clock);
    if (share < 0.75 * alone)
        bench_note(run, "alone, a thread reaches %.2f of its part of the limit; together they share cores, power, time",
                   alone);
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
    static double seconds[OWN_SAMPLES_MOST], clocks[OWN_SAMPLES_MOST];
    struct work work = {0};
    struct limit limit;
    size_t count = 0;
    describe(run, &work);
    for (double start = bench_seconds(); bench_seconds() - start < fmin(warm_seconds, 0.2 * run->budget);)
        sample(run->state, clocks);
    double start = bench_seconds();
    do {
        seconds[count] = sample(run->state, &clocks[count]);
        count++;
    } while (!own_samples_enough(run, seconds, count, start));
    double clock = statistics(clocks, count).median / statistics(seconds, count).median;
    double steps = steps_per_clock(instructions_of(run), &limit.source);
    limit.value = clock * steps * kernel->lanes * kernel->operations;
    tell_of_shared_cores(run, work.flops / statistics(seconds, count).median / limit.value, steps);
    bench_report_samples(run, metric, work.flops, seconds, count, limit);
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
    state->aside = bench_alloc(run, bytes);
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
