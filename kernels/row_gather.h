/* row_gather.h: what both halves of row_gather know. */
#ifndef KERNELS_ROW_GATHER_H
#define KERNELS_ROW_GATHER_H

#include "kernels/lib/linear_data.h"

enum { AXIS_BYTES, AXIS_ROW, AXIS_MEMORY };
enum { MEMORY_DEVICE, MEMORY_HOST };
enum { OUTPUT_BYTES = 64 << 20, STREAM_INDEX = 2 }; /* gathered in one call, or the table, where it is smaller */

/* run->state */
struct gather_state {
    uint64_t factor;
    int64_t rows, count; /* of the table; gathered */
    uint32_t *index;     /* host memory: count rows of the table */
    void *table, *out;   /* host memory; on a device: what came back */
};

#endif
