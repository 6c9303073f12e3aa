/* gather.c: plans of tiles whose keys are gathered, and whose queries may stand apart, for masks that scatter what they
   allow: see mask_tiles_gather in tiles.h.

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
    struct mask_line *line;
    int64_t line_count, line_room;
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

/* Queries first, first + step, .. in lines of a tile each. */
static void add_lines(struct gather *gather, int64_t first, int64_t step, int64_t count) {
    for (int64_t done = 0; done < count && !gather->failed; done += gather->tile_queries) {
        gather->line = grow(gather, gather->line, &gather->line_room, gather->line_count, sizeof(*gather->line));
        if (gather->failed) return;
        int64_t rows = mask_least(gather->tile_queries, count - done);
        gather->line[gather->line_count++] = (struct mask_line){(int32_t)(first + done * step), (int32_t)step,
                                                                (int32_t)rows};
    }
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

static int64_t query_of(const struct mask_line *line, int64_t row) {
    return line->first + line->step * row;
}

static void find_needed(struct gather *gather, const struct mask_line *line) {
    for (int64_t row = 0; row < line->count; row++) {
        int64_t count = mask_row(gather->mask, gather->head, query_of(line, row), gather->range);
        for (int64_t i = 0; i < count; i++)
            memset(gather->needed + gather->range[i].begin, 1,
                   (size_t)(gather->range[i].end - gather->range[i].begin));
    }
}

/* The run from `first` on, if it holds at least `least` keys that are needed and in no run yet. */
static void try_run(struct gather *gather, int64_t first, int64_t step, int64_t least) {
    int64_t count = 0;
    for (int64_t i = 0; i < RUN; i++)
        count += first + i * step < gather->mask->keys && gather->needed[first + i * step];
    if (count < least) return;
    gather->run = grow(gather, gather->run, &gather->run_room, gather->run_count, sizeof(*gather->run));
    if (gather->failed) return;
    int32_t slot = (int32_t)gather->run_count++;
    gather->run[slot] = (struct run){.first = (int32_t)first, .step = (int32_t)step, .slot = slot};
    for (int64_t i = 0; i < RUN; i++) {
        int64_t key = first + i * step;
        if (key >= gather->mask->keys || !gather->needed[key]) continue;
        gather->place[key] = (int32_t)(slot * RUN + i);
        gather->needed[key] = 0;
    }
}

/* Afterwards nothing is needed any more, and every key that was has its place. */
static void cover(struct gather *gather) {
    int64_t keys = gather->mask->keys, step = gather->step;
    gather->run_count = 0;
    for (int64_t first = 0; first < keys && step > 1; first += RUN) try_run(gather, first, 1, MOSTLY);
    for (int64_t residue = 0; residue < step && step > 1; residue++)
        for (int64_t first = residue; first + (RUN - 1) * step < keys; first += RUN * step)
            try_run(gather, first, step, 2);
    for (int64_t first = 0; first < keys; first += RUN) try_run(gather, first, 1, 1);
}

/* What each row sees, a byte a run. */
static void look(struct gather *gather, const struct mask_line *line) {
    int64_t runs = gather->run_count;
    while (gather->seen_room < runs * gather->tile_queries && !gather->failed)
        gather->seen = grow(gather, gather->seen, &gather->seen_room, gather->seen_room, 1);
    if (gather->failed) return;
    memset(gather->seen, 0, (size_t)(runs * gather->tile_queries));
    for (int64_t row = 0; row < line->count; row++) {
        uint8_t *seen = gather->seen + row * runs;
        int64_t count = mask_row(gather->mask, gather->head, query_of(line, row), gather->range);
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
    int64_t runs = gather->run_count, half = gather->tile_queries / 2;
    for (int64_t i = 0; i < runs; i++) gather->run[i].full = true;
    for (int64_t row = 0; row < line->count; row++)
        for (int64_t i = 0; i < runs; i++) {
            uint8_t seen = gather->seen[row * runs + i];
            gather->run[i].full &= seen == 0xff;
            if (seen) gather->run[i].half |= row >= half ? 2 : 1;
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
static unsigned picture(struct gather *gather, const struct mask_line *line, int64_t at, int64_t count) {
    int64_t words = mask_tile_words(gather->tile_keys), runs = gather->run_count;
    unsigned parts = 0;
    memset(gather->bits, 0, (size_t)(gather->tile_queries * words) * sizeof(uint32_t));
    for (int64_t row = 0; row < line->count; row++)
        for (int64_t i = 0; i < count; i++) {
            int32_t slot = gather->order[at + i].slot;
            uint32_t seen = slot < 0 ? 0 : gather->seen[row * runs + slot];
            if (!seen) continue;
            gather->bits[row * words + i * RUN / 32] |= seen << i * RUN % 32;
            parts |= 1u << (2 * (row >= gather->tile_queries / 2) + (i * RUN >= gather->tile_keys / 2));
        }
    return parts;
}

static void add_tile(struct gather *gather, const struct mask_line *line, int64_t at) {
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
    bool full = true, together = run[0].slot >= 0;
    for (int64_t i = 0; i < most; i++) {
        entry_run[i] = (int32_t)gather->mask->keys; /* nothing */
        if (i >= count || run[i].slot < 0) {
            full = false;
            continue;
        }
        entry_run[i] = run[i].step == 1 ? run[i].first : ~run[i].first;
        full &= run[i].full;
        together &= run[i].step == 1 && run[i].first == run[0].first + i * RUN;
    }
    unsigned parts = picture(gather, line, at, count);
    int64_t index = full ? 0 : tile_pool_find(&gather->pool, gather->bits);
    gather->failed |= index < 0 || index >= INT64_C(1) << (32 - MASK_TILE_INDEX_AT);
    gather->full_count += full;
    gather->entry[gather->entry_count++] = (struct mask_tile){
        together ? run[0].first : -1,
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
        add_tile(gather, line, at);
}

static struct mask_tiles *build(struct gather *gather) {
    const struct mask *mask = gather->mask;
    int64_t heads = mask_most(1, mask->heads), lines = gather->line_count;
    int32_t *begin = calloc((size_t)(heads * lines + 1), sizeof(*begin));
    struct tile_pool none = {.item_bytes = sizeof(struct mask_tile_range)};
    if (!begin) return NULL;
    for (gather->head = 0; gather->head < heads; gather->head++)
        for (int64_t i = 0; i < lines && !gather->failed; i++) {
            add_line(gather, &gather->line[i]);
            begin[gather->head * lines + i + 1] = (int32_t)gather->entry_count;
        }
    struct tile_parts parts = {.mask = mask,
                               .tile_queries = gather->tile_queries,
                               .tile_keys = gather->tile_keys,
                               .walk = MASK_BY_QUERY,
                               .begin = begin,
                               .entry = gather->entry,
                               .full_count = gather->full_count,
                               .ranges = &none,
                               .bits = &gather->pool,
                               .step = gather->step,
                               .lines = lines,
                               .line = gather->line,
                               .run = gather->entry_run};
    struct mask_tiles *tiles = gather->failed ? NULL : tile_parts_pack(&parts);
    free(begin);
    return tiles;
}

struct mask_tiles *mask_tiles_gather(const struct mask *mask, int64_t tile_queries, int64_t tile_keys) {
    size_t words = (size_t)(tile_queries * mask_tile_words(tile_keys));
    struct gather gather = {.mask = mask,
                            .tile_queries = tile_queries,
                            .tile_keys = tile_keys,
                            .step = step_of(mask),
                            .range = malloc((size_t)mask_row_room(mask) * sizeof(struct mask_range)),
                            .needed = calloc((size_t)mask->keys, 1),
                            .place = calloc((size_t)mask->keys, sizeof(int32_t)),
                            .bits = malloc(words * sizeof(uint32_t)),
                            .pool = {.item_bytes = words * sizeof(uint32_t)}};
    struct mask_tiles *tiles = NULL;
    list_lines(&gather);
    if (gather.range && gather.needed && gather.place && gather.bits && !gather.failed) tiles = build(&gather);
    free(gather.line), free(gather.range), free(gather.needed), free(gather.place);
    free(gather.run), free(gather.order), free(gather.seen);
    free(gather.bits), free(gather.entry), free(gather.entry_run);
    tile_pool_free(&gather.pool);
    return tiles;
}
