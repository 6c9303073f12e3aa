/* row_gather: how fast are random rows of a table gathered, from the device's own memory and from the host's?

   out[i] = table[index[i]], rows of `row` bytes at random: an embedding lookup, or the features of sampled neighbours
   in graph training, where a table too large for the device stays in pinned host memory and the device reads it row by
   row across the link (`memory` host), as out-of-core training does.

     openmp   host threads, memcpy of rows
     vector   a device, 16 bytes a thread, a row by neighbouring threads

   Bytes: rows read and written, 2 x 64 MiB a call; from host memory only what crosses the link counts. FLOPs: none.
   Limit: the memory (device and openmp); of the link none is known here: see transfer.
   Check: every byte of every row. */
#include <string.h>

#include "kernels/row_gather.h"

static const char *decline(const struct run *run) {
    int64_t row = run->value[AXIS_ROW];
    if (row % 16 != 0) return "rows are multiples of 16 bytes";
    return run->value[AXIS_BYTES] % row != 0 ? "the table is not a number of whole rows" : NULL;
}

static void setup(struct run *run) {
    struct gather_state *state = bench_alloc(run, sizeof *state);
    int64_t row = run->value[AXIS_ROW], bytes = run->value[AXIS_BYTES];
    run->state = state;
    state->factor = linear_factor(run);
    state->rows = bytes / row;
    state->count = (bytes < OUTPUT_BYTES ? bytes : OUTPUT_BYTES) / row;
    state->index = bench_alloc(run, (size_t)state->count * sizeof *state->index);
    state->out = bench_alloc(run, (size_t)(state->count * row));
    for (int64_t i = 0; i < state->count; i++)
        state->index[i] = (uint32_t)(random_bits(run->seed, STREAM_INDEX, (uint64_t)i) % (uint64_t)state->rows);
}

static void describe(const struct run *run, struct work *work) {
    int64_t bytes = run->value[AXIS_BYTES] < OUTPUT_BYTES ? run->value[AXIS_BYTES] : OUTPUT_BYTES;
    bool link = run->variant->place == PLACE_DEVICE && run->value[AXIS_MEMORY] == MEMORY_HOST;
    work->bytes = (double)(bytes / run->value[AXIS_ROW] * run->value[AXIS_ROW]) * (link ? 1 : 2);
    bench_add_rate(work, METRIC_bandwidth, work->bytes, link ? (struct limit){0, NULL} : limit_memory_bandwidth(run));
}

static void check(struct run *run, struct verdict *verdict) {
    const struct gather_state *state = run->state;
    uint64_t words = (uint64_t)run->value[AXIS_ROW] / sizeof(uint64_t), wrong = 0;
    const uint64_t *out = state->out;
#pragma omp parallel for schedule(static) num_threads(run->threads) reduction(+ : wrong)
    for (int64_t i = 0; i < state->count; i++)
        for (uint64_t w = 0; w < words; w++)
            wrong += out[(uint64_t)i * words + w] != linear_word(state->factor, state->index[i] * words + w);
    verdict->error = (double)wrong;
    verdict->tolerance = 0;
}

static void setup_host(struct run *run) {
    struct gather_state *state = run->state;
    int64_t words = run->value[AXIS_BYTES] / (int64_t)sizeof(uint64_t);
    uint64_t *table = bench_alloc(run, (size_t)run->value[AXIS_BYTES]);
    state->table = table;
    bench_output(run, state->out, (size_t)(state->count * run->value[AXIS_ROW]), PLACE_HOST, false);
#pragma omp parallel for schedule(static) num_threads(run->threads)
    for (int64_t w = 0; w < words; w++) table[w] = linear_word(state->factor, (uint64_t)w);
}

static void run_host(struct run *run) {
    struct gather_state *state = run->state;
    size_t row = (size_t)run->value[AXIS_ROW];
#pragma omp parallel for schedule(static) num_threads(run->threads)
    for (int64_t i = 0; i < state->count; i++)
        memcpy((char *)state->out + (size_t)i * row, (const char *)state->table + state->index[i] * row, row);
}

static const char *decline_host(const struct run *run) {
    return run->value[AXIS_MEMORY] != MEMORY_HOST ? "the host gathers from its own memory" : NULL;
}

static bool covers_host(const struct run *run) {
    return decline_host(run) == NULL;
}

static const char *const memories[] = {[MEMORY_DEVICE] = "device", [MEMORY_HOST] = "host", NULL};

static const struct axis axes[] = {
    [AXIS_BYTES] = {.name = "bytes", .help = "of the table", .kind = AXIS_INTEGER, .host = {"16m", "1g", "16m,1g"},
                    .minimum = 16, .maximum = INT64_C(1) << 35},
    [AXIS_ROW] = {.name = "row", .help = "bytes of a row", .kind = AXIS_INTEGER,
                  .host = {"64,1k", "16,64,256,1k,4k", "16:16k:2"}, .minimum = 16, .maximum = INT64_C(1) << 20},
    [AXIS_MEMORY] = {.name = "memory", .help = "where the table is (host: pinned)", .kind = AXIS_WORD,
                     .words = memories, .host = {"host", "host", "host"}, .device = {"all", "all", "all"}},
    {0}};

static const struct variant variants[] = {
    {.name = "openmp", .backend = "openmp", .place = PLACE_HOST, .decline = decline_host, .setup = setup_host,
     .run = run_host, .covers = covers_host},
    {0}};

const struct bench bench = {.suite = "kernels", .name = "row_gather",
                            .question = "How fast are random rows of a table gathered, near and across the link?",
                            .axes = axes, .variants = variants, .decline = decline, .describe = describe,
                            .setup = setup, .check = check};
