/* documents.c: seeded lengths of packed documents, and of prefixes.

   Lengths follow a Pareto distribution, minimum 148 tokens and exponent 0.92: half of all documents are shorter than
   148 * 2^(1 / 0.92) = 314 tokens, and the tail is so long that the longest document takes a large part of any
   sequence, as in the collections that long-context models are trained on: a causal document mask keeps about a tenth
   of the square. The last document is cut where the sequence ends. */
#include <math.h>
#include <stdlib.h>

#include "bench/random.h"
#include "build.h"

enum { DOCUMENT_LEAST = 148, BLOCKS_MOST = 8 };
#define DOCUMENT_EXPONENT 0.92

static int64_t draw_length(const struct mask *mask, uint64_t index) {
    double u = 1 - random_uniform(mask->recipe.seed, MASK_STREAM_DOCUMENT, index); /* (0, 1] */
    int64_t blocks = 1 + mask_least(BLOCKS_MOST - 1, (int64_t)(u * BLOCKS_MOST));
    if (mask->name == MASK_block_document) return MASK_BLOCK_DOCUMENT * blocks;
    double length = DOCUMENT_LEAST * pow(u, -1 / DOCUMENT_EXPONENT);
    return length < (double)mask->keys ? (int64_t)length : mask->keys;
}

static bool draw_documents(struct mask *mask) {
    int64_t least = mask->name == MASK_block_document ? MASK_BLOCK_DOCUMENT : DOCUMENT_LEAST;
    int64_t *edge = calloc((size_t)(mask->keys / least + 2), sizeof(*edge)), count = 0;
    mask->document = edge;
    if (!edge) return false;
    for (int64_t position = 0; position < mask->keys; edge[++count] = position)
        position = mask_least(mask->keys, position + draw_length(mask, (uint64_t)count));
    mask->document_count = count;
    return true;
}

static int64_t draw_prefix(const struct mask *mask, int64_t most) {
    return 1 + (int64_t)(random_uniform(mask->recipe.seed, MASK_STREAM_PREFIX, 0) * (double)most);
}

bool mask_draw(struct mask *mask) {
    switch (mask->name) {
    case MASK_prefix_causal:
        mask->prefix = draw_prefix(mask, mask->keys);
        return true;
    case MASK_full_document:
    case MASK_causal_document:
    case MASK_shared_question:
    case MASK_causal_blockwise:
    case MASK_prefix_document:
    case MASK_block_document:
        if (!draw_documents(mask)) return false;
        if (mask->name == MASK_prefix_document) mask->prefix = draw_prefix(mask, mask->document[1]);
        return true;
    default:
        return true;
    }
}

int64_t mask_find(const int64_t *edge, int64_t count, int64_t position) {
    int64_t low = 0, high = count; /* edge[low] <= position < edge[high] */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (edge[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}
