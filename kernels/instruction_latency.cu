/* instruction_latency.cu: the instructions. Each is one line of PTX, volatile, so that it is neither moved nor dropped;
   what the assembler might still join has operands that differ from step to step. In the machine code of a chain of 64
   steps each instruction stands 64 times (conversions and votes: twice that, 64-bit integers: what they are made of).
   The floor of a throughput launch is that of dpx.cu. */
#include "bench/cuda.h"
#include "kernels/instruction_latency.h"

#define STEP(name, word, c, text)                                                                                      \
    static __device__ __forceinline__ word step_##name(word x, word y, word a, word b) {                               \
        word next;                                                                                                     \
        (void)y, (void)a, (void)b;                                                                                     \
        asm volatile(text : "=" c(next) : c(x), c(y), c(a), c(b));                                                     \
        return next;                                                                                                   \
    }
/* %0: the new x; %1: x, %2: y, %3: a, %4: b */
STEP(int32_add, uint32_t, "r", "add.u32 %0, %1, %2;")
STEP(int32_mad, uint32_t, "r", "mad.lo.u32 %0, %1, %3, %2;")
STEP(int32_mul_high, uint32_t, "r", "mad.hi.u32 %0, %1, %3, %2;")
STEP(int32_min, uint32_t, "r", "min.u32 %0, %1, %2;")
STEP(int32_logic, uint32_t, "r", "lop3.b32 %0, %1, %2, %3, 0x96;")
STEP(int32_shift, uint32_t, "r", "shf.l.wrap.b32 %0, %1, %2, %3;")
STEP(int32_reverse, uint32_t, "r", "brev.b32 %0, %1;")
STEP(int32_permute, uint32_t, "r", "prmt.b32 %0, %1, %2, %3;")
STEP(int32_popcount, uint32_t, "r", "popc.b32 %0, %1;")
STEP(int8_dot, uint32_t, "r", "dp4a.s32.s32 %0, %1, %3, %2;")
STEP(int64_add, uint64_t, "l", "add.u64 %0, %1, %2;")
STEP(int64_mad, uint64_t, "l", "mad.lo.u64 %0, %1, %3, %2;")
STEP(fp32_add, float, "f", "add.rn.f32 %0, %1, %3;")
STEP(fp32_mul, float, "f", "mul.rn.f32 %0, %1, %3;")
STEP(fp32_fma, float, "f", "fma.rn.f32 %0, %1, %3, %4;")
STEP(fp32_max, float, "f", "max.f32 %0, %1, %2;")
STEP(fp64_add, double, "d", "add.rn.f64 %0, %1, %3;")
STEP(fp64_mul, double, "d", "mul.rn.f64 %0, %1, %3;")
STEP(fp64_fma, double, "d", "fma.rn.f64 %0, %1, %3, %4;")
STEP(fp16x2_add, uint32_t, "r", "add.rn.f16x2 %0, %1, %3;")
STEP(fp16x2_mul, uint32_t, "r", "mul.rn.f16x2 %0, %1, %3;")
STEP(fp16x2_fma, uint32_t, "r", "fma.rn.f16x2 %0, %1, %3, %4;")
STEP(bf16x2_fma, uint32_t, "r", "fma.rn.bf16x2 %0, %1, %3, %4;")
STEP(convert_fp32_fp16, float, "f", "{ .reg .b16 h; cvt.rn.f16.f32 h, %1; cvt.f32.f16 %0, h; }")
STEP(convert_fp32_int32, float, "f", "{ .reg .s32 i; cvt.rni.s32.f32 i, %1; cvt.rn.f32.s32 %0, i; }")
STEP(convert_fp32_fp64, float, "f", "{ .reg .f64 d; cvt.f64.f32 d, %1; cvt.rn.f32.f64 %0, d; }")
STEP(ex2, float, "f", "{ .reg .f32 n; neg.f32 n, %1; ex2.approx.ftz.f32 %0, n; }")
STEP(lg2, float, "f", "{ .reg .f32 m; abs.f32 m, %1; lg2.approx.ftz.f32 %0, m; }")
STEP(rcp, float, "f", "{ .reg .f32 s; add.f32 s, %1, %3; rcp.approx.ftz.f32 %0, s; }")
STEP(rsqrt, float, "f", "rsqrt.approx.ftz.f32 %0, %1;")
STEP(sqrt, float, "f", "sqrt.approx.ftz.f32 %0, %1;")
STEP(sin, float, "f", "sin.approx.ftz.f32 %0, %1;")
STEP(cos, float, "f", "cos.approx.ftz.f32 %0, %1;")
STEP(tanh, float, "f", "tanh.approx.f32 %0, %1;")
STEP(shuffle, uint32_t, "r",
     "{ .reg .u32 next; mov.u32 next, %%laneid; add.u32 next, next, 1; shfl.sync.idx.b32 %0, %1, next, 31, "
     "0xffffffff; }")
STEP(vote, uint32_t, "r",
     "{ .reg .pred p; setp.gt.u32 p, %1, %2; vote.sync.ballot.b32 %0, p, 0xffffffff; }")

static const struct instruction_kernels kernels[INSTRUCTION_COUNT] = {
#define INSTRUCTION_ROW(name, word, operations, lanes, data) INSTRUCTION_KERNELS(word, step_##name, operations),
    INSTRUCTIONS(INSTRUCTION_ROW)
#undef INSTRUCTION_ROW
};
static const int lanes_of[INSTRUCTION_COUNT] = {
#define INSTRUCTION_LANES(name, word, operations, lanes, data) lanes,
    INSTRUCTIONS(INSTRUCTION_LANES)
#undef INSTRUCTION_LANES
};

static void setup_latency(struct run *run) {
    instruction_chain_setup(run, &kernels[run->value[AXIS_INSTRUCTION]], false);
}

static void setup_throughput(struct run *run) {
    instruction_chain_setup(run, &kernels[run->value[AXIS_INSTRUCTION]], true);
}

/* Four schedulers issue to 32 lanes each, everywhere; what Hopper halves is known of Hopper. */
static void measure_throughput(struct run *run) {
    bool hopper = device_attribute(run, cudaDevAttrComputeCapabilityMajor) == 9;
    instruction_chain_throughput(run, hopper ? lanes_of[run->value[AXIS_INSTRUCTION]] : 128);
}

const struct variant cuda_variants[] = {
    {.name = "latency", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_latency,
     .fetch = instruction_chain_fetch, .measure = instruction_chain_latency},
    {.name = "throughput", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_throughput,
     .fetch = instruction_chain_fetch, .measure = measure_throughput},
    {}};
