/* mask.c: the masks by name as lists of pieces, and their exact areas. */
#include "mask.h"

#include <stdlib.h>

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

enum { PIECES_MAX = 2 };

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Query q sees keys q + offset - window .. q + offset of those there are. Until the window is full the range starts at
   key 0, a causal piece; from then on both ends move, a band. Queries in front of every key see nothing. */
static int64_t sliding_pieces(struct mask_piece *piece, int64_t queries, int64_t keys, int64_t window) {
    int64_t count = 0, offset = keys - queries;
    int64_t first = offset < 0 ? -offset : 0;                            /* the first query that sees a key */
    int64_t full = least(queries, window > offset ? window - offset : 0); /* the first whose window is full */
    if (full > first)
        piece[count++] = (struct mask_piece){first, full, 0, full + offset, MASK_KIND_CAUSAL};
    if (full < queries)
        piece[count++] = (struct mask_piece){full, queries, full + offset - window, keys, MASK_KIND_BAND};
    return count;
}

static int64_t make_pieces(struct mask_piece *piece, enum mask_name name, int64_t queries, int64_t keys,
                           int64_t window) {
    switch (name) {
    case MASK_causal_sliding:
        return sliding_pieces(piece, queries, keys, window);
    case MASK_causal:
        piece[0] = (struct mask_piece){0, queries, 0, keys, MASK_KIND_CAUSAL};
        return 1;
    case MASK_full:
    case MASK_COUNT:
        break;
    }
    piece[0] = (struct mask_piece){0, queries, 0, keys, MASK_KIND_FULL};
    return 1;
}

struct mask *mask_new(enum mask_name name, int64_t queries, int64_t keys, int64_t window) {
    struct mask *mask = malloc(sizeof(*mask) + PIECES_MAX * sizeof(struct mask_piece));
    if (!mask) return NULL;
    struct mask_piece *piece = (struct mask_piece *)(mask + 1);
    *mask = (struct mask){.name = name,
                          .queries = queries,
                          .keys = keys,
                          .window = name == MASK_causal_sliding ? window : 0,
                          .piece_count = make_pieces(piece, name, queries, keys, window),
                          .piece = piece};
    return mask;
}

void mask_free(struct mask *mask) {
    free(mask);
}

/* Sum over `count` consecutive numbers that go up by one to `last`, those below 1 counting nothing. */
static int64_t staircase(int64_t last, int64_t count) {
    if (last <= 0) return 0;
    int64_t steps = least(last, count), first = last - steps + 1;
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

int64_t mask_area(const struct mask *mask) {
    int64_t area = 0;
    for (int64_t i = 0; i < mask->piece_count; i++)
        area += piece_area(&mask->piece[i]);
    return area;
}

bool mask_allows(const struct mask *mask, int64_t query, int64_t key) {
    int64_t behind = query + mask->keys - mask->queries - key; /* how far the key lies before the query's position */
    if (query < 0 || query >= mask->queries || key < 0 || key >= mask->keys) return false;
    switch (mask->name) {
    case MASK_causal:
        return behind >= 0;
    case MASK_causal_sliding:
        return behind >= 0 && behind <= mask->window;
    case MASK_full:
    case MASK_COUNT:
        break;
    }
    return true;
}

int64_t mask_row(const struct mask *mask, int64_t query, struct mask_range *range) {
    int64_t count = 0;
    for (int64_t i = 0; i < mask->piece_count; i++) { /* insertion sort: rows have few ranges */
        struct mask_range new = mask_piece_row(&mask->piece[i], query);
        if (new.begin >= new.end) continue;
        int64_t at = count++;
        for (; at > 0 && range[at - 1].begin > new.begin; at--) range[at] = range[at - 1];
        range[at] = new;
    }
    int64_t joined = 0;
    for (int64_t i = 1; i < count; i++)
        if (range[i].begin == range[joined].end)
            range[joined].end = range[i].end;
        else
            range[++joined] = range[i];
    return count > 0 ? joined + 1 : 0;
}
