/* tile_pool.h: things of one size, each stored once; and the packing of a plan of tiles into one block of memory. */
#ifndef ATTENTION_MASK_TILE_POOL_H
#define ATTENTION_MASK_TILE_POOL_H

#include <stddef.h>

#include "tiles.h"

struct tile_pool {
    size_t item_bytes; /* a multiple of 4 */
    char *item;
    int64_t count, room;
    int32_t *table; /* open addressing; -1: free */
    int64_t table_size;
};
/* The index of an equal item, which is added if there is none; -1: out of memory. */
int64_t tile_pool_find(struct tile_pool *pool, const void *item);
void tile_pool_free(struct tile_pool *pool);

/* A plan by queries before it is packed; begin has heads * tiles of queries + 1 numbers. */
struct tile_parts {
    const struct mask *mask;
    int64_t tile_queries, tile_keys;
    enum mask_walk walk; /* that the packed plan will have */
    const int32_t *begin;
    const struct mask_tile *entry;
    int64_t full_count;
    const struct tile_pool *ranges, *bits;
    int64_t step, lines, joins_from; /* of gathered tiles, as those of struct mask_tiles; lines of one head */
    const struct mask_line *line;
    const int32_t *run;
};
struct mask_tiles *tile_parts_pack(const struct tile_parts *parts); /* NULL: out of memory */

#endif
