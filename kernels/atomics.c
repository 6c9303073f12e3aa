/* atomics: how many atomic updates of memory go through, by operation, type and crowding?

   Every thread updates one word after another; update u goes to word u % `targets`, a power of two: with 1 all meet in
   one word, with many nobody meets anybody and the lanes of a warp are side by side.
     global   words in device memory, which the L2 updates      shared   words of each block's own shared memory
     openmp   the same on the host, by all threads
   `result` used: the value before is asked for (an instruction that returns), discarded: it is not (a reduction).
   operation: add 1; max, exchange and compare (compare and swap, from 0) with a value made from the word's number.
   After arXiv 2402.13499. update_rate counts updates; lanes_per_clock the same in clocks of one multiprocessor.
   Bytes, FLOPs: none. Limit: none known. Device: time is taken inside the kernel.
   Check: every word at the end, exactly: sums stay below 2^24. Where values before are asked for, of add, also their
   sum.
 */
#include <math.h>

#include "kernels/atomics.h"

static enum dtype dtype_of(int64_t type) {
    return type == TYPE_INT32 ? DTYPE_int32 : type == TYPE_FP32 ? DTYPE_fp32 : DTYPE_fp64;
}

static const char *decline(const struct run *run) {
    int64_t targets = run->value[AXIS_TARGETS];
    bool floating = run->value[AXIS_DTYPE] >= TYPE_FP32;
    if (floating && run->value[AXIS_OPERATION] != OPERATION_ADD) return "floating-point words are added to only";
    return (targets & (targets - 1)) != 0 ? "targets are counted in powers of two" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void setup(struct run *run) {
    run->state = bench_alloc(run, sizeof(struct atomics_state));
}

static double word_at(const struct atomics_state *state, int64_t type, size_t index) {
    if (type == TYPE_INT64) return (double)((const int64_t *)state->words)[index];
    return dtype_load(dtype_of(type), state->words, index);
}

/* Updates of word `target`. */
static int64_t updates_of(const struct atomics_state *state, int64_t targets, int64_t target) {
    return (state->updates - target + targets - 1) / targets;
}

static void check(struct run *run, struct verdict *verdict) {
    const struct atomics_state *state = run->state;
    int64_t targets = run->value[AXIS_TARGETS], type = run->value[AXIS_DTYPE];
    bool add = run->value[AXIS_OPERATION] == OPERATION_ADD;
    uint64_t before = 0;
    verdict->error = verdict->tolerance = 0;
    for (int64_t copy = 0; copy < state->copies; copy++)
        for (int64_t target = 0; target < targets; target++) {
            int64_t count = updates_of(state, targets, target);
            double expected = add ? (double)count : count > 0 ? (double)target + 1 : 0;
            double error = fabs(word_at(state, type, (size_t)(copy * targets + target)) - expected);
            verdict->error = error <= verdict->error ? verdict->error : isnan(error) ? INFINITY : error;
            before += (uint64_t)count * (uint64_t)(count - 1) / 2;
        }
    if (add && run->value[AXIS_RESULT] == RESULT_USED && state->results != before) verdict->error = INFINITY;
}

/* Host: one copy; the timed calls go on from where the checked one ended. */
#define DEFINE_UPDATES(name, scalar)                                                                                   \
    static scalar update_##name(scalar *word, enum operation operation, scalar value) {                                \
        scalar before = __atomic_load_n(word, __ATOMIC_RELAXED), zero = 0;                                             \
        switch (operation) {                                                                                           \
        case OPERATION_ADD: return __atomic_fetch_add(word, 1, __ATOMIC_RELAXED);                                      \
        case OPERATION_EXCHANGE: return __atomic_exchange_n(word, value, __ATOMIC_RELAXED);                            \
        case OPERATION_COMPARE:                                                                                        \
            __atomic_compare_exchange_n(word, &zero, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);                \
            return zero;                                                                                               \
        default:                                                                                                       \
            while (before < value &&                                                                                   \
                   !__atomic_compare_exchange_n(word, &before, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {     \
            }                                                                                                          \
            return before;                                                                                             \
        }                                                                                                              \
    }
DEFINE_UPDATES(int32, int32_t)
DEFINE_UPDATES(int64, int64_t)

enum { HOST_UPDATES = 1 << 20 }; /* of all threads */

static void run_host(struct run *run) {
    struct atomics_state *state = run->state;
    enum operation operation = (enum operation)run->value[AXIS_OPERATION];
    int64_t targets = run->value[AXIS_TARGETS];
    bool wide = run->value[AXIS_DTYPE] == TYPE_INT64;
    uint64_t results = 0;
#pragma omp parallel for schedule(static) num_threads(run->threads) reduction(+ : results)
    for (int64_t u = 0; u < HOST_UPDATES; u++) {
        int64_t target = u % targets;
        if (wide) results += (uint64_t)update_int64((int64_t *)state->words + target, operation, target + 1);
        else results += (uint64_t)update_int32((int32_t *)state->words + target, operation, (int32_t)target + 1);
    }
    state->results = results;
}

static void setup_host(struct run *run) {
    struct atomics_state *state = run->state;
    size_t bytes = (size_t)run->value[AXIS_TARGETS] * (run->value[AXIS_DTYPE] == TYPE_INT64 ? 8 : 4);
    state->updates = HOST_UPDATES;
    state->copies = 1;
    state->words = bench_alloc(run, bytes);
    bench_output(run, state->words, bytes, PLACE_HOST, true);
}

static void reset_host(struct run *run) {
    struct atomics_state *state = run->state;
    size_t targets = (size_t)run->value[AXIS_TARGETS];
    for (size_t i = 0; i < targets; i++) {
        if (run->value[AXIS_DTYPE] == TYPE_INT64) ((int64_t *)state->words)[i] = 0;
        else ((int32_t *)state->words)[i] = 0;
    }
}

static const char *decline_host(const struct run *run) {
    if (run->value[AXIS_DTYPE] >= TYPE_FP32) return "the host has no atomic instructions for floating point";
    return run->value[AXIS_RESULT] == RESULT_DISCARDED ? "the host's instructions return what was there" : NULL;
}

static bool covers_host(const struct run *run) {
    return decline_host(run) == NULL;
}

static void describe(const struct run *run, struct work *work) {
    if (run->variant->place == PLACE_HOST)
        bench_add_rate(work, METRIC_update_rate, HOST_UPDATES, (struct limit){0, NULL});
}

static const char *const operations[] = {"add", "max", "exchange", "compare", NULL};
static const char *const types[] = {"int32", "int64", "fp32", "fp64", NULL};
static const char *const results[] = {"discarded", "used", NULL};

static const struct axis axes[] = {
    [AXIS_OPERATION] = {.name = "operation", .help = "on the word", .kind = AXIS_WORD, .words = operations,
                        .host = {"add", "all", "all"}},
    [AXIS_DTYPE] = {.name = "dtype", .help = "type of the word", .kind = AXIS_WORD, .words = types,
                    .host = {"int32", "int32", "all"}, .device = {"int32,fp32", "all", "all"}},
    [AXIS_TARGETS] = {.name = "targets", .help = "words that the updates go round (shared: of each block)",
                      .kind = AXIS_INTEGER, .host = {"1,1k", "1,4k,1m", "1:1m:4"},
                      .device = {"1,1k", "1,32,1k,1m", "1:4m:4"}, .minimum = 1, .maximum = INT64_C(1) << 24},
    [AXIS_RESULT] = {.name = "result", .help = "the value before", .kind = AXIS_WORD, .words = results,
                     .host = {"used", "used", "used"}, .device = {"all", "all", "all"}},
    {0}};

static const struct variant variants[] = {
    {.name = "openmp", .backend = "openmp", .place = PLACE_HOST, .decline = decline_host, .setup = setup_host,
     .reset = reset_host, .run = run_host, .covers = covers_host},
    {0}};

const struct bench bench = {.suite = "kernels", .name = "atomics",
                            .question = "How many atomic updates of memory go through, by type and crowding?",
                            .axes = axes, .variants = variants, .decline = decline, .covers = covers,
                            .describe = describe, .setup = setup, .check = check};
