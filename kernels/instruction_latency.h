/* instruction_latency.h: what both halves of instruction_latency know: the instructions. */
#ifndef KERNELS_INSTRUCTION_LATENCY_H
#define KERNELS_INSTRUCTION_LATENCY_H

#include "kernels/lib/instruction_chain.h"

enum { AXIS_INSTRUCTION };

/* X(name, word, instructions of a step, lanes of a multiprocessor for it where the peaks of Hopper tell, else all 128,
     start and factors) */
#define INSTRUCTIONS(X)                                                                                                \
    X(int32_add, uint32_t, 1, 128, BITS)                                                                               \
    X(int32_mad, uint32_t, 1, 128, BITS)                                                                               \
    X(int32_mul_high, uint32_t, 1, 128, BITS)                                                                          \
    X(int32_min, uint32_t, 1, 128, BITS)                                                                               \
    X(int32_logic, uint32_t, 1, 128, BITS)                                                                             \
    X(int32_shift, uint32_t, 1, 128, BITS)                                                                             \
    X(int32_reverse, uint32_t, 1, 128, BITS)                                                                           \
    X(int32_permute, uint32_t, 1, 128, BITS)                                                                           \
    X(int32_popcount, uint32_t, 1, 128, BITS)                                                                          \
    X(int8_dot, uint32_t, 1, 128, BITS)                                                                                \
    X(int64_add, uint64_t, 1, 128, BITS)                                                                               \
    X(int64_mad, uint64_t, 1, 128, BITS)                                                                               \
    X(fp32_add, float, 1, 128, NEAR_ONE)                                                                               \
    X(fp32_mul, float, 1, 128, NEAR_ONE)                                                                               \
    X(fp32_fma, float, 1, 128, NEAR_ONE)                                                                               \
    X(fp32_max, float, 1, 128, NEAR_ONE)                                                                               \
    X(fp64_add, double, 1, 64, NEAR_ONE)                                                                               \
    X(fp64_mul, double, 1, 64, NEAR_ONE)                                                                               \
    X(fp64_fma, double, 1, 64, NEAR_ONE)                                                                               \
    X(fp16x2_add, uint32_t, 1, 128, HALVES)                                                                            \
    X(fp16x2_mul, uint32_t, 1, 128, HALVES)                                                                            \
    X(fp16x2_fma, uint32_t, 1, 128, HALVES)                                                                            \
    X(bf16x2_fma, uint32_t, 1, 128, BF16S)                                                                             \
    X(convert_fp32_fp16, float, 2, 128, NEAR_ONE)                                                                      \
    X(convert_fp32_int32, float, 2, 128, NEAR_ONE)                                                                     \
    X(convert_fp32_fp64, float, 2, 128, NEAR_ONE)                                                                      \
    X(ex2, float, 1, 128, NEAR_ONE)                                                                                    \
    X(lg2, float, 1, 128, NEAR_ONE)                                                                                    \
    X(rcp, float, 1, 128, NEAR_ONE)                                                                                    \
    X(rsqrt, float, 1, 128, NEAR_ONE)                                                                                  \
    X(sqrt, float, 1, 128, NEAR_ONE)                                                                                   \
    X(sin, float, 1, 128, NEAR_ONE)                                                                                    \
    X(cos, float, 1, 128, NEAR_ONE)                                                                                    \
    X(tanh, float, 1, 128, NEAR_ONE)                                                                                   \
    X(shuffle, uint32_t, 1, 128, BITS)                                                                                 \
    X(vote, uint32_t, 2, 128, BITS)

enum instruction {
#define INSTRUCTION_ENUM(name, word, operations, lanes, data) INSTRUCTION_##name,
    INSTRUCTIONS(INSTRUCTION_ENUM)
#undef INSTRUCTION_ENUM
    INSTRUCTION_COUNT
};

#endif
