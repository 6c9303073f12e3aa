/* softmax_mma.cu: softmax attention by the matrix instructions of a warp, for compute capability 8.0 and up: the flash
   kernel that runs everywhere.

   After FlashAttention-2 (arXiv 2307.08691). A block owns 128 queries of one head and walks the tiles of keys that the
   mask's plan (mask/tiles.h) lists for them. Each warp has 32 of the queries, or 16 where head_dim is above 128, and
   keeps their scores, probabilities, maximum, sum and output in registers:
     scores          query key^T, both from shared memory by ldmatrix
     online softmax  a row's scores are in four lanes; exp2 with the scale folded into one multiply-add
     output          probabilities are the A operand where the accumulators left them; values by ldmatrix, transposed
   cp.async fills the two buffers in turn: the values of a tile while its scores are computed, the keys of the next while
   the softmax and the second product run. Rows in shared memory are 16 bytes longer than a vector, so that the eight
   rows of an ldmatrix fall into different banks. Lines of the plan start with the longest.

   Registers bound it: at head_dim 128 the output takes 128 of them and the scores 64, hence two blocks of four warps on
   a multiprocessor. mma.sync reaches about 0.6 of Hopper's wgmma: kernels/mma and kernels/wgmma. */
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "attention/mask/tiles.h"
#include "kernels/lib/warp_matrix.h"
#include "score_options.h"

enum { WARP = 32, QUERIES = 128, PAD = 8, GRID_MAX = 65535, ARCHITECTURE_MIN = 80 };

/* The problem as the kernel takes it: by value. */
struct shape {
    struct attention_strides query, key, value, output;
    int64_t queries, keys;
    int heads, group;
    float factor; /* scale / log 2 */
    struct score_options options;
    const struct mask_tiles *tiles;
    float *log_sum_exp;
};

/* What is known at compile time of a head size: KEYS a tile; row_tiles of 16 queries a warp. */
template <int HEAD_DIM> struct layout {
    static const int row_tiles = HEAD_DIM <= 128 ? 2 : 1;
    static const int warps = QUERIES / 16 / row_tiles;
    static const int threads = warps * WARP;
    static const int keys = HEAD_DIM <= 64 ? 128 : 64;
    static const int pitch = HEAD_DIM + PAD; /* elements between rows */
    static const int key_tiles = keys / 8, value_tiles = HEAD_DIM / 8; /* accumulators across */
    static const int blocks = HEAD_DIM <= 128 ? 2 : 1; /* on a multiprocessor */
    static const unsigned shared_bytes = (QUERIES + 2 * keys) * pitch * 2;
};

/* A warp's rows: lane / 4 and that + 8 of each of its tiles of 16. */
template <int HEAD_DIM> struct rows {
    float output[layout<HEAD_DIM>::row_tiles][layout<HEAD_DIM>::value_tiles][4];
    float maximum[layout<HEAD_DIM>::row_tiles][2], sum[layout<HEAD_DIM>::row_tiles][2];
};
template <int HEAD_DIM> struct scores {
    float value[layout<HEAD_DIM>::row_tiles][layout<HEAD_DIM>::key_tiles][4];
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

/* Tokens `first` and up, COUNT of them, into shared memory; those that are not there as zeros. */
template <int HEAD_DIM, int COUNT, typename element>
static __device__ __forceinline__ void copy_rows(unsigned shared, const element *head, int64_t stride, int64_t first,
                                                 int64_t tokens) {
    const int chunks = HEAD_DIM / 8, threads = layout<HEAD_DIM>::threads;
#pragma unroll
    for (int i = 0; i < (COUNT * chunks + threads - 1) / threads; i++) {
        int at = i * threads + threadIdx.x, row = at / chunks, chunk = at % chunks;
        bool inside = first + row < tokens;
        const element *from = head + (inside ? (first + row) * stride + chunk * 8 : 0);
        copy_16_bytes(shared + (row * layout<HEAD_DIM>::pitch + chunk * 8) * 2, from, inside);
    }
    copies_commit();
}

/* query, key: the warp's first query, the tile's first key in shared memory. */
template <int HEAD_DIM, typename element>
static __device__ __forceinline__ void multiply_keys(struct scores<HEAD_DIM> *scores, unsigned query, unsigned key) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP;
    /* matrices of A: rows 0-7 and 8-15 of the first columns, then of the next; of B: the columns first */
    unsigned a_at = query + ((lane % 16) * sizes::pitch + lane / 16 * 8) * 2;
    unsigned b_at = key + ((lane % 8 + lane / 16 * 8) * sizes::pitch + lane / 8 % 2 * 8) * 2;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) scores->value[r][n][i] = 0;
