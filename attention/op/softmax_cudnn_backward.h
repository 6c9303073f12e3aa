/* softmax_cudnn_backward.h: the backward graph of the cuDNN operator, which softmax_cudnn.c plans beside the forward
   one. */
#ifndef ATTENTION_SOFTMAX_CUDNN_BACKWARD_H
#define ATTENTION_SOFTMAX_CUDNN_BACKWARD_H

#include "cudnn_attention.h"

struct cudnn_backward;

/* Why not, beyond what forward declines; NULL: it can. */
const char *cudnn_backward_decline(const struct attention_problem *problem);
/* Plans the graph for the handle's device or, handle NULL, for the one that properties describe (else NULL).
   *workspace: bytes that a run needs; *nodes: operations that cuDNN took. NULL: one line in reason. */
struct cudnn_backward *cudnn_backward_prepare(const struct attention_problem *problem, cudnnHandle_t handle,
                                              const char *properties, size_t *workspace, int *nodes, char *reason);
bool cudnn_backward_run(struct cudnn_backward *backward, const struct attention_buffers *buffers,
                        const struct attention_gradients *gradients, struct CUstream_st *stream, char *reason);
void cudnn_backward_release(struct cudnn_backward *backward); /* NULL: nothing */

#endif
