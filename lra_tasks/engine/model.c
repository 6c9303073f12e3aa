/* model.c: the encoder's forward and backward pass, put together from the layers. */
#include "lra_tasks/engine/model.h"

struct pass {
    const struct model_shape *shape;
    const struct model_input *input;
    struct parameter_table parameters;
    const struct activation_table *activations;
    const real *parameter;
    real *gradient; /* NULL in the forward pass */
    real *activation;
    int64_t rows;
};

static struct pass pass_of(const struct model_shape *shape, const real *parameters, real *activations,
                           const struct activation_table *table, const struct model_input *input, real *gradient) {
    return (struct pass){.shape = shape, .input = input, .parameters = parameter_table(shape), .activations = table,
                         .parameter = parameters, .gradient = gradient, .activation = activations,
                         .rows = input->packing.start[input->packing.examples]};
}

static const real *parameter(const struct pass *pass, enum parameter part, int64_t layer) {
    return pass->parameter + pass->parameters.first[part] + layer * pass->parameters.stride[part];
}

static real *gradient(const struct pass *pass, enum parameter part, int64_t layer) {
    return pass->gradient + pass->parameters.first[part] + layer * pass->parameters.stride[part];
}

static real *activation(const struct pass *pass, enum activation part, int64_t layer) {
    return pass->activation + pass->activations->first[part] + layer * pass->activations->stride[part];
}

static void drop(const struct pass *pass, real *value, int64_t columns, int64_t layer, enum dropout_site site) {
    const struct dropout dropout = model_dropout(pass->shape, pass->input, layer, site);
    dropout_apply(value, &pass->input->packing, columns, &dropout);
}

