/* test_fp8.c: fp8 operands on the host: their rotation and scales, the order in which the flash kernel wants values,
   and the definition and its check with scales. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention/op/attention.h"
#include "attention/op/flash_scales.h"
#include "attention/problem/quantize.h"

enum { HEAD_DIM = 96, TOKENS = 150, HEADS = 4, KV_HEADS = 2, BATCH = 2, SEED = 5 };

static void rotation_keeps_products(void **state) {
    (void)state;
    static const int head_dims[] = {64, 96, 128, 192, 256};
    for (size_t i = 0; i < ARRAY_LENGTH(head_dims); i++) {
        int d = head_dims[i];
        float x[256] = {0}, y[256];
        double product = 0, rotated = 0, largest = 0;
        for (int j = 0; j < d; j++) y[j] = (float)random_normal(SEED, 1, (uint64_t)j);
        x[3] = 100; /* an outlier alone */
        x[40] = -1;
        for (int j = 0; j < d; j++) product += (double)x[j] * (double)y[j];
        quantize_rotate(x, d, SEED);
        quantize_rotate(y, d, SEED);
        for (int j = 0; j < d; j++) rotated += (double)x[j] * (double)y[j];
        for (int j = 0; j < d; j++) largest = fmax(largest, fabs((double)x[j]));
        assert_float_equal(product, rotated, 1e-4 * fabs(product));
        assert_true(largest < 110 / sqrt((double)(d & -d)));
    }
}

static void scales_cut_nothing_off(void **state) {
    (void)state;
    static const float largest[] = {448, 449, 224, 1, 3.3f, 1e-30f, 1e30f};
    for (size_t i = 0; i < ARRAY_LENGTH(largest); i++) {
        float scale = quantize_scale(largest[i]), code = largest[i] / scale;
        assert_true(code <= 448 && code > 223.9f);
        assert_true(exp2f(roundf(log2f(scale))) == scale);
    }
    assert_true(quantize_scale(448) == 1 && quantize_scale(449) == 2 && quantize_scale(0) == 1);
}

static void rounding_is_that_of_the_format(void **state) {
    (void)state;
    static const float values[] = {0, 448, 447, 0x1p-9f, 0x1p-10f, 0x1.8p-9f, 0x1p-6f, 0x1.fp-7f, 1.0625f, 1.1875f};
    for (size_t i = 0; i < ARRAY_LENGTH(values) + 1000; i++) {
        uint8_t code;
        float value = i < ARRAY_LENGTH(values) ? values[i] : (float)random_normal(SEED, 4, i);
        dtype_store(DTYPE_fp8_e4m3, &code, 0, (double)value);
        assert_float_equal(quantize_round(value), dtype_load(DTYPE_fp8_e4m3, &code, 0), 0);
        assert_float_equal(quantize_round(-value), -quantize_round(value), 0);
    }
}

/* Squares of what rounding to multiples of `divisor` is off by. */
static double error_of(const float *row, double divisor) {
    double error = 0;
    for (int d = 0; d < HEAD_DIM; d++) {
        uint8_t code;
        dtype_store(DTYPE_fp8_e4m3, &code, 0, (double)row[d] / divisor);
        error += pow(dtype_load(DTYPE_fp8_e4m3, &code, 0) * divisor - (double)row[d], 2);
    }
    return error;
}

static void a_token_is_rounded_best(void **state) {
    (void)state;
    double all = 0, plain = 0;
    for (int token = 0; token < TOKENS; token++) {
        float row[HEAD_DIM], largest = 0, divisor;
        for (int d = 0; d < HEAD_DIM; d++) {
            row[d] = (float)random_normal(SEED, 5, (uint64_t)(token * HEAD_DIM + d));
            largest = fmaxf(largest, fabsf(row[d]));
        }
        float least = quantize_scale(largest * (float)(1 + token % 3)), scale, product = 0, square = 0;
        scale = quantize_token(row, HEAD_DIM, least, &divisor);
        assert_true(divisor >= least && divisor < 2 * least);
        for (int choice = 0; choice < QUANTIZE_CHOICES; choice++)
            assert_true(error_of(row, (double)divisor) <=
                        1.0001 * error_of(row, (double)least * (1 + choice / (double)QUANTIZE_CHOICES)));
        for (int d = 0; d < HEAD_DIM; d++) {
            product += quantize_round(row[d] / divisor) * scale * row[d];
            square += row[d] * row[d];
        }
        assert_float_equal(product, square, 1e-4 * (double)square);
        assert_float_equal(scale, divisor, 0.01 * (double)divisor);
        all += error_of(row, (double)divisor);
        plain += error_of(row, (double)least);
    }
    assert_true(all < 0.75 * plain); /* of squares */
    float zeros[HEAD_DIM] = {0}, divisor;
    assert_true(quantize_token(zeros, HEAD_DIM, 1, &divisor) == 1 && divisor == 1);
}

