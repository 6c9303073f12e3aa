/* rows.h: the tidy rows of a program's CSV file, whatever the order of its columns. */
#ifndef REPORTS_ROWS_H
#define REPORTS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/bench.h"
#include "pool.h"
#include "problem.h"

enum { TABLE_AXES_MAX = 48 };

enum column {
#define COLUMN(identifier, meaning) COLUMN_##identifier,
#define AXES COLUMN_AXES, /* where the axes stand; no column of its own */
#include "bench/columns.def"
#undef COLUMN
#undef AXES
    COLUMN_COUNT
};
extern const char *const column_names[COLUMN_COUNT]; /* NULL at COLUMN_AXES */

enum row_status {
#define STATUS(identifier) ROW_##identifier,
#include "bench/statuses.def"
#undef STATUS
    ROW_STATUS_COUNT
};
extern const char *const row_status_names[ROW_STATUS_COUNT];

/* What metrics.def says of a metric, found by name. */
struct metric_facts {
    const char *name, *unit;
    enum metric_form form;
    enum better better;
    const char *meaning;
};
const struct metric_facts *metric_facts(const char *name); /* NULL: not known here */
bool metric_is_bound(const char *name);    /* bound_...: what a trivial rule scores, to be held beside an accuracy */
bool metric_is_fraction(const char *name); /* reads best as a percentage */

/* One CSV file. */
struct table {
    const char *path;
    size_t axis_count;
    const char *axis[TABLE_AXES_MAX];
    struct row **rows;
    size_t row_count, row_capacity;
    struct pool pool; /* holds the strings and rows */
};

struct row {
    const struct table *table;
    size_t line;
    const char *field[COLUMN_COUNT]; /* "" where empty or not a column of the file */
    const char **axis_value;         /* by index in table->axis */
    double value;                    /* NAN: empty */
    enum row_status status;
    enum better better;
    int launch; /* 1 if empty */
    int result; /* index of the result folder among those read */
};

/* Reads a file into table. Columns may be in any order; program, variant, metric, value and status must be there;
   unit and better default to what the metric's definition says. A column that columns.def does not know is an axis if
   it stands where the axes stand, or anywhere if the known columns are not in the usual order; otherwise it is from a
   newer program and is passed over. false: problem names file and line (a column twice, a number that is none, an
   unknown status or direction, what csv_read refuses). Release the table in either case. */
bool table_read(const char *path, struct table *table, struct problem *problem);
void table_release(struct table *table);

const char *row_axis(const struct row *row, const char *name); /* "" if the file has no such axis */
/* Value of a fixed column or an axis by its name; "" if there is none. */
const char *row_text(const struct row *row, const char *name);
double row_number(const struct row *row, enum column column); /* NAN if empty */
/* The limit's share of the value: limit_share, or computed from value and limit where that is empty. NAN: no limit. */
double row_limit_share(const struct row *row);
/* The 95 % interval of the value, from the interval of the median time. false: the row has none. */
bool row_interval(const struct row *row, double *low, double *high);
bool row_measured(const struct row *row); /* status ok and a finite value */

/* A decimal number with nothing around it: digits, one point, exponent; also nan and inf in any case. */
bool number_parse(const char *text, double *number);
/* Adds the key of everything that names a case: suite .. ranks, mode, and the axes given that are not empty. device is
   left out, as a machine may rename it. Parts end with byte 31. */
void row_key(const struct row *row, const char *const *axes, size_t axis_count, struct text *text);
#endif
