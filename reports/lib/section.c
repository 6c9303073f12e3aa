#include "section.h"

#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "number.h"

static const char *const first_keys[] = {"run", "variant", "dtype", "ranks"};
static const char *const last_keys[] = {"mode", "backend", "device"};

const char *section_key(const struct section *section, const struct row *row, const char *key) {
    return strcmp(key, "run") == 0 ? section->results[row->result].label : row_text(row, key);
}

int section_metric(const struct section *section, const char *metric) {
    for (size_t i = 0; i < section->metric_count; i++)
        if (strcmp(section->metrics[i], metric) == 0) return (int)i;
    return -1;
}

static void add_key(struct section *section, const char *key) {
    for (size_t i = 0; i < section->key_count; i++)
        if (strcmp(section->keys[i], key) == 0) return;
    if (section->key_count < SECTION_KEYS_MAX) section->keys[section->key_count++] = key;
}

static void find_keys(struct section *section) {
    const struct table *table = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(first_keys); i++) add_key(section, first_keys[i]);
    for (size_t i = 0; i < section->row_count; i++) {
        if (section->rows[i]->table == table) continue;
        table = section->rows[i]->table;
        for (size_t a = 0; a < table->axis_count && section->key_count < TABLE_AXES_MAX; a++)
            add_key(section, table->axis[a]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(last_keys); i++) add_key(section, last_keys[i]);
}

static void case_key(const struct section *section, const struct row *row, struct text *text) {
    text_clear(text);
    text_add(text, "%d\x1f", row->result);
    for (size_t i = 1; i < section->key_count; i++) { /* keys[0] is "run" */
        text_string(text, row_text(row, section->keys[i]));
        text_string(text, "\x1f");
    }
}

/* A measured row and where it belongs. */
struct placed {
    size_t place; /* case * SECTION_METRICS_MAX + metric */
    size_t order;
    const struct row *row;
};

static int compare_placed(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    if (x->row->value != y->row->value) return x->row->value < y->row->value ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int metric_add(struct section *section, const struct row *row) {
    int index = section_metric(section, row->field[COLUMN_metric]);
    if (index >= 0 || section->metric_count == SECTION_METRICS_MAX) return index;
    section->metrics[section->metric_count] = row->field[COLUMN_metric];
    section->metric_rows[section->metric_count] = row;
    return (int)section->metric_count++;
}

static size_t place_rows(struct section *section, struct placed *placed) {
    struct index index = {0};
    struct text key = {0};
    size_t count = 0;
    for (size_t i = 0; i < section->row_count; i++) {
        const struct row *row = section->rows[i];
        int metric = row_measured(row) ? metric_add(section, row) : -1;
        if (metric < 0) continue;
        case_key(section, row, &key);
        size_t place = index_add(&index, key.data, NULL) * SECTION_METRICS_MAX + (size_t)metric;
        placed[count] = (struct placed){place, count, row};
        count++;
    }
    section->case_count = index.count;
    index_release(&index);
    text_release(&key);
    return count;
}

static void find_cases(struct section *section) {
    struct placed *placed = array_zeroed(section->row_count, sizeof *placed);
    size_t count = place_rows(section, placed);
    section->cases = pool_allocate(&section->pool, (section->case_count + 1) * sizeof *section->cases);
    for (size_t i = 0; i < section->case_count; i++)
        section->cases[i].figures = pool_allocate(&section->pool,
                                                  (section->metric_count + 1) * sizeof *section->cases[i].figures);
    qsort(placed, count, sizeof *placed, compare_placed);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && placed[end].place == placed[i].place;) end++;
        struct case_line *line = &section->cases[placed[i].place / SECTION_METRICS_MAX];
        struct figure *figure = &line->figures[placed[i].place % SECTION_METRICS_MAX];
        figure->row = placed[(i + end - 1) / 2].row;
        figure->launches = (int)(end - i);
        double median = figure->row->value;
        figure->spread = median != 0 ? (placed[end - 1].row->value - placed[i].row->value) / median : 0;
        if (line->row == NULL) line->row = figure->row;
        double *largest = &section->metric_largest[placed[i].place % SECTION_METRICS_MAX];
        if (median > *largest) *largest = median;
    }
    free(placed);
}

