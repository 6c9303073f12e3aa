/* gemm.c: How fast are matrix products, square and of a transformer layer, in every number format?

   C = A B, row major, A (m x k), B (k x n), C (m x n), by shape and size:

     square                     m = n = k = size                    (tokens has no meaning)
     qkv                        m = tokens, n = 3 size, k = size
     attention_output           m = tokens, n = size,   k = size
     mlp_up, mlp_down           m = tokens, n = 4 size, k = size and the other way round
     logits                     m = tokens, n = 50304,  k = size

   with size the hidden size h and tokens = b * s of arXiv 2401.14489, whose study of GEMM rate against h this follows.
   FLOPs 2 m n k; bytes (m k + k n) of the inputs and m n of the output, each moved once; the rate is FLOPs over the
   median time, held against the peak of the format's unit.

   Formats: what A and B are kept in. C is the same, but fp32 from tf32, bf16 from fp8_e4m3 and int32 from int8; sums
   are kept in fp64, fp32 or int32. The data are seeded N(0,1), scaled into the 8-bit formats: lib/gemm_problem.h.

   On the host: openblas (fp32, fp64); plain, blocked loops that show what the library is worth; openblas_paired, which
   makes each call twice, through bench/blas.h as every program here does and straight through cblas.h, in turn and in
   alternating order. Its `ratio` is the median of the first time over the second; its `flop_rate` is of the second.
   On a device (gemm.cu): cuBLASLt, and our own kernel for Hopper.

   Check, at the timed size: Freivalds' test (bench/check.h) over all of C, and 64 entries spread over C recomputed in
   fp64. The tolerance follows from the formats: gemm_tolerance in lib/gemm_problem.c.

   Limits: operands are packed, neither transposed but B in 8-bit formats; one product a call, no batches.

   NOTES
   - OpenBLAS chooses its kernels by the processor's model, and a release older than the processor falls back: 0.3.21
     on an EPYC with AVX-512 (2 threads, fp32, 2048) takes its Haswell set and gives 217 GFLOP/s, and with
     OPENBLAS_CORETYPE=SkylakeX in the environment 430, of 491 by FMA chains. A low limit_share on a new machine is
     worth that try; the manifest names the set in use.
   - OpenBLAS makes its threads with the affinity of the caller; pinned as the harness pins, all would share a core.
     blas_set_threads lets the caller loose meanwhile, so that the paired calls get a plain program's threads. */
#include "bench/statistics.h"
#include "kernels/lib/gemm_direct.h"
#include "kernels/lib/gemm_run.h"

enum { AXIS_SHAPE, AXIS_SIZE, AXIS_TOKENS, AXIS_DTYPE };

static const char *const dtype_words[] = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "int8", NULL};

static const struct axis axes[] = {
    {.name = "shape",
     .help = "square, or a product of a transformer layer: m x n x k follow from it, size and tokens",
     .kind = AXIS_WORD,
     .host = {"square", "all", "all"},
     .device = {"square", "all", "all"},
     .words = gemm_shape_names},
    {.name = "size",
     .help = "m, n and k of square; the hidden size of a layer",
     .kind = AXIS_INTEGER,
     .host = {"256,512", "512:4k:2", "512:8k:2"},
     .device = {"1k", "1k:16k:2", "1k:16k:2"},
     .minimum = 1,
     .maximum = MIB},
    {.name = "tokens",
     .help = "m of a layer's products; square ignores it",
     .kind = AXIS_INTEGER,
     .host = {"512", "512", "512"},
     .device = {"8k", "8k", "8k"},
     .minimum = 1,
     .maximum = 16 * MIB},
    {.name = "dtype",
     .help = "format of A and B",
     .kind = AXIS_WORD,
     .host = {"fp64,fp32", "fp64,fp32", "fp64,fp32"},
     .device = {"all", "all", "all"},
     .words = dtype_words},
    {0},
};

struct gemm_problem gemm_problem_of(const struct run *run) {
    return gemm_problem_make((enum gemm_shape)run->value[AXIS_SHAPE], run->value[AXIS_SIZE], run->value[AXIS_TOKENS],
                             bench_dtype(run), run->seed, run->zeros);
}

static bool is_fp64(const struct gemm *gemm) {
    return gemm->problem.dtype == DTYPE_fp64;
}

/* quick leaves out of the product of its axes: a layer's products but at common hidden sizes and formats, and the
   largest sizes of the formats that need seconds a call there. */
static bool covers(const struct run *run) {
    bool device = run->variant->place == PLACE_DEVICE, square = run->value[AXIS_SHAPE] == GEMM_SHAPE_square;
    int64_t size = run->value[AXIS_SIZE];
    enum dtype dtype = bench_dtype(run);
    if (run->preset == PRESET_FULL) return true;
    if (!device) return square ? size <= (dtype == DTYPE_fp64 ? 2048 : 4096) : size == 1024 && dtype == DTYPE_fp32;
    if (square) return size <= (dtype == DTYPE_fp64 || dtype == DTYPE_fp32 ? 8192 : 16384);
    return (size == 4096 || size == 8192) && (dtype == DTYPE_bf16 || dtype == DTYPE_fp8_e4m3);
}

static void run_direct(struct run *run) {
    struct gemm *gemm = run->state;
    int64_t m = gemm->problem.m, n = gemm->problem.n, k = gemm->problem.k;
    if (is_fp64(gemm)) gemm_direct_fp64(m, n, k, gemm->a, gemm->b, gemm->c);
    else gemm_direct_fp32(m, n, k, gemm->a, gemm->b, gemm->c);
}

