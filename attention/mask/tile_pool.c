/* tile_pool.c: a hash table of equal ranges and bit tiles; plans of tiles in one block of memory, in either walk. */
#include "tile_pool.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"

static uint64_t hash(const void *item, size_t bytes) {
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)item + i, 4);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

static bool grow_table(struct tile_pool *pool) {
    int64_t size = pool->table_size ? 2 * pool->table_size : 64;
    int32_t *table = malloc((size_t)size * sizeof(*table));
    if (!table) return false;
    memset(table, 0xff, (size_t)size * sizeof(*table));
    for (int64_t i = 0; i < pool->count; i++) {
        uint64_t at = hash(pool->item + (size_t)i * pool->item_bytes, pool->item_bytes);
        while (table[at & (uint64_t)(size - 1)] >= 0) at++;
        table[at & (uint64_t)(size - 1)] = (int32_t)i;
    }
    free(pool->table);
    pool->table = table;
    pool->table_size = size;
    return true;
}

int64_t tile_pool_find(struct tile_pool *pool, const void *item) {
    if (2 * pool->count >= pool->table_size && !grow_table(pool)) return -1;
    uint64_t at = hash(item, pool->item_bytes), last = (uint64_t)(pool->table_size - 1);
    for (; pool->table[at & last] >= 0; at++) {
        int32_t index = pool->table[at & last];
        if (memcmp(pool->item + (size_t)index * pool->item_bytes, item, pool->item_bytes) == 0) return index;
    }
    if (pool->count == pool->room) {
        int64_t room = mask_most(16, 2 * pool->room);
        char *moved = realloc(pool->item, (size_t)room * pool->item_bytes);
        if (!moved) return -1;
        pool->item = moved;
        pool->room = room;
    }
    memcpy(pool->item + (size_t)pool->count * pool->item_bytes, item, pool->item_bytes);
    pool->table[at & last] = (int32_t)pool->count;
    return pool->count++;
}

void tile_pool_free(struct tile_pool *pool) {
    free(pool->item), free(pool->table);
}

static void copy(void *to, const void *from, size_t bytes) { /* from may be NULL where there is nothing */
    if (bytes > 0) memcpy(to, from, bytes);
}

/* Entries by tile of keys from those by tile of queries: a counting sort, head by head. */
static void transpose(const struct tile_parts *parts, int64_t heads, int64_t query_tiles, int64_t key_tiles,
                      int32_t *begin, struct mask_tile *entry) {
    for (int64_t head = 0; head < heads; head++)
        for (int32_t i = parts->begin[head * query_tiles]; i < parts->begin[(head + 1) * query_tiles]; i++)
            begin[head * key_tiles + parts->entry[i].tile + 1]++;
    for (int64_t line = 0; line < heads * key_tiles; line++) begin[line + 1] += begin[line];
    for (int64_t row = 0; row < heads * query_tiles; row++)
        for (int32_t i = parts->begin[row]; i < parts->begin[row + 1]; i++) {
            int32_t *next = &begin[row / query_tiles * key_tiles + parts->entry[i].tile];
            entry[(*next)++] = (struct mask_tile){(int32_t)(row % query_tiles), parts->entry[i].where};
        }
    memmove(begin + 1, begin, (size_t)(heads * key_tiles) * sizeof(*begin)); /* each had moved to its line's end */
    begin[0] = 0;
}

struct length {
    int32_t line, entries;
};

static int longest_first(const void *a, const void *b) {
    const struct length *first = a, *second = b;
    if (first->entries != second->entries) return first->entries > second->entries ? -1 : 1;
    return (first->line > second->line) - (first->line < second->line);
}

static bool sort_lines(const int32_t *begin, int64_t lines, int32_t *order) {
    struct length *length = malloc((size_t)lines * sizeof(*length));
    if (!length) return false;
    for (int64_t i = 0; i < lines; i++) length[i] = (struct length){(int32_t)i, begin[i + 1] - begin[i]};
    qsort(length, (size_t)lines, sizeof(*length), longest_first);
    for (int64_t i = 0; i < lines; i++) order[i] = length[i].line;
    free(length);
    return true;
}

