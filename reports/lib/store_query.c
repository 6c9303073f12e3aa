/* store_query.c: what the SQLite file says when asked.
 * needs: sqlite3
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "index.h"
#include "markup.h"
#include "number.h"
#include "store_sql.h"

static const struct field {
    const char *name, *column;
    bool of_run; /* true: of the run, not of the measurement or figure */
} fields[] = {{"suite", "m.suite", false},     {"program", "m.program", false}, {"variant", "m.variant", false},
              {"backend", "m.backend", false}, {"dtype", "m.dtype", false},     {"ranks", "m.ranks", false},
              {"mode", "m.mode", false},       {"metric", "m.metric", false},   {"device", "f.device", false},
              {"host", "r.host", true},        {"driver", "r.driver", true},    {"hardware", "r.hardware", true},
              {"run", "r.number", true},       {"since", "r.created", true},    {"until", "r.created", true}};

static const struct field *field_of(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
    return NULL;
}

bool store_filters_check(struct store *store, const struct filter *filters, size_t count, struct problem *problem) {
    struct text axes = {0};
    struct index known = {0};
    sqlite3_stmt *statement = store_prepare(store, "SELECT name FROM axis ORDER BY name", problem);
    if (statement == NULL) return false;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        text_add(&axes, ", %s", name != NULL ? name : "");
        index_add(&known, name != NULL ? name : "", NULL);
    }
    sqlite3_finalize(statement);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        if (field_of(filters[i].name) != NULL || index_find(&known, filters[i].name) != INDEX_NONE) continue;
        struct text valid = {0};
        for (size_t f = 0; f < ARRAY_LENGTH(fields); f++) text_add(&valid, "%s%s", f ? ", " : "", fields[f].name);
        good = problem_set(problem, filters[i].name, 0, "no such column or axis; valid: %s%s", valid.data,
                           axes.data != NULL ? axes.data : "");
        text_release(&valid);
    }
    text_release(&axes);
    index_release(&known);
    return good;
}

/* One of the values between commas; *at moves behind it. */
static bool next_value(const char **at, const char **value, size_t *length) {
    if (*at == NULL) return false;
    *value = *at;
    *length = strcspn(*at, ",");
    *at = (*at)[*length] == ',' ? *at + *length + 1 : NULL;
    return true;
}

/* Conditions with a question mark for each value; only_run leaves out those of measurements. */
static void add_conditions(struct text *sql, const struct filter *filters, size_t count, bool only_run) {
    for (size_t i = 0; i < count; i++) {
        const struct field *field = field_of(filters[i].name);
        const char *at = filters[i].value, *value, *separator = "";
        size_t length;
        if (only_run && (field == NULL || !field->of_run)) continue;
        text_string(sql, " AND (");
        while (next_value(&at, &value, &length)) {
            if (field == NULL) text_add(sql, "%sinstr(m.axes,?)>0", separator);
            else if (strcmp(field->name, "since") == 0) text_add(sql, "%s%s>=?", separator, field->column);
            else if (strcmp(field->name, "until") == 0) text_add(sql, "%s%s<?||'~'", separator, field->column);
            else text_add(sql, "%sCAST(%s AS TEXT)=?", separator, field->column);
            separator = " OR ";
        }
        text_string(sql, ")");
    }
}

static void bind_conditions(sqlite3_stmt *statement, const struct filter *filters, size_t count, bool only_run,
                            int *place) {
    for (size_t i = 0; i < count; i++) {
        const struct field *field = field_of(filters[i].name);
        const char *at = filters[i].value, *value;
        size_t length;
        if (only_run && (field == NULL || !field->of_run)) continue;
        while (next_value(&at, &value, &length)) {
            struct text text = {0};
            if (field == NULL) text_add(&text, "\x1f%s=%.*s\x1f", filters[i].name, (int)length, value);
            else text_add(&text, "%.*s", (int)length, value);
            sqlite3_bind_text(statement, ++*place, text.data, -1, SQLITE_TRANSIENT);
            text_release(&text);
        }
    }
}

