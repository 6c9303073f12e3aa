/* index.h: from a string to a number: a hash table. */
#ifndef REPORTS_INDEX_H
#define REPORTS_INDEX_H

#include <stddef.h>

#include "pool.h"

/* Start from {0}. The strings are copied. */
struct index {
    struct pool pool;
    struct index_slot *slots;
    size_t slot_count, count;
};
enum { INDEX_NONE = -1 };
long index_find(const struct index *index, const char *key); /* INDEX_NONE: not there */
/* The number of key; if it is new it gets count, count grows, and *added (if not NULL) is 1, otherwise 0. */
size_t index_add(struct index *index, const char *key, int *added);
void index_release(struct index *index);
#endif
