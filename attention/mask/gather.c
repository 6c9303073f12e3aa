/* gather.c: plans of tiles whose keys are gathered, and whose queries may stand apart, for masks that scatter what they
   allow: see mask_tiles_gather and mask_tiles_split in tiles.h.

   Line after line: the keys that any of its rows sees are covered with runs, first with plain ones that are mostly
   seen, then with stepped ones, then with plain ones for the rest; every key belongs to one run. What each row sees of
   them is one byte a run. Runs are packed into tiles in this order: those that all rows see, those that both halves of
   the rows see, and those of one half alone, a tile of the one, a tile of the other, so that units that share a kernel
   work on their own at the same time. */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "tile_pool.h"

enum { RUN = MASK_TILE_RUN, MOSTLY = RUN / 2 + 1 };

/* Eight keys, `step` apart; half: which of the two halves of the rows see any, two bits. */
struct run {
    int32_t first, step, slot; /* slot: column of bytes in the pictures */
    int32_t half;
    bool full;
};
struct gather {
    const struct mask *mask;
    int64_t tile_queries, tile_keys, step, head;
    enum mask_part part;    /* of the line under way */
    struct mask_line *line; /* two halves each */
    int64_t line_count, line_room, joins_from;
    struct mask_range *range; /* of one row */
    uint8_t *needed;          /* a byte a key: seen by any row of the line, and in no run yet */
    int32_t *place;           /* of a key: slot * RUN + number in the run */
    struct run *run, *order; /* as found and then sorted, as packed */
    int64_t run_count, run_room, order_count, order_room;
    uint8_t *seen; /* [row][slot] */
    int64_t seen_room;
    uint32_t *bits; /* of one tile */
    struct mask_tile *entry;
    int32_t *entry_run;
    int64_t entry_count, entry_room, full_count;
    struct tile_pool pool;
    bool failed;
};

static void *grow(struct gather *gather, void *list, int64_t *room, int64_t count, size_t item) {
    if (count < *room) return list;
    int64_t more = mask_most(256, 2 * *room);
    void *moved = more < INT32_MAX / 2 ? realloc(list, (size_t)more * item) : NULL;
    gather->failed |= !moved;
    if (!moved) return list;
    *room = more;
    return moved;
}

static void put_line(struct gather *gather, struct mask_line first, struct mask_line second) {
    gather->line = grow(gather, gather->line, &gather->line_room, gather->line_count, 2 * sizeof(*gather->line));
    if (gather->failed) return;
    gather->line[2 * gather->line_count] = first;
    gather->line[2 * gather->line_count++ + 1] = second;
}

/* Queries first, first + step, .. in lines of a tile each. */
static void add_lines(struct gather *gather, int64_t first, int64_t step, int64_t count) {
    for (int64_t done = 0; done < count; done += gather->tile_queries) {
        int64_t rows = mask_least(gather->tile_queries, count - done);
        struct mask_line line = {(int32_t)(first + done * step), (int32_t)step, (int32_t)rows};
        put_line(gather, line, line);
    }
}

/* All queries, those `step` apart one after another: each half of a line has such ones alone, two halves may have
   different ones. */
static void add_classes(struct gather *gather, int64_t step) {
    int64_t half = gather->tile_queries / 2, queries = gather->mask->queries;
    struct mask_line before = {0, 0, 0};
    for (int64_t residue = 0; residue < mask_least(step, queries); residue++)
        for (int64_t first = residue; first < queries; first += half * step) {
            int64_t rows = mask_least(half, (queries - first + step - 1) / step);
            if (before.count == 0) {
                before = (struct mask_line){(int32_t)first, (int32_t)step, (int32_t)rows};
                continue;
            }
            put_line(gather, before,
                     (struct mask_line){(int32_t)(first - half * step), (int32_t)step, (int32_t)(half + rows)});
            before.count = 0;
        }
    if (before.count > 0) put_line(gather, before, before);
}

/* Queries that see alike stand in one line: those of a dilated band by their residue, global tokens by themselves. */
static void list_lines(struct gather *gather) {
    const struct mask *mask = gather->mask;
    int64_t step = gather->step, queries = mask->queries;
    if (mask->name == MASK_dilated_band && step > 1) {
        for (int64_t residue = 0; residue < step; residue++) add_lines(gather, residue, step, queries / step);
    } else if (mask->name == MASK_longformer && step > 1) {
        add_lines(gather, 0, step, queries / step);
        for (int64_t token = 0; token < queries; token += step) add_lines(gather, token + 1, 1, step - 1);
    } else {
        add_lines(gather, 0, 1, queries);
    }
}

