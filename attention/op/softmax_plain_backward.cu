/* softmax_plain_backward.cu: the gradients of softmax attention on a device as one reads them in a textbook: CUDA
   cores, fp32 arithmetic, no atomics. It is what faster kernels must agree with.

     delta          a warp a query: output_gradient . output
     by query       a block owns 64 queries of one head and walks the tiles of keys that they see: query_gradient
     by key         a block owns 64 keys of one head of keys and walks the tiles of queries that see them, in all the
                    heads that share it: key_gradient and value_gradient
   The last two are one kernel, which sees `own` tokens and `walked` ones: of a pair of tiles it finds the scores own .
   walked and the gradients of the probabilities, and adds up walked rows weighted by score gradients and, for keys, by
   probabilities. They share no sum, so that scores are computed twice, and the same bits come call after call.
   Scores are in units of log 2. Masks come as plans of tiles in both directions (mask/tiles.h). */
#include "softmax_plain_backward.h"

#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "device_shape.h"
#include "plain_tile.h"

enum { WARP = 32, DELTA_WARPS = 8 };

struct plain_backward {
    struct mask_tiles *by_query, *by_key; /* on the device */
};

/* log_sum_exp of a query in units of log 2; where nothing is to be seen +infinity, so that probabilities are 0. */
static __device__ float shift_of(const struct shape *shape, int64_t row, bool inside) {
    float log_sum_exp = inside ? shape->log_sum_exp[row] : -INFINITY;
    return log_sum_exp == -INFINITY ? INFINITY : log_sum_exp * (float)M_LOG2E;
}

