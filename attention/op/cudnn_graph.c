/* cudnn_graph.c: cuDNN's backend descriptors, one function a kind of node. See cudnn_graph.h.
 * needs: cudnn
 */
#include "cudnn_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PROPOSALS_MAX = 16, TENSOR_ALIGNMENT = 16 };

static void fail(struct cudnn_graph *graph, const char *name, const char *step, cudnnStatus_t status) {
    if (graph->failed) return;
    graph->failed = true;
    char message[REASON_SIZE / 2] = "";
    cudnnGetLastErrorString(message, sizeof(message));
    snprintf(graph->reason, REASON_SIZE, "cuDNN %zu: %s: %s: %s%s%s", cudnnGetVersion(), name, step,
             cudnnGetErrorString(status), message[0] ? ": " : "", message);
    for (char *c = graph->reason; *c; c++) /* a reason is one line */
        if (*c == '\n' || *c == '\r') *c = ' ';
}

static cudnnBackendDescriptor_t create(struct cudnn_graph *graph, const char *name,
                                       cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t descriptor = NULL;
    if (graph->failed) return NULL;
    if (graph->owned_count == GRAPH_DESCRIPTORS_MAX) {
        fail(graph, name, "more descriptors than GRAPH_DESCRIPTORS_MAX", CUDNN_STATUS_INTERNAL_ERROR);
        return NULL;
    }
    cudnnStatus_t status = cudnnBackendCreateDescriptor(type, &descriptor);
    if (status != CUDNN_STATUS_SUCCESS) {
        fail(graph, name, "create", status);
        return NULL;
    }
    graph->owned[graph->owned_count++] = descriptor;
    return descriptor;
}