/* The step at which a mask keeps single keys, if it divides the tokens; else 1. */
static int64_t step_of(const struct mask *mask) {
    int64_t globals = mask->recipe.globals;
    if (mask->name == MASK_dilated_band && mask->queries % MASK_DILATION == 0 && mask->keys % MASK_DILATION == 0)
        return MASK_DILATION;
    if (mask->name == MASK_longformer && mask->queries == mask->keys && globals > 0 && mask->keys % globals == 0)
        return mask->keys / globals;
    return 1;
}

/* Which half of a line has the row. */
static int half_of(const struct gather *gather, int64_t row) {
    return row >= gather->tile_queries / 2;
}

/* What a row sees, into gather->range; nothing where there is no query. */
static int64_t look_along(struct gather *gather, const struct mask_line *line, int64_t row) {
    line += half_of(gather, row);
    if (row >= line->count) return 0;
    return mask_part_row(gather->mask, gather->part, gather->head, line->first + line->step * row, gather->range);
}

static void find_needed(struct gather *gather, const struct mask_line *line) {
    for (int64_t row = 0; row < gather->tile_queries; row++) {
        int64_t count = look_along(gather, line, row);
        for (int64_t i = 0; i < count; i++)
            memset(gather->needed + gather->range[i].begin, 1,
                   (size_t)(gather->range[i].end - gather->range[i].begin));
    }
}

/* The run from `first` on, if it holds at least `least` keys that are needed and in no run yet. */
static void try_run(struct gather *gather, int64_t first, int64_t step, int64_t least) {
    int64_t count = 0, end = gather->mask->keys / step * step;
    for (int64_t i = 0; i < RUN && first + i * step < end; i++) count += gather->needed[first + i * step];
    if (count < least) return;
    gather->run = grow(gather, gather->run, &gather->run_room, gather->run_count, sizeof(*gather->run));
    if (gather->failed) return;
    int32_t slot = (int32_t)gather->run_count++;
    gather->run[slot] = (struct run){.first = (int32_t)first, .step = (int32_t)step, .slot = slot};
    for (int64_t i = 0; i < RUN; i++) {
        int64_t key = first + i * step;
        if (key >= end || !gather->needed[key]) continue;
        gather->place[key] = (int32_t)(slot * RUN + i);
        gather->needed[key] = 0;
    }
}

/* Afterwards nothing is needed any more, and every key that was has its place. */
static void cover(struct gather *gather) {
    int64_t keys = gather->mask->keys, step = gather->part == MASK_TOGETHER ? 1 : gather->step;
    gather->run_count = 0;
    for (int64_t first = 0; first < keys && step > 1; first += RUN) try_run(gather, first, 1, MOSTLY);
    for (int64_t residue = 0; residue < step && step > 1; residue++)
        for (int64_t first = residue; first < keys; first += RUN * step) try_run(gather, first, step, 2);
    for (int64_t first = 0; first < keys; first += RUN) try_run(gather, first, 1, 1);
}

/* What each row sees, a byte a run. */
static void look(struct gather *gather, const struct mask_line *line) {
    int64_t runs = gather->run_count;
    while (gather->seen_room < runs * gather->tile_queries && !gather->failed)
        gather->seen = grow(gather, gather->seen, &gather->seen_room, gather->seen_room, 1);
    if (gather->failed) return;
    memset(gather->seen, 0, (size_t)(runs * gather->tile_queries));
    for (int64_t row = 0; row < gather->tile_queries; row++) {
        uint8_t *seen = gather->seen + row * runs;
        int64_t count = look_along(gather, line, row);
        for (int64_t i = 0; i < count; i++)
            for (int64_t key = gather->range[i].begin; key < gather->range[i].end;) {
                int32_t place = gather->place[key];
                const struct run *run = &gather->run[place / RUN];
                if (run->step == 1 && key == run->first && key + RUN <= gather->range[i].end &&
                    gather->place[key + RUN - 1] == place + RUN - 1) {
                    seen[place / RUN] = 0xff; /* nearly always */
                    key += RUN;
                } else {
                    seen[place / RUN] |= (uint8_t)(1 << place % RUN);
                    key++;
                }
            }
    }
}

static void judge(struct gather *gather, const struct mask_line *line) {
    int64_t runs = gather->run_count;
    for (int64_t i = 0; i < runs; i++) gather->run[i].full = true;
    for (int64_t row = 0; row < gather->tile_queries; row++)
        for (int64_t i = 0; i < runs && row < line[half_of(gather, row)].count; i++) {
            uint8_t seen = gather->seen[row * runs + i];
            gather->run[i].full &= seen == 0xff;
            if (seen) gather->run[i].half |= 1 << half_of(gather, row);
        }
}

