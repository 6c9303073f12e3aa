/* softmax_plain.cu: softmax attention on a device as one reads it in a textbook: no tensor cores, no asynchronous
   copies, every product an fp32 multiply-add. It is what faster kernels must agree with.

   A block of 16 x 16 threads owns 64 queries of one head and walks the tiles of 64 keys they see, as the mask's plan
   (mask/tiles.h) lists them. Thread (y, x) holds rows 4 y .. 4 y + 3: see plain_tile.h.
     scores          query and key pass through shared memory DEPTH dimensions at a time
     online softmax  the 16 threads of a row are half a warp, which finds maximum and sum by shuffles
     output          probabilities go through shared memory, the values ROWS_AT_ONCE rows at a time
   A clipped softmax walks the keys twice, because what is clipped is the finished probability.
   All arithmetic is fp32; scores are in units of log 2. Shared memory bounds it: a score takes half a load a
   multiply-add, so about half the fp32 rate is the most that it can reach. */
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "device_shape.h"
#include "plain_tile.h"
#include "softmax_plain_backward.h"

enum { GRID_MAX = 65535 };

struct detail {
    struct mask_tiles *tiles; /* on the device */
    struct plain_backward *backward; /* NULL: the problem asks for none */
};

/* Shared memory of a block; the first product and the second do not need theirs at the same time. */
template <int HEAD_DIM> struct forward_tiles {
    union {
        struct slices slices;
        float value[ROWS_AT_ONCE][HEAD_DIM];
    };
    float probability[TILE][TILE + 1];
};

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

/* Scores into clipped probabilities in shared memory; `log_sum` is the finished one of the row. */
static __device__ void clip_row(const struct score_options *options, const float *score, float *probability,
                                float log_sum) {
    for (int j = 0; j < PART; j++)
        probability[threadIdx.x + SIDE * j] = clip_probability(options, exp2f(score[j] - log_sum));
}

/* Scores of one tile of keys, changed by the options, -infinity where the mask forbids the pair. */
static __device__ void finish_scores(float (*score)[PART], const struct shape *shape, struct mask_tile entry,
                                     int64_t first_query, int64_t first_key, int head) {
    bool whole = mask_tile_form(entry) == MASK_TILE_FULL, changes = changes_scores(&shape->options);
    float slope = alibi_slope(&shape->options, head);
#pragma unroll
    for (int i = 0; i < PART; i++)
#pragma unroll
        for (int j = 0; j < PART; j++) {
            int row = threadIdx.y * PART + i, key = threadIdx.x + SIDE * j;
            if (changes)
                score[i][j] = change_score(&shape->options, score[i][j], slope,
                                           score_distance(&shape->options, first_query + row, first_key + key));
            if (!whole && !mask_tile_allows(shape->tiles, entry, row, key)) score[i][j] = -INFINITY;
        }
}

/* A block's place among the queries. */
struct block_rows {
    int64_t first, end;
    int head, batch;
};

template <typename element, int HEAD_DIM>
static __device__ void store(const struct shape *shape, const struct block_rows *rows, element *output,
                             float (*sums)[HEAD_DIM / SIDE], const float *maximum, const float *sum) {
    for (int i = 0; i < PART && rows->first + threadIdx.y * PART + i < rows->end; i++) {
        int64_t query = rows->first + threadIdx.y * PART + i;
        int64_t row = ((int64_t)rows->batch * shape->heads + rows->head) * shape->queries + query;
        bool nothing = maximum[i] == -INFINITY;
        float factor = nothing ? 0 : gate_of(&shape->options, row) / (shape->options.clip_high > 0 ? 1 : sum[i]);
        for (int j = 0; j < HEAD_DIM / SIDE; j++) {
            int d = threadIdx.x + SIDE * j;
            if (d < shape->head_dim) narrow(&output[query * shape->output.row + d], nothing ? 0 : sums[i][j] * factor);
        }
        if (threadIdx.x == 0)
            shape->log_sum_exp[row] = nothing ? -INFINITY : (maximum[i] + log2f(sum[i])) * (float)M_LN2;
    }
}

