/* reference.c: see reference.h. Loops are ordered so that the innermost one runs over contiguous outputs, which makes
   the products fast enough to be recomputed for many directions without making them less plain. */
#include "lra_tasks/engine/reference.h"

#include <stdlib.h>

struct reference {
    const struct reference_pass *pass;
    struct parameter_table table;
    const double *parameters;
    int64_t layer, length;
    double *stream, *norm, *qkv, *attended, *branch, *hidden, *weights;
};

static const double *part(const struct reference *r, enum parameter parameter) {
    return r->parameters + r->table.first[parameter] + r->layer * r->table.stride[parameter];
}

static void product(double *restrict out, const double *in, const double *weight, const double *bias, int64_t rows,
                    int64_t inputs, int64_t outputs) {
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < outputs; j++) out[i * outputs + j] = bias[j];
        for (int64_t k = 0; k < inputs; k++)
            for (int64_t j = 0; j < outputs; j++) out[i * outputs + j] += in[i * inputs + k] * weight[k * outputs + j];
    }
}

static void normalize(double *out, const double *in, const double *gain, const double *bias, int64_t rows,
                      int64_t width) {
    for (int64_t i = 0; i < rows; i++) {
        double mean = 0, variance = 0;
        for (int64_t c = 0; c < width; c++) mean += in[i * width + c] / (double)width;
        for (int64_t c = 0; c < width; c++) variance += pow(in[i * width + c] - mean, 2) / (double)width;
        for (int64_t c = 0; c < width; c++)
            out[i * width + c] = (in[i * width + c] - mean) / sqrt(variance + 1e-5) * gain[c] + bias[c];
    }
}

static void gelu(double *value, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        double x = value[i];
        value[i] = x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    }
}

static struct dropout dropout_at(const struct reference *r, enum dropout_site site) {
    const struct model_input input = {.training = r->pass->training, .seed = r->pass->seed, .step = r->pass->step};
    return model_dropout(r->pass->shape, &input, r->layer, site);
}

static void drop(const struct reference *r, double *value, int64_t columns, enum dropout_site site) {
    const struct dropout dropout = dropout_at(r, site);
    if (dropout.probability == 0) return;
    for (int64_t i = 0; i < r->length; i++)
        for (int64_t c = 0; c < columns; c++)
            value[i * columns + c] *=
                dropout_multiplier(&dropout, (uint64_t)(r->pass->identity * DROPOUT_ROWS + i), c, columns);
}

static void attend_head(const struct reference *r, int64_t head, const struct dropout *dropout) {
    const int64_t width = r->pass->shape->width, heads = r->pass->shape->heads, head_dim = width / heads;
    for (int64_t i = 0; i < r->length; i++) {
        const double *query = r->qkv + i * 3 * width + head * head_dim;
        double sum = 0, largest = -INFINITY, *out = r->attended + i * width + head * head_dim;
        for (int64_t j = 0; j < r->length; j++) {
            const double *key = r->qkv + j * 3 * width + width + head * head_dim;
            r->weights[j] = 0;
            for (int64_t c = 0; c < head_dim; c++) r->weights[j] += query[c] * key[c] / sqrt((double)head_dim);
            largest = fmax(largest, r->weights[j]);
        }
        for (int64_t j = 0; j < r->length; j++) sum += r->weights[j] = exp(r->weights[j] - largest);
        for (int64_t c = 0; c < head_dim; c++) out[c] = 0;
        uint64_t row = (uint64_t)((r->pass->identity * heads + head) * DROPOUT_ROWS + i);
        for (int64_t j = 0; j < r->length; j++) {
            const double *value = r->qkv + j * 3 * width + 2 * width + head * head_dim;
            double weight = r->weights[j] / sum;
            if (dropout->probability > 0) weight *= dropout_multiplier(dropout, row, j, r->length);
            for (int64_t c = 0; c < head_dim; c++) out[c] += weight * value[c];
        }
    }
}

