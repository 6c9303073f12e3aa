/* gemm_waves.c: What do partial tiles and partial waves cost a matrix product?

   C = A B, where one `dimension` of m, n, k runs through the sizes in small steps and the other two are `others`.
   A kernel cuts C into tiles, ceil(m / tile_m) ceil(n / tile_n), and the device works on as many at one time as it has
   multiprocessors, in ceil(tiles / multiprocessors) waves. The rate over m or n so is a saw: a size just past a whole
   number of tiles pays for a tile it hardly uses, one just past a whole number of waves for a wave it hardly uses. On
   132 multiprocessors with tiles of 128 x 256 and m = 4096 a wave is 1056 columns. Sizes that are no multiple of 8
   elements lose the wide memory accesses besides. arXiv 2401.14489 draws rules for models from this: dimensions in
   multiples of 64, tiles in whole waves.

   FLOPs 2 m n k; bytes as in gemm.c; data and check too. On a device cuBLASLt, which has a choice of tiles for each
   size, and our own kernel, which has few; on the host OpenBLAS, whose tiles are those of its inner kernel. */
#include "kernels/lib/gemm_run.h"

enum { AXIS_DIMENSION, AXIS_SIZE, AXIS_OTHERS, AXIS_DTYPE };
enum { DIMENSION_M, DIMENSION_N, DIMENSION_K };

static const char *const dimension_words[] = {[DIMENSION_M] = "m", [DIMENSION_N] = "n", [DIMENSION_K] = "k", NULL};
static const char *const dtype_words[] = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "int8", NULL};

static const struct axis axes[] = {
    [AXIS_DIMENSION] = {.name = "dimension", .help = "which one runs through the sizes", .kind = AXIS_WORD,
                        .words = dimension_words, .host = {"n", "n", "all"}, .device = {"n", "n", "all"}},
    [AXIS_SIZE] = {.name = "size", .help = "its size", .kind = AXIS_INTEGER, .minimum = 1, .maximum = MIB,
                   .host = {"500,512", "64:512:+32", "16:1k:+16"},
                   .device = {"1056,1088", "192:4416:+96", "64:8k:+32"}},
    [AXIS_OTHERS] = {.name = "others", .help = "size of the other two", .kind = AXIS_INTEGER, .minimum = 1,
                     .maximum = MIB, .host = {"256", "512", "512"}, .device = {"1k", "4k", "4k"}},
    [AXIS_DTYPE] = {.name = "dtype", .help = "format of A and B", .kind = AXIS_WORD, .words = dtype_words,
                    .host = {"fp32", "fp32", "fp64,fp32"}, .device = {"bf16", "bf16", "bf16,fp8_e4m3"}},
    {0}};

struct gemm_problem gemm_problem_of(const struct run *run) {
    int64_t size[] = {run->value[AXIS_OTHERS], run->value[AXIS_OTHERS], run->value[AXIS_OTHERS]};
    size[run->value[AXIS_DIMENSION]] = run->value[AXIS_SIZE];
    return gemm_problem_sized(size[DIMENSION_M], size[DIMENSION_N], size[DIMENSION_K], bench_dtype(run), false,
                              run->seed, run->zeros);
}

static const struct variant variants[] = {GEMM_OPENBLAS, {0}};

const struct bench bench = {.suite = "kernels", .name = "gemm_waves",
                            .question = "What do partial tiles and partial waves cost a matrix product?", .axes = axes,
                            .variants = variants, .describe = gemm_describe, .setup = gemm_setup, .check = gemm_check};
