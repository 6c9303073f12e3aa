/* table_write.h: selected rows in the forms that other programs and people read. */
#ifndef REPORTS_TABLE_WRITE_H
#define REPORTS_TABLE_WRITE_H

#include "selection.h"

/* One CSV file, columns in the order of every program, axes of all files in their place. Where a case of the same
   launch comes from several inputs, the later ones become further launches. */
void table_merge(const struct selection *selection, struct text *out);

enum { SORTS_MAX = 8 };
/* How the table for people looks. */
struct table_view {
    const char *columns[SELECTION_COLUMNS_MAX]; /* none: those that differ from row to row, and the figures */
    size_t column_count;
    struct table_sort {
        const char *name;
        bool down;
    } sorts[SORTS_MAX];
    size_t sort_count;
    size_t limit; /* rows; 0: all */
};
void table_show(const struct selection *selection, const struct table_view *view, struct text *out);

/* Prometheus' text format: a gauge plumbline_METRIC for each metric, everything that makes the case as labels; shares
   of the limit as plumbline_limit_share; rows by status as plumbline_rows. What was not measured has no sample. */
void table_prometheus(const struct selection *selection, struct text *out);
/* An object a line, its members the columns that are not empty; numbers as numbers where JSON has them. */
void table_json_lines(const struct selection *selection, struct text *out);
#endif
