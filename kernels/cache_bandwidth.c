/* cache_bandwidth: how fast does each level of the caches move data, by footprint?

   Every core goes round its own part of the memory again and again: it reads it, writes it, or copies its first half to
   its second. Over `bytes` the figure is a staircase whose steps are the levels. After likwid-bench's load, store and
   copy, and on devices gpu-benches' gpu-l2-cache and the bandwidth tables of arXiv 2402.13499 and 2501.12084.

   `bytes` is the footprint of ONE core (of all its data; a copy has half in, half out), on a device that of one
   multiprocessor (variants shared, l1) or of the whole device (variant l2). Bytes of a call: footprint x cores x rounds
   (a copy's are those read and those written). FLOPs: none. bytes_per_clock: of one core or multiprocessor, by the
   clock measured meanwhile.
   Limit: memory bandwidth where all footprints together are past the caches; a device's shared memory and L1 128 bytes
   a clock and multiprocessor. None is known for the other levels. Write-allocate (see stream) is not counted.
   Check: read, each thread's sum of all it read, modulo 2^32; write and copy, every word.

   NOTES
   - A loop of plain stores or copies becomes memset or memcpy, which choose their own instructions by size; hence
     PLAIN.
   - A call moves at least CALL_BYTES a core, so that waking the team is a small part of it even in L1. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "bench/counters.h"
#include "bench/topology.h"
#include "kernels/cache_bandwidth.h"

#if defined(__GNUC__) && !defined(__clang__)
#define PLAIN __attribute__((noinline, optimize("no-tree-loop-distribute-patterns")))
#else
#define PLAIN __attribute__((noinline))
#endif

#if defined(__AVX512F__)
enum { VECTOR = 64 };
#elif defined(__AVX__)
enum { VECTOR = 32 };
#else
enum { VECTOR = 16 };
#endif
enum { CHAINS = 8 };
static const double CALL_BYTES = 64.0 * (double)MIB;

typedef uint32_t words __attribute__((vector_size(VECTOR)));
static const size_t lanes = VECTOR / sizeof(uint32_t);

/* Keeps each round's accesses apart from the next one's. */
#define NEXT_ROUND __asm__ volatile("" ::: "memory")

/* The sum of all that was read in `passes` rounds. */
PLAIN static uint32_t read_rounds(const char *memory, size_t bytes, int64_t passes) {
    const words *from = (const words *)memory;
    words chain[CHAINS] = {{0}}, sum = {0};
    uint32_t total = 0;
    for (int64_t pass = 0; pass < passes; pass++) {
        for (size_t i = 0; i < bytes / VECTOR; i += CHAINS)
            for (size_t c = 0; c < CHAINS; c++) chain[c] += from[i + c];
        NEXT_ROUND;
    }
    for (size_t c = 0; c < CHAINS; c++) sum += chain[c];
    for (size_t lane = 0; lane < lanes; lane++) total += sum[lane];
    return total;
}

/* In round p word w becomes pattern[w mod lanes] + p. */
PLAIN static void write_rounds(char *memory, size_t bytes, int64_t passes, words pattern) {
    words *to = (words *)memory;
    for (int64_t pass = 0; pass < passes; pass++) {
        words value = pattern + (uint32_t)pass;
        for (size_t i = 0; i < bytes / VECTOR; i += CHAINS)
            for (size_t c = 0; c < CHAINS; c++) to[i + c] = value;
        NEXT_ROUND;
    }
}

PLAIN static void copy_rounds(char *memory, size_t bytes, int64_t passes) {
    const words *restrict from = (const words *)memory;
    words *restrict to = (words *)(memory + bytes / 2);
    for (int64_t pass = 0; pass < passes; pass++) {
        for (size_t i = 0; i < bytes / 2 / VECTOR; i += CHAINS)
            for (size_t c = 0; c < CHAINS; c++) to[i + c] = from[i + c];
        NEXT_ROUND;
    }
}

static words pattern_of(struct cache_data data) {
    words pattern;
    for (size_t lane = 0; lane < lanes; lane++) pattern[lane] = cache_word(data, lane);
    return pattern;
}

