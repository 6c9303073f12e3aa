/* fma_peak_walks.h: the walks of fma_peak on the host, one for each instruction set and format, whether this processor
   has them, and how many steps a clock it can make. Part of fma_peak.c. */
#ifndef KERNELS_FMA_PEAK_WALKS_H
#define KERNELS_FMA_PEAK_WALKS_H

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <arm_sve.h>
#include <sys/auxv.h>
#endif

#include "bench/dtype.h"
#include "kernels/fma_peak.h"

enum { REGISTER_MOST = 1024 }; /* bytes: of a tile; vectors have 64 */

/* Walks every chain of one thread for `rounds` rounds. constants: a, FIRST and SECOND as the kernel wants them, read
   from memory so that the compiler cannot know them. */
#define FOR_CHAINS(chains) _Pragma("GCC unroll 24") for (int i = 0; i < (chains); i++)
typedef void walk(const void *start, const void *constants, int rounds, void *out);

/* Dependent additions, a clock each, in a walk that they and not the vectors are to pace: how many in that time tells
   the clock under that very load. n is a constant; 0: none. */
#if defined(__x86_64__)
#define ADDITION "add %1, %0"
#else
#define ADDITION "add %0, %0, %1"
#endif
#define ADD(n) __asm__ volatile(".rept %c2\n\t" ADDITION "\n\t.endr" : "+r"(paced_sum) : "r"(addend), "i"(n) : "cc")

/* The kernels differ in STEP(x, a, b) alone. */
#define WALK_CHAINS(vector, chains, additions, STEP)                                                                   \
    const vector *from = start, *constant = constants;                                                                 \
    vector chain[chains], a = constant[0], first = constant[1], second = constant[2], *to = out;                       \
    uint64_t paced_sum = 1, addend = 3;                                                                                \
    for (int i = 0; i < (chains); i++) chain[i] = from[i];                                                             \
    for (int round = 0; round < rounds; round++) {                                                                     \
        for (int pair = 0; pair < PAIRS; pair++) {                                                                     \
            FOR_CHAINS(chains) STEP(chain[i], a, first);                                                               \
            FOR_CHAINS(chains) STEP(chain[i], a, second);                                                              \
            ADD(additions);                                                                                            \
        }                                                                                                              \
        vector other = first;                                                                                          \
        first = second, second = other;                                                                                \
    }                                                                                                                  \
    for (int i = 0; i < (chains); i++) to[i] = chain[i]

#define MULTIPLY_ADD(x, a, b) x = x * a + b
#define DEFINE_WALK_ADDING(name, vector, chains, additions, STEP, attributes)                                          \
    attributes static void name(const void *start, const void *constants, int rounds, void *out) {                     \
        WALK_CHAINS(vector, chains, additions, STEP);                                                                  \
    }

/* name, name_paced and name_slow: without additions, and with a tenth and three tenths more of them than the `clocks`
   that a pair of steps takes. */
