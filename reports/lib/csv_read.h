/* csv_read.h: RFC 4180 files, record by record, over libcsv. */
#ifndef REPORTS_CSV_READ_H
#define REPORTS_CSV_READ_H

#include "problem.h"

enum { FIELDS_MAX = 128 };

/* Takes one record: the line of the file it starts on and its fields, valid until it returns. false ends the reading;
   it has set problem. */
typedef bool csv_taker(void *context, size_t line, char *const *fields, size_t count, struct problem *problem);

/* Feeds every record of the file to take; the first is the header, and every other one has as many fields as it (or
   the reading ends with a problem that names file and line; so it does at a NUL byte, a stray quote, a quote that never
   ends, at more than FIELDS_MAX fields and at a header with a name twice). CRLF and LF end a record, quoted fields may
   hold both; a UTF-8 mark at the start and empty lines are passed over. An empty file has no records and no error. */
bool csv_read(const char *path, csv_taker *take, void *context, struct problem *problem);
/* The number of the field of a header that is name; count: none. */
size_t csv_find(char *const *fields, size_t count, const char *name);
/* Where a header (fields, count) has each of these names, all of which it must have. false: problem. */
bool csv_columns(const char *path, size_t line, char *const *fields, size_t count, const char *const *names,
                 size_t name_count, size_t *places, struct problem *problem);
#endif
