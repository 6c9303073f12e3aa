/* mma_instructions.h: mma.sync and mma.sp for .cu files, each shape and type, on whole slices of lib/matrix_chain.h.
   See the PTX ISA, "Warp level matrix multiply-accumulate instructions". Where the target is too old for an instruction
   it traps; the program declines before.

   Functions: mma_<type>_<shape>(d, a, b, metadata), mma_fp16_fp16_<shape> with fp16 sums, and mma_sparse_.. of both. */
#ifndef KERNELS_LIB_MMA_INSTRUCTIONS_H
#define KERNELS_LIB_MMA_INSTRUCTIONS_H

#include <stdint.h>

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define ASM_80(...) asm volatile(__VA_ARGS__)
#else
#define ASM_80(...) __trap()
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
#define ASM_89(...) asm volatile(__VA_ARGS__)
#else
#define ASM_89(...) __trap()
#endif
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define ASM_90(...) asm volatile(__VA_ARGS__)
#else
#define ASM_90(...) __trap()
#endif

/* D += A_s B_s, from the registers of a slice s, or of several one after the other. Full: a slice at once; half: two
   instructions of 16 bytes of k, whose registers are the first and second half of the same ones. d has four 32-bit
   registers, or two pairs of fp16. metadata: of sparse instructions alone. */
#define SLICES(word, d_count, a_count, b_count, operand)                                                               \
    (word(&d)[d_count], const operand(*a)[a_count], const operand(*b)[b_count], uint32_t metadata)
#define DEFINE_FULL(ASM, name, word, c, kind)                                                                          \
    static __device__ __forceinline__ void mma_##name SLICES(word, 4, 4, 2, uint32_t) {                                \
        (void)metadata;                                                                                                \
        ASM("mma.sync.aligned." kind " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                \
            : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                                       \
            : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), "r"(b[0][0]), "r"(b[0][1]));                     \
    }
#define DEFINE_HALF(ASM, name, word, c, kind)                                                                          \
    static __device__ __forceinline__ void mma_##name SLICES(word, 4, 4, 2, uint32_t) {                                \
        (void)metadata;                                                                                                \
        _Pragma("unroll") for (int half = 0; half < 2; half++)                                                         \
            ASM("mma.sync.aligned." kind " {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"                        \
                : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                                   \
                : "r"(a[0][2 * half]), "r"(a[0][2 * half + 1]), "r"(b[0][half]));                                      \
    }
#define DEFINE_SPARSE_FULL(ASM, name, word, c, kind)                                                                   \
    static __device__ __forceinline__ void mma_sparse_##name SLICES(word, 4, 4, 4, uint32_t) {                         \
        ASM("mma.sp::ordered_metadata.sync.aligned." kind                                                              \
            " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, %12, 0;"                       \
            : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                                       \
            : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), "r"(b[0][0]), "r"(b[0][1]), "r"(b[0][2]),        \
              "r"(b[0][3]), "r"(metadata));                                                                            \
    }
#define DEFINE_SPARSE_HALF(ASM, name, word, c, kind)                                                                   \
    static __device__ __forceinline__ void mma_sparse_##name SLICES(word, 4, 4, 4, uint32_t) {                         \
        _Pragma("unroll") for (int half = 0; half < 2; half++)                                                         \
            ASM("mma.sp::ordered_metadata.sync.aligned." kind                                                          \
                " {%0, %1, %2, %3}, {%4, %5}, {%6, %7}, {%0, %1, %2, %3}, %8, 0;"                                      \
                : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                                   \
                : "r"(a[0][2 * half]), "r"(a[0][2 * half + 1]), "r"(b[0][2 * half]), "r"(b[0][2 * half + 1]),          \
                  "r"(metadata));                                                                                      \
    }
DEFINE_FULL(ASM_80, fp16_m16n8k16, float, "+f", "m16n8k16.row.col.f32.f16.f16.f32")
DEFINE_HALF(ASM_80, fp16_m16n8k8, float, "+f", "m16n8k8.row.col.f32.f16.f16.f32")
DEFINE_FULL(ASM_80, bf16_m16n8k16, float, "+f", "m16n8k16.row.col.f32.bf16.bf16.f32")
DEFINE_HALF(ASM_80, bf16_m16n8k8, float, "+f", "m16n8k8.row.col.f32.bf16.bf16.f32")
DEFINE_FULL(ASM_80, tf32_m16n8k8, float, "+f", "m16n8k8.row.col.f32.tf32.tf32.f32")
DEFINE_HALF(ASM_80, tf32_m16n8k4, float, "+f", "m16n8k4.row.col.f32.tf32.tf32.f32")
DEFINE_FULL(ASM_89, fp8_e4m3_m16n8k32, float, "+f", "m16n8k32.row.col.f32.e4m3.e4m3.f32")
DEFINE_FULL(ASM_89, fp8_e5m2_m16n8k32, float, "+f", "m16n8k32.row.col.f32.e5m2.e5m2.f32")
DEFINE_FULL(ASM_80, int8_m16n8k32, int32_t, "+r", "m16n8k32.row.col.s32.s8.s8.s32")
DEFINE_HALF(ASM_80, int8_m16n8k16, int32_t, "+r", "m16n8k16.row.col.s32.s8.s8.s32")
DEFINE_SPARSE_FULL(ASM_80, fp16_m16n8k32, float, "+f", "m16n8k32.row.col.f32.f16.f16.f32")
DEFINE_SPARSE_HALF(ASM_80, fp16_m16n8k16, float, "+f", "m16n8k16.row.col.f32.f16.f16.f32")
DEFINE_SPARSE_FULL(ASM_80, bf16_m16n8k32, float, "+f", "m16n8k32.row.col.f32.bf16.bf16.f32")
DEFINE_SPARSE_HALF(ASM_80, bf16_m16n8k16, float, "+f", "m16n8k16.row.col.f32.bf16.bf16.f32")
DEFINE_SPARSE_FULL(ASM_80, tf32_m16n8k16, float, "+f", "m16n8k16.row.col.f32.tf32.tf32.f32")
DEFINE_SPARSE_HALF(ASM_80, tf32_m16n8k8, float, "+f", "m16n8k8.row.col.f32.tf32.tf32.f32")
DEFINE_SPARSE_FULL(ASM_89, fp8_e4m3_m16n8k64, float, "+f", "m16n8k64.row.col.f32.e4m3.e4m3.f32")
DEFINE_SPARSE_FULL(ASM_89, fp8_e5m2_m16n8k64, float, "+f", "m16n8k64.row.col.f32.e5m2.e5m2.f32")
DEFINE_SPARSE_FULL(ASM_80, int8_m16n8k64, int32_t, "+r", "m16n8k64.row.col.s32.s8.s8.s32")
DEFINE_SPARSE_HALF(ASM_80, int8_m16n8k32, int32_t, "+r", "m16n8k32.row.col.s32.s8.s8.s32")

