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
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softmax_cudnn.h"

#if HAVE_CUDNN
#include "cudnn_graph.h"

/* The host numbers of a graph, which cuDNN reads at every execution, lie beside it. */
struct detail {
    struct cudnn_graph graph;
    float scale, lowest, left_shift;
    int32_t keys, queries;
    struct attention_buffers bound;
};

static const cudnnDataType_t FLOAT = CUDNN_DATA_FLOAT, INTEGER = CUDNN_DATA_INT32, BOOLEAN = CUDNN_DATA_BOOLEAN;

static const char *decline(const struct attention_problem *problem) {
    size_t version = cudnnGetVersion();
    if (version == 91000 || version == 91001) return "cuDNN 9.10.0 and 9.10.1 have known bugs in attention";
    if (problem->dtype != DTYPE_bf16 && problem->dtype != DTYPE_fp16) return "cuDNN's fused attention is bf16 and fp16";
    if (problem->head_dim % 8) return "cuDNN's fused attention wants head_dim to be a multiple of 8";
    enum mask_name name = problem->mask->name;
    if (name != MASK_full && name != MASK_causal && name != MASK_causal_sliding)
        return "cuDNN's fused attention has full, causal and causal sliding masks";
    if (problem->mask->name != MASK_full && problem->queries > problem->keys)
        return "cuDNN aligns a causal mask bottom right only up to as many queries as keys";
    return attention_no_options(problem);
}

/* The rows' positions among the keys, where the last query stands at the last key. */
static struct graph_tensor row_positions(struct detail *detail, const struct graph_tensor *score) {
    struct cudnn_graph *graph = &detail->graph;
    struct graph_tensor row = graph_pointwise(graph, "row index", CUDNN_POINTWISE_GEN_INDEX, FLOAT, INTEGER, 2, score,
                                              NULL, NULL);
    if (detail->keys == detail->queries) return row;
    struct graph_tensor keys = graph_scalar(graph, "keys", INTEGER, &detail->keys);
    struct graph_tensor queries = graph_scalar(graph, "queries", INTEGER, &detail->queries);
    row = graph_pointwise(graph, "row + keys", CUDNN_POINTWISE_ADD, INTEGER, INTEGER, -1, &row, &keys, NULL);
    return graph_pointwise(graph, "row + keys - queries", CUDNN_POINTWISE_SUB, INTEGER, INTEGER, -1, &row, &queries,
                           NULL);
}

static struct graph_tensor mask_right(struct detail *detail, const struct graph_tensor *score) {
    struct cudnn_graph *graph = &detail->graph;
    struct graph_tensor row = row_positions(detail, score);
    struct graph_tensor column = graph_pointwise(graph, "column index", CUDNN_POINTWISE_GEN_INDEX, FLOAT, INTEGER, 3,
                                                 score, NULL, NULL);
    struct graph_tensor seen = graph_pointwise(graph, "row >= column", CUDNN_POINTWISE_CMP_GE, BOOLEAN, BOOLEAN, -1,
                                               &row, &column, NULL);
    struct graph_tensor lowest = graph_scalar(graph, "lowest, right", FLOAT, &detail->lowest);
    return graph_pointwise(graph, "select right", CUDNN_POINTWISE_BINARY_SELECT, FLOAT, FLOAT, -1, score, &lowest,
                           &seen);
}

static struct graph_tensor mask_left(struct detail *detail, const struct graph_tensor *score) {
    struct cudnn_graph *graph = &detail->graph;
    struct graph_tensor row = graph_pointwise(graph, "row index, left", CUDNN_POINTWISE_GEN_INDEX, FLOAT, FLOAT, 2,
                                              score, NULL, NULL);
    struct graph_tensor column = graph_pointwise(graph, "column index, left", CUDNN_POINTWISE_GEN_INDEX, FLOAT, FLOAT,
                                                 3, score, NULL, NULL);
    struct graph_tensor shift = graph_scalar(graph, "window", FLOAT, &detail->left_shift);
    column = graph_pointwise(graph, "column + window", CUDNN_POINTWISE_ADD, FLOAT, FLOAT, 3, &column, &shift, NULL);
    struct graph_tensor seen = graph_pointwise(graph, "column + window > row", CUDNN_POINTWISE_CMP_GT, BOOLEAN, BOOLEAN,
                                               -1, &column, &row, NULL);
    struct graph_tensor lowest = graph_scalar(graph, "lowest, left", FLOAT, &detail->lowest);
    return graph_pointwise(graph, "select left", CUDNN_POINTWISE_BINARY_SELECT, FLOAT, FLOAT, -1, score, &lowest,
                           &seen);
}

