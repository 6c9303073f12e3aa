/* wgmma: how fast do Hopper's warpgroup matrix instructions issue?

   wgmma.mma_async m64nNk(32 bytes): D (64 x N) += A (64 x k) B (k x N), k = 8 tf32, 16 fp16 or bf16, 32 fp8 or int8;
   B from shared memory, A (`a_from`) from shared memory or registers. After arXiv 2402.13499 and 2501.12084.

   issue         one warpgroup on one multiprocessor. issue_clocks: between instructions of a long chain on one
                 accumulator, none of which is waited for; latency_clocks: of one instruction that is waited for before
                 the next is issued. Both are the difference of a long and a short chain over the instructions between
                 them, so that starting and ending cancel.
   throughput    two warpgroups on every multiprocessor, each a chain as above

   FLOP (int8: operations): 2 * 64 * N * k an instruction. Bytes: none outside the multiprocessor.
   Limit of a clock count: the matrix units of a multiprocessor take 64 N k / (N / 2) multiply-adds a clock, so N / 2
   clocks, whatever the type; shared memory delivers 128 bytes a clock, so N / 4 for B and 16 for A. Limit of a rate:
   the matrix units at the boost clock; rate_at_clock is the share at the clock that was measured.
   Data: lib/matrix_chain.h. With --data zeros the units draw less power and, all together, clock higher.

   Check: every element of every accumulator, exactly, at the timed length; where sums are fp16, whose integers end at
   2048, a timed chain starts from zero again every 1024 rounds, and the check sees the last of these.

   NOTES
   - Tiles lie in shared memory as the copy engine's 128-byte swizzle lays them out, four slices of k in a row: this is
     what a matrix product uses, and no two rows of eight meet in a bank.
 * needs: cuda
 */
#include "bench/device.h"
#include "kernels/wgmma.h"

static const char *decline(const struct run *run) {
    int64_t type = run->value[AXIS_DTYPE], n = run->value[AXIS_N];
    bool fp16_sums = type == TYPE_FP16 || type == TYPE_FP8_E4M3 || type == TYPE_FP8_E5M2;
    if (run->value[AXIS_SUMS] == SUMS_FP16 && !fp16_sums) return "fp16 sums exist for fp16 and fp8 only";
    return (n & (n - 1)) != 0 ? "n is measured in powers of two" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void describe(const struct run *run, struct work *work) {
    enum dtype dtype = bench_dtype(run);
    enum metric metric = dtype_is_integer(dtype) ? METRIC_op_rate : METRIC_flop_rate;
    int64_t n = run->value[AXIS_N], k = CHAIN_SLICE_BYTES / (int64_t)dtype_size(dtype);
    int64_t chain = (int64_t)wgmma_rounds(n) * CHAIN_SLICES + 1;
    int64_t warpgroups = (int64_t)WARPGROUPS * device_backend->multiprocessors();
    if (run->variant->run == NULL) return; /* issue counts clocks */
    work->flops = 2.0 * (double)(ROWS * n * k) * (double)(chain * warpgroups);
    bench_add_rate(work, metric, work->flops, limit_flop_rate(run, dtype));
}

static void setup(struct run *run) {
    struct wgmma_state *state = bench_alloc(run, sizeof *state);
    enum dtype dtype = bench_dtype(run);
    bool narrow = run->value[AXIS_SUMS] == SUMS_FP16;
    run->state = state;
    state->chain = (struct matrix_chain){.m = ROWS, .n = (int)run->value[AXIS_N], .dtype = dtype,
                                         .sums = narrow ? DTYPE_fp16 : matrix_chain_sums(dtype), .seed = run->seed,
                                         .zeros = run->zeros};
    matrix_chain_setup(run, &state->chain);
}

static void check(struct run *run, struct verdict *verdict) {
    const struct wgmma_state *state = run->state;
    verdict->error = matrix_chain_error(&state->chain, state->out, state->matrices, state->rounds);
    verdict->tolerance = 0;
}

static const char *const types[] = {[TYPE_FP16] = "fp16", [TYPE_BF16] = "bf16", [TYPE_TF32] = "tf32",
                                    [TYPE_FP8_E4M3] = "fp8_e4m3", [TYPE_FP8_E5M2] = "fp8_e5m2", [TYPE_INT8] = "int8",
                                    [TYPE_COUNT] = NULL};
static const char *const sums[] = {[SUMS_WIDE] = "wide", [SUMS_FP16] = "fp16", NULL};
static const char *const sources[] = {[A_SHARED] = "shared", [A_REGISTERS] = "registers", NULL};

static const struct axis axes[] = {
    [AXIS_DTYPE] = {.name = "dtype", .help = "number format of A and B", .kind = AXIS_WORD, .words = types,
                    .host = {"fp16,fp8_e4m3", "all", "all"}},
    [AXIS_SUMS] = {.name = "sums", .help = "number format of D: wide is fp32, for int8 int32", .kind = AXIS_WORD,
                   .words = sums, .host = {"wide", "wide", "all"}},
    [AXIS_A_FROM] = {.name = "a_from", .help = "where A is", .kind = AXIS_WORD, .words = sources,
                     .host = {"all", "all", "all"}},
    [AXIS_N] = {.name = "n", .help = "columns of B and D", .kind = AXIS_INTEGER,
                .host = {"8,256", "8:256:2", "8:256:2"}, .minimum = N_MIN, .maximum = N_MAX},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "wgmma",
                            .question = "How fast do the warpgroup matrix instructions issue?", .axes = axes,
                            .variants = variants, .decline = decline, .covers = covers, .describe = describe,
                            .setup = setup, .check = check};
