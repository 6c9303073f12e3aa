/* mask.h: which keys a query sees.

   A mask is made from a recipe. It is held as a list of pieces, rectangles of (query range, key range) of which a
   `kind` keeps a part, the same for all heads; and, for masks that choose blocks, a grid of blocks with one bit a block
   for each of its heads. No pair of query and key lies in two pieces or in a piece and a block. Within a piece every
   query sees one contiguous range of keys whose ends never decrease from one query to the next, so that for a block of
   queries

     mask_piece_bounds   is all that any of them sees: key tiles outside it are absent,
     mask_piece_common   is what all of them see: key tiles inside it need no test,
     mask_piece_row      is the exact range of one query.

   Kernels walk a plan of tiles that is made from all of this: see tiles.h. An online softmax joins what a query sees;
   a query that sees nothing has output zero. All indices count tokens; ranges hold begin .. end - 1. */
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

#define MASK_WINDOW 1024 /* of a recipe that says nothing else */

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

/* What a mask is made from; mask_recipe fills in what most callers want. */
struct mask_recipe {
    enum mask_name name;
    int64_t queries, keys;  /* >= 1 */
    int64_t heads;          /* masks that choose blocks choose for so many key/value heads */
    int64_t window;         /* >= 0, in keys */
    int64_t globals;        /* >= 0, tokens that see and are seen by everything */
    int64_t stride;         /* >= 1 */
    int64_t block;          /* >= 1, tokens */
    int64_t kept;           /* 0 .. 100, percent of the blocks that a block of queries keeps, at least one */
    uint64_t seed;          /* of documents, prefixes and pooled scores */
    const char *path;       /* of the mask `file` */
};

/* Blocks of queries and of keys, and which see each other: block row r holds queries query_edge[r] ..
   query_edge[r + 1] - 1, likewise keys. Bit c % 64 of word [head][r][c / 64]. No rows: no grid. */
struct mask_grid {
    int64_t query_blocks, key_blocks, words;
    const int64_t *query_edge, *key_edge;
    const uint64_t *bits;
};
struct mask {
    enum mask_name name;
    int64_t queries, keys;
    int64_t window; /* for the sliding masks; else 0 */
    int64_t piece_count;
    const struct mask_piece *piece; /* by query_begin */
    int64_t heads;                  /* 1: every head has the same mask; else those of the grid */
    struct mask_grid grid;
    struct mask_recipe recipe;
    int64_t document_count;
    const int64_t *document; /* document_count + 1 positions where documents begin and the last ends; NULL: none */
    int64_t prefix;          /* of the prefix masks */
};

/* The defaults: window 1024 keys, 64 globals, stride 128, blocks of 128, 20 % kept, seed 1, one head, no path. */
struct mask_recipe mask_recipe(enum mask_name name, int64_t queries, int64_t keys);
/* NULL: out of memory, or a mask file that cannot be: one line in reason (REASON_SIZE bytes, see bench/device.h). */
struct mask *mask_make(const struct mask_recipe *recipe, char *reason);
/* The default recipe with another window. NULL: out of memory. */
struct mask *mask_new(enum mask_name name, int64_t queries, int64_t keys, int64_t window);
void mask_free(struct mask *mask);
/* Can the file be a mask? false: one line in reason with the file, the line's number and what is wrong there. */
bool mask_file_check(const char *path, char *reason);

/* Which of the mask's heads belongs to query head `head` of `heads` (a multiple of mask->heads). */
MASK_INLINE int64_t mask_head(int64_t mask_heads, int64_t head, int64_t heads) {
    return mask_heads > 1 ? head * mask_heads / heads : 0;
}
int64_t mask_area(const struct mask *mask); /* pairs allowed in all of mask->heads heads together, exactly */
/* One pair, by its definition; head is one of the mask's own. */
bool mask_allows(const struct mask *mask, int64_t head, int64_t query, int64_t key);
/* All that one query sees, as ascending ranges that do not touch; returns their number. range: room for
   mask_row_room ranges. */
int64_t mask_row(const struct mask *mask, int64_t head, int64_t query, struct mask_range *range);
int64_t mask_row_room(const struct mask *mask);

/* Masks that keep single keys all over a row, one every `stride` positions, beside others that stand together: the
   stride; 1: not such a mask. What a query sees then has two parts: keys that stand a multiple of the stride from the
   query, but not where it stands, and all others. */
enum mask_part { MASK_WHOLE, MASK_TOGETHER, MASK_APART };
int64_t mask_stride(const struct mask *mask);
/* mask_row of one part; parts are asked of masks with a stride. */
int64_t mask_part_row(const struct mask *mask, enum mask_part part, int64_t head, int64_t query,
                      struct mask_range *range);

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
