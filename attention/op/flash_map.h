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

/* The map of a 16-bit operand with `heads` heads of `tokens` tokens, in boxes of 64 elements x `rows` tokens that are
   `step` apart. With a step above 1, `step` tokens are one row of the map, and tokens beyond the last whole row are not
   in it. */
static inline bool flash_map_stepped(CUtensorMap *map, const struct attention_problem *problem, const void *operand,
                                     struct attention_strides stride, int64_t tokens, int64_t heads, int rows,
                                     int64_t step, char *reason) {
    static void *encoder;
    enum cudaDriverEntryPointQueryResult found;
    if (!encoder && flash_failed(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encoder, 12000,
                                                                  cudaEnableDefault, &found),
                                 "cuTensorMapEncodeTiled", reason))
        return false;
    cuuint64_t extent[4] = {(cuuint64_t)((step - 1) * stride.row + problem->head_dim), (cuuint64_t)(tokens / step),
                            (cuuint64_t)heads, (cuuint64_t)problem->batch};
    cuuint64_t bytes[3] = {(cuuint64_t)(step * stride.row) * 2, (cuuint64_t)stride.head * 2,
                           (cuuint64_t)stride.batch * 2};
    cuuint32_t box[4] = {64, (cuuint32_t)rows, 1, 1}, each[4] = {1, 1, 1, 1};
    CUresult result = ((PFN_cuTensorMapEncodeTiled_v12000)encoder)(
        map, problem->dtype == DTYPE_bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4,
        (void *)operand, extent, bytes, box, each, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (result == CUDA_SUCCESS) return true;
    snprintf(reason, REASON_SIZE, "cuTensorMapEncodeTiled: error %d (operands at multiples of 16 bytes?)", (int)result);
    return false;
}
static inline bool flash_map(CUtensorMap *map, const struct attention_problem *problem, const void *operand,
                             struct attention_strides stride, int64_t tokens, int64_t heads, int rows, char *reason) {
    return flash_map_stepped(map, problem, operand, stride, tokens, heads, rows, 1, reason);
}

#endif
