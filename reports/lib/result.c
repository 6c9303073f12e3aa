#include "result.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ends_with(const char *name, const char *ending) {
    size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcmp(name + length - tail, ending) == 0;
}

static int is_table(const struct dirent *entry) {
    const char *name = entry->d_name;
    return name[0] != '.' && ends_with(name, ".csv") && !ends_with(name, ".samples.csv") &&
           !ends_with(name, ".pieces.csv") && strcmp(name, "published.csv") != 0;
}

static bool tables_read(struct result *result, int number, struct problem *problem) {
    struct dirent **entries;
    int count = scandir(result->folder, &entries, is_table, alphasort);
    if (count < 0) return problem_set(problem, result->folder, 0, "%s", strerror(errno));
    result->tables = array_zeroed((size_t)count, sizeof *result->tables);
    bool good = true;
    for (int i = 0; i < count; i++) {
        if (good) {
            const char *path = pool_format(&result->pool, "%s/%s", result->folder, entries[i]->d_name);
            good = table_read(path, &result->tables[result->table_count++], problem);
        }
        free(entries[i]);
    }
    free(entries);
    for (size_t t = 0; t < result->table_count; t++)
        for (size_t r = 0; r < result->tables[t].row_count; r++) result->tables[t].rows[r]->result = number;
    return good;
}

bool result_read(const char *folder, int number, struct result *result, struct problem *problem) {
    *result = (struct result){0};
    result->folder = result->label = pool_copy(&result->pool, folder, strlen(folder));
    result->machine = MACHINE_UNKNOWN;
    const char *manifest = pool_format(&result->pool, "%s/manifest.json", folder);
    result->has_manifest = access(manifest, F_OK) == 0;
    if (result->has_manifest && !machine_read(manifest, &result->machine, &result->pool, problem)) return false;
    if (result->machine.host[0] != 0)
        result->label = pool_format(&result->pool, "%s, %.16s", result->machine.host, result->machine.created);
    return tables_read(result, number, problem);
}

int result_launches(const struct result *result) {
    int highest = 0;
    for (size_t t = 0; t < result->table_count; t++)
        for (size_t r = 0; r < result->tables[t].row_count; r++)
            if (result->tables[t].rows[r]->launch > highest) highest = result->tables[t].rows[r]->launch;
    return highest;
}

/* Rows know their table by its address, which changes. */
static void append_tables(struct result *result, struct result *part) {
    size_t count = result->table_count + part->table_count;
    struct table *tables = array_zeroed(count, sizeof *tables);
    int launches = result_launches(result);
    for (size_t t = 0; t < count; t++) {
        bool old = t < result->table_count;
        tables[t] = old ? result->tables[t] : part->tables[t - result->table_count];
        for (size_t r = 0; r < tables[t].row_count; r++) {
            tables[t].rows[r]->table = &tables[t];
            if (!old) tables[t].rows[r]->launch += launches;
        }
    }
    free(result->tables);
    result->tables = tables;
    result->table_count = count;
    part->table_count = 0;
}

bool result_add(const char *folder, int number, bool any_hardware, struct result *result, struct problem *problem) {
    struct result part;
    bool good = result_read(folder, number, &part, problem);
    if (good && !any_hardware && strcmp(part.machine.hardware, result->machine.hardware) != 0)
        good = problem_set(problem, folder, 0, "of other hardware: '%.120s', and %.150s is of '%.120s'",
                           part.machine.hardware, result->folder, result->machine.hardware);
    if (good) append_tables(result, &part);
    result_release(&part);
    return good;
}

bool result_read_fits(struct result *result, struct problem *problem) {
    return fit_pieces_read(pool_format(&result->pool, "%s/fit.pieces.csv", result->folder), &result->fits, problem);
}

void result_release(struct result *result) {
    for (size_t i = 0; i < result->table_count; i++) table_release(&result->tables[i]);
    free(result->tables);
    fit_pieces_release(&result->fits);
    pool_release(&result->pool);
    *result = (struct result){0};
}

size_t result_rows(const struct result *result) {
    size_t count = 0;
    for (size_t i = 0; i < result->table_count; i++) count += result->tables[i].row_count;
    return count;
}
