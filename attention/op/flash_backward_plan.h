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

/* A key tile of one head of keys: its query tiles are entry[entry_begin .. entry_end - 1]. */
struct backward_work {
    int first_key, batch_head; /* batch * kv_heads + head */
    int entry_begin, entry_end;
};
/* A query tile of one of the heads that share the keys; where: of struct mask_tile; turn: key tiles that add to its
   query gradients before this one, where the order counts. */
struct backward_entry {
    alignas(16) int head; /* one vector load */
    int tile;
    uint32_t where;
    unsigned turn;
};

/* Lines of entries, one for each key tile and each head of keys that has a mask of its own. */
struct backward_plan {
    int64_t heads, lines;            /* heads of keys with masks of their own; key tiles */
    int64_t entry_count, work_count; /* work: all key tiles of batch * kv_heads heads */
    int *begin;                      /* [heads * lines + 1] */
    int *order;                      /* lines by falling number of entries */
    struct backward_entry *entry;
    struct backward_work *work;
};

/* tiles: MASK_BY_KEY, of the problem's mask; blocks: that run at the same time. Work on one head comes in the order of
   turns. For backward_plan_free; false: out of memory, or more than 2^30 of something, and nothing to free. */
bool backward_plan_new(struct backward_plan *plan, const struct attention_problem *problem,
                       const struct mask_tiles *tiles, int blocks);
void backward_plan_free(struct backward_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
