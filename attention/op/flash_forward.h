/* flash_forward.h: the forward flash kernel for Hopper, as a template of its tiles. softmax_flash.cu says what it is
   and why; flash_rows.h is what happens to the scores. */
#ifndef ATTENTION_FLASH_FORWARD_H
#define ATTENTION_FLASH_FORWARD_H

#include "flash_products.h"

#if WGMMA_BUILT
template <int COLUMNS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ void flash_take_columns(struct flash_share<FLASH_ARGUMENTS> &share,
                                                          struct mask_tile entry, int first, float (&correction)[2]) {
    float(&score)[COLUMNS / 2] = *(float(*)[COLUMNS / 2]) & share.score;
    if (mask_tile_form(entry) != MASK_TILE_FULL)
        flash_mask_words<COLUMNS, TILE_KEYS, flash_tiles<FLASH_ARGUMENTS>::QUERIES>(
            score, share.arguments, entry.where, share.row, first);
    flash_softmax<COLUMNS, flash_tiles<FLASH_ARGUMENTS>::KEEPS>(score, &share.rows, share.arguments->factor,
                                                                correction);
}

/* Scores that have come, of key tile `entry`, become exponentials. `last`: it is the query tile's last. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_take_scores(struct flash_share<FLASH_ARGUMENTS> &share,
                                                         struct mask_tile entry, bool last, float (&correction)[2]) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    wgmma_hold(share.score);
    flash_warp_arrive(&share.barriers->key_empty[share.stage]);
    if (last && tiles::QUERY_SLOTS == 1) flash_warp_arrive(&share.barriers->query_empty[0]);
    if (SPARSE && last && share.joins) flash_warp_arrive(&share.barriers->queries_used);
    if constexpr (SPARSE) {
        if (share.halves == 3)
            flash_take_columns<TILE_KEYS>(share, entry, 0, correction);
        else if (share.halves != 0)
            flash_take_columns<TILE_KEYS / 2>(share, entry, flash_first<TILE_KEYS>(share.halves), correction);
        else
            correction[0] = correction[1] = 1, share.rows.changed = !tiles::KEEPS;
    } else if constexpr (OPTIONS == FLASH_CLIP) {
        float factor = flash_take_options<TILE_KEYS, tiles::QUERIES>(share.score, share.arguments, share.head,
                                                                     share.first_query, share.row, entry);
        flash_clip<TILE_KEYS>(share.score, &share.rows, factor, &share.arguments->options);
    } else {
        if (OPTIONS)
            flash_change<TILE_KEYS>(share.score, share.arguments, share.head, share.first_query + share.row,
                                    entry.tile * TILE_KEYS);
        if (mask_tile_form(entry) != MASK_TILE_FULL) {
            if constexpr (tiles::ENDS_LATE)
                flash_mask_words<TILE_KEYS, TILE_KEYS, tiles::QUERIES>(share.score, share.arguments, entry.where,
                                                                       share.row, 0);
            else
                flash_mask<TILE_KEYS, tiles::QUERIES>(share.score, share.arguments, entry.where, share.row);
        }
        if constexpr (flash_format<element>::SCALED)
            flash_softmax_scaled<TILE_KEYS>(share.score, &share.rows,
                                            flash_scales_at<FLASH_ARGUMENTS>(share.barriers, share.count),
                                            &share.scaling, correction);
        else
            flash_softmax<TILE_KEYS, tiles::KEEPS>(share.score, &share.rows, OPTIONS ? 1 : share.arguments->factor,
                                                   correction);
    }
}

/* Exponentials become the next probabilities, where the product with those before them has ended. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_take_exponentials(struct flash_share<FLASH_ARGUMENTS> &share) {
    if constexpr (flash_format<element>::BY_TOKEN) {
        flash_take_tokens<TILE_KEYS>(share.score, share.probability, &share.rows,
                                     flash_scales_at<FLASH_ARGUMENTS>(share.barriers, share.count), share.correction);
        return;
    }
    flash_pack<element, TILE_KEYS>(share.probability, share.score);
    if constexpr (flash_format<element>::SCALED && !flash_format<element>::BY_TOKEN) {
        const struct flash_scales *scales = &share.barriers->scales[share.count % (2 * STAGES)];
        if (flash_add_up_scaled<TILE_KEYS>(share.score, &share.rows, scales, share.correction))
            flash_pack<element, TILE_KEYS>(share.probability, share.score);
    }
}

/* SPARSE: ends a query tile; nothing for this warpgroup was in it: zeros. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_clear(struct flash_share<FLASH_ARGUMENTS> &share) {
    if (!share.started) {
#pragma unroll
        for (int i = 0; i < HEAD_DIM / 2; i++) share.output[i] = 0;
    }
    share.started = false;
}

FLASH_TEMPLATE
static __device__ __forceinline__ struct mask_line flash_line_of(const struct flash_share<FLASH_ARGUMENTS> &share,
                                                                 const struct flash_work *work) {
    if constexpr (SPARSE) return share.barriers->line[work - share.barriers->work][share.parts_at / 2];
    return flash_line(share.arguments, work);
}

/* Is this query tile done again? */
FLASH_TEMPLATE
static __device__ __forceinline__ bool flash_is_careful(const struct flash_share<FLASH_ARGUMENTS> &share,
                                                        const struct flash_work *work) {
    if (!flash_tiles<FLASH_ARGUMENTS>::KEEPS) return true;
    return flash_uniform(share.barriers->careful[work - share.barriers->work]) != 0;
}