static void run_rounds(struct run *run) {
    const struct cache_state *state = run->state;
    words pattern = pattern_of(state->data);
#pragma omp parallel num_threads(state->team)
    {
        size_t thread = (size_t)omp_get_thread_num();
        char *memory = state->memory + thread * state->bytes;
        if (state->access == ACCESS_READ) state->result[thread] = read_rounds(memory, state->bytes, state->passes);
        else if (state->access == ACCESS_WRITE) write_rounds(memory, state->bytes, state->passes, pattern);
        else copy_rounds(memory, state->bytes, state->passes);
    }
}

static int64_t passes_of(const struct run *run) {
    return (int64_t)ceil(CALL_BYTES / (double)run->value[AXIS_BYTES]);
}

/* Sum of the clocks of all threads of the team, right after a call. */
static double busy_clocks(struct run *run) {
    const struct cache_state *state = run->state;
    double clocks = 0;
    run_rounds(run);
#pragma omp parallel num_threads(state->team) reduction(+ : clocks)
    clocks += counters_clock();
    return clocks;
}

/* The limit is measured when first asked for, by all threads, each of which must be on a core of its own again: the
   measurement before may have left a smaller team. */
static struct limit limit_of(const struct run *run) {
    double footprints = (double)run->value[AXIS_BYTES] * (double)run->value[AXIS_TEAM];
    if (footprints <= 2 * (double)topology_last_cache_total()) return (struct limit){0, NULL};
    topology_bind_team(run->threads);
    return limit_memory_bandwidth(run);
}

/* Host variants. Those of a device report theirs themselves: they know its multiprocessors. */
static void describe(const struct run *run, struct work *work) {
    if (run->variant->place != PLACE_HOST) return;
    work->bytes = (double)run->value[AXIS_BYTES] * (double)passes_of(run) * (double)run->value[AXIS_TEAM];
}

static void measure_host(struct run *run) {
    static const double caps[PRESET_COUNT] = {0.1, 0.15, 5}; /* seconds: the cases are many */
    const struct cache_state *state = run->state;
    double *seconds, clocks = busy_clocks(run), fastest = INFINITY;
    double bytes = (double)state->bytes * (double)state->passes * state->team;
    size_t count = bench_time_call(run, run_rounds, fmin(caps[run->preset], run->budget), &seconds);
    clocks = fmax(clocks, busy_clocks(run));
    for (size_t i = 0; i < count; i++) fastest = fmin(fastest, seconds[i]);
    bench_report_samples(run, METRIC_bandwidth, bytes, seconds, count, state->limit);
    bench_report_plain(run, METRIC_bytes_per_clock, bytes / fastest / clocks, (struct limit){0, NULL});
    free(seconds);
}

static void setup_host(struct run *run) {
    struct cache_state *state = run->state;
    size_t bytes = state->bytes, half = state->access == ACCESS_COPY ? bytes / 2 : 0;
    state->limit = limit_of(run);
    state->team = (int)run->value[AXIS_TEAM];
    state->passes = passes_of(run);
    run->threads = state->team;
    topology_bind_team(state->team);
    state->memory = bench_alloc(run, bytes * (size_t)state->team);
    state->result_count = state->access == ACCESS_READ ? (size_t)state->team : 0;
    state->result = bench_alloc(run, (size_t)state->team * sizeof *state->result);
    state->expected = bench_alloc(run, (size_t)state->team * sizeof *state->expected);
#pragma omp parallel num_threads(state->team)
    {
        size_t thread = (size_t)omp_get_thread_num();
        uint32_t *word = (uint32_t *)(state->memory + thread * bytes), sum = 0;
        for (size_t w = 0; w < bytes / sizeof *word; w++) word[w] = cache_word(state->data, w);
        for (size_t chunk = 0; chunk < bytes / CHUNK; chunk++) sum += cache_chunk_sum(state->data, chunk);
        state->expected[thread] = sum * (uint32_t)state->passes;
        for (size_t w = 0; w < half / sizeof *word; w++) word[half / sizeof *word + w] = UINT32_MAX;
    }
    if (state->access == ACCESS_READ)
        bench_output(run, state->result, (size_t)state->team * sizeof *state->result, PLACE_HOST, false);
    else
        bench_output(run, state->memory, bytes * (size_t)state->team, PLACE_HOST, true);
}

