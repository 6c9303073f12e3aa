/* tiles.c: from pieces and grids to plans of tiles.

   Tile of queries after tile of queries: the pieces that reach into it (a sweep, as pieces are by query_begin) and the
   runs of blocks of the grid's rows leave in the slots of the key tiles they touch how many pairs they allow there, the
   first of them, and from the second on a picture in bits. Pieces are disjoint, so a tile is full exactly if the pairs
   add up to it. */
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "tile_pool.h"

/* What is known of one tile of keys while a tile of queries is under way. */
struct slot {
    int64_t area;
    int32_t pieces;
    int32_t picture; /* in builder.picture; -1: none yet */
    struct mask_piece first;
};
struct builder {
    const struct mask *mask;
    int64_t tile_queries, tile_keys, key_tiles;
    int64_t query_begin, query_end;  /* of the tile under way */
    int64_t first_slot, last_slot;   /* touched */
    struct slot *slot;
    uint32_t *picture; /* pictures of tile_words words each */
    int64_t picture_count, picture_room, tile_words;
    int64_t *active, active_count, next_piece;
    struct mask_tile *entry;
    int64_t entry_count, entry_room, full_count;
    struct tile_pool ranges, bits;
    bool failed;
};

static int64_t tiles_of(int64_t tokens, int64_t tile) {
    return (tokens + tile - 1) / tile;
}

static int32_t new_picture(struct builder *builder) {
    if (builder->picture_count == builder->picture_room) {
        int64_t room = mask_most(8, 2 * builder->picture_room);
        uint32_t *moved = realloc(builder->picture, (size_t)(room * builder->tile_words) * sizeof(*moved));
        builder->failed |= !moved;
        if (!moved) return -1;
        builder->picture = moved;
        builder->picture_room = room;
    }
    memset(builder->picture + builder->picture_count * builder->tile_words, 0,
           (size_t)builder->tile_words * sizeof(uint32_t));
    return (int32_t)builder->picture_count++;
}

static void set_bits(uint32_t *row, int64_t begin, int64_t end) {
    for (int64_t word = begin / 32; begin < end; word++, begin = word * 32) {
        int64_t stop = mask_least(end, word * 32 + 32);
        uint32_t ones = stop - begin == 32 ? ~UINT32_C(0) : (UINT32_C(1) << (stop - begin)) - 1;
        row[word] |= ones << begin % 32;
    }
}

/* The keys of a tile that a query sees through a piece, from the tile's first key. */
static struct mask_range row_in_tile(const struct builder *builder, const struct mask_piece *piece, int64_t query,
                                     int64_t key_tile) {
    struct mask_range range = mask_piece_row(piece, query);
    int64_t first = key_tile * builder->tile_keys;
    return (struct mask_range){mask_most(range.begin - first, 0), mask_least(range.end - first, builder->tile_keys)};
}

static void draw(struct builder *builder, struct slot *slot, const struct mask_piece *piece, int64_t key_tile) {
    uint32_t *picture = builder->picture + slot->picture * builder->tile_words;
    int64_t begin = mask_most(piece->query_begin, builder->query_begin);
    int64_t end = mask_least(piece->query_end, builder->query_end);
    for (int64_t query = begin; query < end; query++) {
        struct mask_range range = row_in_tile(builder, piece, query, key_tile);
        set_bits(picture + (query - builder->query_begin) * mask_tile_words(builder->tile_keys), range.begin, range.end);
    }
}

static int64_t area_in_tile(const struct builder *builder, const struct mask_piece *piece, int64_t key_tile) {
    int64_t begin = mask_most(piece->query_begin, builder->query_begin), area = 0;
    int64_t end = mask_least(piece->query_end, builder->query_end);
    struct mask_range common = mask_piece_common(piece, begin, end);
    int64_t first = key_tile * builder->tile_keys, last = first + builder->tile_keys;
    if (piece->kind == MASK_KIND_FULL || (common.begin <= first && common.end >= last))
        return (end - begin) * (mask_least(last, common.end) - mask_most(first, common.begin));
    for (int64_t query = begin; query < end; query++) {
        struct mask_range range = row_in_tile(builder, piece, query, key_tile);
        if (range.end > range.begin) area += range.end - range.begin;
    }
    return area;
}

