/* softmax_cudnn.c: softmax attention as one fused cuDNN graph, the yardstick on NVIDIA devices.

   The graph is the one that the front-end library composes and that cuDNN's flash engines recognize as a whole:
     score = query key^T; score *= scale; for each bound of the mask: index the rows and columns, compare them, select
     score or the lowest number; maximum, subtract, exponential, sum, divide; log_sum_exp = maximum + log sum;
     output = probability value.
   Nothing but query, key, value, output and log_sum_exp is in memory. Which comparison, which type and which order the
   mask's nodes have decides whether the engines know the graph, so they are as the front-end has them: the bound on the
   right as row >= column in integers; the bound on the left as column + window + 1 > row in fp32. Key heads shared by
   query heads need no node: key and value have fewer heads, and the product broadcasts.

   The engines want the key as [batch][head][head_dim][token], which is a matter of strides. The front-end refuses
   9.10.0 and 9.10.1 for known bugs in these graphs, and so does this file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softmax_cudnn.h"

#if HAVE_CUDNN
#include "softmax_cudnn_backward.h"

struct detail {
    struct cudnn_attention attention;
    struct attention_buffers bound;
    struct cudnn_backward *backward; /* NULL: the problem asks for none */
};

static const cudnnDataType_t FLOAT = CUDNN_DATA_FLOAT;

static const char *decline(const struct attention_problem *problem) {
    size_t version = cudnnGetVersion();
    if (version == 91000 || version == 91001) return "cuDNN 9.10.0 and 9.10.1 have known bugs in attention";
    if (problem->dtype != DTYPE_bf16 && problem->dtype != DTYPE_fp16) return "cuDNN's fused attention is bf16 and fp16";
    if (problem->head_dim % 8) return "cuDNN's fused attention wants head_dim to be a multiple of 8";
    enum mask_name mask = problem->mask->name;
    if (mask != MASK_full && mask != MASK_causal && mask != MASK_causal_sliding)
        return "cuDNN's fused attention is used with the masks full, causal and causal_sliding";
    if (mask != MASK_full && problem->queries > problem->keys)
        return "cuDNN aligns a causal mask bottom right only up to as many queries as keys";
    const char *reason = attention_no_options(problem);
    return !reason && problem->backward ? cudnn_backward_decline(problem) : reason;
}

/* Scores in, probabilities out, in the type of the operands as the second product wants it. */
static struct graph_tensor softmax(struct cudnn_attention *attention, const struct graph_tensor *score,
                                   const struct graph_tensor *log_sum_exp) {
    struct cudnn_graph *graph = &attention->graph;
    struct graph_tensor maximum = graph_reduction(graph, "maximum", CUDNN_REDUCE_TENSOR_MAX, score);
    struct graph_tensor below = cudnn_step(attention, "score - maximum", CUDNN_POINTWISE_SUB, score, &maximum);
    struct graph_tensor exponential = cudnn_step(attention, "exponential", CUDNN_POINTWISE_EXP, &below, NULL);
    struct graph_tensor sum = graph_reduction(graph, "sum", CUDNN_REDUCE_TENSOR_ADD, &exponential);
    struct graph_tensor logarithm = cudnn_step(attention, "log sum", CUDNN_POINTWISE_LOG, &sum, NULL);
    graph_pointwise_to(graph, "log_sum_exp", CUDNN_POINTWISE_ADD, FLOAT, -1, &maximum, &logarithm, NULL, log_sum_exp);
    return graph_pointwise(graph, "probability", CUDNN_POINTWISE_DIV, FLOAT, attention->type, -1, &exponential, &sum,
                           NULL);
}

static void compose(struct cudnn_attention *attention, const struct attention_problem *problem) {
    struct cudnn_graph *graph = &attention->graph;
    const struct attention_problem *p = problem;
    struct graph_tensor query = cudnn_token_tensor(attention, "query", p, p->query, false);
    struct graph_tensor key = cudnn_transposed_tensor(attention, "key", p, p->key);
    struct graph_tensor value = cudnn_token_tensor(attention, "value", p, p->value, true);
    struct graph_tensor output = cudnn_token_tensor(attention, "output", p, p->output, false);
    struct graph_tensor log_sum_exp = cudnn_row_tensor(attention, "log_sum_exp", p);
    struct graph_tensor score = cudnn_score_tensor(attention, "score", p);
    graph_matmul(graph, "query key^T", &query, &key, &score);
    struct graph_tensor scale = graph_scalar(graph, "scale", FLOAT, &attention->scale);
    score = cudnn_step(attention, "scaled score", CUDNN_POINTWISE_MUL, &score, &scale);
    score = cudnn_attention_mask(attention, p, &score);
    struct graph_tensor probability = softmax(attention, &score, &log_sum_exp);
    graph_matmul(graph, "probability value", &probability, &value, &output);
}

