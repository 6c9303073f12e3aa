/* transfer.h: what both halves of transfer know. */
#ifndef KERNELS_TRANSFER_H
#define KERNELS_TRANSFER_H

#include "bench/bench.h"
#include "bench/random.h"

enum direction { HOST_TO_DEVICE, DEVICE_TO_HOST, BOTH_WAYS, DEVICE_TO_DEVICE };
enum memory { MEMORY_PINNED, MEMORY_PAGEABLE };
enum { AXIS_DIRECTION, AXIS_MEMORY, AXIS_BYTES };
enum { STREAM_FROM_HOST, STREAM_FROM_DEVICE }; /* of random.h: what comes from where */

/* run->state. What a direction does not use is NULL. */
struct transfer_state {
    enum direction direction;
    enum memory memory;
    bool zeros;
    uint64_t seed;
    size_t bytes, words;              /* of one direction; words of eight bytes */
    uint64_t *host_from, *host_to;    /* host memory, pinned by the device's half where memory says so */
    uint64_t device_wrong;            /* words that came wrong to the device */
};

RANDOM_INLINE uint64_t transfer_word(uint64_t seed, bool zeros, int stream, size_t word) {
    return zeros ? 0 : random_bits(seed, (uint64_t)stream, word);
}

#endif
