/* text.h: a growing piece of text, and a field of RFC 4180. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>

struct text {
    char *data; /* ended by a zero; NULL: empty */
    size_t length, size;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_field(struct text *text, const char *value); /* quoted where a comma, quote or line end demands it */
void text_release(struct text *text);
#endif
