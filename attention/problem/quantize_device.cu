/* quantize_device.cu: fp8 operands made on a device, a block of the grid for each block of tokens. See quantize.h. */
#include <cuda_fp8.h>

#include "bench/cuda.h"
#include "problem.h"
#include "quantize.h"
#include "quantize_device.h"

enum { THREADS = 256, WARP = 32 };

/* The largest of a block's threads, in all of them. */
static __device__ float largest_of_block(float value) {
    __shared__ float warps[THREADS / WARP];
    for (int offset = WARP / 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(~0u, value, offset));
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = value;
    __syncthreads();
    for (int warp = 0; warp < THREADS / WARP; warp++) value = fmaxf(value, warps[warp]);
    return value;
}

/* Rows in shared memory are a word longer than head_dim: a thread that rotates a row meets no other in a bank. */
static __global__ void __launch_bounds__(THREADS) quantize(struct quantize_operand operand, uint64_t seed,
                                                           enum problem_inputs inputs, bool zeros) {
    extern __shared__ float rows[];
    int head_dim = (int)operand.head_dim, pitch = head_dim + 1;
    int64_t head = blockIdx.y, first = (int64_t)blockIdx.x * ATTENTION_SCALE_BLOCK, left = operand.tokens - first;
    int count = left < ATTENTION_SCALE_BLOCK ? (int)left : ATTENTION_SCALE_BLOCK;
    int64_t at = (head * operand.tokens + first) * head_dim;
    for (int i = (int)threadIdx.x; i < count * head_dim; i += THREADS)
        rows[i / head_dim * pitch + i % head_dim] =
            zeros ? 0 : (float)problem_element(seed, operand.stream, (uint64_t)(at + i), inputs);
    __syncthreads();
    if (operand.rotated && (int)threadIdx.x < count) quantize_rotate(rows + threadIdx.x * pitch, head_dim, seed);
    __syncthreads();
    float largest = 0;
    for (int i = (int)threadIdx.x; i < count * head_dim; i += THREADS)
        largest = fmaxf(largest, fabsf(rows[i / head_dim * pitch + i % head_dim]));
    float scale = quantize_scale(largest_of_block(largest));
    if (threadIdx.x == 0) operand.scale[head * gridDim.x + blockIdx.x] = scale;
    for (int i = (int)threadIdx.x; i < count * head_dim; i += THREADS)
        ((__nv_fp8_storage_t *)operand.data)[at + i] =
            __nv_cvt_float_to_fp8(rows[i / head_dim * pitch + i % head_dim] / scale, __NV_SATFINITE, __NV_E4M3);
}

void quantize_fill(struct run *run, const struct quantize_operand *operand) {
    size_t shared = ATTENTION_SCALE_BLOCK * (size_t)(operand->head_dim + 1) * sizeof(float);
    CUDA_CHECK(run, cudaFuncSetAttribute(quantize, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared));
    dim3 grid((unsigned)attention_scale_blocks(operand->tokens), (unsigned)operand->heads);
    quantize<<<grid, THREADS, shared, run->stream>>>(*operand, run->seed,
                                                     (enum problem_inputs)run->value[PROBLEM_AXIS_INPUTS], run->zeros);
    CUDA_CHECK_LAUNCH(run);
}
