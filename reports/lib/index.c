#include "index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct index_slot {
    const char *key; /* NULL: free */
    uint64_t hash;
    size_t number;
};

static uint64_t hash_of(const char *key) { /* FNV-1a */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *c = (const unsigned char *)key; *c != 0; c++)
        hash = (hash ^ *c) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

/* The slot that holds key, or the free one where it belongs. */
static struct index_slot *slot_of(struct index_slot *slots, size_t slot_count, const char *key, uint64_t hash) {
    for (size_t i = hash & (slot_count - 1);; i = (i + 1) & (slot_count - 1))
        if (slots[i].key == NULL || (slots[i].hash == hash && strcmp(slots[i].key, key) == 0)) return &slots[i];
}

static void grow(struct index *index) {
    size_t slot_count = index->slot_count > 0 ? index->slot_count * 2 : 64;
    struct index_slot *slots = array_zeroed(slot_count, sizeof *slots);
    for (size_t i = 0; i < index->slot_count; i++)
        if (index->slots[i].key != NULL)
            *slot_of(slots, slot_count, index->slots[i].key, index->slots[i].hash) = index->slots[i];
    free(index->slots);
    index->slots = slots;
    index->slot_count = slot_count;
}

long index_find(const struct index *index, const char *key) {
    if (index->slot_count == 0) return INDEX_NONE;
    const struct index_slot *slot = slot_of(index->slots, index->slot_count, key, hash_of(key));
    return slot->key != NULL ? (long)slot->number : INDEX_NONE;
}

size_t index_add(struct index *index, const char *key, int *added) {
    if (index->count * 2 >= index->slot_count) grow(index);
    uint64_t hash = hash_of(key);
    struct index_slot *slot = slot_of(index->slots, index->slot_count, key, hash);
    if (added != NULL) *added = slot->key == NULL;
    if (slot->key == NULL) *slot = (struct index_slot){pool_copy(&index->pool, key, strlen(key)), hash, index->count++};
    return slot->number;
}

void index_release(struct index *index) {
    free(index->slots);
    pool_release(&index->pool);
    *index = (struct index){0};
}
