/* instruction_chain.h: programs that time single instructions of the CUDA cores, for .cu files. A chain is a state of
   two words and steps x, y = f(x, y, a, b), x; f is the instruction, y what x was one step before, so that an assembler
   has nothing that two steps could share.

   latency     one warp, one chain: clocks of a step, by the difference of a long and a short chain
   throughput  one multiprocessor full of warps, CHAIN_PARALLEL chains a thread: instructions of single threads a clock

   Check: a third kernel makes the same steps one at a time and records every one of them, for each lane of a warp. The
   program holds each recorded step against its own arithmetic, and the timed chains must end bit for bit where the
   record does, in every thread. */
#ifndef KERNELS_LIB_INSTRUCTION_CHAIN_H
#define KERNELS_LIB_INSTRUCTION_CHAIN_H

#include "bench/bench.h"

enum { CHAIN_STEPS = 2048, CHAIN_STEPS_SHORT = 512, CHAIN_LANES = 32, CHAIN_PARALLEL = 4, CHAIN_BLOCK = 1024 };

/* run->state: words of up to 8 bytes. */
struct instruction_state {
    uint64_t start[2 * CHAIN_LANES]; /* x of each lane, y of each lane; given by setup */
    uint64_t a, b;                   /* given by setup */
    uint64_t *record;                /* [step][lane] */
    uint64_t *out;                   /* x of every chain at the end */
    size_t out_count;
};

#ifdef __cplusplus
extern "C" {
#endif
/* Largest error of the record's steps, by error_of(which, x, y, a, b, result), and of the ends: an end that differs
   from the record's counts as infinite. `which` is the program's own number of the instruction. */
double instruction_chain_error(const struct instruction_state *state, int which,
                               double (*error_of)(int which, uint64_t x, uint64_t y, uint64_t a, uint64_t b,
                                                  uint64_t result));
#ifdef __cplusplus
}
#endif

#ifdef __CUDACC__
#include "kernels/lib/device_clock.h"

struct instruction_arguments {
    const uint64_t *start;
    uint64_t a, b;
    uint64_t *record, *out;
    struct device_span *spans;
    int steps;
};

/* The kernels of one instruction; operations: of a step. */
struct instruction_kernels {
    const void *latency, *throughput, *record;
    double operations;
};

void instruction_chain_setup(struct run *run, const struct instruction_kernels *kernels, bool throughput);
void instruction_chain_latency(struct run *run); /* measure */
void instruction_chain_throughput(struct run *run, double lanes_per_clock); /* measure; with the limit, 0: none */
void instruction_chain_fetch(struct run *run);

template <typename word> static __device__ inline word chain_word(uint64_t bits) {
    word value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <typename word> static __device__ inline uint64_t chain_bits(word value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}

/* Starts come through volatile loads: the compiler may not know that chains are alike. */
template <typename word, auto step, int chains>
static __global__ void __launch_bounds__(CHAIN_BLOCK)
    instruction_chain(const __grid_constant__ struct instruction_arguments arguments) {
    const int unroll = 64;
    static_assert(CHAIN_STEPS % unroll == 0 && CHAIN_STEPS_SHORT % unroll == 0, "whole rounds");
    const volatile uint64_t *start = arguments.start;
    word x[chains], y[chains], a = chain_word<word>(arguments.a), b = chain_word<word>(arguments.b);
    struct device_span span;
#pragma unroll
    for (int c = 0; c < chains; c++) {
        x[c] = chain_word<word>(start[threadIdx.x % CHAIN_LANES]);
        y[c] = chain_word<word>(start[CHAIN_LANES + threadIdx.x % CHAIN_LANES]);
    }
    __syncthreads();
    device_span_begin(&span);
#pragma unroll 1
    for (int i = 0; i < arguments.steps; i += unroll) {
#pragma unroll
        for (int j = 0; j < unroll; j++) {
#pragma unroll
            for (int c = 0; c < chains; c++) {
                word next = step(x[c], y[c], a, b);
                y[c] = x[c];
                x[c] = next;
            }
        }
    }
#pragma unroll
    for (int c = 0; c < chains; c++)
        arguments.out[(blockIdx.x * chains + c) * (size_t)blockDim.x + threadIdx.x] = chain_bits(x[c]);
    __syncthreads(); /* waits for all threads; the results were stored, so that they are there */
    device_span_end(&span);
    if (threadIdx.x == 0) arguments.spans[blockIdx.x] = span;
}

template <typename word, auto step>
static __global__ void instruction_record(const __grid_constant__ struct instruction_arguments arguments) {
    volatile uint64_t *record = arguments.record;
    word x = chain_word<word>(arguments.start[threadIdx.x]);
    word y = chain_word<word>(arguments.start[CHAIN_LANES + threadIdx.x]);
    word a = chain_word<word>(arguments.a), b = chain_word<word>(arguments.b);
#pragma unroll 1
    for (int i = 0; i < CHAIN_STEPS; i++) {
        word next = step(x, y, a, b);
        record[i * CHAIN_LANES + threadIdx.x] = chain_bits(next);
        y = x;
        x = chain_word<word>(record[i * CHAIN_LANES + threadIdx.x]);
    }
}

#define INSTRUCTION_KERNELS(word, step, operations)                                                                    \
    {(const void *)instruction_chain<word, step, 1>, (const void *)instruction_chain<word, step, CHAIN_PARALLEL>,      \
     (const void *)instruction_record<word, step>, operations}
#endif
#endif
