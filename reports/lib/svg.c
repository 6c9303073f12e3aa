#include "svg.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "markup.h"

enum { DEPTH_MAX = 64, NAME_SIZE = 32, VALUE_SIZE = 65536 };

struct open_element {
    char name[NAME_SIZE];
    size_t before, after; /* length of the output before and after its tag */
};
struct filter {
    struct text *out;
    const char *prefix;
    enum svg_paint paint;
    int depth;
    struct open_element open[DEPTH_MAX];
};

static bool listed(const char *name, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0) return true;
    return false;
}

static bool element_allowed(const char *name) {
    static const char *const allowed[] = {"g",       "rect",     "text",    "path", "line", "circle",
                                          "ellipse", "polyline", "polygon", "use",  "defs", "tspan"};
    return listed(name, allowed, ARRAY_LENGTH(allowed));
}

static bool attribute_allowed(const char *name, enum svg_paint paint) {
    static const char *const allowed[] = {
        "x",  "y",  "width", "height", "cx",        "cy",      "r",           "rx",           "ry",
        "x1", "y1", "x2",    "y2",     "d",         "points",  "transform",   "stroke-width", "stroke-dasharray",
        "dx", "dy", "id",    "class",  "font-size", "opacity", "font-weight", "text-anchor",  "xlink:href"};
    static const char *const colors[] = {"fill", "stroke", "color"};
    return listed(name, allowed, ARRAY_LENGTH(allowed)) ||
           (paint == SVG_KEEP_COLORS && listed(name, colors, ARRAY_LENGTH(colors)));
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':' ||
           c == '_';
}

/* Reads a name; returns what follows. Names too long come out empty: no list has them. */
static const char *read_name(const char *at, char name[NAME_SIZE]) {
    size_t length = 0;
    while (is_name(at[length])) length++;
    snprintf(name, NAME_SIZE, "%.*s", length < NAME_SIZE ? (int)length : 0, at);
    return at + length;
}

/* rgb(0,0,N) and the few words gnuplot uses, as variables of the style sheet. */
static void add_color(struct text *out, const char *value) {
    static const char *const names[] = {[SVG_INK] = "ink", [SVG_GRID] = "grid", [SVG_LIMIT] = "limit"};
    int red, green, blue;
    if (strcmp(value, "black") == 0) text_string(out, "var(--ink)");
    else if (strcmp(value, "white") == 0) text_string(out, "var(--page)");
    else if (strcmp(value, "gray") == 0) text_string(out, "var(--grid)");
    else if (sscanf(value, "rgb(%d ,%d ,%d)", &red, &green, &blue) != 3) text_html(out, value);
    else if (red == 0 && green == 0 && blue >= SVG_INK && blue < SVG_SERIES) text_add(out, "var(--%s)", names[blue]);
    else if (red == 0 && green == 0 && blue >= SVG_SERIES && blue < SVG_SERIES + SERIES_COLORS)
        text_add(out, "var(--series-%d)", blue - SVG_SERIES + 1);
    else text_add(out, "rgb(%d,%d,%d)", red, green, blue);
}

static void add_attribute(struct filter *filter, const char *name, const char *value) {
    struct text *out = filter->out;
    bool link = strcmp(name, "xlink:href") == 0;
    if (!attribute_allowed(name, filter->paint) || (link && value[0] != '#')) return;
    if (filter->paint == SVG_DROP_COLORS && strcmp(name, "id") == 0) return; /* lstopo uses some twice, and none */
    text_add(out, " %s=\"", link ? "href" : name);
    if (link) text_add(out, "#%s", filter->prefix), text_html(out, value + 1);
    else if (strcmp(name, "id") == 0) text_add(out, "%s", filter->prefix), text_html(out, value);
    else if (strcmp(name, "fill") == 0 || strcmp(name, "stroke") == 0 || strcmp(name, "color") == 0)
        add_color(out, value);
    else text_html(out, value);
    text_string(out, "\"");
}

/* at: behind the element's name. Adds the allowed attributes; returns the '>' or the end of the drawing. */
static const char *attributes(struct filter *filter, const char *at, bool *closes) {
    char name[NAME_SIZE];
    *closes = false;
    while (*at != 0 && *at != '>') {
        if (!is_name(*at)) {
            *closes = *at++ == '/';
            continue;
        }
        *closes = false;
        at = read_name(at, name);
        at += strspn(at, " \t\r\n");
        if (*at != '=') continue;
        at++;
        at += strspn(at, " \t\r\n");
        const char *end = *at == '"' || *at == '\'' ? strchr(at + 1, *at) : NULL;
        if (end == NULL) return at + strlen(at);
        char value[VALUE_SIZE];
        if ((size_t)(end - at) < sizeof value) {
            snprintf(value, sizeof value, "%.*s", (int)(end - at - 1), at + 1);
            add_attribute(filter, name, value);
        }
        at = end + 1;
    }
    return at;
}

