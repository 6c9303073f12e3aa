/* verdict_table.h: the verdicts as people read them. */
#ifndef REPORTS_VERDICT_TABLE_H
#define REPORTS_VERDICT_TABLE_H

#include "verdict.h"

enum table_form { TABLE_PLAIN, TABLE_MARKDOWN };
enum table_rows { ROWS_OF_INTEREST, ROWS_ALL }; /* of interest: all but same and noted */

/* Adds the table, gravest verdicts first, at most `most` lines (0: no end), and a line of counts. */
void verdict_table(const struct judge *judge, enum table_form form, enum table_rows rows, size_t most,
                   struct text *out);
/* Adds one line, whatever a field holds; in Markdown without what would end a cell or begin markup. */
void table_cell(struct text *out, const struct text *cell, enum table_form form);
void verdict_case_name(const struct row *row, struct text *out); /* variant and axes, as people name a case */
#endif