static void add_piece(struct builder *builder, const struct mask_piece *piece) {
    struct mask_range bounds = mask_piece_bounds(piece, builder->query_begin, builder->query_end);
    if (bounds.begin >= bounds.end || builder->failed) return;
    int64_t first = bounds.begin / builder->tile_keys, last = (bounds.end - 1) / builder->tile_keys;
    builder->first_slot = mask_least(builder->first_slot, first);
    builder->last_slot = mask_most(builder->last_slot, last);
    for (int64_t tile = first; tile <= last; tile++) {
        struct slot *slot = &builder->slot[tile];
        int64_t area = area_in_tile(builder, piece, tile);
        if (area == 0) continue;
        slot->area += area;
        if (++slot->pieces == 1) {
            slot->first = *piece;
            continue;
        }
        if (slot->pieces == 2) {
            slot->picture = new_picture(builder);
            if (builder->failed) return;
            draw(builder, slot, &slot->first, tile);
        }
        draw(builder, slot, piece, tile);
    }
}

/* The runs of blocks that a row of the grid keeps, as full pieces. */
static void add_grid_row(struct builder *builder, int64_t head, int64_t row) {
    const struct mask_grid *grid = &builder->mask->grid;
    const uint64_t *bits = grid->bits + (head * grid->query_blocks + row) * grid->words;
    for (int64_t block = 0; block < grid->key_blocks;) {
        if (!(bits[block / 64] >> block % 64)) {
            block = (block / 64 + 1) * 64;
            continue;
        }
        block += __builtin_ctzll(bits[block / 64] >> block % 64);
        int64_t end = block + 1;
        while (end < grid->key_blocks && bits[end / 64] >> end % 64 & 1) end++;
        struct mask_piece piece = {grid->query_edge[row], grid->query_edge[row + 1], grid->key_edge[block],
                                   grid->key_edge[end], MASK_KIND_FULL};
        add_piece(builder, &piece);
        block = end;
    }
}

static void add_grid(struct builder *builder, int64_t head) {
    const struct mask_grid *grid = &builder->mask->grid;
    if (grid->query_blocks == 0) return;
    int64_t row = mask_find(grid->query_edge, grid->query_blocks, builder->query_begin);
    for (; row < grid->query_blocks && grid->query_edge[row] < builder->query_end; row++)
        add_grid_row(builder, head, row);
}

static void add_pieces(struct builder *builder) {
    const struct mask *mask = builder->mask;
    int64_t kept = 0;
    while (builder->next_piece < mask->piece_count &&
           mask->piece[builder->next_piece].query_begin < builder->query_end)
        builder->active[builder->active_count++] = builder->next_piece++;
    for (int64_t i = 0; i < builder->active_count; i++) {
        const struct mask_piece *piece = &mask->piece[builder->active[i]];
        if (piece->query_end <= builder->query_begin) continue;
        builder->active[kept++] = builder->active[i];
        add_piece(builder, piece);
    }
    builder->active_count = kept;
}

/* The bounds of one piece from the tile's corner; those that never bind in the tile are made alike. */
static struct mask_tile_range range_of(const struct builder *builder, const struct mask_piece *piece,
                                       int64_t key_tile) {
    int64_t key = key_tile * builder->tile_keys, query = builder->query_begin;
    int64_t rows = builder->tile_queries, keys = builder->tile_keys;
    int64_t row_begin = mask_most(piece->query_begin - query, 0);
    int64_t row_end = mask_least(piece->query_end, builder->query_end) - query;
    bool low_moves = piece->kind == MASK_KIND_INVERSE_CAUSAL || piece->kind == MASK_KIND_BAND;
    bool high_moves = piece->kind == MASK_KIND_CAUSAL || piece->kind == MASK_KIND_BAND;
    int64_t low = piece->key_begin - key + (low_moves ? query - piece->query_begin : 0);
    int64_t high = piece->key_end - key + (high_moves ? query + 1 - piece->query_end : 0);
    if (low + (low_moves ? row_end - 1 : 0) <= 0) low = 0, low_moves = false;
    if (high + (high_moves ? row_begin : 0) >= keys) high = keys, high_moves = false;
    low = mask_least(mask_most(low, -rows), keys);
    high = mask_least(mask_most(high, -rows), keys);
    return (struct mask_tile_range){(int16_t)row_begin, (int16_t)row_end, (int16_t)low,        low_moves,
                                    (int16_t)high,      high_moves,       {0, 0}};
}

