/* stream: what is the bandwidth of memory, read, written and both?

   After STREAM (McCalpin, 1995; www.cs.virginia.edu/stream): copy out = a, scale out = s a, add out = a + b, triad
   out = a + s b; and two one-sided ones, read (the sum of a) and fill (out = s). Axis `bytes` is the size of ONE array.
   Bytes of a call, counted as STREAM does: 2 (copy, scale), 3 (add, triad), 1 (read, fill) times the array. FLOPs: one
   an element for scale, add and read, two for triad. A cache that writes whole lines must first read the line it
   writes (write-allocate); these bytes are not counted, so a host's plain loop shows at most 2/3 of the bus in copy and
   3/4 in triad, and openmp_nontemporal, whose stores pass the caches by, shows what the others lose by it. STREAM's
   rule for memory is arrays of four times the last-level caches: `max` is that. Below it the caches are measured.

   Limit: memory bandwidth, for arrays that cannot hide in a cache. Check: every element, exactly; the sum in extended
   precision. stream_loop times STREAM's own loops (static arrays, `parallel for`) and those of openmp in alternation:
   its bandwidth is STREAM's, its ratio the time of ours over STREAM's.

   NOTES
   - GCC makes a memcpy of a copying loop, and glibc's memcpy stores past the caches above a size of its own choice: a
     "plain" copy would then be either. The attribute PLAIN keeps ours a loop; STREAM's is left as it compiles.
   - bench_alloc asks for huge pages; STREAM's static arrays get them only where the kernel gives them unasked. That is
     one reason for a ratio below 1 in large arrays.
   - The device's caches may hold the last megabytes written when a call ends; at 1 GiB an array that is a few percent,
     at 4 GiB 1 % at most. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "bench/check.h"
#include "bench/statistics.h"
#include "bench/topology.h"
#include "kernels/stream.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__GNUC__) && !defined(__clang__)
#define PLAIN __attribute__((noinline, optimize("no-tree-loop-distribute-patterns")))
#else
#define PLAIN __attribute__((noinline))
#endif

/* One thread's part of an operation. Sums return their sum, the others 0. */
typedef double loop(void *out, const void *first, const void *second, size_t bytes);

/* What each operation puts into element i, of a number or of a vector of numbers; s is SCALAR in either form. */
#define ELEMENTWISE(LOOP, type)                                                                                        \
    LOOP(copy, type, a[i])                                                                                             \
    LOOP(scale, type, s * a[i])                                                                                        \
    LOOP(add, type, a[i] + b[i])                                                                                       \
    LOOP(triad, type, a[i] + s * b[i])                                                                                 \
    LOOP(fill, type, s)

#define PLAIN_LOOP(name, type, element)                                                                                \
    PLAIN static double name##_##type(void *out, const void *first, const void *second, size_t bytes) {                \
        type *restrict o = out;                                                                                        \
        const type *restrict a = first, *restrict b = second, s = SCALAR;                                              \
        (void)a, (void)b, (void)s;                                                                                     \
        for (size_t i = 0; i < bytes / sizeof(type); i++) o[i] = element;                                              \
        return 0;                                                                                                      \
    }
ELEMENTWISE(PLAIN_LOOP, double)
ELEMENTWISE(PLAIN_LOOP, float)

#if defined(__AVX512F__)
enum { VECTOR = 64 };
typedef __m512i register_bits;
#define STORE_PAST_CACHES(to, bits) _mm512_stream_si512(to, bits)
#elif defined(__AVX__)
enum { VECTOR = 32 };
typedef __m256i register_bits;
#define STORE_PAST_CACHES(to, bits) _mm256_stream_si256(to, bits)
#elif defined(__SSE2__)
enum { VECTOR = 16 };
typedef __m128i register_bits;
#define STORE_PAST_CACHES(to, bits) _mm_stream_si128(to, bits)
#else
enum { VECTOR = 16 };
#endif
typedef double double_vector __attribute__((vector_size(VECTOR)));
typedef float float_vector __attribute__((vector_size(VECTOR)));

