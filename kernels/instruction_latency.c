/* instruction_latency: how long does one instruction of each kind take, and how many go through in a clock?

   Integers, floating point of every width, conversions, special functions (ex2, lg2, rcp, rsqrt, sqrt, sin, cos, tanh),
   and what lanes of a warp say to each other. The dynamic-programming instructions are dpx's, matrix instructions mma's
   and wgmma's, whole arithmetic peaks fma_peak's. After arXiv 2402.13499 and 2501.12084.

   latency     clocks from one to the next that needs its result, of one warp
   throughput  lanes_per_clock: instructions of single threads a clock, of one multiprocessor full of warps

   int64 instructions are made of several; a conversion is there and back and counts as two; sin and cos include the
   multiplication by 1 / 2 pi, rcp an addition; vote is a comparison and a ballot. Bytes, FLOPs: none. Limit of the
   rate: 128 lanes a clock and multiprocessor; in fp64, on Hopper, 64.
   Check: lib/instruction_chain.h. Integers, sums, products and conversions exactly; the special functions, approximate
   by definition, each step to the error that the PTX ISA allows.

   NOTES
   - Where the values settle (popcount, min, max) a lost step would not be seen; the machine code was looked at.
   - rcp alone is no chain: the assembler knows that two in a row give back what went in.
 * needs: cuda
 */
#include <math.h>
#include <string.h>

#include "bench/random.h"
#include "kernels/instruction_latency.h"

enum data { BITS, NEAR_ONE, HALVES, BF16S };
enum word { WORD_uint32_t, WORD_uint64_t, WORD_float, WORD_double };
static const struct {
    enum word word;
    enum data data;
} table[INSTRUCTION_COUNT] = {
#define INSTRUCTION_TABLE(name, word, operations, lanes, data) [INSTRUCTION_##name] = {WORD_##word, data},
    INSTRUCTIONS(INSTRUCTION_TABLE)
#undef INSTRUCTION_TABLE
};

static float float_of(uint64_t bits) {
    uint32_t word = (uint32_t)bits;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(enum word word, double value) {
    uint64_t bits = 0;
    float narrow = (float)value;
    if (word == WORD_double) memcpy(&bits, &value, sizeof value);
    else memcpy(&bits, &narrow, sizeof narrow);
    return bits;
}

/* Bytes of y:x, chosen by four digits of four bits; the highest bit would repeat a sign. */
static uint32_t permute(uint32_t x, uint32_t y, uint32_t choice) {
    uint64_t both = (uint64_t)y << 32 | x;
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t digit = choice >> 4 * i & 15, byte = (uint32_t)(both >> 8 * (digit & 7) & 255);
        if (digit & 8) byte = byte >> 7 ? 255 : 0;
        result |= byte << 8 * i;
    }
    return result;
}

static uint32_t reverse(uint32_t x) {
    uint32_t result = 0;
    for (int i = 0; i < 32; i++) result |= (x >> i & 1) << (31 - i);
    return result;
}

static uint32_t dot(uint32_t x, uint32_t a, uint32_t y) {
    for (int i = 0; i < 4; i++) y += (uint32_t)((int8_t)(x >> 8 * i) * (int8_t)(a >> 8 * i));
    return y;
}

static uint64_t integer_step(int which, uint64_t x64, uint64_t y64, uint64_t a64) {
    uint32_t x = (uint32_t)x64, y = (uint32_t)y64, a = (uint32_t)a64;
    switch (which) {
    case INSTRUCTION_int32_add: return (uint32_t)(x + y);
    case INSTRUCTION_int32_mad: return (uint32_t)(x * a + y);
    case INSTRUCTION_int32_mul_high: return (uint32_t)(((uint64_t)x * a >> 32) + y);
    case INSTRUCTION_int32_min: return x < y ? x : y;
    case INSTRUCTION_int32_logic: return x ^ y ^ a;
    case INSTRUCTION_int32_shift: return a % 32 == 0 ? y : y << a % 32 | x >> (32 - a % 32);
    case INSTRUCTION_int32_reverse: return reverse(x);
    case INSTRUCTION_int32_permute: return permute(x, y, a);
    case INSTRUCTION_int32_popcount: return (uint64_t)__builtin_popcount(x);
    case INSTRUCTION_int8_dot: return dot(x, a, y);
    case INSTRUCTION_int64_add: return x64 + y64;
    default: return x64 * a64 + y64;
    }
}

