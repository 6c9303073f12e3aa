#include "fit_pieces.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv_read.h"
#include "markup.h"

enum piece_column {
    PROGRAM,
    VARIANT,
    BACKEND,
    DEVICE,
    DTYPE,
    RANKS,
    MODE,
    AXES_OF_CURVE,
    LAUNCH,
    FROM_BYTES,
    LATENCY,
    BANDWIDTH,
    PIECE_COLUMNS
};
enum { KEY_COLUMNS = AXES_OF_CURVE + 1 };
static const char *const names[PIECE_COLUMNS] = {"program", "variant",    "backend",    "device",
                                                 "dtype",   "ranks",      "mode",       "axes",
                                                 "launch",  "from_bytes", "latency_us", "bandwidth_gb_s"};

struct pieces_reading {
    const char *path;
    struct fit_pieces *pieces;
    bool header_seen;
    size_t field[PIECE_COLUMNS];
};

static bool record_take(void *context, size_t line, char *const *fields, size_t count, struct problem *problem) {
    struct pieces_reading *reading = context;
    struct fit_pieces *pieces = reading->pieces;
    if (!reading->header_seen) {
        reading->header_seen = true;
        return csv_columns(reading->path, line, fields, count, names, PIECE_COLUMNS, reading->field, problem);
    }
    double numbers[PIECE_COLUMNS] = {0};
    for (int column = LAUNCH; column < PIECE_COLUMNS; column++) {
        const char *text = fields[reading->field[column]];
        bool flat = column == BANDWIDTH && text[0] == 0; /* a time that does not grow with the size has none */
        if (!flat && (!number_parse(text, &numbers[column]) || !(numbers[column] >= 0 && numbers[column] < 1e18)))
            return problem_set(problem, reading->path, line, "%s: '%.60s' is not a number of bytes, us or GB/s",
                               names[column], text);
    }
    struct text key = {0};
    for (int column = 0; column < KEY_COLUMNS; column++) text_add(&key, "%s\x1f", fields[reading->field[column]]);
    struct fit_piece piece = {.curve = pool_copy(&pieces->pool, key.data, key.length),
                              .launch = (int)fmin(numbers[LAUNCH], 1e6),
                              .from_bytes = numbers[FROM_BYTES],
                              .latency_us = numbers[LATENCY],
                              .bytes_per_us = numbers[BANDWIDTH] > 0 ? numbers[BANDWIDTH] * 1e3 : INFINITY};
    text_release(&key);
    pieces->list = array_grow(pieces->list, pieces->count, &pieces->capacity, sizeof *pieces->list);
    pieces->list[pieces->count++] = piece;
    return true;
}

static int compare_pieces(const void *a, const void *b) {
    const struct fit_piece *x = a, *y = b;
    int order = strcmp(x->curve, y->curve);
    if (order != 0) return order;
    if (x->launch != y->launch) return x->launch < y->launch ? -1 : 1;
    return x->from_bytes < y->from_bytes ? -1 : x->from_bytes > y->from_bytes;
}

bool fit_pieces_read(const char *path, struct fit_pieces *pieces, struct problem *problem) {
    if (access(path, F_OK) != 0) return true;
    struct pieces_reading reading = {.path = path, .pieces = pieces};
    bool good = csv_read(path, record_take, &reading, problem);
    if (good && pieces->count > 0) qsort(pieces->list, pieces->count, sizeof *pieces->list, compare_pieces);
    return good;
}

void fit_pieces_release(struct fit_pieces *pieces) {
    free(pieces->list);
    pool_release(&pieces->pool);
    *pieces = (struct fit_pieces){0};
}

/* As the program fit names a curve: the row's columns, then its axes but the size, in their order. */
static void curve_of(const struct row *row, struct text *key) {
    static const enum column columns[] = {COLUMN_program, COLUMN_variant, COLUMN_backend, COLUMN_device,
                                          COLUMN_dtype,   COLUMN_ranks,   COLUMN_mode};
    const char *separator = "";
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++) text_add(key, "%s\x1f", row->field[columns[i]]);
    for (size_t a = 0; a < row->table->axis_count; a++) {
        if (strcmp(row->table->axis[a], "bytes") == 0 || row->axis_value[a][0] == 0) continue;
        text_add(key, "%s%s=%s", separator, row->table->axis[a], row->axis_value[a]);
        separator = ";";
    }
    text_string(key, "\x1f");
}

size_t fit_pieces_of(const struct fit_pieces *pieces, const struct row *row, const struct fit_piece **first) {
    size_t low = 0, high = pieces->count, count = 0;
    struct text key = {0};
    if (pieces->count == 0) return 0;
    curve_of(row, &key);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(pieces->list[middle].curve, key.data) < 0) low = middle + 1;
        else high = middle;
    }
    *first = &pieces->list[low];
    while (low + count < pieces->count && strcmp(pieces->list[low + count].curve, key.data) == 0 &&
           pieces->list[low + count].launch == pieces->list[low].launch)
        count++;
    text_release(&key);
    return count;
}

double fit_pieces_time_us(const struct fit_piece *pieces, size_t count, double bytes) {
    double time = NAN;
    for (size_t i = 0; i < count && pieces[i].from_bytes <= bytes; i++)
        time = pieces[i].latency_us + bytes / pieces[i].bytes_per_us;
    return time;
}
