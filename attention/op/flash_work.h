/* flash_work.h: the work of the forward flash kernel: which plan of tiles, and the order in which they are taken. */
#ifndef ATTENTION_FLASH_WORK_H
#define ATTENTION_FLASH_WORK_H

#include "attention.h"
#include "attention/mask/tiles.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the second-level cache that heads worked on together may take, forward and backward. */
enum { CACHE_SECTION = 32 * 1024 * 1024 };

/* A query tile of one head: its keys are entry[entry_begin .. entry_end - 1]. first_query is the tile's line where the
   plan is gathered. */
struct flash_work {
    int first_query, batch_head; /* batch * heads + head */
    int entry_begin, entry_end;
};

/* The plan for tiles of so many tokens. *sparse: is there a kernel that leaves out what a quarter of a tile does not
   hold, and takes gathered tiles? Afterwards: is the plan one for it? For free; NULL: out of memory. */
struct mask_tiles *flash_work_tiles(const struct attention_problem *problem, int queries, int keys, bool *sparse);

/* All query tiles of all heads and batch items (batch * heads * tiles->lines of them) in the order in which `blocks`
   blocks take them: dearest first, in sections of heads whose keys and values stay in a cache together unless blocks
   would wait too long for the last one, and before all sections those that take a good part of a block's time; where
   all are alike, heads follow each other; all of a first part before a second one. For free; NULL: out of memory. */
struct flash_work *flash_work_list(const struct attention_problem *problem, const struct mask_tiles *tiles, bool sparse,
                                   int blocks);

#ifdef __cplusplus
}
#endif
#endif
