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
   - A limit from the clock of one idle core is wrong for a busy machine, hence the clock of each thread. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "bench/counters.h"
#include "bench/topology.h"
#include "kernels/fma_peak.h"

enum { REGISTER_MOST = 1024 }; /* bytes: of a tile; vectors have 64 */

/* Walks every chain of one thread for `rounds` rounds. constants: a, FIRST and SECOND as the kernel wants them, read
   from memory so that the compiler cannot know them. */
#define FOR_CHAINS(chains) _Pragma("GCC unroll 24") for (int i = 0; i < (chains); i++)
typedef void walk(const void *start, const void *constants, int rounds, void *out);

/* The kernels differ in STEP(x, a, b) alone. */
#define WALK_CHAINS(vector, chains, STEP)                                                                              \
    const vector *from = start, *constant = constants;                                                                 \
    vector chain[chains], a = constant[0], first = constant[1], second = constant[2], *to = out;                       \
    for (int i = 0; i < (chains); i++) chain[i] = from[i];                                                             \
    for (int round = 0; round < rounds; round++) {                                                                     \
        for (int pair = 0; pair < PAIRS; pair++) {                                                                     \
            FOR_CHAINS(chains) STEP(chain[i], a, first);                                                               \
            FOR_CHAINS(chains) STEP(chain[i], a, second);                                                              \
        }                                                                                                              \
        vector other = first;                                                                                          \
        first = second, second = other;                                                                                \
    }                                                                                                                  \
    for (int i = 0; i < (chains); i++) to[i] = chain[i]