/* fp16 sums: the same with packed d. */
#define DEFINE_PACKED_FULL(name, b_count, sp, kind, b_text, metadata_text, ...)                                        \
    static __device__ __forceinline__ void mma_##name SLICES(uint32_t, 2, 4, b_count, uint32_t) {                      \
        (void)metadata;                                                                                                \
        ASM_80("mma" sp ".sync.aligned." kind " {%0, %1}, {%2, %3, %4, %5}, " b_text ", {%0, %1}" metadata_text ";"    \
               : "+r"(d[0]), "+r"(d[1])                                                                                \
               : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), __VA_ARGS__);                                 \
    }
#define DEFINE_PACKED_HALF(name, b_count, sp, kind, b_text, metadata_text, ...)                                        \
    static __device__ __forceinline__ void mma_##name SLICES(uint32_t, 2, 4, b_count, uint32_t) {                      \
        (void)metadata;                                                                                                \
        _Pragma("unroll") for (int half = 0; half < 2; half++)                                                         \
            ASM_80("mma" sp ".sync.aligned." kind " {%0, %1}, {%2, %3}, " b_text ", {%0, %1}" metadata_text ";"        \
                   : "+r"(d[0]), "+r"(d[1])                                                                            \
                   : "r"(a[0][2 * half]), "r"(a[0][2 * half + 1]), __VA_ARGS__);                                       \
    }
DEFINE_PACKED_FULL(fp16_fp16_m16n8k16, 2, "", "m16n8k16.row.col.f16.f16.f16.f16", "{%6, %7}", "", "r"(b[0][0]),
                   "r"(b[0][1]))
DEFINE_PACKED_HALF(fp16_fp16_m16n8k8, 2, "", "m16n8k8.row.col.f16.f16.f16.f16", "{%4}", "", "r"(b[0][half]))
DEFINE_PACKED_FULL(sparse_fp16_fp16_m16n8k32, 4, ".sp::ordered_metadata", "m16n8k32.row.col.f16.f16.f16.f16",
                   "{%6, %7, %8, %9}", ", %10, 0", "r"(b[0][0]), "r"(b[0][1]), "r"(b[0][2]), "r"(b[0][3]),
                   "r"(metadata))
DEFINE_PACKED_HALF(sparse_fp16_fp16_m16n8k16, 4, ".sp::ordered_metadata", "m16n8k16.row.col.f16.f16.f16.f16",
                   "{%4, %5}", ", %6, 0", "r"(b[0][2 * half]), "r"(b[0][2 * half + 1]), "r"(metadata))

/* m = 8: one row, half the registers of D; a slice is two instructions. */
static __device__ __forceinline__ void mma_int8_m8n8k16 SLICES(int32_t, 2, 2, 2, uint32_t) {
    (void)metadata;
#pragma unroll
    for (int half = 0; half < 2; half++)
        ASM_80("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
               : "+r"(d[0]), "+r"(d[1])
               : "r"(a[0][half]), "r"(b[0][half]));
}
static __device__ __forceinline__ void mma_fp64_m8n8k4 SLICES(double, 2, 1, 1, double) {
    (void)metadata;
    ASM_80("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
           : "+d"(d[0]), "+d"(d[1])
           : "d"(a[0][0]), "d"(b[0][0]));
}
static __device__ __forceinline__ void mma_fp64_m16n8k4 SLICES(double, 4, 2, 1, double) {
    (void)metadata;
    ASM_90("mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
           : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
           : "d"(a[0][0]), "d"(a[0][1]), "d"(b[0][0]));
}
static __device__ __forceinline__ void mma_fp64_m16n8k8 SLICES(double, 4, 2, 1, double) {
    (void)metadata;
    ASM_90("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
           "{%0, %1, %2, %3};"
           : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
           : "d"(a[0][0]), "d"(a[0][1]), "d"(a[1][0]), "d"(a[1][1]), "d"(b[0][0]), "d"(b[1][0]));
}
static __device__ __forceinline__ void mma_fp64_m16n8k16 SLICES(double, 4, 2, 1, double) {
    (void)metadata;
    ASM_90("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7, %8, %9, %10, %11}, "
           "{%12, %13, %14, %15}, {%0, %1, %2, %3};"
           : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
           : "d"(a[0][0]), "d"(a[0][1]), "d"(a[1][0]), "d"(a[1][1]), "d"(a[2][0]), "d"(a[2][1]), "d"(a[3][0]),
             "d"(a[3][1]), "d"(b[0][0]), "d"(b[1][0]), "d"(b[2][0]), "d"(b[3][0]));
}

#undef SLICES

#endif
