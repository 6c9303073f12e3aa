/* dtype.h: number formats, their names and their conversions to and from double, in C.
   Conversions round to nearest, ties to even; overflow goes to infinity, or to the largest value in fp8_e4m3 and the
   integers (saturating, as the hardware converts); NaN stays NaN and becomes 0 in integers. */
#ifndef BENCH_DTYPE_H
#define BENCH_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dtype {
#define DTYPE(identifier, bytes, significand, integer) DTYPE_##identifier,
#include "dtype.def"
#undef DTYPE
    DTYPE_COUNT
};

extern const char *const dtype_names[DTYPE_COUNT + 1]; /* ended by NULL: fit for axis.words */

size_t dtype_size(enum dtype dtype);
bool dtype_is_integer(enum dtype dtype);
double dtype_epsilon(enum dtype dtype);                     /* 2^(1 - significand bits); 0 for integers */
bool dtype_parse(const char *word, enum dtype *dtype);      /* false: no such name */
double dtype_load(enum dtype dtype, const void *array, size_t index);
void dtype_store(enum dtype dtype, void *array, size_t index, double value); /* tf32: rounded, kept as fp32 */
/* The same for values[0..count-1] and elements first..first+count-1, vectorized. */
void dtype_load_row(enum dtype dtype, const void *array, size_t first, size_t count, double *values);
void dtype_store_row(enum dtype dtype, void *array, size_t first, size_t count, const double *values);

#ifdef __cplusplus
}
#endif
#endif