/* Two numbers of 16 bits; double holds x a + b exactly, so that it is rounded once. */
static uint64_t packed_step(int which, uint64_t x, uint64_t a, uint64_t b) {
    enum dtype dtype = which == INSTRUCTION_bf16x2_fma ? DTYPE_bf16 : DTYPE_fp16;
    uint32_t xs = (uint32_t)x, as = (uint32_t)a, bs = (uint32_t)b, result = 0;
    for (size_t i = 0; i < 2; i++) {
        double p = dtype_load(dtype, &xs, i), q = dtype_load(dtype, &as, i), r = dtype_load(dtype, &bs, i);
        double value = which == INSTRUCTION_fp16x2_add ? p + q : which == INSTRUCTION_fp16x2_mul ? p * q : fma(p, q, r);
        dtype_store(dtype, &result, i, value);
    }
    return result;
}

static float through_fp16(float x) {
    uint16_t narrow;
    dtype_store(DTYPE_fp16, &narrow, 0, x);
    return (float)dtype_load(DTYPE_fp16, &narrow, 0);
}

static double float_step(int which, float x, float y, float a, float b) {
    switch (which) {
    case INSTRUCTION_fp32_add: return x + a;
    case INSTRUCTION_fp32_mul: return x * a;
    case INSTRUCTION_fp32_fma: return fmaf(x, a, b);
    case INSTRUCTION_fp32_max: return fmaxf(x, y);
    case INSTRUCTION_convert_fp32_fp16: return through_fp16(x);
    case INSTRUCTION_convert_fp32_int32: return rintf(x);
    case INSTRUCTION_convert_fp32_fp64: return x;
    case INSTRUCTION_ex2: return exp2(-(double)x);
    case INSTRUCTION_lg2: return log2(fabs((double)x));
    case INSTRUCTION_rcp: return 1 / (double)(x + a);
    case INSTRUCTION_rsqrt: return 1 / sqrt((double)x);
    case INSTRUCTION_sqrt: return sqrt((double)x);
    case INSTRUCTION_sin: return sin((double)x);
    case INSTRUCTION_cos: return cos((double)x);
    default: return tanh((double)x);
    }
}

static double double_step(int which, double x, double a, double b) {
    return which == INSTRUCTION_fp64_add ? x + a : which == INSTRUCTION_fp64_mul ? x * a : fma(x, a, b);
}

static bool approximate(int which) {
    return which >= INSTRUCTION_ex2 && which <= INSTRUCTION_tanh;
}

/* Relative, of the special functions; lg2, sin and cos pass through zero, where it is absolute. */
static double error_of(int which, uint64_t x, uint64_t y, uint64_t a, uint64_t b, uint64_t result) {
    if (which == INSTRUCTION_shuffle || which == INSTRUCTION_vote) return 0; /* of several lanes: lanes_error */
    if (table[which].data == HALVES || table[which].data == BF16S) return packed_step(which, x, a, b) != result;
    if (table[which].word == WORD_double)
        return double_step(which, double_of(x), double_of(a), double_of(b)) != double_of(result);
    if (table[which].word != WORD_float) return integer_step(which, x, y, a) != result;
    double expected = float_step(which, float_of(x), float_of(y), float_of(a), float_of(b));
    double got = float_of(result);
    if (!approximate(which)) return expected != got;
    if (isinf(expected) || isinf(got)) return expected != got;
    return fabs(got - expected) / fmax(fabs(expected), 1);
}

