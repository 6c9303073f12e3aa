/* static.c: the masks that are the same for every head, twice: as disjoint pieces, and pair by pair as their papers
   define them. p is a query's position among the keys, query + keys - queries.

   Nearly all of them are unions of bands: keys max(begin, p - left) .. min(end - 1, p + right), with an end of the band
   cut at the edge of a document or of the sequence. Where nothing is cut the band is a BAND piece, where its left end
   is cut a CAUSAL one, where its right end is an INVERSE_CAUSAL one, and FULL where both are. */
#include <math.h>

#include "build.h"

/* The band of queries that stand at positions begin .. end - 1. */
struct band {
    int64_t begin, end;          /* positions of queries */
    int64_t left, right;         /* keys p - left .. p + right, left >= -right */
    int64_t key_begin, key_end;  /* but only of these */
};

static void add_band(struct mask_pieces *pieces, const struct mask *mask, struct band band) {
    int64_t offset = mask->keys - mask->queries;
    band.key_begin = mask_most(band.key_begin, 0);
    band.key_end = mask_least(band.key_end, mask->keys);
    if (band.key_begin >= band.key_end) return;
    int64_t first = mask_most(mask_most(band.begin, offset), band.key_begin - band.right); /* that sees any key */
    int64_t last = mask_least(mask_least(band.end, mask->keys), band.key_end + band.left);
    int64_t whole_left = band.key_begin + band.left, cut_right = band.key_end - band.right;
    for (int64_t begin = first, end; begin < last; begin = end) {
        bool left_cut = begin < whole_left, right_cut = begin >= cut_right;
        end = last;
        if (left_cut) end = mask_least(end, whole_left);
        if (!right_cut) end = mask_least(end, cut_right);
        struct mask_piece piece = {begin - offset, end - offset,
                                   left_cut ? band.key_begin : begin - band.left,
                                   right_cut ? band.key_end : end + band.right,
                                   left_cut ? (right_cut ? MASK_KIND_FULL : MASK_KIND_CAUSAL)
                                            : (right_cut ? MASK_KIND_INVERSE_CAUSAL : MASK_KIND_BAND)};
        mask_pieces_add(pieces, piece);
    }
}

/* All of a key range for all of a range of positions. */
static void add_rectangle(struct mask_pieces *pieces, const struct mask *mask, int64_t begin, int64_t end,
                          int64_t key_begin, int64_t key_end) {
    add_band(pieces, mask, (struct band){begin, end, MASK_ALL, MASK_ALL, key_begin, key_end});
}

static void add_documents(struct mask_pieces *pieces, const struct mask *mask) {
    enum mask_name name = mask->name;
    const int64_t *edge = mask->document;
    int64_t keys = mask->keys;
    for (int64_t i = 0; i < mask->document_count; i++) {
        int64_t begin = edge[i], end = edge[i + 1];
        int64_t prefix = mask_least(end, begin + (name == MASK_prefix_document ? mask->prefix : 0));
        if (name == MASK_full_document) {
            add_rectangle(pieces, mask, begin, end, begin, end);
        } else if (name == MASK_block_document) {
            for (int64_t block = begin; block < end; block += MASK_BLOCK_DOCUMENT) {
                int64_t after = mask_least(end, block + MASK_BLOCK_DOCUMENT);
                add_rectangle(pieces, mask, block, after, begin, after);
            }
        } else if (name == MASK_causal_blockwise && i == mask->document_count - 1) {
            add_band(pieces, mask, (struct band){begin, end, MASK_ALL, 0, 0, keys});
        } else {
            if (name == MASK_shared_question && i > 0) add_rectangle(pieces, mask, begin, end, 0, edge[1]);
            add_rectangle(pieces, mask, begin, end, begin, prefix);
            add_band(pieces, mask, (struct band){begin, end, MASK_ALL, 0, prefix, end});
        }
    }
}

/* Position of global token i of `count`, spread evenly. */
static int64_t global_position(const struct mask *mask, int64_t i, int64_t count) {
    return i * mask->keys / count;
}

static int64_t global_count(const struct mask *mask) {
    return mask_least(mask->recipe.globals, mask->keys);
}

