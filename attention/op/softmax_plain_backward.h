/* softmax_plain_backward.h: the backward pass of the plain operator, which softmax_plain.cu prepares beside forward. */
#ifndef ATTENTION_SOFTMAX_PLAIN_BACKWARD_H
#define ATTENTION_SOFTMAX_PLAIN_BACKWARD_H

#include "attention.h"

#ifdef __cplusplus
extern "C" {
#endif

struct plain_backward;

/* Takes what forward takes. *workspace: bytes of gradients.workspace. NULL: one line in reason. */
struct plain_backward *plain_backward_prepare(const struct attention_problem *problem, size_t *workspace,
                                              char *reason);
bool plain_backward_run(const struct plain_backward *plan, const struct attention_problem *problem,
                        const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                        struct CUstream_st *stream, char *reason);
void plain_backward_release(struct plain_backward *plan); /* NULL: nothing */

#ifdef __cplusplus
}
#endif
#endif
