/* softmax_plain.cu: softmax attention on a device as one reads it in a textbook: no tensor cores, no asynchronous
   copies, every product an fp32 multiply-add. It is what faster kernels must agree with.

   A block of 16 x 16 threads owns 64 queries of one head and walks the keys they see, 64 at a time. Thread (y, x) holds
   rows 4 y .. 4 y + 3: of the scores the columns x, x + 16, x + 32, x + 48, of the output the dimensions x, x + 16, ..
     scores          query and key pass through shared memory DEPTH dimensions at a time
     online softmax  the 16 threads of a row are half a warp, which finds maximum and sum by shuffles
     output          probabilities go through shared memory, the values KEYS_AT_ONCE rows at a time
   All arithmetic is fp32; scores are in units of log 2. Shared memory bounds it: a score takes half a load a
   multiply-add, so about half the fp32 rate is the most that it can reach. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>

#include "attention.h"

enum { SIDE = 16, PART = 4, TILE = SIDE * PART, DEPTH = 32, KEYS_AT_ONCE = 16, PIECES_MAX = 8, GRID_MAX = 65535 };

/* The problem as a kernel takes it: by value. */
struct shape {
    struct attention_strides query, key, value, output;
    int64_t queries, keys;
    int heads, group, head_dim;
    float factor; /* scale / log 2 */
    int piece_count;
    struct mask_piece piece[PIECES_MAX];
};

/* Shared memory of a block; the first product and the second do not need theirs at the same time. */
template <int HEAD_DIM> struct tiles {
    union {
        struct {
            float query[TILE][DEPTH + 1], key[TILE][DEPTH + 1]; /* + 1: rows start in different banks */
        };
        float value[KEYS_AT_ONCE][HEAD_DIM];
    };
    float probability[TILE][TILE + 1];
};

static __device__ float widen(float x) {
    return x;
}
static __device__ float widen(__nv_bfloat16 x) {
    return __bfloat162float(x);
}
static __device__ float widen(__half x) {
    return __half2float(x);
}
static __device__ void narrow(float *to, float x) {
    *to = x;
}
static __device__ void narrow(__nv_bfloat16 *to, float x) {
    *to = __float2bfloat16(x);
}
static __device__ void narrow(__half *to, float x) {
    *to = __float2half(x);
}

/* rows x DEPTH elements from token `first` and dimension `depth` on; what lies outside is 0. */
template <typename element>
static __device__ void load_slice(float (*slice)[DEPTH + 1], const element *head, int64_t stride, int64_t first,
                                  int64_t tokens, int depth, int head_dim, float factor) {
    for (int i = threadIdx.y * SIDE + threadIdx.x; i < TILE * DEPTH; i += SIDE * SIDE) {
        int64_t token = first + i / DEPTH;
        int d = depth + i % DEPTH;
        bool inside = token < tokens && d < head_dim;
        slice[i / DEPTH][i % DEPTH] = inside ? widen(head[token * stride + d]) * factor : 0;
    }
}

/* score[i][j] of query first_query + 4 y + i and key first_key + x + 16 j. */
template <typename element, int HEAD_DIM>
static __device__ void multiply_keys(float (*score)[PART], struct tiles<HEAD_DIM> *shared, const struct shape *shape,
                                     const element *query, const element *key, int64_t first_query,
                                     int64_t first_key) {
    for (int i = 0; i < PART; i++)
        for (int j = 0; j < PART; j++) score[i][j] = 0;
    for (int depth = 0; depth < shape->head_dim; depth += DEPTH) {
        __syncthreads(); /* the values that lay here have been used */
        load_slice(shared->query, query, shape->query.row, first_query, shape->queries, depth, shape->head_dim,
                   shape->factor);
        load_slice(shared->key, key, shape->key.row, first_key, shape->keys, depth, shape->head_dim, 1.0f);
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            float a[PART], b[PART];
            for (int i = 0; i < PART; i++) a[i] = shared->query[threadIdx.y * PART + i][d];
            for (int j = 0; j < PART; j++) b[j] = shared->key[threadIdx.x + SIDE * j][d];
            for (int i = 0; i < PART; i++)
                for (int j = 0; j < PART; j++) score[i][j] += a[i] * b[j];
        }
    }
}

