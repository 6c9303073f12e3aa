/* vector.h: fp32 vectors as wide as the processor's registers, in GNU C, and the exponential that attention needs.
   GCC and Clang compile these types for any processor; the widths below are those it has registers for. */
#ifndef ATTENTION_VECTOR_H
#define ATTENTION_VECTOR_H

#include <stdint.h>
#include <string.h>

/* REGISTER_ROWS x 3 accumulators, 3 operands and a broadcast must fit the vector registers: 32 with AVX-512, else 16 at
   least. */
#if defined __AVX512F__
enum { VECTOR_BYTES = 64, REGISTER_ROWS = 8 };
#elif defined __AVX__
enum { VECTOR_BYTES = 32, REGISTER_ROWS = 4 };
#else
enum { VECTOR_BYTES = 16, REGISTER_ROWS = 4 };
#endif
enum { LANES = VECTOR_BYTES / sizeof(float) };

typedef float vector_float __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vector_int __attribute__((vector_size(VECTOR_BYTES)));

/* x - 0 is x for every x, so that this becomes one broadcast; 0 + x is not (-0), and would be an addition as well. */
static inline vector_float vector_splat(float x) {
    return x - (vector_float){0};
}

/* From and to addresses that need no alignment. */
static inline vector_float vector_load(const float *address) {
    vector_float x;
    memcpy(&x, address, sizeof(x));
    return x;
}
static inline void vector_store(float *address, vector_float x) {
    memcpy(address, &x, sizeof(x));
}

/* b where b > a, else a: a NaN in a stays, one in b is dropped, as the machine's maximum does it. */
static inline vector_float vector_larger(vector_float a, vector_float b) {
    vector_float larger;
    for (int i = 0; i < LANES; i++) larger[i] = b[i] > a[i] ? b[i] : a[i];
    return larger;
}

/* a where the mask's lane is -1, b where it is 0. */
static inline vector_float vector_select(vector_int mask, vector_float a, vector_float b) {
    return (vector_float)(((vector_int)a & mask) | ((vector_int)b & ~mask));
}

/* bf16 to and from fp32: to the nearest, ties to even; NaN stays NaN. */
static inline float vector_from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}
static inline uint16_t vector_to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* 2^x for x <= 0 (it holds up to 127): relative error below 2.4e-7 from -126 up; exactly 0 from -127 down, so also for
   -infinity; NaN for NaN.
   x = n + f with |f| <= 1/2, n = round(x). 2^f is a polynomial of degree 5, the best one in relative error (7.5e-8,
   found by Remez exchange). Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits; with the
   exponent's bias added too, those bits shifted up are 2^n. */
static inline vector_float vector_exp2(vector_float x) {
    const float rounder = 0x1.8p23f + 127.0f;
    x = vector_larger(x, vector_splat(-127.0f));
    vector_float shifted = x + rounder;
    vector_float f = x - (shifted - rounder);
    vector_float power = (vector_float)((vector_int)shifted << 23);
    vector_float sum = f * 0x1.5c08e6p-10f + 0x1.3d0c52p-7f;
    sum = f * sum + 0x1.c6b6e4p-5f;
    sum = f * sum + 0x1.ebf918p-3f;
    sum = f * sum + 0x1.62e428p-1f;
    sum = f * sum + 0x1.000002p+0f;
    return sum * power;
}

#endif
