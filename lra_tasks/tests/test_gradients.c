/* Every layer's backward pass, and the whole model's, against central differences in double precision: the engine's
   sources are compiled here a second time with real = double. */
#define ENGINE_FP64
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka needs the headers above first */
#include <cmocka.h>

#include "bench/random.h"
#include "lra_tasks/engine/adamw.c"
#include "lra_tasks/engine/attention.c"
#include "lra_tasks/engine/cross_entropy.c"
#include "lra_tasks/engine/dropout.c"
#include "lra_tasks/engine/embedding.c"
#include "lra_tasks/engine/gelu.c"
#include "lra_tasks/engine/layernorm.c"
#include "lra_tasks/engine/linear.c"
#include "lra_tasks/engine/model.c"
#include "lra_tasks/engine/model_table.c"
#include "lra_tasks/engine/pool.c"

enum { STREAM_COTANGENT = 1000 };

static double *random_values(int64_t count, uint64_t stream) {
    double *value = malloc((size_t)count * sizeof *value);
    for (int64_t i = 0; i < count; i++) value[i] = random_normal(7, stream, (uint64_t)i);
    return value;
}

static double *zeros(int64_t count) { return calloc((size_t)count, sizeof(double)); }

/* The scalar whose gradient is taken: the outputs in a fixed random direction. */
static double along(const double *out, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += out[i] * random_normal(7, STREAM_COTANGENT, (uint64_t)i);
    return sum;
}

static double *cotangent(int64_t count) { return random_values(count, STREAM_COTANGENT); }

/* Truncation is about step^2 = 1e-10 of third derivatives, rounding about 1e-16 / step = 1e-11 of the values. */
static void expect_gradient(const char *what, double (*loss)(void *), void *context, double *value,
                            const double *gradient, int64_t count) {
    const double step = 1e-5, tolerance = 2e-8;
    double scale = 0;
    for (int64_t i = 0; i < count; i++) scale = fmax(scale, fabs(gradient[i]));
    for (int64_t i = 0; i < count; i++) {
        const double kept = value[i];
        value[i] = kept + step;
        double above = loss(context);
        value[i] = kept - step;
        double below = loss(context), difference = (above - below) / (2 * step);
        value[i] = kept;
        if (!(fabs(gradient[i] - difference) <= tolerance * (1 + scale)))
            fail_msg("%s[%lld]: gradient %.12g, difference %.12g", what, (long long)i, gradient[i], difference);
    }
}

/* Three examples of different lengths, in an order that is not that of their identities. */
static const int64_t starts[] = {0, 5, 12, 15}, identities[] = {4, 0, 9};
static const struct packing three = {3, starts, identities};
enum { ROWS = 15, LONGEST = 7 };

struct linear {
    double *in, *weight, *bias, out[ROWS * 5];
};
static double linear_loss(void *context) {
    struct linear *l = context;
    linear_forward(l->out, l->in, l->weight, l->bias, ROWS, 4, 5);
    return along(l->out, ROWS * 5);
}
static void test_linear(void **unused) {
    (void)unused;
    struct linear l = {random_values(ROWS * 4, 1), random_values(20, 2), random_values(5, 3), {0}};
    double *d_out = cotangent(ROWS * 5), *d_in = zeros(ROWS * 4), *d_weight = zeros(20), *d_bias = zeros(5);
    linear_backward(d_in, d_weight, d_bias, d_out, l.in, l.weight, ROWS, 4, 5);
    expect_gradient("in", linear_loss, &l, l.in, d_in, ROWS * 4);
    expect_gradient("weight", linear_loss, &l, l.weight, d_weight, 20);
    expect_gradient("bias", linear_loss, &l, l.bias, d_bias, 5);
    const double once = d_weight[3], once_bias = d_bias[1];
    linear_backward(d_in, d_weight, d_bias, d_out, l.in, l.weight, ROWS, 4, 5);
    assert_true(fabs(d_weight[3] - 2 * once) < 1e-12 && fabs(d_bias[1] - 2 * once_bias) < 1e-12);
    expect_gradient("in, second call", linear_loss, &l, l.in, d_in, ROWS * 4);
    free(l.in), free(l.weight), free(l.bias), free(d_out), free(d_in), free(d_weight), free(d_bias);
}

