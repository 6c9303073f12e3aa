/* mutate.h: damage to files, from a seed. */
#ifndef REPORTS_TESTS_MUTATE_H
#define REPORTS_TESTS_MUTATE_H

#include <string.h>

#include "bench/bench.h"
#include "bench/random.h"
#include "reports/lib/markup.h"

static const char *const mutate_tokens[] = {"\"",
                                            "\"\"",
                                            ",",
                                            "\r\n",
                                            "\n",
                                            "nan",
                                            "-inf",
                                            "1e999",
                                            "-0",
                                            "",
                                            "ok",
                                            "lower",
                                            "<b>",
                                            "&",
                                            "\xff\xfe",
                                            "\xe2\x80\xae",
                                            "{",
                                            "]",
                                            ":",
                                            "\\u0000",
                                            "999999999999999999999",
                                            "k",
                                            "bandwidth",
                                            "bytes",
                                            "=",
                                            ";",
                                            "\x1f",
                                            "\x7f",
                                            "'",
                                            "0.0000000000000000000001"};

struct random {
    uint64_t seed, count;
};

static inline size_t below(struct random *random, size_t end) {
    return (size_t)(random_uniform(random->seed, 0, random->count++) * (double)end);
}

/* Replaces `removed` bytes at `at` by others. */
static inline void splice(struct text *text, size_t at, size_t removed, const char *bytes, size_t length) {
    struct text result = {0};
    text_bytes(&result, text->data, at);
    text_bytes(&result, bytes, length);
    text_bytes(&result, text->data + at + removed, text->length - at - removed);
    text_release(text);
    *text = result;
}

/* Where the line or field that holds `at` begins and ends; separators: what parts them. */
static inline void around(const struct text *text, size_t at, const char *separators, size_t *begin, size_t *end) {
    for (*begin = at; *begin > 0 && strchr(separators, text->data[*begin - 1]) == NULL;) --*begin;
    for (*end = at; *end < text->length && (text->data[*end] == 0 || strchr(separators, text->data[*end]) == NULL);)
        ++*end;
}

/* Whole fields and lines: taken out, doubled, moved elsewhere. */
static inline void mutate_part(struct text *text, struct random *random) {
    size_t begin, end, at = below(random, text->length + 1);
    around(text, at, below(random, 2) ? "\n" : ",\n;:", &begin, &end);
    end += end < text->length;
    char *part = strndup(text->data + begin, end - begin);
    size_t length = strlen(part), kind = below(random, 3);
    if (kind != 1) splice(text, begin, end - begin, "", 0);
    if (kind == 1) splice(text, begin, 0, part, length);
    if (kind == 2) {
        around(text, below(random, text->length + 1), ",\n", &begin, &end);
        splice(text, begin, 0, part, length);
    }
    free(part);
}

/* One byte or token over and over. */
static inline void mutate_flood(struct text *text, struct random *random) {
    static const char *const floods[] = {",", "[", "{\"a\":", "\"\"", "9", "\n", "x", "a=b;"};
    const char *flood = floods[below(random, ARRAY_LENGTH(floods))];
    size_t at = below(random, text->length + 1), count = (size_t)1 << below(random, 13);
    struct text many = {0};
    text_clear(&many);
    for (size_t i = 0; i < count; i++) text_string(&many, flood);
    splice(text, at, 0, many.data, many.length);
    text_release(&many);
}

static inline void mutate(struct text *text, struct random *random) {
    size_t at = below(random, text->length + 1), rest = text->length - at;
    size_t span = below(random, rest < 40 ? rest + 1 : 40);
    const char *token = mutate_tokens[below(random, ARRAY_LENGTH(mutate_tokens))];
    char byte = (char)below(random, 256), piece[64];
    memcpy(piece, text->data + at, span);
    switch (below(random, 9)) {
    case 0: splice(text, at, rest > 0, &byte, 1); break;
    case 1: splice(text, at, span, "", 0); break;
    case 2: splice(text, at, 0, token, strlen(token)); break;
    case 3: splice(text, at, span, token, strlen(token)); break;
    case 4: splice(text, below(random, text->length + 1), 0, piece, span); break;
    case 5:
    case 6: mutate_part(text, random); break;
    case 7:
        if (below(random, 40) == 0) mutate_flood(text, random);
        break;
    default:
        if (below(random, 8) == 0) splice(text, at, rest, "", 0);
    }
}
#endif
