/* attention.h: the interface of every attention operator, on the host and on devices, for the programs that time them
   and for the training engine alike.

   Forward, for every batch item b, query head h (with key/value head g = h * kv_heads / heads) and query q:
     score[k]       = scale * sum_d query[b][h][q][d] * key[b][g][k][d]      for the keys k that the mask allows
     log_sum_exp    = log sum_k exp(score[k])                                natural logarithm; -infinity if none
     output[d]      = sum_k exp(score[k] - log_sum_exp) * value[b][g][k][d]  0 if none

   Operands are tensors [batch][head][token][head_dim] of any strides whose innermost one is 1; log_sum_exp is fp32
   [batch][heads][queries], packed. 4 * area * head_dim FLOP a head: two products over the pairs that the mask allows,
   multiply and add; the softmax itself is not counted. The mask of a head is mask_head(mask->heads, h, heads).
   struct attention_options changes scores or probabilities; all of it zero changes nothing.

   Backward, from a loss whose derivatives by the output are output_gradient, and from forward's output and log_sum_exp:
     probability[q][k]     = exp(score[q][k] - log_sum_exp[q])
     delta[q]              = sum_d output_gradient[q][d] * output[q][d]
     score_gradient[q][k]  = probability[q][k] * (sum_d output_gradient[q][d] * value[k][d] - delta[q])
     query_gradient[q][d]  = scale * sum_k score_gradient[q][k] * key[k][d]          0 if the query sees nothing
     key_gradient[k][d]    = scale * sum_q score_gradient[q][k] * query[q][d]        also over the heads that share it
     value_gradient[k][d]  = sum_q probability[q][k] * output_gradient[q][d]         the same
   Five products over the allowed pairs, 2.5 times the FLOP of forward.

   An operator is used in this order: decline, prepare, forward and backward any number of times, release. */
#ifndef ATTENTION_OPERATOR_H
#define ATTENTION_OPERATOR_H

#include "attention/mask/mask.h"
#include "bench/bench.h"
#include "bench/device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ATTENTION_HEAD_DIM_MAX = 1024, ATTENTION_SCALE_BLOCK = 64 };

/* Distances in elements. Token rows must not overlap. */
struct attention_strides {
    int64_t batch, head, row;
};
/* Small changes of the operator, which combine. Scores change in the order soft_cap, alibi, then the mask. */
struct attention_options {
    float soft_cap; /* above 0: score becomes soft_cap * tanh(score / soft_cap) */
    bool alibi;     /* score -= 2^(-8 (h + 1) / heads) * |q + keys - queries - k| for query head h */
    bool sink;      /* buffers.sink[h] is one more score of every row, of a value that is zero; log_sum_exp holds it */
    bool gate;      /* output[b][h][q][d] *= 1 / (1 + exp(-buffers.gate[b][h][q])) */
    /* Clipped softmax (arXiv 2306.12929), where clip_high is above 0: a probability p of a key that the mask allows
       becomes min(1, max(0, (clip_high - clip_low) * p + clip_low)); clip_low <= 0, clip_high >= 1. */
    float clip_low, clip_high;
};
struct attention_problem {
    int64_t batch, heads, kv_heads, queries, keys; /* all >= 1; kv_heads divides heads */
    int64_t head_dim;                              /* 1 .. ATTENTION_HEAD_DIM_MAX */
    enum dtype dtype; /* of query, key and value; of output, but for fp8: attention_output_dtype */
    float scale;                                   /* usually 1 / sqrt(head_dim) */
    const struct mask *mask;                       /* of queries x keys; must outlive the plan */
    struct attention_strides query, key, value, output;
    int64_t scale_tokens; /* fp8 alone: neighbours of a head that share a scale */
    int threads; /* on the host */
    bool backward;      /* backward will be called: decline and prepare answer for it, too */
    bool deterministic; /* backward: the same operands give the same bits, call after call */
    struct attention_options options;
};
struct attention_buffers {
    const void *query, *key, *value;
    void *output;
    float *log_sum_exp;
    const float *sink; /* [heads], of options.sink */
    const float *gate; /* [batch][heads][queries], of options.gate */
    void *workspace; /* plan.workspace bytes, 64-byte aligned (512 on a device); contents do not matter */
    /* fp8 alone: an operand's element is what is stored times the scale of its block of problem.scale_tokens tokens,
       [batch][heads or kv_heads][blocks], packed; above 0 */
    const float *query_scale, *key_scale, *value_scale;
};
/* dtype, and the strides of output (output_gradient), query, key and value. Overwritten, not added to. */
struct attention_gradients {
    const void *output_gradient;
    void *query_gradient, *key_gradient, *value_gradient;
    void *workspace; /* plan.backward_workspace bytes, aligned as the other; contents do not matter */
};
struct attention_plan {
    size_t workspace;          /* bytes that forward needs in buffers.workspace */
    void *detail;              /* the operator's own */
    size_t backward_workspace; /* bytes that backward needs in gradients.workspace */
};