/* Words that are not what the last round leaves there. */
static void fetch_host(struct run *run) {
    struct cache_state *state = run->state;
    size_t count = state->bytes / sizeof(uint32_t), half = state->access == ACCESS_COPY ? count / 2 : count;
    uint64_t wrong = 0;
    if (state->access == ACCESS_READ) return;
#pragma omp parallel for num_threads(state->team) schedule(static) reduction(+ : wrong)
    for (int thread = 0; thread < state->team; thread++) {
        const uint32_t *word = (const uint32_t *)(state->memory + (size_t)thread * state->bytes);
        for (size_t w = 0; w < count; w++) {
            uint32_t last = (uint32_t)state->passes - 1;
            wrong += word[w] != (state->access == ACCESS_COPY ? cache_word(state->data, w % half)
                                                              : cache_word(state->data, w % lanes) + last);
        }
    }
    state->wrong = wrong;
}

static void setup(struct run *run) {
    struct cache_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    state->access = (enum access)run->value[AXIS_ACCESS];
    state->bytes = (size_t)run->value[AXIS_BYTES];
    state->data = (struct cache_data){.seed = (uint32_t)run->seed, .factor = run->zeros ? 0 : 2654435761u};
    if (run->variant->place == PLACE_HOST) setup_host(run);
}

/* The error is the number of wrong words and sums. */
static void check(struct run *run, struct verdict *verdict) {
    const struct cache_state *state = run->state;
    uint64_t wrong = state->wrong;
    for (size_t i = 0; i < state->result_count; i++) wrong += state->result[i] != state->expected[i];
    verdict->error = (double)wrong;
    verdict->tolerance = 0;
}

static const char *decline(const struct run *run) {
    bool copy = run->value[AXIS_ACCESS] == ACCESS_COPY;
    if (run->value[AXIS_BYTES] % (copy ? 2 * CHUNK : CHUNK) != 0)
        return copy ? "each half of a footprint is a multiple of 16 KiB" : "a footprint is a multiple of 16 KiB";
    return run->variant->place == PLACE_DEVICE && run->value[AXIS_TEAM] != 1 ? "a team is of host threads" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static const char *const accesses[] = {"read", "write", "copy", NULL};

static const struct axis axes[] = {
    [AXIS_ACCESS] = {.name = "access", .help = "what is done with the footprint", .kind = AXIS_WORD,
                     .words = accesses, .host = {"all", "all", "all"}},
    [AXIS_BYTES] = {.name = "bytes", .help = "footprint of one core or multiprocessor; variant l2: of the device",
                    .kind = AXIS_INTEGER, .host = {"32k,8m", "32k,256k,4m,64m", "16k:256m:2"},
                    .device = {"64k,16m", "32k,128k,192k,1m,8m,32m,64m,256m", "16k:256m:2,192k,224k,24m,40m,48m"},
                    .minimum = CHUNK, .maximum = INT64_C(1) << 33},
    [AXIS_TEAM] = {.name = "team", .help = "threads of the host (1 where a device runs)", .kind = AXIS_INTEGER,
                   .host = {"max", "1,max", "powers"}, .device = {"1", "1", "1"}, .minimum = 1, .maximum = 65536,
                   .available = bench_threads_available},
    {0}};

static const struct variant variants[] = {
    {.name = "vector", .backend = "openmp", .place = PLACE_HOST, .fetch = fetch_host,
     .measure = measure_host},
    {0}};

const struct bench bench = {.suite = "kernels", .name = "cache_bandwidth",
                            .question = "How fast does each level of the caches move data, by footprint?",
                            .axes = axes, .variants = variants, .decline = decline, .covers = covers,
                            .describe = describe, .setup = setup, .check = check};
