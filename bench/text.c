#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct text *text, size_t more) {
    if (text->length + more + 1 <= text->size) return;
    text->size = 2 * (text->length + more + 1);
    text->data = realloc(text->data, text->size);
    if (text->data == NULL) abort();
}

void text_add(struct text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(text, (size_t)length);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    va_end(again);
    text->length += (size_t)length;
}

void text_field(struct text *text, const char *value) {
    if (strpbrk(value, ",\"\r\n") == NULL) {
        text_add(text, "%s", value);
        return;
    }
    text_add(text, "\"");
    for (const char *c = value; *c != '\0'; c++) text_add(text, *c == '"' ? "\"\"" : "%c", *c);
    text_add(text, "\"");
}

void text_release(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}
