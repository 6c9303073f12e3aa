#include "csv_read.h"

#include <csv.h>
#include <string.h>

#include "markup.h"

struct reading {
    const char *path;
    csv_taker *take;
    void *context;
    struct problem *problem;
    bool stopped;
    size_t line;       /* being fed */
    size_t start;      /* of the record; 0: between records */
    size_t width;      /* fields of the header; 0: not seen */
    size_t count;      /* fields of this record so far */
    struct text bytes; /* their bytes, each NUL-terminated */
    size_t offset[FIELDS_MAX];
};

static void stop(struct reading *reading, const char *message) {
    if (!reading->stopped) problem_set(reading->problem, reading->path, reading->line, "%s", message);
    reading->stopped = true;
}

static void field_ended(void *data, size_t length, void *context) {
    struct reading *reading = context;
    if (reading->stopped) return;
    if (reading->count == FIELDS_MAX) {
        stop(reading, "too many fields");
        return;
    }
    if (memchr(data, 0, length) != NULL) {
        stop(reading, "a NUL byte in a field");
        return;
    }
    reading->offset[reading->count++] = reading->bytes.length;
    text_bytes(&reading->bytes, data, length);
    text_bytes(&reading->bytes, "", 1);
}

/* Of two columns of one name nobody knows which is meant. */
static bool header_check(struct reading *reading, char *const *names) {
    for (size_t i = 0; i < reading->count; i++)
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) != 0) continue;
            problem_set(reading->problem, reading->path, reading->start, "the column '%.60s' stands there twice",
                        names[i]);
            reading->stopped = true;
            return false;
        }
    return true;
}

static void record_ended(int terminator, void *context) {
    (void)terminator;
    struct reading *reading = context;
    if (reading->stopped) return;
    char *fields[FIELDS_MAX];
    for (size_t i = 0; i < reading->count; i++) fields[i] = reading->bytes.data + reading->offset[i];
    if (reading->width == 0 && !header_check(reading, fields)) return;
    reading->width = reading->width == 0 ? reading->count : reading->width;
    if (reading->count != reading->width) {
        problem_set(reading->problem, reading->path, reading->start, "%zu fields where the header has %zu",
                    reading->count, reading->width);
        reading->stopped = true;
    } else if (!reading->take(reading->context, reading->start, fields, reading->count, reading->problem)) {
        reading->stopped = true;
    }
    reading->count = 0;
    text_clear(&reading->bytes);
    reading->start = reading->line; /* a CR alone ends a record too: then another begins on this line */
}

/* libcsv counts no lines, so that it is fed one at a time. */
static void feed(struct reading *reading, struct csv_parser *parser, const struct text *file) {
    const char *position = file->data, *end = file->data + file->length;
    if (file->length >= 3 && memcmp(position, "\xef\xbb\xbf", 3) == 0) position += 3;
    while (position < end && !reading->stopped) {
        const char *newline = memchr(position, '\n', (size_t)(end - position));
        size_t length = (size_t)((newline != NULL ? newline + 1 : end) - position);
        reading->line++;
        if (reading->start == 0) reading->start = reading->line;
        if (csv_parse(parser, position, length, field_ended, record_ended, reading) != length)
            stop(reading, csv_error(parser) == CSV_EPARSE ? "a quote that does not enclose the whole field"
                                                          : csv_strerror(csv_error(parser)));
        if (parser->pstate == 0) reading->start = 0; /* between records: this was an empty line, or ended one */
        position += length;
    }
    if (!reading->stopped && csv_fini(parser, field_ended, record_ended, reading) != 0)
        stop(reading, "the file ends inside a quoted field");
}

bool csv_read(const char *path, csv_taker *take, void *context, struct problem *problem) {
    struct text file = {0};
    struct reading reading = {.path = path, .take = take, .context = context, .problem = problem};
    struct csv_parser parser;
    bool good = file_read(path, &file, problem);
    if (good && csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) == 0) {
        feed(&reading, &parser, &file);
        csv_free(&parser);
        good = !reading.stopped;
    }
    text_release(&reading.bytes);
    text_release(&file);
    return good;
}

size_t csv_find(char *const *fields, size_t count, const char *name) {
    size_t found = 0;
    while (found < count && strcmp(fields[found], name) != 0) found++;
    return found;
}

bool csv_columns(const char *path, size_t line, char *const *fields, size_t count, const char *const *names,
                 size_t name_count, size_t *places, struct problem *problem) {
    for (size_t i = 0; i < name_count; i++) {
        places[i] = csv_find(fields, count, names[i]);
        if (places[i] == count) return problem_set(problem, path, line, "no column %s", names[i]);
    }
    return true;
}
