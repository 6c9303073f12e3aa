/* wgmma_sparse.h: the 2:4 sparse forms of wgmma.h's instructions, for .cu files: D (64 x n) += A (64 x 64 bytes of k,
   of which 32 are stored) B (n x 64 bytes of k).

   Functions: wgmma_sparse_<type>_n<n>_ss(d, a, b, metadata, accumulate) and .._rs; type: fp16, bf16, tf32, fp8_e4m3,
   fp8_e5m2 (float d[n / 2]) and int8 (int32_t d[n / 2]). Of every four numbers of a row of A (tf32: two) two (one) are
   stored, one after the other; four bits of metadata for each four (tf32: two) hold the places of the stored ones, two
   bits each, the lower first (tf32: 0x4 the first, 0xe the second). Which thread gives the bits of which rows is in the
   PTX ISA; where all rows have the same, all threads give the same. */
#ifndef KERNELS_LIB_WGMMA_SPARSE_H
#define KERNELS_LIB_WGMMA_SPARSE_H

#include "kernels/lib/wgmma.h"

#define WGMMA_SPARSE_SS(i0, i1, i2, i3, i4, i5, i6, instruction, d, tail)                                              \
    "{\n.reg .pred p;\nsetp.ne.b32 p, %" #i3 ", 0;\n" instruction " {" d "}, %" #i0 ", %" #i1 ", %" #i2 ", 0, p"       \
    tail                                                                                                               \
    ";\n}\n"
#define WGMMA_SPARSE_RS(i0, i1, i2, i3, i4, i5, i6, instruction, d, tail)                                              \
    "{\n.reg .pred p;\nsetp.ne.b32 p, %" #i6 ", 0;\n" instruction " {" d "}, {%" #i0 ", %" #i1 ", %" #i2 ", %" #i3     \
    "}, %" #i4 ", %" #i5 ", 0, p" tail ";\n}\n"

#define WGMMA_SPARSE_DEFINE(name, n, registers, word, constraint, kind, ss_tail, rs_tail)                              \
    static __device__ __forceinline__ void wgmma_sparse_##name##_n##n##_ss(word(&d)[registers], uint64_t a,            \
                                                                           uint64_t b, uint32_t metadata,              \
                                                                           bool accumulate) {                          \
        WGMMA_ASM(WGMMA_EXPAND(WGMMA_SPARSE_SS, WGMMA_NEXT_##registers,                                                \
                               "wgmma.mma_async.sp.sync.aligned.m64n" #n kind, WGMMA_TEXT_##registers, ss_tail)        \
                  : WGMMA_D_##registers(constraint)                                                                    \
                  : "l"(a), "l"(b), "r"(metadata), "r"((int)accumulate));                                              \
    }                                                                                                                  \
    static __device__ __forceinline__ void wgmma_sparse_##name##_n##n##_rs(                                            \
        word(&d)[registers], const uint32_t(&a)[4], uint64_t b, uint32_t metadata, bool accumulate) {                  \
        WGMMA_ASM(WGMMA_EXPAND(WGMMA_SPARSE_RS, WGMMA_NEXT_##registers,                                                \
                               "wgmma.mma_async.sp.sync.aligned.m64n" #n kind, WGMMA_TEXT_##registers, rs_tail)        \
                  : WGMMA_D_##registers(constraint)                                                                    \
                  : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(metadata), "r"((int)accumulate));          \
    }
WGMMA_EACH_32(WGMMA_SPARSE_DEFINE, fp16, float, "+f", "k32.f32.f16.f16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_EACH_32(WGMMA_SPARSE_DEFINE, bf16, float, "+f", "k32.f32.bf16.bf16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_EACH_32(WGMMA_SPARSE_DEFINE, tf32, float, "+f", "k16.f32.tf32.tf32", ", 1, 1", ", 1, 1")
WGMMA_EACH_32(WGMMA_SPARSE_DEFINE, fp8_e4m3, float, "+f", "k64.f32.e4m3.e4m3", ", 1, 1", ", 1, 1")
WGMMA_EACH_32(WGMMA_SPARSE_DEFINE, fp8_e5m2, float, "+f", "k64.f32.e5m2.e5m2", ", 1, 1", ", 1, 1")
WGMMA_EACH_32(WGMMA_SPARSE_DEFINE, int8, int32_t, "+r", "k64.s32.s8.s8", "", "")

#endif
