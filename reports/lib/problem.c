#include "problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "markup.h"

static const long FILE_BYTES_MAX = 1L << 31;

bool problem_set(struct problem *problem, const char *file, size_t line, const char *format, ...) {
    char message[960];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (line > 0) snprintf(problem->line, sizeof problem->line, "%.600s:%zu: %s", file, line, message);
    else snprintf(problem->line, sizeof problem->line, "%.600s: %s", file, message);
    for (unsigned char *c = (unsigned char *)problem->line; *c != 0; c++)
        if (*c < 0x20 || *c == 0x7f) *c = '?';
    return false;
}

bool file_read(const char *path, struct text *text, struct problem *problem) {
    struct stat status;
    if (stat(path, &status) != 0) return problem_set(problem, path, 0, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode)) return problem_set(problem, path, 0, "not a plain file");
    if (status.st_size > FILE_BYTES_MAX) return problem_set(problem, path, 0, "larger than 2 GiB");
    FILE *file = fopen(path, "rb");
    if (file == NULL) return problem_set(problem, path, 0, "%s", strerror(errno));
    text_clear(text);
    const char *refusal = NULL;
    char buffer[16384];
    size_t got = 0;
    while (refusal == NULL && (got = fread(buffer, 1, sizeof buffer, file)) > 0) text_bytes(text, buffer, got);
    if (refusal == NULL && ferror(file)) refusal = strerror(errno);
    fclose(file);
    return refusal == NULL || problem_set(problem, path, 0, "%s", refusal);
}
