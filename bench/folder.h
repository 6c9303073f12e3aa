/* folder.h: where rows go; see rows.h for the promise. */
#ifndef BENCH_FOLDER_H
#define BENCH_FOLDER_H

#include "text.h"

void rows_header(struct text *csv, struct text *samples);
/* Appends the rows of one measurement, whole, and the journal's `done`. */
void folder_append(const struct text *csv, const struct text *samples, const char *key, const char *status);
#endif
