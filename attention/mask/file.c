/* file.c: a mask read from a file of ranges.

   Lines, numbers between spaces, # begins a comment; the first line gives the lengths, each further one a piece:
     queries 4096 keys 4096
     QUERY_BEGIN QUERY_END KEY_BEGIN KEY_END [full|causal|inverse_causal|band]      ends are not included; default full
   Pieces are sorted by QUERY_BEGIN, then KEY_BEGIN, and do not overlap. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device.h"
#include "build.h"

static const char *const kind_words[] = {"full", "causal", "inverse_causal", "band"};
/* LENGTH_MAX: what the axes seq and past come to at most; overlaps are looked for query by query. */
enum { KINDS = sizeof(kind_words) / sizeof(kind_words[0]), WORDS_MAX = 5, LINE_SIZE = 512, LENGTH_MAX = 1 << 25 };

struct reader {
    const char *path;
    int64_t line, queries, keys;
    int64_t *line_of; /* of each piece */
    int64_t *active, active_count, room;
    char *reason;
};

static bool refuse(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct reader *reader, const char *format, ...) {
    va_list arguments;
    char line[24] = "";
    if (reader->line > 0) snprintf(line, sizeof(line), ":%lld", (long long)reader->line);
    int length = snprintf(reader->reason, REASON_SIZE, "%.300s%s: ", reader->path, line);
    va_start(arguments, format);
    vsnprintf(reader->reason + length, (size_t)(REASON_SIZE - length), format, arguments);
    va_end(arguments);
    return false;
}

static int split(char *text, char **word) {
    int count = 0;
    text[strcspn(text, "#")] = '\0';
    for (char *next = strtok(text, " \t\r\n"); next; next = strtok(NULL, " \t\r\n")) {
        if (count < WORDS_MAX) word[count] = next;
        count++;
    }
    return count;
}

static bool number(struct reader *reader, const char *word, int64_t most, int64_t *value) {
    char *end;
    errno = 0;
    *value = strtoll(word, &end, 10);
    if (*end != '\0' || !isdigit((unsigned char)word[0]))
        return refuse(reader, "'%.40s' is not a whole number", word);
    if (errno == 0 && *value <= most) return true;
    return refuse(reader, "%.40s is out of bounds: at most %lld", word, (long long)most);
}

static bool read_lengths(struct reader *reader, char **word, int count) {
    if (count != 4 || strcmp(word[0], "queries") != 0 || strcmp(word[2], "keys") != 0)
        return refuse(reader, "expected 'queries NUMBER keys NUMBER' before the ranges");
    if (!number(reader, word[1], LENGTH_MAX, &reader->queries) || !number(reader, word[3], LENGTH_MAX, &reader->keys))
        return false;
    return (reader->queries > 0 && reader->keys > 0) || refuse(reader, "a mask has at least one query and one key");
}

static bool read_piece(struct reader *reader, char **word, int count, struct mask_piece *piece) {
    if (count < 4 || count > WORDS_MAX)
        return refuse(reader, "expected QUERY_BEGIN QUERY_END KEY_BEGIN KEY_END and a kind, found %d words", count);
    if (!number(reader, word[0], reader->queries, &piece->query_begin) ||
        !number(reader, word[1], reader->queries, &piece->query_end) ||
        !number(reader, word[2], reader->keys, &piece->key_begin) ||
        !number(reader, word[3], reader->keys, &piece->key_end))
        return false;
    if (piece->query_begin >= piece->query_end || piece->key_begin >= piece->key_end)
        return refuse(reader, "an empty range: its end must be above its begin");
    int kind = 0;
    while (count == WORDS_MAX && kind < KINDS && strcmp(word[4], kind_words[kind]) != 0) kind++;
    if (kind == KINDS)
        return refuse(reader, "'%.40s' is none of full, causal, inverse_causal, band", word[4]);
    piece->kind = (enum mask_kind)kind;
    return true;
}

static bool overlap(const struct mask_piece *a, const struct mask_piece *b) {
    int64_t begin = mask_most(a->query_begin, b->query_begin), end = mask_least(a->query_end, b->query_end);
    if (a->key_begin >= b->key_end || b->key_begin >= a->key_end) return false;
    for (int64_t query = begin; query < end; query++) {
        struct mask_range first = mask_piece_row(a, query), second = mask_piece_row(b, query);
        if (mask_most(first.begin, second.begin) < mask_least(first.end, second.end)) return true;
    }
    return false;
}

