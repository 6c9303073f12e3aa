/* mask.c: masks made from recipes, their exact areas, pairs and rows. */
#include "mask.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/device.h"
#include "build.h"

const char *const mask_words[MASK_COUNT + 1] = {
#define MASK(identifier, meaning) #identifier,
#include "mask.def"
#undef MASK
};

const char mask_help[] = "which keys a query sees"
#define MASK(identifier, meaning) "; " #identifier ": " meaning
#include "mask.def"
#undef MASK
    ;

struct mask_recipe mask_recipe(enum mask_name name, int64_t queries, int64_t keys) {
    return (struct mask_recipe){.name = name,
                                .queries = queries,
                                .keys = keys,
                                .heads = 1,
                                .window = MASK_WINDOW,
                                .globals = 64,
                                .stride = 128,
                                .block = 128,
                                .kept = 20,
                                .seed = 1};
}

void mask_pieces_add(struct mask_pieces *pieces, struct mask_piece piece) {
    if (pieces->failed || piece.query_begin >= piece.query_end || piece.key_begin >= piece.key_end) return;
    if (pieces->count == pieces->room) {
        int64_t room = pieces->room ? 2 * pieces->room : 16;
        struct mask_piece *moved = realloc(pieces->piece, (size_t)room * sizeof(piece));
        pieces->failed = !moved;
        if (!moved) return;
        pieces->piece = moved;
        pieces->room = room;
    }
    pieces->piece[pieces->count++] = piece;
}

static int by_query(const void *a, const void *b) {
    const struct mask_piece *first = a, *second = b;
    if (first->query_begin != second->query_begin) return first->query_begin < second->query_begin ? -1 : 1;
    return (first->key_begin > second->key_begin) - (first->key_begin < second->key_begin);
}

struct mask *mask_make(const struct mask_recipe *recipe, char *reason) {
    struct mask *mask = calloc(1, sizeof(*mask));
    struct mask_pieces pieces = {0};
    snprintf(reason, REASON_SIZE, "out of memory for the mask");
    if (!mask) return NULL;
    *mask = (struct mask){.name = recipe->name,
                          .queries = recipe->queries,
                          .keys = recipe->keys,
                          .heads = 1,
                          .window = recipe->window,
                          .recipe = *recipe};
    if (recipe->name != MASK_causal_sliding && recipe->name != MASK_full_sliding) mask->window = 0;
    bool right = mask_draw(mask) && mask_choose_blocks(mask);
    if (right && recipe->name == MASK_file)
        right = mask_read(recipe, &pieces, reason);
    else if (right)
        mask_static_pieces(mask, &pieces);
    mask->piece = pieces.piece;
    mask->piece_count = pieces.count;
    if (right && !pieces.failed) {
        if (pieces.count > 0) qsort(pieces.piece, (size_t)pieces.count, sizeof(*pieces.piece), by_query);
        return mask;
    }
    mask_free(mask);
    return NULL;
}

struct mask *mask_new(enum mask_name name, int64_t queries, int64_t keys, int64_t window) {
    char reason[REASON_SIZE];
    struct mask_recipe recipe = mask_recipe(name, queries, keys);
    recipe.window = window;
    return mask_make(&recipe, reason);
}

void mask_free(struct mask *mask) {
    if (!mask) return;
    free((void *)mask->piece), free((void *)mask->document);
    free((void *)mask->grid.query_edge), free((void *)mask->grid.key_edge), free((void *)mask->grid.bits);
    free(mask);
}

/* Sum over `count` consecutive numbers that go up by one to `last`, those below 1 counting nothing. */
static int64_t staircase(int64_t last, int64_t count) {
    if (last <= 0) return 0;
    int64_t steps = mask_least(last, count), first = last - steps + 1;
    return steps % 2 == 0 ? steps / 2 * (first + last) : steps * ((first + last) / 2);
}

static int64_t piece_area(const struct mask_piece *piece) {
    int64_t queries = piece->query_end - piece->query_begin, keys = piece->key_end - piece->key_begin;
    switch (piece->kind) {
    case MASK_KIND_CAUSAL:
    case MASK_KIND_INVERSE_CAUSAL: /* the same staircase seen from the other corner */
        return staircase(keys, queries);
    case MASK_KIND_BAND: /* every query of a band sees as many keys: both ends move by one */
        return keys >= queries ? queries * (keys - queries + 1) : 0;
    case MASK_KIND_FULL:
        break;
    }
    return queries * keys;
}

