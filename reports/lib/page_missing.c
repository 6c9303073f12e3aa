/* page_missing.c: what failed its check, and what was not measured and why. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "page.h"

enum { WRONG_SHOWN = 20, GROUPS_SHOWN = 60, VARIANTS_SHOWN = 6 };

static void case_name(struct page *page, const struct section *section, const struct row *row) {
    const char *keys[SECTION_KEYS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < section->key_count; i++)
        if (strcmp(section->keys[i], "run") != 0 || page->result_count > 1) keys[count++] = section->keys[i];
    struct text label = {0};
    section_label(section, row, keys, count, &label);
    page_text(page, row->field[COLUMN_program]);
    page_markup(page, ": ");
    page_text(page, label.data);
    text_release(&label);
}

void page_wrong(struct page *page) {
    size_t count = 0;
    for (size_t c = 0; c < page->chapter_count; c++)
        for (size_t i = 0; i < page->chapters[c].section->row_count; i++) {
            const struct row *row = page->chapters[c].section->rows[i];
            if (row->status != ROW_wrong || ++count > WRONG_SHOWN) continue;
            if (count == 1)
                page_markup(page, "<section class=\"alarm\" role=\"alert\">\n<h2>Wrong results</h2>\n<p>These failed "
                                  "their check; their figures are not on this page.</p>\n<ul>\n");
            page_markup(page, "<li>");
            case_name(page, page->chapters[c].section, row);
            text_add(page->out, ": error %.3g, allowed %.3g", row_number(row, COLUMN_error),
                     row_number(row, COLUMN_tolerance));
            if (row->field[COLUMN_reason][0] != 0) page_markup(page, "; "), page_text(page, row->field[COLUMN_reason]);
            page_markup(page, "</li>\n");
        }
    if (count > WRONG_SHOWN) text_add(page->out, "<li>and %zu more</li>\n", count - WRONG_SHOWN);
    if (count > 0) page_markup(page, "</ul>\n</section>\n");
}

/* Rows with the same fate: program, status, and a reason that is the same but for its numbers. */
struct group {
    const struct row *row;
    size_t count, variant_count;
    const char *variants[VARIANTS_SHOWN];
    bool more_variants;
};

/* A row that says ok and has no finite value is no figure either. */
static const char *reason_of(const struct row *row) {
    if (row->status != ROW_ok) return row->field[COLUMN_reason][0] != 0 ? row->field[COLUMN_reason] : "no reason given";
    return row->field[COLUMN_value][0] != 0 ? "the value is not a finite number" : "there is no value";
}

static void group_key(const struct row *row, struct text *key) {
    text_clear(key);
    text_add(key, "%s\x1f%d\x1f", row->field[COLUMN_program], row->status);
    for (const char *c = reason_of(row); *c != 0; c++) {
        if (!isdigit((unsigned char)*c)) text_bytes(key, c, 1);
        else if (key->data[key->length - 1] != '#') text_string(key, "#");
    }
}

static void group_add(struct group *group, const struct row *row) {
    const char *variant = row->field[COLUMN_variant];
    if (group->row == NULL) group->row = row;
    group->count++;
    for (size_t i = 0; i < group->variant_count; i++)
        if (strcmp(group->variants[i], variant) == 0) return;
    if (group->variant_count < VARIANTS_SHOWN) group->variants[group->variant_count++] = variant;
    else group->more_variants = true;
}

static void group_line(struct page *page, const struct group *group) {
    page_markup(page, "<tr><th scope=\"row\">");
    page_text(page, group->row->field[COLUMN_program]);
    page_markup(page, "</th><td class=\"word\">");
    page_text(page, row_status_names[group->row->status]);
    text_add(page->out, "</td><td>%zu</td><td class=\"note\">", group->count);
    page_text(page, reason_of(group->row));
    page_markup(page, "</td><td class=\"note\">");
    for (size_t i = 0; i < group->variant_count; i++) {
        if (i > 0) page_markup(page, ", ");
        page_text(page, group->variants[i]);
    }
    page_markup(page, group->more_variants ? ", \xe2\x80\xa6</td></tr>\n" : "</td></tr>\n");
}

static size_t groups_collect(const struct page *page, struct group **groups) {
    struct index index = {0};
    struct text key = {0};
    size_t capacity = 0;
    for (size_t c = 0; c < page->chapter_count; c++)
        for (size_t i = 0; i < page->chapters[c].section->row_count; i++) {
            const struct row *row = page->chapters[c].section->rows[i];
            int added;
            if (row_measured(row) || row->status == ROW_wrong) continue;
            group_key(row, &key);
            size_t number = index_add(&index, key.data, &added);
            if (added) {
                *groups = array_grow(*groups, number, &capacity, sizeof **groups);
                (*groups)[number] = (struct group){0};
            }
            group_add(&(*groups)[number], row);
        }
    size_t count = index.count;
    index_release(&index);
    text_release(&key);
    return count;
}

static void not_run(struct page *page) {
    bool first = true;
    for (size_t i = 0; i < plot_spec_count; i++) {
        const char *program = plot_specs[i].program;
        bool known = i > 0 && strcmp(plot_specs[i - 1].program, program) == 0;
        for (size_t c = 0; c < page->chapter_count; c++)
            known = known || strcmp(page->chapters[c].section->program, program) == 0;
        if (known) continue;
        page_markup(page, first ? "<p>These programs left no rows, so they were not run: " : ", ");
        page_text(page, program);
        first = false;
    }
    if (!first) page_markup(page, ".</p>\n");
}

void page_not_measured(struct page *page) {
    struct group *groups = NULL;
    size_t count = groups_collect(page, &groups);
    page_markup(page, "<section id=\"missing\">\n<h2>What was not measured, and why</h2>\n");
    not_run(page);
    if (count == 0) page_markup(page, "<p>Every case that was asked for was measured.</p>\n");
    else
        page_markup(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Not measured\">\n<table>\n"
                          "<caption>Cases by program and reason; reasons that differ only in their numbers stand "
                          "together.</caption>\n<thead><tr><th scope=\"col\">program</th><th scope=\"col\">status</th>"
                          "<th scope=\"col\" class=\"number\">cases</th><th scope=\"col\">reason</th>"
                          "<th scope=\"col\">variants</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count && i < GROUPS_SHOWN; i++) group_line(page, &groups[i]);
    if (count > 0) page_markup(page, "</tbody>\n</table>\n</div>\n");
    if (count > GROUPS_SHOWN) text_add(page->out, "<p>And %zu more reasons.</p>\n", count - GROUPS_SHOWN);
    page_markup(page, "</section>\n");
    free(groups);
}
