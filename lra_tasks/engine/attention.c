/* attention.c: softmax attention, forward and backward, over OpenBLAS.

   A block of queries at a time: scores = scale Q K^T is one GEMM into scratch that stays in the cache, its rows become
   weights there, and out = weights V is the second GEMM. Nothing of size length^2 is kept for backward but the log of
   each row's sum; backward computes the scores again (one GEMM more than keeping them, and for 2000 tokens 64 MB an
   example less to write and read). With weights W = M o P, where P is the softmax and M the dropout's multipliers:
       dV = W^T dO,  dW = dO V^T,  dS = W o dW - P o rowsum(dO o O),  dQ = scale dS K,  dK = scale dS^T Q.
   FLOPs by the definition: 4 length^2 width forward and twice that backward; the recomputation is not counted. */
#include "lra_tasks/engine/layers.h"

enum { QUERY_BLOCK = 64 };

static int64_t padded(int64_t length) { return (length + 15) / 16 * 16; }

static int64_t softmax_scratch(int64_t length) { return (2 * QUERY_BLOCK + 1) * padded(length); }

static double softmax_flops(int64_t length, struct attention_shape shape, bool training) {
    return (training ? 12.0 : 4.0) * (double)length * (double)length * (double)(shape.heads * shape.head_dim);
}

/* One example and head: rows are 3 * width apart in qkv and width apart in out. */
struct head {
    const real *query, *key, *value;
    int64_t length, head_dim, stride, out_stride, saved_stride;
    real scale;
    const struct dropout *dropout;
    uint64_t dropout_row;
};

static struct head head_at(const real *qkv, const struct packing *packing, int64_t example, int64_t head,
                           struct attention_shape shape, const struct dropout *dropout) {
    int64_t width = shape.heads * shape.head_dim;
    const real *query = qkv + packing->start[example] * 3 * width + head * shape.head_dim;
    uint64_t row = (uint64_t)(packing->identity[example] * shape.heads + head) * DROPOUT_ROWS;
    return (struct head){.query = query, .key = query + width, .value = query + 2 * width,
                         .length = packing->start[example + 1] - packing->start[example],
                         .head_dim = shape.head_dim, .stride = 3 * width, .out_stride = width,
                         .saved_stride = shape.heads, .scale = 1 / engine_sqrt((real)shape.head_dim),
                         .dropout = dropout, .dropout_row = row};
}

static void head_scores(const struct head *head, int64_t first, int64_t rows, real *score) {
    engine_gemm(false, true, rows, head->length, head->head_dim, head->scale, head->query + first * head->stride,
                head->stride, head->key, head->stride, 0, score, padded(head->length));
}

/* Scores to weights; returns the log of the row's sum. multiplier: NULL without dropout. */
static real weights_of_row(real *restrict score, const real *restrict multiplier, int64_t length) {
    real largest = score[0], sum = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t j = 0; j < length; j++) largest = score[j] > largest ? score[j] : largest;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < length; j++) {
        score[j] = engine_exp(score[j] - largest);
        sum += score[j];
    }
    const real share = 1 / sum;
    if (multiplier) {
#pragma omp simd
        for (int64_t j = 0; j < length; j++) score[j] *= share * multiplier[j];
    } else {
#pragma omp simd
        for (int64_t j = 0; j < length; j++) score[j] *= share;
    }
    return largest + engine_log(sum);
}

static void head_forward(const struct head *head, real *out, real *saved, real *scratch) {
    const int64_t pitch = padded(head->length);
    real *score = scratch, *multiplier = head->dropout->probability > 0 ? scratch + QUERY_BLOCK * pitch : NULL;
    for (int64_t first = 0; first < head->length; first += QUERY_BLOCK) {
        int64_t rows = head->length - first < QUERY_BLOCK ? head->length - first : QUERY_BLOCK;
        head_scores(head, first, rows, score);
        for (int64_t i = 0; i < rows; i++) {
            if (multiplier)
                dropout_row(multiplier, head->length, head->dropout, head->dropout_row + (uint64_t)(first + i));
            saved[(first + i) * head->saved_stride] = weights_of_row(score + i * pitch, multiplier, head->length);
        }
        engine_gemm(false, false, rows, head->head_dim, head->length, 1, score, pitch, head->value, head->stride, 0,
                    out + first * head->out_stride, head->out_stride);
    }
}