struct attention_operator {
    const char *name;    /* as a variant is called */
    const char *backend; /* as struct variant's */
    enum place place;    /* where the buffers lie */
    /* Why this problem is not for this operator, in static storage; NULL: it is. */
    const char *(*decline)(const struct attention_problem *problem);
    /* Fills the plan. false: not possible, with one line in reason (REASON_SIZE bytes). */
    bool (*prepare)(const struct attention_problem *problem, struct attention_plan *plan, char *reason);
    /* One call. On a device it enqueues on the stream and returns; false with one line in reason if that fails. */
    bool (*forward)(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason);
    void (*release)(struct attention_plan *plan); /* optional */
    /* Optional; for plans of problems with `backward` set, as forward. Of the buffers it reads the operands, output and
       log_sum_exp. */
    bool (*backward)(const struct attention_problem *problem, const struct attention_plan *plan,
                     const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                     struct CUstream_st *stream, char *reason);
};

extern const struct attention_operator softmax_tiled; /* host: fp32, bf16; memory linear in the length */
extern const struct attention_operator softmax_tiled_amx; /* host: bf16, the same by AMX; head_dim a multiple of 32 */
extern const struct attention_operator softmax_blas;  /* host: fp32, two matrix products with the scores between */
extern const struct attention_operator softmax_plain; /* device: fp32, bf16, fp16 */
extern const struct attention_operator softmax_mma;   /* device: bf16, fp16, mma.sync, head_dim 64 96 128 192 256 */
extern const struct attention_operator softmax_flash; /* device: as mma, by the instructions of sm_90a */
extern const struct attention_operator softmax_flash_token; /* device: the same of fp8 with a scale for each token */
extern const struct attention_operator softmax_cudnn; /* device: bf16, fp16, as one fused cuDNN graph */

/* Why an operator that knows no options declines the problem, in static storage; NULL: it has none. */
const char *attention_no_options(const struct attention_problem *problem);
float attention_alibi_slope(int64_t head, int64_t heads); /* 2^(-8 (head + 1) / heads) */
/* Sets the strides of packed [batch][head][token][head_dim] operands, the scale 1 / sqrt(head_dim), and scale_tokens to
   ATTENTION_SCALE_BLOCK where it is 0. */
void attention_pack(struct attention_problem *problem);
enum dtype attention_output_dtype(enum dtype dtype); /* of output, for operands of dtype: bf16 for fp8, else dtype */
/* Scales of a head of fp8 operands. */
int64_t attention_scale_blocks(const struct attention_problem *problem, int64_t tokens);
size_t attention_query_count(const struct attention_problem *problem); /* elements of query, and of output */
size_t attention_key_count(const struct attention_problem *problem);   /* elements of key, and of value */
double attention_forward_flops(const struct attention_problem *problem);
double attention_forward_bytes(const struct attention_problem *problem); /* each operand once, log_sum_exp too */
double attention_backward_flops(const struct attention_problem *problem);
double attention_backward_bytes(const struct attention_problem *problem); /* the same, gradients and output too */

/* The definition in fp64 for one query of operands on the host, pair by pair: output[head_dim] and *log_sum_exp.
   *magnitude is the square root of the sum of the squares of all terms of the output: errors of the terms that do not
   depend on each other add up to that share of it, while the output itself may cancel to nothing. */
void attention_reference_row(const struct attention_problem *problem, const struct attention_buffers *buffers,
                             int64_t batch, int64_t head, int64_t query, double *output, double *magnitude,
                             double *log_sum_exp);

/* Compares `count` rows of (batch, head, query), one from each of as many equal strata (at most ATTENTION_ROWS_MAX),
   with the definition in fp64; operands and results on the host. The error is the largest over the rows of
     |output - reference| / max(|reference|, magnitude), Euclidean over head_dim; |output| where that is 0, and
     |log_sum_exp - reference| / max(1, |reference|), times tolerance / 2^-14: it is kept in fp32 whatever dtype is.
   The tolerance is 2 epsilon of dtype, for probabilities and outputs rounded to it, and 62 of fp32; in fp8 as
   softmax_reference.c says. */
enum { ATTENTION_ROWS_MAX = 256 };
void attention_check(const struct attention_problem *problem, const struct attention_buffers *buffers, int64_t count,
                     uint64_t seed, struct verdict *verdict);

/* The same for gradients, by their definition above. gradient[head_dim] of one query, from the operands alone; of one
   key and head of keys, with forward's output and log_sum_exp. *magnitude: as above, over the terms whose errors do not
   depend on each other; softmax_backward_reference.c says which they are. */
void attention_reference_query_gradient(const struct attention_problem *problem,
                                        const struct attention_buffers *buffers,
                                        const struct attention_gradients *gradients, int64_t batch, int64_t head,
                                        int64_t query, double *gradient, double *magnitude);
void attention_reference_key_gradients(const struct attention_problem *problem, const struct attention_buffers *buffers,
                                       const struct attention_gradients *gradients, int64_t batch, int64_t kv_head,
                                       int64_t key, double *key_gradient, double *value_gradient,
                                       double *key_magnitude, double *value_magnitude);

/* attention_check, and then `count` rows of each gradient, sampled and measured in the same way, against the same
   tolerance: 2 epsilon of dtype hold half an epsilon for a gradient that is rounded to it, and as much each for
   probabilities or score gradients and for the output inside delta; fp32's part is that of its sums. */
void attention_check_backward(const struct attention_problem *problem, const struct attention_buffers *buffers,
                              const struct attention_gradients *gradients, int64_t count, uint64_t seed,
                              struct verdict *verdict);

#ifdef __cplusplus
}
#endif
#endif