static int rank_of_run(const struct run *run) {
    if (run->half == 3) return run->full ? 0 : 1;
    return run->half == 1 ? 2 : 3;
}

static int by_rank(const void *a, const void *b) {
    const struct run *first = a, *second = b;
    int difference = rank_of_run(first) - rank_of_run(second);
    if (difference) return difference;
    if (first->full != second->full) return first->full ? -1 : 1;
    return (first->slot > second->slot) - (first->slot < second->slot); /* cover's order: ascending keys */
}

static void put(struct gather *gather, const struct run *run, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        gather->order = grow(gather, gather->order, &gather->order_room, gather->order_count, sizeof(*gather->order));
        if (gather->failed) return;
        gather->order[gather->order_count++] = run[i];
    }
}

/* Sorts the runs and puts them into the order of tiles. What one half sees alone begins with half a tile. */
static void arrange(struct gather *gather) {
    static const struct run nothing = {.slot = -1};
    int64_t tile = gather->tile_keys / RUN, count[4] = {0};
    qsort(gather->run, (size_t)gather->run_count, sizeof(*gather->run), by_rank);
    for (int64_t i = 0; i < gather->run_count; i++) count[rank_of_run(&gather->run[i])]++;
    int64_t both = count[0] + count[1];
    const struct run *first = gather->run + both, *second = first + count[2];
    gather->order_count = 0;
    put(gather, gather->run, both);
    while (count[2] + count[3] > 0 && gather->order_count % (tile / 2) != 0 && !gather->failed)
        put(gather, &nothing, 1);
    for (int64_t done = 0; done < mask_most(count[2], count[3]); done += tile) {
        put(gather, first + done, mask_least(tile, count[2] - done));
        put(gather, second + done, mask_least(tile, count[3] - done));
    }
}

/* The picture of the tile whose first run is order[at]; returns its parts. */
static unsigned picture(struct gather *gather, int64_t at, int64_t count) {
    int64_t words = mask_tile_words(gather->tile_keys), runs = gather->run_count;
    unsigned parts = 0;
    memset(gather->bits, 0, (size_t)(gather->tile_queries * words) * sizeof(uint32_t));
    for (int64_t row = 0; row < gather->tile_queries; row++)
        for (int64_t i = 0; i < count; i++) {
            int32_t slot = gather->order[at + i].slot;
            uint32_t seen = slot < 0 ? 0 : gather->seen[row * runs + slot];
            if (!seen) continue;
            gather->bits[row * words + i * RUN / 32] |= seen << i * RUN % 32;
            parts |= 1u << (2 * half_of(gather, row) + (i * RUN >= gather->tile_keys / 2));
        }
    return parts;
}

static void add_tile(struct gather *gather, int64_t at) {
    int64_t most = gather->tile_keys / RUN, count = mask_least(most, gather->order_count - at);
    int64_t old = gather->entry_room;
    gather->entry = grow(gather, gather->entry, &gather->entry_room, gather->entry_count, sizeof(*gather->entry));
    if (gather->failed) return;
    if (gather->entry_room != old) {
        int32_t *moved = realloc(gather->entry_run, (size_t)(gather->entry_room * most) * sizeof(*moved));
        gather->failed |= !moved;
        if (!moved) return;
        gather->entry_run = moved;
    }
    const struct run *run = gather->order + at;
    int32_t *entry_run = gather->entry_run + gather->entry_count * most;
    int32_t first = run[0].first;
    bool full = true, together = run[0].slot >= 0, stepped = run[0].step > 1;
    for (int64_t i = 0; i < most; i++) {
        entry_run[i] = (int32_t)gather->mask->keys; /* nothing */
        if (i >= count || run[i].slot < 0) {
            full = false;
            continue;
        }
        entry_run[i] = run[i].step == 1 ? run[i].first : ~run[i].first;
        full &= run[i].full;
        together &= run[i].step == run[0].step && run[i].first == first + i * RUN * run[0].step;
    }
    unsigned parts = picture(gather, at, count);
    int64_t index = full ? 0 : tile_pool_find(&gather->pool, gather->bits);
    gather->failed |= index < 0 || index >= INT64_C(1) << (32 - MASK_TILE_INDEX_AT);
    gather->full_count += full;
    gather->entry[gather->entry_count++] = (struct mask_tile){
        !together ? MASK_TILE_RUNS : stepped ? MASK_TILE_RUNS - 1 - first : first,
        (uint32_t)index << MASK_TILE_INDEX_AT | parts << MASK_TILE_PARTS_AT | (full ? MASK_TILE_FULL : MASK_TILE_BITS)};
}