/* The quarters that a range of keys of some rows touches, `half` being 0 or 1 for the tile's first or second rows. */
static unsigned parts_of_keys(const struct builder *builder, int64_t begin, int64_t end, int half) {
    int64_t middle = builder->tile_keys / 2;
    if (begin >= end) return 0;
    return (unsigned)((begin < middle ? 1 : 0) | (end > middle ? 2 : 0)) << 2 * half;
}

/* What the rows of a half see of one piece is one range, from the first row's first key to the last row's last. */
static unsigned parts_of_range(const struct builder *builder, const struct mask_tile_range *range) {
    int64_t middle = builder->tile_queries / 2;
    unsigned parts = 0;
    for (int half = 0; half < 2; half++) {
        int64_t first = mask_most(range->row_begin, half ? middle : 0);
        int64_t last = mask_least(range->row_end, half ? builder->tile_queries : middle) - 1;
        if (first > last) continue;
        int64_t low = mask_most(range->low + range->low_slope * first, 0);
        int64_t high = mask_least(range->high + range->high_slope * last, builder->tile_keys);
        parts |= parts_of_keys(builder, low, high, half);
    }
    return parts;
}

static unsigned parts_of_bits(const struct builder *builder, const uint32_t *bits) {
    int64_t words = mask_tile_words(builder->tile_keys);
    unsigned parts = 0;
    for (int64_t row = 0; row < builder->tile_queries; row++)
        for (int64_t word = 0; word < words; word++) {
            uint32_t some = bits[row * words + word];
            if (some == 0) continue;
            int64_t first = word * 32 + __builtin_ctz(some), last = word * 32 + 31 - __builtin_clz(some);
            int half = row >= builder->tile_queries / 2;
            /* a word across the middle whose ones lie on both sides of it counts for both */
            parts |= parts_of_keys(builder, first, first + 1, half) | parts_of_keys(builder, last, last + 1, half);
        }
    return parts;
}

static void add_entry(struct builder *builder, int64_t key_tile, enum mask_tile_form form, unsigned parts,
                      int64_t index) {
    if (builder->entry_count == builder->entry_room) {
        int64_t room = mask_most(256, 2 * builder->entry_room);
        struct mask_tile *moved = realloc(builder->entry, (size_t)room * sizeof(*moved));
        builder->failed |= !moved || room > INT32_MAX;
        if (!moved) return;
        builder->entry = moved;
        builder->entry_room = room;
    }
    builder->full_count += form == MASK_TILE_FULL;
    builder->failed |= index < 0 || index >= INT64_C(1) << (32 - MASK_TILE_INDEX_AT);
    builder->entry[builder->entry_count++] = (struct mask_tile){
        (int32_t)key_tile, (uint32_t)index << MASK_TILE_INDEX_AT | parts << MASK_TILE_PARTS_AT | form};
}

/* Slots become entries, and empty again. */
static void finish_tile(struct builder *builder) {
    int64_t whole = (builder->query_end - builder->query_begin) * builder->tile_keys;
    for (int64_t tile = builder->first_slot; tile <= builder->last_slot && !builder->failed; tile++) {
        struct slot *slot = &builder->slot[tile];
        if (slot->area == whole) {
            add_entry(builder, tile, MASK_TILE_FULL, 15, 0);
        } else if (slot->pieces == 1) {
            struct mask_tile_range range = range_of(builder, &slot->first, tile);
            add_entry(builder, tile, MASK_TILE_RANGE, parts_of_range(builder, &range),
                      tile_pool_find(&builder->ranges, &range));
        } else if (slot->pieces > 1) {
            const uint32_t *picture = builder->picture + slot->picture * builder->tile_words;
            add_entry(builder, tile, MASK_TILE_BITS, parts_of_bits(builder, picture),
                      tile_pool_find(&builder->bits, picture));
        }
        *slot = (struct slot){.picture = -1};
    }
    builder->picture_count = 0;
}

