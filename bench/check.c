/* check.c: comparison of results in double. Every comparison is written so that a NaN makes the answer NaN: the harness
   accepts error <= tolerance alone. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"

void difference_add(struct difference *difference, double out, double reference) {
    double error = fabs(out - reference);
    difference->error_squared += error * error;
    difference->reference_squared += reference * reference;
    if (!(error <= difference->largest) && !isnan(difference->largest))
        difference->largest = error;
}

double difference_relative(const struct difference *difference) {
    if (difference->reference_squared == 0 || isnan(difference->largest))
        return difference->largest;
    return sqrt(difference->error_squared / difference->reference_squared);
}

int64_t sample_rows(int64_t rows, int64_t count, uint64_t seed, int64_t *row) {
    if (count > rows)
        count = rows;
    for (int64_t i = 0; i < count; i++) {
        /* floor(i * rows / count) without the product, which may not fit */
        int64_t first = i * (rows / count) + i * (rows % count) / count;
        int64_t next = (i + 1) * (rows / count) + (i + 1) * (rows % count) / count;
        row[i] = first + (int64_t)(random_bits(seed, 0, (uint64_t)i) % (uint64_t)(next - first));
    }
    return count > 0 ? count : 0;
}

double freivalds_tolerance(enum dtype output, enum dtype accumulation, int64_t inner) {
    /* 64: the test sums columns too, so that its own fp64 rounding does not vanish with `inner` */
    double depth = inner > 64 ? (double)inner : 64;
    return 2 * dtype_epsilon(output) + 2 * sqrt(depth) * dtype_epsilon(accumulation);
}

/* The products below read a matrix once, in tiles brought to double in the first-level cache, and multiply a tile by
   all vectors before they go on. */
enum { TILE_ROWS = 32, TILE_COLUMNS = 128, SECTIONS_MAX = 16, SECTION_COLUMNS = 512 };

static void load_tile(const struct matrix *m, int64_t i, int64_t j, int rows, int columns,
                      double tile[][TILE_COLUMNS]) {
    if (!m->transposed) {
        for (int r = 0; r < rows; r++)
            dtype_load_row(m->dtype, m->data, (size_t)((i + r) * m->leading + j), (size_t)columns, tile[r]);
        return;
    }
    double stored[TILE_ROWS];
    for (int c = 0; c < columns; c++) {
        dtype_load_row(m->dtype, m->data, (size_t)((j + c) * m->leading + i), (size_t)rows, stored);
        for (int r = 0; r < rows; r++)
            tile[r][c] = stored[r];
    }
}

static double dot(const double *a, const double *b, int count) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static double dot_squares(const double *a, const double *b, int count) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < count; i++)
        sum += a[i] * a[i] * b[i];
    return sum;
}

/* product[v][i] += sum_j M_ij vector[v][j] and square[w][i] += sum_j M_ij^2 weight[w][j], where vectors and weights
   have a row of M->columns each and product and square one of M->rows. */
struct products {
    int vectors, weights;
    const double *vector, *weight;
    double *product, *square;
};

static void multiply(const struct matrix *m, const struct products *p) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < m->rows; i += TILE_ROWS) {
        double tile[TILE_ROWS][TILE_COLUMNS];
        int rows = m->rows - i < TILE_ROWS ? (int)(m->rows - i) : TILE_ROWS;
        for (int64_t j = 0; j < m->columns; j += TILE_COLUMNS) {
            int columns = m->columns - j < TILE_COLUMNS ? (int)(m->columns - j) : TILE_COLUMNS;
            load_tile(m, i, j, rows, columns, tile);
            for (int v = 0; v < p->vectors; v++)
                for (int r = 0; r < rows; r++)
                    p->product[v * m->rows + i + r] += dot(tile[r], p->vector + v * m->columns + j, columns);
            for (int w = 0; w < p->weights; w++)
                for (int r = 0; r < rows; r++)
                    p->square[w * m->rows + i + r] += dot_squares(tile[r], p->weight + w * m->columns + j, columns);
        }
    }
}

static struct matrix column_section(struct matrix m, int64_t first, int64_t columns) {
    size_t offset = (size_t)(m.transposed ? first * m.leading : first);
    m.data = (const char *)m.data + offset * dtype_size(m.dtype);
    m.columns = columns;
    return m;
}