#ifdef STORE_PAST_CACHES
#define NONTEMPORAL_LOOP(name, type, element)                                                                          \
    static double name##_past_##type(void *out, const void *first, const void *second, size_t bytes) {                 \
        type##_vector *o = out;                                                                                        \
        const type##_vector *a = first, *b = second, s = (type##_vector){0} + (type)SCALAR;                            \
        (void)a, (void)b, (void)s;                                                                                     \
        for (size_t i = 0; i < bytes / VECTOR; i++)                                                                    \
            STORE_PAST_CACHES((register_bits *)&o[i], (register_bits)(element));                                       \
        _mm_sfence();                                                                                                  \
        return 0;                                                                                                      \
    }
ELEMENTWISE(NONTEMPORAL_LOOP, double)
ELEMENTWISE(NONTEMPORAL_LOOP, float)
#endif

/* A sum needs many independent chains, which the compiler may not make of a plain loop. The sums of blocks are added in
   double, so that the error of an fp32 sum does not grow with its length. */
enum { CHAINS = 8, BLOCK = 32768 };
#define READ_LOOP(type)                                                                                                \
    static double read_##type(void *out, const void *first, const void *second, size_t bytes) {                        \
        const type##_vector *a = first;                                                                                \
        double sum = 0;                                                                                                \
        (void)out, (void)second;                                                                                       \
        for (size_t start = 0, end; start < bytes / VECTOR; start = end) {                                             \
            type##_vector chain[CHAINS] = {0}, all = {0};                                                              \
            end = start + BLOCK / VECTOR < bytes / VECTOR ? start + BLOCK / VECTOR : bytes / VECTOR;                   \
            size_t i = start;                                                                                          \
            for (; i + CHAINS <= end; i += CHAINS)                                                                     \
                for (int c = 0; c < CHAINS; c++) chain[c] += a[i + (size_t)c];                                         \
            for (; i < end; i++) chain[0] += a[i];                                                                     \
            for (int c = 0; c < CHAINS; c++) all += chain[c];                                                          \
            for (size_t lane = 0; lane < VECTOR / sizeof(type); lane++) sum += (double)all[lane];                      \
        }                                                                                                              \
        return sum;                                                                                                    \
    }
READ_LOOP(double)
READ_LOOP(float)

/* By operation and `single`. */
static loop *const plain_loops[OPERATION_COUNT][2] = {
    [COPY] = {copy_double, copy_float}, [SCALE] = {scale_double, scale_float}, [ADD] = {add_double, add_float},
    [TRIAD] = {triad_double, triad_float}, [READ] = {read_double, read_float}, [FILL] = {fill_double, fill_float}};
static loop *const nontemporal_loops[OPERATION_COUNT][2] = {
#ifdef STORE_PAST_CACHES
    [COPY] = {copy_past_double, copy_past_float}, [SCALE] = {scale_past_double, scale_past_float},
    [ADD] = {add_past_double, add_past_float}, [TRIAD] = {triad_past_double, triad_past_float},
    [FILL] = {fill_past_double, fill_past_float},
#endif
};

static void *beyond(void *array, size_t bytes) {
    return array != NULL ? (char *)array + bytes : NULL;
}

/* Every thread takes a contiguous part of whole lines. */
static void run_loops(const struct stream_state *state, loop *part) {
    size_t lines = state->task.bytes / LINE;
#pragma omp parallel num_threads(state->team)
    {
        size_t thread = (size_t)omp_get_thread_num(), threads = (size_t)omp_get_num_threads();
        size_t begin = lines * thread / threads * LINE, end = lines * (thread + 1) / threads * LINE;
        double sum = part(beyond(state->out, begin), beyond(state->first, begin), beyond(state->second, begin),
                          end - begin);
        if (state->partial != NULL) state->partial[thread * LINE / sizeof sum] = sum;
    }
    if (state->task.operation != READ) return;
    double sum = 0;
    for (size_t thread = 0; thread < (size_t)state->team; thread++) sum += state->partial[thread * LINE / sizeof sum];
    for (int i = 0; i < RESULT_COPIES; i++) state->result[i] = sum;
}

static void run_openmp(struct run *run) {
    const struct stream_state *state = run->state;
    run_loops(state, plain_loops[state->task.operation][state->task.single]);
}