/* Scores in, probabilities out, in the type of the operands as the second product wants it. */
static struct graph_tensor softmax(struct cudnn_graph *graph, const struct graph_tensor *score, cudnnDataType_t type,
                                   const struct graph_tensor *log_sum_exp) {
    struct graph_tensor maximum = graph_reduction(graph, "maximum", CUDNN_REDUCE_TENSOR_MAX, score);
    struct graph_tensor below = graph_pointwise(graph, "score - maximum", CUDNN_POINTWISE_SUB, FLOAT, FLOAT, -1, score,
                                                &maximum, NULL);
    struct graph_tensor exponential = graph_pointwise(graph, "exponential", CUDNN_POINTWISE_EXP, FLOAT, FLOAT, -1,
                                                      &below, NULL, NULL);
    struct graph_tensor sum = graph_reduction(graph, "sum", CUDNN_REDUCE_TENSOR_ADD, &exponential);
    struct graph_tensor logarithm = graph_pointwise(graph, "log sum", CUDNN_POINTWISE_LOG, FLOAT, FLOAT, -1, &sum, NULL,
                                                    NULL);
    graph_pointwise_to(graph, "log_sum_exp", CUDNN_POINTWISE_ADD, FLOAT, -1, &maximum, &logarithm, NULL, log_sum_exp);
    return graph_pointwise(graph, "probability", CUDNN_POINTWISE_DIV, FLOAT, type, -1, &exponential, &sum, NULL);
}

static void compose(struct detail *detail, const struct attention_problem *problem) {
    struct cudnn_graph *graph = &detail->graph;
    const struct attention_problem *p = problem;
    cudnnDataType_t type = p->dtype == DTYPE_bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
    int64_t query_dimensions[4] = {p->batch, p->heads, p->queries, p->head_dim};
    int64_t query_strides[4] = {p->query.batch, p->query.head, p->query.row, 1};
    int64_t key_dimensions[4] = {p->batch, p->kv_heads, p->head_dim, p->keys};
    int64_t key_strides[4] = {p->key.batch, p->key.head, 1, p->key.row};
    int64_t value_dimensions[4] = {p->batch, p->kv_heads, p->keys, p->head_dim};
    int64_t value_strides[4] = {p->value.batch, p->value.head, p->value.row, 1};
    int64_t output_strides[4] = {p->output.batch, p->output.head, p->output.row, 1};
    int64_t row_dimensions[4] = {p->batch, p->heads, p->queries, 1};
    int64_t row_strides[4] = {p->heads * p->queries, p->queries, 1, 1};
    int64_t score_dimensions[4] = {p->batch, p->heads, p->queries, p->keys};
    int64_t score_strides[4] = {p->heads * p->queries * p->keys, p->queries * p->keys, p->keys, 1};
    struct graph_tensor query = graph_tensor(graph, "query", type, query_dimensions, query_strides, GRAPH_MEMORY);
    struct graph_tensor key = graph_tensor(graph, "key", type, key_dimensions, key_strides, GRAPH_MEMORY);
    struct graph_tensor value = graph_tensor(graph, "value", type, value_dimensions, value_strides, GRAPH_MEMORY);
    struct graph_tensor output = graph_tensor(graph, "output", type, query_dimensions, output_strides, GRAPH_MEMORY);
    struct graph_tensor log_sum_exp = graph_tensor(graph, "log_sum_exp", FLOAT, row_dimensions, row_strides,
                                                   GRAPH_MEMORY);
    struct graph_tensor score = graph_tensor(graph, "score", FLOAT, score_dimensions, score_strides, GRAPH_VIRTUAL);
    graph_matmul(graph, "query key^T", &query, &key, &score);
    struct graph_tensor scale = graph_scalar(graph, "scale", FLOAT, &detail->scale);
    score = graph_pointwise(graph, "scaled score", CUDNN_POINTWISE_MUL, FLOAT, FLOAT, -1, &score, &scale, NULL);
    if (p->mask->name != MASK_full) score = mask_right(detail, &score);
    if (p->mask->name == MASK_causal_sliding) score = mask_left(detail, &score);
    struct graph_tensor probability = softmax(graph, &score, type, &log_sum_exp);
    graph_matmul(graph, "probability value", &probability, &value, &output);
}

