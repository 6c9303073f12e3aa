/* quantize.h: operands in fp8 with scales by block or by token, for C and for .cu files.

   By block: ATTENTION_SCALE_BLOCK tokens of one head have one scale, the smallest power of two that cuts nothing off:
   what is not a power of two would gain half a binade of range, and no accuracy.
   By token: a token takes, between its block's power of two and the next one, the scale with which it is rounded best,
   of QUANTIZE_CHOICES. The errors of its few elements depend on where they lie in their binades; the best choice has a
   sixth less of them. What is kept as the scale then differs from it by so much, some 0.1 %, that the token's product
   with itself is right: the error is at right angles to the token, and leaves the scores of those that are like it
   alone, which are the largest.
   Queries and keys are rotated before: each row is multiplied by the same orthogonal matrix, a Hadamard matrix after
   random signs, which leaves their products as they are and spreads an outlier over the whole row ("incoherent
   processing", arXiv 2407.08608, 3.3). A model does all that once, in the layer that makes queries and keys, and so do
   we: before anything is timed. Where head_dim is no power of two, the matrix is block diagonal, with blocks of the
   largest power of two in it.

   NOTES. operand_rmse with outliers, head_dim 128, full mask, over 8k and 16k keys, in 1e-3, by block, by token.
   Queries rounded alone: 6.1 and 6.0, 4.2 and 4.5; keys: 5.3 and 7.2, 4.8 and 5.2; values: 6.6 and 6.9, 5.3 and 5.7; all of
   them: 10.5 and 12.1, 8.1 and 8.4. Elements rounded to the other side, where that takes the error out of the
   directions of a token's largest channels: queries 3.2 and 3.0, keys no better; not kept. */
#ifndef ATTENTION_QUANTIZE_H
#define ATTENTION_QUANTIZE_H

#include "bench/random.h"

enum { QUANTIZE_SIGN_STREAM = 400, QUANTIZE_CHOICES = 32, QUANTIZE_SMALLEST = -6 };
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

/* The e4m3 number next to one of at most QUANTIZE_LARGEST. */
RANDOM_INLINE float quantize_round(float value) {
    float magnitude = fabsf(value);
    int exponent = ilogbf(magnitude);
    float even = ldexpf(1, (exponent > QUANTIZE_SMALLEST ? exponent : QUANTIZE_SMALLEST) + 20); /* 23 - 3 bits */
    return copysignf(magnitude + even - even, value);
}

/* The scale of a token whose block has the power of two `least`; *divisor: what it is to be divided by before it is
   rounded. */
RANDOM_INLINE float quantize_token(const float *row, int head_dim, float least, float *divisor) {
    float smallest = INFINITY, square = 0, product = 0;
    *divisor = least;
    for (int choice = 0; choice < QUANTIZE_CHOICES; choice++) {
        float scale = least * (1 + (float)choice / (float)QUANTIZE_CHOICES), error = 0;
        for (int d = 0; d < head_dim; d++) {
            float off = quantize_round(row[d] / scale) * scale - row[d];
            error += off * off;
        }
        if (!(error < smallest)) continue;
        smallest = error;
        *divisor = scale;
    }
    for (int d = 0; d < head_dim; d++) {
        square += row[d] * row[d];
        product += row[d] * quantize_round(row[d] / *divisor);
    }
    return product > 0 ? square / product : least;
}

#endif
