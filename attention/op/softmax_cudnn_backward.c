/* softmax_cudnn_backward.c: the gradients of softmax attention as one fused cuDNN graph. See softmax_cudnn_backward.h.
 * needs: cudnn
 *
   The graph is the one that the front-end library composes and that cuDNN's flash engines recognize as a whole:
     delta = row sum of output_gradient * output
     probability = exp(mask(scale query key^T - log_sum_exp));  value_gradient = probability^T output_gradient
     score_gradient = scale * probability * (output_gradient value^T - delta)
     key_gradient = score_gradient^T query;  query_gradient = score_gradient key
   delta and, unless it must be deterministic, an fp32 copy of query_gradient, to which tiles of keys add in whatever
   order they come, are tensors in memory that the caller provides: they lie in the workspace behind cuDNN's own.
   Without that copy the engine keeps all score gradients, so that the deterministic graph needs memory with the square
   of the length. With grouped heads the gradients of key and value are first those of each query head, in the operands'
   type, and then summed.

   Versions before 9.6 want the fp32 copy cleared, and those up to 9.15 are wrong where the number of keys is no
   multiple of 128, both by the front-end's sources; decline says so. */
#include "softmax_cudnn_backward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cudnnDataType_t FLOAT = CUDNN_DATA_FLOAT;
enum { ALIGNMENT = 512 };

struct cudnn_backward {
    struct cudnn_attention attention;
    size_t delta_at, sums_at; /* in the workspace */
    struct attention_buffers bound;
    struct attention_gradients bound_gradients;
};

const char *cudnn_backward_decline(const struct attention_problem *problem) {
    size_t version = cudnnGetVersion();
    if (version < 90600) return "cuDNN's attention backward is used from 9.6 on";
    if (version < 91600 && problem->keys % 128)
        return "cuDNN's attention backward before 9.16 wants keys to be a multiple of 128";
    if (problem->head_dim > 256) return "cuDNN's attention backward wants a head_dim of at most 256";
    return NULL;
}

/* Tensors in the order in which bind hands over their addresses. */
struct operands {
    struct graph_tensor query, key, value, output, output_gradient, log_sum_exp;
    struct graph_tensor query_gradient, key_gradient, value_gradient, delta, sums;
};

static void make_operands(struct cudnn_attention *attention, const struct attention_problem *p,
                          struct operands *operands) {
    operands->query = cudnn_token_tensor(attention, "query", p, p->query, false);
    operands->key = cudnn_transposed_tensor(attention, "key", p, p->key);
    operands->value = cudnn_transposed_tensor(attention, "value", p, p->value);
    operands->output = cudnn_token_tensor(attention, "output", p, p->output, false);
    operands->output_gradient = cudnn_token_tensor(attention, "output_gradient", p, p->output, false);
    operands->log_sum_exp = cudnn_row_tensor(attention, "log_sum_exp", p);
    operands->query_gradient = cudnn_token_tensor(attention, "query_gradient", p, p->query, false);
    operands->key_gradient = cudnn_token_tensor(attention, "key_gradient", p, p->key, true);
    operands->value_gradient = cudnn_token_tensor(attention, "value_gradient", p, p->value, true);
    operands->delta = cudnn_row_tensor(attention, "delta", p);
    if (p->deterministic) return;
    int64_t dimensions[4] = {p->batch, p->heads, p->queries, p->head_dim};
    int64_t strides[4] = {p->heads * p->queries * p->head_dim, p->queries * p->head_dim, p->head_dim, 1};
    operands->sums = graph_tensor(&attention->graph, "query_gradient in fp32", FLOAT, dimensions, strides,
                                  GRAPH_MEMORY);
}

static void compose_delta(struct cudnn_attention *attention, const struct operands *operands) {
    struct cudnn_graph *graph = &attention->graph;
    struct graph_tensor product = cudnn_step(attention, "output_gradient * output", CUDNN_POINTWISE_MUL,
                                             &operands->output_gradient, &operands->output);
    struct graph_tensor sum = graph_reduction(graph, "row sum", CUDNN_REDUCE_TENSOR_ADD, &product);
    struct graph_tensor one = graph_scalar(graph, "one", FLOAT, &attention->one); /* where dropout would scale */
    graph_pointwise_to(graph, "delta", CUDNN_POINTWISE_MUL, FLOAT, -1, &sum, &one, NULL, &operands->delta);
}

/* gradient = weight^T rows, summed over the query heads that share a key head. */
static void gather(struct cudnn_attention *attention, const char *name, const struct attention_problem *p,
                   const struct graph_tensor *weight, const struct graph_tensor *rows,
                   const struct graph_tensor *gradient) {
    struct cudnn_graph *graph = &attention->graph;
    struct graph_tensor transposed = graph_transpose(graph, name, attention->type, weight);
    if (p->heads == p->kv_heads) {
        graph_matmul(graph, name, &transposed, rows, gradient);
        return;
    }
    int64_t dimensions[4] = {p->batch, p->heads, p->keys, p->head_dim};
    int64_t strides[4] = {p->heads * p->keys * p->head_dim, p->keys * p->head_dim, p->head_dim, 1};
    struct graph_tensor every = graph_tensor(graph, name, attention->type, dimensions, strides, GRAPH_VIRTUAL);
    graph_matmul(graph, name, &transposed, rows, &every);
    graph_reduction_to(graph, name, CUDNN_REDUCE_TENSOR_ADD, &every, gradient);
}

