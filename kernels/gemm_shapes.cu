/* gemm_shapes.cu: cuBLASLt, by its first guess, and our own kernel.
 * needs: cublasLt
 */
#include "kernels/lib/gemm_device.h"

const struct variant cuda_variants[] = {GEMM_CUBLASLT, GEMM_WGMMA, {}};