/* The order of the matrix instructions, once more: an accumulator's thread holds keys 8 j + 2 c and the next one of
   each eight, an operand's thread bytes 4 c .. 4 c + 3 of each sixteen, c its place among four. */
static void values_stand_where_probabilities_are(void **state) {
    (void)state;
    for (int sixteen = 0; sixteen < 256; sixteen += 16)
        for (int c = 0; c < 4; c++)
            for (int i = 0; i < 4; i++)
                assert_int_equal(flash_key_at(sixteen + 4 * c + i), sixteen + 8 * (i / 2) + 2 * c + i % 2);
}

static void every_value_has_its_byte(void **state) {
    (void)state;
    enum { KEYS = 192 };
    char seen[KEYS * HEAD_DIM] = {0};
    for (int position = 0; position < KEYS; position++)
        for (int d = 0; d < HEAD_DIM; d++) {
            int at = flash_value_byte(HEAD_DIM, position, d);
            assert_in_range(at, 0, KEYS * HEAD_DIM - 1);
            assert_false(seen[at]++);
            /* sixteen positions stay together, for one store */
            assert_int_equal(at - position % 16, flash_value_byte(HEAD_DIM, position / 16 * 16, d));
        }
}

/* An operand in fp8, with a scale for each `block` tokens of a head, and as what it stands for. */
struct operand {
    uint8_t *code;
    float *scale, *number;
};
static struct operand make(int64_t heads, int64_t block, uint64_t stream) {
    int64_t blocks = (TOKENS + block - 1) / block, count = heads * TOKENS * HEAD_DIM;
    struct operand operand = {malloc((size_t)count), malloc((size_t)(heads * blocks) * sizeof(float)),
                              malloc((size_t)count * sizeof(float))};
    for (int64_t token = 0; token < heads * TOKENS; token++) {
        int64_t own = token / TOKENS * blocks + token % TOKENS / block;
        operand.scale[own] = (float)(1 + own % 7) / 149; /* no powers of two: the definition takes any */
        for (int64_t at = token * HEAD_DIM; at < (token + 1) * HEAD_DIM; at++) {
            double value = random_normal(SEED, stream, (uint64_t)at) * (double)(1 + own % 7);
            dtype_store(DTYPE_fp8_e4m3, operand.code, (size_t)at, value / (double)operand.scale[own]);
            operand.number[at] =
                (float)(dtype_load(DTYPE_fp8_e4m3, operand.code, (size_t)at) * (double)operand.scale[own]);
        }
    }
    return operand;
}
static void drop(struct operand *operand) {
    free(operand->code), free(operand->scale), free(operand->number);
}

struct pair {
    struct mask *mask;
    struct operand query, key, value;
    struct attention_problem fp8, fp32;
    struct attention_buffers codes, numbers;
    uint16_t *output;
    float *log_sum_exp;
};
static struct pair make_pair(int64_t scale_tokens) {
    struct pair p = {.mask = mask_new(MASK_causal, TOKENS, TOKENS, 0),
                     .query = make(BATCH * HEADS, scale_tokens, 1),
                     .key = make(BATCH * KV_HEADS, scale_tokens, 2),
                     .value = make(BATCH * KV_HEADS, scale_tokens, 3)};
    p.fp8 = (struct attention_problem){.batch = BATCH, .heads = HEADS, .kv_heads = KV_HEADS, .queries = TOKENS,
                                       .keys = TOKENS, .head_dim = HEAD_DIM, .dtype = DTYPE_fp8_e4m3, .mask = p.mask,
                                       .scale_tokens = scale_tokens, .threads = 1};
    attention_pack(&p.fp8);
    p.fp32 = p.fp8;
    p.fp32.dtype = DTYPE_fp32;
    p.output = malloc(attention_query_count(&p.fp8) * sizeof(uint16_t));
    p.log_sum_exp = malloc((size_t)(BATCH * HEADS * TOKENS) * sizeof(float));
    p.codes = (struct attention_buffers){.query = p.query.code, .key = p.key.code, .value = p.value.code,
                                         .output = p.output, .log_sum_exp = p.log_sum_exp,
                                         .query_scale = p.query.scale, .key_scale = p.key.scale,
                                         .value_scale = p.value.scale};
    p.numbers = (struct attention_buffers){.query = p.query.number, .key = p.key.number, .value = p.value.number};
    return p;
}
static void drop_pair(struct pair *p) {
    mask_free(p->mask);
    drop(&p->query), drop(&p->key), drop(&p->value);
    free(p->output), free(p->log_sum_exp);
}

