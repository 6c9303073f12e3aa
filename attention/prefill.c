/* prefill: How fast is softmax attention over a whole prompt?

   The forward pass, in which every token of `batch` sequences is a query, as in training and in the reading of a
   prompt: output = softmax(scale query key^T) value, under a mask. Shapes are given as a model gives them:

     batch     = tokens / seq, at least 1               heads    = hidden / head_dim
     queries   = seq                                    kv_heads = heads / group
     keys      = past + seq                             scale    = 1 / sqrt(head_dim)

   so that the default grid on a device, 16k tokens in all and hidden 2048, is that of the FlashAttention papers
   (arXiv 2205.14135, 2307.08691, 2407.08608), and --past reads a prompt in chunks. Operands are packed,
   [batch][head][token][head_dim]; the log-sum-exp of every row is kept, as training needs it.

   FLOPs: 4 * area * batch * heads * head_dim, area = pairs of query and key that the mask allows, counted exactly
   (causal: seq (seq + 1) / 2, not half the square); the softmax is not counted. Bytes: query, key, value and output
   once, and 4 a row for log_sum_exp. Limit: the FLOP rate of the operands' format.

   On the host tiled (op/softmax_tiled.c: memory linear in seq) and openblas (op/softmax_blas.c: two products with the
   scores between), on a device plain (op/softmax_plain.cu) and cudnn (op/softmax_cudnn.c).

   Check, at the timed size: 64 rows of (batch, head, query), one from each of 64 equal strata, recomputed in fp64 from
   the operands that were timed: op/softmax_reference.c. Data: seeded N(0,1).

   Limits: value vectors are as long as key vectors; no dropout, no bias. The host computes in fp32 alone. Presets leave
   out what covers below says; the plain kernel is in them up to 0.3 TFLOP.

   NOTES
   - tiled on an EPYC with AVX-512, one thread, full mask, 2048 tokens, head_dim 64: 199 GFLOP/s, where FMA chains reach
     260; 217 with the softmax left out. Tiles of 64 or of 256 keys instead of 128: 193, 194. head_dim 256: 207.
   - vector_splat written as 0 + x is an addition before each broadcast, because 0 + -0 is not -0; x - 0 is none.
   - openblas takes twice the time of tiled there with OpenBLAS 0.3.21, which does not know the processor: see
     kernels/gemm.c. */
#include "attention/prefill.h"

#include <math.h>
#include <string.h>

#include "bench/random.h"

enum { CHECKED_ROWS = 64 };
enum { AXIS_MASK, AXIS_DTYPE, AXIS_SEQ, AXIS_PAST, AXIS_TOKENS, AXIS_HIDDEN, AXIS_HEAD_DIM, AXIS_GROUP };

static const char *const dtype_words[] = {"fp32", "bf16", "fp16", NULL};

static const struct axis axes[] = {
    {.name = "mask",
     .help = mask_help,
     .kind = AXIS_WORD,
     .host = {"full,causal,causal_sliding", "full,causal,causal_sliding", "full,causal,causal_sliding"},
     .device = {"full,causal,causal_sliding", "full,causal", "full,causal,causal_sliding"},
     .words = mask_words},
    {.name = "dtype",
     .help = "format of query, key, value and output",
     .kind = AXIS_WORD,
     .host = {"fp32", "fp32", "fp32"},
     .device = {"bf16", "bf16", "bf16,fp16"},
     .words = dtype_words},
    {.name = "seq",
     .help = "queries of a sequence, and its keys after the past ones",
     .kind = AXIS_INTEGER,
     .host = {"256,2k", "256:2k:2", "256:8k:2"},
     .device = {"512,2k", "512:16k:2", "512:16k:2"},
     .minimum = 1,
     .maximum = 16 * MIB},
    {.name = "past",
     .help = "keys before the first query, of a prompt that is read in chunks",
     .kind = AXIS_INTEGER,
     .host = {"0", "0", "0"},
     .minimum = 0,
     .maximum = 16 * MIB},
    {.name = "tokens",
     .help = "queries in all: batch = tokens / seq, at least 1",
     .kind = AXIS_INTEGER,
     .host = {"512", "2k", "8k"},
     .device = {"4k", "16k", "16k"},
     .minimum = 1,
     .maximum = GIB},
    {.name = "hidden",
     .help = "width of the layer: heads = hidden / head_dim",
     .kind = AXIS_INTEGER,
     .host = {"128", "512", "512"},
     .device = {"512", "2k", "2k"},
     .minimum = 1,
     .maximum = MIB},
    {.name = "head_dim",
     .help = "elements of a query, key or value vector",
     .kind = AXIS_INTEGER,
     .host = {"64", "64", "64,128"},
     .device = {"64,128,256", "64,128,256", "64,128,256"},
     .minimum = 1,
     .maximum = ATTENTION_HEAD_DIM_MAX},
    {.name = "group",
     .help = "query heads that share a key/value head: kv_heads = heads / group",
     .kind = AXIS_INTEGER,
     .host = {"1,2", "1,4", "1,4"},
     .device = {"1,2", "1,8", "1,8"},
     .minimum = 1,
     .maximum = MIB},
    {0},
};