static void build_lines(struct builder *builder, int32_t *begin) {
    const struct mask *mask = builder->mask;
    int64_t lines = tiles_of(mask->queries, builder->tile_queries);
    for (int64_t head = 0; head < mask_most(1, mask->heads); head++) {
        builder->active_count = builder->next_piece = 0;
        for (int64_t tile = 0; tile < lines; tile++) {
            builder->query_begin = tile * builder->tile_queries;
            builder->query_end = mask_least(builder->query_begin + builder->tile_queries, mask->queries);
            builder->first_slot = builder->key_tiles;
            builder->last_slot = -1;
            add_pieces(builder);
            add_grid(builder, head);
            finish_tile(builder);
            begin[head * lines + tile + 1] = (int32_t)builder->entry_count;
        }
    }
}

struct mask_tiles *mask_tiles_new(const struct mask *mask, int64_t tile_queries, int64_t tile_keys,
                                  enum mask_walk walk) {
    struct builder builder = {.mask = mask,
                              .tile_queries = tile_queries,
                              .tile_keys = tile_keys,
                              .key_tiles = tiles_of(mask->keys, tile_keys),
                              .tile_words = tile_queries * mask_tile_words(tile_keys),
                              .ranges = {.item_bytes = sizeof(struct mask_tile_range)},
                              .bits = {.item_bytes = (size_t)(tile_queries * mask_tile_words(tile_keys)) * sizeof(uint32_t)}};
    int64_t heads = mask_most(1, mask->heads), query_tiles = tiles_of(mask->queries, tile_queries);
    int32_t *begin = calloc((size_t)(heads * query_tiles + 1), sizeof(*begin));
    builder.slot = calloc((size_t)builder.key_tiles, sizeof(*builder.slot));
    builder.active = calloc((size_t)mask->piece_count + 1, sizeof(*builder.active));
    struct mask_tiles *tiles = NULL;
    if (begin && builder.slot && builder.active) {
        build_lines(&builder, begin);
        struct tile_parts parts = {.mask = mask,
                                   .tile_queries = tile_queries,
                                   .tile_keys = tile_keys,
                                   .walk = walk,
                                   .begin = begin,
                                   .entry = builder.entry,
                                   .full_count = builder.full_count,
                                   .ranges = &builder.ranges,
                                   .bits = &builder.bits};
        if (!builder.failed) tiles = tile_parts_pack(&parts);
    }
    free(begin), free(builder.slot), free(builder.active), free(builder.entry), free(builder.picture);
    tile_pool_free(&builder.ranges), tile_pool_free(&builder.bits);
    return tiles;
}

struct mask_range mask_tile_span(const struct mask_tiles *tiles, struct mask_tile entry) {
    int64_t keys = tiles->tile_keys, words = mask_tile_words(keys), first = 0, last = keys;
    if (mask_tile_form(entry) == MASK_TILE_FULL) return (struct mask_range){0, keys};
    if (mask_tile_form(entry) == MASK_TILE_RANGE) {
        const struct mask_tile_range *range = mask_tiles_range(tiles) + mask_tile_index(entry);
        first = mask_most(0, range->low + range->low_slope * range->row_begin);
        last = mask_least(keys, range->high + range->high_slope * (range->row_end - 1));
        return (struct mask_range){first, last};
    }
    const uint32_t *bits = mask_tiles_bits(tiles) + (int64_t)mask_tile_index(entry) * tiles->tile_queries * words;
    uint32_t any[MASK_TILE_MAX / 32] = {0};
    for (int64_t i = 0; i < tiles->tile_queries * words; i++) any[i % words] |= bits[i];
    while (first < keys && !(any[first / 32] >> first % 32 & 1)) first++;
    while (last > first && !(any[(last - 1) / 32] >> (last - 1) % 32 & 1)) last--;
    return (struct mask_range){first, last};
}
