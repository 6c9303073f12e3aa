/* bulk_copy.h: the copy engine of a multiprocessor, for .cu files: cp.async.bulk between global and shared memory, and
   the barriers in shared memory that tell when bytes have come. Compute capability 9.0 and up: below it the header is
   empty. Addresses and sizes are multiples of 16 bytes. See the PTX ISA, "Asynchronous copy". */
#ifndef KERNELS_BULK_COPY_H
#define KERNELS_BULK_COPY_H

#include <stdint.h>

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

static __device__ inline unsigned shared_address(const void *pointer) {
    return (unsigned)__cvta_generic_to_shared(pointer);
}

/* A barrier whose phases each end with one arrival and all expected bytes. By one thread; the others may use it after
   barriers_started in that thread and a __syncthreads. */
static __device__ inline void barrier_start(uint64_t *barrier) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(barrier)) : "memory");
}

/* The same, with so many arrivals to a phase. */
static __device__ inline void barrier_start_for(uint64_t *barrier, unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

static __device__ inline void barriers_started(void) {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/* The one arrival of this phase, before the copies of `bytes` in all. */
static __device__ inline void barrier_expect(uint64_t *barrier, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

static __device__ inline void barrier_arrive(uint64_t *barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/* At the barrier with the same address in the block of this rank in the cluster. */
static __device__ inline void barrier_arrive_at(uint64_t *barrier, unsigned rank) {
    asm volatile("{\n"
                 ".reg .b32 remote;\n"
                 "mapa.shared::cluster.u32 remote, %0, %1;\n"
                 "mbarrier.arrive.shared::cluster.b64 _, [remote];\n"
                 "}" ::"r"(shared_address(barrier)),
                 "r"(rank)
                 : "memory");
}

/* Until the phase with this parity (0 for the first, then 1, 0, ..) has ended. */
static __device__ inline void barrier_wait(uint64_t *barrier, unsigned parity) {
    unsigned done = 0;
    while (!done)
        asm volatile("{\n"
                     ".reg .pred complete;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 complete, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, complete;\n"
                     "}"
                     : "=r"(done)
                     : "r"(shared_address(barrier)), "r"(parity)
                     : "memory");
}

/* Global to shared memory; completes on the barrier. */
static __device__ inline void bulk_load(void *to, const void *from, unsigned bytes, uint64_t *barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}

/* Shared to global memory, a group of its own. */
static __device__ inline void bulk_store(void *to, const void *from, unsigned bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;\n"
                 "cp.async.bulk.commit_group;" ::"l"(to),
                 "r"(shared_address(from)), "r"(bytes)
                 : "memory");
}

/* Until all but the newest `left` stores of this thread have read their shared memory. */
template <int left> static __device__ inline void bulk_store_wait(void) {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(left) : "memory");
}

/* Makes what this thread wrote to shared memory visible to the copy engine. */
static __device__ inline void fence_for_copy_engine(void) {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

#endif
#endif
