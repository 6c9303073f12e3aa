/* tiles.h: a mask as kernels consume it: for each tile of queries the tiles of keys that it needs, in order.

   The plan is made on the host for one tile shape and is one block of memory without pointers, so that a copy of
   `bytes` bytes on a device is the same plan (mask_tiles_to_device). It holds lines of entries, a compressed sparse
   row layout:

     MASK_BY_QUERY   line = head * lines + tile of queries, entries are tiles of keys, ascending (forward, dQ)
     MASK_BY_KEY     line = head * lines + tile of keys, entries are tiles of queries, ascending (dK, dV)

   head is the mask's own: mask_head(tiles->heads, query head, query heads); 0 where all heads are alike. The entries of
   line l are begin[l] .. begin[l + 1] - 1. Pairs of tiles without an entry hold no pair that the mask allows. An entry
   says by `form` what is inside:

     MASK_TILE_FULL    every query of the tile that there is sees every key: no test. All keys of the tile exist; rows
                       beyond the last query may be missing.
     MASK_TILE_RANGE   one piece: row r (0 is the tile's first query) sees key k (0 is its first key) if
                       row_begin <= r < row_end and low + low_slope r <= k < high + high_slope r, with
                       range[index]; slopes are 0 or 1. Causal diagonals, edges of windows and documents, the last tile.
     MASK_TILE_BITS    anything else: bit k % 32 of word [r][k / 32] of bits[index], tile_queries x tile_keys bits,
                       rows of mask_tile_words words.

   `parts` says which quarters of the tile hold any pair: bit 2 * (row >= tile_queries / 2) + (key >= tile_keys / 2), so
   that a kernel whose units are half as long leaves out what is not there.
   Rows beyond the last query see nothing in the last two forms, keys beyond the last are never seen. Ranges and bits
   are stored once each, however many entries share them: a causal mask has one range or two, a strided one a few bit tiles.
   `order` holds the lines by falling number of entries, for a queue that starts with the longest.

   mask_tiles_gather makes a plan by query with `step` > 0, whose tiles are gathered for masks that scatter what they
   allow. A line has two halves, line[2 l + h]: row r of half h, h = r >= tile_queries / 2, is the query first + step r,
   where r < count; every query is in one line. The keys of entry e are tile_keys / 8 runs of eight: run[e][..] = first,
   first + 1, ..; or where it is negative ~first, ~first + step, .. with the plan's step; run[e] = keys holds nothing.
   `tile` is the first key if the runs that hold something are plain and follow one another, MASK_TILE_RUNS - 1 - the
   first key if they are stepped and do (mask_tile_stepped), else MASK_TILE_RUNS. Plain runs may reach beyond the last
   key, stepped ones beyond the last multiple of step, and hold nothing there. Forms, parts, bits and order are as
   above.

   mask_tiles_split makes such a plan for masks with a stride, in two parts (mask.h): the lines before joins_from have
   what stands together, the others, whose queries are step = stride apart, what stands apart. Every query is in one
   line of the first part, and in at most one of the second, whose results join those of the first. No line is empty.

   A tile that several pieces touch is one entry, full if together they fill it. Forms, bits and ranges are by row and
   key in both walks. Building costs O(pieces x tiles they touch). */
#ifndef ATTENTION_MASK_TILES_H
#define ATTENTION_MASK_TILES_H

#include "mask.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MASK_TILE_MAX = 1024 };
enum mask_walk { MASK_BY_QUERY, MASK_BY_KEY };
enum mask_tile_form { MASK_TILE_FULL, MASK_TILE_RANGE, MASK_TILE_BITS };
enum { MASK_TILE_RUN = 8, MASK_TILE_RUNS = -1, MASK_TILE_PARTS_AT = 2, MASK_TILE_INDEX_AT = 6 };

struct mask_tile {
    int32_t tile;   /* of keys, or of queries in MASK_BY_KEY */
    uint32_t where; /* form in the low 2 bits, parts in the next 4, index above: see mask_tile_form */
};
struct mask_tile_range { /* 16 bytes, one vector load */
    int16_t row_begin, row_end, low, low_slope, high, high_slope, unused[2];
};
struct mask_line { /* of half the rows */
    int32_t first, step, count;
};
struct mask_tiles {
    uint64_t bytes; /* of all, this header included */
    int64_t queries, keys;
    enum mask_walk walk;
    int32_t tile_queries, tile_keys; /* tokens */
    int32_t heads;                   /* of the mask: 1 or those of its grid */
    int32_t lines;                   /* tiles of queries, or of keys, of one head */
    int32_t step;                    /* of gathered tiles; 0: a plan of plain ones */
    int32_t joins_from;              /* lines from this one on are a second part; = lines: there is none */
    int32_t entry_count, full_count, range_count, bits_count;
    uint64_t begin_at, entry_at, range_at, bits_at, order_at, line_at, run_at; /* bytes from here, multiples of 16 */
};

