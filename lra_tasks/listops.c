/* listops.c: What does a small Transformer learn of ListOps here, and how fast does it train?

   ListOps is the first task of Long Range Arena (Tay et al. 2021, arXiv 2011.04006; Nangia, Bowman 2018): a nested
   expression of MIN, MAX, MED and SM over digits, and its value, one of ten classes. Examples are generated
   (tasks/listops.h), 96000 to train and test_examples held out, none twice. The model is the small common setting in
   which later work compares kinds of attention (Xiong et al. 2021, arXiv 2102.03902): 2 layers, width 64, MLP 128,
   2 heads, learned positions, mean pooling, dropout 0.1 on embedding, attention and both branches, pre-normalization,
   GELU; AdamW (0.9, 0.999, epsilon 1e-6, no decay), a linear one-cycle, 5000 steps of 32 at 1e-4: preset full.
   quick takes fewer steps at a higher rate. The steps are fixed, so that a score can be reproduced.

   accuracy and loss are of the held-out examples after the last step. Two scores stand beside them, of rules fitted to
   those same examples: always the most frequent class (bound_largest_class) and knowing the first operator alone
   (bound_first_operator). Over 20000 examples these are 15.5 % and 33.4 % (short), 17.0 % and 36.3 % (full): a score
   at the first has learned nothing, one at the second reads a single token, and 45 % and more needs composition.

   FLOPs of a step: for each example of length n, 6 n (4 width^2 + 2 width mlp) a layer for the products with weights
   (2 a multiply-add, and backward twice what forward takes) and 12 n^2 width a layer for attention; the classifier's
   2 (width + 10) mlp times 3. Recomputed scores, softmax, normalization, dropout and the optimizer are not counted.
   A step has batch x the mean length tokens, none of it padding. Limit: the FMA rate of all threads in fp32.

   Check, by one more step than was timed, the same call at the highest learning rate: every loss of the batch against a
   double-precision reference; the gradient of one shard along a random direction in every part of the parameters,
   against central differences of that reference; the sum of the shards and the update, recomputed in double; the
   logits of 32 held-out examples; every held-out label by an evaluator that shares nothing with the generator.

   Limits: 2 examples a shard, so that at most batch / 2 threads find work; a training that would outlast --case-timeout
   is skipped after ten steps, with its projected time as the reason.

   NOTES
   - Padding is never computed: a shard's examples lie one after another. 1, 2, 4 and 8 examples a shard reached 144,
     147, 142 and 137 GFLOP/s in their best step on 2 cores: the data of a small shard stay in the cache.
   - Attention keeps no weights for backward but computes the scores again from queries and keys still in the cache.
   - Three fifths of the time are OpenBLAS's inner kernel, an eighth its packing, on a 2-core EPYC with AVX-512 on which
     OpenBLAS 0.3.21 takes its AVX2 kernels: 134 GFLOP/s here, where its square products give 217 and FMA chains 490.
     OPENBLAS_CORETYPE=SkylakeX in the environment raised the best step from 147 to 222 GFLOP/s.
   - short, 2 layers, batch 32, 2000 held-out examples, whose bounds are 15.7 % and 34.9 %: 1000 steps at 1e-3 reached
     34.2 % (loss 1.78), 1000 at 1e-4 34.5 % (1.82), 5000 at 1e-4 35.4 % (1.71); 1500 at 1e-3 35.7 %. The plateau at
     the first operator comes within a few hundred steps, what lies beyond it slowly.
   - The result of a seed depends on the kernels of the BLAS, whose rounding grows over the steps: 34.2 % and 34.4 %.
   - A step's time follows the lengths in its batch, so the spread of the samples is mostly that of the task. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/blas.h"
#include "bench/random.h"
#include "lra_tasks/engine/trainer.h"
#include "lra_tasks/engine/verify.h"
#include "lra_tasks/tasks/listops.h"

enum {
    AXIS_LENGTHS,
    AXIS_ATTENTION,
    AXIS_DTYPE,
    AXIS_LAYERS,
    AXIS_HEADS,
    AXIS_WIDTH,
    AXIS_MLP,
    AXIS_BATCH,
    AXIS_STEPS,
    AXIS_LEARNING_RATE,
    AXIS_TEST_EXAMPLES,
};
enum { TRAIN_EXAMPLES = 96000, WARM_UP_STEPS = 2, PROBE_STEPS = 10, CHECKED_EXAMPLES = 32 };
static const double DROPOUT = 0.1;
static const double TOLERANCE = 1e-3;
static const uint64_t SHUFFLE_STREAM = 0x73687566666c65;

static const char *const attention_words[] = {"softmax", NULL};
static const char *const dtype_words[] = {"fp32", NULL};
#define INTEGER_AXIS(axis_name, smoke, quick, full, least, most, text)                                                 \
    {                                                                                                                  \
        .name = axis_name, .help = text, .kind = AXIS_INTEGER, .host = {smoke, quick, full}, .minimum = least,         \
        .maximum = most                                                                                                \
    }
static const struct axis axes[] = {
    {.name = "lengths",
     .help = "tokens of an example: short 65..255, full 501..1999 as published",
     .kind = AXIS_WORD,
     .host = {"short", "short", "all"},
     .words = listops_lengths_names},
    {.name = "attention",
     .help = "kind of attention",
     .kind = AXIS_WORD,
     .host = {"softmax", "all", "all"},
     .words = attention_words},
    {.name = "dtype",
     .help = "format of parameters, activations and gradients",
     .kind = AXIS_WORD,
     .host = {"fp32", "fp32", "fp32"},
     .words = dtype_words},
    INTEGER_AXIS("layers", "2", "2", "2", 1, 64, "encoder layers"),
    INTEGER_AXIS("heads", "2", "2", "2", 1, 64, "attention heads; they divide width"),
    INTEGER_AXIS("width", "64", "64", "64", 1, 4096, "channels of a token"),
    INTEGER_AXIS("mlp", "128", "128", "128", 1, 16384, "hidden units of an MLP"),
    INTEGER_AXIS("batch", "8", "32", "32", 1, BATCH_MAXIMUM, "examples a step"),
    INTEGER_AXIS("steps", "20", "1000", "5000", 1, 10000000, "training steps"),
    INTEGER_AXIS("learning_rate", "1000", "1000", "100", 1, 1000000, "highest learning rate, in millionths"),
    INTEGER_AXIS("test_examples", "256", "2000", "2000", 1, 100000, "held-out examples that are scored"),
    {0},
};

struct state {
    struct listops_data data; /* the held-out examples, then those to train on */
    struct example *example;
    int64_t test_count, train_count, *order; /* order: which training example comes when, in this epoch */
    struct trainer trainer;
    real *logits; /* [test_count, classes] */
    real *before; /* [3, parameters]: parameters and moments before the checked step */
    double *seconds;
    struct example *batch;
    struct snapshot snapshot;
    double bytes; /* held, data included */
    struct run *run;
};