#pragma unroll
    for (int k = 0; k < HEAD_DIM / 16; k++) {
        uint32_t a[sizes::row_tiles][4];
#pragma unroll
        for (int r = 0; r < sizes::row_tiles; r++) warp_load(a[r], a_at + (r * 16 * sizes::pitch + k * 16) * 2);
#pragma unroll
        for (int n = 0; n < sizes::key_tiles; n += 2) {
            uint32_t b[4];
            warp_load(b, b_at + (n * 8 * sizes::pitch + k * 16) * 2);
#pragma unroll
            for (int r = 0; r < sizes::row_tiles; r++) {
                warp_mma((const element *)NULL, scores->value[r][n], a[r], b[0], b[1]);
                warp_mma((const element *)NULL, scores->value[r][n + 1], a[r], b[2], b[3]);
            }
        }
    }
}

/* Scores become those of the options, in units of log 2. */
template <int HEAD_DIM>
static __device__ void change_scores(struct scores<HEAD_DIM> *scores, const struct shape *shape, int head,
                                     int64_t first_query, int64_t first_key) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP;
    float slope = alibi_slope(&shape->options, head);
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                scores->value[r][n][i] = change_score(&shape->options, scores->value[r][n][i] * shape->factor, slope,
                                                      first_query + r * 16 + lane / 4 + i / 2 * 8,
                                                      first_key + n * 8 + lane % 4 * 2 + i % 2);
}

/* -infinity where the mask forbids the pair; row: the warp's first in the tile. */
template <int HEAD_DIM>
static __device__ void mask_scores(struct scores<HEAD_DIM> *scores, const struct mask_tiles *tiles,
                                   struct mask_tile entry, int row) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP, right = lane % 4 * 2;
    const bool by_bits = mask_tile_form(entry) == MASK_TILE_BITS;
    const uint32_t index = mask_tile_index(entry);
    const struct mask_tile_range *range = mask_tiles_range(tiles) + (by_bits ? 0 : index);
    const uint32_t *bits = mask_tiles_bits(tiles) + (by_bits ? (size_t)index * QUERIES * (sizes::keys / 32) : 0);
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int at = row + r * 16 + lane / 4 + half * 8, begin = 0, end = 0;
            if (!by_bits && at >= range->row_begin && at < range->row_end) {
                begin = range->low + range->low_slope * at;
                end = range->high + range->high_slope * at;
            }
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++) {
                uint32_t word = by_bits ? bits[at * (sizes::keys / 32) + n / 4] >> (n % 4 * 8 + right) : 0;
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    int key = n * 8 + right + i;
                    bool seen = by_bits ? word >> i & 1 : key >= begin && key < end;
                    if (!seen) scores->value[r][n][half * 2 + i] = -INFINITY;
                }
            }
        }
}

/* Scores times factor, in units of log 2, become probabilities up to the sum; the output is rescaled to the maximum. */
template <int HEAD_DIM>
static __device__ __forceinline__ void soften(struct scores<HEAD_DIM> *scores, struct rows<HEAD_DIM> *rows,
                                              float factor) {
    using sizes = layout<HEAD_DIM>;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float largest = -INFINITY, added = 0;
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++)
                largest = fmaxf(largest, fmaxf(scores->value[r][n][half * 2], scores->value[r][n][half * 2 + 1]));
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
            largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
            float next = fmaxf(rows->maximum[r][half], largest * factor);
            float shift = next == -INFINITY ? 0 : next; /* nothing seen yet: -infinity - -infinity would be NaN */
            float rescale = exp2f(rows->maximum[r][half] - shift);
            rows->maximum[r][half] = next;