#define MULTIPLY_ADD(x, a, b) x = x * a + b
#define DEFINE_WALK(name, scalar, bytes, chains, attributes)                                                           \
    typedef scalar name##_vector __attribute__((vector_size(bytes)));                                                  \
    attributes static void name(const void *start, const void *constants, int rounds, void *out) {                     \
        WALK_CHAINS(name##_vector, chains, MULTIPLY_ADD);                                                              \
    }

enum instructions {
#if defined(__x86_64__)
    SSE2, AVX2, AVX512, AVX512_FP16, AVX512_BF16, AVX512_VNNI, AMX,
#else
    VECTOR128,
#endif
    INSTRUCTIONS_COUNT
};

struct kernel {
    walk *walk;         /* NULL: these instructions have no such format */
    int chains, lanes;  /* accumulators of a register */
    int operations;     /* of a step and lane */
    enum dtype output;
};

#if defined(__x86_64__)
/* arch= takes back what -march=native allows, so that each function keeps to its own instructions. */
#define FOR_CPU(features) __attribute__((noinline, target(features)))
#if defined(__clang__)
#define AS_WRITTEN
#else
#define AS_WRITTEN __attribute__((optimize("no-schedule-insns2")))
#endif
DEFINE_WALK(sse2_fp64, double, 16, 13, AS_WRITTEN FOR_CPU("arch=x86-64"))
DEFINE_WALK(sse2_fp32, float, 16, 13, AS_WRITTEN FOR_CPU("arch=x86-64"))
DEFINE_WALK(avx2_fp64, double, 32, 12, FOR_CPU("arch=haswell"))
DEFINE_WALK(avx2_fp32, float, 32, 12, FOR_CPU("arch=haswell"))
DEFINE_WALK(avx512_fp64, double, 64, 24, FOR_CPU("arch=skylake-avx512"))
DEFINE_WALK(avx512_fp32, float, 64, 24, FOR_CPU("arch=skylake-avx512"))

#if defined(__FLT16_MANT_DIG__)
DEFINE_WALK(avx512_fp16, _Float16, 64, 24, FOR_CPU("arch=skylake-avx512,avx512fp16"))
#define AVX512_FP16_WALK avx512_fp16
#else
#define AVX512_FP16_WALK NULL
#endif

/* Dot products of neighbours, added to an accumulator of four bytes. */
typedef float vector_fp32 __attribute__((vector_size(64)));
typedef int32_t vector_int32 __attribute__((vector_size(64)));
#define DOT_BF16(x, a, b) x = (vector_fp32)_mm512_dpbf16_ps((__m512)x, (__m512bh)a, (__m512bh)b)
#define DOT_INT8(x, a, b) x = (vector_int32)_mm512_dpbusd_epi32((__m512i)x, (__m512i)a, (__m512i)b)
#define DEFINE_DOT_WALK(name, vector, STEP, features)                                                                  \
    FOR_CPU(features) static void name(const void *start, const void *constants, int rounds, void *out) {              \
        WALK_CHAINS(vector, 24, STEP);                                                                                 \
    }
DEFINE_DOT_WALK(avx512_bf16, vector_fp32, DOT_BF16, "avx512f,avx512bw,avx512bf16")
DEFINE_DOT_WALK(avx512_vnni, vector_int32, DOT_INT8, "avx512f,avx512bw,avx512vnni")

/* AMX: tiles of 16 rows of 64 bytes. Five of the eight are chains, D (16 x 16) += A B, with A, FIRST and SECOND in the
   others; the numbers of a tile are told by the register's number in the instruction, hence no arrays. */
enum { TILE_BYTES = 1024, TILE_ROW = 64, TILE_CHAINS = 5 };
struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
#define FOR_TILES(DO) DO(0) DO(1) DO(2) DO(3) DO(4)
#define TILE_LOAD(i) _tile_loadd(i, (const char *)start + (i) * TILE_BYTES, TILE_ROW);
#define TILE_STORE(i) _tile_stored(i, (char *)out + (i) * TILE_BYTES, TILE_ROW);
#define DEFINE_TILE_WALK(name, features, PRODUCT)                                                                      \
    FOR_CPU(features) static void name(const void *start, const void *constants, int rounds, void *out) {              \
        struct tile_configuration configuration = {.palette = 1};                                                      \
        for (int i = 0; i < 8; i++) configuration.row_bytes[i] = TILE_ROW, configuration.rows[i] = 16;                 \
        _tile_loadconfig(&configuration);                                                                              \
        FOR_TILES(TILE_LOAD)                                                                                           \
        _tile_loadd(5, constants, TILE_ROW);                                                                           \
        for (int round = 0; round < rounds; round++) {                                                                 \
            const char *first = (const char *)constants + (1 + round % 2) * TILE_BYTES;                                \
            const char *second = (const char *)constants + (2 - round % 2) * TILE_BYTES;                               \
            _tile_loadd(6, first, TILE_ROW);                                                                           \
            _tile_loadd(7, second, TILE_ROW);                                                                          \
            for (int pair = 0; pair < PAIRS; pair++) {                                                                 \
                PRODUCT(0, 6) PRODUCT(1, 6) PRODUCT(2, 6) PRODUCT(3, 6) PRODUCT(4, 6)                                  \
                PRODUCT(0, 7) PRODUCT(1, 7) PRODUCT(2, 7) PRODUCT(3, 7) PRODUCT(4, 7)                                  \
            }                                                                                                          \
        }                                                                                                              \
        FOR_TILES(TILE_STORE)                                                                                          \
        _tile_release();                                                                                               \
    }
#define TILE_BF16(d, b) _tile_dpbf16ps(d, 5, b);
#define TILE_INT8(d, b) _tile_dpbusd(d, 5, b);
DEFINE_TILE_WALK(amx_bf16, "amx-tile,amx-bf16", TILE_BF16)
DEFINE_TILE_WALK(amx_int8, "amx-tile,amx-int8", TILE_INT8)

/* The kernel gives a process its tiles when it is asked. */
static bool tiles_allowed(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* as in asm/prctl.h */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static const struct kernel kernels[INSTRUCTIONS_COUNT][DTYPE_COUNT] = {
    [SSE2] = {[DTYPE_fp64] = {sse2_fp64, 13, 2, 2, DTYPE_fp64}, [DTYPE_fp32] = {sse2_fp32, 13, 4, 2, DTYPE_fp32}},
    [AVX2] = {[DTYPE_fp64] = {avx2_fp64, 12, 4, 2, DTYPE_fp64}, [DTYPE_fp32] = {avx2_fp32, 12, 8, 2, DTYPE_fp32}},
    [AVX512] = {[DTYPE_fp64] = {avx512_fp64, 24, 8, 2, DTYPE_fp64},
                [DTYPE_fp32] = {avx512_fp32, 24, 16, 2, DTYPE_fp32}},
    [AVX512_FP16] = {[DTYPE_fp16] = {AVX512_FP16_WALK, 24, 32, 2, DTYPE_fp16}},
    [AVX512_BF16] = {[DTYPE_bf16] = {avx512_bf16, 24, 16, 4, DTYPE_fp32}},
    [AVX512_VNNI] = {[DTYPE_int8] = {avx512_vnni, 24, 16, 8, DTYPE_int32}},
    [AMX] = {[DTYPE_bf16] = {amx_bf16, TILE_CHAINS, 256, 64, DTYPE_fp32},
             [DTYPE_int8] = {amx_int8, TILE_CHAINS, 256, 128, DTYPE_int32}}};

static const char *missing(enum instructions instructions) {
    __builtin_cpu_init();
    switch (instructions) {
    case SSE2: return NULL; /* part of x86-64 */
    case AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "no AVX2 with FMA here";
    case AVX512: return __builtin_cpu_supports("avx512f") ? NULL : "no AVX-512 here";
    case AVX512_BF16: return __builtin_cpu_supports("avx512bf16") ? NULL : "no AVX512-BF16 here";
    case AVX512_VNNI: return __builtin_cpu_supports("avx512vnni") ? NULL : "no AVX512-VNNI here";
    case AVX512_FP16: return __builtin_cpu_supports("avx512fp16") ? NULL : "no AVX512-FP16 here";
    case AMX:
        if (!__builtin_cpu_supports("amx-bf16") || !__builtin_cpu_supports("amx-int8")) return "no AMX here";
        return tiles_allowed() ? NULL : "the system does not give out the tiles of AMX";
    default: return "unknown instructions";
    }
}

/* Steps of one register a clock, and how that is known. */
static double steps_per_clock(enum instructions instructions, const char **source) {
    if (instructions == AMX) {
        *source = "a tile product in 16 clocks x measured clock";
        return 1.0 / 16;
    }
    bool adders = instructions == SSE2 && __builtin_cpu_is("amd");
    *source = adders ? "2 multipliers + 2 adders x measured clock" : "2 ports x measured clock";
    return instructions == SSE2 && !adders ? 1 : 2;
}
#else
/* NEON and its like: 32 registers of 128 bits. */
DEFINE_WALK(vector128_fp64, double, 16, 24, __attribute__((noinline)))
DEFINE_WALK(vector128_fp32, float, 16, 24, __attribute__((noinline)))
static const struct kernel kernels[INSTRUCTIONS_COUNT][DTYPE_COUNT] = {
    [VECTOR128] = {[DTYPE_fp64] = {vector128_fp64, 24, 2, 2, DTYPE_fp64},
                   [DTYPE_fp32] = {vector128_fp32, 24, 4, 2, DTYPE_fp32}}};
static const char *missing(enum instructions instructions) {
    (void)instructions;
    return NULL;
}
static double steps_per_clock(enum instructions instructions, const char **source) {
    (void)instructions;
    *source = "2 ports x measured clock";
    return 2;
}
#endif

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
#endif
    [INSTRUCTIONS_COUNT] = {0}};

const struct bench bench = {.suite = "kernels", .name = "fma_peak",
                            .question = "What do the arithmetic units reach, in every instruction set and format?",
                            .axes = axes, .variants = variants, .describe = describe, .setup = setup, .check = check};
