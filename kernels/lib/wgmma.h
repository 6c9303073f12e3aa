/* wgmma.h: Hopper's warpgroup matrix instructions, for .cu files: D (64 x n, registers of 128 threads) += A (64 x 32
   bytes of k) B (n x 32 bytes of k). See the PTX ISA, "Asynchronous warpgroup level matrix instructions". They exist
   for the target sm_90a alone, in the kernels compiled for it; elsewhere the functions trap, and wgmma_missing() says
   beforehand whether the loaded code is of the right kind.

   Functions: wgmma_<type>_<sums>_n<n>_ss(d, a, b, accumulate), with A and B in shared memory, and .._rs with A in
   registers. type: fp16, bf16, tf32, fp8_e4m3, fp8_e5m2 with sums fp32 (float d[n / 2]), int8 with int32 (int32_t
   d[n / 2]); fp16 and both fp8 also with fp16 (uint32_t d[n / 4], two numbers each). n: 8, 16, 32, 64, 128, 256; some
   types others, at the end. wgmma_<bf16 or fp16>_bt_fp32_.. take a B whose n is contiguous (from n = 64), .._at_.. an A whose m is,
   from shared memory: see wgmma_transposed_descriptor.
   accumulate: false leaves the old D out of the sum. A function only issues; the order of things is
     shared memory written by threads: fence_for_copy_engine() of bulk_copy.h, then a barrier
     wgmma_fence()            before the first instruction, and whenever d or a was touched since
     wgmma_..(..)             one or many, on the same d too
     wgmma_commit()           makes a group of them
     wgmma_wait<left>()       until at most `left` groups are unfinished; then d may be read: wgmma_hold(d) first
   all of it by all 128 threads of a warpgroup, which starts at a multiple of 128.

   NOTES. The lists of up to 128 registers are built from tens: the compiler takes operand numbers as text only. */
#ifndef KERNELS_LIB_WGMMA_H
#define KERNELS_LIB_WGMMA_H

#include "bench/cuda.h"
#include "kernels/lib/bulk_copy.h"

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define WGMMA_ASM(...) asm volatile(__VA_ARGS__)
#define WGMMA_BUILT 1
#else
#define WGMMA_ASM(...) __trap()
#define WGMMA_BUILT 0
#endif

/* Which of the images in the program was loaded shows in its own copy of this constant. */
static __constant__ int wgmma_built = WGMMA_BUILT;

/* NULL, or why no kernel with these instructions runs on the current device. */
static inline const char *wgmma_missing(void) {
    int built = 0;
    if (cudaMemcpyFromSymbol(&built, wgmma_built, sizeof built) != cudaSuccess) cudaGetLastError();
    return built ? NULL : "needs the instructions of sm_90a, on the device and in the build";
}

/* Tiles in shared memory, k contiguous. SWIZZLE_128: rows of 128 bytes, eight rows (1024 bytes) after eight, base
   aligned to 1024 bytes, the 16-byte chunks of a row exchanged as wgmma_swizzled says, so that no two rows of the eight
   meet in a bank; this is also how the copy engine lays tiles out on request. */
enum { WGMMA_M = 64, WGMMA_THREADS = 128, WGMMA_ROW_BYTES = 128, WGMMA_TILE_ALIGNMENT = 1024, WGMMA_K_BYTES = 32 };
enum wgmma_swizzle { WGMMA_SWIZZLE_NONE, WGMMA_SWIZZLE_128, WGMMA_SWIZZLE_64, WGMMA_SWIZZLE_32 };

/* Offset in bytes of byte `byte` of row `row` in a tile with SWIZZLE_128. */
static __device__ inline unsigned wgmma_swizzled(unsigned row, unsigned byte) {
    return row * WGMMA_ROW_BYTES + (byte ^ (row % 8 * 16));
}

/* leading_bytes, stride_bytes: between blocks of 8 rows x 16 bytes (without swizzle) along k and along the rows; with a
   swizzle the stride from eight rows to the next eight, and leading_bytes is not used. Multiples of 16. */
