/* gemm.h: what gemm.c and gemm.cu share of one measurement. */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include "kernels/lib/gemm_problem.h"

/* One entry in each of 64 equal parts of C: a lost sixteenth of it is hit four times. */
enum { GEMM_ENTRIES = 64 };

struct gemm { /* run->state */
    struct gemm_problem problem;
    void *a, *b, *c; /* variants on the host; NULL on a device, which has its own */
    int entry_count;
    int64_t entry[GEMM_ENTRIES];     /* i * n + j, ascending */
    double entry_value[GEMM_ENTRIES]; /* C there; on a device, brought by fetch */
    double freivalds;                /* on a device, the error of the test run there by fetch */
    bool fast_accumulation;          /* the variant adds fp8 products in the short accumulator alone */
};

#endif
