/* flash_forward.h: the forward flash kernel for Hopper, as a template of its tiles. softmax_flash.cu says what it is
   and why; flash_rows.h is what happens to the scores, flash_advance.h what happens at a key tile.

   What a line, a query tile and its key tiles, costs at head_dim 128 in bf16, on an H200, 8k tokens, in a build that
   read the clock at every line: 2510 for a key tile of both warpgroups, 2048 of them products; 600 more where the tile
   has a mask; 2230 to turn to the next line, 1450 by flash_turn; and never less than 8000. A launch begins with 9000 to
   12000 until its first key tile is done, of which the first queries take 4900, from memory.

   NOTES. What was tried, all masks at 8k tokens, 16 heads of 128, bf16:
   - flash_turn (before: scores of the next line first, and the output left after its softmax): windows and
     uniform_blocks +2 %, full and causal masks +1 %, causal at 512 tokens +6 %. The values before the next line is
     known, both awaited before the output leaves: half of that.
   - left out, to see what they cost (results wrong): masks 1 to 5 %, of global tokens 10 %, the first maximum 1 %, the
     output 1 %; all three 5 % of a window, 2.6 % of the full mask.
   - a key tile's products of half its keys, where no more count for a warpgroup, overlapped with others as whole ones
     are, in plain plans: windows and documents -3 %, full and causal masks -4 %, global tokens +3 %. A loop of its own
     for tiles that count whole, without masks or maxima: -2 to -4 %; in the sparse kernel, for halves, +1 to +2 % for
     longformer and dilated_band, -2 to -5 % for strided and axial. Nearly all that the plain loop over key tiles holds
     besides costs it 4 %, even where it is never done.
   - masks passed over where all of 32 columns count: -3 to -6 %. The first maximum from a quarter of the scores: -3 to
     +1 %. Telling the compiler what is rare: nothing.
   - entries and runs asked for a key tile ahead: fixed +5 % (32k: +12 %), bigbird, dilated_band +5 %; plain plans
     nothing. Masks' ranges and bits fetched into the cache as well: fixed -3 %. Tensor maps fetched ahead: nothing.
   - stepped tiles in one box of 128 tokens instead of four: dilated_band +6 %.
   - long lines before all sections of heads: global_sliding +4 %, longformer, bigbird +1 %. */
#ifndef ATTENTION_FLASH_FORWARD_H
#define ATTENTION_FLASH_FORWARD_H

#include "flash_advance.h"

#if WGMMA_BUILT
/* The next tile that has keys, which stays where it is until work_empty; those without are done here. NULL: no more. */
FLASH_TEMPLATE
static __device__ __forceinline__ const struct flash_work *flash_next(struct flash_share<FLASH_ARGUMENTS> &share,
                                                                      unsigned *tile) {
    for (;;) {
        unsigned slot = *tile % FLASH_WORK_SLOTS;
        barrier_wait(&share.barriers->work_full[slot], *tile / FLASH_WORK_SLOTS & 1);
        const struct flash_work *work = &share.barriers->work[slot];
        (*tile)++;
        if (__shfl_sync(~0u, work->first_query, 0) < 0) return NULL;
        if (__shfl_sync(~0u, work->entry_end - work->entry_begin, 0) > 0) return work;
        flash_store_nothing<typename flash_format<element>::output, HEAD_DIM>(share.arguments, work,
                                                                              flash_line_of(share, work), share.row);
        barrier_arrive(&share.barriers->work_empty[slot]);
    }
}