static __device__ inline uint64_t wgmma_descriptor(const void *tile, unsigned leading_bytes, unsigned stride_bytes,
                                                   enum wgmma_swizzle swizzle) {
    uint64_t address = (uint64_t)__cvta_generic_to_shared(tile);
    return (address & 0x3ffff) >> 4 | (uint64_t)(leading_bytes >> 4) << 16 | (uint64_t)(stride_bytes >> 4) << 32 |
           (uint64_t)swizzle << 62;
}

/* The descriptor of a tile with SWIZZLE_128, from byte k_bytes (a multiple of 32 below 128) of its rows. */
static __device__ inline uint64_t wgmma_tile_descriptor(const void *tile, unsigned k_bytes) {
    return wgmma_descriptor((const char *)tile + k_bytes, 16, 8 * WGMMA_ROW_BYTES, WGMMA_SWIZZLE_128);
}

/* Of a 16-bit tile with m or n contiguous, from its row k (a multiple of 8): blocks of 64 along m or n, block_bytes
   from one to the next, each with SWIZZLE_128 and a row for each k. */
enum { WGMMA_BLOCK = 64 };
static __device__ inline uint64_t wgmma_transposed_descriptor(const void *tile, unsigned k, unsigned block_bytes) {
    return wgmma_descriptor((const char *)tile + k * WGMMA_ROW_BYTES, block_bytes, 8 * WGMMA_ROW_BYTES,
                            WGMMA_SWIZZLE_128);
}

/* Where a thread's numbers are. Pair p of D (registers 2p, 2p + 1, or the two halves of register p): this row, and
   wgmma_pair_column and the one after it. Register r of A: row wgmma_pair_row(thread, r), four bytes from
   wgmma_a_byte. */
static __device__ inline unsigned wgmma_pair_row(unsigned thread, unsigned pair) {
    return thread % 128 / 32 * 16 + thread % 32 / 4 + pair % 2 * 8;
}
static __device__ inline unsigned wgmma_pair_column(unsigned thread, unsigned pair) {
    return pair / 2 * 8 + thread % 4 * 2;
}
static __device__ inline unsigned wgmma_a_byte(unsigned thread, unsigned r) {
    return thread % 4 * 4 + r / 2 * 16;
}