#define PACED(clocks) ((clocks) * 11 / 10)
#define SLOW(clocks) ((clocks) * 13 / 10)
#define DEFINE_WALKS(name, vector, chains, clocks, STEP, attributes)                                                   \
    DEFINE_WALK_ADDING(name, vector, chains, 0, STEP, attributes)                                                      \
    DEFINE_WALK_ADDING(name##_paced, vector, chains, PACED(clocks), STEP, attributes)                                  \
    DEFINE_WALK_ADDING(name##_slow, vector, chains, SLOW(clocks), STEP, attributes)
#define DEFINE_WALK(name, scalar, bytes, chains, attributes)                                                           \
    typedef scalar name##_vector __attribute__((vector_size(bytes)));                                                  \
    DEFINE_WALKS(name, name##_vector, chains, chains, MULTIPLY_ADD, attributes)

enum instructions {
#if defined(__x86_64__)
    SSE2, AVX2, AVX512, AVX512_FP16, AVX512_BF16, AVX512_VNNI, AMX,
#else
    VECTOR128, SVE,
#endif
    INSTRUCTIONS_COUNT
};

struct kernel {
    walk *walk;         /* NULL: these instructions have no such format */
    walk *paced, *slow; /* the same with PACED(clocks) and SLOW(clocks) additions a pair of steps; NULL: none */
    int clocks;
    int chains, lanes;  /* accumulators of a register */
    int operations;     /* of a step and lane */
    enum dtype output;
};
#define KERNEL(name, clocks, chains, lanes, operations, output)                                                        \
    {name, name##_paced, name##_slow, clocks, chains, lanes, operations, output}

#if defined(__x86_64__)
/* arch= takes back what -march=native allows, so that each function keeps to its own instructions. */
#define FOR_CPU(features) __attribute__((noinline, target(features)))
#if defined(__clang__)
#define AS_WRITTEN
#else
#define AS_WRITTEN __attribute__((optimize("no-schedule-insns2", "no-tree-ter")))
#endif
/* Without multiply-adds: products and sums in turn, the sum of a chain seven products after its own, so that a product
   and a sum that wait for nobody stand side by side. The last seven chains begin with a product, which a second one
   takes back at the end: a is -1. Fourteen chains fit the registers because a is read where it lies; a name each,
   because GCC keeps an array that assembly sees in memory. */
enum { SSE2_CHAINS = 14, SSE2_AHEAD = 7, SSE2_CLOCKS = 19 }; /* clocks: on three ports; on four it is 14 */
#define FOR_SSE2(DO)                                                                                                   \
    DO(0, 7) DO(1, 8) DO(2, 9) DO(3, 10) DO(4, 11) DO(5, 12) DO(6, 13) DO(7, 0) DO(8, 1) DO(9, 2) DO(10, 3) DO(11, 4)  \
    DO(12, 5) DO(13, 6)
#define SSE2_LOAD(i, other) vector x##i = i < SSE2_AHEAD ? from[i] : from[i] * *a;
#define SSE2_STEP(i, other, PRODUCT, addend)                                                                           \
    __asm__(PRODUCT " %1, %0" : "+x"(x##i) : "m"(*a));                                                                 \
    x##other += addend;
#define SSE2_STORE(i, other) to[i] = i < SSE2_AHEAD ? x##i : x##i * *a;
#define DEFINE_SSE2_WALK(name, scalar, FIRST_STEP, SECOND_STEP, additions)                                             \
    AS_WRITTEN FOR_CPU("arch=x86-64")                                                                                  \
    static void name(const void *start, const void *constants, int rounds, void *out) {                                \
        typedef scalar vector __attribute__((vector_size(16)));                                                        \
        const vector *from = start, *a = constants;                                                                    \
        vector first = a[1], second = a[2], *to = out;                                                                 \
        uint64_t paced_sum = 1, addend = 3;                                                                            \
        FOR_SSE2(SSE2_LOAD)                                                                                            \
        for (int round = 0; round < rounds; round++) {                                                                 \
            for (int pair = 0; pair < PAIRS; pair++) {                                                                 \
                FOR_SSE2(FIRST_STEP)                                                                                   \
                FOR_SSE2(SECOND_STEP)                                                                                  \
                ADD(additions);                                                                                        \
            }                                                                                                          \
            vector last = first;                                                                                       \
            first = second, second = last;                                                                             \
        }                                                                                                              \
        FOR_SSE2(SSE2_STORE)                                                                                           \
    }
#define DEFINE_SSE2_WALKS(name, scalar, FIRST_STEP, SECOND_STEP)                                                       \
    DEFINE_SSE2_WALK(name, scalar, FIRST_STEP, SECOND_STEP, 0)                                                         \
    DEFINE_SSE2_WALK(name##_paced, scalar, FIRST_STEP, SECOND_STEP, PACED(SSE2_CLOCKS))                                \
    DEFINE_SSE2_WALK(name##_slow, scalar, FIRST_STEP, SECOND_STEP, SLOW(SSE2_CLOCKS))
#define FIRST_FP64(i, other) SSE2_STEP(i, other, "mulpd", first)
#define SECOND_FP64(i, other) SSE2_STEP(i, other, "mulpd", second)
#define FIRST_FP32(i, other) SSE2_STEP(i, other, "mulps", first)
#define SECOND_FP32(i, other) SSE2_STEP(i, other, "mulps", second)
DEFINE_SSE2_WALKS(sse2_fp64, double, FIRST_FP64, SECOND_FP64)
DEFINE_SSE2_WALKS(sse2_fp32, float, FIRST_FP32, SECOND_FP32)
DEFINE_WALK(avx2_fp64, double, 32, 12, FOR_CPU("arch=haswell"))
DEFINE_WALK(avx2_fp32, float, 32, 12, FOR_CPU("arch=haswell"))
DEFINE_WALK(avx512_fp64, double, 64, 24, FOR_CPU("arch=skylake-avx512"))
DEFINE_WALK(avx512_fp32, float, 64, 24, FOR_CPU("arch=skylake-avx512"))

#if defined(__FLT16_MANT_DIG__)
DEFINE_WALK(avx512_fp16, _Float16, 64, 24, FOR_CPU("arch=skylake-avx512,avx512fp16"))
#define AVX512_FP16_KERNEL KERNEL(avx512_fp16, 24, 24, 32, 2, DTYPE_fp16)
#else
#define AVX512_FP16_KERNEL {0}
#endif

/* Dot products of neighbours, added to an accumulator of four bytes. Intel takes four times as long for bf16. */
enum { BF16_CLOCKS = 96 };
typedef float vector_fp32 __attribute__((vector_size(64)));
typedef int32_t vector_int32 __attribute__((vector_size(64)));
#define DOT_BF16(x, a, b) x = (vector_fp32)_mm512_dpbf16_ps((__m512)x, (__m512bh)a, (__m512bh)b)
#define DOT_INT8(x, a, b) x = (vector_int32)_mm512_dpbusd_epi32((__m512i)x, (__m512i)a, (__m512i)b)
DEFINE_WALKS(avx512_bf16, vector_fp32, 24, BF16_CLOCKS, DOT_BF16, FOR_CPU("avx512f,avx512bw,avx512bf16"))
DEFINE_WALKS(avx512_vnni, vector_int32, 24, 24, DOT_INT8, FOR_CPU("avx512f,avx512bw,avx512vnni"))

/* AMX: tiles of 16 rows of 64 bytes. Five of the eight are chains, D (16 x 16) += A B, with A, FIRST and SECOND in the
   others; the numbers of a tile are told by the register's number in the instruction, hence no arrays. */
enum { TILE_BYTES = 1024, TILE_ROW = 64, TILE_CHAINS = 5, TILE_CLOCKS = 16 * 2 * TILE_CHAINS };
struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
#define FOR_TILES(DO) DO(0) DO(1) DO(2) DO(3) DO(4)
#define TILE_LOAD(i) _tile_loadd(i, (const char *)start + (i) * TILE_BYTES, TILE_ROW);
#define TILE_STORE(i) _tile_stored(i, (char *)out + (i) * TILE_BYTES, TILE_ROW);
#define DEFINE_TILE_WALK_ADDING(name, features, additions, PRODUCT)                                                    \
    FOR_CPU(features) static void name(const void *start, const void *constants, int rounds, void *out) {              \
        struct tile_configuration configuration = {.palette = 1};                                                      \
        uint64_t paced_sum = 1, addend = 3;                                                                            \
        for (int i = 0; i < 8; i++) configuration.row_bytes[i] = TILE_ROW, configuration.rows[i] = 16;                 \
        __asm__ volatile("" ::"r"(&configuration) : "memory"); /* the intrinsic names eight bytes of it alone */       \
        _tile_loadconfig(&configuration);                                                                              \
        FOR_TILES(TILE_LOAD)                                                                                           \
        _tile_loadd(5, constants, TILE_ROW);                                                                           \
        for (int round = 0; round < rounds; round++) {                                                                 \
            const char *first = (const char *)constants + (1 + round % 2) * TILE_BYTES;                                \
            const char *second = (const char *)constants + (2 - round % 2) * TILE_BYTES;                               \
            _tile_loadd(6, first, TILE_ROW);                                                                           \
            _tile_loadd(7, second, TILE_ROW);                                                                          \
            for (int pair = 0; pair < PAIRS; pair++) {                                                                 \
                PRODUCT(0, 6) PRODUCT(1, 6) PRODUCT(2, 6) PRODUCT(3, 6) PRODUCT(4, 6)                                  \
                ADD((additions) / 2);                                                                                  \
                PRODUCT(0, 7) PRODUCT(1, 7) PRODUCT(2, 7) PRODUCT(3, 7) PRODUCT(4, 7)                                  \
                ADD((additions) / 2);                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
        FOR_TILES(TILE_STORE)                                                                                          \
        _tile_release();                                                                                               \
    }
#define DEFINE_TILE_WALK(name, features, PRODUCT)                                                                      \
    DEFINE_TILE_WALK_ADDING(name, features, 0, PRODUCT)                                                                \
    DEFINE_TILE_WALK_ADDING(name##_paced, features, PACED(TILE_CLOCKS), PRODUCT)                                       \
    DEFINE_TILE_WALK_ADDING(name##_slow, features, SLOW(TILE_CLOCKS), PRODUCT)
#define TILE_BF16(d, b) _tile_dpbf16ps(d, 5, b);
#define TILE_INT8(d, b) _tile_dpbusd(d, 5, b);
DEFINE_TILE_WALK(amx_bf16, "amx-tile,amx-bf16", TILE_BF16)
DEFINE_TILE_WALK(amx_int8, "amx-tile,amx-int8", TILE_INT8)

/* The kernel gives a process its tiles when it is asked. */
static bool tiles_allowed(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* as in asm/prctl.h */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static const struct kernel kernels[INSTRUCTIONS_COUNT][DTYPE_COUNT] = {
    [SSE2] = {[DTYPE_fp64] = KERNEL(sse2_fp64, SSE2_CLOCKS, SSE2_CHAINS, 2, 2, DTYPE_fp64),
              [DTYPE_fp32] = KERNEL(sse2_fp32, SSE2_CLOCKS, SSE2_CHAINS, 4, 2, DTYPE_fp32)},
    [AVX2] = {[DTYPE_fp64] = KERNEL(avx2_fp64, 12, 12, 4, 2, DTYPE_fp64),
              [DTYPE_fp32] = KERNEL(avx2_fp32, 12, 12, 8, 2, DTYPE_fp32)},
    [AVX512] = {[DTYPE_fp64] = KERNEL(avx512_fp64, 24, 24, 8, 2, DTYPE_fp64),
                [DTYPE_fp32] = KERNEL(avx512_fp32, 24, 24, 16, 2, DTYPE_fp32)},
    [AVX512_FP16] = {[DTYPE_fp16] = AVX512_FP16_KERNEL},
    [AVX512_BF16] = {[DTYPE_bf16] = KERNEL(avx512_bf16, BF16_CLOCKS, 24, 16, 4, DTYPE_fp32)},
    [AVX512_VNNI] = {[DTYPE_int8] = KERNEL(avx512_vnni, 24, 24, 16, 8, DTYPE_int32)},
    [AMX] = {[DTYPE_bf16] = KERNEL(amx_bf16, TILE_CLOCKS, TILE_CHAINS, 256, 64, DTYPE_fp32),
             [DTYPE_int8] = KERNEL(amx_int8, TILE_CLOCKS, TILE_CHAINS, 256, 128, DTYPE_int32)}};

/* Features of CPUID's leaf 7 for which compilers have no name, or not the same: the register of which part of the leaf,
   and the bit there. */
enum feature { HAS_AMX_BF16, HAS_FP16, HAS_AMX_INT8, HAS_AVX_VNNI };
static bool has(enum feature feature) {
    static const struct {
        unsigned part, output, bit;
    } where[] = {[HAS_AMX_BF16] = {0, 3, 22}, [HAS_FP16] = {0, 3, 23}, [HAS_AMX_INT8] = {0, 3, 25},
                 [HAS_AVX_VNNI] = {1, 0, 4}};
    unsigned output[4];
    return __get_cpuid_count(7, where[feature].part, &output[0], &output[1], &output[2], &output[3]) &&
           (output[where[feature].output] >> where[feature].bit & 1);
}

static const char *missing(enum instructions instructions) {
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f"); /* by the processor and by the system */
    switch (instructions) {
    case SSE2: return NULL; /* part of x86-64 */
    case AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "no AVX2 with FMA here";
    case AVX512: return avx512 ? NULL : "no AVX-512 here";
    case AVX512_BF16: return __builtin_cpu_supports("avx512bf16") ? NULL : "no AVX512-BF16 here";
    case AVX512_VNNI: return __builtin_cpu_supports("avx512vnni") ? NULL : "no AVX512-VNNI here";
    case AVX512_FP16: return avx512 && has(HAS_FP16) ? NULL : "no AVX512-FP16 here";
    case AMX:
        if (!has(HAS_AMX_BF16) || !has(HAS_AMX_INT8)) return "no AMX here";
        return tiles_allowed() ? NULL : "the system does not give out the tiles of AMX";
    default: return "unknown instructions";
    }
}

/* Steps of one register a clock, and how that is known. Intel from Golden Cove on (of which AVX-VNNI tells) multiplies
   on ports 0 and 1 and adds on 1 and 5; its vdpbf16ps is four operations of every width, two of them on port 5. */
static double steps_per_clock(enum instructions instructions, const char **source) {
    if (instructions == AMX) {
        *source = "a tile product in 16 clocks x measured clock";
        return 1.0 / 16;
    }
    bool sums = instructions == SSE2, intel = __builtin_cpu_is("intel");
    if (intel && instructions == AVX512_BF16 && has(HAS_FP16)) {
        *source = "2 operations on 1 port x measured clock (LLVM's model of Sapphire Rapids)";
        return 0.5;
    }
    if (intel && sums && has(HAS_AVX_VNNI)) {
        *source = "3 ports x measured clock";
        return 1.5;
    }
    bool adders = sums && __builtin_cpu_is("amd");
    *source = adders ? "2 multipliers + 2 adders x measured clock" : "2 ports x measured clock";
    return sums && !adders ? 1 : 2;
}
#else
/* NEON and its like: 32 registers of 128 bits. */
DEFINE_WALK(vector128_fp64, double, 16, 24, __attribute__((noinline)))
DEFINE_WALK(vector128_fp32, float, 16, 24, __attribute__((noinline)))

/* SVE: vectors as long as the processor's, of no size that the compiler knows: no arrays of them, hence a name each. */
#if defined(__aarch64__) && (defined(__ARM_FEATURE_SVE) || __GNUC__ >= 10)
#define FOR_SVE(DO)                                                                                                    \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15) DO(16)       \
    DO(17) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23)
#define SVE_LOAD(i) vector x##i = svld1(all, from + (i) * lanes);
#define SVE_FIRST(i) x##i = svmad_x(all, x##i, a, first);
#define SVE_SECOND(i) x##i = svmad_x(all, x##i, a, second);
#define SVE_STORE(i) svst1(all, to + (i) * lanes, x##i);
#define DEFINE_SVE_WALK(name, scalar, sve_vector, every, count)                                                        \
    __attribute__((noinline, target("arch=armv8-a+sve"))) static void name(const void *start, const void *constants,   \
                                                                           int rounds, void *out) {                    \
        typedef sve_vector vector;                                                                                     \
        const scalar *from = start, *constant = constants;                                                             \
        scalar *to = out;                                                                                              \
        svbool_t all = every();                                                                                        \
        uint64_t lanes = count();                                                                                      \
        vector a = svld1(all, constant), first = svld1(all, constant + lanes);                                         \
        vector second = svld1(all, constant + 2 * lanes);                                                              \
        FOR_SVE(SVE_LOAD)                                                                                              \
        for (int round = 0; round < rounds; round++) {                                                                 \
            for (int pair = 0; pair < PAIRS; pair++) {                                                                 \
                FOR_SVE(SVE_FIRST)                                                                                     \
                FOR_SVE(SVE_SECOND)                                                                                    \
            }                                                                                                          \
            vector other = first;                                                                                      \
            first = second, second = other;                                                                            \
        }                                                                                                              \
        FOR_SVE(SVE_STORE)                                                                                             \
    }
DEFINE_SVE_WALK(sve_fp64, double, svfloat64_t, svptrue_b64, svcntd)
DEFINE_SVE_WALK(sve_fp32, float, svfloat32_t, svptrue_b32, svcntw)
DEFINE_SVE_WALK(sve_fp16, __fp16, svfloat16_t, svptrue_b16, svcnth)
__attribute__((target("arch=armv8-a+sve"))) static int sve_bytes(void) {
    return (int)svcntb();
}
#define SVE_KERNEL(name) name
#define HAVE_SVE ((getauxval(AT_HWCAP) & HWCAP_SVE) != 0)
#else
#define SVE_KERNEL(name) NULL
#define HAVE_SVE 0
static int sve_bytes(void) {
    return 0;
}
#endif

static struct kernel kernels[INSTRUCTIONS_COUNT][DTYPE_COUNT] = {
    [VECTOR128] = {[DTYPE_fp64] = KERNEL(vector128_fp64, 24, 24, 2, 2, DTYPE_fp64),
                   [DTYPE_fp32] = KERNEL(vector128_fp32, 24, 24, 4, 2, DTYPE_fp32)},
    /* lanes: as SVE has them at least */
    [SVE] = {[DTYPE_fp64] = {SVE_KERNEL(sve_fp64), NULL, NULL, 0, 24, 2, 2, DTYPE_fp64},
             [DTYPE_fp32] = {SVE_KERNEL(sve_fp32), NULL, NULL, 0, 24, 4, 2, DTYPE_fp32},
             [DTYPE_fp16] = {SVE_KERNEL(sve_fp16), NULL, NULL, 0, 24, 8, 2, DTYPE_fp16}}};

/* Also gives the kernels of SVE the lanes of this processor. */
static const char *missing(enum instructions instructions) {
    if (instructions != SVE) return NULL;
    if (!HAVE_SVE) return "no SVE here";
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++)
        if (kernels[SVE][dtype].walk != NULL)
            kernels[SVE][dtype].lanes = sve_bytes() / (int)dtype_size((enum dtype)dtype);
    return NULL;
}
static double steps_per_clock(enum instructions instructions, const char **source) {
    (void)instructions;
    *source = "2 ports x measured clock";
    return 2;
}
#endif

#endif
