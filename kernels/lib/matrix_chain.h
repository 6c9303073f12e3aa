/* matrix_chain.h: what programs that time matrix instructions feed them, and what must come out. Host code alone.

   A (m x 128 bytes, k contiguous) and B (n x 128 bytes, k contiguous) hold CHAIN_SLICES slices of 32 bytes of k, one
   for each instruction of a round: D += A_0 B_0, D += A_1 B_1, ..; a chain is any number of rounds and then slice 0
   once more. Slices 2 and 3 take back what each other adds: A_3 = A_2, B_3 = -B_2. So do slices 0 and 1, but for their
   first k, where A holds signs u, B_0 signs v and B_1 zeros: a round adds u v', +-1 everywhere. A chain of r rounds
   must so leave exactly

     D = r u v' + A_0 B_0

   whatever its length: a lost, doubled or misplaced instruction is seen, and so is a wrong element of the product.

   The data are integers, uniform in -b..b, with b as large as the format's significand and exact sums allow. Matrix
   units add products aligned to the largest of them and cut off: on Hopper 2^-13 of it in fp8, at least 2^-23 in the
   others (arXiv 2412.19437, 3.3.2, names 14 bits); hence every sum, at its worst, stays below 2^14 and 2^24, and below
   2^11 where the sums themselves are fp16. */
#ifndef KERNELS_MATRIX_CHAIN_H
#define KERNELS_MATRIX_CHAIN_H

#include "bench/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CHAIN_SLICES = 4, CHAIN_SLICE_BYTES = 32, CHAIN_ROW_BYTES = 128, CHAIN_N_MAX = 256 };
enum { CHAIN_ROUNDS_MAX = 4096, CHAIN_ROUNDS_MAX_FP16 = 1024 };

struct matrix_chain {
    int m, n;
    enum dtype dtype, sums; /* of A and B; of D: fp64, fp32, fp16 or int32 */
    uint64_t seed;
    bool zeros;
    void *a, *b;
    double *product, *growth; /* m x n: A_0 B_0; u v' */
};

/* The format that sums of products of this format are kept in where nothing else is asked for. */
enum dtype matrix_chain_sums(enum dtype dtype);

/* m, n (up to CHAIN_N_MAX), dtype (fp64, tf32, bf16, fp16, fp8, int8), sums, seed and zeros are given; the first
   fills what the pointers point to, the second allocates it before. */
void matrix_chain_fill(struct matrix_chain *chain);
void matrix_chain_setup(struct run *run, struct matrix_chain *chain);

/* The same for instructions with a 2:4 sparse A. What is stored of A is `a` as it is; B's rows, of
   CHAIN_SPARSE_ROW_BYTES, have b's numbers in the places that the metadata name, and random ones in the others, which
   must not count. The places repeat after 16 numbers (tf32: 8) and are the same for all rows of A: */
enum { CHAIN_SPARSE_ROW_BYTES = 2 * CHAIN_ROW_BYTES };
uint32_t matrix_chain_metadata(enum dtype dtype); /* of 32 numbers (tf32: 16), as each thread has to give them */
void matrix_chain_spread(const struct matrix_chain *chain, void *b); /* n rows */

/* Clocks an instruction: the median over samples of (long chain - short chain) / (instructions between them), so that
   starting and ending cancel. clocks() runs a chain of so many rounds, as `mode` says, and returns its clocks; the last
   call is one of CHAIN_ROUNDS_MAX_FP16 rounds. */
enum { CHAIN_ROUNDS_SHORT = 64 };
double matrix_chain_clocks(struct run *run, double (*clocks)(struct run *run, int64_t rounds, int mode), int mode);

/* Largest |D - expected| over `count` matrices D, row major, packed, after `rounds` rounds. Infinite where D is NaN. */
double matrix_chain_error(const struct matrix_chain *chain, const void *d, int64_t count, int64_t rounds);

#ifdef __cplusplus
}
#endif
#endif
