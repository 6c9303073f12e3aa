/* number.h: figures as people read them. */
#ifndef REPORTS_NUMBER_H
#define REPORTS_NUMBER_H

#include "bench/text.h"

void number_value(struct text *text, double value);   /* four significant digits: 21.34, 1289, 3.2e-07, 12 400 000 */
void number_bytes(struct text *text, double bytes);   /* 512 B, 64 KiB, 1.5 GiB */
void number_percent(struct text *text, double share); /* 87 %, 0.42 % */
void number_share(struct text *text, double share);   /* the same, and 3.1x above 2 */
/* The unit that keeps figures up to `largest` above one, "GFLOP/s" for small TFLOP/s; *factor to multiply by. */
const char *number_unit(const char *unit, double largest, double *factor);
/* A value of the axis as a label: bytes as bytes, other numbers as they are, words as words. */
void number_axis(struct text *text, const char *axis, const char *value);
/* A tick label: bytes as bytes, otherwise 512, 1K, 64K, 2M (powers of 1024 where that is exact). */
void number_tick(struct text *text, const char *axis, double value);
int axis_is_bytes(const char *axis);
#endif