/* Every row of the definition, which is also left as the result. */
static void fill_right(struct pair *p) {
    for (int64_t row = 0; row < BATCH * HEADS * TOKENS; row++) {
        int64_t batch = row / TOKENS / HEADS, head = row / TOKENS % HEADS, query = row % TOKENS;
        double output[2][HEAD_DIM], magnitude, log_sum_exp[2];
        attention_reference_row(&p->fp8, &p->codes, batch, head, query, output[0], &magnitude, &log_sum_exp[0]);
        attention_reference_row(&p->fp32, &p->numbers, batch, head, query, output[1], &magnitude, &log_sum_exp[1]);
        assert_float_equal(log_sum_exp[0], log_sum_exp[1], 1e-5 * fabs(log_sum_exp[1]));
        for (int d = 0; d < HEAD_DIM; d++) assert_float_equal(output[0][d], output[1][d], 1e-4);
        dtype_store_row(DTYPE_bf16, p->output, (size_t)(row * HEAD_DIM), HEAD_DIM, output[0]);
        p->log_sum_exp[row] = (float)log_sum_exp[0];
    }
}

static void scales_of(int64_t scale_tokens) {
    struct pair p = make_pair(scale_tokens);
    struct verdict verdict = {0};
    fill_right(&p);
    attention_check(&p.fp8, &p.codes, 64, SEED, &verdict);
    assert_true(verdict.error <= 0x1p-8);
    assert_true(verdict.tolerance > 0x1p-4 && verdict.tolerance < 0x1p-3);
    /* scales of one operand's heads in another order */
    int64_t blocks = attention_scale_blocks(&p.fp8, TOKENS);
    for (int64_t i = 0; i < blocks; i++) {
        float kept = p.value.scale[i];
        p.value.scale[i] = p.value.scale[blocks + i];
        p.value.scale[blocks + i] = kept;
    }
    attention_check(&p.fp8, &p.codes, 64, SEED, &verdict);
    assert_true(verdict.error > verdict.tolerance);
    drop_pair(&p);
}

static void scales_are_part_of_the_definition(void **state) {
    (void)state;
    scales_of(ATTENTION_SCALE_BLOCK);
    scales_of(1);
}

static void a_wrong_sum_of_exponentials_is_seen(void **state) {
    (void)state;
    struct pair p = make_pair(ATTENTION_SCALE_BLOCK);
    struct verdict verdict = {0};
    fill_right(&p);
    for (int64_t row = 0; row < BATCH * HEADS * TOKENS; row++) p.log_sum_exp[row] *= 1.001f;
    attention_check(&p.fp8, &p.codes, 64, SEED, &verdict);
    assert_true(verdict.error > verdict.tolerance);
    drop_pair(&p);
}

static void bytes_count_scales_and_a_wider_output(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_full, 128, 256, 0);
    struct attention_problem problem = {.batch = 1, .heads = 2, .kv_heads = 1, .queries = 128, .keys = 256,
                                        .head_dim = 64, .dtype = DTYPE_fp8_e4m3, .mask = mask,
                                        .scale_tokens = ATTENTION_SCALE_BLOCK, .threads = 1};
    double queries = 2 * 128 * 64, keys = 256 * 64, rows = 2 * 128, scales = 2 * 2 + 2 * 4;
    assert_float_equal(attention_forward_bytes(&problem), 3 * queries + 2 * keys + 4 * rows + 4 * scales, 0);
    problem.scale_tokens = 1;
    scales = 2 * 128 + 2 * 256;
    assert_float_equal(attention_forward_bytes(&problem), 3 * queries + 2 * keys + 4 * rows + 4 * scales, 0);
    problem.dtype = DTYPE_bf16;
    assert_float_equal(attention_forward_bytes(&problem), 4 * queries + 4 * keys + 4 * rows, 0);
    mask_free(mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotation_keeps_products),
        cmocka_unit_test(scales_cut_nothing_off),
        cmocka_unit_test(rounding_is_that_of_the_format),
        cmocka_unit_test(a_token_is_rounded_best),
        cmocka_unit_test(values_stand_where_probabilities_are),
        cmocka_unit_test(every_value_has_its_byte),
        cmocka_unit_test(scales_are_part_of_the_definition),
        cmocka_unit_test(a_wrong_sum_of_exponentials_is_seen),
        cmocka_unit_test(bytes_count_scales_and_a_wider_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
