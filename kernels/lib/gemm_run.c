/* gemm_run.c: see gemm_run.h. */
#include "kernels/lib/gemm_run.h"

#include <math.h>

#include "bench/blas.h"
#include "bench/random.h"

void gemm_describe(const struct run *run, struct work *work) {
    struct gemm_problem problem = gemm_problem_of(run);
    work->bytes = gemm_bytes(&problem);
    work->flops = gemm_flops(&problem);
    bench_add_rate(work, dtype_is_integer(problem.dtype) ? METRIC_op_rate : METRIC_flop_rate, work->flops,
                   limit_flop_rate(run, problem.dtype));
}

void gemm_setup(struct run *run) {
    struct gemm *gemm = bench_alloc(run, sizeof *gemm);
    const struct gemm_problem *problem = &gemm->problem;
    run->state = gemm;
    gemm->problem = gemm_problem_of(run);
    gemm->entry_count = (int)sample_rows(problem->m * problem->n, GEMM_ENTRIES, run->seed, gemm->entry);
    if (run->variant->place == PLACE_DEVICE) return;
    size_t bytes = dtype_size(problem->dtype);
    size_t in_a = (size_t)(problem->m * problem->k), in_b = (size_t)(problem->k * problem->n);
    gemm->a = bench_alloc(run, in_a * bytes);
    gemm->b = bench_alloc(run, in_b * bytes);
    gemm->c = bench_alloc(run, gemm_output_bytes(problem));
    random_fill(run, problem->dtype, gemm->a, in_a, GEMM_A);
    random_fill(run, problem->dtype, gemm->b, in_b, GEMM_B);
    bench_output(run, gemm->c, gemm_output_bytes(problem), PLACE_HOST, false);
}

struct gemm_matrices gemm_matrices(const struct gemm_problem *p, const void *a, const void *b, const void *c) {
    return (struct gemm_matrices){
        .a = {a, p->dtype, p->m, p->k, p->a_transposed ? p->m : p->k, p->a_transposed},
        .b = {b, p->dtype, p->k, p->n, p->b_transposed ? p->k : p->n, p->b_transposed},
        .c = {c, p->output, p->m, p->n, p->n, false},
    };
}

/* On the host C is at hand; on a device gemm_fetch has done the same there. */
static void compare_on_host(struct run *run, struct gemm *gemm) {
    const struct gemm_problem *p = &gemm->problem;
    struct gemm_matrices matrices = gemm_matrices(p, gemm->a, gemm->b, gemm->c);
    gemm->freivalds = freivalds_error(matrices.a, matrices.b, matrices.c, p->alpha, 2, run->seed);
    for (int s = 0; s < gemm->entry_count; s++)
        gemm->entry_value[s] = dtype_load(p->output, gemm->c, (size_t)gemm->entry[s]);
}

void gemm_check(struct run *run, struct verdict *verdict) {
    struct gemm *gemm = run->state;
    if (run->variant->place == PLACE_HOST) compare_on_host(run, gemm);
    double entries = gemm_entries_error(&gemm->problem, gemm->entry, gemm->entry_value, gemm->entry_count);
    /* the larger of the two, and NaN if either is */
    verdict->error = isnan(gemm->freivalds) || gemm->freivalds > entries ? gemm->freivalds : entries;
    verdict->tolerance = gemm_tolerance(&gemm->problem, gemm->fast_accumulation);
}

const char *gemm_declines_host(const struct run *run) {
    struct gemm_problem problem = gemm_problem_of(run);
    return problem.dtype == DTYPE_fp64 || problem.dtype == DTYPE_fp32 ? NULL : "on the host: fp64 and fp32 alone";
}

const char *gemm_declines_openblas(const struct run *run) {
    struct gemm_problem problem = gemm_problem_of(run);
    if (gemm_declines_host(run) != NULL) return gemm_declines_host(run);
    if (blas_missing() != NULL) return blas_missing();
    if (problem.m > INT32_MAX || problem.n > INT32_MAX || problem.k > INT32_MAX)
        return "OpenBLAS counts rows and columns in 32 bits";
    return NULL;
}

void gemm_setup_openblas(struct run *run) {
    blas_set_threads(run->threads);
}

void gemm_run_openblas(struct run *run) {
    struct gemm *gemm = run->state;
    const struct gemm_problem *p = &gemm->problem;
    int64_t row_a = p->a_transposed ? p->m : p->k, row_b = p->b_transposed ? p->k : p->n;
    if (p->dtype == DTYPE_fp64)
        blas_gemm_fp64(p->a_transposed, p->b_transposed, p->m, p->n, p->k, 1, gemm->a, row_a, gemm->b, row_b, 0,
                       gemm->c, p->n);
    else
        blas_gemm_fp32(p->a_transposed, p->b_transposed, p->m, p->n, p->k, 1, gemm->a, row_a, gemm->b, row_b, 0,
                       gemm->c, p->n);
}
