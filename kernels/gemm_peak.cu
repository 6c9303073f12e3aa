/* gemm_peak.cu: the search with cuBLASLt's first guess for each shape, and with our own kernel.
 * needs: cublasLt
 */
#include "gemm_peak.h"

#include "kernels/lib/gemm_device.h"

static void measure(struct run *run) {
    gemm_peak_search(run, gemm_plan_again, gemm_run_device);
}

const struct variant cuda_variants[] = {
    {.name = "cublaslt", .backend = "cublaslt", .place = PLACE_DEVICE, .setup = gemm_setup_first, .fetch = gemm_fetch,
     .measure = measure, .release = gemm_release},
    {.name = "wgmma", .backend = "cuda", .place = PLACE_DEVICE, .decline = gemm_declines_wgmma,
     .setup = gemm_setup_wgmma, .fetch = gemm_fetch, .measure = measure, .release = gemm_release,
     .covers = gemm_covers_wgmma},
    {}};
