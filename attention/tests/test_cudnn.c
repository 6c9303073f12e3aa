/* test_cudnn.c: cuDNN takes the graph, without a device: every node of it, and the whole where the driver's library is
   installed, for an H200 that is described by its properties. What is declined says why. */
#include "attention/tests/operands.h"

#include <string.h>

#include "attention/op/softmax_cudnn.h"

/* The properties that cuDNN 9 asks for, in its words. */
static const char h200[] =
    "{\"deviceName\":\"NVIDIA H200\",\"deviceVer\":900,\"driverVer\":13000,\"cudaDeviceId\":0,\"pciDeviceId\":0,"
    "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
    "\"multiProcessorCount\":132,\"smClockRateKHz\":1980000,\"memClockRateKHz\":3201000,\"l2CacheSize\":62914560,"
    "\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"isTccDriver\":0,\"supportCoopLaunch\":1,"
    "\"totalGlobalMem\":150000000000}";

/* Two batch items of 16 heads, grouped where head_dim is 128. */
static struct attention_problem plan_shape(enum dtype dtype, int64_t queries, int64_t keys, int64_t head_dim,
                                           const struct mask *mask) {
    struct attention_problem shape = shape_of(16, queries, keys, head_dim, mask);
    shape.batch = 2;
    shape.kv_heads = head_dim == 128 ? 2 : 16;
    shape.dtype = dtype;
    attention_pack(&shape);
    return shape;
}

static bool built_without(void) {
    struct mask *mask = mask_new(MASK_full, 64, 64, 0);
    struct attention_problem shape = plan_shape(DTYPE_bf16, 64, 64, 64, mask);
    const char *reason = softmax_cudnn.decline(&shape);
    mask_free(mask);
    return reason && strcmp(reason, "built without cuDNN") == 0;
}

enum pass { FORWARD, BACKWARD, BACKWARD_DETERMINISTIC };

static void check_plan(enum pass pass, enum dtype dtype, int64_t queries, int64_t keys, int64_t head_dim,
                       enum mask_name name, int expected_nodes) {
    struct mask *mask = mask_new(name, queries, keys, MASK_WINDOW);
    struct attention_problem shape = plan_shape(dtype, queries, keys, head_dim, mask);
    char reason[REASON_SIZE] = "";
    shape.backward = pass != FORWARD;
    shape.deterministic = pass == BACKWARD_DETERMINISTIC;
    int nodes = 0;
    assert_null(softmax_cudnn.decline(&shape));
    bool planned = softmax_cudnn_plan_for(&shape, h200, &nodes, reason);
    mask_free(mask);
    assert_int_equal(nodes, expected_nodes);
    if (planned) return;
    print_message("head_dim %d %s: %s\n", (int)head_dim, mask_words[name], reason);
    /* the driver's library is missing, or is not one that could load a kernel for this device */
    assert_true(strstr(reason, "RUNTIME_PREREQUISITE_MISSING") || strstr(reason, "CUDA_DRIVER"));
}

static void test_plans(void **state) {
    (void)state;
    if (built_without()) skip();
    check_plan(FORWARD, DTYPE_bf16, 512, 512, 64, MASK_full, 10);
    check_plan(FORWARD, DTYPE_bf16, 8192, 8192, 128, MASK_causal, 14);
    check_plan(FORWARD, DTYPE_fp16, 4096, 4096, 256, MASK_causal, 14);
    check_plan(FORWARD, DTYPE_bf16, 4096, 4096, 128, MASK_causal_sliding, 19);
    check_plan(FORWARD, DTYPE_bf16, 1024, 4096, 128, MASK_causal_sliding, 21);
}

/* Grouped heads take a node more for each of two sums over the group. */
static void test_backward_plans(void **state) {
    (void)state;
    if (built_without()) skip();
    check_plan(BACKWARD, DTYPE_bf16, 512, 512, 64, MASK_full, 18);
    check_plan(BACKWARD, DTYPE_bf16, 8192, 8192, 128, MASK_causal, 24);
    check_plan(BACKWARD, DTYPE_fp16, 4096, 4096, 256, MASK_causal, 22);
    check_plan(BACKWARD, DTYPE_bf16, 4096, 4096, 128, MASK_causal_sliding, 29);
    check_plan(BACKWARD_DETERMINISTIC, DTYPE_bf16, 4096, 4096, 64, MASK_causal, 21);
    check_plan(BACKWARD_DETERMINISTIC, DTYPE_fp16, 1000, 4096, 128, MASK_causal, 25);
}

static void check_declined(enum dtype dtype, int64_t queries, int64_t keys, int64_t head_dim, enum mask_name name) {
    struct mask *mask = mask_new(name, queries, keys, MASK_WINDOW);
    struct attention_problem shape = plan_shape(dtype, queries, keys, head_dim, mask);
    const char *reason = softmax_cudnn.decline(&shape);
    assert_non_null(reason);
    assert_true(strlen(reason) > 10);
    mask_free(mask);
}

static void test_declines(void **state) {
    (void)state;
    check_declined(DTYPE_fp32, 64, 64, 64, MASK_full);
    check_declined(DTYPE_bf16, 64, 64, 60, MASK_full);
    check_declined(DTYPE_bf16, 64, 32, 64, MASK_causal);
    check_declined(DTYPE_bf16, 64, 32, 64, MASK_causal_sliding);
}

/* A refusal tells the node, the step and cuDNN's own words, in one line. */
static void test_reasons(void **state) {
    (void)state;
    if (built_without()) skip();
    struct mask *mask = mask_new(MASK_full, 64, 64, 0);
    struct attention_problem shape = plan_shape(DTYPE_bf16, 64, 64, 64, mask);
    char reason[REASON_SIZE] = "";
    int nodes = -1;
    assert_false(softmax_cudnn_plan_for(&shape, "{\"deviceVer\":900}", &nodes, reason));
    assert_int_equal(nodes, 0);
    assert_non_null(strstr(reason, "device properties: finalize: CUDNN_STATUS_"));
    assert_null(strchr(reason, '\n'));
    shape.key.row = -64;
    assert_false(softmax_cudnn_plan_for(&shape, h200, &nodes, reason));
    assert_non_null(strstr(reason, "key: finalize: CUDNN_STATUS_"));
    mask_free(mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_backward_plans),
        cmocka_unit_test(test_declines),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
