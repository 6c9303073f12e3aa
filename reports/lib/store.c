/* store.c: the SQLite file: its tables, and runs put into it.
 * needs: sqlite3
 */
#include "store.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "markup.h"
#include "store_sql.h"

enum { BUSY_MILLISECONDS = 20000 };

/* application_id tells our files from others; user_version is the schema's. */
static const char schema[] =
    "PRAGMA application_id=" STORE_APPLICATION ";PRAGMA user_version=1;"
    "CREATE TABLE run(number INTEGER PRIMARY KEY, host TEXT NOT NULL, created TEXT NOT NULL, hardware TEXT NOT NULL,"
    " software TEXT NOT NULL, accelerator TEXT NOT NULL, driver TEXT NOT NULL, commit_id TEXT NOT NULL,"
    " folder TEXT NOT NULL, content TEXT NOT NULL, rows INTEGER NOT NULL, UNIQUE(host, created));"
    "CREATE TABLE measurement(number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, suite TEXT, program TEXT,"
    " variant TEXT, backend TEXT, dtype TEXT, ranks TEXT, mode TEXT, axes TEXT, metric TEXT, unit TEXT,"
    " better INTEGER);"
    "CREATE TABLE axis(name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE figure(run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,"
    " measurement INTEGER NOT NULL REFERENCES measurement(number), launch INTEGER NOT NULL, device TEXT NOT NULL,"
    " value REAL NOT NULL, PRIMARY KEY(measurement, run, device, launch)) WITHOUT ROWID;"
    "CREATE INDEX figure_run ON figure(run);";

bool store_fails(struct store *store, struct problem *problem) {
    return problem_set(problem, store->path, 0, "%s", sqlite3_errmsg(store->database));
}

static bool run_sql(struct store *store, const char *sql, struct problem *problem) {
    return sqlite3_exec(store->database, sql, NULL, NULL, NULL) == SQLITE_OK || store_fails(store, problem);
}

sqlite3_stmt *store_prepare(struct store *store, const char *sql, struct problem *problem) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) != SQLITE_OK) store_fails(store, problem);
    return statement;
}

static long pragma(struct store *store, const char *sql) {
    sqlite3_stmt *statement = NULL;
    long value = -1;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = (long)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

/* Under the lock, as another job may be making the same file. */
static bool make_tables(struct store *store, struct problem *problem) {
    if (!run_sql(store, "BEGIN IMMEDIATE", problem)) return false;
    bool empty = pragma(store, "SELECT count(*) FROM sqlite_master") == 0 &&
                 pragma(store, "PRAGMA application_id") == 0;
    bool good = !empty || run_sql(store, schema, problem);
    return run_sql(store, "COMMIT", problem) && good;
}

static bool check_kind(struct store *store, enum store_mode mode, struct problem *problem) {
    if (mode == STORE_CREATE && !make_tables(store, problem)) return false;
    long application = pragma(store, "PRAGMA application_id"), version = pragma(store, "PRAGMA user_version");
    if (application < 0 || version < 0) return store_fails(store, problem);
    if (application != strtol(STORE_APPLICATION, NULL, 10))
        return problem_set(problem, store->path, 0, "not a history (history import makes one)");
    if (version > STORE_SCHEMA)
        return problem_set(problem, store->path, 0, "schema %ld is newer than %d, the newest this program knows",
                           version, STORE_SCHEMA);
    return true;
}

bool store_open(const char *path, enum store_mode mode, struct store **opened, struct problem *problem) {
    *opened = NULL;
    if (mode == STORE_READ && access(path, R_OK) != 0) return problem_set(problem, path, 0, "%s", strerror(errno));
    struct store *store = array_zeroed(1, sizeof *store);
    store->path = strdup(path);
    int flags = mode == STORE_CREATE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
    bool good = sqlite3_open_v2(path, &store->database, flags, NULL) == SQLITE_OK || store_fails(store, problem);
    if (good) sqlite3_busy_timeout(store->database, BUSY_MILLISECONDS); /* several jobs of a cluster may end at once */
    good = good && run_sql(store, "PRAGMA foreign_keys=ON", problem) && check_kind(store, mode, problem);
    if (good) *opened = store;
    else store_close(store);
    return good;
}

void store_close(struct store *store) {
    if (store == NULL) return;
    sqlite3_close(store->database);
    free(store->path);
    free(store);
}

static const char *fact_of(const struct machine *machine, const char *label) {
    for (int i = 0; i < machine->fact_count; i++)
        if (strcmp(machine->facts[i].label, label) == 0) return machine->facts[i].value;
    return "";
}

/* FNV-1a over what is kept of the rows: the same run again, or more of it? */
static void content_of(const struct result *result, struct text *text, long *rows) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    *rows = 0;
    for (size_t t = 0; t < result->table_count; t++)
        for (size_t i = 0; i < result->tables[t].row_count; i++) {
            const struct row *row = result->tables[t].rows[i];
            if (!row_measured(row)) continue;
            const char *fields[] = {row->field[COLUMN_program], row->field[COLUMN_variant], row->field[COLUMN_metric],
                                    row->field[COLUMN_value], row->field[COLUMN_launch]};
            for (size_t f = 0; f < ARRAY_LENGTH(fields); f++)
                for (const unsigned char *c = (const unsigned char *)fields[f];; c++) {
                    hash = (hash ^ *c) * UINT64_C(0x100000001b3);
                    if (*c == 0) break;
                }
            ++*rows;
        }
    text_add(text, "%016llx", (unsigned long long)hash);
}

