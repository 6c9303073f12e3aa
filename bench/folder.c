/* folder.c: the files of one program in a result folder, the journal, and what --resume makes of them. */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manifest.h"
#include "rows.h"

enum file { FILE_CSV, FILE_SAMPLES, FILE_JOURNAL, FILE_COUNT };
static const char *const endings[FILE_COUNT] = {".csv", ".samples.csv", ".journal"};
static const char journal_version[] = "plumbline-journal 1";

static int descriptor[FILE_COUNT] = {STDOUT_FILENO, -1, -1};
static char path[FILE_COUNT][4096];
static bool in_folder;
static char *known; /* "\nKEY\nKEY\n" of what the folder holds */
static char in_flight[KEY_SIZE];

static void fail(enum file file) {
    die(EXIT_USAGE, "%s: %s", in_folder ? path[file] : "standard output", strerror(errno));
}

/* All of it or none of it: what a full disk cut is taken back before the error is told. */
static void append_whole(enum file file, const char *data, size_t length) {
    struct stat before;
    bool regular = fstat(descriptor[file], &before) == 0 && S_ISREG(before.st_mode);
    for (size_t written = 0; written < length;) {
        ssize_t n = write(descriptor[file], data + written, length - written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int reason = errno;
            if (regular && ftruncate(descriptor[file], before.st_size) != 0) reason = errno;
            errno = reason;
            fail(file);
        }
        written += (size_t)n;
    }
}

static long long size_of(enum file file) {
    struct stat status;
    if (fstat(descriptor[file], &status) != 0) fail(file);
    return (long long)status.st_size;
}