template <typename element>
static __global__ void find_delta(const struct shape shape, const element *output, const element *output_gradient,
                                  float *delta) {
    int64_t query = (int64_t)blockIdx.x * DELTA_WARPS + threadIdx.x / WARP;
    if (query >= shape.queries) return;
    int64_t first = blockIdx.z * shape.output.batch + blockIdx.y * shape.output.head + query * shape.output.row;
    float sum = 0;
    for (int d = threadIdx.x % WARP; d < shape.head_dim; d += WARP)
        sum += widen(output[first + d]) * widen(output_gradient[first + d]);
    for (int distance = WARP / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    if (threadIdx.x % WARP == 0) delta[((int64_t)blockIdx.z * shape.heads + blockIdx.y) * shape.queries + query] = sum;
}

/* Shared memory of a block; products and sums do not need theirs at the same time. */
template <int HEAD_DIM> struct backward_tiles {
    union {
        struct slices slices;
        float some[ROWS_AT_ONCE][HEAD_DIM];
    };
    float weight[TILE][TILE + 1]; /* [own][walked] */
};

/* A thread's part of a pair of tiles: probabilities and score gradients, from scores and gradients of probabilities.
   row: of log_sum_exp and delta, that of the head's query 0. */
template <bool BY_KEY>
static __device__ void differentiate(float (*score)[PART], float (*gradient)[PART], const struct shape *shape,
                                     struct mask_tile entry, int64_t first_query, int64_t row, const float *deltas) {
    bool whole = mask_tile_form(entry) == MASK_TILE_FULL;
#pragma unroll
    for (int i = 0; i < PART; i++)
#pragma unroll
        for (int j = 0; j < PART; j++) {
            int own = threadIdx.y * PART + i, walked = threadIdx.x + SIDE * j, query = BY_KEY ? walked : own;
            bool inside = first_query + query < shape->queries;
            bool seen = whole || mask_tile_allows(shape->tiles, entry, query, BY_KEY ? own : walked);
            float shift = shift_of(shape, row + first_query + query, inside);
            float delta = inside ? deltas[row + first_query + query] : 0;
            score[i][j] = seen ? exp2f(score[i][j] - shift) : 0;
            gradient[i][j] = seen ? score[i][j] * (gradient[i][j] - delta) : 0;
        }
}

static __device__ void store_weight(float (*weight)[TILE + 1], const float (*part)[PART]) {
    __syncthreads(); /* those before have been used */
    for (int i = 0; i < PART; i++)
        for (int j = 0; j < PART; j++) weight[threadIdx.y * PART + i][threadIdx.x + SIDE * j] = part[i][j];
}

/* Operands and results of the kernel's side, head 0 of batch item 0. */
template <typename element> struct sides {
    const element *own_first, *own_second, *walked_first, *walked_second;
    struct attention_strides own_first_strides, own_second_strides, walked_first_strides, walked_second_strides;
    element *first_gradient, *second_gradient; /* strides of own_first, own_second */
    const float *delta;                        /* [batch][head][query] */
};

template <typename element>
static __device__ struct token_rows<element> rows_of(const element *tensor, struct attention_strides strides, int batch,
                                                     int head, int64_t first, int64_t tokens) {
    struct token_rows<element> rows = {tensor + batch * strides.batch + head * strides.head, strides.row, first,
                                       tokens};
    return rows;
}

template <typename element, int HEAD_DIM>
static __device__ void store_sums(const float (*sums)[HEAD_DIM / SIDE], element *tensor,
                                  struct attention_strides strides, int64_t first, int64_t tokens, int head_dim,
                                  float factor) {
    tensor += blockIdx.z * strides.batch + blockIdx.y * strides.head;
    for (int i = 0; i < PART && first + threadIdx.y * PART + i < tokens; i++)
        for (int j = 0; j < HEAD_DIM / SIDE; j++) {
            int d = threadIdx.x + SIDE * j;
            if (d < head_dim) narrow(&tensor[(first + threadIdx.y * PART + i) * strides.row + d], sums[i][j] * factor);
        }
}

/* One query head: what the block's tokens gather from the tiles of the plan's line. */
template <typename element, int HEAD_DIM, bool BY_KEY>
static __device__ void walk_head(float (*first_sums)[HEAD_DIM / SIDE], float (*second_sums)[HEAD_DIM / SIDE],
                                 struct backward_tiles<HEAD_DIM> *shared, const struct shape *shape,
                                 const struct sides<element> *sides, int head) {
    int64_t own_tokens = BY_KEY ? shape->keys : shape->queries, walked_tokens = BY_KEY ? shape->queries : shape->keys;
    int64_t own_first = (int64_t)blockIdx.x * TILE, row = ((int64_t)blockIdx.z * shape->heads + head) * shape->queries;
    int own_head = blockIdx.y, walked_head = BY_KEY ? head : head / shape->group;
    const struct mask_tiles *tiles = shape->tiles;
    int64_t line = mask_head(tiles->heads, head, shape->heads) * tiles->lines + blockIdx.x;
    const struct mask_tile *entry = mask_tiles_entry(tiles);
    for (int32_t at = mask_tiles_begin(tiles)[line]; at < mask_tiles_begin(tiles)[line + 1]; at++) {
        int64_t walked = (int64_t)entry[at].tile * TILE;
        float score[PART][PART], gradient[PART][PART];
        struct token_rows<element> first = rows_of(sides->walked_first, sides->walked_first_strides, blockIdx.z,
                                                   walked_head, walked, walked_tokens);
        struct token_rows<element> second = rows_of(sides->walked_second, sides->walked_second_strides, blockIdx.z,
                                                    walked_head, walked, walked_tokens);
        multiply_tiles(score, &shared->slices,
                       rows_of(sides->own_first, sides->own_first_strides, blockIdx.z, own_head, own_first, own_tokens),
                       first, shape->head_dim, shape->factor);
        multiply_tiles(gradient, &shared->slices,
                       rows_of(sides->own_second, sides->own_second_strides, blockIdx.z, own_head, own_first,
                               own_tokens),
                       second, shape->head_dim, 1.0f);
        differentiate<BY_KEY>(score, gradient, shape, entry[at], BY_KEY ? walked : own_first, row, sides->delta);
        if (BY_KEY) {
            store_weight(shared->weight, score);
            multiply_rows<element, HEAD_DIM>(second_sums, shared->some, shared->weight, second, shape->head_dim);
        }
        store_weight(shared->weight, gradient);
        multiply_rows<element, HEAD_DIM>(first_sums, shared->some, shared->weight, first, shape->head_dim);
    }
}

template <typename element, int HEAD_DIM, bool BY_KEY>
static __global__ __launch_bounds__(SIDE *SIDE) void gather(const __grid_constant__ struct shape shape,
                                                            const __grid_constant__ struct sides<element> sides) {
    __shared__ struct backward_tiles<HEAD_DIM> shared;
    float first_sums[PART][HEAD_DIM / SIDE] = {}, second_sums[PART][BY_KEY ? HEAD_DIM / SIDE : 1] = {};
    int64_t first = (int64_t)blockIdx.x * TILE, tokens = BY_KEY ? shape.keys : shape.queries;
    int heads = BY_KEY ? shape.group : 1;
    for (int i = 0; i < heads; i++)
        walk_head<element, HEAD_DIM, BY_KEY>(first_sums, (float(*)[HEAD_DIM / SIDE])second_sums, &shared, &shape,
                                             &sides, blockIdx.y * heads + i);
    store_sums<element, HEAD_DIM>(first_sums, sides.first_gradient, sides.own_first_strides, first, tokens,
                                  shape.head_dim, shape.scale);
    if (BY_KEY)
        store_sums<element, HEAD_DIM>((float(*)[HEAD_DIM / SIDE])second_sums, sides.second_gradient,
                                      sides.own_second_strides, first, tokens, shape.head_dim, 1.0f);
}

template <typename element, bool BY_KEY>
static void launch_side(const struct shape *shape, struct sides<element> sides, dim3 grid, cudaStream_t stream) {
    dim3 block(SIDE, SIDE);
    if (shape->head_dim <= 64) gather<element, 64, BY_KEY><<<grid, block, 0, stream>>>(*shape, sides);
    else if (shape->head_dim <= 128) gather<element, 128, BY_KEY><<<grid, block, 0, stream>>>(*shape, sides);
    else gather<element, 256, BY_KEY><<<grid, block, 0, stream>>>(*shape, sides);
}

static unsigned tile_count(int64_t tokens, int tile) {
    return (unsigned)((tokens + tile - 1) / tile);
}

template <typename element>
static void launch(const struct plain_backward *plan, const struct attention_problem *p,
                   const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                   struct shape shape, cudaStream_t stream) {
    const element *query = (const element *)buffers->query, *key = (const element *)buffers->key;
    const element *value = (const element *)buffers->value, *output = (const element *)buffers->output;
    const element *output_gradient = (const element *)gradients->output_gradient;
    unsigned heads = (unsigned)p->heads, kv_heads = (unsigned)p->kv_heads, batch = (unsigned)p->batch;
    float *delta = (float *)gradients->workspace;
    find_delta<<<dim3(tile_count(p->queries, DELTA_WARPS), heads, batch), DELTA_WARPS * WARP, 0, stream>>>(
        shape, output, output_gradient, delta);
    struct sides<element> sides = {query, output_gradient, key, value, p->query, p->output, p->key, p->value,
                                   (element *)gradients->query_gradient, NULL, delta};
    shape.tiles = plan->by_query;
    launch_side<element, false>(&shape, sides, dim3(tile_count(p->queries, TILE), heads, batch), stream);
    sides = {key, value, query, output_gradient, p->key, p->value, p->query, p->output,
             (element *)gradients->key_gradient, (element *)gradients->value_gradient, delta};
    shape.tiles = plan->by_key;
    launch_side<element, true>(&shape, sides, dim3(tile_count(p->keys, TILE), kv_heads, batch), stream);
}

static struct mask_tiles *tiles_on_device(const struct mask *mask, enum mask_walk walk, char *reason) {
    struct mask_tiles *host = mask_tiles_new(mask, TILE, TILE, walk);
    if (!host) {
        snprintf(reason, REASON_SIZE, "out of host memory for the mask's tiles");
        return NULL;
    }
    struct mask_tiles *device = mask_tiles_to_device(host, reason);
    free(host);
    return device;
}

struct plain_backward *plain_backward_prepare(const struct attention_problem *problem, size_t *workspace,
                                              char *reason) {
    struct plain_backward *plan = (struct plain_backward *)calloc(1, sizeof(*plan));
    if (!plan) {
        snprintf(reason, REASON_SIZE, "out of host memory");
        return NULL;
    }
    *workspace = (size_t)(problem->batch * problem->heads * problem->queries) * sizeof(float);
    plan->by_query = tiles_on_device(problem->mask, MASK_BY_QUERY, reason);
    if (plan->by_query) plan->by_key = tiles_on_device(problem->mask, MASK_BY_KEY, reason);
    if (plan->by_key) return plan;
    plain_backward_release(plan);
    return NULL;
}

void plain_backward_release(struct plain_backward *plan) {
    if (!plan) return;
    if (plan->by_query) mask_tiles_device_free(plan->by_query);
    if (plan->by_key) mask_tiles_device_free(plan->by_key);
    free(plan);
}

bool plain_backward_run(const struct plain_backward *plan, const struct attention_problem *problem,
                        const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                        struct CUstream_st *stream, char *reason) {
    struct shape shape = device_shape(problem, buffers, NULL);
    if (problem->dtype == DTYPE_fp32) launch<float>(plan, problem, buffers, gradients, shape, stream);
    if (problem->dtype == DTYPE_bf16) launch<__nv_bfloat16>(plan, problem, buffers, gradients, shape, stream);
    if (problem->dtype == DTYPE_fp16) launch<__half>(plan, problem, buffers, gradients, shape, stream);
    cudaError_t status = cudaGetLastError();
    if (status == cudaSuccess) return true;
    snprintf(reason, REASON_SIZE, "launch of the plain backward kernels: %s", cudaGetErrorString(status));
    return false;
}
