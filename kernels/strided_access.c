/* strided_access: what do narrow and strided reads leave of the memory's bandwidth?

   Reads every `stride`-th element of `width` bytes of an array of `bytes` once. bandwidth counts what was asked for;
   the memory moves whole lines (host: 64 bytes; device: sectors of 32), so that with strides past those one element
   costs a line, and bandwidth falls to width / line of what the memory gives. After gpu-benches and arXiv 2402.13499.

     openmp   all host threads, each its own stretch of the array
     vector   a device; neighbouring threads read neighbouring elements, 8 each under way

   Bytes: (bytes / stride) read. FLOPs: none. Limit: of the memory, of arrays past the caches, for strides of 1.
   Check: the sum of all elements, exactly; the array holds multiples of a random odd number (lib/linear_data.h). */
#include "bench/topology.h"
#include "kernels/strided_access.h"

static const char *decline(const struct run *run) {
    int64_t width = run->value[AXIS_WIDTH], step = width * run->value[AXIS_STRIDE];
    if (width > 16 || (width & (width - 1)) != 0) return "elements are of 1, 2, 4, 8 or 16 bytes";
    return run->value[AXIS_BYTES] % step != 0 ? "the array is not a multiple of width x stride" : NULL;
}

static void setup(struct run *run) {
    struct strided_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    state->factor = linear_factor(run);
    state->elements = run->value[AXIS_BYTES] / run->value[AXIS_WIDTH];
    state->count = state->elements / run->value[AXIS_STRIDE];
}

static void describe(const struct run *run, struct work *work) {
    bool past_caches = run->variant->place == PLACE_DEVICE
                           ? run->value[AXIS_BYTES] >= 256 * MIB
                           : (size_t)run->value[AXIS_BYTES] >= 4 * topology_last_cache_total();
    work->bytes = (double)(run->value[AXIS_BYTES] / run->value[AXIS_STRIDE]);
    bench_add_rate(work, METRIC_bandwidth, work->bytes,
                   run->value[AXIS_STRIDE] == 1 && past_caches ? limit_memory_bandwidth(run)
                                                               : (struct limit){0, NULL});
}

/* An element of 16 bytes is elements 2 i and 2 i + 1 of 8. */
static void check(struct run *run, struct verdict *verdict) {
    const struct strided_state *state = run->state;
    uint64_t count = (uint64_t)state->count, stride = (uint64_t)run->value[AXIS_STRIDE];
    int bits = run->value[AXIS_WIDTH] >= 8 ? 64 : 8 * (int)run->value[AXIS_WIDTH];
    uint64_t expected = linear_sum(state->factor, count, stride);
    if (run->value[AXIS_WIDTH] == 16) /* sum of (2 s k + 1) and (2 s k + 2) */
        expected = 2 * linear_sum(state->factor, count, 2 * stride) + state->factor * count;
    verdict->error = (expected ^ *state->sum) << (64 - bits) != 0;
    verdict->tolerance = 0;
}

#define DEFINE_READ(name, scalar, parts)                                                                               \
    static uint64_t read_##name(const void *array, int64_t from, int64_t to, int64_t stride) {                         \
        const scalar *element = array;                                                                                 \
        uint64_t sum = 0;                                                                                              \
        for (int64_t k = from; k < to; k++)                                                                            \
            for (int part = 0; part < (parts); part++) sum += element[(parts) * k * stride + part];                    \
        return sum;                                                                                                    \
    }                                                                                                                  \
    static void fill_##name(uint64_t factor, void *array, int64_t from, int64_t to) {                                  \
        scalar *element = array;                                                                                       \
        for (int64_t i = (parts) * from; i < (parts) * to; i++)                                                        \
            element[i] = (scalar)linear_word(factor, (uint64_t)i);                                                     \
    }
DEFINE_READ(1, uint8_t, 1)
DEFINE_READ(2, uint16_t, 1)
DEFINE_READ(4, uint32_t, 1)
DEFINE_READ(8, uint64_t, 1)
DEFINE_READ(16, uint64_t, 2)

static const struct {
    int64_t width;
    uint64_t (*read)(const void *array, int64_t from, int64_t to, int64_t stride);
    void (*fill)(uint64_t factor, void *array, int64_t from, int64_t to);
} widths[] = {
    {1, read_1, fill_1}, {2, read_2, fill_2}, {4, read_4, fill_4}, {8, read_8, fill_8}, {16, read_16, fill_16}};

static size_t width_index(const struct run *run) {
    size_t i = 0;
    while (widths[i].width != run->value[AXIS_WIDTH]) i++;
    return i;
}

static void setup_host(struct run *run) {
    struct strided_state *state = run->state;
    size_t width = width_index(run);
    state->array = bench_alloc(run, (size_t)run->value[AXIS_BYTES]);
    state->sum = bench_alloc(run, sizeof *state->sum);
    bench_output(run, state->sum, sizeof *state->sum, PLACE_HOST, false);
#pragma omp parallel for schedule(static) num_threads(run->threads)
    for (int part = 0; part < run->threads; part++)
        widths[width].fill(state->factor, state->array, state->elements * part / run->threads,
                           state->elements * (part + 1) / run->threads);
}

static void run_host(struct run *run) {
    struct strided_state *state = run->state;
    size_t width = width_index(run);
    uint64_t sum = 0;
#pragma omp parallel for schedule(static) num_threads(run->threads) reduction(+ : sum)
    for (int part = 0; part < run->threads; part++)
        sum += widths[width].read(state->array, state->count * part / run->threads,
                                  state->count * (part + 1) / run->threads, run->value[AXIS_STRIDE]);
    *state->sum = sum;
}

static const struct axis axes[] = {
    [AXIS_BYTES] = {.name = "bytes", .help = "of the array", .kind = AXIS_INTEGER, .host = {"16m", "256m", "16m,1g"},
                    .device = {"16m", "1g", "16m,1g"}, .minimum = 64, .maximum = INT64_C(1) << 36},
    [AXIS_WIDTH] = {.name = "width", .help = "bytes of an access", .kind = AXIS_INTEGER,
                    .host = {"4,16", "1,4,16", "1:16:2"}, .device = {"4,16", "1:16:2", "1:16:2"}, .minimum = 1,
                    .maximum = 16},
    [AXIS_STRIDE] = {.name = "stride", .help = "elements from one to the next", .kind = AXIS_INTEGER,
                     .host = {"1,16", "1,4,16", "1:128:2"}, .device = {"1,16", "1,2,4,8,32", "1:128:2"},
                     .minimum = 1, .maximum = INT64_C(1) << 20},
    {0}};

static const struct variant variants[] = {
    {.name = "openmp", .backend = "openmp", .place = PLACE_HOST, .setup = setup_host, .run = run_host}, {0}};

const struct bench bench = {.suite = "kernels", .name = "strided_access",
                            .question = "What do narrow and strided reads leave of the memory's bandwidth?",
                            .axes = axes, .variants = variants, .decline = decline, .describe = describe,
                            .setup = setup, .check = check};