static void journal(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void journal(const char *format, ...) {
    char line[KEY_SIZE + 128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    append_whole(FILE_JOURNAL, line, (size_t)length);
}

/* mkdir -p */
static void make_folder(const char *folder) {
    char part[4096];
    snprintf(part, sizeof part, "%s", folder);
    for (char *c = part + 1; *c != '\0'; c++) {
        if (*c != '/') continue;
        *c = '\0';
        mkdir(part, 0777);
        *c = '/';
    }
    struct stat status;
    if (mkdir(part, 0777) != 0 && errno != EEXIST) die(EXIT_USAGE, "--out: '%s': %s", folder, strerror(errno));
    if (stat(part, &status) != 0 || !S_ISDIR(status.st_mode)) die(EXIT_USAGE, "--out: '%s' is no folder", folder);
    if (access(part, W_OK | X_OK) != 0) die(EXIT_USAGE, "--out: '%s': %s", folder, strerror(errno));
}

static char *read_whole(enum file file) {
    long long size = size_of(file);
    char *data = malloc((size_t)size + 1);
    if (data == NULL) abort();
    ssize_t n = pread(descriptor[file], data, (size_t)size, 0);
    if (n < 0) fail(file);
    data[n] = '\0';
    return data;
}

static void cut(enum file file, long long size) {
    if (size_of(file) < size)
        die(EXIT_USAGE, "%s: damaged: %lld bytes, and the journal speaks of %lld", path[file], size_of(file), size);
    if (ftruncate(descriptor[file], (off_t)size) != 0) fail(file);
}

static void check_header(enum file file, const struct text *header) {
    char *data = read_whole(file);
    bool same = strncmp(data, header->data, header->length) == 0;
    free(data);
    if (!same) die(EXIT_USAGE, "%s: damaged, or of another version: its header is not this program's", path[file]);
}

/* One line of the journal; the last `done` gives the sizes, a `start` without its `done` was in flight. */
static void read_line(const char *line, int number, struct text *keys, long long sizes[2]) {
    int at = -1;
    if (strncmp(line, "start ", 6) == 0) {
        snprintf(in_flight, sizeof in_flight, "%s", line + 6);
    } else if (sscanf(line, "done %lld %lld %*s %n", &sizes[0], &sizes[1], &at) >= 2 && at > 0) {
        text_add(keys, "%s\n", line + at);
        in_flight[0] = '\0';
    } else {
        die(EXIT_USAGE, "%s:%d: damaged: '%.60s'", path[FILE_JOURNAL], number, line);
    }
}

static void read_journal(const struct text headers[2]) {
    char *data = read_whole(FILE_JOURNAL);
    struct text keys = {0};
    long long sizes[2] = {(long long)headers[0].length, (long long)headers[1].length};
    text_add(&keys, "\n");
    int number = 0;
    for (char *line = data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        if (++number > 1) read_line(line, number, &keys, sizes);
        else if (strcmp(line, journal_version) != 0)
            die(EXIT_USAGE, "%s:1: '%.60s' is not '%s'", path[FILE_JOURNAL], line, journal_version);
    }
    free(data);
    known = keys.data;
    cut(FILE_CSV, sizes[0]);
    cut(FILE_SAMPLES, sizes[1]);
}

static void drop_torn_line(void) {
    char *data = read_whole(FILE_JOURNAL);
    char *end = strrchr(data, '\n');
    long long whole = end != NULL ? end + 1 - data : 0;
    free(data);
    if (ftruncate(descriptor[FILE_JOURNAL], (off_t)whole) != 0) fail(FILE_JOURNAL);
}

static void begin_files(const struct text headers[2]) {
    cut(FILE_CSV, 0);
    cut(FILE_SAMPLES, 0);
    cut(FILE_JOURNAL, 0);
    append_whole(FILE_CSV, headers[0].data, headers[0].length);
    append_whole(FILE_SAMPLES, headers[1].data, headers[1].length);
    journal("%s\n", journal_version);
}

/* Of the journal and what it speaks of, all are there or none; asked before anything is created. */
static void check_presence(void) {
    bool journal = access(path[FILE_JOURNAL], F_OK) == 0;
    for (int file = FILE_CSV; file < FILE_JOURNAL; file++) {
        struct stat status;
        bool there = stat(path[file], &status) == 0;
        if (journal && !there) die(EXIT_USAGE, "%s: missing, and %s speaks of it", path[file], path[FILE_JOURNAL]);
        if (!journal && there && status.st_size > 0)
            die(EXIT_USAGE, "%s: has rows but no journal beside it", path[file]);
    }
}

/* first: by who began the run. Others take over from a rank that has died, whose files the system may close a moment
   after the connection that told of its death. */
static void open_files(bool first) {
    for (int file = 0; file < FILE_COUNT; file++) {
        descriptor[file] = open(path[file], O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (descriptor[file] < 0) fail((enum file)file);
    }
    for (int tries = first ? 1 : 25; flock(descriptor[FILE_JOURNAL], LOCK_EX | LOCK_NB) != 0; usleep(20000))
        if (--tries == 0) die(EXIT_USAGE, "%s: another run is writing here", path[FILE_JOURNAL]);
}

static void open_rows(const struct options *options, bool first) {
    struct text headers[2] = {{0}, {0}};
    rows_header(&headers[0], &headers[1]);
    if (options->out == NULL) {
        append_whole(FILE_CSV, headers[0].data, headers[0].length);
    } else {
        char reason[REASON_SIZE];
        in_folder = true;
        if (options->resume != NULL && access(options->resume, F_OK) != 0)
            die(EXIT_USAGE, "--resume: '%s': %s", options->resume, strerror(errno));
        make_folder(options->out);
        for (int file = 0; file < FILE_COUNT; file++)
            snprintf(path[file], sizeof path[file], "%s/%s%s", options->out, bench.name, endings[file]);
        if (first && !manifest_write(options->out, options->command_line, reason)) die(EXIT_USAGE, "%s", reason);
        if (first && !manifest_check(options->out, reason)) die(EXIT_USAGE, "%s", reason);
        check_presence();
        open_files(first);
        drop_torn_line();
        if (size_of(FILE_JOURNAL) > 0) {
            check_header(FILE_CSV, &headers[0]);
            check_header(FILE_SAMPLES, &headers[1]);
            read_journal(headers);
        } else {
            begin_files(headers);
        }
    }
    text_release(&headers[0]);
    text_release(&headers[1]);
}

void rows_open(const struct options *options) {
    open_rows(options, true);
}

void rows_take_over(const struct options *options) {
    if (options->out != NULL) open_rows(options, false);
}

bool rows_known(const char *key) {
    char line[KEY_SIZE + 2];
    snprintf(line, sizeof line, "\n%s\n", key);
    return known != NULL && strstr(known, line) != NULL;
}

const char *rows_in_flight(void) {
    return in_flight[0] != '\0' ? in_flight : NULL;
}

void rows_start(const char *key) {
    if (in_folder) journal("start %s\n", key);
}

void folder_append(const struct text *csv, const struct text *samples, const char *key, const char *status) {
    append_whole(FILE_CSV, csv->data, csv->length);
    if (!in_folder) return;
    if (samples->length > 0) append_whole(FILE_SAMPLES, samples->data, samples->length);
    journal("done %lld %lld %s %s\n", size_of(FILE_CSV), size_of(FILE_SAMPLES), status, key);
}