static void compose(struct cudnn_attention *attention, const struct attention_problem *p) {
    struct cudnn_graph *graph = &attention->graph;
    struct operands operands;
    make_operands(attention, p, &operands);
    compose_delta(attention, &operands);
    struct graph_tensor score = cudnn_score_tensor(attention, "score", p);
    graph_matmul(graph, "query key^T", &operands.query, &operands.key, &score);
    struct graph_tensor scale = graph_scalar(graph, "scale", FLOAT, &attention->scale);
    score = cudnn_step(attention, "scaled score", CUDNN_POINTWISE_MUL, &score, &scale);
    score = cudnn_step(attention, "score - log_sum_exp", CUDNN_POINTWISE_SUB, &score, &operands.log_sum_exp);
    score = cudnn_attention_mask(attention, p, &score);
    struct graph_tensor probability = cudnn_step(attention, "probability", CUDNN_POINTWISE_EXP, &score, NULL);
    gather(attention, "value_gradient", p, &probability, &operands.output_gradient, &operands.value_gradient);
    struct graph_tensor gradient = cudnn_score_tensor(attention, "probability_gradient", p);
    graph_matmul(graph, "output_gradient value^T", &operands.output_gradient, &operands.value, &gradient);
    gradient = cudnn_step(attention, "probability_gradient - delta", CUDNN_POINTWISE_SUB, &gradient, &operands.delta);
    gradient = cudnn_step(attention, "score_gradient", CUDNN_POINTWISE_MUL, &gradient, &probability);
    gradient = cudnn_step(attention, "scaled score_gradient", CUDNN_POINTWISE_MUL, &gradient, &scale);
    gather(attention, "key_gradient", p, &gradient, &operands.query, &operands.key_gradient);
    struct graph_tensor key = graph_transpose(graph, "key, a token a row", attention->type, &operands.key);
    if (p->deterministic) {
        graph_matmul(graph, "score_gradient key", &gradient, &key, &operands.query_gradient);
        return;
    }
    graph_matmul(graph, "score_gradient key", &gradient, &key, &operands.sums);
    graph_pointwise_to(graph, "query_gradient", CUDNN_POINTWISE_IDENTITY, FLOAT, -1, &operands.sums, NULL, NULL,
                       &operands.query_gradient);
}

static size_t round_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void cudnn_backward_release(struct cudnn_backward *backward) {
    if (backward) graph_release(&backward->attention.graph);
    free(backward);
}

struct cudnn_backward *cudnn_backward_prepare(const struct attention_problem *problem, cudnnHandle_t handle,
                                              const char *properties, size_t *workspace, int *nodes, char *reason) {
    struct cudnn_backward *backward = calloc(1, sizeof(*backward));
    if (!backward) {
        snprintf(reason, REASON_SIZE, "out of host memory");
        return NULL;
    }
    struct cudnn_graph *graph = &backward->attention.graph;
    graph->handle = handle;
    if (properties) graph_describe_device(graph, properties);
    cudnn_attention_start(&backward->attention, problem);
    compose(&backward->attention, problem);
    bool planned = graph_plan(graph);
    *nodes = graph->operation_count;
    if (!planned) {
        snprintf(reason, REASON_SIZE, "%s", graph->reason);
        cudnn_backward_release(backward);
        return NULL;
    }
    size_t rows = attention_query_count(problem) / (size_t)problem->head_dim;
    backward->delta_at = round_up((size_t)graph->workspace);
    backward->sums_at = backward->delta_at + round_up(rows * sizeof(float));
    *workspace = backward->sums_at + (problem->deterministic ? 0 : attention_query_count(problem) * sizeof(float));
    return backward;
}

bool cudnn_backward_run(struct cudnn_backward *backward, const struct attention_buffers *buffers,
                        const struct attention_gradients *gradients, struct CUstream_st *stream, char *reason) {
    const struct attention_buffers *b = buffers;
    const struct attention_gradients *g = gradients;
    char *workspace = g->workspace;
    if (memcmp(&backward->bound, b, sizeof(*b)) != 0 || memcmp(&backward->bound_gradients, g, sizeof(*g)) != 0) {
        void *pointers[] = {(void *)b->query, (void *)b->key, (void *)b->value, b->output,
                            (void *)g->output_gradient, b->log_sum_exp, g->query_gradient, g->key_gradient,
                            g->value_gradient, workspace + backward->delta_at, workspace + backward->sums_at};
        graph_bind(&backward->attention.graph, pointers, workspace);
        backward->bound = *b;
        backward->bound_gradients = *g;
    }
    return cudnn_attention_execute(&backward->attention, stream, reason);
}
