/* mask.h: which keys a query sees.

   A mask is a list of pieces, rectangles of (query range, key range) of which a `kind` keeps a part; no pair of query
   and key lies in two pieces. Kernels walk the pieces: within a piece every query sees one contiguous range of keys
   whose ends never decrease from one query to the next, so that for a block of queries

     mask_piece_bounds   is all that any of them sees: key tiles outside it are absent,
     mask_piece_common   is what all of them see: key tiles inside it need no test,
     mask_piece_row      is the exact range of one query, for the tiles between.

   An online softmax joins the pieces; a query that no piece holds sees nothing, and its output is zero.
   All indices count tokens; ranges hold begin .. end - 1. */
#ifndef ATTENTION_MASK_H
#define ATTENTION_MASK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __CUDACC__
#define MASK_INLINE static inline __host__ __device__
#else
#define MASK_INLINE static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MASK_WINDOW 1024 /* keys before its own that a query of a sliding mask sees */
#define MASK_TEXT(number) MASK_TEXT_OF(number)
#define MASK_TEXT_OF(number) #number

enum mask_name {
#define MASK(identifier, meaning) MASK_##identifier,
#include "mask.def"
#undef MASK
    MASK_COUNT
};
extern const char *const mask_words[MASK_COUNT + 1]; /* ended by NULL: fit for axis.words */
extern const char mask_help[];                       /* one line that explains every name */

enum mask_kind {
    MASK_KIND_FULL,
    MASK_KIND_CAUSAL,         /* aligned bottom right: the last query sees up to the last key */
    MASK_KIND_INVERSE_CAUSAL, /* aligned top left: the first query sees from the first key on */
    MASK_KIND_BAND            /* both */
};
struct mask_piece {
    int64_t query_begin, query_end, key_begin, key_end;
    enum mask_kind kind;
};
struct mask_range {
    int64_t begin, end; /* empty if begin >= end */
};
struct mask {
    enum mask_name name;
    int64_t queries, keys;
    int64_t window; /* for the sliding masks; else 0 */
    int64_t piece_count;
    const struct mask_piece *piece;
};

/* queries, keys >= 1; window >= 0 counts for the sliding masks only. NULL: out of memory. */
struct mask *mask_new(enum mask_name name, int64_t queries, int64_t keys, int64_t window);
void mask_free(struct mask *mask);

int64_t mask_area(const struct mask *mask);                            /* pairs allowed, exactly */
bool mask_allows(const struct mask *mask, int64_t query, int64_t key); /* one pair, by its definition */
/* All that one query sees, as ascending ranges that do not touch; returns their number. range: room for piece_count. */
int64_t mask_row(const struct mask *mask, int64_t query, struct mask_range *range);

/* The keys that one query sees through a piece; empty where the piece does not hold the query. */
MASK_INLINE struct mask_range mask_piece_row(const struct mask_piece *piece, int64_t query) {
    struct mask_range range = {piece->key_begin, piece->key_end};
    if (query < piece->query_begin || query >= piece->query_end) {
        range.end = range.begin;
        return range;
    }
    if (piece->kind == MASK_KIND_CAUSAL || piece->kind == MASK_KIND_BAND) {
        int64_t end = piece->key_end - (piece->query_end - 1 - query);
        range.end = end > piece->key_begin ? end : piece->key_begin;
    }
    if (piece->kind == MASK_KIND_INVERSE_CAUSAL || piece->kind == MASK_KIND_BAND) {
        int64_t begin = piece->key_begin + (query - piece->query_begin);
        range.begin = begin < range.end ? begin : range.end;
    }
    return range;
}

/* What any of the queries query_begin .. query_end - 1 sees through a piece. */
MASK_INLINE struct mask_range mask_piece_bounds(const struct mask_piece *piece, int64_t query_begin,
                                                int64_t query_end) {
    int64_t first = query_begin > piece->query_begin ? query_begin : piece->query_begin;
    int64_t last = (query_end < piece->query_end ? query_end : piece->query_end) - 1;
    struct mask_range range = {piece->key_begin, piece->key_begin};
    if (first > last) return range;
    range.begin = mask_piece_row(piece, first).begin;
    range.end = mask_piece_row(piece, last).end;
    return range;
}

/* What all of the queries query_begin .. query_end - 1 see through a piece; empty where it does not hold them all. */
MASK_INLINE struct mask_range mask_piece_common(const struct mask_piece *piece, int64_t query_begin,
                                                int64_t query_end) {
    struct mask_range range = mask_piece_row(piece, query_end - 1);
    range.end = mask_piece_row(piece, query_begin).end;
    if (query_begin < piece->query_begin || query_end > piece->query_end) range.end = range.begin;
    return range;
}

#ifdef __cplusplus
}
#endif
#endif