static const char *column_text(sqlite3_stmt *statement, int column, struct pool *pool) {
    const char *string = (const char *)sqlite3_column_text(statement, column);
    return string != NULL ? pool_copy(pool, string, strlen(string)) : "";
}

static bool of_measurements(const struct filter *filters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct field *field = field_of(filters[i].name);
        if (field == NULL || !field->of_run) return true;
    }
    return false;
}

bool store_runs(struct store *store, const struct filter *filters, size_t count, struct pool *pool,
                struct store_run **runs, size_t *run_count, struct problem *problem) {
    struct text sql = {0};
    size_t capacity = 0;
    int place = 0;
    *runs = NULL;
    *run_count = 0;
    bool measurements = of_measurements(filters, count);
    text_string(&sql,
                "SELECT number,host,created,hardware,accelerator,driver,commit_id,folder,rows FROM run r WHERE 1");
    add_conditions(&sql, filters, count, true);
    if (measurements) {
        text_string(&sql, " AND r.number IN (SELECT f.run FROM figure f JOIN measurement m ON m.number=f.measurement "
                          "JOIN run r ON r.number=f.run WHERE 1");
        add_conditions(&sql, filters, count, false);
        text_string(&sql, ")");
    }
    text_string(&sql, " ORDER BY created, number");
    sqlite3_stmt *statement = store_prepare(store, sql.data, problem);
    text_release(&sql);
    if (statement == NULL) return false;
    bind_conditions(statement, filters, count, true, &place);
    if (measurements) bind_conditions(statement, filters, count, false, &place);
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        *runs = array_grow(*runs, *run_count, &capacity, sizeof **runs);
        struct store_run *run = &(*runs)[(*run_count)++];
        *run = (struct store_run){.number = (long)sqlite3_column_int64(statement, 0),
                                  .host = column_text(statement, 1, pool),
                                  .created = column_text(statement, 2, pool),
                                  .hardware = column_text(statement, 3, pool),
                                  .accelerator = column_text(statement, 4, pool),
                                  .driver = column_text(statement, 5, pool),
                                  .commit = column_text(statement, 6, pool),
                                  .folder = column_text(statement, 7, pool),
                                  .rows = (long)sqlite3_column_int64(statement, 8)};
    }
    sqlite3_finalize(statement);
    return step == SQLITE_DONE || store_fails(store, problem);
}

/* "gemm, cublaslt, bf16, size 4096, shape square, hot": what stands in the statement from `first` on. */
static const char *label_of(sqlite3_stmt *statement, int first, struct pool *pool) {
    struct text text = {0};
    for (int column = 0; column < 6; column++) { /* program, variant, dtype, ranks, mode, axes */
        const char *value = (const char *)sqlite3_column_text(statement, first + column);
        if (value == NULL || value[0] == 0) continue;
        if (column == 5) {
            for (const char *at = value; *at != 0;) {
                at += *at == '\x1f';
                size_t name = strcspn(at, "=\x1f"), length = strcspn(at, "\x1f");
                if (length == 0) break;
                text_add(&text, " \xc2\xb7 %.*s ", (int)name, at);
                char *axis = strndup(at, name), *word = strndup(at + name + 1, length > name ? length - name - 1 : 0);
                number_axis(&text, axis, word);
                free(axis), free(word);
                at += length;
            }
        } else if (column == 3) {
            if (strcmp(value, "1") != 0) text_add(&text, " \xc2\xb7 ranks %s", value);
        } else {
            text_add(&text, "%s%s", text.length > 0 ? " \xc2\xb7 " : "", value);
        }
    }
    const char *label = pool_copy(pool, text.data != NULL ? text.data : "", text.length);
    text_release(&text);
    return label;
}

static size_t run_index(const struct histories *histories, long number) {
    size_t i = 0;
    while (i < histories->run_count && histories->runs[i].number != number) i++;
    return i;
}

