/* size_matrix.c: see size_matrix.h. */
#include "collectives/lib/size_matrix.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device.h"
#include "bench/file.h"
#include "bench/random.h"

enum { FILE_MAX = 64 << 20 };
static const int64_t sum_max = INT64_C(1) << 53;
static const char separators[] = " \t,\r";

struct reading {
    const char *path;
    struct size_matrix *matrix;
    int line, rows;
    char *reason;
};

static bool refuse(const struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(const struct reading *reading, const char *format, ...) {
    va_list arguments;
    int length = snprintf(reading->reason, REASON_SIZE, "%.300s:%d: ", reading->path, reading->line);
    va_start(arguments, format);
    vsnprintf(reading->reason + length, (size_t)(REASON_SIZE - length), format, arguments);
    va_end(arguments);
    return false;
}

static int words_of(const char *line) {
    int words = 0;
    for (const char *c = line + strspn(line, separators); *c != '\0'; c += strspn(c, separators)) {
        c += strcspn(c, separators);
        words++;
    }
    return words;
}

static bool begin(struct reading *reading, int words) {
    struct size_matrix *matrix = reading->matrix;
    if (words > MATRIX_RANKS_MAX) return refuse(reading, "%d numbers are more than %d ranks", words, MATRIX_RANKS_MAX);
    matrix->ranks = words;
    matrix->weight = calloc((size_t)words * (size_t)words, sizeof *matrix->weight);
    if (matrix->weight == NULL) abort();
    return true;
}

static bool take_row(struct reading *reading, char *line) {
    struct size_matrix *matrix = reading->matrix;
    int words = words_of(line), column = 0;
    int64_t sum = 0;
    char *rest = NULL;
    if (words == 0 || line[strspn(line, separators)] == '#') return true;
    if (reading->rows == 0 && !begin(reading, words)) return false;
    if (words != matrix->ranks)
        return refuse(reading, "%d numbers, and %d in the first row", words, matrix->ranks);
    if (reading->rows == matrix->ranks) return refuse(reading, "more rows than the %d numbers of a row", matrix->ranks);
    for (char *word = strtok_r(line, separators, &rest); word != NULL; word = strtok_r(NULL, separators, &rest)) {
        char *end;
        errno = 0;
        long long number = strtoll(word, &end, 10);
        if (!isdigit((unsigned char)word[0]) || *end != '\0' || errno != 0)
            return refuse(reading, "'%.40s' is not a whole number from 0 on", word);
        if (number > sum_max - sum) return refuse(reading, "'%.40s' is too large: a row holds at most 2^53", word);
        sum += number;
        matrix->weight[(size_t)reading->rows * (size_t)matrix->ranks + (size_t)column++] = number;
        matrix->digest = random_bits(matrix->digest, (uint64_t)number, 0);
    }
    if (sum > matrix->largest) matrix->largest = sum;
    reading->rows++;
    return true;
}

static bool take_rows(struct reading *reading, char *data) {
    for (char *line = data, *end; line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL) *end++ = '\0';
        reading->line++;
        if (!take_row(reading, line)) return false;
    }
    if (reading->rows != reading->matrix->ranks || reading->rows == 0)
        return refuse(reading, "ends after %d of %d rows", reading->rows, reading->matrix->ranks);
    if (reading->matrix->largest == 0) return refuse(reading, "nobody sends anything");
    return true;
}

bool size_matrix_read(const char *path, struct size_matrix *matrix, char *reason) {
    size_t length;
    *matrix = (struct size_matrix){0};
    char *data = file_load(path, FILE_MAX, &length, reason);
    if (data == NULL) return false;
    struct reading reading = {.path = path, .matrix = matrix, .reason = reason};
    bool right = strlen(data) == length ? take_rows(&reading, data) : refuse(&reading, "a zero byte: not a text");
    free(data);
    if (!right) size_matrix_release(matrix);
    return right;
}

size_t size_matrix_elements(const struct size_matrix *matrix, size_t count, int from, int to) {
    unsigned __int128 weight = (unsigned __int128)matrix->weight[(size_t)from * (size_t)matrix->ranks + (size_t)to];
    return (size_t)(weight * count / (unsigned __int128)matrix->largest);
}

void size_matrix_release(struct size_matrix *matrix) {
    free(matrix->weight);
    *matrix = (struct size_matrix){0};
}
