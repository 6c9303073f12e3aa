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
    __shared__ float divisor[ATTENTION_SCALE_BLOCK];
    int head_dim = (int)operand.head_dim, pitch = head_dim + 1, thread = (int)threadIdx.x;
    int64_t head = blockIdx.y, first = (int64_t)blockIdx.x * ATTENTION_SCALE_BLOCK, left = operand.tokens - first;
    int count = left < ATTENTION_SCALE_BLOCK ? (int)left : ATTENTION_SCALE_BLOCK;
    int64_t token = head * operand.tokens + first, at = token * head_dim;
    for (int i = thread; i < count * head_dim; i += THREADS)
        rows[i / head_dim * pitch + i % head_dim] =
            zeros ? 0 : (float)problem_element(seed, operand.stream, (uint64_t)(at + i), inputs);
    __syncthreads();
    if (operand.rotated && thread < count) quantize_rotate(rows + thread * pitch, head_dim, seed);
    __syncthreads();
    float largest = 0;
    for (int i = thread; i < count * head_dim; i += THREADS)
        largest = fmaxf(largest, fabsf(rows[i / head_dim * pitch + i % head_dim]));
    float least = quantize_scale(largest_of_block(largest));
    if (thread == 0 && !operand.by_token) operand.scale[head * gridDim.x + blockIdx.x] = least;
    if (thread < count) {
        divisor[thread] = least;
        if (operand.by_token)
            operand.scale[token + thread] = quantize_token(rows + thread * pitch, head_dim, least, &divisor[thread]);
    }
    __syncthreads();
    for (int i = thread; i < count * head_dim; i += THREADS)
        ((__nv_fp8_storage_t *)operand.data)[at + i] = __nv_cvt_float_to_fp8(
            rows[i / head_dim * pitch + i % head_dim] / divisor[i / head_dim], __NV_SATFINITE, __NV_E4M3);
}

void quantize_fill(struct run *run, const struct quantize_operand *operand) {
    size_t shared = ATTENTION_SCALE_BLOCK * (size_t)(operand->head_dim + 1) * sizeof(float);
    CUDA_CHECK(run, cudaFuncSetAttribute(quantize, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared));
    int64_t blocks = (operand->tokens + ATTENTION_SCALE_BLOCK - 1) / ATTENTION_SCALE_BLOCK;
    dim3 grid((unsigned)blocks, (unsigned)operand->heads);
    quantize<<<grid, THREADS, shared, run->stream>>>(*operand, run->seed,
                                                     (enum problem_inputs)run->value[PROBLEM_AXIS_INPUTS], run->zeros);
    CUDA_CHECK_LAUNCH(run);
}
