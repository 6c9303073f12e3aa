/* html.h: a check of the pages' markup, for the tests. */
#ifndef REPORTS_TESTS_HTML_H
#define REPORTS_TESTS_HTML_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

/* Does every element that opens close, in order, and does nothing else look like one? NULL, or where it does not. */
static inline const char *html_unbalanced(const char *page) {
    enum { DEPTH = 64, NAME = 24 };
    static const char *const empty[] = {"meta", "br", "!DOCTYPE"};
    char open[DEPTH][NAME];
    int depth = 0;
    for (const char *at = strchr(page, '<'); at != NULL; at = strchr(at + 1, '<')) {
        char name[NAME];
        bool closing = at[1] == '/';
        size_t length = strspn(at + 1 + closing, "!abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
        const char *end = strchr(at, '>');
        if (length == 0 || length >= NAME || end == NULL || memchr(at + 1, '<', (size_t)(end - at - 1)) != NULL)
            return at;
        snprintf(name, sizeof name, "%.*s", (int)length, at + 1 + closing);
        bool none = end[-1] == '/';
        for (size_t i = 0; i < ARRAY_LENGTH(empty); i++) none = none || strcmp(empty[i], name) == 0;
        if (none) continue;
        if (!closing && strcmp(name, "script") == 0 && (at = strstr(at, "</script>")) == NULL) return "a script's end";
        if (!closing && strcmp(name, "script") == 0) continue; /* of the script nothing is markup */
        if (closing && (depth == 0 || strcmp(open[--depth], name) != 0)) return at;
        if (!closing && depth == DEPTH) return at;
        if (!closing) memcpy(open[depth++], name, sizeof name);
    }
    return depth == 0 ? NULL : "an element stays open";
}
#endif
