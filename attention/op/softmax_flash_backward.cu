/* softmax_flash_backward.cu: the gradients of softmax attention on Hopper: one kernel (flash_backward.h) between two
   small ones, after FlashAttention-3 (arXiv 2407.08608). bf16 and fp16, every mask.

     prepare_rows    delta = output_gradient . output and log_sum_exp / log 2 of every query; zeros for query sums
     flash_backward  a block owns a key tile, whose keys and values stay in shared memory, and walks the query tiles
                     that see it, in all the heads that share it. Two warpgroups of 64 keys each make
                       scores^T, slopes^T   key query^T, value output_gradient^T: transposed, so that
                       value sums           += probability^T output_gradient  and
                       key sums             += score_gradient^T query         take their left operand from registers
                       query sums           score_gradient key, over all the tile's keys: the score gradients of both
                                            warpgroups meet in shared memory; added to fp32 sums in memory
     round_queries   those sums, times scale, in the operands' format

   At head_dim 256 the sums of 64 keys fill the registers of two warpgroups, which then share the same keys (SPLIT in
   flash_backward_load.h). A head_dim below 64, 128 or 256 is treated as that, with zeros: 96 takes the time of 128.

   Tiles, of queries x keys; shared memory of the 227 KiB; registers of the 240 for sums, scores and slopes, query sums:
     head_dim 64     128 x 128   192 KiB    64 + 128 + 32
     head_dim 128     64 x 128   192 KiB   128 +  64 + 32
     head_dim 256     64 x  64   224 KiB   128 +  32 + 64

   deterministic: query sums are added in the order in which blocks take the key tiles, by counters in memory. A block
   waits only for tiles that were taken before its own, so that somebody is always at work. Sums of keys are added up by
   one block in any case.

   Floor: five products, 10 area head_dim FLOP, at the rate of dense 16-bit products; besides, 4 head_dim bytes for each
   query and key tile into the adders of the second-level cache, and 14 head_dim + 20 bytes a query for the small
   kernels. Operands in shared memory take as long to read as to multiply where 64 rows meet 64 columns: three of the
   five products at head_dim 128; where 64 meet 32, the scores and slopes at 256, half as long again.

   NOTES. What was tried, on an H200, bf16, 16k tokens, hidden 2048:
   - query sums by the copy engine from shared memory instead of vector additions from registers: +7 % at head_dim 128,
     nothing at 64; no room at 256.
   - scores of the next query tile in flight across iterations: the compiler then serializes all products (C7514), and
     without that it lacks registers (C7512) at head_dim 128.
   - deterministic costs 1.7 times the time under full masks and 2.1 under causal ones in the geometric mean over 512 ..
     16k (30 of the grid's 36 points), up to 3.2 at 16k, causal, head_dim 64: key tiles that start together wait for
     each other at each query tile.
   - at head_dim 64 no register is to spare: one number more that lives through a step is spilled, as one is where turns
     are awaited.
   - racecheck follows an arrival at a barrier for the lane that arrives, not for those it met in a __syncwarp before:
     every lane arrives for itself. That takes 0, 2 and 2 to 3 % less time at head_dim 64, 128 and 256 besides. Rows'
     numbers copied by a tensor map or waited for at a named barrier are clean too, at the old time. */
#include "softmax_flash_backward.h"

#include <math.h>
#include <stdlib.h>

#include "flash_backward.h"
#include "flash_backward_plan.h"
#include "flash_map.h"

enum { ROW_THREADS = 256, VECTOR = 8 };

/* What a launch of the small kernels needs. */
struct rows {
    struct attention_strides stride; /* of output and its gradient, or of the gradient of queries */
    int64_t count;                   /* batch * heads * query_tiles * QUERIES */
    int64_t queries, padded;         /* of a head; rounded up to tiles */
    int heads, head_dim;
    float scale;
};

static __device__ inline float2 unpack_pair(uint32_t pair, __nv_bfloat16) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}
static __device__ inline float2 unpack_pair(uint32_t pair, __half) {
    return __half22float2(*(const __half2 *)&pair);
}