/* A tile's output on its way to memory. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_end(struct flash_share<FLASH_ARGUMENTS> &share,
                                                 const struct flash_work *done, char *output, unsigned slot) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    if constexpr (tiles::QUERY_SLOTS == 1) {
        flash_store<typename flash_format<element>::output, HEAD_DIM>(share.arguments, share.output, share.correction,
                                                                      done, share.row);
    } else {
        bool joins = SPARSE && flash_joins(share.arguments, done);
        char *to = output + slot * tiles::QUERY_BYTES;
        if (joins)
            flash_leave_joined<typename flash_format<element>::output, HEAD_DIM, tiles::QUERIES>(
                share.output, share.correction, share.earlier, to);
        else
            flash_leave<typename flash_format<element>::output, HEAD_DIM, tiles::QUERIES>(share.output,
                                                                                           share.correction, to);
        flash_warp_arrive(&share.barriers->output_full[slot]);
    }
}

/* flash_turn after a key tile that counts in part: all products by themselves. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_turn_apart(struct flash_share<FLASH_ARGUMENTS> &share,
                                                        const struct flash_work *work, const struct flash_done &done,
                                                        bool accumulate, unsigned query_count, char *output,
                                                        unsigned slot) {
    constexpr int QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    flash_drain(share, accumulate);
    flash_end_rows(share, done);
    flash_end(share, &done.work, output, slot);
    flash_take_up(share, work);
    share.query_slot = flash_uniform(query_count % QUERY_SLOTS);
    share.count++;
    barrier_wait(&share.barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
    flash_begin(share, work->entry_end - 1, work->entry_end - 1 == work->entry_begin);
}

/* Where rows end late: ends a query tile, whose last probabilities are held, and begins the one of `work`. The last
   values are added up while rows end and the next queries and keys are waited for; the output leaves while the first
   scores come. query_count: query tiles before the new one. (Its place among the queries is set behind the product
   with the values: before it, the compiler makes descriptors anew in every thread for each product of the loop.) */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_turn(struct flash_share<FLASH_ARGUMENTS> &share,
                                                  const struct flash_work *work, const struct flash_done &done,
                                                  bool accumulate, unsigned query_count, char *output, unsigned slot) {
    constexpr int QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    auto *barriers = share.barriers;
    int at = work->entry_end - 1;
    bool last = at == work->entry_begin;
    unsigned held = share.count % STAGES;
    struct mask_tile entry;
    flash_multiply_values<TILE_KEYS>(share, held, 0, SPARSE ? share.started : accumulate);
    flash_end_rows(share, done);
    flash_take_up(share, work);
    share.query_slot = flash_uniform(query_count % QUERY_SLOTS);
    share.count = flash_uniform(share.count + 1);
    share.stage = share.count % STAGES;
    if constexpr (!SPARSE) entry = share.arguments->entry[at];
    barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
    barrier_wait(&barriers->key_full[share.stage], share.count / STAGES & 1);
    if constexpr (SPARSE) entry = flash_look<true>(share);
    if (SPARSE && share.halves != 3) {
        wgmma_wait<0>();
        wgmma_hold(share.output);
        flash_warp_arrive(&barriers->value_empty[held]);
        flash_look_ahead(share, at, last);
        flash_end(share, &done.work, output, slot);
        flash_multiply_halves(share);
    } else { /* products under way must not cross the end of a branch */
        flash_multiply_keys<TILE_KEYS>(share, share.score, 0);
        wgmma_wait<1>();
        wgmma_hold(share.output);
        flash_warp_arrive(&barriers->value_empty[held]);
        flash_look_ahead(share, at, last);
        flash_end(share, &done.work, output, slot);
        wgmma_wait<0>();
    }
    share.started = false;
    flash_take_scores(share, entry, last, share.correction);
    barrier_wait(&barriers->value_full[share.stage], share.count / STAGES & 1);
    flash_take_exponentials(share);
}

/* All query tiles that this block takes. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_compute(struct flash_share<FLASH_ARGUMENTS> &share, char *output) {
    constexpr int QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    constexpr bool ENDS_LATE = flash_tiles<FLASH_ARGUMENTS>::ENDS_LATE;
    auto *barriers = share.barriers;
    unsigned tile = 0, query_count = 0;
    const struct flash_work *work = flash_next(share, &tile);
    if (!work) return;
    int at = work->entry_end - 1, begin = work->entry_begin; /* the entry whose probabilities are held; the last one */
    struct flash_done done;
    flash_take_up(share, work);
    barrier_wait(&barriers->query_full[0], 0);
    flash_begin(share, at, at == begin);
    for (;;) {
        bool accumulate = false;
        for (; at > begin; at--, accumulate = true) flash_advance<false>(share, at - 1, accumulate, at - 1 == begin);
        done.work = *work;
        done.line = flash_line_of(share, work);
        if (flash_tiles<FLASH_ARGUMENTS>::KEEPS && share.rows.failed) barriers->failed[work - barriers->work] = true;
        barrier_arrive(&barriers->work_empty[work - barriers->work]);
        if (!ENDS_LATE) flash_end_rows(share, done);
        if (!CONTINUE) flash_drain(share, accumulate);
        work = flash_next(share, &tile);
        unsigned done_slot = query_count % QUERY_SLOTS;
        if constexpr (ENDS_LATE) {
            if (!work) {
                flash_drain(share, accumulate);
                flash_end_rows(share, done);
                flash_end(share, &done.work, output, done_slot);
                return;
            }
            query_count++;
            if (SPARSE && share.halves != 3)
                flash_turn_apart(share, work, done, accumulate, query_count, output, done_slot);
            else
                flash_turn(share, work, done, accumulate, query_count, output, done_slot);
            at = work->entry_end - 1;
            begin = work->entry_begin;
            continue;
        }
        unsigned query_phase = ++query_count / QUERY_SLOTS & 1;
        if (work) {
            at = work->entry_end - 1;
            begin = work->entry_begin;
            share.query_slot = flash_uniform(query_count % QUERY_SLOTS);
        } else if (CONTINUE) {
            flash_drain(share, accumulate);
        }
        if (CONTINUE && work) {
            flash_take_up(share, work);
            barrier_wait(&barriers->query_full[share.query_slot], query_phase);
            flash_advance<true>(share, at, accumulate, at == begin);
        }
        flash_end(share, &done.work, output, done_slot);
        if (!work) return;
        if (CONTINUE) {
            flash_take_exponentials(share);
        } else {
            flash_take_up(share, work);
            barrier_wait(&barriers->query_full[share.query_slot], query_phase);
            share.count++;
            flash_begin(share, at, at == begin);
        }
    }
}

