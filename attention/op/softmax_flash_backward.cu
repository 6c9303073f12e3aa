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
     round_sums      those sums, times scale, in the operands' format

   At head_dim 256 the sums of 64 keys fill the registers of two warpgroups, which then share the same keys (SPLIT in
   flash_backward_load.h). A head_dim below 64, 128 or 256 is treated as that, with zeros: 96 takes the time of 128.

   Tiles, of queries x keys; shared memory of the 227 KiB; registers of the 240 for sums, scores and slopes, query sums:
     head_dim 64     128 x 128   192 KiB    64 + 128 + 32
     head_dim 128     64 x 128   192 KiB   128 +  64 + 32
     head_dim 256     64 x  64   224 KiB   128 +  32 + 64

   A thread beside the warpgroups adds the query sums, which pass through shared memory, by the copy engine; at head_dim
   256, where there is no room for them, the warpgroups do so from registers.

   Heads that share keys: a block goes through all of them with a key tile, so that its sums stay in registers. Where it
   would ask for more than the cache holds (flash_backward_plan.c) each head is work of its own, and sums of keys are
   added up in memory, too.

   deterministic: the plan foretells which block is where when, and gives each addition its turn by that
   (flash_backward_turns.c); blocks then keep to their part of the plan and wait for their turns, by counters in memory.
   Someone can always go on as long as all blocks run at the same time, which a cooperative launch sees to.

   Floor: five products, 10 area head_dim FLOP, at the rate of dense 16-bit products; besides, 4 head_dim bytes for each
   query and key tile into the adders of the second-level cache, and 14 head_dim + 20 bytes a query for the small
   kernels. Operands in shared memory take as long to read as to multiply where 64 rows meet 64 columns: three of the
   five products at head_dim 128; where 64 meet 32, the scores and slopes at 256, half as long again.

   NOTES. What was tried, on an H200, bf16, 16k tokens, hidden 2048:
   - query sums by the copy engine from shared memory instead of vector additions from registers: +7 % at head_dim 128,
     nothing at 64; no room at 256.
   - scores of the next query tile in flight across iterations: the compiler then serializes all products (C7514), and
     without that it lacks registers (C7512) at head_dim 128.
   - query sums added by a thread of each warpgroup, for which the others wait, instead of one beside them: 3 and 1 %
     slower at head_dim 64 and 128, 8k.
   - deterministic, 8k, head_dim 64, 128, 256, in times of any order. Turns from the first key on, awaited by the
     warpgroups: 1.8, 1.8, 1.6 under full masks, 2.9, 2.7, 2.5 under causal ones. Turns as foretold: 1.6, 1.6, 1.4 and
     1.6, 1.7, 1.5. Awaited by the thread beside them, too: 1.0, 1.2, 1.1 and 1.1, 1.2, 1.2.
   - a __threadfence before the release that ends a turn: 7 to 16 % slower; a proxy fence after the copy engine has
     added, which implies one, 0 to 5 %. Waiting for the turn before the sums are there: nothing.
   - in order under full masks, key tiles that all start at the first query tile: 1 and 6 % slower at head_dim 64 and
     128 than each at a place of its own.
   - eight heads that share keys, causal, 8k, head_dim 64, 128, 256: apart 1.3, 1.8, 1.8 times as fast as together; in
     order, where blocks stay near each other, 0.9 times.
   - sections (flash_backward_plan.c) of 32 MiB: 2 to 3 % slower at head_dim 128 under causal masks of 8k and 16k than
     of 64, and of 128 MiB 0 to 1 %. But with 64 MiB causal masks of 512 took 8 to 11 % longer than before, full ones
     not: hence short lines keep to 32.
   - at head_dim 64 no register is to spare: one number more that lives through a step is spilled. The threads beside
     the warpgroups have 24: a copy of all of struct backward_work was too much for them.
   - racecheck follows an arrival at a barrier for the lane that arrives, not for those it met in a __syncwarp before:
     every lane arrives for itself. That takes 0, 2 and 2 to 3 % less time at head_dim 64, 128 and 256 besides. Rows'
     numbers copied by a tensor map are clean too, at the old time. */
#include "softmax_flash_backward.h"

#include <math.h>
#include <stdlib.h>

#include "flash_backward.h"
#include "flash_backward_ends.h"
#include "flash_backward_plan.h"
#include "flash_map.h"

