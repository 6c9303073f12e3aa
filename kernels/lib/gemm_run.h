/* gemm_run.h: one measurement of a matrix product, for programs whose axes say which product: its operands, its check,
   its rates, and OpenBLAS on the host. The device's part is gemm_device.h. */
#ifndef KERNELS_GEMM_RUN_H
#define KERNELS_GEMM_RUN_H

#include "bench/check.h"
#include "kernels/lib/gemm_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One entry in each of 64 equal parts of C: a lost sixteenth of it is hit four times. */
enum { GEMM_ENTRIES = 64 };

struct gemm { /* run->state */
    struct gemm_problem problem;
    void *a, *b, *c; /* variants on the host; NULL on a device, which has its own */
    int entry_count;
    int64_t entry[GEMM_ENTRIES];      /* i * n + j, ascending */
    double entry_value[GEMM_ENTRIES]; /* C there; on a device, brought by gemm_fetch */
    double freivalds;                 /* on a device, the error of the test run there by gemm_fetch */
    bool fast_accumulation;           /* the variant adds fp8 products in the short accumulator alone */
};

/* A, B and C of a problem in memory, for the checks of check.h and device_matrix.h. */
struct gemm_matrices {
    struct matrix a, b, c;
};
struct gemm_matrices gemm_matrices(const struct gemm_problem *problem, const void *a, const void *b, const void *c);

/* Defined by the program: the product that a case asks for. Sees what `covers` of bench.h sees, and seed and zeros. */
struct gemm_problem gemm_problem_of(const struct run *run);

/* Callbacks of the descriptor. describe: bytes, FLOPs, and the rate, held against the peak of the format's unit.
   setup: run->state, and on the host the operands. check: the larger error of Freivalds' test over all of C and of 64
   entries recomputed in fp64, held against gemm_tolerance. */
void gemm_describe(const struct run *run, struct work *work);
void gemm_setup(struct run *run);
void gemm_check(struct run *run, struct verdict *verdict);

/* Callbacks of a variant: OpenBLAS on all threads, fp64 and fp32. The first declines for the format alone, which any
   variant on the host may use. */
const char *gemm_declines_host(const struct run *run);
const char *gemm_declines_openblas(const struct run *run);
void gemm_setup_openblas(struct run *run);
void gemm_run_openblas(struct run *run);

/* An entry of a program's table of variants. */
#define GEMM_OPENBLAS                                                                                                  \
    {.name = "openblas", .backend = "openblas", .place = PLACE_HOST, .decline = gemm_declines_openblas,                \
     .setup = gemm_setup_openblas, .run = gemm_run_openblas}

#ifdef __cplusplus
}
#endif
#endif
