/* flash_advance.h: a warpgroup of the forward flash kernel at one key tile: scores, softmax, and the values of the tile
   before. Part of flash_forward.h. */
#ifndef ATTENTION_FLASH_ADVANCE_H
#define ATTENTION_FLASH_ADVANCE_H

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
    /* All lanes have read the scales of earlier tiles, which racecheck takes from no __syncwarp. That each arrives for
       itself is as fast within 1 %. */
    if (flash_format<element>::SCALED) named_barrier(1 + (int)threadIdx.x / WARP, WARP);
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
    } else {
        flash_pack<element, TILE_KEYS>(share.probability, share.score);
        if constexpr (flash_format<element>::SCALED)
            if (flash_add_up_scaled<TILE_KEYS>(share.score, &share.rows,
                                               flash_scales_at<FLASH_ARGUMENTS>(share.barriers, share.count),
                                               share.correction))
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
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_take_up(struct flash_share<FLASH_ARGUMENTS> &share,
                                                     const struct flash_work *work) {
    flash_start(share, work->first_query, work->batch_head, flash_is_careful(share, work));
    share.joins = SPARSE && flash_joins(share.arguments, work);
}

/* A query tile that ends. */
struct flash_done {
    struct flash_work work;
    struct mask_line line;
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

/* The scores of the next key tile are made while the values of the one before are added up. BEGINS: it is the first of
   a query tile, whose sums start anew; what ends the one before is in output and correction, for flash_end. Where rows
   end late no query tile begins like this, but by flash_turn. */
template <bool BEGINS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ void flash_advance(struct flash_share<FLASH_ARGUMENTS> &share, int at,
                                                     bool accumulate, bool last) {
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
        flash_take_scores(share, entry, last, BEGINS ? unused : share.correction);
        barrier_wait(&barriers->value_full[share.stage], phase);
    } else {
        flash_multiply_keys<TILE_KEYS>(share, share.score, 0);
        flash_multiply_values<TILE_KEYS>(share, previous, 0, SPARSE ? share.started : accumulate);
        flash_look_ahead(share, at, last);
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
#endif

#endif