/* Between two global tokens there are ordinary queries: the band, and the global keys outside the band. */
static void add_longformer(struct mask_pieces *pieces, const struct mask *mask) {
    int64_t count = global_count(mask), half = mask->recipe.window / 2, keys = mask->keys;
    if (count == 0) add_band(pieces, mask, (struct band){0, keys, half, half, 0, keys});
    for (int64_t i = 0; i < count; i++) {
        int64_t here = global_position(mask, i, count), next = global_position(mask, i + 1, count);
        add_rectangle(pieces, mask, here, here + 1, 0, keys);
        add_band(pieces, mask, (struct band){here + 1, next, half, half, 0, keys});
        for (int64_t j = 0; j < count; j++) {
            int64_t key = global_position(mask, j, count);
            add_rectangle(pieces, mask, here + 1, mask_least(next, key - half), key, key + 1);
            add_rectangle(pieces, mask, mask_most(here + 1, key + half + 1), next, key, key + 1);
        }
    }
}

/* Stretches of `stride` positions: a query sees its own up to itself, and the summary of those before. */
static void add_fixed(struct mask_pieces *pieces, const struct mask *mask) {
    int64_t stride = mask->recipe.stride, summary = mask_most(1, stride / 4);
    for (int64_t begin = 0; begin < mask->keys; begin += stride) {
        int64_t end = begin + stride;
        add_band(pieces, mask, (struct band){begin, end, MASK_ALL, 0, begin, end});
        add_rectangle(pieces, mask, end, mask->keys, end - summary, end);
    }
}

static int64_t grid_side(const struct mask *mask) {
    return mask_most(1, llround(sqrt((double)mask->keys)));
}

int64_t mask_stride(const struct mask *mask) {
    if (mask->name == MASK_strided) return mask->recipe.stride;
    return mask->name == MASK_axial ? grid_side(mask) : 1;
}

static void add_axial(struct mask_pieces *pieces, const struct mask *mask) {
    int64_t side = grid_side(mask), keys = mask->keys;
    for (int64_t row = 0; row < keys; row += side) add_rectangle(pieces, mask, row, row + side, row, row + side);
    for (int64_t distance = side; distance < keys; distance += side) {
        add_band(pieces, mask, (struct band){0, keys, distance, -distance, 0, keys});
        add_band(pieces, mask, (struct band){0, keys, -distance, distance, 0, keys});
    }
}

static void add_strided(struct mask_pieces *pieces, const struct mask *mask) {
    int64_t stride = mask->recipe.stride, keys = mask->keys;
    add_band(pieces, mask, (struct band){0, keys, stride, 0, 0, keys});
    for (int64_t distance = 2 * stride; distance < keys; distance += stride)
        add_band(pieces, mask, (struct band){0, keys, distance, -distance, 0, keys});
}

static void add_dilated(struct mask_pieces *pieces, const struct mask *mask) {
    int64_t reach = mask_least(mask->recipe.window, mask->keys) / MASK_DILATION * MASK_DILATION;
    for (int64_t distance = -reach; distance <= reach; distance += MASK_DILATION)
        add_band(pieces, mask, (struct band){0, mask->keys, distance, -distance, 0, mask->keys});
}

