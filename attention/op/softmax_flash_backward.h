/* softmax_flash_backward.h: the backward pass of the flash operator, which softmax_flash.cu prepares beside forward. */
#ifndef ATTENTION_SOFTMAX_FLASH_BACKWARD_H
#define ATTENTION_SOFTMAX_FLASH_BACKWARD_H

#include "attention.h"

#ifdef __cplusplus
extern "C" {
#endif

struct flash_backward;

/* Why not, beyond what forward declines, in static storage; NULL: it can. */
const char *flash_backward_decline(const struct attention_problem *problem);
/* *workspace: bytes of gradients.workspace. NULL: one line in reason. */
struct flash_backward *flash_backward_prepare(const struct attention_problem *problem, size_t *workspace,
                                              char *reason);
bool flash_backward_run(struct flash_backward *plan, const struct attention_problem *problem,
                        const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                        struct CUstream_st *stream, char *reason);
void flash_backward_release(struct flash_backward *plan); /* NULL: nothing */

#ifdef __cplusplus
}
#endif
#endif
