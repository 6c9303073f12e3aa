/* operands.h: the shapes and seeded operands that the tests of operators share. */
#ifndef ATTENTION_TESTS_OPERANDS_H
#define ATTENTION_TESTS_OPERANDS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "attention/op/attention.h"
#include "bench/random.h"

/* `count` numbers of N(0, scale^2), the same for the same stream; the caller frees them. */
static inline void *operand_new(enum dtype dtype, size_t count, uint64_t stream, double scale) {
    void *array = aligned_alloc(64, (count * dtype_size(dtype) + 63) / 64 * 64);
    assert_non_null(array);
    for (size_t i = 0; i < count; i++) dtype_store(dtype, array, i, scale * random_normal(7, stream, i));
    return array;
}

/* Packed fp32 operands; heads that are not grouped, one batch, one thread until the caller says otherwise. */
static inline struct attention_problem shape_of(int64_t heads, int64_t queries, int64_t keys, int64_t head_dim,
                                                const struct mask *mask) {
    struct attention_problem shape = {.batch = 1,
                                      .heads = heads,
                                      .kv_heads = heads,
                                      .queries = queries,
                                      .keys = keys,
                                      .head_dim = head_dim,
                                      .dtype = DTYPE_fp32,
                                      .mask = mask,
                                      .threads = 1};
    attention_pack(&shape);
    return shape;
}

/* Workspace of a plan, with nothing in it that could pass for a number. */
static inline void *workspace_new(size_t bytes) {
    size_t size = (bytes + 63) / 64 * 64;
    unsigned char *workspace = aligned_alloc(64, size);
    assert_non_null(workspace);
    for (size_t i = 0; i < size; i++) workspace[i] = 0xff;
    return workspace;
}
#endif
