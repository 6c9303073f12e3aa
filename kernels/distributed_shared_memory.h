/* distributed_shared_memory.h: what both halves of distributed_shared_memory know. */
#ifndef KERNELS_DISTRIBUTED_SHARED_MEMORY_H
#define KERNELS_DISTRIBUTED_SHARED_MEMORY_H

#include "bench/bench.h"
#include "bench/random.h"

enum { AXIS_CLUSTER, AXIS_PATTERN, AXIS_RANK, AXIS_TARGET };
enum pattern { PATTERN_ONE, PATTERN_LOCAL, PATTERN_PAIR, PATTERN_RING, PATTERN_BROADCAST, PATTERN_COUNT };
enum { CLUSTER_MAX = 16 };

/* latency: a tour of NODES nodes of 16 bytes. throughput: each block goes round a tile of TILE_WORDS words. */
enum { NODES = 1024, WALK_STEPS = 4096, TILE_WORDS = 16384, TILE_ROUNDS = 256 };

/* The next node: a full period of a linear congruential generator (Hull and Dobell, 1962). */
RANDOM_INLINE uint32_t next_node(uint32_t node) {
    return (node * 421 + 997) % NODES;
}

/* Word `index` of the tile that a block with this rank owns, or, when it is written, gets. */
RANDOM_INLINE uint32_t tile_word(uint64_t seed, bool zeros, uint32_t rank, uint32_t index) {
    return zeros ? 0 : (uint32_t)random_bits(seed, rank, index);
}

/* The rank whose memory a block with `rank` in a cluster of `size` uses. */
RANDOM_INLINE uint32_t partner(enum pattern pattern, uint32_t rank, uint32_t size) {
    switch (pattern) {
    case PATTERN_PAIR: return rank ^ 1;
    case PATTERN_RING: return rank + 1 < size ? rank + 1 : 0;
    case PATTERN_BROADCAST: return 0;
    default: return rank;
    }
}

/* run->state */
struct cluster_state {
    uint32_t blocks;    /* of all clusters */
    uint32_t *sums;     /* one for each block; latency: the node where the walk ended */
    bool written;       /* sums are over what was written to the block */
};

#endif