#pragma unroll
            for (int n = 0; n < sizes::key_tiles; n++)
#pragma unroll
                for (int i = half * 2; i < half * 2 + 2; i++) {
                    scores->value[r][n][i] = exp2f(scores->value[r][n][i] * factor - shift);
                    added += scores->value[r][n][i];
                }
            rows->sum[r][half] = rows->sum[r][half] * rescale + added; /* this lane's part */
#pragma unroll
            for (int n = 0; n < sizes::value_tiles; n++) {
                rows->output[r][n][half * 2] *= rescale;
                rows->output[r][n][half * 2 + 1] *= rescale;
            }
        }
}

template <int HEAD_DIM, typename element>
static __device__ __forceinline__ void multiply_values(struct rows<HEAD_DIM> *rows,
                                                       const struct scores<HEAD_DIM> *scores, unsigned value) {
    using sizes = layout<HEAD_DIM>;
    const element *const type = NULL;
    const int lane = threadIdx.x % WARP;
    unsigned b_at = value + ((lane % 16) * sizes::pitch + lane / 16 * 8) * 2;
#pragma unroll
    for (int k = 0; k < sizes::keys / 16; k++) {
        uint32_t a[sizes::row_tiles][4];
#pragma unroll
        for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *pair = &scores->value[r][2 * k + i / 2][i % 2 * 2];
                a[r][i] = warp_pack(type, pair[0], pair[1]);
            }
#pragma unroll
        for (int n = 0; n < sizes::value_tiles; n += 2) {
            uint32_t b[4];
            warp_load_transposed(b, b_at + (k * 16 * sizes::pitch + n * 8) * 2);
#pragma unroll
            for (int r = 0; r < sizes::row_tiles; r++) {
                warp_mma(type, rows->output[r][n], a[r], b[0], b[1]);
                warp_mma(type, rows->output[r][n + 1], a[r], b[2], b[3]);
            }
        }
    }
}

template <int HEAD_DIM, typename element>
static __device__ __forceinline__ void store(const struct shape *shape, struct rows<HEAD_DIM> *rows, element *output,
                                             int64_t first_query, int head, int batch) {
    using sizes = layout<HEAD_DIM>;
    const int lane = threadIdx.x % WARP;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float sum = rows->sum[r][half], maximum = rows->maximum[r][half];
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            int64_t query = first_query + r * 16 + lane / 4 + half * 8;
            if (query >= shape->queries) continue;
            int64_t row = ((int64_t)batch * shape->heads + head) * shape->queries + query;
            bool nothing = maximum == -INFINITY;
            float factor = nothing ? 0 : gate_of(&shape->options, row) / sum;
            element *to = output + query * shape->output.row + lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < sizes::value_tiles; n++) {
                const float *pair = &rows->output[r][n][half * 2];
                *(uint32_t *)(to + n * 8) = warp_pack((const element *)NULL, pair[0] * factor, pair[1] * factor);
            }
            if (lane % 4 == 0) shape->log_sum_exp[row] = nothing ? -INFINITY : (maximum + log2f(sum)) * (float)M_LN2;
        }
}

template <int HEAD_DIM>
static __device__ __forceinline__ void start(struct rows<HEAD_DIM> *rows, const struct shape *shape, int head) {
    using sizes = layout<HEAD_DIM>;
#pragma unroll
    for (int r = 0; r < sizes::row_tiles; r++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            rows->maximum[r][half] = first_maximum(&shape->options, head);
            rows->sum[r][half] = threadIdx.x % 4 == 0 ? first_sum(&shape->options) : 0; /* lanes add up */
        }
#pragma unroll
        for (int n = 0; n < sizes::value_tiles; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) rows->output[r][n][i] = 0;
    }
}
#endif