static void release(struct attention_plan *plan) {
    struct detail *detail = plan->detail;
    if (detail) {
        graph_release(&detail->attention.graph);
        cudnn_backward_release(detail->backward);
    }
    free(detail);
    plan->detail = NULL;
}

static bool plan_backward(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    struct detail *detail = plan->detail;
    int nodes;
    detail->backward = cudnn_backward_prepare(problem, detail->attention.graph.handle, NULL,
                                              &plan->backward_workspace, &nodes, reason);
    return detail->backward;
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    cudnnHandle_t handle = cudnn_process_handle(reason);
    struct detail *detail = handle ? calloc(1, sizeof(*detail)) : NULL;
    if (!detail) {
        if (handle) snprintf(reason, REASON_SIZE, "out of host memory");
        return false;
    }
    struct cudnn_graph *graph = &detail->attention.graph;
    plan->detail = detail;
    graph->handle = handle;
    cudnn_attention_start(&detail->attention, problem);
    compose(&detail->attention, problem);
    bool planned = graph_plan(graph);
    plan->workspace = (size_t)graph->workspace;
    if (!planned) snprintf(reason, REASON_SIZE, "%s", graph->reason);
    if (planned && (!problem->backward || plan_backward(problem, plan, reason))) return true;
    release(plan);
    return false;
}

static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    struct detail *detail = plan->detail;
    (void)problem;
    if (memcmp(&detail->bound, buffers, sizeof(*buffers)) != 0) {
        void *pointers[] = {(void *)buffers->query, (void *)buffers->key, (void *)buffers->value, buffers->output,
                            buffers->log_sum_exp};
        graph_bind(&detail->attention.graph, pointers, buffers->workspace);
        detail->bound = *buffers;
    }
    return cudnn_attention_execute(&detail->attention, stream, reason);
}

static bool backward(const struct attention_problem *problem, const struct attention_plan *plan,
                     const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                     struct CUstream_st *stream, char *reason) {
    struct detail *detail = plan->detail;
    (void)problem;
    return cudnn_backward_run(detail->backward, buffers, gradients, stream, reason);
}

static bool plan_forward_for(const struct attention_problem *problem, const char *properties, int *nodes,
                             char *reason) {
    struct cudnn_attention attention = {.graph = {.failed = false}};
    struct cudnn_graph *graph = &attention.graph;
    graph_describe_device(graph, properties);
    cudnn_attention_start(&attention, problem);
    compose(&attention, problem);
    bool planned = graph_plan(graph);
    *nodes = graph->operation_count;
    snprintf(reason, REASON_SIZE, "%s", graph->reason);
    graph_release(graph);
    return planned;
}

bool softmax_cudnn_plan_for(const struct attention_problem *problem, const char *properties, int *nodes, char *reason) {
    size_t workspace;
    if (!problem->backward) return plan_forward_for(problem, properties, nodes, reason);
    struct cudnn_backward *planned = cudnn_backward_prepare(problem, NULL, properties, &workspace, nodes, reason);
    cudnn_backward_release(planned);
    return planned;
}

const struct attention_operator softmax_cudnn = {.name = "cudnn",
                                                 .backend = "cudnn",
                                                 .place = PLACE_DEVICE,
                                                 .decline = decline,
                                                 .prepare = prepare,
                                                 .forward = forward,
                                                 .release = release,
                                                 .backward = backward};

#else /* every problem is declined, so that nothing else is called */
static const char *decline(const struct attention_problem *problem) {
    (void)problem;
    return "built without cuDNN";
}

bool softmax_cudnn_plan_for(const struct attention_problem *problem, const char *properties, int *nodes, char *reason) {
    (void)properties;
    *nodes = 0;
    snprintf(reason, REASON_SIZE, "%s", decline(problem));
    return false;
}

const struct attention_operator softmax_cudnn = {.name = "cudnn",
                                                 .backend = "cudnn",
                                                 .place = PLACE_DEVICE,
                                                 .decline = decline};
#endif