static __device__ float row_maximum(float x) {
    for (int distance = SIDE / 2; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance, SIDE));
    return x;
}

static __device__ float row_sum(float x) {
    for (int distance = SIDE / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance, SIDE);
    return x;
}

/* Scores into probabilities in shared memory; returns by what the row's sum and output must be multiplied. */
static __device__ float soften_row(const float *score, float *probability, float *maximum, float *sum) {
    float largest = fmaxf(fmaxf(score[0], score[1]), fmaxf(score[2], score[3]));
    float next = fmaxf(*maximum, row_maximum(largest)), added = 0;
    float shift = next == -INFINITY ? 0 : next; /* nothing seen yet: -infinity - -infinity would be NaN */
    float rescale = exp2f(*maximum - shift);
    for (int j = 0; j < PART; j++) {
        float weight = exp2f(score[j] - shift);
        probability[threadIdx.x + SIDE * j] = weight;
        added += weight;
    }
    *maximum = next;
    *sum = *sum * rescale + row_sum(added);
    return rescale;
}

template <typename element, int HEAD_DIM>
static __device__ void multiply_values(float (*output)[HEAD_DIM / SIDE], struct tiles<HEAD_DIM> *shared,
                                       const struct shape *shape, const element *value, int64_t first_key) {
    for (int chunk = 0; chunk < TILE; chunk += KEYS_AT_ONCE) {
        __syncthreads(); /* the probabilities are written, the values before these have been used */
        for (int i = threadIdx.y * SIDE + threadIdx.x; i < KEYS_AT_ONCE * HEAD_DIM; i += SIDE * SIDE) {
            int64_t key = first_key + chunk + i / HEAD_DIM;
            int d = i % HEAD_DIM;
            bool inside = key < shape->keys && d < shape->head_dim;
            shared->value[i / HEAD_DIM][d] = inside ? widen(value[key * shape->value.row + d]) : 0;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < KEYS_AT_ONCE; k++) {
            float weight[PART];
            for (int i = 0; i < PART; i++) weight[i] = shared->probability[threadIdx.y * PART + i][chunk + k];
            for (int j = 0; j < HEAD_DIM / SIDE; j++) {
                float x = shared->value[k][threadIdx.x + SIDE * j];
                for (int i = 0; i < PART; i++) output[i][j] += weight[i] * x;
            }
        }
    }
}

template <typename element, int HEAD_DIM>
static __global__ __launch_bounds__(SIDE *SIDE) void attend(const struct shape shape, const element *query,
                                                            const element *key, const element *value, element *output,
                                                            float *log_sum_exp) {
    __shared__ struct tiles<HEAD_DIM> shared;
    int64_t first_query = (int64_t)(gridDim.x - 1 - blockIdx.x) * TILE; /* the longest rows of a causal mask first */
    int64_t end_query = first_query + TILE < shape.queries ? first_query + TILE : shape.queries;
    int head = blockIdx.y, batch = blockIdx.z, row = threadIdx.y * PART;
    query += batch * shape.query.batch + head * shape.query.head;
    key += batch * shape.key.batch + head / shape.group * shape.key.head;
    value += batch * shape.value.batch + head / shape.group * shape.value.head;
    output += batch * shape.output.batch + head * shape.output.head;
    log_sum_exp += ((int64_t)batch * shape.heads + head) * shape.queries;
    float sums[PART][HEAD_DIM / SIDE] = {}, maximum[PART], sum[PART] = {};
    for (int i = 0; i < PART; i++) maximum[i] = -INFINITY;
    for (int p = 0; p < shape.piece_count; p++) {
        struct mask_range bounds = mask_piece_bounds(&shape.piece[p], first_query, end_query), seen[PART];
        struct mask_range common = mask_piece_common(&shape.piece[p], first_query, end_query);
        for (int i = 0; i < PART; i++) seen[i] = mask_piece_row(&shape.piece[p], first_query + row + i);
        for (int64_t first_key = bounds.begin; first_key < bounds.end; first_key += TILE) {
            float score[PART][PART];
            bool whole = first_key >= common.begin && first_key + TILE <= common.end;
            multiply_keys(score, &shared, &shape, query, key, first_query, first_key);
            for (int i = 0; i < PART; i++) {
                for (int j = 0; j < PART && !whole; j++) {
                    int64_t k = first_key + threadIdx.x + SIDE * j;
                    if (k < seen[i].begin || k >= seen[i].end) score[i][j] = -INFINITY;
                }
                float rescale = soften_row(score[i], shared.probability[row + i], &maximum[i], &sum[i]);
                for (int j = 0; j < HEAD_DIM / SIDE; j++) sums[i][j] *= rescale;
            }
            multiply_values(sums, &shared, &shape, value, first_key);
        }
    }
    for (int i = 0; i < PART && first_query + row + i < end_query; i++) {
        bool nothing = maximum[i] == -INFINITY;
        for (int j = 0; j < HEAD_DIM / SIDE; j++) {
            int d = threadIdx.x + SIDE * j;
            if (d < shape.head_dim)
                narrow(&output[(first_query + row + i) * shape.output.row + d], nothing ? 0 : sums[i][j] / sum[i]);
        }
        if (threadIdx.x == 0)
            log_sum_exp[first_query + row + i] = nothing ? -INFINITY : (maximum[i] + log2f(sum[i])) * (float)M_LN2;
    }
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_fp32 && problem->dtype != DTYPE_bf16 && problem->dtype != DTYPE_fp16)
        return "the plain kernel takes fp32, bf16 and fp16";
    if (problem->head_dim > 256) return "the plain kernel holds a head_dim of at most 256 in registers";
    if (problem->batch > GRID_MAX || problem->heads > GRID_MAX) return "a grid has at most 65535 heads and sequences";
    if (problem->mask->piece_count > PIECES_MAX) return "the plain kernel takes masks of at most 8 pieces";
    if (problem->mask->grid.query_blocks > 0) return "the plain kernel takes masks of pieces alone";
    return attention_no_options(problem);
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    (void)problem, (void)reason;
    plan->workspace = 0;
    return true;
}

