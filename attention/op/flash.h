/* flash.h: what a flash kernel is told, by the host that prepares a problem. See softmax_flash.cu.

   Work is a list of query tiles, each with the key tiles that it sees, entries of a plan of mask/tiles.h: no kernel
   knows a mask by its name. */
#ifndef ATTENTION_FLASH_H
#define ATTENTION_FLASH_H

#include <cuda.h>
#include <stdint.h>

#include "attention/mask/tiles.h"
#include "score_options.h"

/* A query tile of one head: its keys are entry[entry_begin .. entry_end - 1]. */
struct flash_work {
    int first_query, batch_head; /* batch * heads + head */
    int entry_begin, entry_end;
};

struct flash_arguments {
    /* (head_dim, token, head, batch); boxes of 64 x the rows of a tile */
    CUtensorMap query, key, value, output_map;
    void *output;
    float *log_sum_exp;
    struct attention_strides output_stride;
    const struct flash_work *work;
    const struct mask_tile *entry;
    const struct mask_tile_range *range;
    const uint32_t *bits;
    unsigned *taken; /* two numbers: tiles taken beyond the first of each block; blocks that have ended */
    int work_count, queries, heads, group;
    float factor; /* scale / log 2 */
    struct score_options options;
};

#endif