static struct mask *mask_of(const struct run *run) {
    int64_t queries = run->value[AXIS_SEQ], keys = queries + run->value[AXIS_PAST];
    return mask_new((enum mask_name)run->value[AXIS_MASK], queries, keys, MASK_WINDOW);
}

static struct attention_problem problem_of(const struct run *run, const struct mask *mask) {
    const int64_t *value = run->value;
    int64_t batch = value[AXIS_TOKENS] / value[AXIS_SEQ], heads = value[AXIS_HIDDEN] / value[AXIS_HEAD_DIM];
    struct attention_problem problem = {.batch = batch > 0 ? batch : 1,
                                        .heads = heads,
                                        .kv_heads = heads / value[AXIS_GROUP],
                                        .queries = value[AXIS_SEQ],
                                        .keys = value[AXIS_PAST] + value[AXIS_SEQ],
                                        .head_dim = value[AXIS_HEAD_DIM],
                                        .dtype = bench_dtype(run),
                                        .mask = mask,
                                        .threads = run->threads};
    attention_pack(&problem);
    return problem;
}

static const char *decline(const struct run *run) {
    const int64_t *value = run->value;
    if (value[AXIS_HIDDEN] % value[AXIS_HEAD_DIM]) return "head_dim does not divide hidden";
    if (value[AXIS_HIDDEN] / value[AXIS_HEAD_DIM] % value[AXIS_GROUP]) return "group does not divide hidden / head_dim";
    double tokens = fmax((double)value[AXIS_TOKENS], (double)value[AXIS_SEQ]);
    double keys = tokens / (double)value[AXIS_SEQ] * (double)(value[AXIS_PAST] + value[AXIS_SEQ]);
    if (keys * (double)value[AXIS_HIDDEN] > 0x1p56) return "more elements than any memory holds";
    return NULL;
}

/* Presets leave out a window that hides no key, which is causal again, and grouped heads at all but one head_dim. */
static bool covers(const struct run *run) {
    const int64_t *value = run->value;
    bool sliding = value[AXIS_MASK] == MASK_causal_sliding, grouped = value[AXIS_GROUP] > 1;
    int64_t grouped_head_dim = run->variant->place == PLACE_HOST ? 64 : 128;
    return !(sliding && value[AXIS_PAST] + value[AXIS_SEQ] <= MASK_WINDOW + 1) &&
           !(grouped && value[AXIS_HEAD_DIM] != grouped_head_dim);
}

const char *prefill_decline(const struct run *run, const struct attention_operator *method) {
    struct mask *mask = mask_of(run);
    if (!mask) return "out of host memory";
    struct attention_problem problem = problem_of(run, mask);
    const char *reason = method->decline(&problem);
    mask_free(mask);
    return reason;
}

double prefill_flops(const struct run *run) {
    struct mask *mask = mask_of(run);
    if (!mask) return 0;
    struct attention_problem problem = problem_of(run, mask);
    double flops = attention_forward_flops(&problem);
    mask_free(mask);
    return flops;
}

