/* file.c: see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

static bool write_whole(int descriptor, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(descriptor, data, length);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            data += written;
            length -= (size_t)written;
        }
    }
    return fsync(descriptor) == 0; /* some file systems tell of a full disk only here */
}

bool file_replace(const char *path, const void *data, size_t length, char *reason) {
    char temporary[4096];
    int size = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    int descriptor = -1;
    errno = ENAMETOOLONG;
    if (size < (int)sizeof temporary)
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool written = descriptor >= 0 && write_whole(descriptor, data, length);
    int error = errno;
    if (descriptor >= 0 && close(descriptor) != 0 && written) {
        written = false;
        error = errno;
    }
    if (written) {
        if (rename(temporary, path) == 0)
            return true;
        error = errno;
    }
    snprintf(reason, REASON_SIZE, "cannot write '%.400s': %s", path, strerror(error));
    if (descriptor >= 0)
        unlink(temporary);
    return false;
}

char *file_load(const char *path, size_t maximum, size_t *length, char *reason) {
    FILE *file = fopen(path, "rb");
    char *data = file != NULL ? malloc(maximum + 1) : NULL;
    if (data == NULL) {
        snprintf(reason, REASON_SIZE, "cannot read '%.400s': %s", path, strerror(errno));
        if (file != NULL)
            fclose(file);
        return NULL;
    }
    *length = fread(data, 1, maximum + 1, file);
    bool failed = ferror(file) != 0; /* a folder opens, but does not read */
    fclose(file);
    if (failed || *length > maximum) {
        snprintf(reason, REASON_SIZE, "cannot read '%.400s': %s", path, failed ? strerror(errno) : "it is too long");
        free(data);
        return NULL;
    }
    data[*length] = '\0';
    return data;
}
