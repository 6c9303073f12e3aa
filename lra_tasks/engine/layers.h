/* layers.h: the engine's layers, each a pair X_forward / X_backward in a file of its own.

   Arrays are dense and row major. A row belongs to one token unless said otherwise; the tokens of several examples lie
   one after another without padding (struct packing), so nothing is computed for padding and no mask is needed: what a
   masked, padded batch computes for its valid tokens is what these layers compute.
   Gradients of parameters (d_table, d_weight, d_bias, d_gain) are added to what is there, so that several calls
   accumulate. Gradients of activations are overwritten, but for layernorm_backward, whose input is the residual stream.
   Layers neither allocate nor start threads: the trainer gives each thread examples of its own. */
#ifndef LRA_TASKS_LAYERS_H
#define LRA_TASKS_LAYERS_H

#include "lra_tasks/engine/real.h"

/* Example e has the rows start[e] .. start[e + 1] - 1, its positions 0, 1, 2 .. identity[e] is its index in the batch,
   on which its dropout depends: not on where, by whom and beside which other examples it is computed. */
struct packing {
    int64_t examples;
    const int64_t *start;    /* examples + 1 */
    const int64_t *identity; /* examples */
};

/* Dropout without state: whether a value is dropped is a function of (seed, stream, identity, position, column). The
   stream tells steps and places in the model apart. Probability 0 is no dropout. The probability is rounded to a
   multiple of 2^-16, because one 64-bit random number serves four values. */
struct dropout {
    double probability;
    uint64_t seed, stream;
};
enum { DROPOUT_ROWS = 1 << 20, DROPOUT_COLUMNS = 1 << 14 }; /* rows an example, columns a row: at most so many */
/* Multipliers of one row, 0 or 1 / (1 - probability); `multiplier` holds columns rounded up to a multiple of 4. */
void dropout_row(real *multiplier, int64_t columns, const struct dropout *dropout, uint64_t row);
/* The same for one value, in double: for references. */
double dropout_multiplier(const struct dropout *dropout, uint64_t row, int64_t column, int64_t columns);
/* Multiplies [rows, columns] in place. It is its own transpose: backward is the same call on the gradient. */
void dropout_apply(real *value, const struct packing *packing, int64_t columns, const struct dropout *dropout);

/* out [rows, width] = token_table [vocabulary, width] at the token + position_table [positions, width] at its
   position in the example. */
void embedding_forward(real *out, const real *token_table, const real *position_table, const uint16_t *token,
                       const struct packing *packing, int64_t width);
void embedding_backward(real *d_token_table, real *d_position_table, const real *d_out, const uint16_t *token,
                        const struct packing *packing, int64_t width);

/* out [rows, outputs] = in [rows, inputs] weight [inputs, outputs] + bias [outputs]. */
void linear_forward(real *out, const real *in, const real *weight, const real *bias, int64_t rows, int64_t inputs,
                    int64_t outputs);
void linear_backward(real *d_in, real *d_weight, real *d_bias, const real *d_out, const real *in, const real *weight,
                     int64_t rows, int64_t inputs, int64_t outputs);

/* out = (in - mean) / sqrt(variance + 1e-5) * gain + bias over each row of `width`; statistic [rows, 2] keeps the mean
   and the reciprocal of the root for backward, which adds to d_in. */
void layernorm_forward(real *out, real *statistic, const real *in, const real *gain, const real *bias, int64_t rows,
                       int64_t width);
void layernorm_backward(real *d_in, real *d_gain, real *d_bias, const real *d_out, const real *in,
                        const real *statistic, const real *gain, int64_t rows, int64_t width);

/* out = in / (1 + exp(-2 u)), u = sqrt(2 / pi) (in + 0.044715 in^3): GELU in its tanh form. d_in may be d_out. */
void gelu_forward(real *out, const real *in, int64_t count);
void gelu_backward(real *d_in, const real *d_out, const real *in, int64_t count);

/* Self-attention of every example and head over the example's own rows. qkv [rows, 3, heads, head_dim] holds queries,
   keys and values; out [rows, heads, head_dim]. saved [rows, heads] is what the operator keeps for backward. Dropout is
   on the attention weights. scratch holds attention_operator.scratch(longest example) values.
   One entry for each kind of attention; attention_find returns NULL for a name that is none. */
struct attention_shape {
    int64_t heads, head_dim;
};
struct attention_operator {
    const char *name;
    int64_t (*scratch)(int64_t length);
    void (*forward)(real *out, real *saved, const real *qkv, const struct packing *packing,
                    struct attention_shape shape, const struct dropout *dropout, real *scratch);
    void (*backward)(real *d_qkv, const real *d_out, const real *out, const real *saved, const real *qkv,
                     const struct packing *packing, struct attention_shape shape, const struct dropout *dropout,
                     real *scratch);
    double (*flops)(int64_t length, struct attention_shape shape, bool training); /* of one example, by definition */
};
extern const struct attention_operator attention_softmax;
const struct attention_operator *attention_find(const char *name);

/* out [examples, width] = mean over the example's rows of in [rows, width]. */
void pool_forward(real *out, const real *in, const struct packing *packing, int64_t width);
void pool_backward(real *d_in, const real *d_out, const struct packing *packing, int64_t width);

/* loss [rows] = -log softmax(logits [rows, classes]) at the label; backward writes weight * d loss / d logits. */
void cross_entropy_forward(real *loss, const real *logits, const uint8_t *label, int64_t rows, int64_t classes);
void cross_entropy_backward(real *d_logits, const real *logits, const uint8_t *label, int64_t rows, int64_t classes,
                            real weight);

/* AdamW (Loshchilov, Hutter 2019) on `count` values; step counts from 1. */
struct adamw {
    double rate, beta1, beta2, epsilon, decay;
};
void adamw_update(real *parameter, real *first, real *second, const real *gradient, int64_t count,
                  const struct adamw *adamw, int64_t step);

#endif
