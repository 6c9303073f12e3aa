/* mma: how long does a warp's matrix instruction take, and how many can a device do?

   mma.sync: D (m x n) += A (m x k) B (k x n) by one warp, all operands in its registers; the instruction of the
   generations before Hopper's wgmma, and all that code written for them uses. After arXiv 2402.13499 and 2501.12084.

   With `sparsity` sparse it is mma.sp: half of A is zero, two of every four, and not stored.

   latency       one warp, one chain: each instruction adds to the result of the one before. latency_clocks is the
                 difference of a long and a short chain over the instructions between them.
   issue         one warp, eight independent chains: issue_clocks is how soon a warp's next instruction goes in. A
                 multiprocessor has four such warps working at a time.
   throughput    16 warps on every multiprocessor, eight chains in each (fp8: one)
   throughput_one  the same on one multiprocessor

   FLOP (int8: operations): 2 m n k an instruction, zeros of a sparse A included. Bytes: none outside the
   multiprocessor. Time is taken inside the kernel. Limit: the matrix units at the boost clock, which on Hopper wgmma
   alone reaches (the papers find 62.9 % with mma.sync). Limit of an interval: a quarter of a multiprocessor's units, at
   their rate. Data: lib/matrix_chain.h; a slice is one instruction, or two of half its k; in fp64 also half or a
   quarter of one.

   Check: every element of every accumulator, exactly, at the timed length.

   NOTES
   - Hopper has no fp8 form of this instruction. The machine code unpacks the operands to fp16, multiplies them in two
     instructions that start from zero and adds the product to D in fp32. Unpacking, which a real product pays for each
     operand, happens before the loop here, since the operands come back.
   - Eight chains a warp and four warps a scheduler keep 32 instructions in flight, when eight would hide the latency.
   - Every row of a sparse A keeps the same places, so that all threads give the same metadata.
 * needs: cuda
 */
#include "kernels/mma.h"

static const struct mma_dimensions dimensions[SHAPE_COUNT] = {
#define MMA_SHAPE_DIMENSIONS(name, m, n, k) [SHAPE_##name] = {m, n, k},
    MMA_SHAPES(MMA_SHAPE_DIMENSIONS)
#undef MMA_SHAPE_DIMENSIONS
};

/* Shapes by type, as bits. */
#define SHAPE(name) (1 << SHAPE_##name)
static const int shapes_of[2][TYPE_COUNT] = {
    [DENSE] = {[TYPE_FP64] = SHAPE(m8n8k4) | SHAPE(m16n8k4) | SHAPE(m16n8k8) | SHAPE(m16n8k16),
               [TYPE_FP16] = SHAPE(m16n8k8) | SHAPE(m16n8k16),
               [TYPE_BF16] = SHAPE(m16n8k8) | SHAPE(m16n8k16),
               [TYPE_TF32] = SHAPE(m16n8k4) | SHAPE(m16n8k8),
               [TYPE_FP8_E4M3] = SHAPE(m16n8k32),
               [TYPE_FP8_E5M2] = SHAPE(m16n8k32),
               [TYPE_INT8] = SHAPE(m8n8k16) | SHAPE(m16n8k16) | SHAPE(m16n8k32)},
    [SPARSE] = {[TYPE_FP16] = SHAPE(m16n8k16) | SHAPE(m16n8k32),
                [TYPE_BF16] = SHAPE(m16n8k16) | SHAPE(m16n8k32),
                [TYPE_TF32] = SHAPE(m16n8k8) | SHAPE(m16n8k16),
                [TYPE_FP8_E4M3] = SHAPE(m16n8k64),
                [TYPE_FP8_E5M2] = SHAPE(m16n8k64),
                [TYPE_INT8] = SHAPE(m16n8k32) | SHAPE(m16n8k64)}};

static const char *decline(const struct run *run) {
    int64_t type = run->value[AXIS_DTYPE], sparsity = run->value[AXIS_SPARSITY];
    if (run->value[AXIS_SUMS] == SUMS_FP16 && type != TYPE_FP16) return "fp16 sums are measured for fp16 only";
    if (shapes_of[sparsity][type] >> run->value[AXIS_SHAPE] & 1) return NULL;
    return sparsity == SPARSE ? "the type has no sparse instruction of this shape"
                              : "the type has no instruction of this shape";
}

static bool covers(const struct run *run) {
    return decline(run) == NULL;
}

static void setup(struct run *run) {
    struct mma_state *state = bench_alloc(run, sizeof *state);
    enum dtype dtype = bench_dtype(run);
    int k = (int)(CHAIN_SLICE_BYTES / dtype_size(dtype)) * (run->value[AXIS_SPARSITY] == SPARSE ? 2 : 1);
    bool narrow = run->value[AXIS_SUMS] == SUMS_FP16;
    run->state = state;
    state->shape = dimensions[run->value[AXIS_SHAPE]];
    state->instructions = (double)k / state->shape.k;
    state->chain = (struct matrix_chain){.m = state->shape.m, .n = state->shape.n, .dtype = dtype,
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

static const char *const sparsities[] = {[DENSE] = "dense", [SPARSE] = "sparse", NULL};

static const struct axis axes[] = {
    [AXIS_DTYPE] = {.name = "dtype", .help = "number format of A and B", .kind = AXIS_WORD, .words = types,
                    .host = {"all", "all", "all"}},
    [AXIS_SUMS] = {.name = "sums", .help = "number format of D: wide is fp64, int32 or fp32 by dtype",
                   .kind = AXIS_WORD, .words = sums, .host = {"wide", "all", "all"}},
    [AXIS_SHAPE] = {.name = "shape", .help = "of the instruction", .kind = AXIS_WORD, .words = shapes,
                    .host = {"all", "all", "all"}},
    [AXIS_SPARSITY] = {.name = "sparsity", .help = "sparse: half of A is zero, by 2:4 (tf32: 1:2)", .kind = AXIS_WORD,
                       .words = sparsities, .host = {"all", "all", "all"}},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "mma",
                            .question = "How long does a warp's matrix instruction take, and how many can a device do?",
                            .axes = axes, .variants = variants, .decline = decline, .covers = covers,
                            .setup = setup, .check = check};
