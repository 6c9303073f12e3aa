/* prefill: How fast is softmax attention over a whole prompt?

   The forward pass, in which every token of `batch` sequences is a query, as in training and in the reading of a
   prompt: output = softmax(scale query key^T) value, under a mask. Shapes are given as a model gives them
   (problem/problem.h): batch = tokens / seq, heads = hidden / head_dim, kv_heads = heads / group, keys = past + seq.
   The log-sum-exp of every row is kept, as training needs it.

   Presets on a device hold two grids, of which covers below leaves what lies between. That of the FlashAttention papers
   (arXiv 2205.14135, 2307.08691, 2407.08608): 16k tokens in all, hidden 2048, masks full, causal and sliding. And, in
   full, that of LongCA-bench (arXiv 2510.17896): one sequence, 64 heads of 128 with 8 or 64 of keys, every mask at 1K
   to 48K, masks that choose blocks at 16K to 128K, with 20, 50 and 80 % kept. quick has every mask and every
   option at one length.

   FLOPs: 4 * area * batch * heads * head_dim, area = pairs of query and key that the mask allows, counted exactly
   (causal: seq (seq + 1) / 2, not half the square); the softmax is not counted, nor that a clipped one multiplies query
   and key twice. Bytes: query, key, value and output
   once, and 4 a row for log_sum_exp. Limit: the FLOP rate of the operands' format.

   On the host tiled (op/softmax_tiled.c: memory linear in seq), tiled_amx (the same with the products on the
   processor's matrix unit, op/tiled_amx.c) and openblas (op/softmax_blas.c: two products with the scores between), on a
   device plain (op/softmax_plain.cu, for reading), mma (op/softmax_mma.cu, for sm_80 on), flash (op/softmax_flash.cu,
   for sm_90a) and cudnn (op/softmax_cudnn.c).

   fp8: query, key and value are e4m3 with a scale for each 64 tokens of a head, or, of the variant flash_token, for
   each token, made before the timing (problem/quantize.h), the output is bf16. output_rmse and output_error hold 1024
   rows against the operands before they were rounded: the price of the format, beside its speed. operand_rmse is what
   output_rmse would be of an exact kernel: the difference is the kernel's own.

   Check, at the timed size: 64 rows of (batch, head, query), one from each of 64 equal strata, recomputed in fp64 from
   the operands that were timed: op/softmax_reference.c. Data: seeded N(0,1), or with outliers or peaks (--inputs).

   Limits: value vectors are as long as key vectors; no dropout, no bias. The plain kernel is in presets up to 0.3 TFLOP
   without the mask. Masks that choose blocks have the time of a call as a row of its own, for the report's plot over
   the kept share.

   NOTES
   - tiled on an EPYC with AVX-512, two cores, full mask, 2048 tokens, head_dim 64: 394 GFLOP/s, openblas 191. Tiles of
     64 or of 256 keys instead of 128 are 3 % slower; the softmax takes 8 % of the time.
   - vector_splat written as 0 + x is an addition before each broadcast, because 0 + -0 is not -0; x - 0 is none.
   - On a Xeon of family 6 model 207, 32 hyperthreads, 16 heads of 128, full mask, 4096 tokens, bf16: tiled_amx 8538
     GFLOP/s, tiled 1792 (reports/gallery/h200/host). Its dot products of pairs take two clocks an instruction
     (kernels/fma_peak.c).
   - openblas on the EPYC is OpenBLAS 0.3.21, which does not know the processor: see kernels/gemm.c. */
#include "attention/problem/problem.h"

#include <string.h>

enum { CHECKED_ROWS = 64 };

static const struct axis axes[] = {
    {PROBLEM_MASK,
     .host = {"full,causal,causal_sliding,causal_document,strided,uniform_blocks", "all", "all"},
     .device = {"all", "all", "all"}},
    {PROBLEM_DTYPE,
     .host = {"fp32,bf16", "fp32,bf16", "fp32,bf16"},
     .device = {"bf16,fp8_e4m3", "bf16,fp8_e4m3", "bf16,fp16,fp8_e4m3"}},
    {PROBLEM_SEQ, .host = {"256,2k", "256:2k:2", "256:16k:2"}, .device = {"512,2k", "512:16k:2", "512:128k:2,48k"}},
    PROBLEM_SHAPE_AXES,
    {PROBLEM_KEPT, .host = {"20", "20", "20,50,80"}, .device = {"20", "20,50,80", "20,50,80"}},
    {PROBLEM_BLOCK, .host = {"128", "128", "128"}, .device = {"128", "128", "64,128"}},
    {PROBLEM_OPTION, .host = {"none", "none", "all"}, .device = {"none", "all", "all"}},
    {PROBLEM_INPUTS,
     .host = {"normal", "normal", "normal,outliers"},
     .device = {"normal", "normal,outliers", "normal,outliers"}},
    {0},
};

/* On the host grouped heads and bf16 at one length, but in full; openblas takes fp32, other masks in full alone;
   tiled_amx takes bf16. */
static bool covers_host(const struct run *run) {
    bool amx = strcmp(run->variant->name, "tiled_amx") == 0;
    bool blas = strcmp(run->variant->backend, "openblas") == 0;
    bool fp32 = bench_dtype(run) == DTYPE_fp32, grouped = run->value[PROBLEM_AXIS_GROUP] > 1;
    bool extra = grouped || !fp32;
    if (amx && fp32) return false;
    if (blas && (!fp32 || (run->preset != PRESET_FULL && !problem_has_paper_mask(run)))) return false;
    if (blas && (run->value[PROBLEM_AXIS_OPTION] || run->value[PROBLEM_AXIS_INPUTS])) return false;
    return run->preset == PRESET_FULL || !extra || (run->value[PROBLEM_AXIS_SEQ] == 2 * KIB && !(grouped && !fp32));
}

