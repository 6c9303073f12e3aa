/* cudnn_attention.c: what the forward and the backward graph of attention have in common. See cudnn_attention.h.
 * needs: cudnn
 */
#include "cudnn_attention.h"

#include <float.h>
#include <stdio.h>

static const cudnnDataType_t FLOAT = CUDNN_DATA_FLOAT, INTEGER = CUDNN_DATA_INT32, BOOLEAN = CUDNN_DATA_BOOLEAN;

/* One handle for the life of the process: making it loads the library's kernels. */
cudnnHandle_t cudnn_process_handle(char *reason) {
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

void cudnn_attention_start(struct cudnn_attention *attention, const struct attention_problem *problem) {
    attention->scale = problem->scale;
    attention->lowest = -FLT_MAX;
    attention->one = 1;
    attention->left_shift = (float)(problem->mask->window + 1 - (problem->keys - problem->queries));
    attention->keys = (int32_t)problem->keys;
    attention->queries = (int32_t)problem->queries;
    attention->type = problem->dtype == DTYPE_bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

/* Stops at the first failure: of binding, of the stream, of the execution. */
bool cudnn_attention_execute(struct cudnn_attention *attention, struct CUstream_st *stream, char *reason) {
    cudnnStatus_t status = cudnnSetStream(attention->graph.handle, stream);
    if (status != CUDNN_STATUS_SUCCESS) {
        snprintf(reason, REASON_SIZE, "cudnnSetStream: %s", cudnnGetErrorString(status));
        return false;
    }
    if (graph_execute(&attention->graph)) return true;
    snprintf(reason, REASON_SIZE, "%s", attention->graph.reason);
    return false;
}

struct graph_tensor cudnn_token_tensor(struct cudnn_attention *attention, const char *name,
                                       const struct attention_problem *problem, struct attention_strides strides,
                                       bool of_keys) {
    int64_t dimensions[4] = {problem->batch, of_keys ? problem->kv_heads : problem->heads,
                             of_keys ? problem->keys : problem->queries, problem->head_dim};
    int64_t distances[4] = {strides.batch, strides.head, strides.row, 1};
    return graph_tensor(&attention->graph, name, attention->type, dimensions, distances, GRAPH_MEMORY);
}

struct graph_tensor cudnn_transposed_tensor(struct cudnn_attention *attention, const char *name,
                                            const struct attention_problem *problem,
                                            struct attention_strides strides) {
    int64_t dimensions[4] = {problem->batch, problem->kv_heads, problem->head_dim, problem->keys};
    int64_t distances[4] = {strides.batch, strides.head, 1, strides.row};
    return graph_tensor(&attention->graph, name, attention->type, dimensions, distances, GRAPH_MEMORY);
}

struct graph_tensor cudnn_row_tensor(struct cudnn_attention *attention, const char *name,
                                     const struct attention_problem *problem) {
    int64_t dimensions[4] = {problem->batch, problem->heads, problem->queries, 1};
    int64_t distances[4] = {problem->heads * problem->queries, problem->queries, 1, 1};
    return graph_tensor(&attention->graph, name, FLOAT, dimensions, distances, GRAPH_MEMORY);
}

struct graph_tensor cudnn_score_tensor(struct cudnn_attention *attention, const char *name,
                                       const struct attention_problem *problem) {
    int64_t heads = problem->heads, queries = problem->queries, keys = problem->keys;
    int64_t dimensions[4] = {problem->batch, heads, queries, keys};
    int64_t distances[4] = {heads * queries * keys, queries * keys, keys, 1};
    return graph_tensor(&attention->graph, name, FLOAT, dimensions, distances, GRAPH_VIRTUAL);
}

struct graph_tensor cudnn_step(struct cudnn_attention *attention, const char *name, cudnnPointwiseMode_t mode,
                               const struct graph_tensor *x, const struct graph_tensor *b) {
    return graph_pointwise(&attention->graph, name, mode, FLOAT, FLOAT, -1, x, b, NULL);
}

/* The rows' positions among the keys, where the last query stands at the last key. */
static struct graph_tensor row_positions(struct cudnn_attention *attention, const struct graph_tensor *score) {
    struct cudnn_graph *graph = &attention->graph;
    struct graph_tensor row = graph_pointwise(graph, "row index", CUDNN_POINTWISE_GEN_INDEX, FLOAT, INTEGER, 2, score,
                                              NULL, NULL);
    if (attention->keys == attention->queries) return row;
    struct graph_tensor keys = graph_scalar(graph, "keys", INTEGER, &attention->keys);
    struct graph_tensor queries = graph_scalar(graph, "queries", INTEGER, &attention->queries);
    row = graph_pointwise(graph, "row + keys", CUDNN_POINTWISE_ADD, INTEGER, INTEGER, -1, &row, &keys, NULL);
    return graph_pointwise(graph, "row + keys - queries", CUDNN_POINTWISE_SUB, INTEGER, INTEGER, -1, &row, &queries,
                           NULL);
}

static struct graph_tensor mask_right(struct cudnn_attention *attention, const struct graph_tensor *score) {
    struct cudnn_graph *graph = &attention->graph;
    struct graph_tensor row = row_positions(attention, score);
    struct graph_tensor column = graph_pointwise(graph, "column index", CUDNN_POINTWISE_GEN_INDEX, FLOAT, INTEGER, 3,
                                                 score, NULL, NULL);
    struct graph_tensor seen = graph_pointwise(graph, "row >= column", CUDNN_POINTWISE_CMP_GE, BOOLEAN, BOOLEAN, -1,
                                               &row, &column, NULL);
    struct graph_tensor lowest = graph_scalar(graph, "lowest, right", FLOAT, &attention->lowest);
    return graph_pointwise(graph, "select right", CUDNN_POINTWISE_BINARY_SELECT, FLOAT, FLOAT, -1, score, &lowest,
                           &seen);
}

static struct graph_tensor mask_left(struct cudnn_attention *attention, const struct graph_tensor *score) {
    struct cudnn_graph *graph = &attention->graph;
    struct graph_tensor row = graph_pointwise(graph, "row index, left", CUDNN_POINTWISE_GEN_INDEX, FLOAT, FLOAT, 2,
                                              score, NULL, NULL);
    struct graph_tensor column = graph_pointwise(graph, "column index, left", CUDNN_POINTWISE_GEN_INDEX, FLOAT, FLOAT,
                                                 3, score, NULL, NULL);
    struct graph_tensor shift = graph_scalar(graph, "window", FLOAT, &attention->left_shift);
    column = graph_pointwise(graph, "column + window", CUDNN_POINTWISE_ADD, FLOAT, FLOAT, 3, &column, &shift, NULL);
    struct graph_tensor seen = graph_pointwise(graph, "column + window > row", CUDNN_POINTWISE_CMP_GT, BOOLEAN, BOOLEAN,
                                               -1, &column, &row, NULL);
    struct graph_tensor lowest = graph_scalar(graph, "lowest, left", FLOAT, &attention->lowest);
    return graph_pointwise(graph, "select left", CUDNN_POINTWISE_BINARY_SELECT, FLOAT, FLOAT, -1, score, &lowest,
                           &seen);
}

struct graph_tensor cudnn_attention_mask(struct cudnn_attention *attention, const struct attention_problem *problem,
                                         const struct graph_tensor *score) {
    struct graph_tensor masked = *score;
    if (problem->mask->name != MASK_full) masked = mask_right(attention, &masked);
    if (problem->mask->name == MASK_causal_sliding) masked = mask_left(attention, &masked);
    return masked;
}
