/* gemm_skinny.cu: cuBLASLt, by its first guess and by the fastest of them, and our own kernel.
 * needs: cublasLt
 */
#include "kernels/lib/gemm_device.h"

const struct variant cuda_variants[] = {GEMM_CUBLASLT, GEMM_CUBLASLT_BEST, GEMM_WGMMA, {}};
