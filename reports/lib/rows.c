#include "rows.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "csv_read.h"
#include "markup.h"

const char *const column_names[COLUMN_COUNT] = {
#define COLUMN(identifier, meaning) [COLUMN_##identifier] = #identifier,
#include "bench/columns.def"
#undef COLUMN
};
const char *const row_status_names[ROW_STATUS_COUNT] = {
#define STATUS(identifier) [ROW_##identifier] = #identifier,
#include "bench/statuses.def"
#undef STATUS
};
static const struct metric_facts metrics[] = {
#define METRIC(identifier, unit, scale, form, better, meaning) {#identifier, unit, form, better, meaning},
#include "bench/metrics.def"
#undef METRIC
};
static const char *const better_names[] = {[HIGHER] = "higher", [LOWER] = "lower", [NEITHER] = "neither"};

static const enum column required[] = {COLUMN_program, COLUMN_variant, COLUMN_metric, COLUMN_value, COLUMN_status};
/* Behind value every column is a number but these; launch is one too, with a range of its own. */
static const enum column words[] = {COLUMN_unit, COLUMN_better, COLUMN_status, COLUMN_reason, COLUMN_limit_source};

const struct metric_facts *metric_facts(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(metrics); i++)
        if (strcmp(metrics[i].name, name) == 0) return &metrics[i];
    return NULL;
}

bool metric_is_bound(const char *name) { return strncmp(name, "bound_", strlen("bound_")) == 0; }

bool metric_is_fraction(const char *name) {
    return strcmp(name, "accuracy") == 0 || strcmp(name, "rate_at_clock") == 0 || metric_is_bound(name);
}

bool number_parse(const char *text, double *number) {
    static const char *const special[] = {"nan", "-nan", "inf", "-inf", "infinity", "-infinity"};
    bool word = false;
    for (size_t i = 0; i < ARRAY_LENGTH(special); i++) {
        const char *a = text, *b = special[i];
        while (*a != 0 && tolower((unsigned char)*a) == *b) a++, b++;
        word = word || (*a == 0 && *b == 0);
    }
    if (text[0] == 0 || (!word && text[strspn(text, "0123456789+-.eE")] != 0)) return false;
    char *end;
    *number = strtod(text, &end);
    return *end == 0;
}

/* Where a field of the file goes: a fixed column, an axis or nowhere. */
enum target_kind { TARGET_NONE, TARGET_COLUMN, TARGET_AXIS };
struct target {
    enum target_kind kind;
    size_t index;
};
struct table_reading {
    struct table *table;
    bool header_seen;
    struct target targets[FIELDS_MAX];
    const struct row *previous;
};

static enum column column_find(const char *name) {
    for (int column = 0; column < COLUMN_COUNT; column++)
        if (column_names[column] != NULL && strcmp(column_names[column], name) == 0) return (enum column)column;
    return COLUMN_COUNT;
}

/* Where the fields between the columns before and behind the axes begin and end; false: the known columns are not in
   the usual order. */
static bool axes_span(char *const *names, size_t count, size_t *begin, size_t *end) {
    enum column last = COLUMN_suite;
    *begin = 0;
    *end = count;
    for (size_t i = 0; i < count; i++) {
        enum column column = column_find(names[i]);
        if (column == COLUMN_COUNT) continue;
        if (column < last) return false;
        last = column;
        if (column < COLUMN_AXES) *begin = i + 1;
        else if (*end == count) *end = i;
    }
    return true;
}

static bool header_check(const struct table *table, size_t line, char *const *names, size_t count,
                         struct problem *problem) {
    for (size_t i = 0; i < ARRAY_LENGTH(required); i++)
        if (csv_find(names, count, column_names[required[i]]) == count)
            return problem_set(problem, table->path, line, "no column %s", column_names[required[i]]);
    return true;
}

static bool header_take(struct table_reading *reading, size_t line, char *const *names, size_t count,
                        struct problem *problem) {
    struct table *table = reading->table;
    size_t begin, end;
    bool ordered = axes_span(names, count, &begin, &end);
    if (!header_check(table, line, names, count, problem)) return false;
    for (size_t i = 0; i < count; i++) {
        enum column column = column_find(names[i]);
        if (column != COLUMN_COUNT) {
            reading->targets[i] = (struct target){TARGET_COLUMN, column};
        } else if (names[i][0] != 0 && (!ordered || (i >= begin && i < end))) {
            if (table->axis_count == TABLE_AXES_MAX)
                return problem_set(problem, table->path, line, "more than %d axes", TABLE_AXES_MAX);
            reading->targets[i] = (struct target){TARGET_AXIS, table->axis_count};
            table->axis[table->axis_count++] = pool_copy(&table->pool, names[i], strlen(names[i]));
        }
    }
    return true;
}

/* Neighbouring rows mostly hold the same words: one copy serves both. */
static const char *shared_copy(struct pool *pool, const char *text, const char *previous) {
    if (text[0] == 0) return "";
    if (previous != NULL && strcmp(previous, text) == 0) return previous;
    return pool_copy(pool, text, strlen(text));
}

static bool word_find(const char *word, const char *const *list, size_t count, int *index) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, list[i]) != 0) continue;
        *index = (int)i;
        return true;
    }
    return false;
}

