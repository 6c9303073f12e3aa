/* backward: What do the gradients of softmax attention cost?

   The backward pass of prefill, as training needs it: from query, key, value, output, log_sum_exp and the gradient of
   the output, the gradients of query, key and value (op/attention.h has the definition). Shapes, axes and data are
   prefill's (problem/problem.h); the default grid on a device is that of the FlashAttention papers (arXiv 2205.14135,
   2307.08691, 2407.08608), to which full adds that of LongCA-bench (arXiv 2510.17896) with every mask.

   FLOPs: 10 * area * batch * heads * head_dim, five products over the pairs of query and key that the mask allows,
   which are counted exactly: 2.5 times the forward pass, as those papers count it. A pass that computes the scores more
   than once, as the deterministic ones here do, is given no credit for it. A whole training step of attention is the
   sum of this row's time and prefill's: no row of its own. Bytes: query, key, value, output, the four gradients once,
   and 4 a row for log_sum_exp. Limit: the FLOP rate of the operands' format.

   deterministic=1 asks for the same bits, call after call, the price of which is the difference to deterministic=0.
   tiled and plain share no sum between tasks and are always deterministic; flash and cudnn add the gradients of queries
   with atomics unless asked not to: flash then adds them in a fixed order, for which tiles wait, and cudnn keeps the
   score gradients of every pair in memory.

   On the host tiled (op/softmax_tiled_backward.c), on a device plain (op/softmax_plain_backward.cu), flash
   (op/softmax_flash_backward.cu) and cudnn (op/softmax_cudnn_backward.c).

   Check, at the timed size: 64 rows of forward's output and log_sum_exp, recomputed in fp64 from the operands, and
   then 64 rows of each gradient, one from each of 64 equal strata: op/softmax_backward_reference.c. With
   deterministic=1 a second call must give the same bits, all of them; else the error is infinite.

   Limits: those of prefill. Presets leave out what covers below says; the plain kernels are in them up to 0.3 TFLOP. */
#include "attention/backward.h"

#include <math.h>
#include <string.h>

enum { CHECKED_ROWS = 64 };

static const struct axis axes[] = {
    {PROBLEM_MASK,
     .host = {"full,causal,causal_sliding", "full,causal,causal_sliding", "full,causal,causal_sliding"},
     .device = {"full,causal,causal_sliding", "full,causal", "all"}},
    {PROBLEM_DTYPE, .host = {"fp32", "fp32", "fp32"}, .device = {"bf16", "bf16", "bf16,fp16"}},
    {PROBLEM_SEQ, .host = {"256,2k", "256:2k:2", "256:8k:2"}, .device = {"512,2k", "512:16k:2", "512:128k:2,48k"}},
    PROBLEM_SHAPE_AXES,
    {PROBLEM_KEPT, .host = {"20", "20", "20"}, .device = {"20", "20", "20,50,80"}},
    {PROBLEM_BLOCK, .host = {"128", "128", "128"}, .device = {"128", "128", "64,128"}},
    {PROBLEM_OPTION, .host = {"none", "none", "none"}},
    {PROBLEM_INPUTS, .host = {"normal", "normal", "normal"}},
    {.name = "deterministic",
     .help = "1: the same operands give the same bits, call after call; 0: they may differ",
     .kind = AXIS_INTEGER,
     .host = {"1", "1", "1"},
     .device = {"0,1", "0,1", "0,1"},
     .minimum = 0,
     .maximum = 1},
    {0},
};

/* In full, on a device: the grid of the papers, and LongCA-bench's without the price of determinism. */
static bool covers_full(const struct run *run) {
    const int64_t *value = run->value;
    if (value[PROBLEM_AXIS_HIDDEN] == 8 * KIB) return problem_covers_long(run) && !value[AXIS_DETERMINISTIC];
    return problem_has_paper_mask(run) && problem_asks_blocks(run) && value[PROBLEM_AXIS_SEQ] <= 16 * KIB &&
           value[PROBLEM_AXIS_TOKENS] != 1;
}

/* The quick preset asks about two lengths, and on a device for the price of determinism at the longer one and head_dim
   128: planning cuDNN's graphs and checking in fp64 take longer than the samples. */
static bool covers(const struct run *run) {
    const int64_t *value = run->value, seq = value[PROBLEM_AXIS_SEQ];
    if (!problem_covers(run)) return false;
    bool host = run->variant->place == PLACE_HOST;
    if (run->preset == PRESET_FULL) return host || covers_full(run);
    if (run->preset != PRESET_QUICK) return true;
    if (host) return seq == 512 || seq == 2 * KIB;
    bool priced = seq == 8 * KIB && value[PROBLEM_AXIS_HEAD_DIM] == 128;
    return (seq == 2 * KIB || seq == 8 * KIB) && (priced || !value[AXIS_DETERMINISTIC]);
}

static void describe(const struct run *run, struct work *work) {
    problem_describe(run, backward_pass(run), work);
}

static void setup(struct run *run) {
    problem_setup(run, backward_pass(run));
}

static uint64_t bits_of(uint64_t bits, const void *tensor, size_t bytes) {
    const unsigned char *from = tensor;
    uint64_t word = 0;
    for (size_t i = 0; i < bytes; i += sizeof(word)) {
        memcpy(&word, from + i, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
        bits = (bits ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        bits ^= bits >> 29;
    }
    return bits;
}

/* A number that any change of the gradients changes. */
static uint64_t gradient_bits(const struct problem *state) {
    const struct attention_gradients *gradients = &state->host_gradients;
    size_t size = dtype_size(state->problem.dtype), key_bytes = attention_key_count(&state->problem) * size;
    uint64_t bits = bits_of(1, gradients->query_gradient, attention_query_count(&state->problem) * size);
    bits = bits_of(bits, gradients->key_gradient, key_bytes);
    return bits_of(bits, gradients->value_gradient, key_bytes);
}

static void check(struct run *run, struct verdict *verdict) {
    struct problem *state = run->state;
    attention_check_backward(&state->problem, &state->host, &state->host_gradients, CHECKED_ROWS, run->seed, verdict);
    if (!run->value[AXIS_DETERMINISTIC]) return;
    uint64_t bits = gradient_bits(state);
    run->variant->run(run);
    if (run->variant->fetch) run->variant->fetch(run);
    if (gradient_bits(state) != bits) verdict->error = INFINITY;
}

static const struct attention_operator *const host_methods[] = {&softmax_tiled, NULL};

static const char *decline_host(const struct run *run) {
    return problem_decline_method(run, backward_pass(run), problem_method(run, host_methods));
}

static void setup_host(struct run *run) {
    problem_prepare(run, problem_method(run, host_methods));
    struct problem *state = run->state;
    char reason[REASON_SIZE] = "";
    if (!state->method->forward(&state->problem, &state->plan, &state->host, NULL, reason))
        bench_fail(run, "%s", reason);
}

static void run_host(struct run *run) {
    struct problem *state = run->state;
    char reason[REASON_SIZE] = "";
    if (!state->method->backward(&state->problem, &state->plan, &state->host, &state->host_gradients, NULL, reason))
        bench_fail(run, "%s", reason);
}

static const struct variant variants[] = {
    {PROBLEM_HOST_VARIANT("tiled", "openmp")},
    {0},
};

const struct bench bench = {.suite = "attention",
                            .name = "backward",
                            .question = "What do the gradients of softmax attention cost?",
                            .axes = axes,
                            .variants = variants,
                            .decline = problem_decline,
                            .covers = covers,
                            .describe = describe,
                            .setup = setup,
                            .check = check,
                            .settings = problem_settings};
