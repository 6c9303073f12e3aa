/* softmax_mma.cu: softmax attention by the matrix instructions of a warp, for compute capability 8.0 and up: the flash
   kernel that runs everywhere.

   After FlashAttention-2 (arXiv 2307.08691). A block owns 128 queries of one head and walks the tiles of keys that the
   mask's plan (mask/tiles.h) lists for them. Each warp has 32 of the queries, or 16 where head_dim is above 128, and
   keeps their scores, probabilities, maximum, sum and output in registers:
     scores          query key^T, both from shared memory by ldmatrix
     online softmax  a row's scores are in four lanes; exp2 with the scale folded into one multiply-add
     output          probabilities are the A operand where the accumulators left them; values by ldmatrix, transposed
   cp.async fills the two buffers in turn: the values of a tile while its scores are computed, the keys of the next
   while the softmax and the second product run. Rows in shared memory are 16 bytes longer than a vector, so that the
   eight rows of an ldmatrix fall into different banks. Lines of the plan start with the longest. A clipped softmax
   takes two passes over the keys, because what is clipped is the finished probability: the first leaves log_sum_exp
   alone.

   Registers bound it: at head_dim 128 the output takes 128 of them and the scores 64, hence two blocks of four warps on
   a multiprocessor; what mma.sync reaches at all on Hopper is in kernels/mma.

   NOTES, on an H200, bf16, full mask, 8192 tokens, batch 2, hidden 2048 (1536 for 96 and 192), TFLOP/s:
   - head_dim 64, 96, 128, 192, 256: 300, 324, 367, 278, 282. Tiles of 32 keys: 239, 286, 314, 226, 244. Two blocks
     instead of three at 64: 292.
   - An address and a bound computed for every vector that is copied, instead of a pointer that moves on: 299 at 128,
     where the compiler spilled.
   - exp2f instead of the bare instruction: 253 instead of 269 at 64, 293 instead of 299 at 128, before the above.
   - The output left alone where no maximum of the warp's rows moved: slower, at 256 by a tenth.
   - Fragments loaded one, two or four steps ahead in the source: the same registers and spills; ptxas orders them
     itself. */
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mma_tile.h"

enum { GRID_MAX = 65535, ARCHITECTURE_MIN = 80 };

/* What a kernel computes: attention, or one half of a clipped one. */
enum pass { PASS_ATTEND, PASS_LOG_SUM_EXP, PASS_CLIP, PASS_COUNT };

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
template <int HEAD_DIM, enum pass PASS, typename element>
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
            if (PASS == PASS_CLIP) factor = gate_of(&shape->options, row);
            element *to = output + query * shape->output.row + lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < sizes::value_tiles && PASS != PASS_LOG_SUM_EXP; n++) {
                const float *pair = &rows->output[r][n][half * 2];
                *(uint32_t *)(to + n * 8) = warp_pack((const element *)NULL, pair[0] * factor, pair[1] * factor);
            }
            if (lane % 4 == 0 && PASS != PASS_CLIP)
                shape->log_sum_exp[row] = nothing ? -INFINITY : (maximum + log2f(sum)) * (float)M_LN2;
        }
}

/* The finished log_sum_exp of a row in units of log 2; 0 where it sees nothing, and where there is no row. */
static __device__ __forceinline__ float finished_shift(const struct shape *shape, int64_t query, int head, int batch) {
    if (query >= shape->queries) return 0;
    float log_sum_exp = shape->log_sum_exp[((int64_t)batch * shape->heads + head) * shape->queries + query];
    return log_sum_exp == -INFINITY ? 0 : log_sum_exp * (float)M_LOG2E;
}

