/* table_show.c: selected rows as a table for people. */
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "table_write.h"

enum { WIDTH_MAX = 60 };

static const char *const figures[] = {"metric", "value", "unit", "limit_share", "noise", "status"};

static bool is_figure(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(figures); i++)
        if (strcmp(figures[i], name) == 0) return true;
    return false;
}

/* Behind the metric stands what was measured; of that the default view has the figures above. */
static bool names_case(const char *name) {
    for (int column = 0; column < COLUMN_metric; column++)
        if (column_names[column] != NULL && strcmp(column_names[column], name) == 0) return true;
    for (int column = COLUMN_metric; column < COLUMN_COUNT; column++)
        if (strcmp(column_names[column], name) == 0) return false;
    return true;
}

static bool varies(const struct selection *selection, const char *name) {
    for (size_t i = 1; i < selection->row_count; i++)
        if (strcmp(selection_value(selection, selection->rows[i], name),
                   selection_value(selection, selection->rows[0], name)) != 0)
            return true;
    return false;
}

static bool anywhere(const struct selection *selection, const char *name) {
    for (size_t i = 0; i < selection->row_count; i++)
        if (selection_value(selection, selection->rows[i], name)[0] != 0) return true;
    return false;
}

/* The columns to show; what is the same in all rows goes above the table. */
static size_t choose(const struct selection *selection, const struct table_view *view, const char **columns,
                     struct text *out) {
    const char *all[SELECTION_COLUMNS_MAX], *separator = "";
    size_t all_count = selection_columns(selection, all), count = 0;
    if (view->column_count > 0) {
        memcpy(columns, view->columns, view->column_count * sizeof *columns);
        return view->column_count;
    }
    for (size_t i = 0; i < all_count; i++) {
        if (is_figure(all[i]) ? !anywhere(selection, all[i]) : !names_case(all[i])) continue;
        if (strcmp(all[i], "value") == 0 || varies(selection, all[i])) {
            columns[count++] = all[i];
        } else if (selection->row_count > 0 && anywhere(selection, all[i])) {
            text_string(out, separator);
            text_printable(out, all[i]);
            text_string(out, " ");
            text_printable(out, selection_value(selection, selection->rows[0], all[i]));
            separator = ", ";
        }
    }
    if (separator[0] != 0) text_string(out, "\n");
    return count;
}

static int compare_rows(const struct selection *selection, const struct table_view *view, const struct row *x,
                        const struct row *y) {
    for (size_t i = 0; i < view->sort_count; i++) {
        const char *p = selection_value(selection, x, view->sorts[i].name);
        const char *q = selection_value(selection, y, view->sorts[i].name);
        double m, n;
        bool numbers = number_parse(p, &m) && number_parse(q, &n);
        if (p[0] == 0 || q[0] == 0) { /* what is empty comes last, up or down */
            if ((p[0] == 0) != (q[0] == 0)) return p[0] == 0 ? 1 : -1;
            continue;
        }
        int order = numbers ? (m > n) - (m < n) : strcmp(p, q);
        if (order != 0) return view->sorts[i].down ? -order : order;
    }
    return 0;
}

/* Characters, not bytes, so that columns stand straight. */
static size_t width_of(const char *string) {
    size_t width = 0;
    for (const unsigned char *c = (const unsigned char *)string; *c != 0; c++) width += (*c & 0xc0) != 0x80;
    return width;
}

static void add_cell(struct text *out, const char *value, size_t width, bool right, bool last) {
    struct text text = {0};
    text_printable(&text, value);
    size_t own = width_of(text.data);
    for (size_t i = own; right && i < width; i++) text_string(out, " ");
    text_string(out, text.data);
    for (size_t i = own; !right && !last && i < width; i++) text_string(out, " ");
    while (last && out->length > 0 && out->data[out->length - 1] == ' ') out->length--; /* nothing dangles */
    text_string(out, last ? "\n" : "  ");
    text_release(&text);
}

static void print_rows(const struct selection *selection, const struct row *const *rows, size_t row_count,
                       const char *const *columns, size_t count, struct text *out) {
    size_t *widths = array_zeroed(count, sizeof *widths);
    bool *right = array_zeroed(count, sizeof *right);
    for (size_t c = 0; c < count; c++) {
        double number;
        widths[c] = width_of(columns[c]);
        right[c] = true;
        for (size_t r = 0; r < row_count; r++) {
            const char *value = selection_value(selection, rows[r], columns[c]);
            size_t width = width_of(value);
            if (width > widths[c]) widths[c] = width < WIDTH_MAX ? width : WIDTH_MAX;
            right[c] = right[c] && (value[0] == 0 || number_parse(value, &number));
        }
    }
    for (size_t c = 0; c < count; c++) add_cell(out, columns[c], widths[c], right[c], c + 1 == count);
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < widths[c]; i++) text_string(out, "-");
        text_string(out, c + 1 == count ? "\n" : "  ");
    }
    for (size_t r = 0; r < row_count; r++)
        for (size_t c = 0; c < count; c++)
            add_cell(out, selection_value(selection, rows[r], columns[c]), widths[c], right[c], c + 1 == count);
    free(widths);
    free(right);
}

/* By merging: rows that are equal stay as they came, which qsort does not promise. */
static void sort_rows(const struct selection *selection, const struct table_view *view, const struct row **rows) {
    for (size_t width = 1; width < selection->row_count; width *= 2) {
        const struct row **merged = array_zeroed(selection->row_count, sizeof *merged);
        for (size_t begin = 0; begin < selection->row_count; begin += 2 * width) {
            size_t i = begin, middle = begin + width < selection->row_count ? begin + width : selection->row_count;
            size_t j = middle, end = middle + width < selection->row_count ? middle + width : selection->row_count;
            for (size_t to = begin; to < end; to++) {
                bool left = j == end || (i < middle && compare_rows(selection, view, rows[i], rows[j]) <= 0);
                merged[to] = left ? rows[i++] : rows[j++];
            }
        }
        memcpy(rows, merged, selection->row_count * sizeof *rows);
        free(merged);
    }
}

void table_show(const struct selection *selection, const struct table_view *view, struct text *out) {
    const char *columns[SELECTION_COLUMNS_MAX];
    const struct row **rows = array_zeroed(selection->row_count, sizeof *rows);
    size_t shown = view->limit > 0 && view->limit < selection->row_count ? view->limit : selection->row_count;
    if (selection->row_count > 0) memcpy(rows, selection->rows, selection->row_count * sizeof *rows);
    if (view->sort_count > 0) sort_rows(selection, view, rows);
    size_t count = choose(selection, view, columns, out);
    print_rows(selection, rows, shown, columns, count, out);
    if (shown < selection->row_count) text_add(out, "%zu of %zu rows\n", shown, selection->row_count);
    else text_add(out, "%zu row%s\n", shown, shown == 1 ? "" : "s");
    free(rows);
}