template <typename element, int HEAD_DIM>
static __global__ void __launch_bounds__(layout<HEAD_DIM>::threads, layout<HEAD_DIM>::blocks)
    attend(const __grid_constant__ struct shape shape, const element *query, const element *key, const element *value,
           element *output) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    using sizes = layout<HEAD_DIM>;
    extern __shared__ __align__(16) unsigned char shared[];
    const int head = blockIdx.y, batch = blockIdx.z, warp = threadIdx.x / WARP;
    const struct mask_tiles *tiles = shape.tiles;
    const int of_mask = (int)mask_head(tiles->heads, head, shape.heads);
    const int tile = tiles->heads == 1 ? mask_tiles_order(tiles)[blockIdx.x] : (int)(gridDim.x - 1 - blockIdx.x);
    const int64_t first_query = (int64_t)tile * QUERIES;
    const int32_t *line = mask_tiles_begin(tiles) + (int64_t)of_mask * tiles->lines + tile;
    const struct mask_tile *entry = mask_tiles_entry(tiles) + line[0];
    const int entries = line[1] - line[0], row = warp * 16 * sizes::row_tiles;
    const unsigned queries_at = warp_shared_address(shared), keys_at = queries_at + QUERIES * sizes::pitch * 2;
    const unsigned values_at = keys_at + sizes::keys * sizes::pitch * 2;
    query += batch * shape.query.batch + head * shape.query.head;
    key += batch * shape.key.batch + head / shape.group * shape.key.head;
    value += batch * shape.value.batch + head / shape.group * shape.value.head;
    output += batch * shape.output.batch + head * shape.output.head;
    struct rows<HEAD_DIM> rows;
    start(&rows, &shape, head);
    if (entries > 0) {
        copy_rows<HEAD_DIM, QUERIES>(queries_at, query, shape.query.row, first_query, shape.queries);
        copy_rows<HEAD_DIM, sizes::keys>(keys_at, key, shape.key.row, (int64_t)entry[0].tile * sizes::keys, shape.keys);
    }
    const bool changes = changes_scores(&shape.options);
    for (int i = 0; i < entries; i++) {
        const struct mask_tile current = entry[i];
        const int64_t first_key = (int64_t)current.tile * sizes::keys;
        struct scores<HEAD_DIM> scores;
        copies_wait<0>();
        __syncthreads(); /* the keys are there, the values before have been used */
        copy_rows<HEAD_DIM, sizes::keys>(values_at, value, shape.value.row, first_key, shape.keys);
        multiply_keys<HEAD_DIM, element>(&scores, queries_at + row * sizes::pitch * 2, keys_at);
        if (changes) change_scores(&scores, &shape, head, first_query + row, first_key);
        if (mask_tile_form(current) != MASK_TILE_FULL) mask_scores(&scores, tiles, current, row);
        copies_wait<0>();
        __syncthreads(); /* the values are there, the keys have been used */
        if (i + 1 < entries)
            copy_rows<HEAD_DIM, sizes::keys>(keys_at, key, shape.key.row, (int64_t)entry[i + 1].tile * sizes::keys,
                                             shape.keys);
        soften(&scores, &rows, changes ? 1.0f : shape.factor);
        multiply_values<HEAD_DIM, element>(&rows, &scores, values_at);
    }
    store(&shape, &rows, output, first_query + row, head, batch);
#endif
}

/* The kernels, by head_dim and format. */
#define KERNELS(head_dim)                                                                                              \
    {head_dim, layout<head_dim>::threads, layout<head_dim>::keys, layout<head_dim>::shared_bytes,                      \
     (const void *)attend<__nv_bfloat16, head_dim>, (const void *)attend<__half, head_dim>}
static const struct {
    int head_dim, threads, keys;
    unsigned shared_bytes;
    const void *bf16, *fp16;
} kernels[] = {KERNELS(64), KERNELS(96), KERNELS(128), KERNELS(192), KERNELS(256)};

static int kernel_of(const struct attention_problem *problem) {
    for (int i = 0; i < (int)ARRAY_LENGTH(kernels); i++)
        if (kernels[i].head_dim == problem->head_dim) return i;
    return -1;
}