static void *allocate(void *context, size_t bytes) {
    struct state *state = context;
    state->bytes += (double)bytes;
    return bench_alloc(state->run, bytes);
}

static const char *decline(const struct run *run) {
    if (run->value[AXIS_WIDTH] % run->value[AXIS_HEADS] != 0) return "heads do not divide width";
    return blas_missing();
}

static void setup_trainer(struct run *run, struct state *state) {
    struct trainer *trainer = &state->trainer;
    *trainer = (struct trainer){
        .shape = {.vocabulary = LISTOPS_VOCABULARY,
                  .positions = listops_length_maximum((enum listops_lengths)run->value[AXIS_LENGTHS]),
                  .classes = LISTOPS_CLASSES,
                  .layers = run->value[AXIS_LAYERS],
                  .heads = run->value[AXIS_HEADS],
                  .width = run->value[AXIS_WIDTH],
                  .mlp = run->value[AXIS_MLP],
                  .dropout = DROPOUT,
                  .attention = attention_find(bench_word(run, AXIS_ATTENTION))},
        .adamw = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6},
        .batch = run->value[AXIS_BATCH],
        .threads = run->threads,
        .seed = run->seed,
    };
    BENCH_CHECK(run, trainer->shape.attention != NULL);
    trainer_create(trainer, allocate, state);
    const size_t total = (size_t)trainer->parameters.total * sizeof(real);
    bench_output(run, trainer->parameter, total, PLACE_HOST, true);
    bench_output(run, trainer->first, 2 * total, PLACE_HOST, true);
    bench_output(run, trainer->gradient, (size_t)(1 + trainer->shards) * total, PLACE_HOST, false);
    bench_output(run, trainer->loss, (size_t)trainer->batch * sizeof(real), PLACE_HOST, false);
    state->before = allocate(state, 3 * total);
}