static void add(real *restrict out, const real *restrict a, const real *restrict b, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

/* A product with the weight and the bias that follows it in parameters.def. */
static void dense_forward(const struct pass *pass, real *out, const real *in, enum parameter weight, int64_t layer,
                          int64_t rows, int64_t inputs, int64_t outputs) {
    linear_forward(out, in, parameter(pass, weight, layer), parameter(pass, weight + 1, layer), rows, inputs, outputs);
}

static void dense_backward(const struct pass *pass, real *d_in, const real *d_out, const real *in,
                           enum parameter weight, int64_t layer, int64_t rows, int64_t inputs, int64_t outputs) {
    linear_backward(d_in, gradient(pass, weight, layer), gradient(pass, weight + 1, layer), d_out, in,
                    parameter(pass, weight, layer), rows, inputs, outputs);
}

/* A normalization with the gain and the bias that follows it; backward adds to the gradient of the residual stream. */
static void norm_forward(const struct pass *pass, real *out, const real *in, enum parameter gain,
                         enum activation statistic, int64_t layer) {
    layernorm_forward(out, activation(pass, statistic, layer), in, parameter(pass, gain, layer),
                      parameter(pass, gain + 1, layer), pass->rows, pass->shape->width);
}

static void norm_backward(const struct pass *pass, const real *d_out, const real *in, enum parameter gain,
                          enum activation statistic, int64_t layer) {
    layernorm_backward(activation(pass, ACTIVATION_d_stream, 0), gradient(pass, gain, layer),
                       gradient(pass, gain + 1, layer), d_out, in, activation(pass, statistic, layer),
                       parameter(pass, gain, layer), pass->rows, pass->shape->width);
}

/* The residual stream after a layer is the next layer's stream, or the last one. */
static real *stream_after(const struct pass *pass, int64_t layer) {
    return layer + 1 < pass->shape->layers ? activation(pass, ACTIVATION_stream, layer + 1)
                                           : activation(pass, ACTIVATION_last_stream, 0);
}

static void attention_branch_forward(const struct pass *pass, int64_t layer) {
    const struct model_shape *shape = pass->shape;
    const int64_t rows = pass->rows, width = shape->width;
    const struct attention_shape heads = {shape->heads, width / shape->heads};
    const struct dropout dropout = model_dropout(shape, pass->input, layer, SITE_ATTENTION);
    real *norm = activation(pass, ACTIVATION_attention_norm, layer), *qkv = activation(pass, ACTIVATION_qkv, layer);
    real *stream = activation(pass, ACTIVATION_stream, layer), *branch = activation(pass, ACTIVATION_branch, 0);
    real *attended = activation(pass, ACTIVATION_attended, layer);
    norm_forward(pass, norm, stream, PARAMETER_attention_norm_gain, ACTIVATION_attention_statistic, layer);
    dense_forward(pass, qkv, norm, PARAMETER_qkv_weight, layer, rows, width, 3 * width);
    shape->attention->forward(attended, activation(pass, ACTIVATION_saved, layer), qkv, &pass->input->packing, heads,
                              &dropout, activation(pass, ACTIVATION_scratch, 0));
    dense_forward(pass, branch, attended, PARAMETER_projection_weight, layer, rows, width, width);
    drop(pass, branch, width, layer, SITE_PROJECTION);
    add(activation(pass, ACTIVATION_middle, layer), stream, branch, rows * width);
}

static void mlp_branch_forward(const struct pass *pass, int64_t layer) {
    const int64_t rows = pass->rows, width = pass->shape->width, mlp = pass->shape->mlp;
    real *norm = activation(pass, ACTIVATION_mlp_norm, layer), *hidden = activation(pass, ACTIVATION_hidden, layer);
    real *middle = activation(pass, ACTIVATION_middle, layer), *active = activation(pass, ACTIVATION_active, layer);
    real *branch = activation(pass, ACTIVATION_branch, 0);
    norm_forward(pass, norm, middle, PARAMETER_mlp_norm_gain, ACTIVATION_mlp_statistic, layer);
    dense_forward(pass, hidden, norm, PARAMETER_hidden_weight, layer, rows, width, mlp);
    gelu_forward(active, hidden, rows * mlp);
    drop(pass, active, mlp, layer, SITE_HIDDEN);
    dense_forward(pass, branch, active, PARAMETER_output_weight, layer, rows, mlp, width);
    drop(pass, branch, width, layer, SITE_OUTPUT);
    add(stream_after(pass, layer), middle, branch, rows * width);
}

static void classifier_forward(const struct pass *pass) {
    const struct model_shape *shape = pass->shape;
    const int64_t examples = pass->input->packing.examples;
    real *norm = activation(pass, ACTIVATION_branch, 0), *pooled = activation(pass, ACTIVATION_pooled, 0);
    real *hidden = activation(pass, ACTIVATION_head_hidden, 0), *active = activation(pass, ACTIVATION_head_active, 0);
    real *logits = activation(pass, ACTIVATION_logits, 0);
    norm_forward(pass, norm, activation(pass, ACTIVATION_last_stream, 0), PARAMETER_final_norm_gain,
                 ACTIVATION_final_statistic, 0);
    pool_forward(pooled, norm, &pass->input->packing, shape->width);
    dense_forward(pass, hidden, pooled, PARAMETER_head_weight, 0, examples, shape->width, shape->mlp);
    gelu_forward(active, hidden, examples * shape->mlp);
    dense_forward(pass, logits, active, PARAMETER_class_weight, 0, examples, shape->mlp, shape->classes);
    if (pass->input->label)
        cross_entropy_forward(activation(pass, ACTIVATION_loss, 0), logits, pass->input->label, examples,
                              shape->classes);
}

void model_forward(const struct model_shape *shape, const real *parameters, real *activations,
                   const struct activation_table *table, const struct model_input *input) {
    const struct pass pass = pass_of(shape, parameters, activations, table, input, NULL);
    real *stream = activation(&pass, ACTIVATION_stream, 0);
    embedding_forward(stream, parameter(&pass, PARAMETER_token_table, 0), parameter(&pass, PARAMETER_position_table, 0),
                      input->token, &input->packing, shape->width);
    drop(&pass, stream, shape->width, 0, SITE_EMBEDDING);
    for (int64_t layer = 0; layer < shape->layers; layer++) {
        attention_branch_forward(&pass, layer);
        mlp_branch_forward(&pass, layer);
    }
    classifier_forward(&pass);
}

static void classifier_backward(const struct pass *pass, real weight) {
    const struct model_shape *shape = pass->shape;
    const int64_t examples = pass->input->packing.examples, cells = pass->rows * shape->width;
    real *d_logits = activation(pass, ACTIVATION_d_logits, 0), *d_head = activation(pass, ACTIVATION_d_head, 0);
    real *d_norm = activation(pass, ACTIVATION_d_branch, 0), *d_stream = activation(pass, ACTIVATION_d_stream, 0);
    real *d_pooled = activation(pass, ACTIVATION_branch, 0);
    cross_entropy_backward(d_logits, activation(pass, ACTIVATION_logits, 0), pass->input->label, examples,
                           shape->classes, weight);
    dense_backward(pass, d_head, d_logits, activation(pass, ACTIVATION_head_active, 0), PARAMETER_class_weight, 0,
                   examples, shape->mlp, shape->classes);
    gelu_backward(d_head, d_head, activation(pass, ACTIVATION_head_hidden, 0), examples * shape->mlp);
    dense_backward(pass, d_pooled, d_head, activation(pass, ACTIVATION_pooled, 0), PARAMETER_head_weight, 0, examples,
                   shape->width, shape->mlp);
    pool_backward(d_norm, d_pooled, &pass->input->packing, shape->width);
    memset(d_stream, 0, (size_t)cells * sizeof *d_stream);
    norm_backward(pass, d_norm, activation(pass, ACTIVATION_last_stream, 0), PARAMETER_final_norm_gain,
                  ACTIVATION_final_statistic, 0);
}

/* Both branches: d_stream is the gradient after the addition; what comes back through the branch is added to it. */
static void mlp_branch_backward(const struct pass *pass, int64_t layer) {
    const int64_t rows = pass->rows, width = pass->shape->width, mlp = pass->shape->mlp;
    real *d_stream = activation(pass, ACTIVATION_d_stream, 0), *d_branch = activation(pass, ACTIVATION_d_branch, 0);
    real *d_hidden = activation(pass, ACTIVATION_d_hidden, 0), *d_norm = activation(pass, ACTIVATION_branch, 0);
    memcpy(d_branch, d_stream, (size_t)(rows * width) * sizeof *d_branch);
    drop(pass, d_branch, width, layer, SITE_OUTPUT);
    dense_backward(pass, d_hidden, d_branch, activation(pass, ACTIVATION_active, layer), PARAMETER_output_weight,
                   layer, rows, mlp, width);
    drop(pass, d_hidden, mlp, layer, SITE_HIDDEN);
    gelu_backward(d_hidden, d_hidden, activation(pass, ACTIVATION_hidden, layer), rows * mlp);
    dense_backward(pass, d_norm, d_hidden, activation(pass, ACTIVATION_mlp_norm, layer), PARAMETER_hidden_weight,
                   layer, rows, width, mlp);
    norm_backward(pass, d_norm, activation(pass, ACTIVATION_middle, layer), PARAMETER_mlp_norm_gain,
                  ACTIVATION_mlp_statistic, layer);
}

static void attention_branch_backward(const struct pass *pass, int64_t layer) {
    const struct model_shape *shape = pass->shape;
    const int64_t rows = pass->rows, width = shape->width;
    const struct attention_shape heads = {shape->heads, width / shape->heads};
    const struct dropout dropout = model_dropout(shape, pass->input, layer, SITE_ATTENTION);
    real *d_stream = activation(pass, ACTIVATION_d_stream, 0), *d_branch = activation(pass, ACTIVATION_d_branch, 0);
    real *d_qkv = activation(pass, ACTIVATION_d_qkv, 0), *d_input = activation(pass, ACTIVATION_branch, 0);
    const real *attended = activation(pass, ACTIVATION_attended, layer);
    memcpy(d_branch, d_stream, (size_t)(rows * width) * sizeof *d_branch);
    drop(pass, d_branch, width, layer, SITE_PROJECTION);
    dense_backward(pass, d_input, d_branch, attended, PARAMETER_projection_weight, layer, rows, width, width);
    shape->attention->backward(d_qkv, d_input, attended, activation(pass, ACTIVATION_saved, layer),
                               activation(pass, ACTIVATION_qkv, layer), &pass->input->packing, heads, &dropout,
                               activation(pass, ACTIVATION_scratch, 0));
    dense_backward(pass, d_input, d_qkv, activation(pass, ACTIVATION_attention_norm, layer), PARAMETER_qkv_weight,
                   layer, rows, width, 3 * width);
    norm_backward(pass, d_input, activation(pass, ACTIVATION_stream, layer), PARAMETER_attention_norm_gain,
                  ACTIVATION_attention_statistic, layer);
}

void model_backward(const struct model_shape *shape, const real *parameters, real *activations,
                    const struct activation_table *table, const struct model_input *input, real weight,
                    real *gradients) {
    const struct pass pass = pass_of(shape, parameters, activations, table, input, gradients);
    real *d_stream = activation(&pass, ACTIVATION_d_stream, 0);
    classifier_backward(&pass, weight);
    for (int64_t layer = shape->layers - 1; layer >= 0; layer--) {
        mlp_branch_backward(&pass, layer);
        attention_branch_backward(&pass, layer);
    }
    drop(&pass, d_stream, shape->width, 0, SITE_EMBEDDING);
    embedding_backward(gradient(&pass, PARAMETER_token_table, 0), gradient(&pass, PARAMETER_position_table, 0),
                       d_stream, input->token, &input->packing, shape->width);
}
