/* gemm_problem.c: the shapes, the data and the tolerances of gemm_problem.h. */
#include "kernels/lib/gemm_problem.h"

#include <math.h>

#include "bench/check.h"
#include "bench/random.h"

const char *const gemm_shape_names[GEMM_SHAPE_COUNT + 1] = {
#define GEMM_SHAPE_NAME(name, m, n, k) #name,
    GEMM_SHAPES(GEMM_SHAPE_NAME)
#undef GEMM_SHAPE_NAME
    NULL};

struct gemm_problem gemm_problem_sized(int64_t m, int64_t n, int64_t k, enum dtype dtype, bool b_transposed,
                                       uint64_t seed, bool zeros) {
    bool fp8 = dtype == DTYPE_fp8_e4m3, int8 = dtype == DTYPE_int8;
    return (struct gemm_problem){.m = m,
                                 .n = n,
                                 .k = k,
                                 .dtype = dtype,
                                 .output = fp8                   ? DTYPE_bf16
                                           : int8                ? DTYPE_int32
                                           : dtype == DTYPE_tf32 ? DTYPE_fp32
                                                                 : dtype,
                                 .b_transposed = b_transposed || fp8 || int8,
                                 .factor = fp8 ? 64 : int8 ? 16 : 1,
                                 .alpha = fp8 ? 0x1p-12 : 1,
                                 .seed = seed,
                                 .zeros = zeros};
}

struct gemm_problem gemm_problem_make(enum gemm_shape shape, int64_t size, int64_t tokens, enum dtype dtype,
                                      uint64_t seed, bool zeros) {
    int64_t m = 0, n = 0, k = 0;
    switch (shape) {
#define GEMM_SHAPE_CASE(name, rows, columns, inner)                                                                    \
    case GEMM_SHAPE_##name:                                                                                            \
        m = (rows);                                                                                                    \
        n = (columns);                                                                                                 \
        k = (inner);                                                                                                   \
        break;
        GEMM_SHAPES(GEMM_SHAPE_CASE)
#undef GEMM_SHAPE_CASE
    case GEMM_SHAPE_COUNT:
        break;
    }
    return gemm_problem_sized(m, n, k, dtype, false, seed, zeros);
}

double gemm_flops(const struct gemm_problem *problem) {
    return 2.0 * (double)problem->m * (double)problem->n * (double)problem->k;
}

double gemm_bytes(const struct gemm_problem *problem) {
    double m = (double)problem->m, n = (double)problem->n, k = (double)problem->k;
    return (m * k + k * n) * (double)dtype_size(problem->dtype) + m * n * (double)dtype_size(problem->output);
}

size_t gemm_output_bytes(const struct gemm_problem *problem) {
    return (size_t)(problem->m * problem->n) * dtype_size(problem->output);
}

double gemm_element(const struct gemm_problem *problem, enum gemm_operand operand, uint64_t index) {
    if (problem->zeros) return 0;
    double stored; /* wide enough and aligned for every format */
    dtype_store(problem->dtype, &stored, 0, problem->factor * random_normal(problem->seed, operand, index));
    return dtype_load(problem->dtype, &stored, 0);
}

struct gemm_scale_grid gemm_scale_grid(const struct gemm_problem *problem, enum gemm_operand operand) {
    enum gemm_scaling scaling = operand == GEMM_A ? problem->scaling_a : problem->scaling_b;
    int64_t rows = operand == GEMM_A ? problem->m : problem->n, k = problem->k, row_block = 1, k_block = k;
    if (scaling == GEMM_SCALE_TENSOR || scaling == GEMM_SCALE_128X128)
        row_block = scaling == GEMM_SCALE_TENSOR ? rows : 128;
    if (scaling == GEMM_SCALE_1X128 || scaling == GEMM_SCALE_128X128) k_block = 128;
    struct gemm_scale_grid grid = {.row_block = row_block, .k_block = k_block};
    grid.rows = (rows + row_block - 1) / row_block;
    grid.columns = (k + k_block - 1) / k_block;
    /* of rows the scales lie side by side, of blocks those along k, whose count is rounded up to a multiple of 4 */
    bool along_k = scaling == GEMM_SCALE_128X128;
    grid.row_stride = along_k ? (grid.columns + 3) / 4 * 4 : 1;
    grid.k_stride = along_k ? 1 : grid.rows;
    grid.count = along_k ? grid.rows * grid.row_stride : grid.rows * grid.columns;
    return grid;
}

