/* softmax_tiled_backward.h: the member `backward` of the tiled operator, and what its prepare puts into
   plan.backward_workspace. */
#ifndef ATTENTION_SOFTMAX_TILED_BACKWARD_H
#define ATTENTION_SOFTMAX_TILED_BACKWARD_H

#include "attention.h"
#include "attention/mask/tiles.h"
#include "tiled.h"

#ifdef __cplusplus
extern "C" {
#endif

/* plan.detail of the tiled operator. */
struct tiled_plan {
    enum tiled_operands operands; /* forward's */
    struct mask_tiles *by_query; /* forward's */
    struct mask_tiles *by_key;   /* NULL: the problem asks for no backward pass */
};

struct mask_tiles *softmax_tiled_backward_plan(const struct attention_problem *problem); /* by_key; NULL: no memory */
size_t softmax_tiled_backward_workspace(const struct attention_problem *problem);
bool softmax_tiled_backward(const struct attention_problem *problem, const struct attention_plan *plan,
                            const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                            struct CUstream_st *stream, char *reason);

#ifdef __cplusplus
}
#endif
#endif
