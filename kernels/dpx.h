/* dpx.h: what both halves of dpx know: the intrinsics. */
#ifndef KERNELS_DPX_H
#define KERNELS_DPX_H

#include "kernels/lib/instruction_chain.h"

enum { AXIS_INSTRUCTION };

/* X(name without the two underscores, what it does, width of a part in bits, signed, largest (or smallest), relu) */
#define DPX_PARTS(X, name, what, largest)                                                                              \
    X(name##_s32, what, 32, true, largest, false)                                                                      \
    X(name##_u32, what, 32, false, largest, false)                                                                     \
    X(name##_s16x2, what, 16, true, largest, false)                                                                    \
    X(name##_u16x2, what, 16, false, largest, false)
#define DPX_RELU(X, name, what, largest)                                                                               \
    X(name##_s32_relu, what, 32, true, largest, true)                                                                  \
    X(name##_s16x2_relu, what, 16, true, largest, true)
#define DPX_INSTRUCTIONS(X)                                                                                            \
    DPX_PARTS(X, viaddmax, DPX_ADD, true)                                                                              \
    DPX_RELU(X, viaddmax, DPX_ADD, true)                                                                               \
    DPX_PARTS(X, viaddmin, DPX_ADD, false)                                                                             \
    DPX_RELU(X, viaddmin, DPX_ADD, false)                                                                              \
    DPX_PARTS(X, vimax3, DPX_THREE, true)                                                                              \
    DPX_RELU(X, vimax3, DPX_THREE, true)                                                                               \
    DPX_PARTS(X, vimin3, DPX_THREE, false)                                                                             \
    DPX_RELU(X, vimin3, DPX_THREE, false)                                                                              \
    DPX_PARTS(X, vibmax, DPX_WHICH, true)                                                                              \
    DPX_PARTS(X, vibmin, DPX_WHICH, false)                                                                             \
    DPX_RELU(X, vimax, DPX_TWO, true)                                                                                  \
    DPX_RELU(X, vimin, DPX_TWO, false)

enum dpx_what { DPX_ADD, DPX_THREE, DPX_TWO, DPX_WHICH };
enum dpx_instruction {
#define DPX_ENUM(name, what, bits, is_signed, largest, relu) DPX_##name,
    DPX_INSTRUCTIONS(DPX_ENUM)
#undef DPX_ENUM
    DPX_COUNT
};

#endif