/* Against the piece before it for the order, against those that reach as far for overlaps. */
static bool place(struct reader *reader, const struct mask_pieces *pieces) {
    const struct mask_piece *piece = &pieces->piece[pieces->count - 1], *before = piece - 1;
    if (pieces->count > 1 &&
        (piece->query_begin < before->query_begin ||
         (piece->query_begin == before->query_begin && piece->key_begin < before->key_begin)))
        return refuse(reader, "unsorted: begins before the range of line %lld",
                      (long long)reader->line_of[pieces->count - 2]);
    int64_t kept = 0;
    for (int64_t i = 0; i < reader->active_count; i++) {
        int64_t other = reader->active[i];
        if (pieces->piece[other].query_end <= piece->query_begin) continue;
        reader->active[kept++] = other;
        if (overlap(&pieces->piece[other], piece))
            return refuse(reader, "overlaps the range of line %lld", (long long)reader->line_of[other]);
    }
    reader->active_count = kept;
    if (pieces->count > reader->room) return refuse(reader, "out of memory");
    reader->active[reader->active_count++] = pieces->count - 1;
    return true;
}

static bool make_room(struct reader *reader, int64_t count) {
    if (count < reader->room) return true;
    int64_t room = mask_most(64, 2 * reader->room);
    int64_t *line_of = realloc(reader->line_of, (size_t)room * sizeof(int64_t));
    if (line_of) reader->line_of = line_of;
    int64_t *active = realloc(reader->active, (size_t)room * sizeof(int64_t));
    if (active) reader->active = active;
    if (!line_of || !active) return refuse(reader, "out of memory");
    reader->room = room;
    return true;
}

static bool read_line(struct reader *reader, char *line, struct mask_pieces *pieces) {
    char *word[WORDS_MAX];
    int count = split(line, word);
    if (count == 0) return true;
    if (reader->queries == 0) return read_lengths(reader, word, count);
    struct mask_piece piece = {0};
    if (!read_piece(reader, word, count, &piece) || !make_room(reader, pieces->count)) return false;
    reader->line_of[pieces->count] = reader->line;
    mask_pieces_add(pieces, piece);
    if (pieces->failed) return refuse(reader, "out of memory");
    return place(reader, pieces);
}

static bool read_lines(struct reader *reader, FILE *file, struct mask_pieces *pieces) {
    char line[LINE_SIZE];
    for (;;) {
        memset(line, '\n', sizeof(line)); /* so that the length of what is read shows, whatever is in it */
        if (!fgets(line, sizeof(line), file)) break;
        reader->line++;
        size_t length = sizeof(line);
        while (line[--length] != '\0') continue;
        if (strlen(line) < length) return refuse(reader, "not a text: a byte of value 0");
        if (length == sizeof(line) - 1 && line[length - 1] != '\n' && !feof(file))
            return refuse(reader, "a line of more than %d characters", LINE_SIZE - 2);
        if (!read_line(reader, line, pieces)) return false;
    }
    if (ferror(file)) return refuse(reader, "%s", strerror(errno));
    if (reader->line == 0) return refuse(reader, "an empty file; expected 'queries NUMBER keys NUMBER' and ranges");
    return reader->queries > 0 || refuse(reader, "the file ends without 'queries NUMBER keys NUMBER'");
}

static bool read_file(struct reader *reader, struct mask_pieces *pieces) {
    FILE *file = fopen(reader->path, "r");
    if (!file) {
        snprintf(reader->reason, REASON_SIZE, "'%.300s': %s", reader->path, strerror(errno));
        return false;
    }
    bool right = read_lines(reader, file, pieces);
    fclose(file);
    free(reader->line_of), free(reader->active);
    return right;
}

bool mask_read(const struct mask_recipe *recipe, struct mask_pieces *pieces, char *reason) {
    struct reader reader = {.path = recipe->path ? recipe->path : "", .reason = reason};
    if (!recipe->path) {
        snprintf(reason, REASON_SIZE, "the mask file wants --mask-file");
        return false;
    }
    if (!read_file(&reader, pieces)) return false;
    if (reader.queries == recipe->queries && reader.keys == recipe->keys) return true;
    snprintf(reason, REASON_SIZE, "%.300s is of %lld queries and %lld keys", recipe->path, (long long)reader.queries,
             (long long)reader.keys);
    return false;
}

bool mask_file_check(const char *path, char *reason) {
    struct mask_pieces pieces = {0};
    struct reader reader = {.path = path, .reason = reason};
    bool right = read_file(&reader, &pieces);
    free(pieces.piece);
    return right;
}