static uint64_t reserve(struct mask_tiles *tiles, uint64_t bytes) {
    uint64_t at = tiles->bytes;
    tiles->bytes += (bytes + 15) / 16 * 16;
    return at;
}

struct mask_tiles *tile_parts_pack(const struct tile_parts *parts) {
    const struct mask *mask = parts->mask;
    int64_t heads = mask_most(1, mask->heads);
    bool gathered = parts->step > 0;
    int64_t query_tiles = gathered ? parts->lines : (mask->queries + parts->tile_queries - 1) / parts->tile_queries;
    int64_t key_tiles = (mask->keys + parts->tile_keys - 1) / parts->tile_keys;
    bool by_query = parts->walk == MASK_BY_QUERY;
    struct mask_tiles tiles = {.queries = mask->queries,
                               .keys = mask->keys,
                               .walk = parts->walk,
                               .tile_queries = (int32_t)parts->tile_queries,
                               .tile_keys = (int32_t)parts->tile_keys,
                               .heads = (int32_t)heads,
                               .lines = (int32_t)(by_query ? query_tiles : key_tiles),
                               .step = (int32_t)parts->step,
                               .joins_from = (int32_t)(gathered   ? parts->joins_from
                                                       : by_query ? query_tiles
                                                                  : key_tiles),
                               .entry_count = parts->begin[heads * query_tiles],
                               .full_count = (int32_t)parts->full_count,
                               .range_count = (int32_t)parts->ranges->count,
                               .bits_count = (int32_t)parts->bits->count};
    uint64_t lines = (uint64_t)heads * (uint64_t)tiles.lines, entries = (uint64_t)tiles.entry_count;
    size_t range_bytes = (size_t)parts->ranges->count * parts->ranges->item_bytes;
    size_t bits_bytes = (size_t)parts->bits->count * parts->bits->item_bytes;
    size_t line_bytes = gathered ? (size_t)parts->lines * 2 * sizeof(struct mask_line) : 0;
    size_t run_bytes = gathered ? (size_t)tiles.entry_count * (size_t)(parts->tile_keys / MASK_TILE_RUN) * 4 : 0;
    reserve(&tiles, sizeof(tiles));
    tiles.begin_at = reserve(&tiles, (lines + 1) * sizeof(int32_t));
    tiles.entry_at = reserve(&tiles, entries * sizeof(struct mask_tile));
    tiles.range_at = reserve(&tiles, range_bytes);
    tiles.bits_at = reserve(&tiles, bits_bytes);
    tiles.order_at = reserve(&tiles, lines * sizeof(int32_t));
    tiles.line_at = reserve(&tiles, line_bytes);
    tiles.run_at = reserve(&tiles, run_bytes);
    struct mask_tiles *packed = calloc(1, tiles.bytes);
    if (!packed) return NULL;
    *packed = tiles;
    int32_t *begin = (int32_t *)mask_tiles_begin(packed);
    struct mask_tile *entry = (struct mask_tile *)mask_tiles_entry(packed);
    copy((void *)mask_tiles_range(packed), parts->ranges->item, range_bytes);
    copy((void *)mask_tiles_bits(packed), parts->bits->item, bits_bytes);
    copy((void *)mask_tiles_line(packed), parts->line, line_bytes);
    copy((void *)mask_tiles_run(packed), parts->run, run_bytes);
    if (by_query) {
        copy(begin, parts->begin, (lines + 1) * sizeof(int32_t));
        copy(entry, parts->entry, entries * sizeof(struct mask_tile));
    } else {
        transpose(parts, heads, query_tiles, key_tiles, begin, entry);
    }
    if (sort_lines(begin, (int64_t)lines, (int32_t *)mask_tiles_order(packed))) return packed;
    free(packed);
    return NULL;
}
