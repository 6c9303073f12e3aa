/* file.h: files that are there whole or not at all. */
#ifndef BENCH_FILE_H
#define BENCH_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes beside path under a temporary name, to disk, and renames. False with one line in reason (REASON_SIZE); path is
   then as it was. */
bool file_replace(const char *path, const void *data, size_t length, char *reason);
/* The whole file, ended by a zero that does not count; the caller frees it. NULL with one line in reason where it
   cannot be read or is longer than maximum. */
char *file_load(const char *path, size_t maximum, size_t *length, char *reason);
#endif