static bool in_vectors(struct attention_strides strides) {
    return strides.batch % 8 == 0 && strides.head % 8 == 0 && strides.row % 8 == 0;
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_bf16 && problem->dtype != DTYPE_fp16) return "the mma kernel takes bf16 and fp16";
    if (kernel_of(problem) < 0) return "the mma kernel takes a head_dim of 64, 96, 128, 192 or 256";
    if (!(problem->scale > 0)) return "the mma kernel wants a scale above 0";
    if (problem->batch > GRID_MAX || problem->heads > GRID_MAX) return "a grid has at most 65535 heads and sequences";
    if (!in_vectors(problem->query) || !in_vectors(problem->key) || !in_vectors(problem->value))
        return "the mma kernel wants strides that are multiples of 8 elements";
    if (problem->backward) return "the mma kernel has no backward pass";
    return score_options_decline(problem);
}

static void release(struct attention_plan *plan) {
    if (plan->detail) mask_tiles_device_free((struct mask_tiles *)plan->detail);
    plan->detail = NULL;
}

static const void *function_of(const struct attention_problem *problem) {
    int at = kernel_of(problem);
    return problem->dtype == DTYPE_bf16 ? kernels[at].bf16 : kernels[at].fp16;
}

/* Code for the device, and shared memory enough. */
static bool fits_device(const struct attention_problem *problem, char *reason) {
    struct cudaFuncAttributes attributes;
    unsigned bytes = kernels[kernel_of(problem)].shared_bytes;
    cudaError_t status = cudaFuncGetAttributes(&attributes, function_of(problem));
    if (status == cudaSuccess && attributes.ptxVersion < ARCHITECTURE_MIN) status = cudaErrorNoKernelImageForDevice;
    if (status == cudaSuccess)
        status = cudaFuncSetAttribute(function_of(problem), cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    if (status == cudaSuccess) return true;
    cudaGetLastError();
    snprintf(reason, REASON_SIZE, "the mma kernel needs compute capability 8.0 and %u KiB of shared memory: %s",
             bytes / 1024, cudaGetErrorString(status));
    return false;
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    plan->workspace = 0;
    if (!fits_device(problem, reason)) return false;
    struct mask_tiles *tiles = mask_tiles_new(problem->mask, QUERIES, kernels[kernel_of(problem)].keys, MASK_BY_QUERY);
    if (!tiles) snprintf(reason, REASON_SIZE, "out of host memory");
    plan->detail = tiles ? mask_tiles_to_device(tiles, reason) : NULL;
    free(tiles);
    return plan->detail != NULL;
}

static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    const void *query = buffers->query, *key = buffers->key, *value = buffers->value;
    void *output = buffers->output;
    struct shape shape = {.query = problem->query,
                          .key = problem->key,
                          .value = problem->value,
                          .output = problem->output,
                          .queries = problem->queries,
                          .keys = problem->keys,
                          .heads = (int)problem->heads,
                          .group = (int)(problem->heads / problem->kv_heads),
                          .factor = problem->scale * (float)M_LOG2E,
                          .options = score_options_of(problem, buffers),
                          .tiles = (const struct mask_tiles *)plan->detail,
                          .log_sum_exp = buffers->log_sum_exp};
    if (((uintptr_t)query | (uintptr_t)key | (uintptr_t)value | (uintptr_t)output) % 16) {
        snprintf(reason, REASON_SIZE, "the mma kernel wants operands at multiples of 16 bytes");
        return false;
    }
    int at = kernel_of(problem);
    dim3 grid((unsigned)((problem->queries + QUERIES - 1) / QUERIES), (unsigned)problem->heads, (unsigned)problem->batch);
    void *arguments[] = {&shape, &query, &key, &value, &output};
    cudaError_t status = cudaLaunchKernel(function_of(problem), grid, dim3((unsigned)kernels[at].threads), arguments,
                                          kernels[at].shared_bytes, stream);
    if (status == cudaSuccess) return true;
    cudaGetLastError();
    snprintf(reason, REASON_SIZE, "launch of the mma kernel: %s", cudaGetErrorString(status));
    return false;
}

extern "C" const struct attention_operator softmax_mma = {.name = "mma",
                                                          .backend = "cuda",
                                                          .place = PLACE_DEVICE,
                                                          .decline = decline,
                                                          .prepare = prepare,
                                                          .forward = forward,
                                                          .release = release};
