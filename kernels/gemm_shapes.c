/* gemm_shapes.c: At which shapes is a matrix product fast?

   C = A B, m x n x k, every combination of the sizes asked for: a map of the rate over m and n for each k. FLOPs
   2 m n k; bytes (m k + k n) of the inputs and m n of the output, each moved once. The rate is held against the peak of
   the format's unit; what a small or thin product may reach at most follows from its bytes, on the roofline.
   After the size search of arXiv 2511.17127, which finds that it takes some 200 GFLOP to come near a peak.

   `layout` says how A and B are stored: nn both row major; nt with B as n x k, how frameworks keep weights, and the one
   of 8-bit formats; tn with A as k x m, which a weight's gradient needs; tt.

   The largest rate of all shapes is gemm_peak's question, what partial tiles cost is gemm_waves'.
   Data, formats and check: gemm.c. On a device cuBLASLt's first guess and our own kernel, on the host OpenBLAS. */
#include "kernels/lib/gemm_run.h"

enum { AXIS_M, AXIS_N, AXIS_K, AXIS_LAYOUT, AXIS_DTYPE };
enum { LAYOUT_A_TRANSPOSED = 1, LAYOUT_B_TRANSPOSED = 2 };

static const char *const layout_words[] = {"nn", "tn", "nt", "tt", NULL};

static const char *const dtype_words[] = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "int8", NULL};

#define DIMENSION(word, text)                                                                                          \
    {                                                                                                                  \
        .name = word, .help = text, .kind = AXIS_INTEGER, .host = {"256,512", "256:2k:2", "128:8k:2"},                 \
        .device = {"1k,2k", "512:16k:2", "128:32k:2"}, .minimum = 1, .maximum = MIB                                    \
    }
static const struct axis axes[] = {
    [AXIS_M] = DIMENSION("m", "rows of A and C"),
    [AXIS_N] = DIMENSION("n", "columns of B and C"),
    [AXIS_K] = {.name = "k", .help = "columns of A, rows of B", .kind = AXIS_INTEGER,
                .host = {"512", "1k", "1k,4k"}, .device = {"1k", "4k", "1k,4k,16k"}, .minimum = 1, .maximum = MIB},
    [AXIS_LAYOUT] = {.name = "layout", .help = "A, then B: n row major as in C = A B, t stored transposed",
                     .kind = AXIS_WORD, .words = layout_words, .host = {"all", "nn", "all"}},
    [AXIS_DTYPE] = {.name = "dtype", .help = "format of A and B", .kind = AXIS_WORD, .words = dtype_words,
                    .host = {"fp32", "fp32", "fp64,fp32"}, .device = {"bf16", "bf16", "bf16,fp16"}},
    {0}};

struct gemm_problem gemm_problem_of(const struct run *run) {
    struct gemm_problem problem =
        gemm_problem_sized(run->value[AXIS_M], run->value[AXIS_N], run->value[AXIS_K], bench_dtype(run),
                           (run->value[AXIS_LAYOUT] & LAYOUT_B_TRANSPOSED) != 0, run->seed, run->zeros);
    problem.a_transposed = (run->value[AXIS_LAYOUT] & LAYOUT_A_TRANSPOSED) != 0;
    return problem;
}

static const char *decline(const struct run *run) {
    enum dtype dtype = bench_dtype(run);
    bool narrow = dtype == DTYPE_fp8_e4m3 || dtype == DTYPE_int8;
    return narrow && run->value[AXIS_LAYOUT] != LAYOUT_B_TRANSPOSED
               ? "8-bit formats are multiplied with B stored transposed alone: --layout nt"
               : NULL;
}

/* The other ways to store A and B make no map of their own: along the diagonal. */
static bool covers(const struct run *run) {
    bool plain = run->value[AXIS_LAYOUT] == 0, smoke = run->preset == PRESET_SMOKE;
    return plain || smoke || run->value[AXIS_M] == run->value[AXIS_N];
}

static const struct variant variants[] = {GEMM_OPENBLAS, {0}};

const struct bench bench = {.suite = "kernels", .name = "gemm_shapes",
                            .question = "At which shapes is a matrix product fast?", .axes = axes,
                            .variants = variants, .decline = decline, .covers = covers, .describe = gemm_describe,
                            .setup = gemm_setup, .check = gemm_check};