static bool row_interpret(struct row *row, struct problem *problem) {
    const char *path = row->table->path;
    double number = 0;
    for (int column = COLUMN_value; column < COLUMN_COUNT; column++) {
        bool word = false;
        for (size_t i = 0; i < ARRAY_LENGTH(words); i++) word = word || (int)words[i] == column;
        const char *text = row->field[column];
        if (!word && text[0] != 0 && !number_parse(text, &number))
            return problem_set(problem, path, row->line, "%s: '%.60s' is not a number", column_names[column], text);
    }
    row->value = row_number(row, COLUMN_value);
    int index = 0;
    if (!word_find(row->field[COLUMN_status], row_status_names, ROW_STATUS_COUNT, &index))
        return problem_set(problem, path, row->line, "status: '%.60s' is none of ok, wrong, skipped, failed, timeout",
                           row->field[COLUMN_status]);
    row->status = (enum row_status)index;
    const struct metric_facts *facts = metric_facts(row->field[COLUMN_metric]);
    index = facts != NULL ? (int)facts->better : NEITHER;
    if (row->field[COLUMN_better][0] != 0 &&
        !word_find(row->field[COLUMN_better], better_names, ARRAY_LENGTH(better_names), &index))
        return problem_set(problem, path, row->line, "better: '%.60s' is none of higher, lower, neither",
                           row->field[COLUMN_better]);
    row->better = (enum better)index;
    if (row->field[COLUMN_unit][0] == 0 && facts != NULL) row->field[COLUMN_unit] = facts->unit;
    row->launch = 1;
    if (row->field[COLUMN_launch][0] != 0) {
        if (!number_parse(row->field[COLUMN_launch], &number) || !(number >= 1 && number <= 10000))
            return problem_set(problem, path, row->line, "launch: '%.60s' is not a number from 1 to 10000",
                               row->field[COLUMN_launch]);
        row->launch = (int)number;
    }
    return true;
}

static bool record_take(void *context, size_t line, char *const *fields, size_t count, struct problem *problem) {
    struct table_reading *reading = context;
    struct table *table = reading->table;
    if (!reading->header_seen) {
        reading->header_seen = true;
        return header_take(reading, line, fields, count, problem);
    }
    struct row *row = pool_allocate(&table->pool, sizeof *row);
    *row = (struct row){.table = table, .line = line};
    row->axis_value = pool_allocate(&table->pool, (table->axis_count + 1) * sizeof *row->axis_value);
    for (int column = 0; column < COLUMN_COUNT; column++) row->field[column] = "";
    for (size_t i = 0; i < count; i++) {
        struct target target = reading->targets[i];
        const struct row *previous = reading->previous;
        if (target.kind == TARGET_COLUMN)
            row->field[target.index] = shared_copy(&table->pool, fields[i],
                                                   previous ? previous->field[target.index] : NULL);
        else if (target.kind == TARGET_AXIS)
            row->axis_value[target.index] = shared_copy(&table->pool, fields[i],
                                                        previous ? previous->axis_value[target.index] : NULL);
    }
    table->rows = array_grow(table->rows, table->row_count, &table->row_capacity, sizeof *table->rows);
    table->rows[table->row_count++] = row;
    reading->previous = row;
    return row_interpret(row, problem);
}

bool table_read(const char *path, struct table *table, struct problem *problem) {
    *table = (struct table){0};
    table->path = pool_copy(&table->pool, path, strlen(path));
    struct table_reading reading = {.table = table};
    return csv_read(path, record_take, &reading, problem);
}

void table_release(struct table *table) {
    free(table->rows);
    pool_release(&table->pool);
    *table = (struct table){0};
}

const char *row_axis(const struct row *row, const char *name) {
    for (size_t i = 0; i < row->table->axis_count; i++)
        if (strcmp(row->table->axis[i], name) == 0) return row->axis_value[i];
    return "";
}

const char *row_text(const struct row *row, const char *name) {
    enum column column = column_find(name);
    return column != COLUMN_COUNT ? row->field[column] : row_axis(row, name);
}

double row_number(const struct row *row, enum column column) {
    double number;
    return number_parse(row->field[column], &number) ? number : NAN;
}

double row_limit_share(const struct row *row) {
    double share = row_number(row, COLUMN_limit_share), limit = row_number(row, COLUMN_limit);
    if (!isfinite(share) && limit > 0 && row->value > 0)
        share = row->better == LOWER ? limit / row->value : row->value / limit;
    return isfinite(share) && share >= 0 ? share : NAN;
}

bool row_interval(const struct row *row, double *low, double *high) {
    const struct metric_facts *facts = metric_facts(row->field[COLUMN_metric]);
    double time = row_number(row, COLUMN_time_us), fast = row_number(row, COLUMN_ci_low_us),
           slow = row_number(row, COLUMN_ci_high_us);
    if (facts == NULL || facts->form == PLAIN || !isfinite(row->value) || !(time > 0)) return false;
    if (!(fast > 0 && fast <= time && slow >= time) || !isfinite(slow)) return false;
    *low = facts->form == RATE ? row->value * time / slow : row->value * fast / time;
    *high = facts->form == RATE ? row->value * time / fast : row->value * slow / time;
    return true;
}

bool row_measured(const struct row *row) { return row->status == ROW_ok && isfinite(row->value); }

void row_key(const struct row *row, const char *const *axes, size_t axis_count, struct text *text) {
    static const enum column named[] = {COLUMN_suite, COLUMN_program, COLUMN_variant, COLUMN_backend,
                                        COLUMN_dtype, COLUMN_ranks,   COLUMN_mode};
    for (size_t i = 0; i < ARRAY_LENGTH(named); i++) {
        text_string(text, row->field[named[i]]);
        text_string(text, "\x1f");
    }
    for (size_t i = 0; i < axis_count; i++) {
        const char *value = row_axis(row, axes[i]);
        if (value[0] == 0) continue;
        text_string(text, axes[i]);
        text_string(text, "=");
        text_string(text, value);
        text_string(text, "\x1f");
    }
}
