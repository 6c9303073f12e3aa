/* gemm_peak.h: what gemm_peak.c and gemm_peak.cu share. */
#ifndef KERNELS_GEMM_PEAK_H
#define KERNELS_GEMM_PEAK_H

#include "kernels/lib/gemm_run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For measure callbacks: searches, with run->state holding the largest product. prepare is called after each change of
   the product in run->state (NULL: nothing to prepare); call makes the product once. Reports the rate, notes the shape
   and leaves it, and its product, for the check. */
void gemm_peak_search(struct run *run, void (*prepare)(struct run *run), void (*call)(struct run *run));

#ifdef __cplusplus
}
#endif
#endif
