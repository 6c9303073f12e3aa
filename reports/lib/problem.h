/* problem.h: what is wrong with an input, in one line; and reading a file or saying so. */
#ifndef REPORTS_PROBLEM_H
#define REPORTS_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/text.h"

/* One printable line "FILE:LINE: message" (without LINE if it is 0). */
struct problem {
    char line[1600];
};
/* Always returns false, for `return problem_set(...)`. */
bool problem_set(struct problem *problem, const char *file, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Reads a whole file into text. false: problem says why (not there, not a plain file, larger than 2 GiB). */
bool file_read(const char *path, struct text *text, struct problem *problem);
#endif
