/* build.h: what the files that make masks share. */
#ifndef ATTENTION_MASK_BUILD_H
#define ATTENTION_MASK_BUILD_H

#include <stddef.h>

#include "mask.h"

/* Streams of the seeded draws. */
enum mask_stream { MASK_STREAM_DOCUMENT = 101, MASK_STREAM_PREFIX, MASK_STREAM_BLOCK, MASK_STREAM_QUERY,
                   MASK_STREAM_KEY, MASK_STREAM_RANDOM };

enum { MASK_BLOCK_DOCUMENT = 1024, MASK_DILATION = 2, MASK_BIGBIRD_BLOCK = 64, MASK_REGIONS = 49 };
#define MASK_ALL (INT64_MAX / 4) /* a window without an end */

/* Grows; `failed` after the first allocation that does not succeed, and then nothing is added any more. */
struct mask_pieces {
    struct mask_piece *piece;
    int64_t count, room;
    bool failed;
};
void mask_pieces_add(struct mask_pieces *pieces, struct mask_piece piece);

/* Pieces of the masks that are the same for all heads; mask->recipe, document and prefix are there. */
void mask_static_pieces(const struct mask *mask, struct mask_pieces *pieces);
/* Does the definition of a mask without a grid allow the pair? */
bool mask_static_allows(const struct mask *mask, int64_t query, int64_t key);

/* Draws mask->document and mask->prefix where the mask has them. false: out of memory. */
bool mask_draw(struct mask *mask);
/* The document, or the block, that holds the position: edge[i] <= position < edge[i + 1]. */
int64_t mask_find(const int64_t *edge, int64_t count, int64_t position);

/* Makes mask->grid and mask->heads where the mask has a grid. false: out of memory. */
bool mask_choose_blocks(struct mask *mask);
bool mask_grid_allows(const struct mask *mask, int64_t head, int64_t query, int64_t key);

/* Reads pieces from recipe->path. false: a line in reason. */
bool mask_read(const struct mask_recipe *recipe, struct mask_pieces *pieces, char *reason);

static inline int64_t mask_least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t mask_most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

#endif
