/* quantize.h: operands in fp8 with scales by block, for C and for .cu files.

   A block of ATTENTION_SCALE_BLOCK tokens of one head has one scale, the smallest power of two that cuts nothing off:
   what is not a power of two would gain half a binade of range, and no accuracy. Queries and keys are rotated before:
   each row is multiplied by the same orthogonal matrix, a Hadamard matrix after random signs, which leaves their
   products as they are and spreads an outlier over the whole row ("incoherent processing", arXiv 2407.08608, 3.3). A
   model does that once, in the layer that makes queries and keys, and so do we: before anything is timed. Where
   head_dim is no power of two, the matrix is block diagonal, with blocks of the largest power of two in it. */
#ifndef ATTENTION_QUANTIZE_H
#define ATTENTION_QUANTIZE_H

#include "bench/random.h"

enum { QUANTIZE_SIGN_STREAM = 400 };
#define QUANTIZE_LARGEST 448.0f /* of e4m3 */

RANDOM_INLINE void quantize_rotate(float *row, int head_dim, uint64_t seed) {
    int width = head_dim & -head_dim;
    float norm = 1 / sqrtf((float)width);
    for (int d = 0; d < head_dim; d++)
        row[d] *= random_bits(seed, QUANTIZE_SIGN_STREAM, (uint64_t)d) >> 63 ? -norm : norm;
    for (int step = 1; step < width; step *= 2)
        for (int d = 0; d < head_dim; d++) {
            if (d & step) continue;
            float low = row[d], high = row[d + step];
            row[d] = low + high;
            row[d + step] = low - high;
        }
}

RANDOM_INLINE float quantize_scale(float largest) {
    int exponent;
    float share = frexpf(largest / QUANTIZE_LARGEST, &exponent); /* 0.5 is a power of two itself */
    return largest > 0 ? ldexpf(1, share > 0.5f ? exponent : exponent - 1) : 1;
}

#endif