template <typename element>
static void launch(const struct shape *shape, dim3 grid, cudaStream_t stream, const struct attention_buffers *buffers) {
    const element *query = (const element *)buffers->query, *key = (const element *)buffers->key;
    const element *value = (const element *)buffers->value;
    element *output = (element *)buffers->output;
    dim3 block(SIDE, SIDE);
    if (shape->head_dim <= 64)
        attend<element, 64><<<grid, block, 0, stream>>>(*shape, query, key, value, output, buffers->log_sum_exp);
    else if (shape->head_dim <= 128)
        attend<element, 128><<<grid, block, 0, stream>>>(*shape, query, key, value, output, buffers->log_sum_exp);
    else
        attend<element, 256><<<grid, block, 0, stream>>>(*shape, query, key, value, output, buffers->log_sum_exp);
}

static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    (void)plan;
    struct shape shape = {.query = problem->query,
                          .key = problem->key,
                          .value = problem->value,
                          .output = problem->output,
                          .queries = problem->queries,
                          .keys = problem->keys,
                          .heads = (int)problem->heads,
                          .group = (int)(problem->heads / problem->kv_heads),
                          .head_dim = (int)problem->head_dim,
                          .factor = problem->scale * (float)M_LOG2E,
                          .piece_count = (int)problem->mask->piece_count};
    for (int i = 0; i < shape.piece_count; i++) shape.piece[i] = problem->mask->piece[i];
    dim3 grid((unsigned)((problem->queries + TILE - 1) / TILE), (unsigned)problem->heads, (unsigned)problem->batch);
    if (problem->dtype == DTYPE_fp32) launch<float>(&shape, grid, stream, buffers);
    if (problem->dtype == DTYPE_bf16) launch<__nv_bfloat16>(&shape, grid, stream, buffers);
    if (problem->dtype == DTYPE_fp16) launch<__half>(&shape, grid, stream, buffers);
    cudaError_t status = cudaGetLastError();
    if (status == cudaSuccess) return true;
    snprintf(reason, REASON_SIZE, "launch of the plain kernel: %s", cudaGetErrorString(status));
    return false;
}

extern "C" const struct attention_operator softmax_plain = {.name = "plain",
                                                            .backend = "cuda",
                                                            .place = PLACE_DEVICE,
                                                            .decline = decline,
                                                            .prepare = prepare,
                                                            .forward = forward};
