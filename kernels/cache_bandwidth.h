/* cache_bandwidth.h: what both halves of cache_bandwidth know: the data, and what is made of them. */
#ifndef KERNELS_CACHE_BANDWIDTH_H
#define KERNELS_CACHE_BANDWIDTH_H

#include "bench/bench.h"
#include "bench/random.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_COPY };
enum { AXIS_ACCESS, AXIS_BYTES, AXIS_TEAM };
/* A footprint is a whole number of chunks: a device's block takes one in a step, sixteen bytes a thread. */
enum { CHUNK = 16384, CHUNK_WORDS = CHUNK / sizeof(uint32_t) };

/* Word w of the data is (w + seed) * factor, modulo 2^32: one to one over w, and sums of any stretch have a closed
   form. factor is 0 with --data zeros. */
struct cache_data {
    uint32_t seed, factor;
};

RANDOM_INLINE uint32_t cache_word(struct cache_data data, uint64_t word) {
    return ((uint32_t)word + data.seed) * data.factor;
}

/* The sum of the words of one chunk, modulo 2^32. */
RANDOM_INLINE uint32_t cache_chunk_sum(struct cache_data data, uint64_t chunk) {
    uint32_t first = (uint32_t)(chunk * CHUNK_WORDS) + data.seed;
    return data.factor * (CHUNK_WORDS * first + CHUNK_WORDS / 2 * (CHUNK_WORDS - 1));
}

/* run->state of every variant. */
struct cache_state {
    enum access access;
    struct cache_data data;
    size_t bytes;        /* the footprint of a thread, a multiprocessor, or a device: see the variants */
    size_t result_count; /* results of sums: one a thread or block */
    uint32_t *result;    /* host memory */
    uint32_t *expected;
    uint64_t wrong;      /* words of the output that are not as expected */
    /* host variants */
    int team;
    int64_t passes;
    struct limit limit;
    char *memory;        /* `bytes` for each thread */
};

/* Chunks that are read from or written to, of one footprint. Copy reads the first half and writes the second. */
RANDOM_INLINE size_t cache_chunks(enum access access, size_t bytes) {
    return bytes / CHUNK / (access == ACCESS_COPY ? 2 : 1);
}

#endif