static void close_element(struct filter *filter, const char *name) {
    if (filter->depth == 0 || strcmp(filter->open[filter->depth - 1].name, name) != 0) return;
    const struct open_element *element = &filter->open[--filter->depth];
    if (filter->out->length == element->after && strcmp(name, "g") == 0) { /* gnuplot leaves many empty groups */
        filter->out->length = element->before;
        filter->out->data[element->before] = 0;
    } else {
        text_add(filter->out, "</%s>", name);
    }
}

static const char *open_element(struct filter *filter, const char *at, const char *name) {
    bool closes, kept = element_allowed(name) && filter->depth < DEPTH_MAX;
    size_t before = filter->out->length;
    text_add(filter->out, "<%s", name);
    at = attributes(filter, at, &closes);
    if (!kept) {
        filter->out->length = before;
        filter->out->data[before] = 0;
    } else if (closes) {
        text_string(filter->out, "/>");
    } else {
        text_string(filter->out, ">");
        struct open_element *element = &filter->open[filter->depth++];
        *element = (struct open_element){.before = before, .after = filter->out->length};
        snprintf(element->name, sizeof element->name, "%s", name);
    }
    return *at == '>' ? at + 1 : at;
}

/* Text between tags, where it is drawn; references are kept, anything else is made safe. */
static void add_content(struct filter *filter, const char *at, size_t length) {
    bool drawn = filter->depth > 0 && (strcmp(filter->open[filter->depth - 1].name, "text") == 0 ||
                                       strcmp(filter->open[filter->depth - 1].name, "tspan") == 0);
    if (!drawn) return;
    struct text piece = {0};
    for (size_t i = 0; i < length; i++) {
        static const char *const references[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
        size_t known = 0;
        for (size_t r = 0; r < ARRAY_LENGTH(references); r++)
            if (strncmp(at + i, references[r], strlen(references[r])) == 0) known = strlen(references[r]);
        if (known > 0) {
            text_html(filter->out, piece.data != NULL ? piece.data : "");
            text_clear(&piece);
            text_bytes(filter->out, at + i, known);
            i += known - 1;
        } else {
            text_bytes(&piece, at + i, 1);
        }
    }
    text_html(filter->out, piece.data != NULL ? piece.data : "");
    text_release(&piece);
}

/* Skips a whole element whose content must not show: at is behind its name. */
static const char *skip_element(const char *at, const char *name) {
    char ending[NAME_SIZE + 4];
    snprintf(ending, sizeof ending, "</%s>", name);
    const char *end = strstr(at, ending);
    return end != NULL ? end + strlen(ending) : at + strlen(at);
}

static void filter_body(struct filter *filter, const char *at) {
    static const char *const hidden[] = {"title", "desc", "script", "style"};
    char name[NAME_SIZE];
    while (*at != 0) {
        const char *tag = strchr(at, '<');
        add_content(filter, at, tag != NULL ? (size_t)(tag - at) : strlen(at));
        if (tag == NULL) return;
        if (strncmp(tag, "<!--", 4) == 0) {
            const char *end = strstr(tag, "-->");
            at = end != NULL ? end + 3 : tag + strlen(tag);
        } else if (tag[1] == '/') {
            at = read_name(tag + 2, name);
            close_element(filter, name);
            at += strcspn(at, ">");
            at += *at == '>';
        } else {
            at = read_name(tag + 1, name);
            at = listed(name, hidden, ARRAY_LENGTH(hidden)) ? skip_element(at, name) : open_element(filter, at, name);
        }
    }
}

/* The viewBox's four numbers; hwloc writes units into it. */
static bool view_box(const char *drawing, double box[4]) {
    const char *at = strstr(drawing, "<svg");
    const char *attribute = at != NULL ? strstr(at, "viewBox=") : NULL;
    if (attribute == NULL) return false;
    at = attribute + strlen("viewBox=") + 1;
    for (int i = 0; i < 4; i++) {
        char *end;
        box[i] = strtod(at, &end);
        if (end == at || !(box[i] >= -1e6 && box[i] <= 1e6)) return false;
        at = end + strspn(end, "px ,");
    }
    return box[2] > 0 && box[3] > 0;
}

int svg_inline(struct text *out, const char *drawing, const char *prefix, const char *class, const char *title,
               const char *description, enum svg_paint paint) {
    double box[4];
    if (!view_box(drawing, box)) return 0;
    const char *body = strchr(strstr(drawing, "<svg"), '>');
    if (body == NULL) return 0;
    text_add(out,
             "<svg class=\"%s\" viewBox=\"%g %g %g %g\" width=\"%g\" height=\"%g\" role=\"img\" "
             "aria-labelledby=\"%st %sd\"><title id=\"%st\">",
             class, box[0], box[1], box[2], box[3], box[2], box[3], prefix, prefix, prefix);
    text_html(out, title);
    text_add(out, "</title><desc id=\"%sd\">", prefix);
    text_html(out, description);
    text_string(out, "</desc>");
    struct filter filter = {.out = out, .prefix = prefix, .paint = paint};
    filter_body(&filter, body + 1);
    while (filter.depth > 0) close_element(&filter, filter.open[filter.depth - 1].name);
    text_string(out, "</svg>\n");
    return 1;
}
