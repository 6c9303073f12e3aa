/* device_shape.h: a problem as kernels take it, for .cu files. */
#ifndef ATTENTION_DEVICE_SHAPE_H
#define ATTENTION_DEVICE_SHAPE_H

#include <math.h>

#include "attention/mask/tiles.h"
#include "score_options.h"

/* By value among a kernel's arguments. */
struct shape {
    struct attention_strides query, key, value, output;
    int64_t queries, keys;
    int heads, group, head_dim; /* group: query heads of a key/value head */
    float scale, factor;        /* factor: scale / log 2 */
    struct score_options options;
    const struct mask_tiles *tiles; /* on the device */
    float *log_sum_exp;             /* [batch][head][query] */
};

static inline struct shape device_shape(const struct attention_problem *problem,
                                        const struct attention_buffers *buffers, const struct mask_tiles *tiles) {
    struct shape shape = {.query = problem->query,
                          .key = problem->key,
                          .value = problem->value,
                          .output = problem->output,
                          .queries = problem->queries,
                          .keys = problem->keys,
                          .heads = (int)problem->heads,
                          .group = (int)(problem->heads / problem->kv_heads),
                          .head_dim = (int)problem->head_dim,
                          .scale = problem->scale,
                          .factor = problem->scale * (float)M_LOG2E,
                          .options = score_options_of(problem, buffers),
                          .tiles = tiles,
                          .log_sum_exp = buffers->log_sum_exp};
    return shape;
}

#endif
