/* gemm_problem.h: which product a GEMM benchmark computes: its shape by name, its data, and how wrong a right result
   may be. Host code alone; the data are defined element by element, so that a device can make them in place and the
   host can make any one of them again.

   Shapes, row major, C (m x n) = alpha A (m x k) B (k x n). The layer's products are those of "The Case for
   Co-Designing Model Architectures with Hardware" (arXiv 2401.14489) without tensor parallelism: `size` is the hidden
   size h, and `tokens` is b * s, the tokens of a micro-batch. The vocabulary is GPT-2's 50257 rounded up to a multiple
   of 64, as that paper advises. square has no tokens.

   Data: element i of A and of B is factor * N(0,1), rounded to the format (dtype_store). factor is 1, but 64 in
   fp8_e4m3 (random_normal stays within +-6.77, so 433 of the format's 448 are used and nothing saturates) and 16 in
   int8. The scales that undo it make alpha 2^-12 in fp8; the int8 product is left in integers.

   Scales, fp8 alone: one a tensor, in alpha; or one a row of A and a column of B, a row's 128 elements along k, or a
   block of 128 x 128. These are not all the same: (1 + u) / factor with a seeded u in [0, 1), so that a scale applied
   to the wrong block is seen; alpha then is 1. */
#ifndef KERNELS_GEMM_PROBLEM_H
#define KERNELS_GEMM_PROBLEM_H

#include "bench/bench.h"
#include "bench/random.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GEMM_VOCABULARY = 50304 };

/* X(name, m, n, k) */
#define GEMM_SHAPES(X)                                                                                                 \
    X(square, size, size, size)                                                                                        \
    X(qkv, tokens, 3 * size, size)                                                                                     \
    X(attention_output, tokens, size, size)                                                                            \
    X(mlp_up, tokens, 4 * size, size)                                                                                  \
    X(mlp_down, tokens, size, 4 * size)                                                                                \
    X(logits, tokens, GEMM_VOCABULARY, size)

enum gemm_shape {
#define GEMM_SHAPE_ENUM(name, m, n, k) GEMM_SHAPE_##name,
    GEMM_SHAPES(GEMM_SHAPE_ENUM)
#undef GEMM_SHAPE_ENUM
    GEMM_SHAPE_COUNT
};
extern const char *const gemm_shape_names[GEMM_SHAPE_COUNT + 1]; /* ended by NULL: fit for axis.words */

enum gemm_scaling { GEMM_SCALE_TENSOR, GEMM_SCALE_ROW, GEMM_SCALE_1X128, GEMM_SCALE_128X128, GEMM_SCALING_COUNT };

enum gemm_operand { GEMM_A = 1, GEMM_B = 2 }; /* also the stream of random.h that its elements come from */

struct gemm_problem {
    int64_t m, n, k;
    enum dtype dtype;  /* of A and B */
    enum dtype output; /* of C */
    bool a_transposed; /* A is stored k x m: set it where that is asked for */
    bool b_transposed; /* B is stored n x k, as the matrix units want it in 8-bit formats */
    double factor;     /* of the data */
    double alpha;      /* C = alpha A B of the stored numbers, each with its scale */
    enum gemm_scaling scaling_a, scaling_b;
    uint64_t seed;
    bool zeros;        /* every element is 0 */
};

/* size and tokens are positive and below 2^30. The output is bf16 from fp8, int32 from int8, fp32 from tf32, else the
   inputs' format. */
struct gemm_problem gemm_problem_make(enum gemm_shape shape, int64_t size, int64_t tokens, enum dtype dtype,
                                      uint64_t seed, bool zeros);
/* The same for any product; b_transposed stores B so in the formats too that can do without. */
struct gemm_problem gemm_problem_sized(int64_t m, int64_t n, int64_t k, enum dtype dtype, bool b_transposed,
                                       uint64_t seed, bool zeros);
double gemm_flops(const struct gemm_problem *problem); /* 2 m n k: a multiplication and an addition */
double gemm_bytes(const struct gemm_problem *problem); /* A and B read once, C written once */

size_t gemm_output_bytes(const struct gemm_problem *problem); /* of C */

/* Where an operand's scales are: that of the element of row (of A; column of B) r and of k index p is
   scale[r / row_block * row_stride + p / k_block * k_stride], as cuBLASLt wants them. */
struct gemm_scale_grid {
    int64_t rows, columns; /* how many */
    int64_t row_block, k_block, row_stride, k_stride;
    int64_t count; /* numbers in memory: a few may be padding */
};
struct gemm_scale_grid gemm_scale_grid(const struct gemm_problem *problem, enum gemm_operand operand);

/* The scale of that row and column of the grid. */
RANDOM_INLINE float gemm_scale(uint64_t seed, enum gemm_operand operand, double factor, int64_t row, int64_t column) {
    uint64_t place = (uint64_t)row << 32 | (uint64_t)column;
    return (float)((1 + random_uniform(seed, (uint64_t)operand + 2, place)) / factor);
}

/* Element `index`, counted as stored, of an operand, as a number of its format. */
double gemm_element(const struct gemm_problem *problem, enum gemm_operand operand, uint64_t index);

/* Largest of |c - r| / max(|r|, sqrt(sum_p (alpha A_ip B_pj)^2)) over the `count` elements entry[] = i * n + j of C
   whose values are c[], where r is the element recomputed in fp64 from gemm_element. The denominator is what the
   element is, or would be with the products in random signs. NaN where a value is NaN. */
double gemm_entries_error(const struct gemm_problem *problem, const int64_t *entry, const double *c, int64_t count);

/* How large that error, and the one of Freivalds' test (check.h), may be in a right product. */
double gemm_tolerance(const struct gemm_problem *problem, bool fast_accumulation);

#ifdef __cplusplus
}
#endif
#endif
