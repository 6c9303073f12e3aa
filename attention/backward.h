/* backward.h: what backward.c and backward.cu share. */
#ifndef ATTENTION_BACKWARD_H
#define ATTENTION_BACKWARD_H

#include "attention/problem/problem.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AXIS_DETERMINISTIC = PROBLEM_AXIS_COUNT };

static inline struct problem_pass backward_pass(const struct run *run) {
    return (struct problem_pass){true, run->value[AXIS_DETERMINISTIC] != 0};
}

#ifdef __cplusplus
}
#endif
#endif