static void setup(struct run *run) {
    struct state *state = run->state = bench_alloc(run, sizeof *state);
    const int64_t steps = run->value[AXIS_STEPS], batch = run->value[AXIS_BATCH];
    state->run = run;
    state->test_count = run->value[AXIS_TEST_EXAMPLES];
    state->train_count = steps * batch < TRAIN_EXAMPLES ? steps * batch : TRAIN_EXAMPLES;
    const int64_t count = state->test_count + state->train_count;
    if (!listops_generate(run->seed, (enum listops_lengths)run->value[AXIS_LENGTHS], count, run->threads, &state->data))
        bench_skip(run, "no memory for %lld examples", (long long)count);
    state->bytes = (double)state->data.bytes;
    state->example = allocate(state, (size_t)count * sizeof *state->example);
    for (int64_t i = 0; i < count; i++) {
        int64_t start = state->data.start[i];
        state->example[i] = (struct example){.token = state->data.token + start,
                                             .length = (int32_t)(state->data.start[i + 1] - start),
                                             .label = state->data.label[i]};
    }
    state->order = allocate(state, (size_t)state->train_count * sizeof *state->order);
    for (int64_t i = 0; i < state->train_count; i++) state->order[i] = i;
    state->batch = allocate(state, (size_t)batch * sizeof *state->batch);
    state->seconds = allocate(state, (size_t)steps * sizeof *state->seconds);
    state->logits = allocate(state, (size_t)(state->test_count * LISTOPS_CLASSES) * sizeof *state->logits);
    setup_trainer(run, state);
    bench_output(run, state->logits, (size_t)(state->test_count * LISTOPS_CLASSES) * sizeof *state->logits, PLACE_HOST,
                 false);
}

/* The batch of a step, from 1. Examples come as generated, which is a random order already; each later epoch is another
   permutation (Fisher, Yates), a function of the seed and the epoch. */
static void choose_batch(struct state *state, int64_t step) {
    const int64_t batch = state->trainer.batch;
    for (int64_t i = 0; i < batch; i++) {
        int64_t drawn = (step - 1) * batch + i, epoch = drawn / state->train_count, place = drawn % state->train_count;
        if (place == 0 && epoch > 0)
            for (int64_t last = state->train_count - 1; last > 0; last--) {
                double u = random_uniform(state->trainer.seed, SHUFFLE_STREAM + (uint64_t)epoch, (uint64_t)last);
                int64_t other = (int64_t)(u * (double)(last + 1)), moved = state->order[last];
                state->order[last] = state->order[other];
                state->order[other] = moved;
            }
        state->batch[i] = state->example[state->test_count + state->order[place]];
    }
}

static double peak_rate(const struct run *run) { return 1e-6 * (double)run->value[AXIS_LEARNING_RATE]; }

/* Far below a hang, a long training is declined rather than cut off: what it had learned by then would be lost. */
static void skip_if_too_long(struct run *run, const double *seconds, int64_t done, double spent) {
    double step = 0;
    for (int64_t i = 0; i < done; i++) step += seconds[i] / (double)done;
    double whole = spent + step * (double)(run->value[AXIS_STEPS] - done);
    if (run->case_timeout > 0 && whole > 0.9 * run->case_timeout)
        bench_skip(run, "%lld steps of %.3g s would take %.0f s, --case-timeout is %.0f s",
                   (long long)run->value[AXIS_STEPS], step, whole, run->case_timeout);
}

/* What a step did on average, over the steps whose times are reported. */
struct amount {
    double tokens, flops;
};

static struct amount train(struct run *run, struct state *state, int64_t warm_up) {
    struct trainer *trainer = &state->trainer;
    const int64_t steps = run->value[AXIS_STEPS];
    struct amount amount = {0, 0};
    const double begin = bench_seconds();
    for (int64_t step = 1; step <= steps; step++) {
        choose_batch(state, step);
        const double start = bench_seconds();
        trainer_gradient(trainer, state->batch, step);
        trainer_update(trainer, one_cycle_rate(peak_rate(run), step, steps), step);
        state->seconds[step - 1] = bench_seconds() - start;
        if (step == PROBE_STEPS) skip_if_too_long(run, state->seconds, step, bench_seconds() - begin);
        if (step <= warm_up) continue;
        for (int64_t i = 0; i < trainer->batch; i++) {
            amount.tokens += (double)state->batch[i].length / (double)(steps - warm_up);
            amount.flops += model_flops(&trainer->shape, state->batch[i].length, true) / (double)(steps - warm_up);
        }
    }
    return amount;
}