template <typename element> static __device__ float dot(uint4 a, uint4 b) {
    const uint32_t left[4] = {a.x, a.y, a.z, a.w}, right[4] = {b.x, b.y, b.z, b.w};
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        float2 x = unpack_pair(left[i], element()), y = unpack_pair(right[i], element());
        sum += x.x * y.x + x.y * y.y;
    }
    return sum;
}

/* shift, by what scores in units of log 2 are lowered: +infinity where nothing is seen, for probabilities of 0. */
template <typename element, int HEAD_DIM>
static __global__ void __launch_bounds__(ROW_THREADS)
    prepare_rows(struct rows rows, const element *output, const element *output_gradient, const float *log_sum_exp,
                 float *shift, float *delta, float *query_sums) {
    constexpr int LANES = HEAD_DIM / VECTOR;
    int64_t row = (int64_t)blockIdx.x * (ROW_THREADS / LANES) + threadIdx.x / LANES;
    int lane = threadIdx.x % LANES;
    if (row >= rows.count) return; /* whole warps: a head has a multiple of 64 rows */
    int64_t query = row % rows.padded, head = row / rows.padded;
    int64_t at = head / rows.heads * rows.stride.batch + head % rows.heads * rows.stride.head +
                 query * rows.stride.row + lane * VECTOR;
    float sum = 0;
    if (query < rows.queries && lane * VECTOR < rows.head_dim)
        sum = dot<element>(__ldg((const uint4 *)(output + at)), __ldg((const uint4 *)(output_gradient + at)));
    for (int distance = LANES / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
    float4 *zero = (float4 *)(query_sums + row * HEAD_DIM) + lane;
    zero[0] = zero[LANES] = make_float4(0, 0, 0, 0);
    if (lane > 0) return;
    float seen = query < rows.queries ? log_sum_exp[head * rows.queries + query] : -INFINITY;
    shift[row] = seen == -INFINITY ? INFINITY : seen * (float)M_LOG2E;
    delta[row] = sum;
}

/* A thread takes 8 columns of two rows, 8 apart, from four threads of a warpgroup, as backward_add left them. */
template <typename element, int HEAD_DIM, int QUERIES>
static __global__ void __launch_bounds__(ROW_THREADS)
    round_queries(struct rows rows, const float *query_sums, element *query_gradient) {
#if WGMMA_BUILT
    constexpr int COLUMNS = HEAD_DIM * QUERIES / 128, BLOCKS = COLUMNS / 8, ITEMS = 32 * BLOCKS;
    int64_t item = (int64_t)blockIdx.x * ROW_THREADS + threadIdx.x, part = item / ITEMS, tile = part / 2;
    if (item * 16 >= rows.count * HEAD_DIM) return;
    int block = item % BLOCKS, quad = item % ITEMS / BLOCKS, warpgroup = part % 2;
    const float4 *from = (const float4 *)query_sums + part * (ITEMS * 4) + block * WGMMA_THREADS + quad * 4;
    uint32_t piece[2][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float4 sums = __ldcs(from + i);
        piece[0][i] = pack_pair(sums.x * rows.scale, sums.y * rows.scale, element());
        piece[1][i] = pack_pair(sums.z * rows.scale, sums.w * rows.scale, element());
    }
    int column = (QUERIES > 64 ? 0 : warpgroup * COLUMNS) + block * 8;
    int64_t row = tile * QUERIES + (QUERIES > 64 ? warpgroup * 64 : 0) + quad / 8 * 16 + quad % 8;
    int64_t query = row % rows.padded, head = row / rows.padded;
    element *to = query_gradient + head / rows.heads * rows.stride.batch + head % rows.heads * rows.stride.head +
                  query * rows.stride.row + column;
    if (column >= rows.head_dim) return;
    if (query < rows.queries) *(uint4 *)to = make_uint4(piece[0][0], piece[0][1], piece[0][2], piece[0][3]);
    to += 8 * rows.stride.row;
    if (query + 8 < rows.queries) *(uint4 *)to = make_uint4(piece[1][0], piece[1][1], piece[1][2], piece[1][3]);
#else
    __trap();
#endif
}

template <typename element, int HEAD_DIM>
static void launch_before(const struct rows *rows, const struct backward_arguments *arguments,
                          const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                          cudaStream_t stream) {
    int64_t each = ROW_THREADS / (HEAD_DIM / VECTOR);
    prepare_rows<element, HEAD_DIM><<<(unsigned)((rows->count + each - 1) / each), ROW_THREADS, 0, stream>>>(
        *rows, (const element *)buffers->output, (const element *)gradients->output_gradient, buffers->log_sum_exp,
        (float *)arguments->shift, (float *)arguments->delta, arguments->query_sums);
}

template <typename element, int HEAD_DIM, int QUERIES>
static void launch_after(const struct rows *rows, const struct backward_arguments *arguments, void *query_gradient,
                         cudaStream_t stream) {
    int64_t items = rows->count * HEAD_DIM / 16;
    round_queries<element, HEAD_DIM, QUERIES><<<(unsigned)((items + ROW_THREADS - 1) / ROW_THREADS), ROW_THREADS, 0,
                                                stream>>>(*rows, arguments->query_sums, (element *)query_gradient);
}

typedef void before_function(const struct rows *, const struct backward_arguments *, const struct attention_buffers *,
                             const struct attention_gradients *, cudaStream_t);
typedef void after_function(const struct rows *, const struct backward_arguments *, void *, cudaStream_t);

/* The kernels of one format, for head_dim up to this one. */
struct kernels {
    enum dtype dtype;
    int head_dim, queries, keys, shared_bytes;
    const void *any_order, *ordered;
    before_function *before;
    after_function *after;
};
#define KERNELS(dtype, element, head_dim, queries, keys)                                                               \
    {dtype, head_dim, queries, keys, backward_tiles<element, head_dim, queries, keys, false>::SHARED_BYTES,            \
     (const void *)flash_backward<element, head_dim, queries, keys, false>,                                            \
     (const void *)flash_backward<element, head_dim, queries, keys, true>,                                             \
     launch_before<element, head_dim>, launch_after<element, head_dim, queries>}
static const struct kernels kernels[] = {
    KERNELS(DTYPE_bf16, __nv_bfloat16, 64, 128, 128),
    KERNELS(DTYPE_bf16, __nv_bfloat16, 128, 64, 128),
    KERNELS(DTYPE_bf16, __nv_bfloat16, 256, 64, 64),
    KERNELS(DTYPE_fp16, __half, 64, 128, 128),
    KERNELS(DTYPE_fp16, __half, 128, 64, 128),
    KERNELS(DTYPE_fp16, __half, 256, 64, 64),
};

/* On the device: work, entry, taken, tiles (ranges and bits of the mask). */
struct flash_backward {
    const struct kernels *kernels;
    int blocks, query_tiles;
    struct mask_tiles *tiles, shape; /* shape: the header of tiles */
    struct backward_work *work;
    struct backward_entry *entry;
    unsigned *taken;
    int work_count;
    struct attention_buffers bound;
    struct attention_gradients bound_gradients;
    struct backward_arguments arguments;
};

static const struct kernels *kernels_for(const struct attention_problem *problem) {
    for (size_t i = 0; i < ARRAY_LENGTH(kernels); i++)
        if (kernels[i].dtype == problem->dtype && problem->head_dim <= kernels[i].head_dim) return &kernels[i];
    return NULL;
}

const char *flash_backward_decline(const struct attention_problem *problem) {
    if (!kernels_for(problem) || problem->head_dim % VECTOR != 0)
        return "the backward flash kernel takes bf16 and fp16, and a head_dim of up to 256 that 8 divides";
    return attention_no_options(problem);
}

/* Parts of gradients.workspace, in bytes from its start. */
struct workspace {
    size_t shift, delta, query_sums, turn, turn_bytes, all;
};
static struct workspace workspace_of(const struct attention_problem *problem, const struct kernels *chosen) {
    int64_t of_head = (problem->queries + chosen->queries - 1) / chosen->queries;
    size_t tiles = (size_t)(problem->batch * problem->heads * of_head);
    size_t rows = tiles * (size_t)chosen->queries;
    struct workspace result = {};
    result.delta = rows * sizeof(float);
    result.query_sums = 2 * result.delta;
    result.turn = result.query_sums + rows * (size_t)chosen->head_dim * sizeof(float);
    result.turn_bytes = problem->deterministic ? tiles * 2 * sizeof(unsigned) : 0;
    result.all = result.turn + result.turn_bytes;
    return result;
}

void flash_backward_release(struct flash_backward *plan) {
    if (!plan) return;
    if (plan->tiles) mask_tiles_device_free(plan->tiles);
    cudaFree(plan->work);
    cudaFree(plan->entry);
    cudaFree(plan->taken);
    free(plan);
}

static bool upload(void **to, const void *from, size_t bytes, char *reason) {
    return !flash_failed(cudaMalloc(to, bytes), "the list of work", reason) &&
           !flash_failed(cudaMemcpy(*to, from, bytes, cudaMemcpyHostToDevice), "the list of work", reason);
}

static const void *function_of(const struct flash_backward *plan, const struct attention_problem *problem) {
    return problem->deterministic ? plan->kernels->ordered : plan->kernels->any_order;
}

/* The rest of prepare, with the mask's tiles. */
static bool prepare_plan(struct flash_backward *plan, const struct attention_problem *problem,
                         const struct mask_tiles *tiles, char *reason) {
    int device = 0, multiprocessors = 0;
    if (flash_failed(cudaGetDevice(&device), "cudaGetDevice", reason) ||
        flash_failed(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "attributes",
                     reason) ||
        flash_failed(cudaFuncSetAttribute(function_of(plan, problem), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          plan->kernels->shared_bytes),
                     "shared memory of the backward flash kernel", reason))
        return false;
    struct backward_plan lines;
    if (!backward_plan_new(&lines, problem, tiles, multiprocessors)) {
        snprintf(reason, REASON_SIZE, "out of host memory, or more tiles than the backward flash kernel counts");
        return false;
    }
    const unsigned zero[2] = {0, 0};
    plan->shape = *tiles;
    plan->query_tiles = (int)((problem->queries + tiles->tile_queries - 1) / tiles->tile_queries);
    plan->work_count = (int)lines.work_count;
    plan->blocks = plan->work_count < multiprocessors ? plan->work_count : multiprocessors;
    plan->tiles = mask_tiles_to_device(tiles, reason);
    bool done = plan->tiles &&
                upload((void **)&plan->work, lines.work, (size_t)lines.work_count * sizeof(*lines.work), reason) &&
                upload((void **)&plan->entry, lines.entry, (size_t)(lines.entry_count + 1) * sizeof(*lines.entry),
                       reason) &&
                upload((void **)&plan->taken, zero, sizeof(zero), reason);
    backward_plan_free(&lines);
    return done;
}

struct flash_backward *flash_backward_prepare(const struct attention_problem *problem, size_t *workspace,
                                              char *reason) {
    const struct kernels *chosen = kernels_for(problem);
    struct flash_backward *plan = (struct flash_backward *)calloc(1, sizeof(*plan));
    struct mask_tiles *tiles = mask_tiles_new(problem->mask, chosen->queries, chosen->keys, MASK_BY_KEY);
    bool done = false;
    if (plan && tiles) {
        plan->kernels = chosen;
        *workspace = workspace_of(problem, chosen).all;
        done = prepare_plan(plan, problem, tiles, reason);
    } else {
        snprintf(reason, REASON_SIZE, "out of host memory");
    }
    free(tiles);
    if (done) return plan;
    flash_backward_release(plan);
    return NULL;
}

static bool make_maps(struct backward_arguments *arguments, const struct kernels *chosen,
                      const struct attention_problem *p, const struct attention_buffers *buffers,
                      const struct attention_gradients *gradients, char *reason) {
    return flash_map(&arguments->query, p, buffers->query, p->query, p->queries, p->heads, chosen->queries, reason) &&
           flash_map(&arguments->output_gradient, p, gradients->output_gradient, p->output, p->queries, p->heads,
                     chosen->queries, reason) &&
           flash_map(&arguments->key, p, buffers->key, p->key, p->keys, p->kv_heads, chosen->keys, reason) &&
           flash_map(&arguments->value, p, buffers->value, p->value, p->keys, p->kv_heads, chosen->keys, reason) &&
           flash_map(&arguments->key_gradient, p, gradients->key_gradient, p->key, p->keys, p->kv_heads, chosen->keys,
                     reason) &&
           flash_map(&arguments->value_gradient, p, gradients->value_gradient, p->value, p->keys, p->kv_heads,
                     chosen->keys, reason);
}

static bool bind(struct flash_backward *plan, const struct attention_problem *problem,
                 const struct attention_buffers *buffers, const struct attention_gradients *gradients, char *reason) {
    struct backward_arguments *arguments = &plan->arguments;
    struct workspace parts = workspace_of(problem, plan->kernels);
    char *workspace = (char *)gradients->workspace;
    if (!make_maps(arguments, plan->kernels, problem, buffers, gradients, reason)) return false;
    arguments->shift = (float *)(workspace + parts.shift);
    arguments->delta = (float *)(workspace + parts.delta);
    arguments->query_sums = (float *)(workspace + parts.query_sums);
    arguments->turn = (unsigned *)(workspace + parts.turn);
    arguments->work = plan->work;
    arguments->entry = plan->entry;
    arguments->range = (const struct mask_tile_range *)((const char *)plan->tiles + plan->shape.range_at);
    arguments->bits = (const uint32_t *)((const char *)plan->tiles + plan->shape.bits_at);
    arguments->taken = plan->taken;
    arguments->work_count = plan->work_count;
    arguments->kv_heads = (int)problem->kv_heads;
    arguments->group = (int)(problem->heads / problem->kv_heads);
    arguments->query_tiles = plan->query_tiles;
    arguments->factor = problem->scale * (float)M_LOG2E;
    arguments->scale = problem->scale;
    plan->bound = *buffers;
    plan->bound_gradients = *gradients;
    return true;
}

static bool is_bound(const struct flash_backward *plan, const struct attention_buffers *buffers,
                     const struct attention_gradients *gradients) {
    const struct attention_gradients *bound = &plan->bound_gradients;
    return plan->bound.query == buffers->query && plan->bound.key == buffers->key &&
           plan->bound.value == buffers->value && bound->output_gradient == gradients->output_gradient &&
           bound->query_gradient == gradients->query_gradient && bound->key_gradient == gradients->key_gradient &&
           bound->value_gradient == gradients->value_gradient && bound->workspace == gradients->workspace;
}

bool flash_backward_run(struct flash_backward *plan, const struct attention_problem *problem,
                        const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                        struct CUstream_st *stream, char *reason) {
    if (!is_bound(plan, buffers, gradients) && !bind(plan, problem, buffers, gradients, reason)) return false;
    const struct kernels *chosen = plan->kernels;
    int64_t padded = (int64_t)plan->query_tiles * chosen->queries;
    struct rows rows = {.stride = problem->output,
                        .count = problem->batch * problem->heads * padded,
                        .queries = problem->queries,
                        .padded = padded,
                        .heads = (int)problem->heads,
                        .head_dim = (int)problem->head_dim,
                        .scale = problem->scale};
    chosen->before(&rows, &plan->arguments, buffers, gradients, stream);
    size_t turn_bytes = workspace_of(problem, chosen).turn_bytes;
    if (turn_bytes > 0 && flash_failed(cudaMemsetAsync(plan->arguments.turn, 0, turn_bytes, stream), "turns", reason))
        return false;
    void *arguments[] = {&plan->arguments};
    if (flash_failed(cudaLaunchKernel(function_of(plan, problem), dim3((unsigned)plan->blocks), dim3(3 * WGMMA_THREADS),
                                      arguments, (size_t)chosen->shared_bytes, stream),
                     "launch of the backward flash kernel", reason))
        return false;
    rows.stride = problem->query;
    chosen->after(&rows, &plan->arguments, gradients->query_gradient, stream);
    return !flash_failed(cudaGetLastError(), "launch of the backward flash kernels", reason);
}