static void set(struct cudnn_graph *graph, const char *name, cudnnBackendDescriptor_t descriptor, const char *attribute,
                cudnnBackendAttributeName_t key, cudnnBackendAttributeType_t type, int64_t count, const void *values) {
    if (graph->failed) return;
    cudnnStatus_t status = cudnnBackendSetAttribute(descriptor, key, type, count, values);
    if (status != CUDNN_STATUS_SUCCESS) fail(graph, name, attribute, status);
}
/* One attribute under its own name, so that a refusal says which it was. */
#define SET(graph, name, descriptor, key, type, count, values)                                                         \
    set(graph, name, descriptor, "set " #key, CUDNN_ATTR_##key, CUDNN_TYPE_##type, count, values)

static void finalize(struct cudnn_graph *graph, const char *name, cudnnBackendDescriptor_t descriptor) {
    if (graph->failed) return;
    cudnnStatus_t status = cudnnBackendFinalize(descriptor);
    if (status != CUDNN_STATUS_SUCCESS) fail(graph, name, "finalize", status);
}

void graph_describe_device(struct cudnn_graph *graph, const char *properties) {
    const char *name = "device properties";
    graph->device_properties = create(graph, name, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    SET(graph, name, graph->device_properties, DEVICEPROP_JSON_REPRESENTATION, CHAR, (int64_t)strlen(properties) + 1,
        properties);
    finalize(graph, name, graph->device_properties);
}

static void add_operation(struct cudnn_graph *graph, const char *name, cudnnBackendDescriptor_t operation) {
    finalize(graph, name, operation);
    if (!graph->failed && graph->operation_count == GRAPH_OPERATIONS_MAX)
        fail(graph, name, "more operations than GRAPH_OPERATIONS_MAX", CUDNN_STATUS_INTERNAL_ERROR);
    if (!graph->failed) graph->operations[graph->operation_count++] = operation;
}

static struct graph_tensor make_tensor(struct cudnn_graph *graph, const char *name, cudnnDataType_t type,
                                       const int64_t dimensions[4], const int64_t strides[4], bool is_virtual,
                                       bool by_value) {
    struct graph_tensor tensor = {.descriptor = create(graph, name, CUDNN_BACKEND_TENSOR_DESCRIPTOR)};
    memcpy(tensor.dimensions, dimensions, sizeof(tensor.dimensions));
    memcpy(tensor.strides, strides, sizeof(tensor.strides));
    int64_t id = ++graph->tensor_count, alignment = TENSOR_ALIGNMENT;
    SET(graph, name, tensor.descriptor, TENSOR_DATA_TYPE, DATA_TYPE, 1, &type);
    SET(graph, name, tensor.descriptor, TENSOR_DIMENSIONS, INT64, 4, dimensions);
    SET(graph, name, tensor.descriptor, TENSOR_STRIDES, INT64, 4, strides);
    SET(graph, name, tensor.descriptor, TENSOR_UNIQUE_ID, INT64, 1, &id);
    SET(graph, name, tensor.descriptor, TENSOR_BYTE_ALIGNMENT, INT64, 1, &alignment);
    SET(graph, name, tensor.descriptor, TENSOR_IS_VIRTUAL, BOOLEAN, 1, &is_virtual);
    SET(graph, name, tensor.descriptor, TENSOR_IS_BY_VALUE, BOOLEAN, 1, &by_value);
    finalize(graph, name, tensor.descriptor);
    return tensor;
}

static void remember(struct cudnn_graph *graph, const char *name, void *value) {
    if (!graph->failed && graph->bound_count == GRAPH_BINDINGS_MAX)
        fail(graph, name, "more tensors than GRAPH_BINDINGS_MAX", CUDNN_STATUS_INTERNAL_ERROR);
    if (graph->failed) return;
    graph->bound_id[graph->bound_count] = graph->tensor_count;
    graph->bound_value[graph->bound_count++] = value;
}

struct graph_tensor graph_tensor(struct cudnn_graph *graph, const char *name, cudnnDataType_t type,
                                 const int64_t dimensions[4], const int64_t strides[4], enum graph_storage storage) {
    struct graph_tensor tensor =
        make_tensor(graph, name, type, dimensions, strides, storage == GRAPH_VIRTUAL, false);
    if (storage == GRAPH_MEMORY) remember(graph, name, NULL);
    return tensor;
}

struct graph_tensor graph_scalar(struct cudnn_graph *graph, const char *name, cudnnDataType_t type, void *value) {
    static const int64_t ones[4] = {1, 1, 1, 1};
    struct graph_tensor tensor = make_tensor(graph, name, type, ones, ones, false, true);
    remember(graph, name, value);
    return tensor;
}

void graph_matmul(struct cudnn_graph *graph, const char *name, const struct graph_tensor *a,
                  const struct graph_tensor *b, const struct graph_tensor *output) {
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t matmul = create(graph, name, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    SET(graph, name, matmul, MATMUL_COMP_TYPE, DATA_TYPE, 1, &compute);
    finalize(graph, name, matmul);
    cudnnBackendDescriptor_t operation = create(graph, name, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    SET(graph, name, operation, OPERATION_MATMUL_ADESC, BACKEND_DESCRIPTOR, 1, &a->descriptor);
    SET(graph, name, operation, OPERATION_MATMUL_BDESC, BACKEND_DESCRIPTOR, 1, &b->descriptor);
    SET(graph, name, operation, OPERATION_MATMUL_CDESC, BACKEND_DESCRIPTOR, 1, &output->descriptor);
    SET(graph, name, operation, OPERATION_MATMUL_DESC, BACKEND_DESCRIPTOR, 1, &matmul);
    add_operation(graph, name, operation);
}

void graph_pointwise_to(struct cudnn_graph *graph, const char *name, cudnnPointwiseMode_t mode,
                        cudnnDataType_t compute, int64_t axis, const struct graph_tensor *x,
                        const struct graph_tensor *b, const struct graph_tensor *select,
                        const struct graph_tensor *output) {
    cudnnBackendDescriptor_t pointwise = create(graph, name, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    SET(graph, name, pointwise, POINTWISE_MODE, POINTWISE_MODE, 1, &mode);
    SET(graph, name, pointwise, POINTWISE_MATH_PREC, DATA_TYPE, 1, &compute);
    if (axis >= 0) SET(graph, name, pointwise, POINTWISE_AXIS, INT64, 1, &axis);
    finalize(graph, name, pointwise);
    cudnnBackendDescriptor_t operation = create(graph, name, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    SET(graph, name, operation, OPERATION_POINTWISE_PW_DESCRIPTOR, BACKEND_DESCRIPTOR, 1, &pointwise);
    SET(graph, name, operation, OPERATION_POINTWISE_XDESC, BACKEND_DESCRIPTOR, 1, &x->descriptor);
    if (b) SET(graph, name, operation, OPERATION_POINTWISE_BDESC, BACKEND_DESCRIPTOR, 1, &b->descriptor);
    if (select) SET(graph, name, operation, OPERATION_POINTWISE_TDESC, BACKEND_DESCRIPTOR, 1, &select->descriptor);
    SET(graph, name, operation, OPERATION_POINTWISE_YDESC, BACKEND_DESCRIPTOR, 1, &output->descriptor);
    add_operation(graph, name, operation);
}

struct graph_tensor graph_pointwise(struct cudnn_graph *graph, const char *name, cudnnPointwiseMode_t mode,
                                    cudnnDataType_t compute, cudnnDataType_t type, int64_t axis,
                                    const struct graph_tensor *x, const struct graph_tensor *b,
                                    const struct graph_tensor *select) {
    struct graph_tensor output = graph_tensor(graph, name, type, x->dimensions, x->strides, GRAPH_VIRTUAL);
    graph_pointwise_to(graph, name, mode, compute, axis, x, b, select, &output);
    return output;
}

void graph_reduction_to(struct cudnn_graph *graph, const char *name, cudnnReduceTensorOp_t operation,
                        const struct graph_tensor *x, const struct graph_tensor *output) {
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t reduction = create(graph, name, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    SET(graph, name, reduction, REDUCTION_COMP_TYPE, DATA_TYPE, 1, &compute);
    SET(graph, name, reduction, REDUCTION_OPERATOR, REDUCTION_OPERATOR_TYPE, 1, &operation);
    finalize(graph, name, reduction);
    cudnnBackendDescriptor_t node = create(graph, name, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    SET(graph, name, node, OPERATION_REDUCTION_XDESC, BACKEND_DESCRIPTOR, 1, &x->descriptor);
    SET(graph, name, node, OPERATION_REDUCTION_YDESC, BACKEND_DESCRIPTOR, 1, &output->descriptor);
    SET(graph, name, node, OPERATION_REDUCTION_DESC, BACKEND_DESCRIPTOR, 1, &reduction);
    add_operation(graph, name, node);
}

struct graph_tensor graph_reduction(struct cudnn_graph *graph, const char *name, cudnnReduceTensorOp_t operation,
                                    const struct graph_tensor *x) {
    int64_t dimensions[4] = {x->dimensions[0], x->dimensions[1], x->dimensions[2], 1};
    int64_t strides[4] = {dimensions[1] * dimensions[2], dimensions[2], 1, 1};
    struct graph_tensor output = graph_tensor(graph, name, CUDNN_DATA_FLOAT, dimensions, strides, GRAPH_VIRTUAL);
    graph_reduction_to(graph, name, operation, x, &output);
    return output;
}

struct graph_tensor graph_transpose(struct cudnn_graph *graph, const char *name, cudnnDataType_t type,
                                    const struct graph_tensor *x) {
    int64_t dimensions[4] = {x->dimensions[0], x->dimensions[1], x->dimensions[3], x->dimensions[2]};
    int64_t strides[4] = {x->strides[0], x->strides[1], x->strides[3], x->strides[2]};
    struct graph_tensor output = graph_tensor(graph, name, type, dimensions, strides, GRAPH_VIRTUAL);
    cudnnBackendDescriptor_t node = create(graph, name, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    SET(graph, name, node, OPERATION_RESHAPE_XDESC, BACKEND_DESCRIPTOR, 1, &x->descriptor);
    SET(graph, name, node, OPERATION_RESHAPE_YDESC, BACKEND_DESCRIPTOR, 1, &output.descriptor);
    add_operation(graph, name, node);
    return output;
}

/* The heuristic's proposals for the whole graph, best first: descriptors owned by the graph. */
static int64_t propose(struct cudnn_graph *graph, cudnnBackendDescriptor_t *proposal) {
    const char *name = "operation graph";
    cudnnBackendDescriptor_t whole = create(graph, name, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    SET(graph, name, whole, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, graph->operation_count, graph->operations);
    if (graph->handle) SET(graph, name, whole, OPERATIONGRAPH_HANDLE, HANDLE, 1, &graph->handle);
    finalize(graph, name, whole);
    name = "heuristic";
    cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    cudnnBackendDescriptor_t heuristic = create(graph, name, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    SET(graph, name, heuristic, ENGINEHEUR_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &whole);
    SET(graph, name, heuristic, ENGINEHEUR_MODE, HEUR_MODE, 1, &mode);
    if (graph->device_properties)
        SET(graph, name, heuristic, ENGINEHEUR_DEVICEPROP, BACKEND_DESCRIPTOR, 1, &graph->device_properties);
    finalize(graph, name, heuristic);
    for (int i = 0; i < PROPOSALS_MAX; i++) /* the caller creates what the heuristic fills */
        proposal[i] = create(graph, name, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (graph->failed) return 0;
    int64_t count = 0;
    cudnnStatus_t status = cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                    CUDNN_TYPE_BACKEND_DESCRIPTOR, PROPOSALS_MAX, &count, proposal);
    if (status != CUDNN_STATUS_SUCCESS) fail(graph, name, "get ENGINEHEUR_RESULTS", status);
    if (!graph->failed && count == 0) fail(graph, name, "no engine for this graph", CUDNN_STATUS_NOT_SUPPORTED);
    return graph->failed ? 0 : count < PROPOSALS_MAX ? count : PROPOSALS_MAX;
}

/* One proposal made into a plan, which compiles and loads its kernel. */
static bool try_proposal(struct cudnn_graph *graph, const cudnnBackendDescriptor_t *proposal) {
    const char *name = "execution plan";
    cudnnBackendDescriptor_t plan = create(graph, name, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    SET(graph, name, plan, EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, proposal);
    if (graph->handle) SET(graph, name, plan, EXECUTION_PLAN_HANDLE, HANDLE, 1, &graph->handle);
    if (graph->device_properties)
        SET(graph, name, plan, EXECUTION_PLAN_DEVICEPROP, BACKEND_DESCRIPTOR, 1, &graph->device_properties);
    finalize(graph, name, plan);
    if (graph->failed) return false;
    int64_t found = 0;
    cudnnStatus_t status = cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                                    &found, &graph->workspace);
    if (status != CUDNN_STATUS_SUCCESS) fail(graph, name, "get WORKSPACE_SIZE", status);
    graph->plan = plan;
    return !graph->failed;
}

bool graph_plan(struct cudnn_graph *graph) {
    cudnnBackendDescriptor_t proposal[PROPOSALS_MAX];
    int64_t count = propose(graph, proposal);
    char first_reason[REASON_SIZE] = "";
    for (int64_t i = 0; i < count; i++) {
        if (try_proposal(graph, &proposal[i])) {
            graph->plan_rank = (int)i;
            return true;
        }
        if (i == 0) memcpy(first_reason, graph->reason, REASON_SIZE);
        if (i + 1 < count) graph->failed = false; /* a refusal is final only if every proposal refuses */
    }
    if (count > 0) memcpy(graph->reason, first_reason, REASON_SIZE); /* the favourite's says most */
    return false;
}

bool graph_bind(struct cudnn_graph *graph, void *const *pointers, void *workspace) {
    void *data[GRAPH_BINDINGS_MAX];
    for (int i = 0; i < graph->bound_count; i++)
        data[i] = graph->bound_value[i] ? graph->bound_value[i] : *pointers++;
    if (graph->variant_pack) /* the last one made: nothing but packs is made after the plan */
        cudnnBackendDestroyDescriptor(graph->owned[--graph->owned_count]);
    const char *name = "variant pack";
    cudnnBackendDescriptor_t pack = create(graph, name, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    SET(graph, name, pack, VARIANT_PACK_DATA_POINTERS, VOID_PTR, graph->bound_count, data);
    SET(graph, name, pack, VARIANT_PACK_UNIQUE_IDS, INT64, graph->bound_count, graph->bound_id);
    SET(graph, name, pack, VARIANT_PACK_WORKSPACE, VOID_PTR, 1, &workspace);
    finalize(graph, name, pack);
    graph->variant_pack = pack;
    return !graph->failed;
}

bool graph_execute(struct cudnn_graph *graph) {
    if (graph->failed) return false;
    cudnnStatus_t status = cudnnBackendExecute(graph->handle, graph->plan, graph->variant_pack);
    if (status != CUDNN_STATUS_SUCCESS) fail(graph, "execute", "cudnnBackendExecute", status);
    return !graph->failed;
}

void graph_release(struct cudnn_graph *graph) {
    while (graph->owned_count > 0) /* the youngest first: plans before what they are made of */
        cudnnBackendDestroyDescriptor(graph->owned[--graph->owned_count]);
}
