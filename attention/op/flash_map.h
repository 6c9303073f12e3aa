/* flash_map.h: on the host, the operands of flash kernels as the copy engine sees them. For .cu files. */
#ifndef ATTENTION_FLASH_MAP_H
#define ATTENTION_FLASH_MAP_H

#include <cudaTypedefs.h>
#include <cuda_runtime.h>
#include <stdio.h>

#include "attention.h"

/* status is an error: its name, after `what`, in reason (REASON_SIZE bytes). */
static inline bool flash_failed(cudaError_t status, const char *what, char *reason) {
    if (status == cudaSuccess) return false;
    cudaGetLastError();
    snprintf(reason, REASON_SIZE, "%s: %s", what, cudaGetErrorString(status));
    return true;
}

static inline CUtensorMapDataType flash_map_type(enum dtype dtype) {
    if (dtype == DTYPE_bf16) return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    return dtype == DTYPE_fp16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_UINT8;
}

/* The map of an operand of dtype with `heads` heads of `tokens` tokens, in boxes of 128 bytes x `rows` tokens that are
   `step` apart. Of each `step` tokens the first `own` are one row of the map; a last row that is not whole is not in
   it. */
static inline bool flash_map_of(CUtensorMap *map, const struct attention_problem *problem, enum dtype dtype,
                                const void *operand, struct attention_strides stride, int64_t tokens, int64_t heads,
                                int rows, int64_t step, int64_t own, char *reason) {
    static void *encoder;
    enum cudaDriverEntryPointQueryResult found;
    if (!encoder && flash_failed(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encoder, 12000,
                                                                  cudaEnableDefault, &found),
                                 "cuTensorMapEncodeTiled", reason))
        return false;
    cuuint64_t size = dtype_size(dtype);
    cuuint64_t extent[4] = {(cuuint64_t)((own - 1) * stride.row + problem->head_dim),
                            (cuuint64_t)((tokens - own) / step + 1), (cuuint64_t)heads, (cuuint64_t)problem->batch};
    cuuint64_t bytes[3] = {(cuuint64_t)(step * stride.row) * size, (cuuint64_t)stride.head * size,
                           (cuuint64_t)stride.batch * size};
    cuuint32_t box[4] = {(cuuint32_t)(128 / size), (cuuint32_t)rows, 1, 1}, each[4] = {1, 1, 1, 1};
    CUresult result = ((PFN_cuTensorMapEncodeTiled_v12000)encoder)(
        map, flash_map_type(dtype), 4, (void *)operand, extent, bytes, box, each, CU_TENSOR_MAP_INTERLEAVE_NONE,
        CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result == CUDA_SUCCESS) return true;
    snprintf(reason, REASON_SIZE, "cuTensorMapEncodeTiled: error %d (operands at multiples of 16 bytes?)", (int)result);
    return false;
}

/* The same of the problem's dtype; and of tokens that stand together. */
static inline bool flash_map_stepped(CUtensorMap *map, const struct attention_problem *problem, const void *operand,
                                     struct attention_strides stride, int64_t tokens, int64_t heads, int rows,
                                     int64_t step, char *reason) {
    return flash_map_of(map, problem, problem->dtype, operand, stride, tokens, heads, rows, step, step, reason);
}
static inline bool flash_map(CUtensorMap *map, const struct attention_problem *problem, const void *operand,
                             struct attention_strides stride, int64_t tokens, int64_t heads, int rows, char *reason) {
    return flash_map_stepped(map, problem, operand, stride, tokens, heads, rows, 1, reason);
}
/* All tokens: those of whole rows in the first map, in the second those that a last row holds, too. */
static inline bool flash_map_apart(CUtensorMap *map, const struct attention_problem *problem, enum dtype dtype,
                                   const void *operand, struct attention_strides stride, int64_t tokens, int64_t heads,
                                   int rows, int64_t step, char *reason) {
    int64_t left = tokens % step;
    return (tokens < step || flash_map_of(&map[0], problem, dtype, operand, stride, tokens, heads, rows, step, step,
                                          reason)) &&
           (left == 0 || flash_map_of(&map[1], problem, dtype, operand, stride, tokens, heads, rows, step, left,
                                      reason));
}

#endif