/* The launches of one run and measurement, until another begins. */
struct gathering {
    double *values;
    size_t count, capacity;
    long measurement, run;
    const char *hardware;
};

static void gathered(struct gathering *gathering, struct history *history, size_t run, size_t *capacity) {
    if (gathering->count == 0) return;
    history->observations = array_grow(history->observations, history->count, capacity, sizeof *history->observations);
    history->observations[history->count++] = (struct observation){
        .run = run, .launches = (int)gathering->count, .value = median_of(gathering->values, gathering->count)};
    gathering->count = 0;
}

static bool read_histories(sqlite3_stmt *statement, struct histories *histories) {
    struct gathering gathering = {.measurement = -1, .run = -1, .hardware = ""};
    size_t capacity = 0, observations = 0;
    int step;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        long measurement = (long)sqlite3_column_int64(statement, 0), run = (long)sqlite3_column_int64(statement, 1);
        const char *hardware = (const char *)sqlite3_column_text(statement, 2);
        struct history *history = histories->count > 0 ? &histories->list[histories->count - 1] : NULL;
        bool other = measurement != gathering.measurement || strcmp(hardware ? hardware : "", gathering.hardware) != 0;
        if (other || run != gathering.run) {
            if (history != NULL) gathered(&gathering, history, run_index(histories, gathering.run), &observations);
            gathering.run = run;
        }
        if (other) {
            histories->list = array_grow(histories->list, histories->count, &capacity, sizeof *histories->list);
            history = &histories->list[histories->count++];
            *history = (struct history){.hardware = column_text(statement, 2, &histories->pool),
                                        .device = column_text(statement, 3, &histories->pool),
                                        .metric = column_text(statement, 5, &histories->pool),
                                        .unit = column_text(statement, 6, &histories->pool),
                                        .better = sqlite3_column_int(statement, 7),
                                        .program = column_text(statement, 8, &histories->pool),
                                        .variant = column_text(statement, 9, &histories->pool),
                                        .label = label_of(statement, 8, &histories->pool)};
            gathering.measurement = measurement;
            gathering.hardware = history->hardware;
            observations = 0;
        }
        gathering.values = array_grow(gathering.values, gathering.count, &gathering.capacity, sizeof *gathering.values);
        gathering.values[gathering.count++] = sqlite3_column_double(statement, 4);
    }
    if (histories->count > 0)
        gathered(&gathering, &histories->list[histories->count - 1], run_index(histories, gathering.run),
                 &observations);
    free(gathering.values);
    return step == SQLITE_DONE;
}

bool store_histories(struct store *store, const struct filter *filters, size_t count, struct histories *histories,
                     struct problem *problem) {
    struct text sql = {0};
    int place = 0;
    *histories = (struct histories){0};
    if (!store_runs(store, filters, count, &histories->pool, &histories->runs, &histories->run_count, problem))
        return false;
    text_string(&sql,
                "SELECT m.number,r.number,r.hardware,f.device,f.value,m.metric,m.unit,m.better,m.program,m.variant,"
                "m.dtype,m.ranks,m.mode,m.axes FROM figure f JOIN measurement m ON m.number=f.measurement "
                "JOIN run r ON r.number=f.run WHERE 1");
    add_conditions(&sql, filters, count, false);
    text_string(&sql, " ORDER BY m.suite,m.program,m.number,r.hardware,r.created,r.number,f.launch");
    sqlite3_stmt *statement = store_prepare(store, sql.data, problem);
    text_release(&sql);
    if (statement == NULL) return false;
    bind_conditions(statement, filters, count, false, &place);
    bool good = read_histories(statement, histories) || store_fails(store, problem);
    sqlite3_finalize(statement);
    return good;
}

void histories_release(struct histories *histories) {
    for (size_t i = 0; i < histories->count; i++) free(histories->list[i].observations);
    free(histories->list);
    free(histories->runs);
    pool_release(&histories->pool);
    *histories = (struct histories){0};
}