FLASH_TEMPLATE static __device__ void flash_sum_rows(struct flash_share<FLASH_ARGUMENTS> &share); /* flash_clip.h */

FLASH_TEMPLATE
static __device__ __forceinline__ void flash_start_barriers(struct flash_barriers<STAGES> *barriers) {
    constexpr unsigned WARPS = WARPGROUPS * WGMMA_THREADS / WARP;
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    for (int i = 0; i < tiles::QUERY_SLOTS; i++) {
        barrier_start(&barriers->query_full[i]);
        barrier_start_for(&barriers->query_empty[i], tiles::DELIVERS ? 1 : WARPS);
        barrier_start_for(&barriers->output_full[i], WARPS);
    }
    for (int i = 0; i < STAGES; i++) {
        barrier_start(&barriers->key_full[i]);
        barrier_start(&barriers->value_full[i]);
        barrier_start_for(&barriers->key_empty[i], WARPS);
        barrier_start_for(&barriers->value_empty[i], WARPS);
    }
    barrier_start(&barriers->work_wanted);
    barrier_start(&barriers->earlier_full);
    barrier_start_for(&barriers->queries_used, WARPS);
    for (int i = 0; i < FLASH_WORK_SLOTS; i++) {
        barrier_start(&barriers->work_full[i]);
        /* every lane that reads it: also of those who fetch keys, deliver, and fetch what a first part left */
        constexpr unsigned OTHERS = (tiles::DELIVERS ? 2 : 1) * (SPARSE ? WARP : 1) + (SPARSE ? 1 : 0);
        barrier_start_for(&barriers->work_empty[i], WARPS * WARP + OTHERS);
        barriers->careful[i] = barriers->failed[i] = false;
    }
    barriers_started();
}
#endif

FLASH_TEMPLATE
static __global__ void __launch_bounds__((WARPGROUPS + 1) * WGMMA_THREADS, 1)
    flash_forward(const __grid_constant__ struct flash_arguments arguments) {
#if WGMMA_BUILT
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    extern __shared__ char dynamic[];
    char *query = dynamic + (-(uintptr_t)shared_address(dynamic) & (WGMMA_TILE_ALIGNMENT - 1));
    char *key = query + tiles::QUERY_SLOTS * tiles::QUERY_BYTES, *value = key + STAGES * tiles::KEY_BYTES;
    auto *barriers = (struct flash_barriers<STAGES> *)(value + STAGES * tiles::VALUE_BYTES);
    static_assert(sizeof(*barriers) <= WGMMA_TILE_ALIGNMENT, "FIXED_BYTES has room for them");
    if (threadIdx.x == 0) flash_start_barriers<FLASH_ARGUMENTS>(barriers);
    __syncthreads();
    constexpr int COMPUTING = WARPGROUPS * WGMMA_THREADS;
    if (threadIdx.x >= COMPUTING) {
        registers_give_back<(SPARSE ? 40 : WARPGROUPS == 3 ? 32 : 24)>();
        int thread = (int)threadIdx.x - COMPUTING, warp = thread / WARP;
        if (thread == 0) flash_fetch_queries<FLASH_ARGUMENTS>(&arguments, query, barriers);
        if (SPARSE ? warp == 1 : thread == WARP)
            flash_fetch_keys<FLASH_ARGUMENTS>(&arguments, key, value, barriers);
        if (tiles::DELIVERS && (SPARSE ? warp == 2 : thread == 2 * WARP))
            flash_deliver<FLASH_ARGUMENTS>(&arguments, query, barriers);
        if constexpr (SPARSE)
            if (thread == 3 * WARP) flash_fetch_earlier<FLASH_ARGUMENTS>(&arguments, query, barriers);
    } else {
        registers_take<(SPARSE ? 232 : WARPGROUPS == 3 ? 160 : 240)>();
        int warpgroup = __shfl_sync(~0u, (int)threadIdx.x / WGMMA_THREADS, 0);
        char *rows = query + warpgroup * WGMMA_M * CHUNK_BYTES;
        struct flash_share<FLASH_ARGUMENTS> share;
        share.arguments = &arguments;
        share.barriers = barriers;
        share.row = warpgroup * WGMMA_M + threadIdx.x % WGMMA_THREADS / WARP * 16 + threadIdx.x % WARP / 4;
        share.query_tile = (unsigned)wgmma_tile_descriptor(rows, 0);
        share.key_tile = (unsigned)wgmma_tile_descriptor(key, 0);
        share.value_tile = (unsigned)(flash_format<element>::SCALED
                                          ? wgmma_tile_descriptor(value, 0)
                                          : wgmma_transposed_descriptor(value, 0, TILE_KEYS * CHUNK_BYTES));
        share.query_slot = share.count = share.stage = share.halves = share.joined = 0;
        share.parts_at = 2 * warpgroup;
        share.started = false;
        if constexpr (OPTIONS == FLASH_LOG_SUM_EXP) flash_sum_rows(share);
        else flash_compute(share, rows);
    }
#else
    __trap();
#endif
}

#endif
