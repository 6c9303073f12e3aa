/* gemm_scales.c: What do finer scales cost in fp8 matrix products?

   C = A B in fp8_e4m3, bf16 out, each element times its scale, in fp32:

     tensor          one scale for A, one for B
     row             one for each row of A and each column of B, applied to finished sums
     1x128           one for each 128 elements along k of a row of A, and of a column of B
     128x128         the same for A, and one for each block of 128 x 128 of B: activations and weights of DeepSeek-V3
                     (arXiv 2412.19437, 3.3.2)

   The last two change within a sum, so that every 128 elements of k the partial sum must leave the matrix units and be
   scaled on the way to its accumulator. Shapes: those of gemm, m x n x k from shape, size and tokens.

   FLOPs 2 m n k; bytes of A, B, C and the scales, each moved once. Held against the fp8 peak.
   Accumulation: cublaslt asks for sums that are moved to fp32 registers every few instructions, cublaslt_fast for sums
   that stay in the matrix unit's short accumulator; with scales along k the library may know but one of them.

   Data: gemm.c; the scales are seeded and different from each other. Check: Freivalds' test and 64 entries in fp64,
   both with each element's own scale.

   Limits: a device alone; k a multiple of 16, and of 128 for scales along k if the library says so.
 * needs: cuda
 */
#include "kernels/lib/gemm_run.h"

enum { AXIS_SHAPE, AXIS_SIZE, AXIS_TOKENS, AXIS_SCALES, AXIS_DTYPE };

static const char *const scale_words[] = {[GEMM_SCALE_TENSOR] = "tensor", [GEMM_SCALE_ROW] = "row",
                                          [GEMM_SCALE_1X128] = "1x128", [GEMM_SCALE_128X128] = "128x128",
                                          [GEMM_SCALING_COUNT] = NULL};
static const char *const dtype_words[] = {"fp8_e4m3", NULL};

static const struct axis axes[] = {
    [AXIS_SHAPE] = {.name = "shape", .help = "square, or a product of a transformer layer", .kind = AXIS_WORD,
                    .words = gemm_shape_names, .host = {"square", "square,mlp_up", "all"}},
    [AXIS_SIZE] = {.name = "size", .help = "m, n and k of square; the hidden size of a layer", .kind = AXIS_INTEGER,
                   .host = {"1k", "2k:8k:2", "1k:16k:2"}, .minimum = 1, .maximum = MIB},
    [AXIS_TOKENS] = {.name = "tokens", .help = "m of a layer's products; square ignores it", .kind = AXIS_INTEGER,
                     .host = {"128", "128,4k", "64,128,4k"}, .minimum = 1, .maximum = 16 * MIB},
    [AXIS_SCALES] = {.name = "scales", .help = "what has a scale of its own", .kind = AXIS_WORD, .words = scale_words,
                     .host = {"all", "all", "all"}},
    [AXIS_DTYPE] = {.name = "dtype", .help = "format of A and B", .kind = AXIS_WORD, .words = dtype_words,
                    .host = {"all", "all", "all"}},
    {0}};

struct gemm_problem gemm_problem_of(const struct run *run) {
    struct gemm_problem problem =
        gemm_problem_make((enum gemm_shape)run->value[AXIS_SHAPE], run->value[AXIS_SIZE], run->value[AXIS_TOKENS],
                          bench_dtype(run), run->seed, run->zeros);
    enum gemm_scaling scaling = (enum gemm_scaling)run->value[AXIS_SCALES];
    problem.scaling_a = scaling == GEMM_SCALE_128X128 ? GEMM_SCALE_1X128 : scaling;
    problem.scaling_b = scaling;
    if (scaling != GEMM_SCALE_TENSOR) problem.alpha = 1;
    return problem;
}

static void describe(const struct run *run, struct work *work) {
    struct gemm_problem problem = gemm_problem_of(run);
    gemm_describe(run, work);
    work->bytes += (double)(gemm_scale_grid(&problem, GEMM_A).count + gemm_scale_grid(&problem, GEMM_B).count) *
                   (double)sizeof(float);
}

/* square has no tokens: one value of them is enough. */
static bool covers(const struct run *run) {
    int64_t first = run->preset == PRESET_FULL ? 64 : 128;
    return run->value[AXIS_SHAPE] != GEMM_SHAPE_square || run->value[AXIS_TOKENS] == first;
}

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "gemm_scales",
                            .question = "What do finer scales cost in fp8 matrix products?", .axes = axes,
                            .variants = variants, .covers = covers, .describe = describe, .setup = gemm_setup,
                            .check = gemm_check};
