/* rows.h: the CSV files of one program: <program>.csv, <program>.samples.csv and <program>.journal of a result folder,
   or the first of them alone on standard output.

   The journal is what makes a killed run go on: `start KEY` before a measurement, `done CSV_BYTES SAMPLES_BYTES KEY`
   after its rows are in the files. On --resume the files are cut back to the last `done`, so that every measurement
   stands there exactly once whenever the run was killed. Errors end the process with a line and EXIT_USAGE. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "harness.h"

enum { SCHEMA_VERSION = 1 };

void rows_open(const struct options *options);
/* The process that had them open is lost, and what it wrote stays; quick, as there may be a second left for it. */
void rows_take_over(const struct options *options);
bool rows_known(const char *key);              /* already in the folder */
const char *rows_in_flight(void);              /* key that was under way when the run died, NULL: none */
void rows_start(const char *key);
void rows_write(const struct options *options, const struct shared *shared, const struct measurement *measurement,
                const struct outcome *outcome);
void rows_schema(FILE *out);
#endif
