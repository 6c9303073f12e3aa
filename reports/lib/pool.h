/* pool.h: strings and arrays that are freed together. Running out of memory ends the program with a message: there is
   no report or verdict to save. */
#ifndef REPORTS_POOL_H
#define REPORTS_POOL_H

#include <stddef.h>

/* Start from {0}. */
struct pool {
    struct pool_block *last;
};
void *pool_allocate(struct pool *pool, size_t bytes); /* zeroed, aligned for any type */
char *pool_copy(struct pool *pool, const char *bytes, size_t length);
char *pool_format(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pool_release(struct pool *pool);

/* Grows an array from malloc, of `size`-byte elements, so that index `count` exists; returns the array. */
void *array_grow(void *array, size_t count, size_t *capacity, size_t size);
void *array_zeroed(size_t count, size_t size); /* calloc */
#endif
