/* wgmma: how fast do Hopper's warpgroup matrix instructions issue?

   wgmma.mma_async m64nNk(32 bytes): D (64 x N) += A (64 x k) B (k x N), k = 8 tf32, 16 fp16 or bf16, 32 fp8 or int8;
   B from shared memory, A (`a_from`) from shared memory or registers. With `sparsity` sparse it is wgmma.mma_async.sp:
   half of A is zero, two of every four, and not stored; k is twice as long. After arXiv 2402.13499 and 2501.12084.

   issue         one warpgroup on one multiprocessor. issue_clocks: between instructions of a long chain on one
                 accumulator, none of which is waited for; latency_clocks: of one instruction that is waited for before
                 the next is issued. Both are the difference of a long and a short chain over the instructions between
                 them, so that starting and ending cancel.
   throughput    `warpgroups` on every multiprocessor, each a chain as above
   throughput_one  the same on one multiprocessor

   FLOP (int8: operations): 2 * 64 * N * k an instruction, zeros of a sparse A included. Bytes: none outside the
   multiprocessor. Time is taken inside the kernel, from the first warpgroup's start to the last one's end.
   Limit of a clock count: the matrix units of a multiprocessor take 64 N k / (N / 2) multiply-adds a clock, so N / 2
   clocks, whatever the type; shared memory delivers 128 bytes a clock, so N / 4 for B (sparse: N / 2) and 16 for A.
   Limit of a rate: the matrix units at the boost clock; rate_at_clock is the share at the clock that the kernel itself
   counted, which under a power limit is the lower one.
   Data: lib/matrix_chain.h; `values` zeros, or --data zeros for all: the units draw less power and, all together, clock
   higher.

   Check: every element of every accumulator, exactly, at the timed length; where sums are fp16, whose integers end at
   2048, a timed chain starts from zero again every 1024 rounds, and the check sees the last of these.

   NOTES
   - Tiles lie in shared memory as the copy engine's 128-byte swizzle lays them out, four slices of k in a row: this is
     what a matrix product uses, and no two rows of eight meet in a bank.
 * needs: cuda
 */
#include "kernels/wgmma.h"

static const char *decline(const struct run *run) {
    int64_t type = run->value[AXIS_DTYPE], n = run->value[AXIS_N];
    bool fp16_sums = type == TYPE_FP16 || type == TYPE_FP8_E4M3 || type == TYPE_FP8_E5M2;
    bool narrow = run->value[AXIS_SUMS] == SUMS_FP16;
    if (narrow && !fp16_sums) return "fp16 sums exist for fp16 and fp8 only";
    if (narrow && run->value[AXIS_SPARSITY] == SPARSE) return "sparse instructions are measured with wide sums";
    return (n & (n - 1)) != 0 ? "n is measured in powers of two" : NULL;
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void setup(struct run *run) {
    struct wgmma_state *state = bench_alloc(run, sizeof *state);
    enum dtype dtype = bench_dtype(run);
    bool narrow = run->value[AXIS_SUMS] == SUMS_FP16;
    run->state = state;
    state->chain = (struct matrix_chain){.m = ROWS, .n = (int)run->value[AXIS_N], .dtype = dtype,
                                         .sums = narrow ? DTYPE_fp16 : matrix_chain_sums(dtype), .seed = run->seed,
                                         .zeros = run->zeros || run->value[AXIS_VALUES] == VALUES_ZEROS};
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

static const char *const sparsities[] = {[DENSE] = "dense", [SPARSE] = "sparse", NULL};
static const char *const values[] = {[VALUES_RANDOM] = "random", [VALUES_ZEROS] = "zeros", NULL};

static const struct axis axes[] = {
    [AXIS_DTYPE] = {.name = "dtype", .help = "number format of A and B", .kind = AXIS_WORD, .words = types,
                    .host = {"fp16,fp8_e4m3", "all", "all"}},
    [AXIS_SUMS] = {.name = "sums", .help = "number format of D: wide is fp32, for int8 int32", .kind = AXIS_WORD,
                   .words = sums, .host = {"wide", "wide", "all"}},
    [AXIS_A_FROM] = {.name = "a_from", .help = "where A is", .kind = AXIS_WORD, .words = sources,
                     .host = {"all", "all", "all"}},
    [AXIS_N] = {.name = "n", .help = "columns of B and D", .kind = AXIS_INTEGER,
                .host = {"8,256", "8:256:2", "8:256:2"}, .minimum = N_MIN, .maximum = N_MAX},
    [AXIS_SPARSITY] = {.name = "sparsity", .help = "sparse: half of A is zero, by 2:4 (tf32: 1:2)", .kind = AXIS_WORD,
                       .words = sparsities, .host = {"all", "all", "all"}},
    [AXIS_WARPGROUPS] = {.name = "warpgroups", .help = "chains side by side on a multiprocessor", .kind = AXIS_INTEGER,
                         .host = {"1", "1,2", "1,2"}, .minimum = 1, .maximum = WARPGROUPS_MAX},
    [AXIS_VALUES] = {.name = "values", .help = "what is in A and B", .kind = AXIS_WORD, .words = values,
                     .host = {"random", "all", "all"}},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "wgmma",
                            .question = "How fast do the warpgroup matrix instructions issue?", .axes = axes,
                            .variants = variants, .decline = decline, .covers = covers, .setup = setup, .check = check};