static void find_columns(struct section *section) {
    static const char *const givens[] = {"run", "variant"};
    for (size_t i = 0; i < section->key_count; i++) {
        const char *key = section->keys[i];
        bool passing = false;
        for (size_t l = 0; l < ARRAY_LENGTH(last_keys); l++) passing = passing || strcmp(key, last_keys[l]) == 0;
        if (section_constant(section, key)) continue;
        if (passing && section_settles(section, givens, ARRAY_LENGTH(givens), key, -1)) continue;
        section->columns[section->column_count++] = key;
    }
    static const char *const place[] = {"run", "device"};
    section->names[section->name_count++] = "variant";
    for (size_t i = 0; i < section->column_count; i++) {
        const char *key = section->columns[i];
        bool told = strcmp(key, "run") == 0 || strcmp(key, "device") == 0 || strcmp(key, "variant") == 0;
        if (!told && !section_settles(section, place, ARRAY_LENGTH(place), key, -1))
            section->names[section->name_count++] = key;
    }
}

struct section *sections_build(const struct result *results, size_t result_count, size_t *count) {
    struct index index = {0};
    struct text key = {0};
    struct section *sections = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t r = 0; r < result_count; r++)
        for (size_t t = 0; t < results[r].table_count; t++)
            for (size_t i = 0; i < results[r].tables[t].row_count; i++) {
                const struct row *row = results[r].tables[t].rows[i];
                text_clear(&key);
                text_add(&key, "%s\x1f%s", row->field[COLUMN_suite], row->field[COLUMN_program]);
                int added;
                size_t number = index_add(&index, key.data, &added);
                if (added) {
                    sections = array_grow(sections, *count, &capacity, sizeof *sections);
                    sections[(*count)++] = (struct section){.suite = row->field[COLUMN_suite],
                                                            .program = row->field[COLUMN_program],
                                                            .results = results,
                                                            .result_count = result_count};
                }
                struct section *section = &sections[number];
                section->rows = array_grow(section->rows, section->row_count, &section->row_capacity,
                                           sizeof *section->rows);
                section->rows[section->row_count++] = row;
            }
    for (size_t i = 0; i < *count; i++) {
        find_keys(&sections[i]);
        find_cases(&sections[i]);
        find_columns(&sections[i]);
    }
    index_release(&index);
    text_release(&key);
    return sections;
}

void sections_release(struct section *sections, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(sections[i].rows);
        pool_release(&sections[i].pool);
    }
    free(sections);
}

bool section_settles(const struct section *section, const char *const *givens, size_t count, const char *key,
                     int metric) {
    struct index index = {0};
    struct text text = {0};
    const char **values = array_zeroed(section->case_count, sizeof *values);
    bool settles = true;
    for (size_t i = 0; i < section->case_count && settles; i++) {
        const struct row *row = section->cases[i].row;
        if (metric >= 0 && section->cases[i].figures[metric].row == NULL) continue;
        text_clear(&text);
        for (size_t g = 0; g < count; g++) {
            text_string(&text, section_key(section, row, givens[g]));
            text_string(&text, "\x1f");
        }
        int added;
        size_t number = index_add(&index, text.data, &added);
        const char *value = section_key(section, row, key);
        if (added) values[number] = value;
        settles = strcmp(values[number], value) == 0;
    }
    free(values);
    index_release(&index);
    text_release(&text);
    return settles;
}

bool section_constant(const struct section *section, const char *key) {
    return section_settles(section, NULL, 0, key, -1);
}

void section_label(const struct section *section, const struct row *row, const char *const *keys, size_t count,
                   struct text *text) {
    size_t start = text->length;
    text_string(text, "");
    for (size_t i = 0; i < count; i++) {
        const char *value = section_key(section, row, keys[i]);
        if (value[0] == 0) continue;
        if (text->length > start) text_string(text, " \xc2\xb7 ");
        bool unclear = strchr("+-.0123456789", value[0]) != NULL && !axis_is_bytes(keys[i]);
        for (const char *c = keys[i]; unclear && *c != 0; c++) text_bytes(text, *c == '_' ? " " : c, 1);
        if (unclear) text_string(text, " ");
        number_axis(text, keys[i], value);
    }
}
