/* section.h: the rows of one program, from all result folders of a page, and the same as cases: one line for what was
   measured together, its metrics beside one another, its repeated launches merged. */
#ifndef REPORTS_SECTION_H
#define REPORTS_SECTION_H

#include "index.h"
#include "result.h"

enum { SECTION_METRICS_MAX = 32, SECTION_KEYS_MAX = TABLE_AXES_MAX + 8 };

/* One metric of one case. */
struct figure {
    const struct row *row; /* the launch with the median value (of an even number the lower); NULL: not measured */
    int launches;
    double spread; /* (largest - smallest) / median over the launches; 0 for one */
};
struct case_line {
    const struct row *row;  /* any row of the case, for its key */
    struct figure *figures; /* by index in section.metrics */
};
struct section {
    const char *suite, *program;
    const struct row **rows;
    size_t row_count, row_capacity;
    const struct result *results; /* of the page, by row.result */
    size_t result_count;
    const char *keys[SECTION_KEYS_MAX]; /* names of what can tell cases apart: "run", columns, axes */
    size_t key_count;
    /* The keys worth a column in a table: those that vary, without those that the variant settles in passing (its
       backend, its device, its mode). */
    const char *columns[SECTION_KEYS_MAX];
    size_t column_count;
    /* The columns that name a case once its run and device are told: the variant first. */
    const char *names[SECTION_KEYS_MAX];
    size_t name_count;
    const char *metrics[SECTION_METRICS_MAX];           /* in order of appearance; metrics beyond are left out */
    const struct row *metric_rows[SECTION_METRICS_MAX]; /* where each appeared: its unit and direction */
    double metric_largest[SECTION_METRICS_MAX];
    size_t metric_count;
    struct case_line *cases; /* measured ones only, in order of appearance */
    size_t case_count;
    struct pool pool;
};

/* Splits the rows of the results into sections by suite and program, in order of appearance; *count says how many.
   results must outlive them. Release each and free the array. */
struct section *sections_build(const struct result *results, size_t result_count, size_t *count);
void sections_release(struct section *sections, size_t count);

/* Value of a key for a row: "run" is the label of its result, otherwise a column or an axis. */
const char *section_key(const struct section *section, const struct row *row, const char *key);
/* Index of a metric by name, -1: not measured here. */
int section_metric(const struct section *section, const char *metric);
/* Is the key's value the same in all cases? */
bool section_constant(const struct section *section, const char *key);
/* Do the values of `givens` (names, `count`) settle that of key in every case that has metric (-1: every case)? */
bool section_settles(const struct section *section, const char *const *givens, size_t count, const char *key,
                     int metric);
/* Adds the values of the keys that are not empty, between dots: "triad · fp64 · threads 2 · 64 MiB". */
void section_label(const struct section *section, const struct row *row, const char *const *keys, size_t count,
                   struct text *text);
#endif