static double scale_of(const struct gemm_problem *problem, enum gemm_operand operand,
                       const struct gemm_scale_grid *grid, int64_t row, int64_t p) {
    enum gemm_scaling scaling = operand == GEMM_A ? problem->scaling_a : problem->scaling_b;
    if (scaling == GEMM_SCALE_TENSOR) return 1; /* is in alpha */
    return gemm_scale(problem->seed, operand, problem->factor, row / grid->row_block, p / grid->k_block);
}

static double entry_error(const struct gemm_problem *problem, int64_t entry, double c) {
    int64_t i = entry / problem->n, j = entry % problem->n;
    double sum = 0, squares = 0;
    struct gemm_scale_grid grid_a = gemm_scale_grid(problem, GEMM_A), grid_b = gemm_scale_grid(problem, GEMM_B);
    for (int64_t p = 0; p < problem->k; p++) {
        int64_t in_b = problem->b_transposed ? j * problem->k + p : p * problem->n + j;
        int64_t in_a = problem->a_transposed ? p * problem->m + i : i * problem->k + p;
        double product = gemm_element(problem, GEMM_A, (uint64_t)in_a) *
                         gemm_element(problem, GEMM_B, (uint64_t)in_b);
        product *= scale_of(problem, GEMM_A, &grid_a, i, p) * scale_of(problem, GEMM_B, &grid_b, j, p);
        sum += product;
        squares += product * product;
    }
    double error = fabs(c - problem->alpha * sum);
    return error == 0 ? 0 : error / (problem->alpha * fmax(fabs(sum), sqrt(squares)));
}

double gemm_entries_error(const struct gemm_problem *problem, const int64_t *entry, const double *c, int64_t count) {
    double largest = 0;
    bool invalid = false; /* a maximum may lose a NaN */
#pragma omp parallel for schedule(dynamic) reduction(max : largest) reduction(|| : invalid)
    for (int64_t s = 0; s < count; s++) {
        double error = entry_error(problem, entry[s], c[s]);
        invalid = invalid || isnan(error);
        if (error > largest) largest = error;
    }
    return invalid ? NAN : largest;
}

/* On top of the roundings that freivalds_tolerance counts, tensor cores cut what they add: an instruction sums 32 bytes
   of a row of A with the accumulator and drops what lies below the last bit of the largest addend (Fasi et al., PeerJ
   CS 2021, for earlier parts). In fp32 accumulators that costs less than one epsilon an instruction, half of one on
   average, always towards zero, so that it adds up; seen on an H200 in tf32: 0.64 epsilon an instruction at every k
   from 1024 to 16384, in entries whose partial sums were larger than what they ended as. Hopper's fp8 instructions keep
   about 13 bits below the leading one (DeepSeek-V3 report, arXiv 2412.19437, 3.3.2); without fast accumulation the
   library moves the sum to fp32 registers every few instructions, which keeps the loss independent of k. */
double gemm_tolerance(const struct gemm_problem *problem, bool fast_accumulation) {
    const double fp8_epsilon = 0x1p-13, fp8_moved_often = 0x1p-8;
    enum dtype dtype = problem->dtype;
    if (dtype == DTYPE_int8) return 0; /* sums of up to 2^31 / 127^2 products are exact in int32, and in the checks */
    enum dtype accumulation = dtype == DTYPE_fp64 ? DTYPE_fp64 : DTYPE_fp32;
    double tolerance = freivalds_tolerance(problem->output, accumulation, problem->k);
    double instructions = (double)problem->k * (double)dtype_size(dtype) / 32;
    if (dtype != DTYPE_fp64 && dtype != DTYPE_fp32) tolerance += instructions * dtype_epsilon(DTYPE_fp32);
    if (dtype == DTYPE_fp8_e4m3)
        tolerance += fast_accumulation ? fmax(fp8_moved_often, instructions * fp8_epsilon) : fp8_moved_often;
    return tolerance;
}