static void bind(sqlite3_stmt *statement, int place, const char *string) {
    sqlite3_bind_text(statement, place, string, -1, SQLITE_TRANSIENT);
}

/* The number of what a statement looks up or inserts; -1 with problem. */
static long number_by(struct store *store, sqlite3_stmt *statement, struct problem *problem) {
    int step = sqlite3_step(statement);
    long number = step == SQLITE_ROW ? (long)sqlite3_column_int64(statement, 0) : -1;
    if (step == SQLITE_DONE) number = (long)sqlite3_last_insert_rowid(store->database);
    if (number < 0) store_fails(store, problem);
    sqlite3_reset(statement);
    return number;
}

static bool axes_insert(struct store *store, sqlite3_stmt *insert, const struct table *table, struct problem *problem) {
    bool good = true;
    for (size_t a = 0; a < table->axis_count && good; a++) {
        bind(insert, 1, table->axis[a]);
        good = sqlite3_step(insert) == SQLITE_DONE || store_fails(store, problem);
        sqlite3_reset(insert);
    }
    return good;
}

struct import {
    sqlite3_stmt *find, *insert, *figure, *axis;
};

/* The measurement's number, made if it is new. */
static long measurement_of(struct store *store, struct import *import, const struct row *row, struct problem *problem) {
    static const enum column columns[] = {COLUMN_suite, COLUMN_program, COLUMN_variant, COLUMN_backend,
                                          COLUMN_dtype, COLUMN_ranks,   COLUMN_mode};
    struct text key = {0}, axes = {0};
    text_string(&axes, "\x1f");
    for (size_t a = 0; a < row->table->axis_count; a++)
        if (row->axis_value[a][0] != 0) text_add(&axes, "%s=%s\x1f", row->table->axis[a], row->axis_value[a]);
    row_key(row, row->table->axis, row->table->axis_count, &key);
    text_add(&key, "%s", row->field[COLUMN_metric]);
    bind(import->find, 1, key.data);
    int step = sqlite3_step(import->find);
    long number = step == SQLITE_ROW ? (long)sqlite3_column_int64(import->find, 0) : -1;
    sqlite3_reset(import->find);
    if (step == SQLITE_DONE) {
        bind(import->insert, 1, key.data);
        for (size_t i = 0; i < ARRAY_LENGTH(columns); i++) bind(import->insert, (int)i + 2, row->field[columns[i]]);
        bind(import->insert, 9, axes.data);
        bind(import->insert, 10, row->field[COLUMN_metric]);
        bind(import->insert, 11, row->field[COLUMN_unit]);
        sqlite3_bind_int(import->insert, 12, row->better);
        number = number_by(store, import->insert, problem);
    } else if (number < 0) {
        store_fails(store, problem);
    }
    text_release(&key);
    text_release(&axes);
    return number;
}

static bool figures_insert(struct store *store, struct import *import, const struct result *result, long run,
                           struct problem *problem) {
    for (size_t t = 0; t < result->table_count; t++) {
        if (!axes_insert(store, import->axis, &result->tables[t], problem)) return false;
        for (size_t i = 0; i < result->tables[t].row_count; i++) {
            const struct row *row = result->tables[t].rows[i];
            if (!row_measured(row)) continue;
            long measurement = measurement_of(store, import, row, problem);
            if (measurement < 0) return false;
            sqlite3_bind_int64(import->figure, 1, run);
            sqlite3_bind_int64(import->figure, 2, measurement);
            sqlite3_bind_int(import->figure, 3, row->launch);
            bind(import->figure, 4, row->field[COLUMN_device]);
            sqlite3_bind_double(import->figure, 5, row->value);
            int step = sqlite3_step(import->figure);
            sqlite3_reset(import->figure);
            if (step == SQLITE_CONSTRAINT)
                return problem_set(problem, row->table->path, row->line, "this case stands in the file twice");
            if (step != SQLITE_DONE) return store_fails(store, problem);
        }
    }
    return true;
}

