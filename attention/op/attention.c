/* attention.c: sizes and counts that every operator shares. */
#include "attention.h"

#include <math.h>

void attention_pack(struct attention_problem *problem) {
    int64_t d = problem->head_dim;
    struct attention_strides query = {problem->heads * problem->queries * d, problem->queries * d, d};
    struct attention_strides key = {problem->kv_heads * problem->keys * d, problem->keys * d, d};
    problem->query = problem->output = query;
    problem->key = problem->value = key;
    problem->scale = 1.0f / sqrtf((float)d);
    if (problem->scale_tokens == 0) problem->scale_tokens = ATTENTION_SCALE_BLOCK;
}

const char *attention_no_options(const struct attention_problem *problem) {
    const struct attention_options *options = &problem->options;
    bool any = options->soft_cap > 0 || options->alibi || options->sink || options->gate || options->clip_high > 0;
    return any ? "of soft cap, ALiBi, sinks, gates and clipping this operator knows none" : NULL;
}

float attention_alibi_slope(int64_t head, int64_t heads) {
    return exp2f(-8.0f * (float)(head + 1) / (float)heads);
}

enum dtype attention_output_dtype(enum dtype dtype) {
    return dtype == DTYPE_fp8_e4m3 ? DTYPE_bf16 : dtype;
}

int64_t attention_scale_blocks(const struct attention_problem *problem, int64_t tokens) {
    return (tokens + problem->scale_tokens - 1) / problem->scale_tokens;
}

size_t attention_query_count(const struct attention_problem *problem) {
    return (size_t)(problem->batch * problem->heads * problem->queries * problem->head_dim);
}

size_t attention_key_count(const struct attention_problem *problem) {
    return (size_t)(problem->batch * problem->kv_heads * problem->keys * problem->head_dim);
}

double attention_forward_flops(const struct attention_problem *problem) {
    double area = (double)mask_area(problem->mask) / (double)(problem->mask->heads > 1 ? problem->mask->heads : 1);
    return 4.0 * area * (double)(problem->batch * problem->heads * problem->head_dim);
}

double attention_forward_bytes(const struct attention_problem *problem) {
    double rows = (double)(problem->batch * problem->heads * problem->queries);
    double outputs = (double)attention_query_count(problem);
    double operands = outputs + 2.0 * (double)attention_key_count(problem);
    double bytes = operands * (double)dtype_size(problem->dtype) + rows * sizeof(float) +
                   outputs * (double)dtype_size(attention_output_dtype(problem->dtype));
    if (problem->dtype != DTYPE_fp8_e4m3) return bytes;
    double scales = (double)(problem->heads * attention_scale_blocks(problem, problem->queries)) +
                    2.0 * (double)(problem->kv_heads * attention_scale_blocks(problem, problem->keys));
    return bytes + (double)problem->batch * scales * sizeof(float);
}

double attention_backward_flops(const struct attention_problem *problem) {
    return 2.5 * attention_forward_flops(problem);
}

/* In: query, key, value, output, output_gradient, log_sum_exp. Out: the gradients of query, key, value. */
double attention_backward_bytes(const struct attention_problem *problem) {
    double rows = (double)(problem->batch * problem->heads * problem->queries);
    double elements = 4.0 * (double)attention_query_count(problem) + 4.0 * (double)attention_key_count(problem);
    return elements * (double)dtype_size(problem->dtype) + rows * sizeof(float);
}
