/* flash.h: what a flash kernel is told, by the host that prepares a problem. See softmax_flash.cu.

   Work is a list of query tiles, each with the key tiles that it sees: none of the kernels knows a mask by its name. */
#ifndef ATTENTION_FLASH_H
#define ATTENTION_FLASH_H

#include <cuda.h>
#include <stdint.h>

#include "attention.h"

/* A query tile of one head: its keys are entry[entry_begin .. entry_end - 1]. */
struct flash_work {
    int first_query, batch_head; /* batch * heads + head */
    int entry_begin, entry_end;
};
/* A key tile; partial: which of its pairs count, -1 all of them. */
struct flash_entry {
    int first_key, partial;
};
/* Row r of the tile's queries, row_begin <= r < row_end, sees columns low + low_step * r .. high + high_step * r - 1 of
   the tile's keys; rows outside see none. bits >= 0: instead, where bit c % 32 of word[bits + r * words + c / 32] is
   set. */
struct flash_partial {
    int row_begin, row_end;
    int low, high, low_step, high_step;
    int bits;
};

struct flash_arguments {
    CUtensorMap query, key, value, output_map; /* (head_dim, token, head, batch); boxes: 64 x a tile's rows, output 64 x 64 */
    void *output;
    float *log_sum_exp;
    struct attention_strides output_stride;
    const struct flash_work *work;
    const struct flash_entry *entry;
    const struct flash_partial *partial;
    const uint32_t *word;
    unsigned *taken; /* two numbers: tiles taken beyond the first of each block; blocks that have ended */
    int work_count, queries, heads, group;
    float factor; /* scale / log 2 */
};

#endif
