/* cudnn_attention.h: tensors and nodes that the forward and the backward graph of attention have in common. */
#ifndef ATTENTION_CUDNN_ATTENTION_H
#define ATTENTION_CUDNN_ATTENTION_H

#include "attention.h"
#include "cudnn_graph.h"

/* A graph, and beside it its numbers on the host, which cuDNN reads at every execution. Must not move. */
struct cudnn_attention {
    struct cudnn_graph graph;
    float scale, lowest, left_shift, one;
    int32_t keys, queries;
    cudnnDataType_t type; /* of the operands */
};

/* The process's handle, made at the first call. NULL: one line in reason. */
cudnnHandle_t cudnn_process_handle(char *reason);

/* Sets the numbers; the graph is as the caller has it, with a handle or a device's description. */
void cudnn_attention_start(struct cudnn_attention *attention, const struct attention_problem *problem);

/* Tensors in memory: of [batch][head][token][head_dim] with the heads and tokens of the keys or of the queries; key or
   value as [batch][head][head_dim][token]; one fp32 a query. */
struct graph_tensor cudnn_token_tensor(struct cudnn_attention *attention, const char *name,
                                       const struct attention_problem *problem, struct attention_strides strides,
                                       bool of_keys);
struct graph_tensor cudnn_transposed_tensor(struct cudnn_attention *attention, const char *name,
                                            const struct attention_problem *problem,
                                            struct attention_strides strides);
struct graph_tensor cudnn_row_tensor(struct cudnn_attention *attention, const char *name,
                                     const struct attention_problem *problem);
/* Virtual, fp32: a score for every query and key. */
struct graph_tensor cudnn_score_tensor(struct cudnn_attention *attention, const char *name,
                                       const struct attention_problem *problem);

/* A pointwise node in fp32; b NULL: of x alone. */
struct graph_tensor cudnn_step(struct cudnn_attention *attention, const char *name, cudnnPointwiseMode_t mode,
                               const struct graph_tensor *x, const struct graph_tensor *b);

/* The nodes of the problem's mask: scores outside become the lowest number. */
struct graph_tensor cudnn_attention_mask(struct cudnn_attention *attention, const struct attention_problem *problem,
                                         const struct graph_tensor *score);

/* Enqueues on the stream. false: one line in reason. */
bool cudnn_attention_execute(struct cudnn_attention *attention, struct CUstream_st *stream, char *reason);

#endif