struct norm {
    double *in, *gain, *bias, out[ROWS * 6], statistic[2 * ROWS];
};
static double norm_loss(void *context) {
    struct norm *n = context;
    layernorm_forward(n->out, n->statistic, n->in, n->gain, n->bias, ROWS, 6);
    return along(n->out, ROWS * 6);
}
static void test_layernorm(void **unused) {
    (void)unused;
    struct norm n = {.in = random_values(ROWS * 6, 1), .gain = random_values(6, 2), .bias = random_values(6, 3)};
    double *d_out = cotangent(ROWS * 6), *d_in = zeros(ROWS * 6), *d_gain = zeros(6), *d_bias = zeros(6);
    norm_loss(&n);
    layernorm_backward(d_in, d_gain, d_bias, d_out, n.in, n.statistic, n.gain, ROWS, 6);
    expect_gradient("in", norm_loss, &n, n.in, d_in, ROWS * 6);
    expect_gradient("gain", norm_loss, &n, n.gain, d_gain, 6);
    expect_gradient("bias", norm_loss, &n, n.bias, d_bias, 6);
    const double once = d_in[2];
    norm_loss(&n);
    layernorm_backward(d_in, d_gain, d_bias, d_out, n.in, n.statistic, n.gain, ROWS, 6);
    assert_true(fabs(d_in[2] - 2 * once) < 1e-12); /* it adds: its input is the residual stream */
    free(n.in), free(n.gain), free(n.bias), free(d_out), free(d_in), free(d_gain), free(d_bias);
}

struct point {
    double *in, out[64];
};
static double gelu_loss(void *context) {
    struct point *p = context;
    gelu_forward(p->out, p->in, 64);
    return along(p->out, 64);
}
static void test_gelu(void **unused) {
    (void)unused;
    struct point p = {.in = random_values(64, 1)};
    for (int i = 0; i < 64; i++) p.in[i] *= 3;
    double *d_out = cotangent(64);
    gelu_backward(d_out, d_out, p.in, 64); /* in place is allowed */
    expect_gradient("in", gelu_loss, &p, p.in, d_out, 64);
    free(p.in), free(d_out);
}

static const struct dropout half = {.probability = 0.5, .seed = 3, .stream = 11};
static double dropout_loss(void *context) {
    struct point *p = context;
    double out[ROWS * 3];
    memcpy(out, p->in, sizeof out);
    dropout_apply(out, &three, 3, &half);
    return along(out, ROWS * 3);
}
static void test_dropout(void **unused) {
    (void)unused;
    struct point p = {.in = random_values(ROWS * 3, 1)};
    double *gradient = cotangent(ROWS * 3);
    dropout_apply(gradient, &three, 3, &half);
    expect_gradient("in", dropout_loss, &p, p.in, gradient, ROWS * 3);
    free(p.in), free(gradient);
}

struct tables {
    double *token_table, *position_table, out[ROWS * 3];
};
static const uint16_t tokens[ROWS] = {1, 2, 3, 1, 0, 5, 4, 4, 4, 2, 1, 0, 3, 3, 5};
static double embedding_loss(void *context) {
    struct tables *t = context;
    embedding_forward(t->out, t->token_table, t->position_table, tokens, &three, 3);
    return along(t->out, ROWS * 3);
}
static void test_embedding(void **unused) {
    (void)unused;
    struct tables t = {.token_table = random_values(6 * 3, 1), .position_table = random_values(LONGEST * 3, 2)};
    double *d_out = cotangent(ROWS * 3), *d_token = zeros(6 * 3), *d_position = zeros(LONGEST * 3);
    embedding_backward(d_token, d_position, d_out, tokens, &three, 3);
    expect_gradient("token table", embedding_loss, &t, t.token_table, d_token, 6 * 3);
    expect_gradient("position table", embedding_loss, &t, t.position_table, d_position, LONGEST * 3);
    free(t.token_table), free(t.position_table), free(d_out), free(d_token), free(d_position);
}

static double pool_loss(void *context) {
    struct point *p = context;
    pool_forward(p->out, p->in, &three, 4);
    return along(p->out, 3 * 4);
}
static void test_pool(void **unused) {
    (void)unused;
    struct point p = {.in = random_values(ROWS * 4, 1)};
    double *d_out = cotangent(3 * 4), *d_in = zeros(ROWS * 4);
    pool_backward(d_in, d_out, &three, 4);
    expect_gradient("in", pool_loss, &p, p.in, d_in, ROWS * 4);
    free(p.in), free(d_out), free(d_in);
}

static const uint8_t labels[] = {2, 0, 6};
static double entropy_loss(void *context) {
    struct point *p = context;
    cross_entropy_forward(p->out, p->in, labels, 3, 7);
    return 0.25 * (p->out[0] + p->out[1] + p->out[2]);
}
static void test_cross_entropy(void **unused) {
    (void)unused;
    struct point p = {.in = random_values(3 * 7, 1)};
    double d_logits[3 * 7];
    for (int i = 0; i < 7; i++) p.in[i] *= 20; /* one row far from uniform */
    cross_entropy_backward(d_logits, p.in, labels, 3, 7, 0.25);
    expect_gradient("logits", entropy_loss, &p, p.in, d_logits, 3 * 7);
    free(p.in);
}