/* Of a new query tile: the state of its rows. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_start(struct flash_share<FLASH_ARGUMENTS> &share, int first_query,
                                                   int batch_head, bool careful) {
    share.rows = {{-INFINITY, -INFINITY}, {0, 0}, false, careful, false, false};
    if constexpr (flash_format<element>::BY_TOKEN)
        share.scaling = flash_scaling_of_tokens(share.arguments, first_query, batch_head, share.row);
    else if (flash_format<element>::SCALED)
        share.scaling = flash_scaling_of(share.arguments, first_query, batch_head, share.row);
    if (!OPTIONS) return;
    share.first_query = first_query;
    share.head = batch_head % share.arguments->heads;
    float maximum = first_maximum(&share.arguments->options, share.head);
    float sum = threadIdx.x % 4 == 0 ? first_sum(&share.arguments->options) : 0; /* four threads add up */
    share.rows = {{maximum, maximum}, {sum, sum}, false, true, false, false};
    if (OPTIONS == FLASH_CLIP) flash_recall(share.arguments, &share.rows, first_query + share.row, batch_head);
}

/* A query tile that ends, and the one after it. */
struct flash_done {
    struct flash_work work;
    struct mask_line line;
    int next_first_query, next_batch_head;
    bool next_careful;
};

FLASH_TEMPLATE
static __device__ __forceinline__ void flash_end_rows(struct flash_share<FLASH_ARGUMENTS> &share,
                                                      const struct flash_done &done) {
    if constexpr (SPARSE) {
        if (flash_joins(share.arguments, &done.work)) {
            barrier_wait(&share.barriers->earlier_full, share.joined++ & 1);
            flash_join_rows(share.arguments, &share.rows, done.line, done.work.batch_head, share.row, share.correction,
                            share.earlier);
            return;
        }
    }
    flash_finish<OPTIONS>(share.arguments, &share.rows, done.line, done.work.batch_head, share.row, share.correction);
    if (flash_format<element>::SCALED)
        share.correction[0] *= share.scaling.value, share.correction[1] *= share.scaling.value;
}

/* From the rows of the tile that ends to those of the next one, while products of both run. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_turn(struct flash_share<FLASH_ARGUMENTS> &share,
                                                  const struct flash_done &done) {
    flash_end_rows(share, done);
    flash_start(share, done.next_first_query, done.next_batch_head, done.next_careful);
}

/* The scores of the next key tile are made while the values of the one before are added up. BEGINS: it is the first of
   a query tile, whose sums start anew; what ends the one before is in output and correction, for flash_end. */
template <bool BEGINS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ void flash_advance(struct flash_share<FLASH_ARGUMENTS> &share, int at,
                                                     bool accumulate, bool last, const struct flash_done &done) {
    constexpr bool ENDS_LATE = flash_tiles<FLASH_ARGUMENTS>::ENDS_LATE;
    auto *barriers = share.barriers;
    float unused[2];
    share.count = flash_uniform(share.count + 1);
    unsigned phase = share.count / STAGES & 1, previous = (share.count - 1) % STAGES, held = share.halves;
    share.stage = share.count % STAGES;
    struct mask_tile entry;
    if constexpr (!SPARSE) entry = share.arguments->entry[at];
    barrier_wait(&barriers->key_full[share.stage], phase);
    if constexpr (SPARSE) entry = flash_look<BEGINS>(share);
    if (SPARSE && (held & share.halves) != 3) {
        flash_look_ahead(share, at, last);
        flash_multiply_halves(share);
        flash_add_halves(share, previous, held, share.started);
        if (BEGINS && ENDS_LATE) flash_turn(share, done);
        flash_take_scores(share, entry, last, BEGINS ? unused : share.correction);
        barrier_wait(&barriers->value_full[share.stage], phase);
    } else {
        flash_multiply_keys<TILE_KEYS>(share, share.score, 0);
        flash_multiply_values<TILE_KEYS>(share, previous, 0, SPARSE ? share.started : accumulate);
        flash_look_ahead(share, at, last);
        if (BEGINS && ENDS_LATE) flash_turn(share, done);
        wgmma_wait<1>();
        flash_take_scores(share, entry, last, BEGINS ? unused : share.correction);
        constexpr bool HOLDS = flash_format<element>::SCALED || OPTIONS == FLASH_CLIP;
        if constexpr (HOLDS) wgmma_hold(share.score); /* as flash_never: no sums are there */
        barrier_wait(&barriers->value_full[share.stage], HOLDS ? phase : phase ^ flash_never(&share.rows));
        wgmma_wait<0>();
    }
    wgmma_hold(share.output);
    if constexpr (SPARSE) {
        share.started |= held != 0;
        if (BEGINS) flash_clear(share);
    }
    flash_warp_arrive(&barriers->value_empty[previous]);
    if constexpr (!BEGINS) {
        if constexpr (flash_format<element>::SCALED) flash_take_exponentials(share);
        if (OPTIONS != FLASH_CLIP && share.rows.changed) {
#pragma unroll
            for (int i = 0; i < HEAD_DIM / 2; i++) share.output[i] *= share.correction[i / 2 % 2];
        }
        if constexpr (!flash_format<element>::SCALED) flash_take_exponentials(share);
    }
}

