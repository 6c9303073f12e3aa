/* gemm_scales.cu: cuBLASLt's first guess, with both ways to accumulate.
 * needs: cublasLt
 */
#include "kernels/lib/gemm_device.h"

const struct variant cuda_variants[] = {GEMM_CUBLASLT, GEMM_CUBLASLT_FAST, {}};