template <typename element, int HEAD_DIM>
static void launch_before(const struct rows *rows, const struct backward_arguments *arguments,
                          const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                          cudaStream_t stream) {
    int64_t each = ROW_THREADS / (HEAD_DIM / VECTOR);
    prepare_rows<element, HEAD_DIM><<<(unsigned)((rows->count + each - 1) / each), ROW_THREADS, 0, stream>>>(
        *rows, (const element *)buffers->output, (const element *)gradients->output_gradient, buffers->log_sum_exp,
        (float *)arguments->shift, (float *)arguments->delta, arguments->query_sums);
}

template <typename element, int HEAD_DIM, int ROWS>
static void launch_round(const struct rows *rows, const float *sums, void *gradient, cudaStream_t stream) {
    int64_t items = rows->count * HEAD_DIM / 16;
    unsigned blocks = (unsigned)((items + ROW_THREADS - 1) / ROW_THREADS);
    round_sums<element, HEAD_DIM, ROWS><<<blocks, ROW_THREADS, 0, stream>>>(*rows, sums, (element *)gradient);
}

typedef void before_function(const struct rows *, const struct backward_arguments *, const struct attention_buffers *,
                             const struct attention_gradients *, cudaStream_t);
typedef void round_function(const struct rows *, const float *, void *, cudaStream_t);

/* The kernels of one format, for head_dim up to this one. */
struct kernels {
    enum dtype dtype;
    int head_dim, queries, keys, shared_bytes;
    const void *any_order, *ordered;
    before_function *before;
    round_function *round_queries, *round_keys;
};
#define KERNELS(dtype, element, head_dim, queries, keys)                                                               \
    {dtype, head_dim, queries, keys, backward_tiles<element, head_dim, queries, keys, false>::SHARED_BYTES,            \
     (const void *)flash_backward<element, head_dim, queries, keys, false>,                                            \
     (const void *)flash_backward<element, head_dim, queries, keys, true>,                                             \
     launch_before<element, head_dim>,                                                                                 \
     launch_round<element, head_dim, queries>,                                                                         \
     launch_round<element, head_dim, keys>}
static const struct kernels kernels[] = {
    KERNELS(DTYPE_bf16, __nv_bfloat16, 64, 128, 128),
    KERNELS(DTYPE_bf16, __nv_bfloat16, 128, 64, 128),
    KERNELS(DTYPE_bf16, __nv_bfloat16, 256, 64, 64),
    KERNELS(DTYPE_fp16, __half, 64, 128, 128),
    KERNELS(DTYPE_fp16, __half, 128, 64, 128),
    KERNELS(DTYPE_fp16, __half, 256, 64, 64),
};

