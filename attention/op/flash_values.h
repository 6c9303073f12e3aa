/* flash_values.h: values in fp8 made into tiles for the flash kernel, by a kernel before it. See flash_scales.h. */
#ifndef ATTENTION_FLASH_VALUES_H
#define ATTENTION_FLASH_VALUES_H

#include "flash_scales.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the workspace of a problem, for key tiles of `keys` keys: values from its start, scales behind them. */
struct flash_values_layout {
    int tiles; /* of a head */
    size_t scales_at, bytes;
};
struct flash_values_layout flash_values_layout(const struct attention_problem *problem, int keys);

/* Enqueues the kernel; false with a line in reason. head_dim: a multiple of 32; strides of values: multiples of 4. */
bool flash_values_run(const struct attention_problem *problem, int keys, const struct attention_buffers *buffers,
                      struct CUstream_st *stream, char *reason);

#ifdef __cplusplus
}
#endif
#endif