/* Pairs until the budget is spent, but at least PAIRS_MIN: the median of fewer is no figure to hold 2 % against. */
static void measure_paired(struct run *run) {
    enum { PAIRS_MIN = 9, PAIRS_MAX = 512, PATIENCE = 8 };
    void (*const call[2])(struct run *) = {gemm_run_openblas, run_direct};
    double seconds[2][PAIRS_MAX], ratio[PAIRS_MAX];
    size_t pairs = 0;
    double start = bench_seconds();
    call[0](run); /* warm up */
    if ((bench_seconds() - start) * 2 * PAIRS_MIN > PATIENCE * run->budget)
        bench_skip(run, "%d pairs of calls would take more than %d times the time given to a case", PAIRS_MIN,
                   PATIENCE);
    call[1](run);
    double now = start = bench_seconds();
    while (pairs < PAIRS_MAX && (pairs < PAIRS_MIN || now - start < run->budget)) {
        for (size_t half = 0; half < 2; half++) {
            size_t which = (half + pairs) % 2;
            call[which](run);
            double then = now;
            now = bench_seconds();
            seconds[which][pairs] = now - then;
        }
        ratio[pairs] = seconds[0][pairs] / seconds[1][pairs];
        pairs++;
    }
    struct gemm *gemm = run->state;
    bench_report_plain(run, METRIC_ratio, statistics(ratio, pairs).median, (struct limit){0, NULL});
    bench_report_samples(run, METRIC_flop_rate, gemm_flops(&gemm->problem), seconds[1], pairs,
                         limit_flop_rate(run, gemm->problem.dtype));
}

static bool covers_paired(const struct run *run) {
    int64_t size = run->value[AXIS_SIZE];
    return run->value[AXIS_SHAPE] == GEMM_SHAPE_square && (size == 512 || size == 2048);
}

static bool covers_plain(const struct run *run) {
    return run->value[AXIS_SHAPE] == GEMM_SHAPE_square && run->value[AXIS_SIZE] <= 1024;
}

static const char *decline_plain(const struct run *run) {
    struct gemm_problem problem = gemm_problem_of(run);
    if (gemm_flops(&problem) > 2.0 * GIB) return "plain loops are timed up to 1024 x 1024 x 1024";
    return gemm_declines_host(run);
}

/* Tiles of ROWS rows of C by COLUMNS columns, DEPTH at a time: the part of B in use stays in the second-level cache,
   and the innermost loop runs along rows of B and C, which the compiler vectorizes. */
#define DEFINE_PLAIN(name, type)                                                                                       \
    static void name(const struct gemm_problem *problem, int threads, const type *a, const type *b, type *c) {         \
        enum { ROWS = 32, COLUMNS = 512, DEPTH = 64 };                                                                 \
        const int64_t m = problem->m, n = problem->n, k = problem->k;                                                  \
        _Pragma("omp parallel for collapse(2) schedule(static) num_threads(threads)")                                  \
        for (int64_t i0 = 0; i0 < m; i0 += ROWS) {                                                                     \
            for (int64_t j0 = 0; j0 < n; j0 += COLUMNS) {                                                              \
                int64_t i1 = i0 + ROWS < m ? i0 + ROWS : m, j1 = j0 + COLUMNS < n ? j0 + COLUMNS : n;                  \
                for (int64_t i = i0; i < i1; i++)                                                                      \
                    for (int64_t j = j0; j < j1; j++) c[i * n + j] = 0;                                                \
                for (int64_t p0 = 0; p0 < k; p0 += DEPTH)                                                              \
                    for (int64_t i = i0; i < i1; i++)                                                                  \
                        for (int64_t p = p0; p < p0 + DEPTH && p < k; p++)                                             \
                            for (int64_t j = j0; j < j1; j++) c[i * n + j] += a[i * k + p] * b[p * n + j];             \
            }                                                                                                          \
        }                                                                                                              \
    }
DEFINE_PLAIN(multiply_fp32, float)
DEFINE_PLAIN(multiply_fp64, double)
#undef DEFINE_PLAIN

static void run_plain(struct run *run) {
    struct gemm *gemm = run->state;
    if (is_fp64(gemm)) multiply_fp64(&gemm->problem, run->threads, gemm->a, gemm->b, gemm->c);
    else multiply_fp32(&gemm->problem, run->threads, gemm->a, gemm->b, gemm->c);
}

static const struct variant variants[] = {
    GEMM_OPENBLAS,
    {.name = "openblas_paired",
     .backend = "openblas",
     .place = PLACE_HOST,
     .decline = gemm_declines_openblas,
     .setup = gemm_setup_openblas,
     .measure = measure_paired,
     .covers = covers_paired},
    {.name = "plain",
     .backend = "openmp",
     .place = PLACE_HOST,
     .decline = decline_plain,
     .run = run_plain,
     .covers = covers_plain},
    {0},
};

const struct bench bench = {
    .suite = "kernels",
    .name = "gemm",
    .question = "How fast are matrix products, square and of a transformer layer, in every number format?",
    .axes = axes,
    .variants = variants,
    .covers = covers,
    .describe = gemm_describe,
    .setup = gemm_setup,
    .check = gemm_check,
};
