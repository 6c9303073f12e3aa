/* mma: how long does a warp's matrix instruction take, and how many can a device do?

   mma.sync: D (m x n) += A (m x k) B (k x n) by one warp, all operands in its registers; the instruction of the
   generations before Hopper's wgmma, and all that code written for them uses. After arXiv 2402.13499 and 2501.12084.

   latency       one warp, one chain: each instruction adds to the result of the one before. latency_clocks is the
                 difference of a long and a short chain over the instructions between them.
   throughput    16 warps on every multiprocessor, four independent chains in each (fp8: one)

   FLOP (int8: operations): 2 m n k an instruction. Bytes: none outside the multiprocessor. Limit: the matrix units at
   the boost clock, which on Hopper wgmma alone reaches (the papers find 62.9 % with mma.sync).
   Data: lib/matrix_chain.h; a slice is one instruction, or two of half its k.

   Check: every element of every accumulator, exactly, at the timed length.

   NOTES
   - Hopper has no fp8 form of this instruction. The machine code unpacks the operands to fp16, multiplies them in two
     instructions that start from zero and adds the product to D in fp32. Unpacking, which a real product pays for each
     operand, happens before the loop here, since the operands come back.
   - Four chains a warp and four warps a scheduler keep 16 instructions in flight, when four would hide the latency.
 * needs: cuda
 */
#include "bench/device.h"
#include "kernels/mma.h"

static const struct {
    int m, n, k;
} dimensions[SHAPE_COUNT] = {
#define MMA_SHAPE_DIMENSIONS(name, m, n, k) [SHAPE_##name] = {m, n, k},
    MMA_SHAPES(MMA_SHAPE_DIMENSIONS)
#undef MMA_SHAPE_DIMENSIONS
};

/* Shapes by type, as bits. */
#define SHAPE(name) (1 << SHAPE_##name)
static const int shapes_of[TYPE_COUNT] = {
    [TYPE_FP64] = SHAPE(m8n8k4) | SHAPE(m16n8k4),   [TYPE_FP16] = SHAPE(m16n8k8) | SHAPE(m16n8k16),
    [TYPE_BF16] = SHAPE(m16n8k8) | SHAPE(m16n8k16), [TYPE_TF32] = SHAPE(m16n8k4) | SHAPE(m16n8k8),
    [TYPE_FP8_E4M3] = SHAPE(m16n8k32),              [TYPE_FP8_E5M2] = SHAPE(m16n8k32),
    [TYPE_INT8] = SHAPE(m16n8k16) | SHAPE(m16n8k32)};

static const char *decline(const struct run *run) {
    int64_t type = run->value[AXIS_DTYPE];
    if (run->value[AXIS_SUMS] == SUMS_FP16 && type != TYPE_FP16) return "fp16 sums are measured for fp16 only";
    return shapes_of[type] >> run->value[AXIS_SHAPE] & 1 ? NULL : "the type has no instruction of this shape";
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void describe(const struct run *run, struct work *work) {
    enum dtype dtype = bench_dtype(run);
    enum metric metric = dtype_is_integer(dtype) ? METRIC_op_rate : METRIC_flop_rate;
    int64_t shape = run->value[AXIS_SHAPE], k = CHAIN_SLICE_BYTES / (int64_t)dtype_size(dtype);
    int64_t chains = (int64_t)mma_chains_of(run->value[AXIS_DTYPE]) * WARPS * device_backend->multiprocessors();
    if (run->variant->run == NULL) return; /* latency counts clocks */
    work->flops = 2.0 * (double)(dimensions[shape].m * dimensions[shape].n * k) *
                  (double)(((int64_t)ROUNDS * CHAIN_SLICES + 1) * chains);
    bench_add_rate(work, metric, work->flops, limit_flop_rate(run, dtype));
}

static void setup(struct run *run) {
    struct mma_state *state = bench_alloc(run, sizeof *state);
    enum dtype dtype = bench_dtype(run);
    int64_t shape = run->value[AXIS_SHAPE];
    bool narrow = run->value[AXIS_SUMS] == SUMS_FP16;
    run->state = state;
    state->instructions = CHAIN_SLICE_BYTES / (int)dtype_size(dtype) / dimensions[shape].k;
    state->chain = (struct matrix_chain){.m = dimensions[shape].m, .n = dimensions[shape].n, .dtype = dtype,
                                         .sums = narrow ? DTYPE_fp16 : matrix_chain_sums(dtype), .seed = run->seed,
                                         .zeros = run->zeros};
    matrix_chain_setup(run, &state->chain);
}

static void check(struct run *run, struct verdict *verdict) {
    const struct mma_state *state = run->state;
    verdict->error = matrix_chain_error(&state->chain, state->out, state->matrices, ROUNDS);
    verdict->tolerance = 0;
}

static const char *const types[] = {[TYPE_FP64] = "fp64", [TYPE_FP16] = "fp16", [TYPE_BF16] = "bf16",
                                    [TYPE_TF32] = "tf32", [TYPE_FP8_E4M3] = "fp8_e4m3",
                                    [TYPE_FP8_E5M2] = "fp8_e5m2", [TYPE_INT8] = "int8", [TYPE_COUNT] = NULL};
static const char *const sums[] = {[SUMS_WIDE] = "wide", [SUMS_FP16] = "fp16", NULL};
static const char *const shapes[] = {
#define MMA_SHAPE_NAME(name, m, n, k) [SHAPE_##name] = #name,
    MMA_SHAPES(MMA_SHAPE_NAME)
#undef MMA_SHAPE_NAME
    NULL};

static const struct axis axes[] = {
    [AXIS_DTYPE] = {.name = "dtype", .help = "number format of A and B", .kind = AXIS_WORD, .words = types,
                    .host = {"all", "all", "all"}},
    [AXIS_SUMS] = {.name = "sums", .help = "number format of D: wide is fp64, int32 or fp32 by dtype",
                   .kind = AXIS_WORD, .words = sums, .host = {"wide", "all", "all"}},
    [AXIS_SHAPE] = {.name = "shape", .help = "of the instruction", .kind = AXIS_WORD, .words = shapes,
                    .host = {"all", "all", "all"}},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "mma",
                            .question = "How long does a warp's matrix instruction take, and how many can a device do?",
                            .axes = axes, .variants = variants, .decline = decline, .covers = covers,
                            .describe = describe, .setup = setup, .check = check};
