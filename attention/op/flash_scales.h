/* flash_scales.h: fp8 operands as the flash kernel reads them. For C and for .cu files.

   Values come to it transposed, since the matrix instructions take 8-bit operands with the dimension that is summed
   over contiguous and in no other way: tiles of `keys` keys (a multiple of FLASH_VALUE_CHUNK) of one head after
   another, each as it will lie in shared memory, chunks of FLASH_VALUE_CHUNK keys, [chunk][head_dim][keys], swizzled
   over 64 bytes. Within sixteen keys their order is that in which a thread's four probabilities of a product's result
   become four neighbours of the next product's operand: nothing has to move between threads. */
#ifndef ATTENTION_FLASH_SCALES_H
#define ATTENTION_FLASH_SCALES_H

#include "attention.h"

#ifdef __CUDACC__
#define FLASH_INLINE static inline __host__ __device__
#else
#define FLASH_INLINE static inline
#endif

enum { FLASH_VALUE_CHUNK = 64, FLASH_SCALES_MAX = 4 };

/* The scales of one key tile, by blocks of ATTENTION_SCALE_BLOCK tokens. A probability p of block b leaves for the
   product as p 2^FLASH_PROBABILITY_SHIFT value_b / value, value the largest scale of the head. p is 1 for the largest
   score of a row's first key tile, and up to 28 for those after it, before the maximum rises: e4m3 ends at 448, and its
   smallest number is 13 binades below a p of 1. So the output has one unit from the first key to the last; with scales
   that are powers of two the probability of a key that stands alone stays exact. */
enum { FLASH_PROBABILITY_SHIFT = 4 };
struct flash_scales {
    float key[FLASH_SCALES_MAX];
    float shift[FLASH_SCALES_MAX];   /* log2 of what probabilities are multiplied by */
    float inverse[FLASH_SCALES_MAX]; /* 1 over it */
    float value;                     /* what the output is to be multiplied by: the same in a head */
    float unused[3];                 /* 64 bytes: the copy engine counts in 16 */
};

/* Where each token has a scale: floats of a key tile: those of `keys` keys; of their values, as shares of the largest
   of the head; that one, as what the output is to be multiplied by; and three more, to whole 16 bytes. They stand in
   the order of flash_key_at: a thread's four of sixteen keys are neighbours here, too. What leaves for the product is p
   2^FLASH_PROBABILITY_SHIFT times the share, and that is 16 where a row's first key tile has its largest. */
FLASH_INLINE int flash_token_scales_count(int keys) {
    return 2 * keys + 4;
}

/* The key, from the tile's first, that stands at a position of the order above. */
FLASH_INLINE int flash_key_at(int position) {
    return position / 16 * 16 + position % 4 / 2 * 8 + position % 16 / 4 * 2 + position % 2;
}
/* Where, in a tile, the byte of that position and element d of head_dim is. */
FLASH_INLINE int flash_value_byte(int head_dim, int position, int d) {
    return (position / FLASH_VALUE_CHUNK * head_dim + d) * FLASH_VALUE_CHUNK +
           (position % FLASH_VALUE_CHUNK ^ d / 2 % 4 * 16);
}

#endif