struct attention {
    const struct packing *packing;
    struct dropout dropout;
    double *qkv, *out, *saved, *scratch;
    int64_t rows;
};
static const struct attention_shape two_heads = {2, 4};
static double attention_loss(void *context) {
    struct attention *a = context;
    attention_softmax.forward(a->out, a->saved, a->qkv, a->packing, two_heads, &a->dropout, a->scratch);
    return along(a->out, a->rows * 8);
}
static void expect_attention(const struct packing *packing, int64_t longest, double probability) {
    const int64_t rows = packing->start[packing->examples];
    struct attention a = {packing, {probability, 5, 17}, random_values(rows * 24, 1), zeros(rows * 8), zeros(rows * 2),
                          zeros(attention_softmax.scratch(longest)), rows};
    double *d_out = cotangent(rows * 8), *d_qkv = zeros(rows * 24);
    attention_loss(&a);
    attention_softmax.backward(d_qkv, d_out, a.out, a.saved, a.qkv, packing, two_heads, &a.dropout, a.scratch);
    expect_gradient("qkv", attention_loss, &a, a.qkv, d_qkv, rows * 24);
    free(a.qkv), free(a.out), free(a.saved), free(a.scratch), free(d_out), free(d_qkv);
}
static void test_attention(void **unused) {
    (void)unused;
    expect_attention(&three, LONGEST, 0);
    expect_attention(&three, LONGEST, 0.3);
}
static void test_attention_of_several_blocks(void **unused) {
    (void)unused;
    const int64_t start[] = {0, QUERY_BLOCK + 3};
    const struct packing one = {1, start, identities};
    expect_attention(&one, QUERY_BLOCK + 3, 0.3);
}

static const struct model_shape small = {.vocabulary = 6, .positions = LONGEST, .classes = 7, .layers = 2, .heads = 2,
                                         .width = 8, .mlp = 12, .dropout = 0.2, .attention = &attention_softmax};
struct model {
    double *parameters, *activations;
    struct activation_table table;
    struct model_input input;
};
static double model_loss(void *context) {
    struct model *m = context;
    model_forward(&small, m->parameters, m->activations, &m->table, &m->input);
    const double *loss = m->activations + m->table.first[ACTIVATION_loss];
    return 0.5 * (loss[0] + loss[1] + loss[2]);
}
static void test_model(void **unused) {
    (void)unused;
    const struct parameter_table table = parameter_table(&small);
    struct model m = {.parameters = zeros(table.total), .table = activation_table(&small, ROWS, 3),
                      .input = {three, tokens, labels, true, 21, 4}};
    m.activations = zeros(m.table.total);
    model_initialize(&small, m.parameters, 13);
    /* away from the start, where gains are one, biases zero, and embeddings too small to matter */
    for (int64_t i = 0; i < table.total; i++) m.parameters[i] += 0.3 * random_normal(7, 5, (uint64_t)i);
    double *gradient = zeros(table.total);
    model_loss(&m);
    model_backward(&small, m.parameters, m.activations, &m.table, &m.input, 0.5, gradient);
    for (int part = 0; part < PARAMETER_COUNT; part++)
        for (int64_t layer = 0; layer < (table.stride[part] ? small.layers : 1); layer++) {
            int64_t first = table.first[part] + layer * table.stride[part];
            expect_gradient(parameter_names[part], model_loss, &m, m.parameters + first, gradient + first,
                            table.size[part]);
        }
    free(m.parameters), free(m.activations), free(gradient);
}

/* AdamW written out for one value over three steps. */
static void test_adamw(void **unused) {
    (void)unused;
    const struct adamw adamw = {.rate = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-6, .decay = 0.01};
    const double gradients[] = {0.5, -0.25, 2};
    double parameter = 1, first = 0, second = 0, expected = 1, mean = 0, square = 0;
    for (int step = 1; step <= 3; step++) {
        const double g = gradients[step - 1];
        adamw_update(&parameter, &first, &second, &g, 1, &adamw, step);
        mean = 0.9 * mean + 0.1 * g;
        square = 0.999 * square + 0.001 * g * g;
        expected -= 0.1 * 0.01 * expected + 0.1 * (mean / (1 - pow(0.9, step))) /
                                                (sqrt(square / (1 - pow(0.999, step))) + 1e-6);
        assert_true(fabs(parameter - expected) < 1e-12);
    }
}

int main(void) {
    blas_set_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),        cmocka_unit_test(test_layernorm), cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_dropout),       cmocka_unit_test(test_embedding), cmocka_unit_test(test_pool),
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_of_several_blocks), cmocka_unit_test(test_model),
        cmocka_unit_test(test_adamw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