/* What lanes say to each other, step by step from the record. */
static double lanes_error(const struct instruction_state *state, int which) {
    const uint64_t *x = state->start, *y = state->start + CHAIN_LANES;
    uint64_t wrong = 0;
    for (size_t step = 0; step < CHAIN_STEPS; step++) {
        const uint64_t *next = state->record + step * CHAIN_LANES;
        uint64_t ballot = 0;
        for (size_t lane = 0; lane < CHAIN_LANES; lane++) ballot |= (uint64_t)(x[lane] > y[lane]) << lane;
        for (size_t lane = 0; lane < CHAIN_LANES; lane++)
            wrong += next[lane] != (which == INSTRUCTION_vote ? ballot : x[(lane + 1) % CHAIN_LANES]);
        y = x;
        x = next;
    }
    return (double)wrong;
}

static uint64_t packed(enum dtype dtype, double low, double high) {
    uint32_t word = 0;
    dtype_store(dtype, &word, 0, low);
    dtype_store(dtype, &word, 1, high);
    return word;
}

/* Floating point stays near 1 for all steps: factors just below it. */
static uint64_t make_word(const struct run *run, int which, uint64_t stream, uint64_t index, double value) {
    double uniform = run->zeros ? 0 : random_uniform(run->seed, stream, index);
    switch (table[which].data) {
    case NEAR_ONE: return bits_of(table[which].word, value + 0x1p-12 * uniform);
    case HALVES: return packed(DTYPE_fp16, value + 0x1p-10 * uniform, value);
    case BF16S: return packed(DTYPE_bf16, value + 0x1p-7 * uniform, value);
    default: break;
    }
    uint64_t bits = run->zeros ? 0 : random_bits(run->seed, stream, index);
    return table[which].word == WORD_uint64_t ? bits : bits & 0xffffffff;
}

static void setup(struct run *run) {
    struct instruction_state *state = bench_alloc(run, sizeof *state);
    int which = (int)run->value[AXIS_INSTRUCTION];
    bool adds = which == INSTRUCTION_fp32_add || which == INSTRUCTION_fp64_add || which == INSTRUCTION_fp16x2_add;
    run->state = state;
    for (uint64_t i = 0; i < 2 * CHAIN_LANES; i++)
        state->start[i] = make_word(run, which, 1, i, 1 + (double)i / CHAIN_LANES);
    state->a = make_word(run, which, 2, 0, adds ? 0x1p-9 : 0.9990234375);
    state->b = make_word(run, which, 2, 1, 0x1p-9);
    if (which == INSTRUCTION_int32_permute) state->a = 0x2305 + (state->a & 0x1010);
}

/* The PTX ISA promises 2^-22 or better of each but lg2 (absolute near 1), sin and cos (2^-20.5) and tanh (2^-11). */
static void check(struct run *run, struct verdict *verdict) {
    int which = (int)run->value[AXIS_INSTRUCTION];
    verdict->error = instruction_chain_error(run->state, which, error_of);
    verdict->error = fmax(verdict->error, which == INSTRUCTION_shuffle || which == INSTRUCTION_vote
                                              ? lanes_error(run->state, which)
                                              : 0);
    verdict->tolerance = which == INSTRUCTION_tanh ? 0x1p-10 : approximate(which) ? 0x1p-20 : 0;
}

static const char *const names[] = {
#define INSTRUCTION_NAME(name, word, operations, lanes, data) [INSTRUCTION_##name] = #name,
    INSTRUCTIONS(INSTRUCTION_NAME)
#undef INSTRUCTION_NAME
    NULL};

static const struct axis axes[] = {
    [AXIS_INSTRUCTION] = {.name = "instruction", .help = "what is done, by type", .kind = AXIS_WORD, .words = names,
                          .host = {"int32_add,fp32_fma,fp64_fma,ex2,shuffle", "all", "all"}},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "instruction_latency",
                            .question = "How long does an instruction of each kind take, and how many go through?",
                            .axes = axes, .variants = variants, .setup = setup, .check = check};
