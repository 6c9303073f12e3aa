/* strided_access.h: what both halves of strided_access know. */
#ifndef KERNELS_STRIDED_ACCESS_H
#define KERNELS_STRIDED_ACCESS_H

#include "kernels/lib/linear_data.h"

enum { AXIS_BYTES, AXIS_WIDTH, AXIS_STRIDE };

/* run->state. An access of 16 bytes is of two elements of 8. */
struct strided_state {
    uint64_t factor;
    int64_t elements; /* of the array, of `width` bytes, 16 counting as one */
    int64_t count;    /* that are read */
    void *array;      /* host variants */
    uint64_t *sum;    /* of what was read, cut to the width */
};

#endif
