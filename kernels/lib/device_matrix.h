/* device_matrix.h: matrices that are made and checked where they are, on the device, because bringing gigabytes to the
   host would take longer than the measurement. For .cu files. */
#ifndef KERNELS_DEVICE_MATRIX_H
#define KERNELS_DEVICE_MATRIX_H

#include "bench/check.h"
#include "bench/cuda.h"

/* Element i = factor * random_normal(run->seed, stream, i), rounded as dtype_store rounds (tf32 included); zeros with
   --data zeros. Enqueued on run->stream. fp64, fp32, tf32, bf16, fp16, fp8_e4m3 and int8; another one is failed. */
void device_fill_normal(struct run *run, enum dtype dtype, void *array, int64_t count, uint64_t stream, double factor);

/* Memory of Freivalds' test for products of one shape; make it in setup, it belongs to the measurement. The dimensions
   may become smaller afterwards. */
struct device_freivalds {
    int64_t m, n, k;
    double *device; /* signs n | B r, squares of B k each | A (B r), squares of A B, C r, squares of C m each */
    double *host;   /* the last four */
};
void device_freivalds_setup(struct run *run, struct device_freivalds *test, int64_t m, int64_t n, int64_t k);

/* Factors of a matrix's elements: that of element (i, j) is scale[i / row_block * row_stride + j / column_block *
   column_stride], on the device; none where scale is NULL. */
struct device_scales {
    const float *scale;
    int64_t row_block, column_block, row_stride, column_stride;
};

/* freivalds_error of check.h, with the operands (matrix.data) on the device and all columns of C as one section: a
   single wrong element is seen when it is off by more than tolerance * sqrt(n) times the root mean square of its row, a
   wrong tile of w columns when by tolerance * sqrt(n / w). In fp64, so exact for integers. Formats as above, and int32.
   Waits for the stream. Reads each operand once a round, at the memory's speed. */
double device_freivalds_error(struct run *run, const struct device_freivalds *test, struct matrix a, struct matrix b,
                              struct matrix c, double alpha, int rounds, uint64_t seed);
/* The same where A and B have scales. */
double device_freivalds_scaled(struct run *run, const struct device_freivalds *test, struct matrix a,
                               struct device_scales scales_a, struct matrix b, struct device_scales scales_b,
                               struct matrix c, double alpha, int rounds, uint64_t seed);

/* value[i] = element entry[i] of a packed matrix on the device, brought to the host. Waits for the stream. */
void device_fetch_entries(struct run *run, struct matrix matrix, const int64_t *entry, int count, double *value);

#endif
