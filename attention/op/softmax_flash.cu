/* softmax_flash.cu: softmax attention as fast as Hopper lets it be: one kernel in which copies, matrix products and
   softmax run at the same time (flash_forward.h), after FlashAttention-3 (arXiv 2407.08608). bf16 and fp16, every mask,
   the options of score_options.h (clipping: softmax_flash_clipped.cu); and fp8 (e4m3), every mask, without options: as
   flash with scales by block, as flash_token with scales by token.

   A block stays on its multiprocessor and takes query tiles from a list until it is empty. One warp fetches work and
   queries, one keys and values into rings of shared memory, one writes finished tiles; two or three warpgroups
   compute, each on 64 queries with everything in registers:
     scores          query key^T, both operands in shared memory, issued for the next key tile ..
     output          .. just before the product with the values of the tile before, whose probabilities are in registers
     online softmax  of the next tile, while that product runs
   A row's largest score is searched for in the first key tile in which the row sees something. That maximum stays:
   what comes later may be above it, so that no exponential waits for the largest score of its tile, and no output is
   corrected for it. Sums that are made anyway show when probabilities grow towards the end of their format; then the
   maximum rises by a power of two, and what it has been taken off is corrected. Above 2^120 the scores are gone: the
   block does the query tile again, with care, that is with a search in every key tile. Kernels with options always do.
   The host makes the list (flash_work.c): a plan of tiles (mask/tiles.h) by query tile, and the order. Where all lines
   of the plan are equally long, heads follow each other, so that the memory is asked at an even rate; else the dearest
   lines come first, within sections of heads whose keys and values fit in the second-level cache together. Masks that
   scatter what they allow get gathered tiles at head_dim 128, and the kernel for them (SPARSE), in which a warpgroup
   also leaves out the halves of a key tile that hold nothing for its rows; masks with a stride in two parts, which
   flash_join.h puts together.

   Floor: 4 area head_dim FLOP at the rate of dense 16-bit products; and an exponential a pair at 16 a clock and
   multiprocessor, which takes as long as the products at head_dim 64 and half as long at 128.

   fp8: operands with a scale for each 64 tokens of a head, an output in bf16. Two kernels: one turns the values into
   tiles (flash_values.cu), then this one with other tiles and products (flash_fp8.h). The scales of queries and keys
   go into the factor of a score, those of values into the exponent of a probability (flash_scales.h): none costs an
   operation for each pair. Where each token has one, keys and values cost a multiplication each (flash_fp8_token.h).
   The output is summed in the matrix units, which keep about 14 bits: 0.1 to 0.2 % of it are
   lost over 8k keys, 0.4 % over 16k at most, beside the 2.6 % that rounding a probability to e4m3 makes.
   Floor at head_dim 128, for 64 queries and 192 keys: 768 clocks of products (8192 FLOP a clock), and as many of
   exponentials; conversions to e4m3 take more. Beside products of another warp every instruction is slower, conversions
   most. As in bf16, products and softmax take nearly the sum of their times.

   NOTES (of fp8: flash_fp8.h). What was tried, on an H200, bf16, 16k tokens, hidden 2048:
   - scores of the next query tile during the last values of this one (CONTINUE): +3 % at 512 keys, head_dim 128; at
     head_dim 64 with three warpgroups it costs registers, and 7 %.
   - output through stmatrix and the copy engine, work fetched ahead by a thread of its own: +10 % at 512 keys.
   - sections of few heads instead of longest first: +5 % for full masks at 512 .. 2k, -5 % for causal ones.
   - warpgroups taking turns at the tensor cores (named barriers): less than 1 % either way.
   - key tiles of 176 at head_dim 128: +2 % from 8k on, -10 % at 512; of 64 at head_dim 256: +5 % at 512, -3 to -11 %
     from 4k.
   - three warpgroups and key tiles of 64 .. 80 at head_dim 128: -5 to -15 %; two and key tiles of 64: -19 %.
   - maxima that stay (before: the largest score so far, output corrected in every tile): full and causal masks, 8k: +6
     to +12 %, most of it at head_dim 128; 2k: +3 to +10 %; 512: -1 to +7 %; gathered tiles +2 to +4 % at 8k.
   And with all masks at 8k tokens, 16 heads, head_dim 128:
   - work taken when the query tile before is nearly fetched, not when it starts: causal +3.5 %, its documents +14 %;
     taken four query tiles ahead: causal_blockwise -22 %.
   - leaving out halves of tiles in plain plans: windows -4 %, documents -2 %, global tokens +2 %. Products of a half do
     not overlap with anything, for want of registers, and the time of a tile is a chain of waits rather than products.
   - gathered tiles in boxes of eight keys: fixed 2.3 times, dilated_band 1.05 times as fast as plain ones; in boxes of
     32: 3.4 and 1.6 times.
   - rows ended while the next products run, masks as bits: +1 % each for windows and documents. */
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "flash_kernel.h"
#include "flash_map.h"
#include "flash_work.h"
#include "flash_values.h"
#include "softmax_flash_backward.h"