/* What a format costs in accuracy is asked at one case, of all formats. */
static bool covers_rounding(const struct run *run) {
    const int64_t *value = run->value;
    return value[PROBLEM_AXIS_MASK] == MASK_full && value[PROBLEM_AXIS_SEQ] == 8 * KIB &&
           value[PROBLEM_AXIS_HEAD_DIM] == 128 && value[PROBLEM_AXIS_GROUP] == 1 &&
           value[PROBLEM_AXIS_OPTION] == PROBLEM_OPTION_none && value[PROBLEM_AXIS_TOKENS] == 16 * KIB &&
           value[PROBLEM_AXIS_HIDDEN] == 2 * KIB && problem_asks_blocks(run) &&
           strcmp(run->variant->name, "plain") != 0;
}

/* fp8, which one kernel takes, at fewer lengths and head sizes but in full; all the masks as in bf16, but for scales by
   token. */
static bool covers_fp8(const struct run *run) {
    const int64_t *value = run->value, seq = value[PROBLEM_AXIS_SEQ], head_dim = value[PROBLEM_AXIS_HEAD_DIM];
    bool long_one = seq == 8 * KIB || (seq == 2 * KIB && run->preset == PRESET_SMOKE);
    bool asked = run->preset == PRESET_FULL || long_one || (head_dim == 128 && seq >= 2 * KIB);
    bool flash = strcmp(run->variant->name, "flash") == 0 || (problem_is_by_token(run) && problem_has_paper_mask(run));
    return flash && value[PROBLEM_AXIS_GROUP] == 1 && asked && value[PROBLEM_AXIS_MASK] != MASK_causal_sliding;
}

/* Masks beyond the papers' three, options and outliers are asked for at one length and head size. */
static bool covers(const struct run *run) {
    const int64_t *value = run->value;
    bool device = run->variant->place == PLACE_DEVICE, full = run->preset == PRESET_FULL;
    bool fp8 = bench_dtype(run) == DTYPE_fp8_e4m3;
    if (!problem_covers(run) || (!device && !covers_host(run)) || (fp8 && !covers_fp8(run))) return false;
    if (problem_is_by_token(run) && !fp8) return false;
    if (device && value[PROBLEM_AXIS_INPUTS]) return covers_rounding(run);
    if (device && full && value[PROBLEM_AXIS_HIDDEN] == 8 * KIB) return problem_covers_long(run);
    if (device && full && (value[PROBLEM_AXIS_TOKENS] == 1 || value[PROBLEM_AXIS_SEQ] > 16 * KIB)) return false;
    bool usual = value[PROBLEM_AXIS_OPTION] == PROBLEM_OPTION_none && !value[PROBLEM_AXIS_INPUTS];
    if (problem_has_paper_mask(run) && usual && problem_asks_blocks(run)) return true;
    int64_t length = device && run->preset != PRESET_SMOKE ? 8 * KIB : 2 * KIB;
    bool here = value[PROBLEM_AXIS_SEQ] == length && value[PROBLEM_AXIS_HEAD_DIM] == (device ? 128 : 64) &&
                value[PROBLEM_AXIS_GROUP] == 1 && bench_dtype(run) == (device ? DTYPE_bf16 : DTYPE_fp32);
    bool only = value[PROBLEM_AXIS_MASK] == MASK_causal && !(value[PROBLEM_AXIS_OPTION] && value[PROBLEM_AXIS_INPUTS]);
    return here && problem_asks_blocks(run) && (usual || only);
}

static const struct problem_pass forward_pass = {false, false};

static void describe(const struct run *run, struct work *work) {
    problem_describe(run, forward_pass, work);
    if (problem_chooses_blocks(run)) bench_add_rate(work, METRIC_call_time, 1, (struct limit){0, NULL});
}

static void setup(struct run *run) {
    problem_setup(run, forward_pass);
}

/* The accuracy that a format costs is asked about in fp8, and of the data made to show it. */
static bool asks_rounding(const struct run *run) {
    return bench_dtype(run) == DTYPE_fp8_e4m3 || run->value[PROBLEM_AXIS_INPUTS] != 0;
}

static void check(struct run *run, struct verdict *verdict) {
    struct problem *state = run->state;
    attention_check(&state->problem, &state->host, CHECKED_ROWS, run->seed, verdict);
    if (asks_rounding(run)) problem_report_rounding(run, state);
}

static const struct attention_operator *const host_methods[] = {&softmax_tiled, &softmax_tiled_amx, &softmax_blas,
                                                                NULL};

static const char *decline_host(const struct run *run) {
    return problem_decline_method(run, forward_pass, problem_method(run, host_methods));
}

static void setup_host(struct run *run) {
    problem_prepare(run, problem_method(run, host_methods));
}

static void run_host(struct run *run) {
    struct problem *state = run->state;
    char reason[REASON_SIZE] = "";
    if (!state->method->forward(&state->problem, &state->plan, &state->host, NULL, reason))
        bench_fail(run, "%s", reason);
}

static const struct variant variants[] = {
    {PROBLEM_HOST_VARIANT("tiled", "openmp")},
    {PROBLEM_HOST_VARIANT("tiled_amx", "openmp")},
    {PROBLEM_HOST_VARIANT("openblas", "openblas")},
    {0},
};

const struct bench bench = {.suite = "attention",
                            .name = "prefill",
                            .question = "How fast is softmax attention over a whole prompt?",
                            .axes = axes,
                            .variants = variants,
                            .decline = problem_decline,
                            .covers = covers,
                            .describe = describe,
                            .setup = setup,
                            .check = check,
                            .settings = problem_settings};