/* One handle for the life of the process: making it loads the library's kernels. */
static cudnnHandle_t process_handle(char *reason) {
    static cudnnHandle_t handle;
    if (handle) return handle;
    cudnnStatus_t status = cudnnCreate(&handle);
    if (status == CUDNN_STATUS_SUCCESS) return handle;
    handle = NULL;
    char message[REASON_SIZE / 2] = "";
    cudnnGetLastErrorString(message, sizeof(message));
    snprintf(reason, REASON_SIZE, "cudnnCreate: %s: %s", cudnnGetErrorString(status), message);
    return NULL;
}

static void compose_for(struct detail *detail, const struct attention_problem *problem) {
    detail->scale = problem->scale;
    detail->lowest = -FLT_MAX;
    detail->left_shift = (float)(problem->mask->window + 1 - (problem->keys - problem->queries));
    detail->keys = (int32_t)problem->keys;
    detail->queries = (int32_t)problem->queries;
    compose(detail, problem);
}

static void release(struct attention_plan *plan) {
    struct detail *detail = plan->detail;
    if (detail) graph_release(&detail->graph);
    free(detail);
    plan->detail = NULL;
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    cudnnHandle_t handle = process_handle(reason);
    struct detail *detail = handle ? calloc(1, sizeof(*detail)) : NULL;
    if (!detail) {
        if (handle) snprintf(reason, REASON_SIZE, "out of host memory");
        return false;
    }
    plan->detail = detail;
    detail->graph.handle = handle;
    compose_for(detail, problem);
    if (graph_plan(&detail->graph)) {
        plan->workspace = (size_t)detail->graph.workspace;
        return true;
    }
    snprintf(reason, REASON_SIZE, "%s", detail->graph.reason);
    release(plan);
    return false;
}

static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    struct detail *detail = plan->detail;
    struct cudnn_graph *graph = &detail->graph;
    (void)problem;
    if (memcmp(&detail->bound, buffers, sizeof(*buffers)) != 0) {
        void *pointers[] = {(void *)buffers->query, (void *)buffers->key, (void *)buffers->value, buffers->output,
                            buffers->log_sum_exp};
        graph_bind(graph, pointers, buffers->workspace);
        detail->bound = *buffers;
    }
    cudnnStatus_t status = cudnnSetStream(graph->handle, stream);
    if (status != CUDNN_STATUS_SUCCESS) {
        snprintf(reason, REASON_SIZE, "cudnnSetStream: %s", cudnnGetErrorString(status));
        return false;
    }
    if (graph_execute(graph)) return true;
    snprintf(reason, REASON_SIZE, "%s", graph->reason);
    return false;
}

bool softmax_cudnn_plan_for(const struct attention_problem *problem, const char *properties, int *nodes, char *reason) {
    struct detail detail = {.graph = {.failed = false}};
    struct cudnn_graph *graph = &detail.graph;
    graph_describe_device(graph, properties);
    compose_for(&detail, problem);
    bool planned = graph_plan(graph);
    *nodes = graph->operation_count;
    snprintf(reason, REASON_SIZE, "%s", graph->reason);
    graph_release(graph);
    return planned;
}

const struct attention_operator softmax_cudnn = {.name = "cudnn",
                                                 .backend = "cudnn",
                                                 .place = PLACE_DEVICE,
                                                 .decline = decline,
                                                 .prepare = prepare,
                                                 .forward = forward,
                                                 .release = release};

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