static void describe(const struct run *run, struct work *work) {
    struct attention_problem problem = problem_of(run, NULL);
    work->bytes = attention_forward_bytes(&problem);
    work->flops = prefill_flops(run);
    bench_add_rate(work, METRIC_flop_rate, work->flops, limit_flop_rate(run, problem.dtype));
}

static void *operand(struct run *run, size_t count, uint64_t stream) {
    enum dtype dtype = bench_dtype(run);
    void *data = bench_alloc(run, count * dtype_size(dtype));
    if (run->variant->place == PLACE_HOST) random_fill(run, dtype, data, count, stream);
    return data;
}

static void setup(struct run *run) {
    struct prefill *prefill = bench_alloc(run, sizeof(*prefill));
    run->state = prefill;
    prefill->mask = mask_of(run);
    BENCH_CHECK(run, prefill->mask);
    prefill->problem = problem_of(run, prefill->mask);
    const struct attention_problem *problem = &prefill->problem;
    size_t query_count = attention_query_count(problem), key_count = attention_key_count(problem);
    size_t output_bytes = query_count * dtype_size(problem->dtype);
    size_t row_bytes = query_count / (size_t)problem->head_dim * sizeof(float);
    prefill->host = (struct attention_buffers){.query = operand(run, query_count, STREAM_QUERY),
                                               .key = operand(run, key_count, STREAM_KEY),
                                               .value = operand(run, key_count, STREAM_VALUE),
                                               .output = bench_alloc(run, output_bytes),
                                               .log_sum_exp = bench_alloc(run, row_bytes)};
    if (run->variant->place == PLACE_DEVICE) return;
    bench_output(run, prefill->host.output, output_bytes, PLACE_HOST, false);
    bench_output(run, prefill->host.log_sum_exp, row_bytes, PLACE_HOST, false);
}

void prefill_prepare(struct run *run, const struct attention_operator *method) {
    struct prefill *prefill = run->state;
    char reason[REASON_SIZE] = "";
    prefill->method = method;
    if (!method->prepare(&prefill->problem, &prefill->plan, reason)) bench_skip(run, "%s", reason);
}

void prefill_release(struct run *run) {
    struct prefill *prefill = run->state;
    if (prefill && prefill->method && prefill->method->release) prefill->method->release(&prefill->plan);
}

static void release(struct run *run) {
    struct prefill *prefill = run->state;
    if (prefill) mask_free(prefill->mask);
}

static void check(struct run *run, struct verdict *verdict) {
    struct prefill *prefill = run->state;
    attention_check(&prefill->problem, &prefill->host, CHECKED_ROWS, run->seed, verdict);
}

const struct attention_operator *prefill_method(const struct run *run, const struct attention_operator *const *table) {
    while (*table && strcmp((*table)->name, run->variant->name) != 0) table++;
    return *table;
}

static const struct attention_operator *const host_methods[] = {&softmax_tiled, &softmax_blas, NULL};

static const char *decline_host(const struct run *run) {
    return prefill_decline(run, prefill_method(run, host_methods));
}

static void setup_host(struct run *run) {
    prefill_prepare(run, prefill_method(run, host_methods));
    struct prefill *prefill = run->state;
    prefill->host.workspace = bench_alloc(run, prefill->plan.workspace);
}

static void run_host(struct run *run) {
    struct prefill *prefill = run->state;
    char reason[REASON_SIZE] = "";
    if (!prefill->method->forward(&prefill->problem, &prefill->plan, &prefill->host, NULL, reason))
        bench_fail(run, "%s", reason);
}

static const struct variant variants[] = {
    {.name = "tiled",
     .backend = "openmp",
     .place = PLACE_HOST,
     .decline = decline_host,
     .setup = setup_host,
     .run = run_host,
     .release = prefill_release},
    {.name = "openblas",
     .backend = "openblas",
     .place = PLACE_HOST,
     .decline = decline_host,
     .setup = setup_host,
     .run = run_host,
     .release = prefill_release},
    {0},
};

const struct bench bench = {.suite = "attention",
                            .name = "prefill",
                            .question = "How fast is softmax attention over a whole prompt?",
                            .axes = axes,
                            .variants = variants,
                            .decline = decline,
                            .covers = covers,
                            .describe = describe,
                            .setup = setup,
                            .check = check,
                            .release = release};