template <typename element, int HEAD_DIM>
static __global__ __launch_bounds__(SIDE *SIDE) void attend(const __grid_constant__ struct shape shape,
                                                            const element *query, const element *key,
                                                            const element *value, element *output) {
    __shared__ struct forward_tiles<HEAD_DIM> shared;
    int tile = gridDim.x - 1 - blockIdx.x; /* the longest rows of a causal mask first */
    int64_t first = (int64_t)tile * TILE;
    struct block_rows rows = {first, first + TILE < shape.queries ? first + TILE : shape.queries, (int)blockIdx.y,
                          (int)blockIdx.z};
    int kv_head = rows.head / shape.group;
    output += rows.batch * shape.output.batch + rows.head * shape.output.head;
    struct token_rows<element> queries = {query + rows.batch * shape.query.batch + rows.head * shape.query.head,
                                          shape.query.row, first, shape.queries};
    struct token_rows<element> keys = {key + rows.batch * shape.key.batch + kv_head * shape.key.head, shape.key.row, 0,
                                       shape.keys};
    struct token_rows<element> values = {value + rows.batch * shape.value.batch + kv_head * shape.value.head,
                                         shape.value.row, 0, shape.keys};
    float sums[PART][HEAD_DIM / SIDE] = {}, maximum[PART], sum[PART];
    for (int i = 0; i < PART; i++) maximum[i] = first_maximum(&shape.options, rows.head);
    for (int i = 0; i < PART; i++) sum[i] = first_sum(&shape.options);
    const struct mask_tile *entry = mask_tiles_entry(shape.tiles);
    int64_t line = mask_head(shape.tiles->heads, rows.head, shape.heads) * shape.tiles->lines + tile;
    const int32_t *begin = mask_tiles_begin(shape.tiles) + line;
    const int entries = begin[1] - begin[0], walks = shape.options.clip_high > 0 ? 2 : 1;
    for (int at = 0; at < walks * entries; at++) {
        const struct mask_tile tile_of_keys = entry[begin[0] + at % entries];
        const bool last_walk = at >= (walks - 1) * entries;
        float score[PART][PART];
        keys.first = values.first = (int64_t)tile_of_keys.tile * TILE;
        multiply_tiles(score, &shared.slices, queries, keys, shape.head_dim, shape.factor);
        finish_scores(score, &shape, tile_of_keys, first, keys.first, rows.head);
        for (int i = 0; i < PART; i++) {
            float *probability = shared.probability[threadIdx.y * PART + i];
            if (at >= entries) {
                clip_row(&shape.options, score[i], probability,
                         maximum[i] == -INFINITY ? 0 : maximum[i] + log2f(sum[i]));
                continue;
            }
            float rescale = soften_row(score[i], probability, &maximum[i], &sum[i]);
            for (int j = 0; j < HEAD_DIM / SIDE; j++) sums[i][j] *= rescale;
        }
        if (last_walk)
            multiply_rows<element, HEAD_DIM>(sums, shared.value, shared.probability, values, shape.head_dim);
    }
    store<element, HEAD_DIM>(&shape, &rows, output, sums, maximum, sum);
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_fp32 && problem->dtype != DTYPE_bf16 && problem->dtype != DTYPE_fp16)
        return "the plain kernel takes fp32, bf16 and fp16";
    if (problem->head_dim > 256) return "the plain kernel holds a head_dim of at most 256 in registers";
    if (problem->batch > GRID_MAX || problem->heads > GRID_MAX) return "a grid has at most 65535 heads and sequences";
    return problem->backward ? attention_no_options(problem) : NULL;
}

static void release(struct attention_plan *plan) {
    struct detail *detail = (struct detail *)plan->detail;
    if (!detail) return;
    if (detail->tiles) mask_tiles_device_free(detail->tiles);
    plain_backward_release(detail->backward);
    free(detail);
    plan->detail = NULL;
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    struct detail *detail = (struct detail *)calloc(1, sizeof(*detail));
    struct mask_tiles *tiles = detail ? mask_tiles_new(problem->mask, TILE, TILE, MASK_BY_QUERY) : NULL;
    plan->detail = detail;
    plan->workspace = 0;
    if (!tiles) snprintf(reason, REASON_SIZE, "out of host memory");
    if (tiles) detail->tiles = mask_tiles_to_device(tiles, reason);
    free(tiles);
    if (detail && detail->tiles && problem->backward)
        detail->backward = plain_backward_prepare(problem, &plan->backward_workspace, reason);
    if (detail && detail->tiles && (detail->backward || !problem->backward)) return true;
    release(plan);
    return false;
}

template <typename element>
static void launch(const struct shape *shape, dim3 grid, cudaStream_t stream, const struct attention_buffers *buffers) {
    const element *query = (const element *)buffers->query, *key = (const element *)buffers->key;
    const element *value = (const element *)buffers->value;
    element *output = (element *)buffers->output;
    dim3 block(SIDE, SIDE);
    if (shape->head_dim <= 64)
        attend<element, 64><<<grid, block, 0, stream>>>(*shape, query, key, value, output);
    else if (shape->head_dim <= 128)
        attend<element, 128><<<grid, block, 0, stream>>>(*shape, query, key, value, output);
    else
        attend<element, 256><<<grid, block, 0, stream>>>(*shape, query, key, value, output);
}

static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    struct shape shape = device_shape(problem, buffers, ((const struct detail *)plan->detail)->tiles);
    dim3 grid((unsigned)((problem->queries + TILE - 1) / TILE), (unsigned)problem->heads, (unsigned)problem->batch);
    if (problem->dtype == DTYPE_fp32) launch<float>(&shape, grid, stream, buffers);
    if (problem->dtype == DTYPE_bf16) launch<__nv_bfloat16>(&shape, grid, stream, buffers);
    if (problem->dtype == DTYPE_fp16) launch<__half>(&shape, grid, stream, buffers);
    cudaError_t status = cudaGetLastError();
    if (status == cudaSuccess) return true;
    snprintf(reason, REASON_SIZE, "launch of the plain kernel: %s", cudaGetErrorString(status));
    return false;
}

static bool backward(const struct attention_problem *problem, const struct attention_plan *plan,
                     const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                     struct CUstream_st *stream, char *reason) {
    const struct detail *detail = (const struct detail *)plan->detail;
    return plain_backward_run(detail->backward, problem, buffers, gradients, stream, reason);
}

extern "C" const struct attention_operator softmax_plain = {.name = "plain",
                                                            .backend = "cuda",
                                                            .place = PLACE_DEVICE,
                                                            .decline = decline,
                                                            .prepare = prepare,
                                                            .forward = forward,
                                                            .release = release,
                                                            .backward = backward};
