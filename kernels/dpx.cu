/* dpx.cu: the intrinsics. The floor of a throughput launch is 2048 steps x 4 chains x 1024 threads over 128 lanes a
   clock, 65536 clocks, 33 us at 1.98 GHz. */
#include "bench/cuda.h"
#include "kernels/dpx.h"

/* DPX_WHICH with two parts has a predicate for each. */
#define STEP_DPX_ADD(name, bits) next = __##name(x, a, y);
#define STEP_DPX_THREE(name, bits) next = __##name(x, y, a);
#define STEP_DPX_TWO(name, bits) next = __##name(x, y);
#define STEP_DPX_WHICH(name, bits) STEP_WHICH_##bits(name)
#define STEP_WHICH_32(name)                                                                                            \
    bool first;                                                                                                        \
    next = __##name(x, y, &first);                                                                                     \
    if (first) next ^= b;
#define STEP_WHICH_16(name)                                                                                            \
    bool high, low;                                                                                                    \
    next = __##name(x, y, &high, &low);                                                                                \
    if (high) next ^= a;                                                                                               \
    if (low) next ^= b;
#define DPX_STEP(name, what, bits, is_signed, largest, relu)                                                           \
    static __device__ __forceinline__ uint32_t step_##name(uint32_t x, uint32_t y, uint32_t a, uint32_t b) {           \
        uint32_t next;                                                                                                 \
        STEP_##what(name, bits) (void)a, (void)b;                                                                      \
        return next;                                                                                                   \
    }
DPX_INSTRUCTIONS(DPX_STEP)

static const struct instruction_kernels kernels[DPX_COUNT] = {
#define DPX_KERNELS(name, what, bits, is_signed, largest, relu) INSTRUCTION_KERNELS(uint32_t, step_##name, 1),
    DPX_INSTRUCTIONS(DPX_KERNELS)
#undef DPX_KERNELS
};

static void setup_latency(struct run *run) {
    instruction_chain_setup(run, &kernels[run->value[AXIS_INSTRUCTION]], false);
}

static void setup_throughput(struct run *run) {
    instruction_chain_setup(run, &kernels[run->value[AXIS_INSTRUCTION]], true);
}

static void measure_throughput(struct run *run) {
    instruction_chain_throughput(run, 128);
}

const struct variant cuda_variants[] = {
    {.name = "latency", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_latency,
     .fetch = instruction_chain_fetch, .measure = instruction_chain_latency},
    {.name = "throughput", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup_throughput,
     .fetch = instruction_chain_fetch, .measure = measure_throughput},
    {}};
