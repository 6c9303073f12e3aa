/* device_matrix.cu: see device_matrix.h. The format is a run-time value even inside the loops: all threads take the
   same branch, and the loops wait for memory anyway. */
#include "kernels/lib/device_matrix.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <math.h>

#include "bench/random.h"

enum { THREADS = 256, WARP = 32, BLOCKS_MAX = 4096, COLUMNS_A_BLOCK = 512 };

static __device__ double load(enum dtype dtype, const void *array, int64_t index) {
    switch (dtype) {
    case DTYPE_fp64: return ((const double *)array)[index];
    case DTYPE_fp32:
    case DTYPE_tf32: return ((const float *)array)[index];
    case DTYPE_bf16: return __bfloat162float(((const __nv_bfloat16 *)array)[index]);
    case DTYPE_fp16: return __half2float(((const __half *)array)[index]);
    case DTYPE_fp8_e4m3: {
        __nv_fp8_storage_t bits = ((const __nv_fp8_storage_t *)array)[index];
        return __half2float(__half(__nv_cvt_fp8_to_halfraw(bits, __NV_E4M3)));
    }
    case DTYPE_int8: return ((const int8_t *)array)[index];
    case DTYPE_int32: return ((const int32_t *)array)[index];
    default: return NAN;
    }
}

/* To 11 significand bits, ties to even, as dtype.c does it: a double cut to float with the lost part noted in the last
   bit (rounding to odd), then rounded once. The data are normal numbers far from float's limits. */
static __device__ float round_to_tf32(double value) {
    uint32_t bits = __float_as_uint(__double2float_rz(value));
    bits |= (double)__uint_as_float(bits) != value;
    bits += 0xfffu + (bits >> 13 & 1u);
    return __uint_as_float(bits & ~0x1fffu);
}

static __device__ void store(enum dtype dtype, void *array, int64_t index, double value) {
    switch (dtype) {
    case DTYPE_fp64: ((double *)array)[index] = value; break;
    case DTYPE_fp32: ((float *)array)[index] = (float)value; break;
    case DTYPE_tf32: ((float *)array)[index] = round_to_tf32(value); break;
    case DTYPE_bf16: ((__nv_bfloat16 *)array)[index] = __double2bfloat16(value); break;
    case DTYPE_fp16: ((__half *)array)[index] = __double2half(value); break;
    case DTYPE_fp8_e4m3:
        ((__nv_fp8_storage_t *)array)[index] = __nv_cvt_double_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
        break;
    case DTYPE_int8: ((int8_t *)array)[index] = (int8_t)fmin(fmax(rint(value), -128.0), 127.0); break;
    default: break;
    }
}

static __global__ void fill_normal(enum dtype dtype, void *array, int64_t count, uint64_t seed, uint64_t stream,
                                   double factor) {
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
        store(dtype, array, i, factor * random_normal(seed, stream, (uint64_t)i));
}

static __global__ void fill_signs(double *signs, int64_t count, uint64_t seed, uint64_t stream) {
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) signs[i] = random_bits(seed, stream, (uint64_t)i) >> 63 ? 1 : -1;
}

static unsigned blocks_for(int64_t count) {
    return (unsigned)((count + THREADS - 1) / THREADS);
}

static bool can_store(enum dtype dtype) {
    return dtype == DTYPE_fp64 || dtype == DTYPE_fp32 || dtype == DTYPE_tf32 || dtype == DTYPE_bf16 ||
           dtype == DTYPE_fp16 || dtype == DTYPE_fp8_e4m3 || dtype == DTYPE_int8;
}

void device_fill_normal(struct run *run, enum dtype dtype, void *array, int64_t count, uint64_t stream, double factor) {
    if (!can_store(dtype)) bench_fail(run, "no normal numbers in %s on a device", dtype_names[dtype]);
    if (run->zeros) {
        CUDA_CHECK(run, cudaMemsetAsync(array, 0, (size_t)count * dtype_size(dtype), run->stream));
        return;
    }
    int64_t blocks = (count + THREADS - 1) / THREADS;
    if (blocks > BLOCKS_MAX) blocks = BLOCKS_MAX;
    fill_normal<<<(unsigned)blocks, THREADS, 0, run->stream>>>(dtype, array, count, run->seed, stream, factor);
    CUDA_CHECK_LAUNCH(run);
}

/* product[i] += sum_j M_ij vector[j] and square[i] += sum_j M_ij^2 weight[j], where a weight of NULL is all ones. */
struct sums {
    const double *vector, *weight;
    double *product, *square;
};

static __device__ double scaled(double value, const struct device_scales *scales, int64_t i, int64_t j) {
    if (scales->scale == NULL) return value;
    return value * scales->scale[i / scales->row_block * scales->row_stride +
                                 j / scales->column_block * scales->column_stride];
}