/* The first key tile of a query tile, with nothing to overlap. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_begin(struct flash_share<FLASH_ARGUMENTS> &share, int at, bool last) {
    share.count = flash_uniform(share.count);
    share.stage = share.count % STAGES;
    unsigned phase = share.count / STAGES & 1;
    struct mask_tile entry;
    if constexpr (!SPARSE) entry = share.arguments->entry[at];
    barrier_wait(&share.barriers->key_full[share.stage], phase);
    if constexpr (SPARSE) entry = flash_look<true>(share);
    flash_look_ahead(share, at, last);
    flash_multiply_halves(share);
    flash_take_scores(share, entry, last, share.correction);
    flash_take_exponentials(share);
    barrier_wait(&share.barriers->value_full[share.stage], phase);
}

/* Adds up the values of the last key tile. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_drain(struct flash_share<FLASH_ARGUMENTS> &share, bool accumulate) {
    flash_add_halves(share, share.stage, SPARSE ? share.halves : 3, SPARSE ? share.started : accumulate);
    wgmma_hold(share.output);
    if constexpr (SPARSE) {
        share.started |= share.halves != 0;
        flash_clear(share);
    }
    flash_warp_arrive(&share.barriers->value_empty[share.stage]);
}

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

FLASH_TEMPLATE
static __device__ void flash_compute(struct flash_share<FLASH_ARGUMENTS> &share, char *output) {
    constexpr int QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    constexpr bool ENDS_LATE = flash_tiles<FLASH_ARGUMENTS>::ENDS_LATE;
    auto *barriers = share.barriers;
    unsigned tile = 0, query_count = 0;
    const struct flash_work *work = flash_next(share, &tile);
    if (!work) return;
    int at = work->entry_end - 1, begin = work->entry_begin; /* the entry whose probabilities are held; the last one */
    struct flash_done done;
    flash_start(share, work->first_query, work->batch_head, flash_is_careful(share, work));
    share.joins = SPARSE && flash_joins(share.arguments, work);
    barrier_wait(&barriers->query_full[0], 0);
    flash_begin(share, at, at == begin);
    for (;;) {
        bool accumulate = false;
        for (; at > begin; at--, accumulate = true)
            flash_advance<false>(share, at - 1, accumulate, at - 1 == begin, done);
        done.work = *work;
        done.line = flash_line_of(share, work);
        if (flash_tiles<FLASH_ARGUMENTS>::KEEPS && share.rows.failed) barriers->failed[work - barriers->work] = true;
        barrier_arrive(&barriers->work_empty[work - barriers->work]);
        if (!ENDS_LATE) flash_end_rows(share, done);
        if (!CONTINUE) flash_drain(share, accumulate);
        work = flash_next(share, &tile);
        unsigned done_slot = query_count % QUERY_SLOTS;
        if (work) {
            at = work->entry_end - 1;
            begin = work->entry_begin;
            done.next_first_query = work->first_query;
            done.next_batch_head = work->batch_head;
            done.next_careful = flash_is_careful(share, work);
            query_count++;
            share.query_slot = flash_uniform(query_count % QUERY_SLOTS);
            share.joins = SPARSE && flash_joins(share.arguments, work);
            if (CONTINUE) {
                if (!ENDS_LATE) flash_start(share, work->first_query, work->batch_head, done.next_careful);
                barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
                flash_advance<true>(share, at, accumulate, at == begin, done);
            }
        } else if (CONTINUE) {
            flash_drain(share, accumulate);
        }
        if (!work && ENDS_LATE) flash_end_rows(share, done);
        flash_end(share, &done.work, output, done_slot);
        if (!work) return;
        if (CONTINUE) {
            flash_take_exponentials(share);
        } else {
            flash_start(share, work->first_query, work->batch_head, done.next_careful);
            barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
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