static void add_line(struct gather *gather, const struct mask_line *line) {
    find_needed(gather, line);
    cover(gather);
    if (gather->failed || gather->run_count == 0) return;
    look(gather, line);
    if (gather->failed) return;
    judge(gather, line);
    arrange(gather);
    for (int64_t at = 0; at < gather->order_count && !gather->failed; at += gather->tile_keys / RUN)
        add_tile(gather, at);
}

/* All lines of one head. What the second part has no keys for needs no line there; the first part needs all of them:
   false. */
static bool add_head(struct gather *gather, int32_t *begin) {
    bool split = gather->joins_from < gather->line_count;
    int64_t kept = 0;
    for (int64_t i = 0; i < gather->line_count && !gather->failed; i++) {
        int64_t entries = gather->entry_count;
        if (split) gather->part = i < gather->joins_from ? MASK_TOGETHER : MASK_APART;
        add_line(gather, &gather->line[2 * i]);
        if (split && entries == gather->entry_count) {
            if (i < gather->joins_from) return false;
            continue;
        }
        memmove(&gather->line[2 * kept], &gather->line[2 * i], 2 * sizeof(*gather->line));
        begin[++kept] = (int32_t)gather->entry_count;
    }
    gather->line_count = kept;
    return !gather->failed;
}

static struct mask_tiles *pack(struct gather *gather, const int32_t *begin) {
    struct tile_pool none = {.item_bytes = sizeof(struct mask_tile_range)};
    struct tile_parts parts = {.mask = gather->mask,
                               .tile_queries = gather->tile_queries,
                               .tile_keys = gather->tile_keys,
                               .walk = MASK_BY_QUERY,
                               .begin = begin,
                               .entry = gather->entry,
                               .full_count = gather->full_count,
                               .ranges = &none,
                               .bits = &gather->pool,
                               .step = gather->step,
                               .lines = gather->line_count,
                               .joins_from = gather->joins_from,
                               .line = gather->line,
                               .run = gather->entry_run};
    return tile_parts_pack(&parts);
}

/* The plan of lines that have been listed; joins_from: line_count where there is one part. */
static struct mask_tiles *build(struct gather *gather) {
    int64_t heads = mask_most(1, gather->mask->heads);
    size_t words = (size_t)(gather->tile_queries * mask_tile_words(gather->tile_keys));
    int32_t *begin = calloc((size_t)(heads * gather->line_count + 1), sizeof(*begin));
    gather->range = malloc((size_t)mask_row_room(gather->mask) * sizeof(*gather->range));
    gather->needed = calloc((size_t)gather->mask->keys, 1);
    gather->place = calloc((size_t)gather->mask->keys, sizeof(*gather->place));
    gather->bits = malloc(words * sizeof(*gather->bits));
    gather->pool.item_bytes = words * sizeof(*gather->bits);
    gather->failed |= !begin || !gather->range || !gather->needed || !gather->place || !gather->bits;
    bool done = !gather->failed;
    for (gather->head = 0; gather->head < heads && done; gather->head++)
        done = add_head(gather, begin + gather->head * gather->line_count);
    struct mask_tiles *tiles = done ? pack(gather, begin) : NULL;
    free(begin), free(gather->line), free(gather->range), free(gather->needed), free(gather->place);
    free(gather->run), free(gather->order), free(gather->seen);
    free(gather->bits), free(gather->entry), free(gather->entry_run);
    tile_pool_free(&gather->pool);
    return tiles;
}

struct mask_tiles *mask_tiles_gather(const struct mask *mask, int64_t tile_queries, int64_t tile_keys) {
    struct gather gather = {.mask = mask, .tile_queries = tile_queries, .tile_keys = tile_keys, .step = step_of(mask)};
    list_lines(&gather);
    gather.joins_from = gather.line_count;
    return build(&gather);
}

struct mask_tiles *mask_tiles_split(const struct mask *mask, int64_t tile_queries, int64_t tile_keys) {
    int64_t stride = mask_stride(mask);
    struct gather gather = {.mask = mask, .tile_queries = tile_queries, .tile_keys = tile_keys, .step = stride};
    if (stride < 2 || stride >= mask->keys || mask->heads > 1 || tile_queries % 2 != 0) return NULL;
    add_lines(&gather, 0, 1, mask->queries);
    gather.joins_from = gather.line_count;
    add_classes(&gather, stride);
    return build(&gather);
}
