/* check.h: comparisons that several programs need. All arithmetic in double. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Running norms for ||out - ref|| / ||ref||. Start from {0}. A NaN anywhere makes the error NaN. */
struct difference {
    double error_squared, reference_squared, largest;
};
void difference_add(struct difference *difference, double out, double reference);
double difference_relative(const struct difference *difference); /* largest absolute one if the reference is 0 */

/* `count` distinct ascending rows of 0..rows-1, one at random in each of count equal strata, so that a contiguous
   sixteenth of the rows is hit when count >= 32. Returns how many (rows, if rows < count). */
int64_t sample_rows(int64_t rows, int64_t count, uint64_t seed, int64_t *row);

/* Freivalds' test of C = alpha * A B + 0, row major with leading dimensions, by `rounds` random +-1 vectors r for each
   of up to 16 equal sections of the columns (of 512 columns or more). With A_i, B_p, C_i the rows within the section:

     error = max over rows i, rounds, sections of
             |C_i r - alpha A_i (B r)| / max(|C_i|, |alpha| sqrt(sum_p A_ip^2 |B_p|^2))

   The denominator is what |C_i| is, or would be with the products in random signs; a row whose denominator is 0 and is
   right counts 0. NaN where anything is NaN or infinite, where shapes disagree, and where memory is short.
   Roundings of C's elements by half an epsilon at most give |C_i r| errors of about 0.2 epsilon |C_i|, and below
   2 epsilon over all the rows and rounds there can be; accumulation adds to this. A single wrong element is seen when
   it is off by more than tolerance * sqrt(columns of a section) times the root mean square of its row; a random row
   gives an error of 1 or more. Costs rounds * sections * k * m multiplications and one pass over A, B and C.
   transposed: the operand is stored transposed. */
struct matrix {
    const void *data;
    enum dtype dtype;
    int64_t rows, columns, leading;
    bool transposed; /* element (i, j) is data[j * leading + i] */
};
double freivalds_error(struct matrix a, struct matrix b, struct matrix c, double alpha, int rounds, uint64_t seed);
/* The tolerance that a right product keeps: 2 epsilon of the output's format + 2 sqrt(inner) epsilon of the format
   that sums are kept in (which covers the test's own rounding too); 0 where both are integers: then it is exact. */
double freivalds_tolerance(enum dtype output, enum dtype accumulation, int64_t inner);

#ifdef __cplusplus
}
#endif
#endif
