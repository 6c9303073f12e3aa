/* model.h: a pre-normalization Transformer encoder that classifies sequences, over flat memory.

   token + position embedding, then `layers` times
       x = x + dropout(projection(attention(layernorm(x))))
       x = x + dropout(output(dropout(gelu(hidden(layernorm(x))))))
   then layernorm, mean over the tokens, one hidden layer with GELU, and the class logits. Dropout also falls on the
   embedding and on the attention weights.

   All parameters lie in one array, all activations of a pass in another; tables say where each part starts. An array of
   gradients or of moments has the layout of the parameters. */
#ifndef LRA_TASKS_MODEL_H
#define LRA_TASKS_MODEL_H

#include "lra_tasks/engine/layers.h"

enum parameter {
#define PARAMETER(identifier, layered, rows, columns, initial) PARAMETER_##identifier,
#include "lra_tasks/engine/parameters.def"
#undef PARAMETER
    PARAMETER_COUNT
};
enum activation {
#define ACTIVATION(identifier, layered, values) ACTIVATION_##identifier,
#include "lra_tasks/engine/activations.def"
#undef ACTIVATION
    ACTIVATION_COUNT
};

struct model_shape {
    int64_t vocabulary, positions, classes;
    int64_t layers, heads, width, mlp; /* heads divide width */
    double dropout;
    const struct attention_operator *attention;
};

/* Part p of layer l starts at first[p] + l * stride[p] and has size[p] values; stride is 0 for parts that do not belong
   to a layer. */
struct parameter_table {
    int64_t first[PARAMETER_COUNT], stride[PARAMETER_COUNT], size[PARAMETER_COUNT], total;
};
struct activation_table {
    int64_t first[ACTIVATION_COUNT], stride[ACTIVATION_COUNT], size[ACTIVATION_COUNT], total;
};
extern const char *const parameter_names[PARAMETER_COUNT];
struct parameter_table parameter_table(const struct model_shape *shape);
struct activation_table activation_table(const struct model_shape *shape, int64_t rows, int64_t examples);

/* Fills parameters [table.total] by the seed. */
void model_initialize(const struct model_shape *shape, real *parameters, uint64_t seed);

/* One labelled sequence; the tokens are the owner's. */
struct example {
    const uint16_t *token;
    int32_t length; /* 1 .. positions */
    uint8_t label;
};

/* Examples to compute together. step tells the dropout of one training step from the next. */
struct model_input {
    struct packing packing;
    const uint16_t *token; /* [packing.start[examples]], each below vocabulary */
    const uint8_t *label;  /* [examples], each below classes; backward only (forward: NULL gives no loss) */
    bool training;         /* with dropout */
    uint64_t seed, step;
};

/* Forward writes logits [examples, classes] and, with labels, loss [examples] into the activations. Backward, after a
   forward of the same input, adds weight * (sum of the losses)' to the gradient. */
void model_forward(const struct model_shape *shape, const real *parameters, real *activations,
                   const struct activation_table *table, const struct model_input *input);
void model_backward(const struct model_shape *shape, const real *parameters, real *activations,
                    const struct activation_table *table, const struct model_input *input, real weight, real *gradient);

/* Where dropout falls. The stream of a site differs from step to step and from layer to layer. */
enum dropout_site { SITE_EMBEDDING, SITE_ATTENTION, SITE_PROJECTION, SITE_HIDDEN, SITE_OUTPUT, SITE_COUNT };
struct dropout model_dropout(const struct model_shape *shape, const struct model_input *input, int64_t layer,
                             enum dropout_site site);

/* Floating-point operations for one example, two for each multiply-add of a matrix product; a training pass is counted
   as three forward passes (backward: one product for the input and one for the weight). The rest is not counted. */
double model_flops(const struct model_shape *shape, int64_t length, bool training);

#endif