/* The sum over the block, in thread 0. */
static __device__ double block_sum(double value) {
    __shared__ double warp_sum[THREADS / WARP];
    for (int offset = WARP / 2; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
    __syncthreads(); /* the last sum has been read */
    if (threadIdx.x % WARP == 0) warp_sum[threadIdx.x / WARP] = value;
    __syncthreads();
    double sum = 0;
    if (threadIdx.x == 0)
        for (int warp = 0; warp < THREADS / WARP; warp++) sum += warp_sum[warp];
    return sum;
}

/* A block a row; element (i, j) is data[i * leading + j]. */
static __global__ void sum_rows(struct matrix matrix, struct device_scales scales, struct sums sums) {
    int64_t row = blockIdx.x;
    double product = 0, square = 0;
    for (int64_t j = threadIdx.x; j < matrix.columns; j += THREADS) {
        double value = scaled(load(matrix.dtype, matrix.data, row * matrix.leading + j), &scales, row, j);
        product += value * sums.vector[j];
        square += value * value * (sums.weight != NULL ? sums.weight[j] : 1.0);
    }
    product = block_sum(product);
    square = block_sum(square);
    if (threadIdx.x != 0) return;
    sums.product[row] += product;
    sums.square[row] += square;
}

/* A thread a row and a block row for COLUMNS_A_BLOCK columns; element (i, j) is data[j * leading + i], so neighbouring
   threads read neighbouring elements. */
static __global__ void sum_transposed_rows(struct matrix matrix, struct device_scales scales, struct sums sums) {
    int64_t row = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    int64_t first = (int64_t)blockIdx.y * COLUMNS_A_BLOCK, end = first + COLUMNS_A_BLOCK;
    if (row >= matrix.rows) return;
    double product = 0, square = 0;
    for (int64_t j = first; j < end && j < matrix.columns; j++) {
        double value = scaled(load(matrix.dtype, matrix.data, j * matrix.leading + row), &scales, row, j);
        product += value * sums.vector[j];
        square += value * value * (sums.weight != NULL ? sums.weight[j] : 1.0);
    }
    atomicAdd(&sums.product[row], product);
    atomicAdd(&sums.square[row], square);
}

static void add_sums(struct run *run, struct matrix matrix, struct device_scales scales, struct sums sums) {
    if (matrix.transposed) {
        dim3 grid(blocks_for(matrix.rows), (unsigned)((matrix.columns + COLUMNS_A_BLOCK - 1) / COLUMNS_A_BLOCK));
        sum_transposed_rows<<<grid, THREADS, 0, run->stream>>>(matrix, scales, sums);
    } else {
        sum_rows<<<(unsigned)matrix.rows, THREADS, 0, run->stream>>>(matrix, scales, sums);
    }
    CUDA_CHECK_LAUNCH(run);
}

void device_freivalds_setup(struct run *run, struct device_freivalds *test, int64_t m, int64_t n, int64_t k) {
    *test = {.m = m, .n = n, .k = k};
    test->device = (double *)bench_device_alloc(run, (size_t)(n + 2 * k + 4 * m) * sizeof(double));
    test->host = (double *)bench_alloc(run, (size_t)(4 * m) * sizeof(double));
}

/* As in check.c: the larger denominator of the one expected and the one found. NaN stays NaN. */
static double largest_error(const struct device_freivalds *test, double alpha) {
    const double *a_product = test->host, *a_square = a_product + test->m;
    const double *c_product = a_square + test->m, *c_square = c_product + test->m;
    double largest = 0;
    for (int64_t i = 0; i < test->m; i++) {
        double error = fabs(c_product[i] - alpha * a_product[i]);
        double expected = alpha * alpha * a_square[i];
        if (isnan(error) || !isfinite(expected) || !isfinite(c_square[i])) return NAN;
        double scale = sqrt(fmax(expected, c_square[i]));
        if (error > 0 && !(error <= largest * scale)) largest = error / scale;
    }
    return largest;
}

double device_freivalds_scaled(struct run *run, const struct device_freivalds *test, struct matrix a,
                               struct device_scales scales_a, struct matrix b, struct device_scales scales_b,
                               struct matrix c, double alpha, int rounds, uint64_t seed) {
    const struct device_scales none = {};
    int64_t m = test->m, n = test->n, k = test->k;
    if (a.rows != m || a.columns != k || b.rows != k || b.columns != n || c.rows != m || c.columns != n) return NAN;
    double *signs = test->device, *b_product = signs + n, *b_square = b_product + k;
    double *a_product = b_square + k, *a_square = a_product + m, *c_product = a_square + m, *c_square = c_product + m;
    double error = 0;
    for (int round = 0; round < rounds && !isnan(error); round++) {
        CUDA_CHECK(run, cudaMemsetAsync(b_product, 0, (size_t)(2 * k + 4 * m) * sizeof(double), run->stream));
        fill_signs<<<blocks_for(n), THREADS, 0, run->stream>>>(signs, n, seed, (uint64_t)round);
        CUDA_CHECK_LAUNCH(run);
        add_sums(run, b, scales_b, {signs, NULL, b_product, b_square});
        add_sums(run, a, scales_a, {b_product, b_square, a_product, a_square});
        add_sums(run, c, none, {signs, NULL, c_product, c_square});
        CUDA_CHECK(run, cudaMemcpyAsync(test->host, a_product, (size_t)(4 * m) * sizeof(double),
                                        cudaMemcpyDeviceToHost, run->stream));
        CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
        double found = largest_error(test, alpha);
        if (isnan(found) || found > error) error = found;
    }
    return error;
}

double device_freivalds_error(struct run *run, const struct device_freivalds *test, struct matrix a, struct matrix b,
                              struct matrix c, double alpha, int rounds, uint64_t seed) {
    return device_freivalds_scaled(run, test, a, {}, b, {}, c, alpha, rounds, seed);
}

void device_fetch_entries(struct run *run, struct matrix matrix, const int64_t *entry, int count, double *value) {
    size_t bytes = dtype_size(matrix.dtype);
    for (int i = 0; i < count; i++) /* an entry's bytes at the start of its value */
        CUDA_CHECK(run, cudaMemcpyAsync(&value[i], (const char *)matrix.data + (size_t)entry[i] * bytes, bytes,
                                        cudaMemcpyDeviceToHost, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    for (int i = 0; i < count; i++) value[i] = dtype_load(matrix.dtype, &value[i], 0);
}
