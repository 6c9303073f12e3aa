/* The engine as it trains, in single precision: identities, the reference, faults that verify.h must see, learning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs the headers above first */
#include <cmocka.h>

#include "bench/random.h"
#include "lra_tasks/engine/reference.h"
#include "lra_tasks/engine/verify.h"
#include "lra_tasks/tasks/listops.h"

enum { BATCH = 9, MEMORY_BYTES = 64 << 20 };

/* What a trainer takes, zeroed; let go as a whole. */
struct arena {
    char *bytes;
    size_t used;
};
static void *take(void *context, size_t bytes) {
    struct arena *arena = context;
    void *block = arena->bytes + arena->used;
    arena->used += (bytes + 63) / 64 * 64;
    assert_true(arena->used <= MEMORY_BYTES);
    return block;
}

struct setup {
    struct arena arena;
    struct listops_data data;
    struct example example[BATCH];
    struct trainer trainer;
};

static void start(struct setup *setup, double dropout, int threads) {
    setup->arena = (struct arena){calloc(1, MEMORY_BYTES), 0};
    assert_true(listops_generate(3, LISTOPS_SHORT, BATCH, 1, &setup->data));
    for (int64_t i = 0; i < BATCH; i++) {
        int64_t first = setup->data.start[i], length = setup->data.start[i + 1] - first;
        setup->example[i] = (struct example){setup->data.token + first, (int32_t)length, setup->data.label[i]};
    }
    setup->trainer = (struct trainer){
        .shape = {.vocabulary = LISTOPS_VOCABULARY, .positions = listops_length_maximum(LISTOPS_SHORT),
                  .classes = LISTOPS_CLASSES, .layers = 2, .heads = 2, .width = 32, .mlp = 48, .dropout = dropout,
                  .attention = &attention_softmax},
        .adamw = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6, .decay = 0.01},
        .batch = BATCH, .threads = threads, .seed = 5};
    trainer_create(&setup->trainer, take, &setup->arena);
}

static void finish(struct setup *setup) {
    free(setup->arena.bytes);
    listops_release(&setup->data);
}

static double train(struct setup *setup, double rate, int64_t from, int64_t steps) {
    double loss = 0;
    for (int64_t step = from; step < from + steps; step++) {
        trainer_gradient(&setup->trainer, setup->example, step);
        trainer_update(&setup->trainer, rate, step);
    }
    for (int i = 0; i < BATCH; i++) loss += (double)setup->trainer.loss[i] / BATCH;
    return loss;
}

static void test_exponential(void **unused) {
    (void)unused;
    double worst = 0;
    for (float x = -87.3f; x < 88.37f; x += 0.001f) {
        double exact = exp((double)x);
        worst = fmax(worst, fabs((double)exp_fp32(x) - exact) / exact);
    }
    assert_true(worst < 1.2e-7);
    assert_true(exp_fp32(0) == 1 && exp_fp32(-1e30f) < 1.2e-38f && exp_fp32(1e30f) > 1e38f && isnan(exp_fp32(NAN)));
}

/* Dropout by rows and value by value is the same; the share that it drops and the mean are as said. */
static void test_dropout(void **unused) {
    (void)unused;
    const struct dropout dropout = {.probability = 0.1, .seed = 9, .stream = 2};
    enum { COLUMNS = 1001, ROWS = 200 };
    real multiplier[COLUMNS + 3];
    double sum = 0, dropped = 0;
    for (uint64_t row = 0; row < ROWS; row++) {
        dropout_row(multiplier, COLUMNS, &dropout, row);
        for (int64_t c = 0; c < COLUMNS; c++) {
            assert_true((float)dropout_multiplier(&dropout, row, c, COLUMNS) == multiplier[c]);
            sum += (double)multiplier[c];
            dropped += multiplier[c] == 0;
        }
    }
    const double count = (double)COLUMNS * ROWS, deviation = sqrt(0.1 * 0.9 / count);
    assert_true(fabs(dropped / count - 0.1) < 5 * deviation);
    assert_true(fabs(sum / count - 1) < 5 * deviation / 0.9);
}

