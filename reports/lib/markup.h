/* markup.h: what the page needs beyond bench/text.h's growing text. */
#ifndef REPORTS_MARKUP_H
#define REPORTS_MARKUP_H

#include "bench/text.h"

void text_bytes(struct text *text, const char *bytes, size_t length);
void text_string(struct text *text, const char *string);
void text_clear(struct text *text); /* keeps the memory; data is "" afterwards, never NULL */
/* Adds string with the five characters of HTML as entities; bytes that are no UTF-8, control characters (but tab and
   newline) and those that change the direction of writing become U+FFFD, so that the result is safe in text and in
   quoted attributes whatever string is. */
void text_html(struct text *text, const char *string);
/* The same for Markdown: characters that could begin markup get a backslash, line ends become spaces, so that the
   result is text in a paragraph or a cell of a table. */
void text_markdown(struct text *text, const char *string);
/* Between the quotes of JSON, of a label's value of Prometheus' text format, or in its HELP line. */
enum escape { ESCAPE_JSON, ESCAPE_PROMETHEUS, ESCAPE_PROMETHEUS_HELP };
void text_escaped(struct text *text, const char *string, enum escape escape);
void text_printable(struct text *text, const char *string); /* for a terminal: nothing that could steer it */
#endif
