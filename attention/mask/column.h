/* column.h: a mask's pieces seen from the keys: which queries see a key. The backward pass needs it, where a tile of keys
   gathers from all the queries that see it.

   As a query's range of keys does, a key's range of queries never decreases from one key to the next at either end; so
   bounds and common of a block of keys are those of its first and last key. All ranges hold begin .. end - 1. */
#ifndef ATTENTION_MASK_COLUMN_H
#define ATTENTION_MASK_COLUMN_H

#include "mask.h"

/* The queries that see one key through a piece; empty where the piece does not hold the key. */
MASK_INLINE struct mask_range mask_piece_column(const struct mask_piece *piece, int64_t key) {
    struct mask_range range = {piece->query_begin, piece->query_end};
    if (key < piece->key_begin || key >= piece->key_end) {
        range.end = range.begin;
        return range;
    }
    if (piece->kind == MASK_KIND_CAUSAL || piece->kind == MASK_KIND_BAND) {
        int64_t begin = piece->query_end - (piece->key_end - key);
        range.begin = begin > piece->query_begin ? begin : piece->query_begin;
    }
    if (piece->kind == MASK_KIND_INVERSE_CAUSAL || piece->kind == MASK_KIND_BAND) {
        int64_t end = piece->query_begin + (key - piece->key_begin) + 1;
        if (end < range.end) range.end = end > range.begin ? end : range.begin;
    }
    return range;
}

/* What sees any of the keys key_begin .. key_end - 1 through a piece. */
MASK_INLINE struct mask_range mask_piece_column_bounds(const struct mask_piece *piece, int64_t key_begin,
                                                       int64_t key_end) {
    int64_t first = key_begin > piece->key_begin ? key_begin : piece->key_begin;
    int64_t last = (key_end < piece->key_end ? key_end : piece->key_end) - 1;
    struct mask_range range = {piece->query_begin, piece->query_begin};
    if (first > last) return range;
    range.begin = mask_piece_column(piece, first).begin;
    range.end = mask_piece_column(piece, last).end;
    return range;
}

/* What sees all of the keys key_begin .. key_end - 1 through a piece; empty where it does not hold them all. */
MASK_INLINE struct mask_range mask_piece_column_common(const struct mask_piece *piece, int64_t key_begin,
                                                       int64_t key_end) {
    struct mask_range range = mask_piece_column(piece, key_end - 1);
    range.end = mask_piece_column(piece, key_begin).end;
    if (key_begin < piece->key_begin || key_end > piece->key_end) range.end = range.begin;
    return range;
}

#endif