/* Equal keys give equal weights: every query's output is the mean of the values. A lone token attends to itself. */
static void test_attention_identities(void **unused) {
    (void)unused;
    enum { LENGTH = 100, WIDTH = 8 };
    const int64_t starts[] = {0, LENGTH, LENGTH + 1}, identities[] = {0, 1};
    const struct packing packing = {2, starts, identities};
    const struct dropout none = {0};
    static float qkv[(LENGTH + 1) * 3 * WIDTH], out[(LENGTH + 1) * WIDTH], saved[2 * (LENGTH + 1)];
    double mean[WIDTH] = {0};
    float *scratch = malloc((size_t)attention_softmax.scratch(LENGTH) * sizeof *scratch);
    for (int i = 0; i < (LENGTH + 1) * 3 * WIDTH; i++) {
        int part = i / WIDTH % 3;
        qkv[i] = part == 1 ? (float)(i % WIDTH) : (float)random_normal(1, 0, (uint64_t)i);
        if (part == 2 && i < LENGTH * 3 * WIDTH) mean[i % WIDTH] += (double)qkv[i] / LENGTH;
    }
    attention_softmax.forward(out, saved, qkv, &packing, (struct attention_shape){2, WIDTH / 2}, &none, scratch);
    for (int i = 0; i < LENGTH * WIDTH; i++) assert_true(fabs((double)out[i] - mean[i % WIDTH]) < 1e-5);
    for (int c = 0; c < WIDTH; c++)
        assert_true(fabsf(out[LENGTH * WIDTH + c] - qkv[LENGTH * 3 * WIDTH + 2 * WIDTH + c]) < 1e-6f);
    free(scratch);
}

/* An example's logits do not depend on what is packed beside it. */
static void test_packing(void **unused) {
    (void)unused;
    struct setup setup;
    real together[BATCH * LISTOPS_CLASSES], alone[LISTOPS_CLASSES];
    start(&setup, 0.1, 2);
    train(&setup, 1e-3, 1, 3);
    trainer_evaluate(&setup.trainer, setup.example, BATCH, together);
    for (int i = 0; i < BATCH; i++) {
        trainer_evaluate(&setup.trainer, setup.example + i, 1, alone);
        for (int c = 0; c < LISTOPS_CLASSES; c++)
            assert_true(fabsf(alone[c] - together[i * LISTOPS_CLASSES + c]) < 1e-5f);
    }
    finish(&setup);
}

static void test_thread_counts(void **unused) {
    (void)unused;
    struct setup one, three;
    start(&one, 0.1, 1);
    start(&three, 0.1, 3);
    assert_true(train(&one, 1e-3, 1, 4) == train(&three, 1e-3, 1, 4));
    assert_memory_equal(one.trainer.parameter, three.trainer.parameter,
                        (size_t)one.trainer.parameters.total * sizeof(real));
    finish(&one);
    finish(&three);
}

/* A step after a few others, with all that verify.h wants to know. */
static struct snapshot verified_step(struct setup *setup, real *before) {
    const size_t total = (size_t)setup->trainer.parameters.total;
    train(setup, 1e-3, 1, 5);
    memcpy(before, setup->trainer.parameter, total * sizeof *before);
    memcpy(before + total, setup->trainer.first, 2 * total * sizeof *before);
    train(setup, 1e-3, 6, 1);
    return (struct snapshot){before, before + total, before + 2 * total, setup->example, 6, 1e-3};
}

/* The step is right, and stops being right with any one value changed that should not. */
static void test_verify(void **unused) {
    (void)unused;
    const double tolerance = 1e-3;
    struct setup setup;
    start(&setup, 0.1, 2);
    struct trainer *trainer = &setup.trainer;
    real *before = take(&setup.arena, 3 * (size_t)trainer->parameters.total * sizeof *before);
    const struct snapshot snapshot = verified_step(&setup, before);
    real logits[BATCH * LISTOPS_CLASSES];
    assert_true(verify_losses(trainer, &snapshot) < tolerance / 10);
    assert_true(verify_update(trainer, &snapshot) < tolerance / 10);
    for (int64_t shard = 3; shard < trainer->shards; shard++) /* the last one has one example less */
        assert_true(verify_gradient(trainer, &snapshot, shard, 1) < tolerance / 2);
    memcpy(trainer->parameter, before, (size_t)trainer->parameters.total * sizeof *before);
    trainer_evaluate(trainer, setup.example, BATCH, logits);
    assert_true(verify_logits(trainer, &snapshot, setup.example, BATCH, logits, BATCH) < tolerance / 10);
    logits[17] += 0.01f;
    assert_true(verify_logits(trainer, &snapshot, setup.example, BATCH, logits, BATCH) > tolerance);
    trainer->loss[BATCH - 1] += 0.01f;
    assert_true(verify_losses(trainer, &snapshot) > tolerance);
    finish(&setup);
}

