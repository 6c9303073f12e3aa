/* cudnn_graph.h: a computation graph through cuDNN's backend interface, in C: what the C++ front-end does, as far as a
   benchmark needs it. Every function keeps the first failure, with the node's name and cuDNN's own message, and does
   nothing after it; so a graph is written down straight and looked at once, when it is planned. */
#ifndef ATTENTION_CUDNN_GRAPH_H
#define ATTENTION_CUDNN_GRAPH_H

#include <cudnn.h>

#include "bench/device.h"

enum { GRAPH_DESCRIPTORS_MAX = 256, GRAPH_OPERATIONS_MAX = 40, GRAPH_BINDINGS_MAX = 16 };

/* A tensor of four dimensions, as cuDNN's attention graphs want them. Virtual ones live inside the fused kernel. */
struct graph_tensor {
    cudnnBackendDescriptor_t descriptor;
    int64_t dimensions[4], strides[4];
};
struct cudnn_graph {
    cudnnHandle_t handle;                       /* NULL: planned for device_properties, cannot be run */
    cudnnBackendDescriptor_t device_properties; /* NULL: planned for the handle's device */
    bool failed;
    char reason[REASON_SIZE];
    cudnnBackendDescriptor_t owned[GRAPH_DESCRIPTORS_MAX];
    int owned_count;
    cudnnBackendDescriptor_t operations[GRAPH_OPERATIONS_MAX];
    int operation_count;
    int64_t tensor_count; /* unique identifiers count up from 1 */
    int64_t bound_id[GRAPH_BINDINGS_MAX]; /* tensors that are not virtual, in the order they were made */
    void *bound_value[GRAPH_BINDINGS_MAX]; /* of scalars; NULL: in memory, graph_bind says where */
    int bound_count;
    cudnnBackendDescriptor_t plan, variant_pack;
    int64_t workspace; /* bytes */
    int plan_rank;     /* which of the heuristic's proposals it is, from 0 */
};

enum graph_storage { GRAPH_MEMORY, GRAPH_VIRTUAL };

/* Plans for a device that need not be there, described in cuDNN's JSON; to be called first. */
void graph_describe_device(struct cudnn_graph *graph, const char *properties);

/* A tensor in memory (graph_bind says where) or a virtual one. */
struct graph_tensor graph_tensor(struct cudnn_graph *graph, const char *name, cudnnDataType_t type,
                                 const int64_t dimensions[4], const int64_t strides[4], enum graph_storage storage);
/* A number on the host, handed over by value: *value must live as long as the graph. */
struct graph_tensor graph_scalar(struct cudnn_graph *graph, const char *name, cudnnDataType_t type, void *value);

/* output = a b, in fp32; the first two dimensions are batches, of which b may have fewer heads. */
void graph_matmul(struct cudnn_graph *graph, const char *name, const struct graph_tensor *a,
                  const struct graph_tensor *b, const struct graph_tensor *output);
/* Element by element, broadcasting; returns a virtual tensor of x's shape. b and select (the third operand) may be
   NULL. axis: of GEN_INDEX, else -1. */
struct graph_tensor graph_pointwise(struct cudnn_graph *graph, const char *name, cudnnPointwiseMode_t mode,
                                    cudnnDataType_t compute, cudnnDataType_t type, int64_t axis,
                                    const struct graph_tensor *x, const struct graph_tensor *b,
                                    const struct graph_tensor *select);
/* The same into a tensor that is there. */
void graph_pointwise_to(struct cudnn_graph *graph, const char *name, cudnnPointwiseMode_t mode,
                        cudnnDataType_t compute, int64_t axis, const struct graph_tensor *x,
                        const struct graph_tensor *b, const struct graph_tensor *select,
                        const struct graph_tensor *output);
/* Over the last dimension, in fp32; returns a virtual tensor. */
struct graph_tensor graph_reduction(struct cudnn_graph *graph, const char *name, cudnnReduceTensorOp_t operation,
                                    const struct graph_tensor *x);
/* Into a tensor that is there, over every dimension in which that is shorter than x. */
void graph_reduction_to(struct cudnn_graph *graph, const char *name, cudnnReduceTensorOp_t operation,
                        const struct graph_tensor *x, const struct graph_tensor *output);
/* The last two dimensions change places, a matter of strides; returns a virtual tensor of the type. */
struct graph_tensor graph_transpose(struct cudnn_graph *graph, const char *name, cudnnDataType_t type,
                                    const struct graph_tensor *x);

/* Chooses the first engine of the heuristic's list that accepts the graph. false: graph->reason. */
bool graph_plan(struct cudnn_graph *graph);
/* Says where the GRAPH_MEMORY tensors lie, in the order they were made, and the workspace of graph->workspace bytes. */
bool graph_bind(struct cudnn_graph *graph, void *const *pointers, void *workspace);
/* Enqueues the plan on the handle's stream with the last binding. */
bool graph_execute(struct cudnn_graph *graph);
void graph_release(struct cudnn_graph *graph); /* all but the handle */

#endif