static void run_nontemporal(struct run *run) {
    const struct stream_state *state = run->state;
    run_loops(state, nontemporal_loops[state->task.operation][state->task.single]);
}

static const char *decline_nontemporal(const struct run *run) {
    enum operation operation = (enum operation)run->value[AXIS_OPERATION];
    if (nontemporal_loops[COPY][0] == NULL) return "this processor's instructions have no non-temporal stores";
    return operation == READ ? "read stores nothing" : NULL;
}

static bool covers_nontemporal(const struct run *run) {
    return run->value[AXIS_OPERATION] != READ;
}

static const char *decline(const struct run *run) {
    return run->value[AXIS_BYTES] % LINE != 0 ? "an array is a multiple of 64 bytes" : NULL;
}

/* Arrays that a cache may hold have no limit here. */
static struct limit limit_of(const struct run *run, double footprint) {
    bool device = run->variant->place == PLACE_DEVICE;
    double caches = device ? 256.0 * (double)MIB : 2.0 * (double)topology_last_cache_total();
    return footprint > caches ? limit_memory_bandwidth(run) : (struct limit){0, NULL};
}

static void describe(const struct run *run, struct work *work) {
    static const int arrays[] = {[COPY] = 2, [SCALE] = 2, [ADD] = 3, [TRIAD] = 3, [READ] = 1, [FILL] = 1};
    static const int flops[OPERATION_COUNT] = {[SCALE] = 1, [ADD] = 1, [TRIAD] = 2, [READ] = 1};
    int64_t operation = run->value[AXIS_OPERATION];
    work->bytes = arrays[operation] * (double)run->value[AXIS_BYTES];
    work->flops = flops[operation] * (double)run->value[AXIS_BYTES] / (double)dtype_size(bench_dtype(run));
    bench_add_rate(work, METRIC_bandwidth, work->bytes, limit_of(run, work->bytes));
}

/* STREAM's static arrays, with out for the one that its kernel writes, and its four loops. */
enum { STREAM_LENGTH = 256 << 17 }; /* doubles: 256 MiB */
static double stream_a[STREAM_LENGTH], stream_b[STREAM_LENGTH], stream_out[STREAM_LENGTH];

#define STREAM_LOOP(name, element)                                                                                     \
    static void stream_##name(ptrdiff_t length, double s, int team) {                                                  \
        (void)s;                                                                                                       \
        _Pragma("omp parallel for num_threads(team)") for (ptrdiff_t i = 0; i < length; i++) stream_out[i] = element;  \
    }
STREAM_LOOP(copy, stream_a[i])
STREAM_LOOP(scale, s * stream_a[i])
STREAM_LOOP(add, stream_a[i] + stream_b[i])
STREAM_LOOP(triad, stream_a[i] + s * stream_b[i])
static void (*const stream_loops[OPERATION_COUNT])(ptrdiff_t length, double s, int team) = {
    [COPY] = stream_copy, [SCALE] = stream_scale, [ADD] = stream_add, [TRIAD] = stream_triad};

static const char *decline_stream_loop(const struct run *run) {
    if (stream_loops[run->value[AXIS_OPERATION]] == NULL) return "STREAM has no such operation";
    if (bench_dtype(run) != DTYPE_fp64) return "STREAM is in fp64";
    return (size_t)run->value[AXIS_BYTES] > sizeof stream_a ? "its static arrays hold 256 MiB each" : NULL;
}

static bool covers_stream_loop(const struct run *run) {
    return decline_stream_loop(run) == NULL;
}

static void setup_stream_loop(struct run *run) {
    const struct stream_state *state = run->state;
    const double *first = state->first, *second = state->second;
#pragma omp parallel for num_threads(state->team)
    for (size_t i = 0; i < state->task.count; i++) {
        stream_a[i] = first[i];
        stream_b[i] = second != NULL ? second[i] : 0;
        stream_out[i] = NAN;
    }
}

/* Seconds of `calls` calls of ours or of STREAM's loop. */
static double time_calls(struct run *run, bool ours, int calls) {
    const struct stream_state *state = run->state;
    double start = bench_seconds();
    for (int call = 0; call < calls; call++) {
        if (ours) run_openmp(run);
        else stream_loops[state->task.operation]((ptrdiff_t)state->task.count, SCALAR, state->team);
    }
    return (bench_seconds() - start) / calls;
}

