/* flash_clip.h: the two walks of a clipped softmax in the forward flash kernel (softmax_flash_clipped.cu). The second
   one is flash_forward.h's, with flash_clip in the place of the online softmax. The first one, here, has neither values
   nor an output, whose registers hold the scores of a second key tile: one is multiplied while the exponentials of the
   other are added up. */
#ifndef ATTENTION_FLASH_CLIP_H
#define ATTENTION_FLASH_CLIP_H

#include "flash_forward.h"

#if WGMMA_BUILT
/* A key tile in the first walk; begins, ends: it is the first or last of its query tile. */
struct flash_item {
    struct mask_tile entry;
    int first_query, batch_head;
    bool begins, ends;
};
/* Where that walk is: entry `at` of a query tile whose last one is `begin`; query tiles so far. */
struct flash_place {
    int at, begin;
    unsigned tile, query_count;
    struct flash_item item;
};

/* The next key tile, whose scores are then issued. false: there is none. */
FLASH_TEMPLATE
static __device__ __forceinline__ bool flash_multiply_next(struct flash_share<FLASH_ARGUMENTS> &share,
                                                           struct flash_place *place, struct flash_item *item,
                                                           float (&score)[TILE_KEYS / 2]) {
    constexpr unsigned QUERY_SLOTS = flash_tiles<FLASH_ARGUMENTS>::QUERY_SLOTS;
    auto *barriers = share.barriers;
    place->item.begins = place->at == place->begin;
    if (place->item.begins) {
        const struct flash_work *work = flash_next(share, &place->tile);
        if (!work) return false;
        place->item.first_query = work->first_query;
        place->item.batch_head = work->batch_head;
        place->at = work->entry_end;
        place->begin = work->entry_begin;
        barrier_arrive(&barriers->work_empty[work - barriers->work]); /* every lane, as in flash_compute */
        share.query_slot = flash_uniform(place->query_count % QUERY_SLOTS);
        barrier_wait(&barriers->query_full[share.query_slot], place->query_count++ / QUERY_SLOTS & 1);
    }
    *item = place->item;
    item->entry = share.arguments->entry[--place->at];
    item->ends = place->at == place->begin;
    share.count = flash_uniform(share.count);
    share.stage = share.count % STAGES;
    barrier_wait(&barriers->key_full[share.stage], share.count++ / STAGES & 1);
    flash_multiply_keys<TILE_KEYS>(share, score, 0);
    return true;
}

/* The scores issued last have come. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_await_scores(struct flash_share<FLASH_ARGUMENTS> &share,
                                                          const struct flash_item *item,
                                                          float (&score)[TILE_KEYS / 2]) {
    wgmma_wait<0>();
    wgmma_hold(score);
    flash_warp_arrive(&share.barriers->key_empty[share.stage]);
    if (item->ends) flash_warp_arrive(&share.barriers->query_empty[share.query_slot]);
}

/* Takes `item`, whose scores have come: exponentials, in share.score, while the scores of the one after it, `next`, are
   made, and sums behind the wait for those, so that no exponential is waited for. MORE: it is not the last one; if that
   turns out wrong, nothing is done and false returns. */
template <bool MORE, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ bool flash_take_item(struct flash_share<FLASH_ARGUMENTS> &share,
                                                       struct flash_place *place, const struct flash_item *item,
                                                       float (&score)[TILE_KEYS / 2], struct flash_item *next,
                                                       float (&next_score)[TILE_KEYS / 2]) {
    constexpr bool AT_ONCE = HEAD_DIM == 64; /* the sums, there: products are short */
    const struct flash_arguments *arguments = share.arguments;
    if (MORE && !flash_multiply_next(share, place, next, next_score)) return false;
    if (item->begins) flash_start(share, item->first_query, item->batch_head, false);
    float factor = flash_take_options<TILE_KEYS, flash_tiles<FLASH_ARGUMENTS>::QUERIES>(
        score, arguments, share.head, item->first_query, share.row, item->entry);
    flash_exponentials<TILE_KEYS>(score, &share.rows, factor, !share.rows.settled, share.score);
    if (AT_ONCE)
        flash_add_up<TILE_KEYS>(score, &share.rows, factor, share.score);
    else
        wgmma_hold(share.score);
    if (MORE) flash_await_scores(share, next, next_score);
    if (!AT_ONCE) flash_add_up<TILE_KEYS>(score, &share.rows, factor, share.score);
    if (!item->ends) return true;
    struct mask_line line = {item->first_query, 1, arguments->queries - item->first_query};
    flash_finish<OPTIONS>(arguments, &share.rows, line, item->batch_head, share.row, share.correction);
    return true;
}

FLASH_TEMPLATE
static __device__ void flash_sum_rows(struct flash_share<FLASH_ARGUMENTS> &share) {
    struct flash_place place = {};
    struct flash_item even, odd;
    float even_score[TILE_KEYS / 2], odd_score[TILE_KEYS / 2];
    if (!flash_multiply_next(share, &place, &even, even_score)) return;
    flash_await_scores(share, &even, even_score);
    while (flash_take_item<true>(share, &place, &even, even_score, &odd, odd_score)) {
        if (flash_take_item<true>(share, &place, &odd, odd_score, &even, even_score)) continue;
        even = odd; /* the last one */
#pragma unroll
        for (int i = 0; i < TILE_KEYS / 2; i++) even_score[i] = odd_score[i];
        break;
    }
    flash_take_item<false>(share, &place, &even, even_score, &odd, odd_score);
}
#endif

#endif
