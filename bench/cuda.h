/* cuda.h: for .cu files only. Errors of the CUDA runtime end the measurement: an error that poisons the context ends
   the worker process too, and the sweep goes on in a fresh one. */
#ifndef BENCH_CUDA_H
#define BENCH_CUDA_H

#include <cuda_runtime.h>

#include "bench.h"

#define CUDA_CHECK(run, expression)                                                                                    \
    do {                                                                                                               \
        cudaError_t cuda_check_status = (expression);                                                                  \
        if (cuda_check_status != cudaSuccess)                                                                          \
            bench_fail(run, "%s: %s", #expression, cudaGetErrorString(cuda_check_status));                            \
    } while (0)
/* After a kernel launch. */
#define CUDA_CHECK_LAUNCH(run) CUDA_CHECK(run, cudaGetLastError())

#endif