/* The order within a pair alternates, so that neither finds the caches better. */
static void measure_stream_loop(struct run *run) {
    enum { PAIRS_MIN = 5, PAIRS_MAX = 2000 };
    static double theirs[PAIRS_MAX], ratio[PAIRS_MAX];
    const struct stream_state *state = run->state;
    double warm = time_calls(run, true, 3) + time_calls(run, false, 3), start = bench_seconds();
    int calls = warm > 200e-6 ? 1 : (int)(200e-6 / warm) + 1, pairs = 0;
    while (pairs < PAIRS_MAX && (pairs < PAIRS_MIN || bench_seconds() - start < run->budget)) {
        bool ours_first = pairs % 2 == 0;
        double earlier = time_calls(run, ours_first, calls), later = time_calls(run, !ours_first, calls);
        theirs[pairs] = ours_first ? later : earlier;
        ratio[pairs] = (ours_first ? earlier : later) / theirs[pairs];
        pairs++;
    }
    if (memcmp(stream_out, state->out, state->task.bytes) != 0) bench_fail(run, "STREAM's loop has another result");
    struct work work = {0};
    describe(run, &work);
    bench_report_samples(run, METRIC_bandwidth, work.bytes, theirs, (size_t)pairs, work.rates[0].limit);
    bench_report_plain(run, METRIC_ratio, statistics(ratio, (size_t)pairs).median, (struct limit){0, NULL});
}

static void make_input(const struct stream_state *state, int input, void *array) {
    const struct stream_case *task = &state->task;
#pragma omp parallel for schedule(static) num_threads(state->team)
    for (size_t i = 0; i < task->count; i++) {
        double value = stream_value(task, input, i);
        if (task->single) ((float *)array)[i] = (float)value;
        else ((double *)array)[i] = value;
    }
}

static void setup_host(struct run *run, struct stream_state *state) {
    enum operation operation = state->task.operation;
    run->threads = state->team; /* first touch by the threads that will run, each pinned again: a smaller team before */
    topology_bind_team(state->team); /* this one may have ended the others, and new ones start beside the first */
    int inputs = STREAM_INPUTS(operation);
    if (inputs > 0) make_input(state, 0, state->first = bench_alloc(run, state->task.bytes));
    if (inputs > 1) make_input(state, 1, state->second = bench_alloc(run, state->task.bytes));
    if (operation != READ) {
        state->out = bench_alloc(run, state->task.bytes);
        bench_output(run, state->out, state->task.bytes, PLACE_HOST, false);
        return;
    }
    state->partial = bench_alloc(run, (size_t)state->team * LINE);
    state->result = bench_alloc(run, RESULT_COPIES * sizeof *state->result);
    bench_output(run, state->result, RESULT_COPIES * sizeof *state->result, PLACE_HOST, false);
}

static void setup(struct run *run) {
    struct stream_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    size_t bytes = (size_t)run->value[AXIS_BYTES];
    state->task = (struct stream_case){.operation = (enum operation)run->value[AXIS_OPERATION],
                                       .single = bench_dtype(run) == DTYPE_fp32, .zeros = run->zeros,
                                       .seed = run->seed, .count = bytes / dtype_size(bench_dtype(run)),
                                       .bytes = bytes};
    state->team = (int)run->value[AXIS_TEAM];
    if (run->variant->place == PLACE_HOST) setup_host(run, state);
}

/* Absolute errors: the values are about 1. A NaN counts as infinite. */
static double distance(double out, double expected) {
    double error = fabs(out - expected);
    return error < INFINITY ? error : INFINITY;
}

static double worst_element(const struct stream_state *state) {
    double worst = 0;
#pragma omp parallel for schedule(static) num_threads(state->team) reduction(max : worst)
    for (size_t i = 0; i < state->task.count; i++) {
        double out = state->task.single ? ((const float *)state->out)[i] : ((const double *)state->out)[i];
        worst = fmax(worst, distance(out, stream_expected(&state->task, i)));
    }
    return worst;
}