/* For a pass that clips: maximum becomes what the first pass found. */
template <int HEAD_DIM>
static __device__ __forceinline__ void finish(struct rows<HEAD_DIM> *rows, const struct shape *shape,
                                              int64_t first_query, int head, int batch) {
#pragma unroll
    for (int r = 0; r < layout<HEAD_DIM>::row_tiles; r++)
#pragma unroll
        for (int half = 0; half < 2; half++)
            rows->maximum[r][half] =
                finished_shift(shape, first_query + r * 16 + threadIdx.x % WARP / 4 + half * 8, head, batch);
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

template <typename element, int HEAD_DIM, enum pass PASS>
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
    if (PASS == PASS_CLIP) finish(&rows, &shape, first_query + row, head, batch);
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
        if (PASS != PASS_LOG_SUM_EXP)
            copy_rows<HEAD_DIM, sizes::keys>(values_at, value, shape.value.row, first_key, shape.keys);
        multiply_keys<HEAD_DIM, element>(&scores, queries_at + row * sizes::pitch * 2, keys_at);
        if (changes) change_scores(&scores, &shape.options, shape.factor, head, first_query + row, first_key);
        if (mask_tile_form(current) != MASK_TILE_FULL) mask_scores(&scores, tiles, current, row);
        copies_wait<0>();
        __syncthreads(); /* the values are there, the keys have been used */
        if (i + 1 < entries)
            copy_rows<HEAD_DIM, sizes::keys>(keys_at, key, shape.key.row, (int64_t)entry[i + 1].tile * sizes::keys,
                                             shape.keys);
        if (PASS == PASS_CLIP) clip(&scores, &rows, &shape.options, changes ? 1.0f : shape.factor);
        else soften(&scores, &rows, changes ? 1.0f : shape.factor);
        if (PASS != PASS_LOG_SUM_EXP) multiply_values<HEAD_DIM, element>(&rows, &scores, values_at);
    }
    store<HEAD_DIM, PASS>(&shape, &rows, output, first_query + row, head, batch);
#endif
}

/* The kernels, by head_dim, format and pass. */
#define PASSES(element, head_dim)                                                                                      \
    {                                                                                                                  \
        (const void *)attend<element, head_dim, PASS_ATTEND>,                                                          \
            (const void *)attend<element, head_dim, PASS_LOG_SUM_EXP>,                                                 \
            (const void *)attend<element, head_dim, PASS_CLIP>                                                         \
    }
#define KERNELS(head_dim)                                                                                              \
    {head_dim, layout<head_dim>::threads, layout<head_dim>::keys, layout<head_dim>::shared_bytes,                      \
     PASSES(__nv_bfloat16, head_dim), PASSES(__half, head_dim)}
static const struct {
    int head_dim, threads, keys;
    unsigned shared_bytes;
    const void *bf16[PASS_COUNT], *fp16[PASS_COUNT];
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
    return problem->backward ? "the mma kernel has no backward pass" : NULL;
}

static void release(struct attention_plan *plan) {
    if (plan->detail) mask_tiles_device_free((struct mask_tiles *)plan->detail);
    plan->detail = NULL;
}

static const void *function_of(const struct attention_problem *problem, int pass) {
    int at = kernel_of(problem);
    return problem->dtype == DTYPE_bf16 ? kernels[at].bf16[pass] : kernels[at].fp16[pass];
}

/* Code for the device, and shared memory enough. */
static bool fits_device(const struct attention_problem *problem, char *reason) {
    struct cudaFuncAttributes attributes;
    unsigned bytes = kernels[kernel_of(problem)].shared_bytes;
    cudaError_t status = cudaFuncGetAttributes(&attributes, function_of(problem, PASS_ATTEND));
    if (status == cudaSuccess && attributes.ptxVersion < ARCHITECTURE_MIN) status = cudaErrorNoKernelImageForDevice;
    for (int pass = 0; pass < PASS_COUNT && status == cudaSuccess; pass++)
        status = cudaFuncSetAttribute(function_of(problem, pass), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes);
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
    struct shape shape = device_shape(problem, buffers, (const struct mask_tiles *)plan->detail);
    if (((uintptr_t)query | (uintptr_t)key | (uintptr_t)value | (uintptr_t)output) % 16) {
        snprintf(reason, REASON_SIZE, "the mma kernel wants operands at multiples of 16 bytes");
        return false;
    }
    int at = kernel_of(problem);
    unsigned tiles = (unsigned)((problem->queries + QUERIES - 1) / QUERIES);
    dim3 grid(tiles, (unsigned)problem->heads, (unsigned)problem->batch);
    void *arguments[] = {&shape, &query, &key, &value, &output};
    const bool clipped = problem->options.clip_high > 0;
    const int first_pass = clipped ? PASS_LOG_SUM_EXP : PASS_ATTEND, last_pass = clipped ? PASS_CLIP : PASS_ATTEND;
    cudaError_t status = cudaSuccess;
    for (int pass = first_pass; pass <= last_pass && status == cudaSuccess; pass++)
        status = cudaLaunchKernel(function_of(problem, pass), grid, dim3((unsigned)kernels[at].threads), arguments,
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
