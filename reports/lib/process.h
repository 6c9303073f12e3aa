/* process.h: another program as a filter, without a shell. */
#ifndef REPORTS_PROCESS_H
#define REPORTS_PROCESS_H

#include <stdbool.h>
#include <stdio.h>

#include "bench/text.h"

/* Starts argv[0] (found on the PATH), feeds it input (may be ""), and collects what it writes to standard output; its
   standard error is dropped. Its environment is LC_ALL=C, PATH and HOME. It is killed after `seconds`, or when it
   writes more than 64 MiB. true: it ended with status 0. SIGPIPE must be ignored. */
bool process_run(char *const argv[], const char *input, double seconds, struct text *output);
/* The same with a function of this program in a process of its own, for work on input that may be hostile. */
bool process_isolated(void (*work)(FILE *out, const char *argument), const char *argument, double seconds,
                      struct text *output);
#endif
