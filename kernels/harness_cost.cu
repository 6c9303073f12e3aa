/* harness_cost.cu: the same question of a kernel launch: one thread adds, between two events. */
#include "bench/cuda.h"
#include "kernels/harness_cost.h"

static __global__ void add_up_kernel(int64_t adds, unsigned long long *total) {
    unsigned long long sum = 0;
    for (int64_t i = 0; i < adds; i++) {
        sum += (unsigned long long)i;
        asm volatile("" : "+l"(sum));
    }
    *total = sum;
}

static void setup(struct run *run) {
    run->device_state = bench_device_alloc(run, sizeof(unsigned long long));
    bench_output(run, run->device_state, sizeof(unsigned long long), PLACE_DEVICE, false);
}

static void launch(struct run *run) {
    const struct sum *sum = (const struct sum *)run->state;
    add_up_kernel<<<1, 1, 0, run->stream>>>(sum->adds, (unsigned long long *)run->device_state);
}

static void fetch(struct run *run) {
    struct sum *sum = (struct sum *)run->state;
    CUDA_CHECK(run, cudaMemcpy(sum->total, run->device_state, sizeof *sum->total, cudaMemcpyDeviceToHost));
}

const struct variant cuda_variants[] = {
    {.name = "kernel", .backend = "cuda", .place = PLACE_DEVICE, .setup = setup, .run = launch, .fetch = fetch}, {}};
