/* flash.h: what a flash kernel is told, by the host that prepares a problem. See softmax_flash.cu.

   Work is a list of query tiles, each with the key tiles that it sees, entries of a plan of mask/tiles.h: no kernel
   knows a mask by its name. */
#ifndef ATTENTION_FLASH_H
#define ATTENTION_FLASH_H

#include <cuda.h>
#include <stdint.h>

#include "attention/mask/tiles.h"
#include "flash_scales.h"
#include "flash_work.h"
#include "score_options.h"

/* Maps for runs of gathered tiles, in boxes of one run, of several runs that follow one another, or of a whole tile: of
   tokens one after the other and, stepped, of tokens `step` apart, in maps that see `step` tokens as one row:
   (remainder * stride + head_dim, quotient, head, batch). */
enum { FLASH_BOX_RUN, FLASH_BOX_RUNS, FLASH_BOX_TILE, FLASH_BOXES, FLASH_RUNS_TOGETHER = 4 };
struct flash_boxes {
    CUtensorMap key, value, key_stepped, value_stepped;
};

/* What a kernel makes of struct score_options: nothing; all but clipping; or one of the two walks over the key tiles of
   a clipped softmax, whose probabilities have to be finished first: the log-sum-exp, and then the output. */
enum flash_options { FLASH_NO_OPTIONS, FLASH_OPTIONS, FLASH_LOG_SUM_EXP, FLASH_CLIP };

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
    unsigned *taken; /* query tiles taken, but for the first of each block where there are not two parts; blocks that
                        take no more; blocks that have ended, where there are two parts */
    int work_count, queries, heads, group;
    float factor; /* scale / log 2 */
    struct score_options options;
    /* Gathered plans: step > 0; else not used. The maps `apart` are as stepped ones, with boxes of half the queries of
       a tile; the second is of those that the last, incomplete step has. */
    struct flash_boxes boxes[FLASH_BOXES];
    CUtensorMap query_apart[2], output_apart[2];
    const struct mask_line *line;
    const int32_t *run;
    int step, query_row, key_row, value_row; /* row strides */
    /* Plans in two parts: the second one's first line, which no line's number reaches where there is one part; query
       tiles of the first part, of all heads; how many of them are in memory, NULL where there is one part. */
    int joins_from, first_count;
    int *finished;
    /* fp8 alone: values and scales of all key tiles of a head, head after head; those of the queries */
    const char *value_tiles;
    const void *scales; /* struct flash_scales, or floats of flash_token_scales_count */
    const float *query_scale; /* [batch * heads][query_blocks] */
    int key_tiles, query_blocks;
};

#endif
