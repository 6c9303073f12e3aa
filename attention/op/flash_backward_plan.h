/* flash_backward_plan.h: the list of work of the backward flash kernel, made on the host: key tiles of each head of
   keys in the order in which blocks take them, and for each the query tiles of all the heads that share the keys. */
#ifndef ATTENTION_FLASH_BACKWARD_PLAN_H
#define ATTENTION_FLASH_BACKWARD_PLAN_H

#include <stdalign.h>

#include "attention.h"
#include "attention/mask/tiles.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A key tile of one head of keys: its query tiles are entry[entry_begin .. entry_end - 1]; where the order counts,
   turn[turn_begin ..] are their turns. */
struct backward_work {
    alignas(16) int first_key; /* < 0: no tile */
    int batch_head;            /* batch * kv_heads + head */
    int entry_begin, entry_end;
    unsigned turn_begin;
    unsigned key_turn; /* parts that add their sums of keys before this one, where the order counts */
};
/* A query tile of one of the heads that share the keys; where: of struct mask_tile. */
struct backward_entry {
    alignas(16) int head; /* one vector load */
    int tile;
    uint32_t where;
};

/* Lines of entries, one for each key tile and each head of keys that has a mask of its own. */
struct backward_plan {
    int64_t heads, lines;            /* heads of keys with masks of their own; key tiles */
    int64_t group, parts;            /* heads that share keys; works on one key tile, with some of those heads each */
    int64_t entry_count, work_count; /* work: all key tiles of batch * kv_heads heads; with turns see below */
    int *begin;                      /* [heads * lines * group + 1] */
    int *order;                      /* lines by falling number of entries */
    struct backward_entry *entry;
    struct backward_work *work;
    int64_t turn_count;
    uint16_t *turn; /* key tiles that add to the query tile's gradients before this one; NULL: any order will do */
};

/* tiles: MASK_BY_KEY, of the problem's mask; blocks: that run at the same time. Blocks take work[0 .. work_count - 1]
   in that order; or, where the problem is deterministic, each of min(blocks, work_count) blocks has its own:
   work[block], and next what stands as many further as there are blocks. Those blocks have to run at the same time: in
   this order, and with these turns, always one of them can go on. For backward_plan_free; false: out of memory, or more
   than 2^30 of something or 2^16 key tiles in order, and nothing to free. */
bool backward_plan_new(struct backward_plan *plan, const struct attention_problem *problem,
                       const struct mask_tiles *tiles, int blocks);
void backward_plan_free(struct backward_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
