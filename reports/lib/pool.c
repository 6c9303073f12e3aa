#include "pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024 };

static void *memory_or_end(void *memory, size_t bytes) {
    if (memory != NULL) return memory;
    fprintf(stderr, "out of memory (%zu bytes)\n", bytes);
    exit(2);
}

struct pool_block {
    struct pool_block *previous;
    size_t used, size;
    max_align_t bytes[];
};

void *pool_allocate(struct pool *pool, size_t bytes) {
    size_t rounded = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (pool->last == NULL || pool->last->size - pool->last->used < rounded) {
        size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        struct pool_block *block = memory_or_end(calloc(1, sizeof *block + size), size);
        *block = (struct pool_block){.previous = pool->last, .size = size};
        pool->last = block;
    }
    void *memory = (char *)pool->last->bytes + pool->last->used;
    pool->last->used += rounded;
    return memory;
}

char *pool_copy(struct pool *pool, const char *bytes, size_t length) {
    char *copy = pool_allocate(pool, length + 1);
    memcpy(copy, bytes, length);
    return copy;
}

char *pool_format(struct pool *pool, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *copy = pool_allocate(pool, (size_t)(length > 0 ? length : 0) + 1);
    if (length > 0) vsnprintf(copy, (size_t)length + 1, format, again);
    va_end(again);
    return copy;
}

void pool_release(struct pool *pool) {
    while (pool->last != NULL) {
        struct pool_block *previous = pool->last->previous;
        free(pool->last);
        pool->last = previous;
    }
}

void *array_grow(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return array;
    *capacity = *capacity * 2 > 16 ? *capacity * 2 : 16;
    return memory_or_end(realloc(array, *capacity * size), *capacity * size);
}

void *array_zeroed(size_t count, size_t size) {
    return memory_or_end(calloc(count > 0 ? count : 1, size), count * size);
}