/* On the device: work, entry, turn, taken, tiles (ranges and bits of the mask). */
struct flash_backward {
    const struct kernels *kernels;
    int blocks, query_tiles, key_tiles, parts;
    struct mask_tiles *tiles, shape; /* shape: the header of tiles */
    struct backward_work *work;
    struct backward_entry *entry;
    uint16_t *turn;
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

/* Parts of gradients.workspace, in bytes from its start; from key_sums on it starts as zeros. */
struct workspace {
    size_t shift, delta, query_sums, key_sums, value_sums, taken_queries, taken_keys, all;
};
static struct workspace workspace_of(const struct flash_backward *plan, const struct attention_problem *problem) {
    const struct kernels *chosen = plan->kernels;
    size_t tiles = (size_t)(problem->batch * problem->heads * plan->query_tiles);
    size_t key_tiles = plan->parts > 1 ? (size_t)(problem->batch * problem->kv_heads * plan->key_tiles) : 0;
    size_t rows = tiles * (size_t)chosen->queries, row_bytes = (size_t)chosen->head_dim * sizeof(float);
    struct workspace result = {};
    result.delta = rows * sizeof(float);
    result.query_sums = 2 * result.delta;
    result.key_sums = result.query_sums + rows * row_bytes;
    result.value_sums = result.key_sums + key_tiles * (size_t)chosen->keys * row_bytes;
    result.taken_queries = result.value_sums + key_tiles * (size_t)chosen->keys * row_bytes;
    result.taken_keys = result.taken_queries + (problem->deterministic ? tiles * sizeof(unsigned) : 0);
    result.all = result.taken_keys + (problem->deterministic ? key_tiles * 2 * sizeof(unsigned) : 0);
    return result;
}

void flash_backward_release(struct flash_backward *plan) {
    if (!plan) return;
    if (plan->tiles) mask_tiles_device_free(plan->tiles);
    cudaFree(plan->work);
    cudaFree(plan->entry);
    cudaFree(plan->turn);
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
    plan->key_tiles = tiles->lines;
    plan->parts = (int)lines.parts;
    plan->work_count = (int)lines.work_count;
    plan->blocks = plan->work_count < multiprocessors ? plan->work_count : multiprocessors;
    plan->tiles = mask_tiles_to_device(tiles, reason);
    bool done = plan->tiles &&
                upload((void **)&plan->work, lines.work, (size_t)lines.work_count * sizeof(*lines.work), reason) &&
                upload((void **)&plan->entry, lines.entry, (size_t)(lines.entry_count + 1) * sizeof(*lines.entry),
                       reason) &&
                (!lines.turn || upload((void **)&plan->turn, lines.turn,
                                       (size_t)(lines.turn_count + 1) * sizeof(*lines.turn), reason)) &&
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
        done = prepare_plan(plan, problem, tiles, reason);
        *workspace = workspace_of(plan, problem).all;
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
    struct workspace parts = workspace_of(plan, problem);
    char *workspace = (char *)gradients->workspace;
    if (!make_maps(arguments, plan->kernels, problem, buffers, gradients, reason)) return false;
    arguments->shift = (float *)(workspace + parts.shift);
    arguments->delta = (float *)(workspace + parts.delta);
    arguments->query_sums = (float *)(workspace + parts.query_sums);
    arguments->key_sums = plan->parts > 1 ? (float *)(workspace + parts.key_sums) : NULL;
    arguments->value_sums = plan->parts > 1 ? (float *)(workspace + parts.value_sums) : NULL;
    arguments->taken_queries = (unsigned *)(workspace + parts.taken_queries);
    arguments->taken_keys = (unsigned *)(workspace + parts.taken_keys);
    arguments->work = plan->work;
    arguments->entry = plan->entry;
    arguments->turn = plan->turn;
    arguments->range = (const struct mask_tile_range *)((const char *)plan->tiles + plan->shape.range_at);
    arguments->bits = (const uint32_t *)((const char *)plan->tiles + plan->shape.bits_at);
    arguments->taken = plan->taken;
    arguments->work_count = plan->work_count;
    arguments->kv_heads = (int)problem->kv_heads;
    arguments->group = (int)(problem->heads / problem->kv_heads);
    arguments->query_tiles = plan->query_tiles;
    arguments->key_tiles = plan->key_tiles;
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

/* Blocks that wait for each other's turns have to run at the same time, which only a cooperative launch promises. */
static bool launch(struct flash_backward *plan, const struct attention_problem *problem, cudaStream_t stream,
                   char *reason) {
    void *arguments[] = {&plan->arguments};
    dim3 blocks((unsigned)plan->blocks), threads(3 * WGMMA_THREADS);
    const void *function = function_of(plan, problem);
    size_t shared_bytes = (size_t)plan->kernels->shared_bytes;
    cudaError_t status =
        problem->deterministic
            ? cudaLaunchCooperativeKernel(function, blocks, threads, arguments, shared_bytes, stream)
            : cudaLaunchKernel(function, blocks, threads, arguments, shared_bytes, stream);
    return !flash_failed(status, "launch of the backward flash kernel", reason);
}

/* The gradients whose sums are in memory. rows: of queries. */
static void round_all(const struct flash_backward *plan, const struct attention_problem *problem, struct rows *rows,
                      const struct attention_gradients *gradients, cudaStream_t stream) {
    const struct kernels *chosen = plan->kernels;
    rows->stride = problem->query;
    chosen->round_queries(rows, plan->arguments.query_sums, gradients->query_gradient, stream);
    if (plan->parts == 1) return;
    struct rows keys = {.stride = problem->key,
                        .queries = problem->keys,
                        .padded = (int64_t)plan->key_tiles * chosen->keys,
                        .heads = (int)problem->kv_heads,
                        .head_dim = rows->head_dim,
                        .scale = problem->scale};
    keys.count = problem->batch * problem->kv_heads * keys.padded;
    chosen->round_keys(&keys, plan->arguments.key_sums, gradients->key_gradient, stream);
    keys.stride = problem->value;
    keys.scale = 1;
    chosen->round_keys(&keys, plan->arguments.value_sums, gradients->value_gradient, stream);
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
    struct workspace parts = workspace_of(plan, problem);
    size_t zeros = parts.all - parts.key_sums;
    if (zeros > 0 && flash_failed(cudaMemsetAsync((char *)gradients->workspace + parts.key_sums, 0, zeros, stream),
                                  "zeros of the backward flash kernel", reason))
        return false;
    if (!launch(plan, problem, stream, reason)) return false;
    round_all(plan, problem, &rows, gradients, stream);
    return !flash_failed(cudaGetLastError(), "launch of the backward flash kernels", reason);
}
