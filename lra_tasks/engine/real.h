/* real.h: the engine's number format. It is single precision; a test that includes the engine's sources after defining
   ENGINE_FP64 gets the same sources in double, where central differences have digits to spare. */
#ifndef LRA_TASKS_REAL_H
#define LRA_TASKS_REAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "bench/blas.h"

#ifdef ENGINE_FP64
#define real double
#define engine_gemm blas_gemm_fp64
#define engine_exp exp
#define engine_log log
#define engine_sqrt sqrt
#else
#define real float
#define engine_gemm blas_gemm_fp32
#define engine_exp exp_fp32
#define engine_log logf
#define engine_sqrt sqrtf
#endif

/* exp to about one unit in the last place, in a form that compilers vectorize: they do so with the library's own only
   under -ffast-math, which we do not want. x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) by its Taylor polynomial, 2^n by
   its bit pattern; adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. Results below the smallest
   normal number are that number, results above the largest are about 2^127; NaN stays NaN. */
static inline float exp_fp32(float x) {
    const float shift = 0x1.8p23f;
    x = x < -87.33654f ? -87.33654f : x;
    x = x > 88.37626f ? 88.37626f : x;
    float shifted = x * 1.442695041f + shift, n = shifted - shift;
    float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

#endif
