/* score_options.h: struct attention_options inside a kernel, for .cu files. Scores are in units of log 2. */
#ifndef ATTENTION_SCORE_OPTIONS_H
#define ATTENTION_SCORE_OPTIONS_H

#include <math.h>

#include "attention.h"

/* By value among a kernel's arguments. */
struct score_options {
    float soft_cap;       /* in units of log 2; 0: none */
    float soft_cap_step;  /* 2 log2(e) / soft_cap: exp2 of it times a score is exp(2 score / soft_cap) */
    bool alibi;
    int heads;
    int64_t offset;       /* keys - queries: where query 0 stands among the keys */
    const float *sink, *gate; /* NULL: none */
    float clip_low, clip_high; /* clip_high 0: probabilities stay as they are */
};

static inline struct score_options score_options_of(const struct attention_problem *problem,
                                                    const struct attention_buffers *buffers) {
    const struct attention_options *options = &problem->options;
    struct score_options result = {.soft_cap = options->soft_cap * (float)M_LOG2E,
                                   .soft_cap_step = options->soft_cap > 0 ? 2 / options->soft_cap : 0,
                                   .alibi = options->alibi,
                                   .heads = (int)problem->heads,
                                   .offset = problem->keys - problem->queries,
                                   .sink = options->sink ? buffers->sink : NULL,
                                   .gate = options->gate ? buffers->gate : NULL,
                                   .clip_low = options->clip_low,
                                   .clip_high = options->clip_high};
    return result;
}

static __device__ inline bool changes_scores(const struct score_options *options) {
    return options->soft_cap > 0 || options->alibi;
}

/* A head's slope in units of log 2 a token; 0: none. */
static __device__ inline float alibi_slope(const struct score_options *options, int head) {
    return options->alibi ? exp2f(-8.0f * (float)(head + 1) / (float)options->heads) * (float)M_LOG2E : 0;
}

/* Tokens from a key to a query, in fp32 since integers would be converted for each pair anew. */
static __device__ inline float score_distance(const struct score_options *options, int64_t query, int64_t key) {
    return (float)(query + options->offset - key);
}

/* tanh x = 1 - 2 / (exp(2 x) + 1), right to 2^-22 of the cap for all x; tanhf takes several times as long. */
static __device__ inline float change_score(const struct score_options *options, float score, float slope,
                                            float distance) {
    if (options->soft_cap > 0)
        score = options->soft_cap * (1 - __fdividef(2, exp2f(options->soft_cap_step * score) + 1));
    return score - slope * fabsf(distance);
}

/* What a row's maximum and sum start from: nothing, or the sink. */
static __device__ inline float first_maximum(const struct score_options *options, int head) {
    return options->sink ? options->sink[head] * (float)M_LOG2E : -INFINITY;
}
static __device__ inline float first_sum(const struct score_options *options) {
    return options->sink ? 1.0f : 0.0f;
}

/* By what the output of a row ((batch * heads + head) * queries + query) is multiplied. */
static __device__ inline float gate_of(const struct score_options *options, int64_t row) {
    return options->gate ? 1.0f / (1.0f + expf(-options->gate[row])) : 1.0f;
}

static __device__ inline float clip_probability(const struct score_options *options, float probability) {
    return fminf(1, fmaxf(0, (options->clip_high - options->clip_low) * probability + options->clip_low));
}

#endif