static const struct flash_kernel kernels[] = {
    FLASH_KERNEL(64, 128, 3, 4, false, FLASH_NO_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(64, 128, 2, 4, false, FLASH_NO_OPTIONS, false, 0),
    FLASH_KERNEL(96, 128, 2, 2, true, FLASH_NO_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(128, 128, 2, 2, true, FLASH_NO_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(128, 128, 2, 2, true, FLASH_NO_OPTIONS, true, FLASH_ANY),
    FLASH_KERNEL(192, 96, 2, 2, true, FLASH_NO_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(256, 80, 2, 2, true, FLASH_NO_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(256, 64, 2, 2, true, FLASH_NO_OPTIONS, false, 8),
    FLASH_KERNEL(64, 128, 2, 4, false, FLASH_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(96, 128, 2, 2, true, FLASH_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(128, 128, 2, 2, true, FLASH_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(192, 96, 2, 2, true, FLASH_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL(256, 80, 2, 2, true, FLASH_OPTIONS, false, FLASH_ANY),
    FLASH_KERNEL_FP8(64, 128, 3, 4, false), FLASH_KERNEL_FP8(96, 128, 2, 2, true),
    FLASH_KERNEL_FP8(128, 192, 2, 3, true), FLASH_KERNEL_FP8(192, 128, 2, 2, true),
    FLASH_KERNEL_FP8(256, 128, 2, 2, true),
};

/* Counters of a launch: those of flash_arguments.taken, and finished. */
enum { TAKEN = 3, COUNTERS };
/* What prepare leaves for forward; the maps are those of the operands that forward saw last. */
struct detail {
    const struct flash_kernel *kernel, *before; /* before: of the first of two walks, or NULL */
    struct mask_tiles *tiles; /* on the device, as work and taken */
    struct mask_tiles shape;  /* its header */
    struct flash_work *work;
    unsigned *taken;
    int work_count, blocks;
    struct attention_buffers bound;
    struct flash_arguments arguments;
    struct flash_backward *backward; /* NULL: the problem asks for none */
};

static const void *function_of(const struct flash_kernel *kernel, const struct attention_problem *problem) {
    if (problem->dtype == DTYPE_fp8_e4m3) return problem->scale_tokens == 1 ? kernel->fp8_token : kernel->fp8;
    return problem->dtype == DTYPE_bf16 ? kernel->bf16 : kernel->fp16;
}

static bool has_options(const struct attention_problem *problem) {
    return attention_no_options(problem) != NULL;
}

static bool is_clipped(const struct attention_problem *problem) {
    return problem->options.clip_high > 0;
}

/* few: the one for such plans, sparse: the one that leaves things out; NULL where there is none. */
static const struct flash_kernel *kernel_for(const struct attention_problem *problem, bool few, bool sparse) {
    if (is_clipped(problem)) return few || sparse ? NULL : flash_clipped_kernel(problem->head_dim, FLASH_CLIP);
    enum flash_options options = has_options(problem) ? FLASH_OPTIONS : FLASH_NO_OPTIONS;
    for (size_t i = 0; i < ARRAY_LENGTH(kernels); i++)
        if (kernels[i].head_dim == problem->head_dim && kernels[i].options == options &&
            kernels[i].sparse == sparse && (kernels[i].few != FLASH_ANY) == few &&
            function_of(&kernels[i], problem))
            return &kernels[i];
    return NULL;
}

static bool in_vectors(enum dtype dtype, struct attention_strides strides) {
    int64_t elements = 16 / (int64_t)dtype_size(dtype);
    return strides.batch % elements == 0 && strides.head % elements == 0 && strides.row % elements == 0;
}

static const char *decline_fp8(const struct attention_problem *problem) {
    if (problem->backward) return "the flash kernel has no gradients in fp8";
    if (problem->keys > (1 << 22)) return "the flash kernel takes up to 4M keys in fp8";
    if (problem->scale_tokens != 1 && problem->scale_tokens != ATTENTION_SCALE_BLOCK)
        return "the flash kernel takes scales of 64 tokens, or of one";
    return has_options(problem) ? "the flash kernel knows no options in fp8" : NULL;
}

static const char *decline(const struct attention_problem *problem) {
    bool fp8 = problem->dtype == DTYPE_fp8_e4m3;
    if (problem->dtype != DTYPE_bf16 && problem->dtype != DTYPE_fp16 && !fp8)
        return "the flash kernel takes bf16, fp16 and fp8_e4m3";
    if (fp8 && decline_fp8(problem)) return decline_fp8(problem);
    if (!kernel_for(problem, false, false)) return "the flash kernel takes a head_dim of 64, 96, 128, 192 or 256";
    if (!(problem->scale > 0)) return "the flash kernel wants a scale above 0";
    if (!in_vectors(problem->dtype, problem->query) || !in_vectors(problem->dtype, problem->key) ||
        !in_vectors(problem->dtype, problem->value) ||
        !in_vectors(attention_output_dtype(problem->dtype), problem->output))
        return "the flash kernel wants strides that are multiples of 16 bytes";
    if (problem->batch * problem->heads > INT32_MAX / 2 || problem->queries > INT32_MAX / 2 ||
        problem->keys > INT32_MAX / 2)
        return "the flash kernel counts heads and tokens in 31 bits";
    if (problem->backward && flash_backward_decline(problem)) return flash_backward_decline(problem);
    return problem->backward ? attention_no_options(problem) : NULL;
}

/* Is the plan one for `kernel`, which has smaller tiles? A fifth of the entries is partial of a causal mask of 1024
   queries. */
static bool is_for(const struct flash_kernel *kernel, const struct mask_tiles *tiles) {
    int64_t lines = (int64_t)tiles->heads * tiles->lines, partial = tiles->entry_count - tiles->full_count;
    return partial * 5 > tiles->entry_count || tiles->entry_count <= kernel->few * lines;
}

static void release(struct attention_plan *plan) {
    struct detail *detail = (struct detail *)plan->detail;
    plan->detail = NULL;
    if (!detail) return;
    if (detail->tiles) mask_tiles_device_free(detail->tiles);
    cudaFree(detail->work);
    cudaFree(detail->taken);
    flash_backward_release(detail->backward);
    free(detail);
}

static bool upload_work(struct detail *detail, const struct flash_work *work, char *reason) {
    size_t bytes = (size_t)detail->work_count * sizeof(*work);
    return !flash_failed(cudaMalloc(&detail->work, bytes), "the list of work", reason) &&
           !flash_failed(cudaMemcpy(detail->work, work, bytes, cudaMemcpyHostToDevice), "the list of work", reason) &&
           !flash_failed(cudaMalloc(&detail->taken, COUNTERS * sizeof(unsigned)), "the counters", reason) &&
           !flash_failed(cudaMemset(detail->taken, 0, COUNTERS * sizeof(unsigned)), "the counters", reason);
}

/* The rest of prepare, once there is a plan for the chosen kernel. */
static bool prepare_work(const struct attention_problem *problem, struct detail *detail,
                         const struct mask_tiles *tiles, char *reason) {
    int device = 0, multiprocessors = 0;
    if (flash_failed(cudaGetDevice(&device), "cudaGetDevice", reason)) return false;
    if (flash_failed(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "attributes",
                     reason))
        return false;
    int64_t count = problem->batch * problem->heads * tiles->lines;
    if (count > INT32_MAX / 2) {
        snprintf(reason, REASON_SIZE, "%lld query tiles are more than the flash kernel counts", (long long)count);
        return false;
    }
    detail->shape = *tiles;
    detail->work_count = (int)count;
    detail->blocks = count < multiprocessors ? (int)count : multiprocessors;
    detail->tiles = mask_tiles_to_device(tiles, reason);
    if (!detail->tiles) return false;
    struct flash_work *work = flash_work_list(problem, tiles, detail->kernel->sparse, multiprocessors);
    if (!work) snprintf(reason, REASON_SIZE, "out of host memory");
    bool done = work && upload_work(detail, work, reason);
    free(work);
    return done;
}

/* The plan for the problem, and which kernel walks it. NULL: out of memory. */
static struct mask_tiles *plan_tiles(const struct attention_problem *problem, const struct flash_kernel **kernel) {
    const struct flash_kernel *usual = kernel_for(problem, false, false), *smaller = kernel_for(problem, true, false);
    const struct flash_kernel *sparse_kernel = kernel_for(problem, false, true);
    bool sparse = sparse_kernel != NULL, never = false;
    struct mask_tiles *tiles = flash_work_tiles(problem, usual->queries, usual->keys, &sparse);
    *kernel = sparse ? sparse_kernel : usual;
    if (!tiles || sparse || !smaller || !is_for(smaller, tiles)) return tiles;
    free(tiles);
    *kernel = smaller;
    return flash_work_tiles(problem, smaller->queries, smaller->keys, &never);
}

static bool take_shared_memory(const struct attention_problem *problem, const struct flash_kernel *kernel,
                               char *reason) {
    return !flash_failed(cudaFuncSetAttribute(function_of(kernel, problem),
                                              cudaFuncAttributeMaxDynamicSharedMemorySize, kernel->shared_bytes),
                         "shared memory of the flash kernel", reason);
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    const struct flash_kernel *kernel;
    const char *missing = wgmma_missing();
    plan->workspace = 0;
    if (missing) {
        snprintf(reason, REASON_SIZE, "the flash kernel %s", missing);
        return false;
    }
    struct detail *detail = (struct detail *)calloc(1, sizeof(*detail));
    struct mask_tiles *tiles = plan_tiles(problem, &kernel);
    if (!detail || !tiles) {
        snprintf(reason, REASON_SIZE, "out of host memory");
        free(detail), free(tiles);
        return false;
    }
    plan->detail = detail;
    detail->kernel = kernel;
    if (problem->dtype == DTYPE_fp8_e4m3) plan->workspace = flash_values_layout(problem, kernel->keys).bytes;
    if (is_clipped(problem)) detail->before = flash_clipped_kernel(problem->head_dim, FLASH_LOG_SUM_EXP);
    bool done = take_shared_memory(problem, kernel, reason) &&
                (!detail->before || take_shared_memory(problem, detail->before, reason)) &&
                prepare_work(problem, detail, tiles, reason);
    free(tiles);
    if (done && problem->backward) {
        detail->backward = flash_backward_prepare(problem, &plan->backward_workspace, reason);
        done = detail->backward != NULL;
    }
    if (!done) release(plan);
    return done;
}

/* What gathered tiles need beside the others. */
static bool bind_gathered(const struct attention_problem *problem, const struct detail *detail,
                          const struct attention_buffers *buffers, struct flash_arguments *arguments, char *reason) {
    const struct attention_problem *p = problem;
    const int box_rows[FLASH_BOXES] = {MASK_TILE_RUN, MASK_TILE_RUN * (int)FLASH_RUNS_TOGETHER, detail->kernel->keys};
    int64_t step = detail->shape.step;
    arguments->step = (int)step;
    arguments->line = (const struct mask_line *)((const char *)detail->tiles + detail->shape.line_at);
    arguments->run = (const int32_t *)((const char *)detail->tiles + detail->shape.run_at);
    arguments->query_row = (int)p->query.row;
    arguments->key_row = (int)p->key.row;
    arguments->value_row = (int)p->value.row;
    for (int i = 0; i < FLASH_BOXES; i++) {
        struct flash_boxes *boxes = &arguments->boxes[i];
        int rows = box_rows[i];
        if (!flash_map(&boxes->key, p, buffers->key, p->key, p->keys, p->kv_heads, rows, reason) ||
            !flash_map(&boxes->value, p, buffers->value, p->value, p->keys, p->kv_heads, rows, reason) ||
            !flash_map_stepped(&boxes->key_stepped, p, buffers->key, p->key, p->keys, p->kv_heads, rows, step,
                               reason) ||
            !flash_map_stepped(&boxes->value_stepped, p, buffers->value, p->value, p->keys, p->kv_heads, rows, step,
                               reason))
            return false;
    }
    if (detail->shape.joins_from < detail->shape.lines) {
        arguments->joins_from = detail->shape.joins_from;
        arguments->first_count = (int)(p->batch * p->heads * detail->shape.joins_from);
        arguments->finished = (int *)detail->taken + TAKEN;
    }
    int half = detail->kernel->queries / 2;
    return flash_map_apart(arguments->query_apart, p, p->dtype, buffers->query, p->query, p->queries, p->heads, half,
                           step, reason) &&
           flash_map_apart(arguments->output_apart, p, p->dtype, buffers->output, p->output, p->queries, p->heads, half,
                           step, reason);
}

static bool bind_maps(const struct attention_problem *problem, const struct flash_kernel *kernel,
                      const struct attention_buffers *buffers, struct flash_arguments *arguments, char *reason) {
    return flash_map(&arguments->query, problem, buffers->query, problem->query, problem->queries, problem->heads,
                     kernel->queries, reason) &&
           flash_map(&arguments->key, problem, buffers->key, problem->key, problem->keys, problem->kv_heads,
                     kernel->keys, reason) &&
           flash_map(&arguments->value, problem, buffers->value, problem->value, problem->keys, problem->kv_heads,
                     kernel->keys, reason) &&
           flash_map_of(&arguments->output_map, problem, attention_output_dtype(problem->dtype), buffers->output,
                        problem->output, problem->queries, problem->heads, kernel->queries, 1, 1, reason);
}

/* What fp8 has besides; values come through value_tiles, not through their map. */
static void bind_fp8(const struct attention_problem *problem, const struct flash_kernel *kernel,
                     const struct attention_buffers *buffers, struct flash_arguments *arguments) {
    struct flash_values_layout layout = flash_values_layout(problem, kernel->keys);
    arguments->value_tiles = (const char *)buffers->workspace;
    arguments->scales = (const char *)buffers->workspace + layout.scales_at;
    arguments->query_scale = buffers->query_scale;
    arguments->key_tiles = layout.tiles;
    arguments->query_blocks = (int)attention_scale_blocks(problem, problem->queries);
}

static bool bind(const struct attention_problem *problem, struct detail *detail,
                 const struct attention_buffers *buffers, char *reason) {
    const struct flash_kernel *kernel = detail->kernel;
    struct flash_arguments *arguments = &detail->arguments;
    *arguments = (struct flash_arguments){};
    arguments->joins_from = INT32_MAX;
    if (!bind_maps(problem, kernel, buffers, arguments, reason)) return false;
    if (detail->shape.step > 0 && !bind_gathered(problem, detail, buffers, arguments, reason)) return false;
    if (problem->dtype == DTYPE_fp8_e4m3) bind_fp8(problem, kernel, buffers, arguments);
    arguments->output = buffers->output;
    arguments->log_sum_exp = buffers->log_sum_exp;
    arguments->output_stride = problem->output;
    arguments->work = detail->work;
    arguments->entry = (const struct mask_tile *)((const char *)detail->tiles + detail->shape.entry_at);
    arguments->range = (const struct mask_tile_range *)((const char *)detail->tiles + detail->shape.range_at);
    arguments->bits = (const uint32_t *)((const char *)detail->tiles + detail->shape.bits_at);
    arguments->taken = detail->taken;
    arguments->work_count = detail->work_count;
    arguments->queries = (int)problem->queries;
    arguments->heads = (int)problem->heads;
    arguments->group = (int)(problem->heads / problem->kv_heads);
    arguments->factor = problem->scale * (float)M_LOG2E;
    arguments->options = score_options_of(problem, buffers);
    detail->bound = *buffers;
    return true;
}

static bool is_bound(const struct detail *detail, const struct attention_buffers *buffers) {
    const struct attention_buffers *bound = &detail->bound;
    return bound->query == buffers->query && bound->key == buffers->key && bound->value == buffers->value &&
           bound->output == buffers->output && bound->log_sum_exp == buffers->log_sum_exp &&
           bound->sink == buffers->sink && bound->gate == buffers->gate && bound->workspace == buffers->workspace &&
           bound->query_scale == buffers->query_scale;
}

static bool launch(const struct attention_problem *problem, struct detail *detail, const struct flash_kernel *kernel,
                   struct CUstream_st *stream, char *reason) {
    void *arguments[] = {&detail->arguments};
    return !flash_failed(cudaLaunchKernel(function_of(kernel, problem), dim3((unsigned)detail->blocks),
                                          dim3((unsigned)kernel->threads), arguments, (size_t)kernel->shared_bytes,
                                          stream),
                         "launch of the flash kernel", reason);
}

static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    struct detail *detail = (struct detail *)plan->detail;
    if (!is_bound(detail, buffers) && !bind(problem, detail, buffers, reason)) return false;
    if (problem->dtype == DTYPE_fp8_e4m3 && !flash_values_run(problem, detail->kernel->keys, buffers, stream, reason))
        return false;
    return (!detail->before || launch(problem, detail, detail->before, stream, reason)) &&
           launch(problem, detail, detail->kernel, stream, reason);
}

static bool backward(const struct attention_problem *problem, const struct attention_plan *plan,
                     const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                     struct CUstream_st *stream, char *reason) {
    const struct detail *detail = (const struct detail *)plan->detail;
    return flash_backward_run(detail->backward, problem, buffers, gradients, stream, reason);
}

extern "C" const struct attention_operator softmax_flash = {.name = "flash",
                                                            .backend = "cuda",
                                                            .place = PLACE_DEVICE,
                                                            .decline = decline,
                                                            .prepare = prepare,
                                                            .forward = forward,
                                                            .release = release,
                                                            .backward = backward};

static const char *decline_token(const struct attention_problem *problem) {
    if (problem->dtype != DTYPE_fp8_e4m3 || problem->scale_tokens != 1)
        return "flash_token takes fp8_e4m3 with a scale for each token";
    return decline(problem);
}

extern "C" const struct attention_operator softmax_flash_token = {.name = "flash_token",
                                                                  .backend = "cuda",
                                                                  .place = PLACE_DEVICE,
                                                                  .decline = decline_token,
                                                                  .prepare = prepare,
                                                                  .forward = forward,
                                                                  .release = release};
