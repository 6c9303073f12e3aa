/* gemm_shapes.c: At which shapes is a matrix product fast?

   C = A B, m x n x k, every combination of the sizes asked for: a map of the rate over m and n for each k. FLOPs
   2 m n k; bytes (m k + k n) of the inputs and m n of the output, each moved once. The rate is held against the peak of
   the format's unit; what a small or thin product may reach at most follows from its bytes, on the roofline.
   After the size search of arXiv 2511.17127, which finds that it takes some 200 GFLOP to come near a peak.

   The largest rate of all shapes is gemm_peak's question, what partial tiles cost is gemm_waves'.
   Data, formats and check: gemm.c. On a device cuBLASLt's first guess and our own kernel, on the host OpenBLAS. */
#include "kernels/lib/gemm_run.h"

enum { AXIS_M, AXIS_N, AXIS_K, AXIS_DTYPE };

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
    [AXIS_DTYPE] = {.name = "dtype", .help = "format of A and B", .kind = AXIS_WORD, .words = dtype_words,
                    .host = {"fp32", "fp32", "fp64,fp32"}, .device = {"bf16", "bf16", "bf16,fp8_e4m3"}},
    {0}};

struct gemm_problem gemm_problem_of(const struct run *run) {
    return gemm_problem_sized(run->value[AXIS_M], run->value[AXIS_N], run->value[AXIS_K], bench_dtype(run), false,
                              run->seed, run->zeros);
}

static const struct variant variants[] = {GEMM_OPENBLAS, {0}};

const struct bench bench = {.suite = "kernels", .name = "gemm_shapes",
                            .question = "At which shapes is a matrix product fast?", .axes = axes,
                            .variants = variants, .describe = gemm_describe, .setup = gemm_setup, .check = gemm_check};