/* A plan for malloc's free. tile_queries and tile_keys: 1 .. MASK_TILE_MAX. NULL: out of
   memory, or more than 2^31 - 1 entries. */
struct mask_tiles *mask_tiles_new(const struct mask *mask, int64_t tile_queries, int64_t tile_keys,
                                  enum mask_walk walk);
/* The same by query with gathered tiles; tile_keys: a multiple of 32. Costs O(pairs / 8). */
struct mask_tiles *mask_tiles_gather(const struct mask *mask, int64_t tile_queries, int64_t tile_keys);
/* The same in two parts; tile_queries: even. NULL also: the mask has no stride, or too few tokens for it, or a line of
   the first part would be empty. */
struct mask_tiles *mask_tiles_split(const struct mask *mask, int64_t tile_queries, int64_t tile_keys);
/* A copy on the current device, for cudaFree through mask_tiles_device_free; only with CUDA. NULL: a reason
   (REASON_SIZE bytes). Allocates and synchronizes: for an operator's prepare. */
struct mask_tiles *mask_tiles_to_device(const struct mask_tiles *tiles, char *reason);
void mask_tiles_device_free(struct mask_tiles *tiles);

/* 32-bit words of a row of a tile in MASK_TILE_BITS. */
MASK_INLINE int64_t mask_tile_words(int64_t tile_keys) {
    return (tile_keys + 31) / 32;
}
MASK_INLINE const int32_t *mask_tiles_begin(const struct mask_tiles *tiles) { /* heads * lines + 1 */
    return (const int32_t *)((const char *)tiles + tiles->begin_at);
}
MASK_INLINE const struct mask_tile *mask_tiles_entry(const struct mask_tiles *tiles) {
    return (const struct mask_tile *)((const char *)tiles + tiles->entry_at);
}
MASK_INLINE const struct mask_tile_range *mask_tiles_range(const struct mask_tiles *tiles) {
    return (const struct mask_tile_range *)((const char *)tiles + tiles->range_at);
}
MASK_INLINE const uint32_t *mask_tiles_bits(const struct mask_tiles *tiles) {
    return (const uint32_t *)((const char *)tiles + tiles->bits_at);
}
MASK_INLINE const int32_t *mask_tiles_order(const struct mask_tiles *tiles) { /* heads * lines */
    return (const int32_t *)((const char *)tiles + tiles->order_at);
}
MASK_INLINE const struct mask_line *mask_tiles_line(const struct mask_tiles *tiles) { /* 2 * lines, where step > 0 */
    return (const struct mask_line *)((const char *)tiles + tiles->line_at);
}
MASK_INLINE const int32_t *mask_tiles_run(const struct mask_tiles *tiles) { /* entry_count * tile_keys / 8, likewise */
    return (const int32_t *)((const char *)tiles + tiles->run_at);
}
MASK_INLINE enum mask_tile_form mask_tile_form(struct mask_tile entry) {
    return (enum mask_tile_form)(entry.where & 3);
}
MASK_INLINE uint32_t mask_tile_index(struct mask_tile entry) {
    return entry.where >> MASK_TILE_INDEX_AT;
}
MASK_INLINE unsigned mask_tile_parts(struct mask_tile entry) {
    return entry.where >> MASK_TILE_PARTS_AT & 15;
}
/* The first key of a gathered tile of stepped runs that follow one another. */
MASK_INLINE int mask_tile_stepped(struct mask_tile entry) {
    return MASK_TILE_RUNS - 1 - entry.tile;
}
/* Does row `row` of the tile see its key `key`, both counted from the tile's first? The tests of all forms in one. */
MASK_INLINE bool mask_tile_allows(const struct mask_tiles *tiles, struct mask_tile entry, int row, int key) {
    uint64_t index = mask_tile_index(entry);
    if (mask_tile_form(entry) == MASK_TILE_FULL) return true;
    if (mask_tile_form(entry) == MASK_TILE_RANGE) {
        const struct mask_tile_range *range = mask_tiles_range(tiles) + index;
        return row >= range->row_begin && row < range->row_end && key >= range->low + range->low_slope * row &&
               key < range->high + range->high_slope * row;
    }
    int words = (int)mask_tile_words(tiles->tile_keys);
    const uint32_t *bits = mask_tiles_bits(tiles) + (index * (uint64_t)tiles->tile_queries + (uint64_t)row) *
                                                        (uint64_t)words;
    return bits[key / 32] >> key % 32 & 1;
}

/* The first to the last key of the tile that any of its rows sees, from the tile's first key: not empty. */
struct mask_range mask_tile_span(const struct mask_tiles *tiles, struct mask_tile entry);

#ifdef __cplusplus
}
#endif
#endif
