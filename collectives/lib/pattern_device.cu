/* pattern_device.cu: see pattern_device.h. Sizes reach 2^33 elements, so every index is 64 bits wide; at 8 GiB and
   eight ranks a check evaluates 2^34 values, which takes a fraction of a second here and minutes on the host. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "bench/cuda.h"
#include "collectives/lib/pattern_device.h"

enum { THREADS = 256, BLOCKS_MAX = 8192 };

static unsigned blocks_for(size_t count) {
    size_t blocks = (count + THREADS - 1) / THREADS;
    return (unsigned)(blocks < (size_t)BLOCKS_MAX ? blocks : (size_t)BLOCKS_MAX);
}

static __device__ void store_element(enum dtype dtype, void *array, size_t i, double value) {
    switch (dtype) {
    case DTYPE_fp64: ((double *)array)[i] = value; break;
    case DTYPE_bf16: ((__nv_bfloat16 *)array)[i] = __float2bfloat16_rn((float)value); break;
    case DTYPE_fp16: ((__half *)array)[i] = __float2half_rn((float)value); break;
    case DTYPE_fp8_e4m3:
        ((__nv_fp8_storage_t *)array)[i] = __nv_cvt_float_to_fp8((float)value, __NV_SATFINITE, __NV_E4M3);
        break;
    case DTYPE_fp8_e5m2:
        ((__nv_fp8_storage_t *)array)[i] = __nv_cvt_float_to_fp8((float)value, __NV_NOSAT, __NV_E5M2);
        break;
    case DTYPE_int8: ((int8_t *)array)[i] = (int8_t)value; break;
    case DTYPE_uint8: ((uint8_t *)array)[i] = (uint8_t)value; break;
    case DTYPE_int32: ((int32_t *)array)[i] = (int32_t)value; break;
    default: ((float *)array)[i] = (float)value; break; /* fp32 and tf32 */
    }
}

static __device__ double load_fp8(__nv_fp8_storage_t bits, __nv_fp8_interpretation_t format) {
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(bits, format)));
}

static __device__ double load_element(enum dtype dtype, const void *array, size_t i) {
    switch (dtype) {
    case DTYPE_fp64: return ((const double *)array)[i];
    case DTYPE_bf16: return __bfloat162float(((const __nv_bfloat16 *)array)[i]);
    case DTYPE_fp16: return __half2float(((const __half *)array)[i]);
    case DTYPE_fp8_e4m3: return load_fp8(((const __nv_fp8_storage_t *)array)[i], __NV_E4M3);
    case DTYPE_fp8_e5m2: return load_fp8(((const __nv_fp8_storage_t *)array)[i], __NV_E5M2);
    case DTYPE_int8: return ((const int8_t *)array)[i];
    case DTYPE_uint8: return ((const uint8_t *)array)[i];
    case DTYPE_int32: return ((const int32_t *)array)[i];
    default: return ((const float *)array)[i];
    }
}

static __global__ void fill(struct pattern pattern, int rank, void *array, size_t count) {
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < count; i += step)
        store_element(pattern.dtype, array, i, pattern_value(&pattern, rank, i));
}

/* The bits of doubles that are not negative are ordered as the doubles are, so an integer maximum joins the threads. */
static __global__ void compare(struct pattern pattern, struct origin origin, const void *array, size_t count,
                               unsigned long long *largest) {
    size_t step = (size_t)gridDim.x * blockDim.x;
    double worst = 0;
    for (size_t j = blockIdx.x * (size_t)blockDim.x + threadIdx.x; j < count; j += step) {
        double difference = fabs(load_element(pattern.dtype, array, j) - pattern_expected(&pattern, &origin, j));
        if (isnan(difference)) difference = INFINITY;
        if (difference > worst) worst = difference;
    }
    if (worst > 0) atomicMax(largest, (unsigned long long)__double_as_longlong(worst));
}

void pattern_device_fill(struct run *run, const struct pattern *pattern, int rank, void *array, size_t count) {
    if (count == 0) return;
    fill<<<blocks_for(count), THREADS, 0, run->stream>>>(*pattern, rank, array, count);
    CUDA_CHECK_LAUNCH(run);
}

double pattern_device_error(struct run *run, const struct pattern *pattern, const struct origin *origin,
                            const void *array, size_t count, double *scratch) {
    double error = 0;
    if (count == 0) return error;
    CUDA_CHECK(run, cudaMemsetAsync(scratch, 0, sizeof *scratch, run->stream));
    compare<<<blocks_for(count), THREADS, 0, run->stream>>>(*pattern, *origin, array, count,
                                                            (unsigned long long *)scratch);
    CUDA_CHECK_LAUNCH(run);
    CUDA_CHECK(run, cudaMemcpyAsync(&error, scratch, sizeof error, cudaMemcpyDeviceToHost, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    return error / pattern->scale;
}
