/* tensor_copy.h (of the program): what both halves of tensor_copy know. */
#ifndef KERNELS_TENSOR_COPY_H
#define KERNELS_TENSOR_COPY_H

#include "kernels/lib/linear_data.h"

enum { AXIS_RANK, AXIS_BOX, AXIS_BLOCKS, AXIS_BYTES };
enum { COPY_RANKS_MOST = 5, BOX_LEAST = 512, BOX_MOST = 32768, BOX_EXTENT_MOST = 256, LATENCY_BYTES = 1 << 20 };
/* The array is gone through so often in one launch. */
enum { THROUGHPUT_ROUNDS = 8 };

/* An array of 2^n words and its boxes, all powers of two: dimension d has 2^extent[d] words in it, of a box 2^box[d].
   Innermost first; dimensions above rank have one word. */
struct copy_shape {
    int rank, extent[COPY_RANKS_MOST], box[COPY_RANKS_MOST];
};

static inline int log2_of(int64_t value) {
    int bits = 0;
    while (INT64_C(1) << (bits + 1) <= value) bits++;
    return bits;
}

/* A box is 64 words wide where there are rows to share the rest, which the others then do evenly; boxes are dealt out
   to the dimensions in the same way. */
static inline struct copy_shape copy_shape_make(int rank, int64_t box_bytes, int64_t bytes) {
    struct copy_shape shape = {.rank = rank, .extent = {0}, .box = {0}};
    int box = log2_of(box_bytes / 4), boxes = log2_of(bytes) - log2_of(box_bytes);
    shape.box[0] = rank == 1 || box < 6 ? box : 6;
    for (int bit = shape.box[0]; bit < box; bit++) shape.box[1 + (bit - shape.box[0]) % (rank - 1)]++;
    for (int d = 0; d < rank; d++) shape.extent[d] = shape.box[d];
    for (int bit = 0; bit < boxes; bit++) shape.extent[bit % rank]++;
    return shape;
}

/* run->state */
struct copy_state {
    struct copy_shape shape;
    int64_t bytes;
    uint64_t factor;
    uint32_t sum, expected; /* of all words that were copied */
};

#endif