static void encode_layer(const struct reference *r) {
    const struct model_shape *shape = r->pass->shape;
    const int64_t width = shape->width, length = r->length;
    const struct dropout dropout = dropout_at(r, SITE_ATTENTION);
    normalize(r->norm, r->stream, part(r, PARAMETER_attention_norm_gain), part(r, PARAMETER_attention_norm_bias),
              length, width);
    product(r->qkv, r->norm, part(r, PARAMETER_qkv_weight), part(r, PARAMETER_qkv_bias), length, width, 3 * width);
    for (int64_t head = 0; head < shape->heads; head++) attend_head(r, head, &dropout);
    product(r->branch, r->attended, part(r, PARAMETER_projection_weight), part(r, PARAMETER_projection_bias), length,
            width, width);
    drop(r, r->branch, width, SITE_PROJECTION);
    for (int64_t i = 0; i < length * width; i++) r->stream[i] += r->branch[i];
    normalize(r->norm, r->stream, part(r, PARAMETER_mlp_norm_gain), part(r, PARAMETER_mlp_norm_bias), length, width);
    product(r->hidden, r->norm, part(r, PARAMETER_hidden_weight), part(r, PARAMETER_hidden_bias), length, width,
            shape->mlp);
    gelu(r->hidden, length * shape->mlp);
    drop(r, r->hidden, shape->mlp, SITE_HIDDEN);
    product(r->branch, r->hidden, part(r, PARAMETER_output_weight), part(r, PARAMETER_output_bias), length, shape->mlp,
            width);
    drop(r, r->branch, width, SITE_OUTPUT);
    for (int64_t i = 0; i < length * width; i++) r->stream[i] += r->branch[i];
}

/* Leaves the logits in r->branch. */
static double classify(const struct reference *r) {
    const struct model_shape *shape = r->pass->shape;
    double *mean = r->norm, *logits = r->branch, sum = 0;
    normalize(r->norm, r->stream, part(r, PARAMETER_final_norm_gain), part(r, PARAMETER_final_norm_bias), r->length,
              shape->width);
    for (int64_t c = 0; c < shape->width; c++) {
        double total = 0;
        for (int64_t i = 0; i < r->length; i++) total += r->norm[i * shape->width + c];
        mean[c] = total / (double)r->length;
    }
    product(r->hidden, mean, part(r, PARAMETER_head_weight), part(r, PARAMETER_head_bias), 1, shape->width, shape->mlp);
    gelu(r->hidden, shape->mlp);
    product(logits, r->hidden, part(r, PARAMETER_class_weight), part(r, PARAMETER_class_bias), 1, shape->mlp,
            shape->classes);
    double largest = logits[0];
    for (int64_t c = 1; c < shape->classes; c++) largest = fmax(largest, logits[c]);
    for (int64_t c = 0; c < shape->classes; c++) sum += exp(logits[c] - largest);
    return largest + log(sum) - logits[r->pass->example->label];
}

double reference_loss(const struct reference_pass *pass, const double *parameters, double *logits) {
    const struct model_shape *shape = pass->shape;
    const struct example *example = pass->example;
    const int64_t width = shape->width, length = example->length, cells = length * width;
    double *memory = malloc((size_t)(7 * cells + length * shape->mlp + length + shape->classes) * sizeof *memory);
    if (!memory) return NAN;
    struct reference r = {.pass = pass, .table = parameter_table(shape), .parameters = parameters, .length = length,
                          .stream = memory, .norm = memory + cells, .qkv = memory + 2 * cells,
                          .attended = memory + 5 * cells, .weights = memory + 6 * cells};
    r.hidden = r.weights + length;
    r.branch = r.hidden + length * shape->mlp;
    for (int64_t i = 0; i < length; i++)
        for (int64_t c = 0; c < width; c++)
            r.stream[i * width + c] = part(&r, PARAMETER_token_table)[example->token[i] * width + c] +
                                      part(&r, PARAMETER_position_table)[i * width + c];
    drop(&r, r.stream, width, SITE_EMBEDDING);
    for (; r.layer < shape->layers; r.layer++) encode_layer(&r);
    r.layer = 0;
    double loss = classify(&r);
    if (logits) memcpy(logits, r.branch, (size_t)shape->classes * sizeof *logits);
    free(memory);
    return loss;
}