void mask_static_pieces(const struct mask *mask, struct mask_pieces *pieces) {
    int64_t keys = mask->keys, window = mask->recipe.window, globals = mask_least(mask->recipe.globals, keys);
    switch (mask->name) {
    case MASK_full: /* even queries in front of every key */
        mask_pieces_add(pieces, (struct mask_piece){0, mask->queries, 0, keys, MASK_KIND_FULL});
        return;
    case MASK_causal:
        add_band(pieces, mask, (struct band){0, keys, MASK_ALL, 0, 0, keys});
        return;
    case MASK_full_sliding:
        add_band(pieces, mask, (struct band){0, keys, window, window, 0, keys});
        return;
    case MASK_causal_sliding:
        add_band(pieces, mask, (struct band){0, keys, window, 0, 0, keys});
        return;
    case MASK_prefix_causal:
        add_rectangle(pieces, mask, 0, keys, 0, mask->prefix);
        add_band(pieces, mask, (struct band){0, keys, MASK_ALL, 0, mask->prefix, keys});
        return;
    case MASK_global_sliding:
        add_rectangle(pieces, mask, 0, globals, 0, keys);
        add_rectangle(pieces, mask, globals, keys, 0, globals);
        add_band(pieces, mask, (struct band){globals, keys, window, window, globals, keys});
        return;
    case MASK_lambda:
        add_band(pieces, mask, (struct band){0, keys, MASK_ALL, 0, 0, globals});
        add_band(pieces, mask, (struct band){0, keys, window, 0, globals, keys});
        return;
    case MASK_longformer:
        add_longformer(pieces, mask);
        return;
    case MASK_strided:
        add_strided(pieces, mask);
        return;
    case MASK_fixed:
        add_fixed(pieces, mask);
        return;
    case MASK_dilated_band:
        add_dilated(pieces, mask);
        return;
    case MASK_axial:
        add_axial(pieces, mask);
        return;
    case MASK_landmark_blocks:
    case MASK_hierarchical_blocks: /* the blocks before are the grid's */
        for (int64_t begin = 0; begin < keys; begin += mask->recipe.block)
            add_band(pieces, mask, (struct band){begin, begin + mask->recipe.block, MASK_ALL, 0, begin, keys});
        return;
    default:
        if (mask->document) add_documents(pieces, mask);
    }
}

static bool document_allows(const struct mask *mask, int64_t position, int64_t key) {
    int64_t own = mask_find(mask->document, mask->document_count, position), begin = mask->document[own];
    bool causal = key <= position, inside = key >= begin && key < mask->document[own + 1];
    switch (mask->name) {
    case MASK_full_document:
        return inside;
    case MASK_shared_question:
        return (own > 0 && key < mask->document[1]) || (inside && causal);
    case MASK_causal_blockwise:
        return causal && (inside || own == mask->document_count - 1);
    case MASK_prefix_document:
        return inside && (causal || key < begin + mask->prefix);
    case MASK_block_document:
        return inside && (key - begin) / MASK_BLOCK_DOCUMENT <= (position - begin) / MASK_BLOCK_DOCUMENT;
    default:
        return inside && causal;
    }
}

static bool is_global(const struct mask *mask, int64_t position) {
    int64_t count = global_count(mask), i = count ? position * count / mask->keys : 0;
    for (int64_t j = i; count && j <= i + 1 && j < count; j++)
        if (global_position(mask, j, count) == position) return true;
    return false;
}

bool mask_static_allows(const struct mask *mask, int64_t query, int64_t key) {
    const struct mask_recipe *recipe = &mask->recipe;
    int64_t position = query + mask->keys - mask->queries, behind = position - key;
    int64_t distance = behind < 0 ? -behind : behind, side = grid_side(mask);
    if (mask->name == MASK_full) return true;
    if (position < 0) return false;
    switch (mask->name) {
    case MASK_causal:
        return behind >= 0;
    case MASK_full_sliding:
        return distance <= recipe->window;
    case MASK_causal_sliding:
        return behind >= 0 && behind <= recipe->window;
    case MASK_prefix_causal:
        return behind >= 0 || key < mask->prefix;
    case MASK_global_sliding:
        return distance <= recipe->window || position < recipe->globals || key < recipe->globals;
    case MASK_lambda:
        return behind >= 0 && (behind <= recipe->window || key < recipe->globals);
    case MASK_longformer:
        return distance <= recipe->window / 2 || is_global(mask, position) || is_global(mask, key);
    case MASK_strided:
        return behind >= 0 && (behind <= recipe->stride || behind % recipe->stride == 0);
    case MASK_fixed:
        return behind >= 0 && (key / recipe->stride == position / recipe->stride ||
                               key % recipe->stride >= recipe->stride - mask_most(1, recipe->stride / 4));
    case MASK_dilated_band:
        return distance <= recipe->window && distance % MASK_DILATION == 0;
    case MASK_axial:
        return key / side == position / side || key % side == position % side;
    case MASK_landmark_blocks:
    case MASK_hierarchical_blocks:
        return behind >= 0 && key / recipe->block == position / recipe->block;
    default:
        return mask->document && document_allows(mask, position, key);
    }
}
