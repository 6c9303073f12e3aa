/* softmax_tiled_backward.h: the member `backward` of the tiled operator, and what its prepare puts into
   plan.backward_workspace. */
#ifndef ATTENTION_SOFTMAX_TILED_BACKWARD_H
#define ATTENTION_SOFTMAX_TILED_BACKWARD_H

#include "attention.h"

#ifdef __cplusplus
extern "C" {
#endif

size_t softmax_tiled_backward_workspace(const struct attention_problem *problem);
bool softmax_tiled_backward(const struct attention_problem *problem, const struct attention_plan *plan,
                            const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                            struct CUstream_st *stream, char *reason);

#ifdef __cplusplus
}
#endif
#endif