static int64_t grid_area(const struct mask_grid *grid, int64_t heads) {
    int64_t area = 0;
    for (int64_t row = 0; row < heads * grid->query_blocks; row++) {
        int64_t r = row % grid->query_blocks, keys = 0;
        for (int64_t word = 0; word < grid->words; word++)
            for (uint64_t bits = grid->bits[row * grid->words + word]; bits; bits &= bits - 1) {
                int64_t block = word * 64 + __builtin_ctzll(bits);
                keys += grid->key_edge[block + 1] - grid->key_edge[block];
            }
        area += keys * (grid->query_edge[r + 1] - grid->query_edge[r]);
    }
    return area;
}

int64_t mask_area(const struct mask *mask) {
    int64_t area = 0, heads = mask_most(1, mask->heads);
    for (int64_t i = 0; i < mask->piece_count; i++) area += piece_area(&mask->piece[i]);
    return heads * area + grid_area(&mask->grid, heads);
}

bool mask_allows(const struct mask *mask, int64_t head, int64_t query, int64_t key) {
    if (query < 0 || query >= mask->queries || key < 0 || key >= mask->keys) return false;
    if (mask->name == MASK_file) { /* the file's ranges are the definition */
        for (int64_t i = 0; i < mask->piece_count && mask->piece[i].query_begin <= query; i++) {
            struct mask_range range = mask_piece_row(&mask->piece[i], query);
            if (key >= range.begin && key < range.end) return true;
        }
        return false;
    }
    return mask_grid_allows(mask, head, query, key) || mask_static_allows(mask, query, key);
}

/* Of keys that a stride cuts out of a row. */
static int64_t stride_room(const struct mask *mask) {
    return mask_stride(mask) > 1 ? mask->keys / mask_stride(mask) + 1 : 0;
}

int64_t mask_row_room(const struct mask *mask) {
    return mask->piece_count + mask->grid.key_blocks + stride_room(mask);
}

static int by_begin(const void *a, const void *b) {
    const struct mask_range *first = a, *second = b;
    return (first->begin > second->begin) - (first->begin < second->begin);
}

int64_t mask_row(const struct mask *mask, int64_t head, int64_t query, struct mask_range *range) {
    const struct mask_grid *grid = &mask->grid;
    int64_t count = 0, joined = 0;
    for (int64_t i = 0; i < mask->piece_count; i++) {
        struct mask_range new = mask_piece_row(&mask->piece[i], query);
        if (new.begin < new.end) range[count++] = new;
    }
    int64_t row = grid->query_blocks ? mask_find(grid->query_edge, grid->query_blocks, query) : 0;
    const uint64_t *chosen = grid->bits + (head * grid->query_blocks + row) * grid->words;
    for (int64_t word = 0; word < grid->words; word++)
        for (uint64_t bits = chosen[word]; bits; bits &= bits - 1) {
            int64_t block = word * 64 + __builtin_ctzll(bits);
            range[count++] = (struct mask_range){grid->key_edge[block], grid->key_edge[block + 1]};
        }
    qsort(range, (size_t)count, sizeof(*range), by_begin);
    for (int64_t i = 1; i < count; i++)
        if (range[i].begin == range[joined].end)
            range[joined].end = range[i].end;
        else
            range[++joined] = range[i];
    return count > 0 ? joined + 1 : 0;
}

/* The first key from `begin` on that stands a multiple of the stride from the position, which may be negative. */
static int64_t first_in_stride(int64_t begin, int64_t position, int64_t stride) {
    int64_t remainder = (position - begin) % stride;
    return begin + remainder + (remainder < 0 ? stride : 0);
}

/* A row without what stands apart. The whole row is read from behind the room that cutting it may take. */
static int64_t row_together(const struct mask *mask, int64_t head, int64_t query, struct mask_range *range) {
    int64_t stride = mask_stride(mask), position = query + mask->keys - mask->queries, count = 0;
    const struct mask_range *whole = range + stride_room(mask);
    int64_t ranges = mask_row(mask, head, query, range + stride_room(mask));
    for (int64_t i = 0; i < ranges; i++) {
        struct mask_range rest = whole[i];
        for (int64_t key = first_in_stride(rest.begin, position, stride); key < rest.end; key += stride) {
            if (key == position) continue;
            if (rest.begin < key) range[count++] = (struct mask_range){rest.begin, key};
            rest.begin = key + 1;
        }
        if (rest.begin < rest.end) range[count++] = rest;
    }
    return count;
}

int64_t mask_part_row(const struct mask *mask, enum mask_part part, int64_t head, int64_t query,
                      struct mask_range *range) {
    int64_t stride = mask_stride(mask), position = query + mask->keys - mask->queries, count = 0;
    if (part == MASK_WHOLE) return mask_row(mask, head, query, range);
    if (part == MASK_TOGETHER) return row_together(mask, head, query, range);
    for (int64_t key = first_in_stride(0, position, stride); key < mask->keys; key += stride)
        if (key != position && mask_allows(mask, head, query, key))
            range[count++] = (struct mask_range){key, key + 1};
    return count;
}