static bool run_insert(struct store *store, const struct result *result, const char *content, long rows, long *run,
                       struct problem *problem) {
    sqlite3_stmt *insert = store_prepare(store,
                                         "INSERT INTO run(host,created,hardware,software,accelerator,driver,commit_id,"
                                         "folder,content,rows) VALUES(?,?,?,?,?,?,?,?,?,?)",
                                         problem);
    if (insert == NULL) return false;
    const struct machine *machine = &result->machine;
    const char *fields[] = {machine->host,
                            machine->created,
                            machine->hardware,
                            machine->software,
                            machine->accelerator,
                            machine->driver,
                            fact_of(machine, "Commit"),
                            result->folder,
                            content};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) bind(insert, (int)i + 1, fields[i]);
    sqlite3_bind_int64(insert, 10, rows);
    *run = number_by(store, insert, problem);
    sqlite3_finalize(insert);
    return *run >= 0;
}

/* Is the run there, and with the same rows? An older state of it is taken out. */
static bool look_up(struct store *store, const struct result *result, const char *content, enum store_outcome *outcome,
                    struct problem *problem) {
    sqlite3_stmt *find = store_prepare(store, "SELECT number, content FROM run WHERE host=? AND created=?", problem);
    if (find == NULL) return false;
    bind(find, 1, result->machine.host);
    bind(find, 2, result->machine.created);
    *outcome = STORE_ADDED;
    long number = -1;
    if (sqlite3_step(find) == SQLITE_ROW) {
        number = (long)sqlite3_column_int64(find, 0);
        const char *known = (const char *)sqlite3_column_text(find, 1);
        *outcome = known != NULL && strcmp(known, content) == 0 ? STORE_KNOWN : STORE_REPLACED;
    }
    sqlite3_finalize(find);
    return *outcome != STORE_REPLACED || store_forget(store, number, problem);
}

static bool import_rows(struct store *store, const struct result *result, const char *content, long rows,
                        struct problem *problem) {
    struct import import = {
        .find = store_prepare(store, "SELECT number FROM measurement WHERE key=?", problem),
        .insert = store_prepare(
            store,
            "INSERT INTO measurement(key,suite,program,variant,backend,dtype,ranks,mode,axes,metric,"
            "unit,better) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
            problem),
        .figure = store_prepare(store, "INSERT INTO figure(run,measurement,launch,device,value) VALUES(?,?,?,?,?)",
                                problem),
        .axis = store_prepare(store, "INSERT OR IGNORE INTO axis(name) VALUES(?)", problem)};
    long run = -1;
    bool good = import.find != NULL && import.insert != NULL && import.figure != NULL && import.axis != NULL &&
                run_insert(store, result, content, rows, &run, problem) &&
                figures_insert(store, &import, result, run, problem);
    sqlite3_finalize(import.find), sqlite3_finalize(import.insert);
    sqlite3_finalize(import.figure), sqlite3_finalize(import.axis);
    return good;
}

bool store_import(struct store *store, const struct result *result, enum store_outcome *outcome,
                  struct problem *problem) {
    struct text content = {0};
    long rows;
    if (result->machine.created[0] == 0)
        return problem_set(problem, result->folder, 0, "no manifest.json that says when it was measured");
    content_of(result, &content, &rows);
    bool good = run_sql(store, "BEGIN IMMEDIATE", problem);
    if (good) {
        good = look_up(store, result, content.data, outcome, problem) &&
               (*outcome == STORE_KNOWN || import_rows(store, result, content.data, rows, problem));
        struct problem ignored;
        if (good) good = run_sql(store, "COMMIT", problem);
        else run_sql(store, "ROLLBACK", &ignored);
    }
    text_release(&content);
    return good;
}

bool store_forget(struct store *store, long run, struct problem *problem) {
    sqlite3_stmt *delete = store_prepare(store, "DELETE FROM run WHERE number=?", problem);
    if (delete == NULL) return false;
    sqlite3_bind_int64(delete, 1, run);
    bool good = sqlite3_step(delete) == SQLITE_DONE || store_fails(store, problem);
    sqlite3_finalize(delete);
    if (good && sqlite3_changes(store->database) == 0) good = problem_set(problem, store->path, 0, "no run %ld", run);
    return good;
}