struct score {
    double accuracy, loss;
};
static struct score score(const struct state *state) {
    struct score score = {0, 0};
    for (int64_t i = 0; i < state->test_count; i++) {
        const real *logits = state->logits + i * LISTOPS_CLASSES;
        int best = 0, label = state->example[i].label;
        double sum = 0;
        for (int c = 1; c < LISTOPS_CLASSES; c++) best = logits[c] > logits[best] ? c : best;
        for (int c = 0; c < LISTOPS_CLASSES; c++) sum += exp((double)logits[c] - (double)logits[best]);
        score.accuracy += (best == label) / (double)state->test_count;
        score.loss += ((double)logits[best] + log(sum) - (double)logits[label]) / (double)state->test_count;
    }
    return score;
}

/* One more step, as the timed ones, for check to look at. */
static void step_to_check(struct run *run, struct state *state) {
    struct trainer *trainer = &state->trainer;
    const size_t total = (size_t)trainer->parameters.total;
    const int64_t step = run->value[AXIS_STEPS] + 1;
    memcpy(state->before, trainer->parameter, total * sizeof(real));
    memcpy(state->before + total, trainer->first, 2 * total * sizeof(real));
    choose_batch(state, step);
    trainer_gradient(trainer, state->batch, step);
    trainer_update(trainer, peak_rate(run), step);
    state->snapshot = (struct snapshot){.parameter = state->before, .first = state->before + total,
                                        .second = state->before + 2 * total, .example = state->batch, .step = step,
                                        .rate = peak_rate(run)};
}

static void measure_training(struct run *run) {
    struct state *state = run->state;
    const int64_t steps = run->value[AXIS_STEPS], warm_up = steps > 2 * WARM_UP_STEPS ? WARM_UP_STEPS : 0;
    const struct amount amount = train(run, state, warm_up);
    const double *seconds = state->seconds + warm_up;
    const size_t count = (size_t)(steps - warm_up);
    const struct limit none = {0, NULL}, peak = limit_flop_rate(run, DTYPE_fp32);
    bench_report_samples(run, METRIC_steps_rate, 1, seconds, count, none);
    bench_report_samples(run, METRIC_token_rate, amount.tokens, seconds, count, none);
    bench_report_samples(run, METRIC_flop_rate, amount.flops, seconds, count, peak);
    trainer_evaluate(&state->trainer, state->example, state->test_count, state->logits);
    const struct score reached = score(state);
    bench_report_plain(run, METRIC_accuracy, reached.accuracy, none);
    const int64_t scored = state->test_count;
    bench_report_plain(run, METRIC_bound_largest_class, listops_largest_class(&state->data, 0, scored), none);
    bench_report_plain(run, METRIC_bound_first_operator, listops_first_operator(&state->data, 0, scored), none);
    bench_report_plain(run, METRIC_loss, reached.loss, none);
    bench_report_plain(run, METRIC_memory, state->bytes, none);
    step_to_check(run, state);
}

static double larger(double a, double b) { return isnan(a) || a > b ? a : b; } /* fmax would lose a NaN */

static void check(struct run *run, struct verdict *verdict) {
    const struct state *state = run->state;
    const struct trainer *trainer = &state->trainer;
    const struct snapshot *snapshot = &state->snapshot;
    const int64_t shard = (int64_t)(random_uniform(run->seed, SHUFFLE_STREAM, 0) * (double)trainer->shards);
    double error = verify_losses(trainer, snapshot);
    error = larger(verify_gradient(trainer, snapshot, shard, run->seed), error);
    error = larger(verify_update(trainer, snapshot), error);
    error = larger(verify_logits(trainer, snapshot, state->example, state->test_count, state->logits, CHECKED_EXAMPLES),
                   error);
    for (int64_t i = 0; i < state->test_count; i++)
        if (listops_value(state->example[i].token, state->example[i].length) != state->example[i].label)
            error = INFINITY;
    *verdict = (struct verdict){.error = error, .tolerance = TOLERANCE};
}

static void release(struct run *run) {
    struct state *state = run->state;
    if (state) listops_release(&state->data);
}

static const struct variant variants[] = {
    {.name = "encoder", .backend = "openblas", .place = PLACE_HOST, .measure = measure_training},
    {0},
};

const struct bench bench = {
    .suite = "lra_tasks",
    .name = "listops",
    .question = "What does a small Transformer learn of ListOps here, and how fast does it train?",
    .axes = axes,
    .variants = variants,
    .decline = decline,
    .setup = setup,
    .check = check,
    .release = release,
};
