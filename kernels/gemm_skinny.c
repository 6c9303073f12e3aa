/* gemm_skinny.c: How fast are products with few rows, where reading the weights is most of the work?

   C = A B of a layer while a model generates: A (tokens x k) holds 1 .. 256 tokens, B a layer's weights, stored as
   frameworks store them, n x k. The layers are those of models with 8 and 70 thousand million parameters, k x n:

     8b_qkv 4096 x 6144     8b_output 4096 x 4096     8b_up 4096 x 28672 (gate and up)     8b_down 14336 x 4096
     70b_qkv 8192 x 10240   70b_output 8192 x 8192    70b_up 8192 x 57344                  70b_down 28672 x 8192

   FLOPs 2 tokens n k; bytes (tokens k + k n) of the inputs and tokens n of the output, each moved once. With few tokens
   bandwidth is the figure, held against the memory's; flop_rate is held against what the bytes allow, or the peak of
   the format's unit where that is lower. On an H200 in bf16 the two meet near 206 FLOP a byte, 210 tokens.
   Weights in half the bytes (fp8) halve the time as long as bytes decide.

   Data, formats and check: gemm.c. On a device cuBLASLt (its first guess, and the fastest of its guesses) and our own
   kernel, which has a small tile for this but splits no k; on the host OpenBLAS. */
#include "kernels/lib/gemm_run.h"

enum { AXIS_LAYER, AXIS_TOKENS, AXIS_DTYPE };

/* X(name, k, n) */
#define LAYERS(X)                                                                                                      \
    X(8b_qkv, 4096, 6144)                                                                                              \
    X(8b_output, 4096, 4096)                                                                                           \
    X(8b_up, 4096, 28672)                                                                                              \
    X(8b_down, 14336, 4096)                                                                                            \
    X(70b_qkv, 8192, 10240)                                                                                            \
    X(70b_output, 8192, 8192)                                                                                          \
    X(70b_up, 8192, 57344)                                                                                             \
    X(70b_down, 28672, 8192)

static const char *const layer_words[] = {
#define LAYER_WORD(name, k, n) #name,
    LAYERS(LAYER_WORD)
#undef LAYER_WORD
    NULL};
static const struct {
    int64_t k, n;
} layers[] = {
#define LAYER_SIZE(name, inner, columns) {inner, columns},
    LAYERS(LAYER_SIZE)
#undef LAYER_SIZE
};

static const char *const dtype_words[] = {"fp64", "fp32", "bf16", "fp16", "fp8_e4m3", "int8", NULL};

static const struct axis axes[] = {
    [AXIS_LAYER] = {.name = "layer", .help = "whose weights B holds", .kind = AXIS_WORD, .words = layer_words,
                    .host = {"8b_output", "8b_qkv,8b_output", "8b_qkv,8b_output,8b_up,8b_down"},
                    .device = {"8b_output", "8b_qkv,8b_up,70b_output,70b_down", "all"}},
    [AXIS_TOKENS] = {.name = "tokens", .help = "rows of A and C", .kind = AXIS_INTEGER, .minimum = 1, .maximum = MIB,
                     .host = {"1,8", "1:64:4", "1:256:2"}, .device = {"1,64", "1:256:4", "1:256:2"}},
    [AXIS_DTYPE] = {.name = "dtype", .help = "format of A and B", .kind = AXIS_WORD, .words = dtype_words,
                    .host = {"fp32", "fp32", "fp64,fp32"}, .device = {"bf16", "bf16,fp8_e4m3", "bf16,fp16,fp8_e4m3"}},
    {0}};

struct gemm_problem gemm_problem_of(const struct run *run) {
    return gemm_problem_sized(run->value[AXIS_TOKENS], layers[run->value[AXIS_LAYER]].n,
                              layers[run->value[AXIS_LAYER]].k, bench_dtype(run), true, run->seed, run->zeros);
}

static void describe(const struct run *run, struct work *work) {
    gemm_describe(run, work);
    struct limit memory = limit_memory_bandwidth(run), *peak = &work->rates[0].limit;
    double allowed = memory.value * work->flops / work->bytes;
    if (allowed > 0 && (peak->value <= 0 || allowed < peak->value))
        *peak = (struct limit){allowed, "bytes moved once, by the memory's limit"};
    bench_add_rate(work, METRIC_bandwidth, work->bytes, memory);
}

static const struct variant variants[] = {GEMM_OPENBLAS, {0}};

const struct bench bench = {.suite = "kernels", .name = "gemm_skinny",
                            .question = "How fast are products with few rows, whose weights must all be read?",
                            .axes = axes, .variants = variants, .describe = describe, .setup = gemm_setup,
                            .check = gemm_check};
