#include "write_whole.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "markup.h"

bool write_whole(const char *program, const char *path, const struct text *content, struct problem *problem) {
    struct text temporary = {0};
    if (strcmp(path, "-") == 0) {
        if (fwrite(content->data, 1, content->length, stdout) == content->length && fflush(stdout) == 0) return true;
        return problem_set(problem, "standard output", 0, "%s", strerror(errno));
    }
    text_add(&temporary, "%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(temporary.data, "w");
    bool written = file != NULL && fwrite(content->data, 1, content->length, file) == content->length;
    int reason = errno;
    if (file != NULL && fclose(file) != 0) written = false, reason = errno;
    if (written && rename(temporary.data, path) != 0) written = false, reason = errno;
    if (!written && file != NULL) unlink(temporary.data);
    text_release(&temporary);
    if (!written) return problem_set(problem, path, 0, "%s", strerror(reason));
    fprintf(stderr, "%s: %s\n", program, path);
    return true;
}