static __device__ inline void wgmma_fence(void) {
    WGMMA_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ inline void wgmma_commit(void) {
    WGMMA_ASM("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int left> static __device__ inline void wgmma_wait(void) {
    WGMMA_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory");
}
/* The compiler may not move a use of d to before this point. */
template <int registers> static __device__ inline void wgmma_hold(float (&d)[registers]) {
#pragma unroll
    for (int i = 0; i < registers; i++) asm volatile("" : "+f"(d[i])::"memory");
}
template <typename word, int registers> static __device__ inline void wgmma_hold(word (&d)[registers]) {
#pragma unroll
    for (int i = 0; i < registers; i++) asm volatile("" : "+r"(d[i])::"memory");
}

/* Names of operands %0 .. %(count - 1) */
#define WGMMA_TEXT_10(t)                                                                                               \
    "%" #t "0, %" #t "1, %" #t "2, %" #t "3, %" #t "4, %" #t "5, %" #t "6, %" #t "7, %" #t "8, %" #t "9, "
#define WGMMA_TEXT_60                                                                                                  \
    WGMMA_TEXT_10() WGMMA_TEXT_10(1) WGMMA_TEXT_10(2) WGMMA_TEXT_10(3) WGMMA_TEXT_10(4) WGMMA_TEXT_10(5)
#define WGMMA_TEXT_2 "%0, %1"
#define WGMMA_TEXT_4 "%0, %1, %2, %3"
#define WGMMA_TEXT_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define WGMMA_TEXT_16 WGMMA_TEXT_10() "%10, %11, %12, %13, %14, %15"
#define WGMMA_TEXT_32 WGMMA_TEXT_10() WGMMA_TEXT_10(1) WGMMA_TEXT_10(2) "%30, %31"
#define WGMMA_TEXT_40                                                                                                  \
    WGMMA_TEXT_10() WGMMA_TEXT_10(1) WGMMA_TEXT_10(2) "%30, %31, %32, %33, %34, %35, %36, %37, %38, %39"
#define WGMMA_TEXT_48                                                                                                  \
    WGMMA_TEXT_10() WGMMA_TEXT_10(1) WGMMA_TEXT_10(2) WGMMA_TEXT_10(3) "%40, %41, %42, %43, %44, %45, %46, %47"
#define WGMMA_TEXT_64 WGMMA_TEXT_60 "%60, %61, %62, %63"
#define WGMMA_TEXT_96                                                                                                  \
    WGMMA_TEXT_60 WGMMA_TEXT_10(6) WGMMA_TEXT_10(7) WGMMA_TEXT_10(8) "%90, %91, %92, %93, %94, %95"
#define WGMMA_TEXT_128                                                                                                 \
    WGMMA_TEXT_60 WGMMA_TEXT_10(6) WGMMA_TEXT_10(7) WGMMA_TEXT_10(8) WGMMA_TEXT_10(9) WGMMA_TEXT_10(10)                \
        WGMMA_TEXT_10(11) "%120, %121, %122, %123, %124, %125, %126, %127"
/* d[0] .. d[count - 1] as operands of constraint c */
#define WGMMA_LIST_8(c, t)                                                                                             \
    c(d[t##0]), c(d[t##1]), c(d[t##2]), c(d[t##3]), c(d[t##4]), c(d[t##5]), c(d[t##6]), c(d[t##7])
#define WGMMA_LIST_10(c, t) WGMMA_LIST_8(c, t), c(d[t##8]), c(d[t##9])
#define WGMMA_LIST_60(c)                                                                                               \
    WGMMA_LIST_10(c, ), WGMMA_LIST_10(c, 1), WGMMA_LIST_10(c, 2), WGMMA_LIST_10(c, 3), WGMMA_LIST_10(c, 4),            \
        WGMMA_LIST_10(c, 5)
#define WGMMA_D_2(c) c(d[0]), c(d[1])
#define WGMMA_D_4(c) c(d[0]), c(d[1]), c(d[2]), c(d[3])
#define WGMMA_D_8(c) WGMMA_LIST_8(c, )
#define WGMMA_D_16(c) WGMMA_LIST_10(c, ), c(d[10]), c(d[11]), c(d[12]), c(d[13]), c(d[14]), c(d[15])
#define WGMMA_D_32(c) WGMMA_LIST_10(c, ), WGMMA_LIST_10(c, 1), WGMMA_LIST_10(c, 2), c(d[30]), c(d[31])
#define WGMMA_D_40(c) WGMMA_LIST_10(c, ), WGMMA_LIST_10(c, 1), WGMMA_LIST_10(c, 2), WGMMA_LIST_10(c, 3)
#define WGMMA_D_48(c) WGMMA_D_40(c), WGMMA_LIST_8(c, 4)
#define WGMMA_D_64(c) WGMMA_LIST_60(c), c(d[60]), c(d[61]), c(d[62]), c(d[63])
#define WGMMA_D_96(c)                                                                                                  \
    WGMMA_LIST_60(c), WGMMA_LIST_10(c, 6), WGMMA_LIST_10(c, 7), WGMMA_LIST_10(c, 8), c(d[90]), c(d[91]), c(d[92]),     \
        c(d[93]), c(d[94]), c(d[95])
#define WGMMA_D_128(c)                                                                                                 \
    WGMMA_LIST_60(c), WGMMA_LIST_10(c, 6), WGMMA_LIST_10(c, 7), WGMMA_LIST_10(c, 8), WGMMA_LIST_10(c, 9),              \
        WGMMA_LIST_10(c, 10), WGMMA_LIST_10(c, 11), WGMMA_LIST_8(c, 12)
/* numbers of the operands after them, as many as any instruction has */
#define WGMMA_NEXT_2 2, 3, 4, 5, 6, 7, 8
#define WGMMA_NEXT_4 4, 5, 6, 7, 8, 9, 10
#define WGMMA_NEXT_8 8, 9, 10, 11, 12, 13, 14
#define WGMMA_NEXT_16 16, 17, 18, 19, 20, 21, 22
#define WGMMA_NEXT_32 32, 33, 34, 35, 36, 37, 38
#define WGMMA_NEXT_40 40, 41, 42, 43, 44, 45, 46
#define WGMMA_NEXT_48 48, 49, 50, 51, 52, 53, 54
#define WGMMA_NEXT_64 64, 65, 66, 67, 68, 69, 70
#define WGMMA_NEXT_96 96, 97, 98, 99, 100, 101, 102
#define WGMMA_NEXT_128 128, 129, 130, 131, 132, 133, 134

#define WGMMA_EXPAND(macro, ...) macro(__VA_ARGS__)
#define WGMMA_SS(i0, i1, i2, i3, i4, i5, i6, instruction, d, tail)                                                     \
    "{\n.reg .pred p;\nsetp.ne.b32 p, %" #i2 ", 0;\n" instruction " {" d "}, %" #i0 ", %" #i1 ", p" tail ";\n}\n"
#define WGMMA_RS(i0, i1, i2, i3, i4, i5, i6, instruction, d, tail)                                                     \
    "{\n.reg .pred p;\nsetp.ne.b32 p, %" #i5 ", 0;\n" instruction " {" d "}, {%" #i0 ", %" #i1 ", %" #i2 ", %" #i3     \
    "}, %" #i4 ", p" tail ";\n}\n"

/* kind: what follows the shape's n in the instruction's name; the tails hold its immediate operands: the signs of A and
   B, and for 16-bit types which of the operands in shared memory are transposed. */
#define WGMMA_DEFINE_SS(name, n, registers, word, constraint, kind, tail)                                              \
    static __device__ __forceinline__ void wgmma_##name##_n##n##_ss(word(&d)[registers], uint64_t a, uint64_t b,       \
                                                                    bool accumulate) {                                 \
        WGMMA_ASM(WGMMA_EXPAND(WGMMA_SS, WGMMA_NEXT_##registers, "wgmma.mma_async.sync.aligned.m64n" #n kind,          \
                               WGMMA_TEXT_##registers, tail)                                                           \
                  : WGMMA_D_##registers(constraint)                                                                    \
                  : "l"(a), "l"(b), "r"((int)accumulate));                                                             \
    }
#define WGMMA_DEFINE_RS(name, n, registers, word, constraint, kind, tail)                                              \
    static __device__ __forceinline__ void wgmma_##name##_n##n##_rs(word(&d)[registers], const uint32_t(&a)[4],        \
                                                                    uint64_t b, bool accumulate) {                     \
        WGMMA_ASM(WGMMA_EXPAND(WGMMA_RS, WGMMA_NEXT_##registers, "wgmma.mma_async.sync.aligned.m64n" #n kind,          \
                               WGMMA_TEXT_##registers, tail)                                                           \
                  : WGMMA_D_##registers(constraint)                                                                    \
                  : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)accumulate));                         \
    }
#define WGMMA_DEFINE(name, n, registers, word, constraint, kind, ss_tail, rs_tail)                                     \
    WGMMA_DEFINE_SS(name, n, registers, word, constraint, kind, ss_tail)                                               \
    WGMMA_DEFINE_RS(name, n, registers, word, constraint, kind, rs_tail)
/* n = 8 .. 256 with 32-bit sums */
#define WGMMA_EACH_32(define, name, ...)                                                                               \
    define(name, 8, 4, __VA_ARGS__) define(name, 16, 8, __VA_ARGS__) define(name, 32, 16, __VA_ARGS__)                 \
        define(name, 64, 32, __VA_ARGS__) define(name, 128, 64, __VA_ARGS__) define(name, 256, 128, __VA_ARGS__)
#define WGMMA_DEFINE_32(name, ...) WGMMA_EACH_32(WGMMA_DEFINE, name, __VA_ARGS__)
#define WGMMA_DEFINE_16(name, kind, ss_tail, rs_tail)                                                                  \
    WGMMA_DEFINE(name, 8, 2, uint32_t, "+r", kind, ss_tail, rs_tail)                                                   \
    WGMMA_DEFINE(name, 16, 4, uint32_t, "+r", kind, ss_tail, rs_tail)                                                  \
    WGMMA_DEFINE(name, 32, 8, uint32_t, "+r", kind, ss_tail, rs_tail)                                                  \
    WGMMA_DEFINE(name, 64, 16, uint32_t, "+r", kind, ss_tail, rs_tail)                                                 \
    WGMMA_DEFINE(name, 128, 32, uint32_t, "+r", kind, ss_tail, rs_tail)                                                \
    WGMMA_DEFINE(name, 256, 64, uint32_t, "+r", kind, ss_tail, rs_tail)

WGMMA_DEFINE_32(fp16_fp32, float, "+f", "k16.f32.f16.f16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE_32(bf16_fp32, float, "+f", "k16.f32.bf16.bf16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE_32(tf32_fp32, float, "+f", "k8.f32.tf32.tf32", ", 1, 1", ", 1, 1")
WGMMA_DEFINE_32(fp8_e4m3_fp32, float, "+f", "k32.f32.e4m3.e4m3", ", 1, 1", ", 1, 1")
WGMMA_DEFINE_32(fp8_e5m2_fp32, float, "+f", "k32.f32.e5m2.e5m2", ", 1, 1", ", 1, 1")
WGMMA_DEFINE_32(int8_int32, int32_t, "+r", "k32.s32.s8.s8", "", "")
WGMMA_DEFINE_16(fp16_fp16, "k16.f16.f16.f16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE_16(fp8_e4m3_fp16, "k32.f16.e4m3.e4m3", ", 1, 1", ", 1, 1")
WGMMA_DEFINE_16(fp8_e5m2_fp16, "k32.f16.e5m2.e5m2", ", 1, 1", ", 1, 1")
/* 16-bit operands with m or n contiguous */
#define WGMMA_DEFINE_TRANSPOSED(name, n, registers, kind)                                                              \
    WGMMA_DEFINE(name##_bt_fp32, n, registers, float, "+f", kind, ", 1, 1, 0, 1", ", 1, 1, 1")                         \
    WGMMA_DEFINE_SS(name##_at_fp32, n, registers, float, "+f", kind, ", 1, 1, 1, 0")                                   \
    WGMMA_DEFINE_SS(name##_at_bt_fp32, n, registers, float, "+f", kind, ", 1, 1, 1, 1")
/* the sizes of attention's tiles */
WGMMA_DEFINE(bf16_fp32, 80, 40, float, "+f", "k16.f32.bf16.bf16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE(bf16_fp32, 96, 48, float, "+f", "k16.f32.bf16.bf16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE(fp16_fp32, 80, 40, float, "+f", "k16.f32.f16.f16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE(fp16_fp32, 96, 48, float, "+f", "k16.f32.f16.f16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE(fp8_e4m3_fp32, 96, 48, float, "+f", "k32.f32.e4m3.e4m3", ", 1, 1", ", 1, 1")
WGMMA_DEFINE(fp8_e4m3_fp32, 192, 96, float, "+f", "k32.f32.e4m3.e4m3", ", 1, 1", ", 1, 1")
WGMMA_DEFINE_TRANSPOSED(bf16, 96, 48, "k16.f32.bf16.bf16")
WGMMA_DEFINE_TRANSPOSED(fp16, 96, 48, "k16.f32.f16.f16")
WGMMA_DEFINE_TRANSPOSED(fp16, 192, 96, "k16.f32.f16.f16")
WGMMA_DEFINE_TRANSPOSED(bf16, 64, 32, "k16.f32.bf16.bf16")
WGMMA_DEFINE_TRANSPOSED(bf16, 128, 64, "k16.f32.bf16.bf16")
WGMMA_DEFINE_TRANSPOSED(bf16, 192, 96, "k16.f32.bf16.bf16")
WGMMA_DEFINE(bf16_fp32, 192, 96, float, "+f", "k16.f32.bf16.bf16", ", 1, 1, 0, 0", ", 1, 1, 0")
WGMMA_DEFINE_TRANSPOSED(bf16, 256, 128, "k16.f32.bf16.bf16")
WGMMA_DEFINE_TRANSPOSED(fp16, 64, 32, "k16.f32.f16.f16")
WGMMA_DEFINE_TRANSPOSED(fp16, 128, 64, "k16.f32.f16.f16")
WGMMA_DEFINE_TRANSPOSED(fp16, 256, 128, "k16.f32.f16.f16")

#endif
