/* gemm_device.h: matrix products on a device, the callbacks of variants: for .cu files of programs that use gemm_run.h.
     first    the algorithm that cuBLASLt guesses first: what a framework gets
     best     the fastest of its guesses, tried in setup, briefly
     search   the fastest of them by the harness's own timing in setup, in turn; the note says which one it was
     fast     fp8 with fast accumulation: sums stay in the matrix unit's short accumulator
     wgmma    our own kernel, bf16
   The data are made and checked on the device. */
#ifndef KERNELS_GEMM_DEVICE_H
#define KERNELS_GEMM_DEVICE_H

#include "bench/cuda.h"
#include "kernels/lib/gemm_run.h"

void gemm_setup_first(struct run *run);
void gemm_setup_best(struct run *run);
void gemm_setup_search(struct run *run);
void gemm_setup_fast(struct run *run);
void gemm_setup_wgmma(struct run *run);

const char *gemm_declines_fast(const struct run *run);
const char *gemm_declines_wgmma(const struct run *run);
bool gemm_covers_fast(const struct run *run);  /* of the formats that a sweep asks for, those that have the variant */
bool gemm_covers_wgmma(const struct run *run);

/* run, fetch and release of all of them */
void gemm_run_device(struct run *run);
void gemm_fetch(struct run *run);
void gemm_release(struct run *run);

/* After m, n and k of the product in run->state have become smaller: the same variant for the new ones, in the memory
   of setup. */
void gemm_plan_again(struct run *run);

/* Entries of a program's table of variants. */
#define GEMM_CUBLASLT                                                                                                  \
    {.name = "cublaslt", .backend = "cublaslt", .place = PLACE_DEVICE, .setup = gemm_setup_first,                      \
     .run = gemm_run_device, .fetch = gemm_fetch, .release = gemm_release, .in_turn = true}
#define GEMM_CUBLASLT_BEST                                                                                             \
    {.name = "cublaslt_best", .backend = "cublaslt", .place = PLACE_DEVICE, .setup = gemm_setup_best,                  \
     .run = gemm_run_device, .fetch = gemm_fetch, .release = gemm_release, .in_turn = true}
#define GEMM_CUBLASLT_FAST                                                                                             \
    {.name = "cublaslt_fast", .backend = "cublaslt", .place = PLACE_DEVICE, .decline = gemm_declines_fast,             \
     .setup = gemm_setup_fast, .run = gemm_run_device, .fetch = gemm_fetch, .release = gemm_release,                   \
     .covers = gemm_covers_fast, .in_turn = true}
#define GEMM_WGMMA                                                                                                     \
    {.name = "wgmma", .backend = "cuda", .place = PLACE_DEVICE, .decline = gemm_declines_wgmma,                        \
     .setup = gemm_setup_wgmma, .run = gemm_run_device, .fetch = gemm_fetch, .release = gemm_release,                  \
     .covers = gemm_covers_wgmma, .in_turn = true}

#endif
