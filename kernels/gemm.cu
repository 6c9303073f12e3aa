/* gemm.cu: matrix products on a device: by cuBLASLt fp64, fp32 (on the fp32 units, never rounded to tf32), tf32, bf16,
   fp16, fp8_e4m3 (one scale a tensor, read from the device; B stored transposed) and int8 (B stored transposed).

     cublaslt         the algorithm that the library guesses first: what a framework gets
     cublaslt_best    the fastest of its guesses, tried in setup with a warm L2
     cublaslt_search  the fastest of them as the harness times, with a cold L2, and which one it was
     cublaslt_fast    fp8 with fast accumulation: sums stay in the matrix unit's short accumulator, which is the setting
                      that frameworks use for forward passes; its error stands beside its speed
     wgmma            our own kernel, bf16: lib/gemm_wgmma.cu

   The data are made and checked on the device; see gemm.c for what is computed and how it is checked.
 * needs: cublasLt
 */
#include "kernels/lib/gemm_device.h"

/* A search takes many times as long as a product; quick asks where the answer may matter most. */
static bool covers_search(const struct run *run) {
    struct gemm_problem problem = gemm_problem_of(run);
    bool square = problem.m == problem.n && problem.n == problem.k;
    if (run->preset == PRESET_FULL) return true;
    return problem.dtype == DTYPE_bf16 && square && problem.m >= 2048;
}

const struct variant cuda_variants[] = {
    GEMM_CUBLASLT,
    GEMM_CUBLASLT_BEST,
    {.name = "cublaslt_search",
     .backend = "cublaslt",
     .place = PLACE_DEVICE,
     .setup = gemm_setup_search,
     .run = gemm_run_device,
     .fetch = gemm_fetch,
     .release = gemm_release,
     .covers = covers_search,
     .in_turn = true},
    GEMM_CUBLASLT_FAST,
    GEMM_WGMMA,
    {}};
