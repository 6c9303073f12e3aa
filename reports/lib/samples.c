#include "samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv_read.h"
#include "markup.h"

/* Columns that name a series, beside the axes, which are all columns that are not listed here. */
static const char *const series_columns[] = {"variant", "dtype", "ranks", "mode", "launch", "metric"};
enum { SERIES_COLUMNS = ARRAY_LENGTH(series_columns) };

struct samples_reading {
    const char *path;
    struct samples *samples;
    struct text key;
    bool header_seen;
    size_t time_field;
    size_t column_field[SERIES_COLUMNS];
    size_t axis_field[TABLE_AXES_MAX];
};

static bool header_take(struct samples_reading *reading, size_t line, char *const *names, size_t count,
                        struct problem *problem) {
    struct samples *samples = reading->samples;
    size_t found = 0, times = 0;
    for (size_t i = 0; i < count; i++) {
        size_t column = 0;
        while (column < SERIES_COLUMNS && strcmp(series_columns[column], names[i]) != 0) column++;
        if (column < SERIES_COLUMNS) {
            reading->column_field[column] = i;
            found |= (size_t)1 << column;
        } else if (strcmp(names[i], "time_us") == 0) {
            reading->time_field = i;
            times++;
        } else if (strcmp(names[i], "sample") != 0) {
            if (samples->axis_count == TABLE_AXES_MAX)
                return problem_set(problem, reading->path, line, "more than %d axes", TABLE_AXES_MAX);
            reading->axis_field[samples->axis_count] = i;
            samples->axis[samples->axis_count++] = pool_copy(&samples->pool, names[i], strlen(names[i]));
        }
    }
    if (times != 1) return problem_set(problem, reading->path, line, "no single column time_us");
    for (size_t column = 0; column < SERIES_COLUMNS; column++)
        if ((found >> column & 1) == 0)
            return problem_set(problem, reading->path, line, "no column %s", series_columns[column]);
    return true;
}

static bool record_take(void *context, size_t line, char *const *fields, size_t count, struct problem *problem) {
    struct samples_reading *reading = context;
    struct samples *samples = reading->samples;
    if (!reading->header_seen) {
        reading->header_seen = true;
        return header_take(reading, line, fields, count, problem);
    }
    double time;
    if (!number_parse(fields[reading->time_field], &time))
        return problem_set(problem, reading->path, line, "time_us: '%.60s' is not a number",
                           fields[reading->time_field]);
    if (!(time > 0) || !isfinite(time)) return true;
    text_clear(&reading->key);
    for (size_t i = 0; i < SERIES_COLUMNS; i++) {
        text_string(&reading->key, fields[reading->column_field[i]]);
        text_string(&reading->key, "\x1f");
    }
    for (size_t i = 0; i < samples->axis_count; i++) {
        text_string(&reading->key, fields[reading->axis_field[i]]);
        text_string(&reading->key, "\x1f");
    }
    int added;
    size_t number = index_add(&samples->index, reading->key.data, &added);
    if (added) {
        samples->series = array_grow(samples->series, number, &samples->series_capacity, sizeof *samples->series);
        samples->series[number] = (struct sample_series){0};
    }
    struct sample_series *series = &samples->series[number];
    series->time_us = array_grow(series->time_us, series->count, &series->capacity, sizeof *series->time_us);
    series->time_us[series->count++] = time;
    return true;
}

bool samples_read(const char *path, struct samples *samples, struct problem *problem) {
    if (access(path, F_OK) != 0) return true;
    struct samples_reading reading = {.path = path, .samples = samples};
    bool good = csv_read(path, record_take, &reading, problem);
    text_release(&reading.key);
    return good;
}

void samples_release(struct samples *samples) {
    for (size_t i = 0; i < samples->index.count; i++) free(samples->series[i].time_us);
    free(samples->series);
    index_release(&samples->index);
    pool_release(&samples->pool);
    *samples = (struct samples){0};
}

const double *samples_of(const struct samples *samples, const struct row *row, size_t *count) {
    struct text key = {0};
    *count = 0;
    if (samples->index.count == 0) return NULL;
    for (size_t i = 0; i < SERIES_COLUMNS; i++) {
        text_string(&key, row_text(row, series_columns[i]));
        text_string(&key, "\x1f");
    }
    for (size_t i = 0; i < samples->axis_count; i++) {
        text_string(&key, row_axis(row, samples->axis[i]));
        text_string(&key, "\x1f");
    }
    long number = index_find(&samples->index, key.data);
    text_release(&key);
    if (number == INDEX_NONE) return NULL;
    *count = samples->series[number].count;
    return samples->series[number].time_us;
}