/* Of a device every element is compared there (worst), and some, fetched, are compared here as well: the comparison on
   the device shares its compiler and its caches with what it judges. */
static double worst_sample(const struct stream_state *state) {
    double worst = distance(state->worst, 0);
    for (int64_t i = 0; i < state->sample_count; i++)
        worst = fmax(worst, distance(state->sample[i],
                                     stream_expected(&state->task, (size_t)state->sample_index[i])));
    return worst;
}

/* Relative error of the worst copy of the sum. */
static double sum_error(const struct run *run, const struct stream_state *state, const double *total) {
    long double sum = 0;
    double worst = 0;
#pragma omp parallel for schedule(static) num_threads(run->threads) reduction(+ : sum)
    for (size_t i = 0; i < state->task.count; i++) sum += (long double)stream_value(&state->task, 0, i);
    for (int i = 0; i < RESULT_COPIES; i++)
        worst = fmax(worst, distance(total[i], (double)sum) / (sum > 0 ? (double)sum : 1));
    return worst;
}

static void check(struct run *run, struct verdict *verdict) {
    const struct stream_state *state = run->state;
    bool device = run->variant->place == PLACE_DEVICE;
    if (state->task.operation == READ) {
        verdict->error = sum_error(run, state, device ? state->total : state->result);
        /* fp32: sums of a few dozen elements are in fp32, the rest is in double. fp64: fine enough to notice one lost
           element of ten thousand million */
        verdict->tolerance = state->task.single ? 64 * dtype_epsilon(DTYPE_fp32) : 1e-11;
        return;
    }
    verdict->error = device ? worst_sample(state) : worst_element(state);
    verdict->tolerance = 0;
}

/* STREAM's rule for memory: four times the caches, a power of two, and no more than an eighth of the machine. */
static int64_t memory_sized(void) {
    topology_start();
    size_t wanted = 4 * topology_last_cache_total(), most = topology_memory_available() / 8, bytes = MIB;
    while (bytes < wanted && 2 * bytes <= most) bytes *= 2;
    return (int64_t)bytes;
}

static const char *const operations[] = {"copy", "scale", "add", "triad", "read", "fill", NULL};
static const char *const dtypes[] = {"fp64", "fp32", NULL};

static const struct axis axes[] = {
    [AXIS_OPERATION] = {.name = "operation", .help = "what is done with the arrays", .kind = AXIS_WORD,
                        .words = operations, .host = {"all", "all", "all"}},
    [AXIS_BYTES] = {.name = "bytes", .help = "size of ONE array; max: 4 times the last-level caches, STREAM's rule",
                    .kind = AXIS_INTEGER, .host = {"8m", "32k,1m,max", "16k:512m:2,max"},
                    .device = {"64m", "64m,1g,4g", "1m:16g:4"}, .available = memory_sized},
    [AXIS_DTYPE] = {.name = "dtype", .help = "type of the elements", .kind = AXIS_WORD, .words = dtypes,
                    .host = {"fp64", "fp64", "all"}},
    [AXIS_TEAM] = {.name = "team", .help = "threads of the host (1 where a device runs)", .kind = AXIS_INTEGER,
                   .host = {"max", "max", "powers"}, .device = {"1", "1", "1"}, .minimum = 1, .maximum = 65536,
                   .available = bench_threads_available},
    {0}};

static const struct variant variants[] = {
    {.name = "openmp", .backend = "openmp", .place = PLACE_HOST, .run = run_openmp},
    {.name = "openmp_nontemporal", .backend = "openmp", .place = PLACE_HOST, .decline = decline_nontemporal,
     .run = run_nontemporal, .covers = covers_nontemporal},
    {.name = "stream_loop", .backend = "openmp", .place = PLACE_HOST, .decline = decline_stream_loop,
     .setup = setup_stream_loop, .measure = measure_stream_loop, .covers = covers_stream_loop},
    {0}};

const struct bench bench = {.suite = "kernels", .name = "stream",
                            .question = "What is the bandwidth of memory, read, written and both?",
                            .axes = axes, .variants = variants, .decline = decline, .describe = describe,
                            .setup = setup, .check = check};
