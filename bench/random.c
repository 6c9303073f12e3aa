/* random.c: fills arrays with seeded data, in parallel. */
#include "random.h"

#include <string.h>

enum { CHUNK = 1024 };

/* Elements first..first+count-1 of the stream, as random.h defines them. */
static void make_values(uint64_t seed, uint64_t stream, enum dtype dtype, size_t first, size_t count, double *values) {
    if (!dtype_is_integer(dtype)) {
        for (size_t i = 0; i < count; i++)
            values[i] = random_normal(seed, stream, first + i);
        return;
    }
    double lowest = dtype == DTYPE_uint8 ? 0 : -8;
    for (size_t i = 0; i < count; i++)
        values[i] = (double)(random_bits(seed, stream, first + i) >> 60) + lowest;
}

void random_fill(const struct run *run, enum dtype dtype, void *array, size_t count, uint64_t stream) {
    size_t chunks = (count + CHUNK - 1) / CHUNK;
    int threads = run->threads > 0 ? run->threads : 1;
#pragma omp parallel for schedule(static) num_threads(threads) if (chunks > 1)
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        size_t first = chunk * CHUNK, length = count - first < CHUNK ? count - first : CHUNK;
        if (run->zeros) { /* all bits zero is the value zero in every format */
            size_t size = dtype_size(dtype);
            memset((char *)array + first * size, 0, length * size);
            continue;
        }
        double values[CHUNK];
        make_values(run->seed, stream, dtype, first, length, values);
        dtype_store_row(dtype, array, first, length, values);
    }
}