/* Vectors of ones and of random signs for every section, and what they give: [section][round][row] for products,
   [section][row] for squared norms. One block of memory, zeroed. */
struct freivalds {
    int sections, rounds;
    int64_t section_columns; /* of all sections but the last, which has at most as many */
    double *ones, *signs;
    double *b_product, *b_square, *a_product, *a_square, *c_product, *c_square;
};

static double *freivalds_start(struct freivalds *f, int64_t m, int64_t n, int64_t k, int rounds, uint64_t seed) {
    int64_t sections = (n + SECTION_COLUMNS - 1) / SECTION_COLUMNS;
    f->sections = sections < SECTIONS_MAX ? (int)sections : SECTIONS_MAX;
    f->section_columns = (n + f->sections - 1) / f->sections;
    f->sections = (int)((n + f->section_columns - 1) / f->section_columns);
    f->rounds = rounds;
    int64_t s = f->sections, s_r = s * rounds, width = f->section_columns;
    double *memory = calloc((size_t)(width * (rounds + 1) + (s_r + s) * (k + 2 * m)), sizeof(double));
    if (memory == NULL)
        return NULL;
    f->ones = memory;
    f->signs = f->ones + width;
    f->b_product = f->signs + width * rounds;
    f->b_square = f->b_product + s_r * k;
    f->a_product = f->b_square + s * k;
    f->a_square = f->a_product + s_r * m;
    f->c_product = f->a_square + s * m;
    f->c_square = f->c_product + s_r * m;
    for (int64_t j = 0; j < width; j++)
        f->ones[j] = 1;
    for (int64_t j = 0; j < width * rounds; j++)
        f->signs[j] = random_bits(seed, 1, (uint64_t)j) >> 63 ? 1 : -1;
    return memory;
}

/* M times the signs, section by section. `compact`: the signs of a narrower last section, packed. */
static void multiply_sections(const struct freivalds *f, struct matrix m, double *product, double *square,
                              double *compact) {
    for (int s = 0; s < f->sections; s++) {
        int64_t first = s * f->section_columns;
        int64_t columns = m.columns - first < f->section_columns ? m.columns - first : f->section_columns;
        for (int t = 0; t < f->rounds; t++)
            for (int64_t j = 0; j < columns; j++)
                compact[t * columns + j] = f->signs[t * f->section_columns + j];
        struct matrix section = column_section(m, first, columns);
        multiply(&section, &(struct products){f->rounds, 1, compact, f->ones, product + s * f->rounds * m.rows,
                                              square + s * m.rows});
    }
}

static double largest_error(const struct freivalds *f, int64_t rows, double alpha) {
    double largest = 0;
    for (int64_t line = 0; line < (int64_t)f->sections * f->rounds; line++) {
        for (int64_t i = 0; i < rows; i++) {
            int64_t norm = line / f->rounds * rows + i;
            double error = fabs(f->c_product[line * rows + i] - alpha * f->a_product[line * rows + i]);
            double expected = alpha * alpha * f->a_square[norm], found = f->c_square[norm];
            double scale = sqrt(expected > found ? expected : found);
            if (isnan(error) || !isfinite(expected) || !isfinite(found))
                return NAN;
            if (error > 0 && !(error <= largest * scale))
                largest = error / scale;
        }
    }
    return largest;
}

double freivalds_error(struct matrix a, struct matrix b, struct matrix c, double alpha, int rounds, uint64_t seed) {
    if (a.columns != b.rows || a.rows != c.rows || b.columns != c.columns || rounds < 1)
        return NAN;
    if (c.rows < 1 || c.columns < 1)
        return 0;
    struct freivalds f;
    double *memory = freivalds_start(&f, c.rows, c.columns, a.columns, rounds, seed);
    double *compact = malloc((size_t)(f.section_columns * rounds) * sizeof(double));
    double error = NAN;
    if (memory != NULL && compact != NULL) {
        multiply_sections(&f, b, f.b_product, f.b_square, compact);
        multiply(&a, &(struct products){f.sections * rounds, f.sections, f.b_product, f.b_square, f.a_product,
                                        f.a_square});
        multiply_sections(&f, c, f.c_product, f.c_square, compact);
        error = largest_error(&f, c.rows, alpha);
    }
    free(compact);
    free(memory);
    return error;
}
