/* memory_latency.h: what both halves of memory_latency know: the tour through memory, and the loop that samples it. */
#ifndef KERNELS_MEMORY_LATENCY_H
#define KERNELS_MEMORY_LATENCY_H

#include "bench/bench.h"
#include "bench/random.h"

enum { AXIS_BYTES, AXIS_STRIDE, AXIS_PAGES };
enum { PAGES_4K, PAGES_2M };
enum { UNROLL = 64 }; /* accesses are counted in multiples of it */

/* A tour visits every node 0..count-1 once and returns to its start: node_at(tour, 0), node_at(tour, 1), ... */
struct tour {
    uint64_t count, mask, seed;
    int shift;
};

/* count of 1 .. 2^62 */
static inline struct tour tour_make(uint64_t count, uint64_t seed) {
    int bits = 1;
    while ((UINT64_C(1) << bits) < count) bits++;
    return (struct tour){count, (UINT64_C(1) << bits) - 1, seed, (bits + 1) / 2};
}

/* Multiplication by an odd number, addition, and x ^ (x >> shift) each map words of so many bits one to one; a word
   beyond count is mapped again until it is a node (cycle walking: Black and Rogaway, CT-RSA 2002). */
RANDOM_INLINE uint64_t node_at(const struct tour *tour, uint64_t step) {
    uint64_t x = step;
    do {
        for (uint64_t round = 0; round < 4; round++) {
            x = (x * (random_bits(tour->seed, 2, round) | 1) + random_bits(tour->seed, 3, round)) & tour->mask;
            x ^= x >> tour->shift;
        }
    } while (x >= tour->count);
    return x;
}

/* Of the variants that look at single accesses (near and far): steps of one walker. */
enum { WALKER_STEPS = 1024 };

/* run->state of every variant. */
struct latency_state {
    struct tour tour;
    uint64_t stride;   /* bytes from node to node */
    uint64_t position; /* steps made since node_at(0), modulo count */
    uint64_t end;      /* check: the node where the last step of all ended */
    uint64_t astray;   /* walkers that ended elsewhere than they must */
    /* host */
    char *mapping, *nodes;
    size_t mapping_bytes;
    void **cursor;
    struct limit documented; /* clocks published for what is walked; {0, NULL}: none */
    bool loaded; /* other cores are at work: additions, by which clocks are counted, may be slower too */
    uint64_t *end_output;
};

#ifdef __cplusplus
extern "C" {
#endif
/* Makes `steps` (a multiple of UNROLL) steps from where the last call ended. Returns their seconds; *clocks is set to
   their clocks, or to 0 where only the time is known. */
typedef double latency_sample(struct run *run, int64_t steps, double *clocks);
/* The body of measure: warms up, takes samples until they agree or the budget is spent, reports, keeps position. */
void latency_measure(struct run *run, latency_sample *sample);
#ifdef __cplusplus
}
#endif
#endif