static void test_verify_gradient_faults(void **unused) {
    (void)unused;
    struct setup setup;
    start(&setup, 0.1, 2);
    struct trainer *trainer = &setup.trainer;
    const struct parameter_table *table = &trainer->parameters;
    real *before = take(&setup.arena, 3 * (size_t)table->total * sizeof *before);
    const struct snapshot snapshot = verified_step(&setup, before);
    real *shard = trainer->gradient + (1 + 2) * table->total;
    static const enum parameter parts[] = {PARAMETER_position_table, PARAMETER_qkv_weight, PARAMETER_mlp_norm_gain,
                                           PARAMETER_output_bias, PARAMETER_class_weight};
    for (int p = 0; p < 5; p++) { /* a part that is a tenth too large, and the same back again */
        real *part = shard + table->first[parts[p]];
        for (int64_t i = 0; i < table->size[parts[p]]; i++) part[i] *= 1.1f;
        assert_true(verify_gradient(trainer, &snapshot, 2, 1) > 1e-3);
        for (int64_t i = 0; i < table->size[parts[p]]; i++) part[i] /= 1.1f;
    }
    assert_true(verify_gradient(trainer, &snapshot, 2, 1) < 1e-3);
    shard[table->first[PARAMETER_qkv_weight] + 5] = NAN;
    assert_true(isnan(verify_gradient(trainer, &snapshot, 2, 1)));
    assert_true(isnan(verify_update(trainer, &snapshot)));
    finish(&setup);
}

static void test_verify_update_faults(void **unused) {
    (void)unused;
    struct setup setup;
    start(&setup, 0.1, 1);
    struct trainer *trainer = &setup.trainer;
    const size_t total = (size_t)trainer->parameters.total;
    real *before = take(&setup.arena, 3 * total * sizeof *before);
    const struct snapshot snapshot = verified_step(&setup, before);
    const int64_t place = trainer->parameters.first[PARAMETER_hidden_weight] + 7;
    real *const values[] = {trainer->parameter, trainer->first, trainer->second, trainer->gradient};
    for (int i = 0; i < 4; i++) {
        const real kept = values[i][place];
        values[i][place] += i == 0 ? 1e-4f : 1;
        assert_true(verify_update(trainer, &snapshot) > 1e-3);
        values[i][place] = kept;
    }
    assert_true(verify_update(trainer, &snapshot) < 1e-4);
    finish(&setup);
}

static void test_overfits_one_batch(void **unused) {
    (void)unused;
    struct setup setup;
    start(&setup, 0, 2);
    double first = train(&setup, 3e-3, 1, 1), last = train(&setup, 3e-3, 2, 120);
    assert_true(first > 2 && first < 2.6); /* about log 10 */
    assert_true(last < 0.05);
    finish(&setup);
}

/* Ten losses that this seed gives: by this test compiled with ENGINE_FP64. Single precision stays within 4e-6 of them
   with OpenBLAS; the tolerance leaves room for the rounding of other kernels. */
static void test_golden_losses(void **unused) {
    (void)unused;
    static const double golden[10] = {2.2678301, 2.1654397, 2.0879101, 2.0180889, 1.9585403,
                                      1.8802601, 1.7782621, 1.7010429, 1.6389884, 1.5535479};
    struct setup setup;
    start(&setup, 0.1, 2);
    for (int step = 1; step <= 10; step++) {
        double loss = train(&setup, 1e-3, step, 1);
        if (fabs(loss - golden[step - 1]) > 5e-5) fail_msg("step %d: %.7f, not %.7f", step, loss, golden[step - 1]);
    }
    finish(&setup);
}

static void test_one_cycle(void **unused) {
    (void)unused;
    assert_true(fabs(one_cycle_rate(1e-3, 200, 1000) - 1e-3) < 1e-12);
    assert_true(fabs(one_cycle_rate(1e-3, 100, 1000) - 0.52e-3) < 1e-12);
    assert_true(fabs(one_cycle_rate(1e-3, 600, 1000) - 0.5e-3) < 1e-8);
    assert_true(fabs(one_cycle_rate(1e-3, 1000, 1000) - 4e-9) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_attention_identities),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_thread_counts),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_verify_gradient_faults),
        cmocka_unit_test(test_verify_update_faults),
        cmocka_unit_test(test_overfits_one_batch),
        cmocka_unit_test(test_golden_losses),
        cmocka_unit_test(test_one_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
