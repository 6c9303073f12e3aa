/* write_whole.h: a file that appears whole or not at all. */
#ifndef REPORTS_WRITE_WHOLE_H
#define REPORTS_WRITE_WHOLE_H

#include "problem.h"

/* Writes content beside path, then moves it there, and says so on standard error as `program`; "-" is standard output.
   false: problem. */
bool write_whole(const char *program, const char *path, const struct text *content, struct problem *problem);
#endif