static void softmax_forward(real *out, real *saved, const real *qkv, const struct packing *packing,
                            struct attention_shape shape, const struct dropout *dropout, real *scratch) {
    for (int64_t e = 0; e < packing->examples; e++)
        for (int64_t h = 0; h < shape.heads; h++) {
            struct head head = head_at(qkv, packing, e, h, shape, dropout);
            int64_t row = packing->start[e];
            head_forward(&head, out + row * head.out_stride + h * shape.head_dim, saved + row * shape.heads + h,
                         scratch);
        }
}

/* In place: score becomes the weights W, d_weight becomes dS. */
static void score_gradients_of_row(real *restrict score, real *restrict d_weight, const real *restrict multiplier,
                                   real log_sum, real product, int64_t length) {
    if (multiplier) {
#pragma omp simd
        for (int64_t j = 0; j < length; j++) {
            real probability = engine_exp(score[j] - log_sum);
            score[j] = probability * multiplier[j];
            d_weight[j] = score[j] * d_weight[j] - probability * product;
        }
    } else {
#pragma omp simd
        for (int64_t j = 0; j < length; j++) {
            score[j] = engine_exp(score[j] - log_sum);
            d_weight[j] = score[j] * (d_weight[j] - product);
        }
    }
}

static real dot(const real *restrict a, const real *restrict b, int64_t count) {
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static void head_backward(const struct head *head, real *d_query, const real *d_out, const real *out,
                          const real *saved, real *scratch) {
    const int64_t pitch = padded(head->length), width = head->out_stride, stride = head->stride;
    real *score = scratch, *d_score = scratch + QUERY_BLOCK * pitch, *d_key = d_query + width, *d_value = d_key + width;
    real *multiplier = head->dropout->probability > 0 ? d_score + QUERY_BLOCK * pitch : NULL;
    for (int64_t first = 0; first < head->length; first += QUERY_BLOCK) {
        int64_t rows = head->length - first < QUERY_BLOCK ? head->length - first : QUERY_BLOCK;
        const real *d_block = d_out + first * width, add = first > 0 ? 1 : 0;
        head_scores(head, first, rows, score);
        engine_gemm(false, true, rows, head->length, head->head_dim, 1, d_block, width, head->value, stride, 0,
                    d_score, pitch);
        for (int64_t i = 0; i < rows; i++) {
            if (multiplier)
                dropout_row(multiplier, head->length, head->dropout, head->dropout_row + (uint64_t)(first + i));
            real product = dot(d_block + i * width, out + (first + i) * width, head->head_dim);
            score_gradients_of_row(score + i * pitch, d_score + i * pitch, multiplier,
                                   saved[(first + i) * head->saved_stride], product, head->length);
        }
        engine_gemm(true, false, head->length, head->head_dim, rows, 1, score, pitch, d_block, width, add, d_value,
                    stride);
        engine_gemm(false, false, rows, head->head_dim, head->length, head->scale, d_score, pitch, head->key, stride,
                    0, d_query + first * stride, stride);
        engine_gemm(true, false, head->length, head->head_dim, rows, head->scale, d_score, pitch,
                    head->query + first * stride, stride, add, d_key, stride);
    }
}

static void softmax_backward(real *d_qkv, const real *d_out, const real *out, const real *saved, const real *qkv,
                             const struct packing *packing, struct attention_shape shape,
                             const struct dropout *dropout, real *scratch) {
    for (int64_t e = 0; e < packing->examples; e++)
        for (int64_t h = 0; h < shape.heads; h++) {
            struct head head = head_at(qkv, packing, e, h, shape, dropout);
            int64_t row = packing->start[e], column = h * shape.head_dim;
            head_backward(&head, d_qkv + row * head.stride + column, d_out + row * head.out_stride + column,
                          out + row * head.out_stride + column, saved + row * shape.heads + h, scratch);
        }
}

const struct attention_operator attention_softmax = {
    .name = "softmax",
    .scratch = softmax_scratch,
    .forward = softmax_forward,
    .backward = softmax_backward,
    .flops = softmax_flops,
};

const struct attention_operator *attention_find(const char *name) {
    static const struct attention_operator *const operators[] = {&attention_softmax};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i]->name, name) == 0) return operators[i];
    return NULL;
}
