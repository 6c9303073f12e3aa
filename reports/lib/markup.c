#include "markup.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct text *text, size_t more) {
    if (text->length + more + 1 <= text->size) return;
    text->size = 2 * (text->length + more + 1);
    text->data = realloc(text->data, text->size);
    if (text->data != NULL) return;
    fprintf(stderr, "out of memory (%zu bytes of text)\n", text->size);
    exit(2);
}

void text_bytes(struct text *text, const char *bytes, size_t length) {
    reserve(text, length);
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = 0;
}

void text_string(struct text *text, const char *string) { text_bytes(text, string, strlen(string)); }

void text_clear(struct text *text) {
    reserve(text, 0);
    text->length = 0;
    text->data[0] = 0;
}

/* Bytes of the UTF-8 sequence at s, 0 if it is none (overlong forms, surrogates and what XML forbids included). */
static size_t utf8_length(const unsigned char *s) {
    if (s[0] < 0x80) return s[0] >= 0x20 || s[0] == '\t' || s[0] == '\n' ? (s[0] == 0x7f ? 0 : 1) : 0;
    size_t length = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    uint32_t code = s[0] & (length == 2 ? 0x1fu : length == 3 ? 0x0fu : 0x07u);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    bool control = code >= 0x80 && code < 0xa0;
    bool bidirectional = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    if (control || bidirectional || (code >= 0xd800 && code <= 0xdfff) || (code & 0xfffe) == 0xfffe) return 0;
    if ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10ffff))) return 0;
    return length;
}

static const char *entity(char character) {
    switch (character) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void text_html(struct text *text, const char *string) {
    text_bytes(text, "", 0);
    for (const char *s = string; *s != 0;) {
        size_t length = utf8_length((const unsigned char *)s);
        if (length == 0) {
            text_string(text, "\xef\xbf\xbd");
            s++;
        } else if (length == 1 && entity(*s) != NULL) {
            text_string(text, entity(*s++));
        } else {
            text_bytes(text, s, length);
            s += length;
        }
    }
}

void text_markdown(struct text *text, const char *string) {
    text_bytes(text, "", 0);
    for (const char *s = string; *s != 0;) {
        size_t length = utf8_length((const unsigned char *)s);
        if (length == 0) {
            text_string(text, "\xef\xbf\xbd");
            s++;
        } else if (length == 1 && strchr("\t\n\r", *s) != NULL) {
            text_string(text, " ");
            s++;
        } else {
            if (length == 1 && strchr("\\`*_{}[]<>#|~&!@", *s) != NULL) text_string(text, "\\");
            text_bytes(text, s, length);
            s += length;
        }
    }
}

void text_escaped(struct text *text, const char *string, enum escape escape) {
    text_bytes(text, "", 0);
    for (const char *s = string; *s != 0;) {
        size_t length = utf8_length((const unsigned char *)s);
        if (*s == '\\' || (*s == '"' && escape != ESCAPE_PROMETHEUS_HELP)) text_add(text, "\\%c", *s++);
        else if (*s == '\n') text_string(text, "\\n"), s++;
        else if (*s == '\t' && escape == ESCAPE_JSON) text_string(text, "\\t"), s++;
        else if (length == 0) text_string(text, "\xef\xbf\xbd"), s++;
        else text_bytes(text, s, length), s += length;
    }
}

void text_printable(struct text *text, const char *string) {
    text_bytes(text, "", 0);
    for (const char *s = string; *s != 0;) {
        size_t length = utf8_length((const unsigned char *)s);
        bool control = length == 0 || *s == '\n' || *s == '\t';
        text_bytes(text, control ? "?" : s, control ? 1 : length);
        s += control ? 1 : length;
    }
}
