#include "selection.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "markup.h"

/* Longer signs first, so that `<=` is not taken for `<`. */
static const struct sign {
    const char *text;
    enum relation relation;
    bool numeric;
} signs[] = {{"!=", UNEQUAL, false}, {"<=", AT_MOST, true}, {">=", AT_LEAST, true}, {"=", EQUAL, false},
             {"~", CONTAINS, false}, {"<", LESS, true},     {">", MORE, true}};

static bool add_condition(struct selection *selection, const char *word, struct problem *problem) {
    size_t name = strcspn(word, "!=<>~");
    const struct sign *sign = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(signs) && sign == NULL; i++)
        if (strncmp(word + name, signs[i].text, strlen(signs[i].text)) == 0) sign = &signs[i];
    if (name == 0 || sign == NULL)
        return problem_set(problem, word, 0,
                           "neither a file, nor a folder, nor a condition such as program=gemm or size>=4096");
    if (selection->condition_count == CONDITIONS_MAX)
        return problem_set(problem, word, 0, "more than %d conditions", CONDITIONS_MAX);
    struct condition condition = {.relation = sign->relation, .value = word + name + strlen(sign->text)};
    condition.name = pool_copy(&selection->pool, word, name);
    if (sign->numeric && !number_parse(condition.value, &condition.number))
        return problem_set(problem, word, 0, "'%.60s' is not a number", condition.value);
    selection->conditions[selection->condition_count++] = condition;
    return true;
}

/* A single file, as a result of its own. */
static bool read_file(const char *path, int number, struct result *result, struct problem *problem) {
    *result = (struct result){.machine = MACHINE_UNKNOWN};
    result->folder = result->label = pool_copy(&result->pool, path, strlen(path));
    result->tables = array_zeroed(1, sizeof *result->tables);
    result->table_count = 1;
    bool good = table_read(path, result->tables, problem);
    for (size_t i = 0; i < result->tables[0].row_count; i++) result->tables[0].rows[i]->result = number;
    return good;
}

bool selection_word(struct selection *selection, const char *word, struct problem *problem) {
    struct stat status;
    if (stat(word, &status) != 0) {
        int reason = errno;
        if (strpbrk(word, "=<>~") == NULL) return problem_set(problem, word, 0, "%s", strerror(reason));
        return add_condition(selection, word, problem);
    }
    if (selection->folder_count == INPUTS_MAX) return problem_set(problem, word, 0, "more than %d inputs", INPUTS_MAX);
    selection->folders = array_grow(selection->folders, selection->folder_count, &selection->folder_capacity,
                                    sizeof *selection->folders);
    int number = (int)selection->folder_count;
    struct result *result = &selection->folders[selection->folder_count++];
    return S_ISDIR(status.st_mode) ? result_read(word, number, result, problem)
                                   : read_file(word, number, result, problem);
}

const char *selection_value(const struct selection *selection, const struct row *row, const char *name) {
    const char *value = row_text(row, name);
    return value[0] == 0 && strcmp(name, "host") == 0 ? selection->folders[row->result].machine.host : value;
}

static bool is_column(const char *name) {
    for (int column = 0; column < COLUMN_COUNT; column++)
        if (column_names[column] != NULL && strcmp(column_names[column], name) == 0) return true;
    return false;
}

bool selection_has(const struct selection *selection, const char *name) {
    bool known = is_column(name) || strcmp(name, "host") == 0;
    for (size_t i = 0; i < selection->axis_count; i++) known = known || strcmp(selection->axes[i], name) == 0;
    return known;
}

/* Is the value among the words between commas? */
static bool listed(const char *list, const char *value) {
    size_t length = strlen(value);
    for (const char *at = list;; at++) {
        size_t word = strcspn(at, ",");
        if (word == length && memcmp(at, value, length) == 0) return true;
        at += word;
        if (*at == 0) return false;
    }
}

static bool meets(const struct selection *selection, const struct row *row, const struct condition *condition) {
    const char *value = selection_value(selection, row, condition->name);
    double number;
    switch (condition->relation) {
    case EQUAL: return listed(condition->value, value);
    case UNEQUAL: return !listed(condition->value, value);
    case CONTAINS: return strstr(value, condition->value) != NULL;
    default: break;
    }
    if (!number_parse(value, &number)) return false;
    switch (condition->relation) {
    case LESS: return number < condition->number;
    case AT_MOST: return number <= condition->number;
    case MORE: return number > condition->number;
    default: return number >= condition->number;
    }
}

static bool collect_axes(struct selection *selection, struct problem *problem) {
    for (size_t f = 0; f < selection->folder_count; f++)
        for (size_t t = 0; t < selection->folders[f].table_count; t++) {
            const struct table *table = &selection->folders[f].tables[t];
            for (size_t a = 0; a < table->axis_count; a++) {
                bool known = false;
                for (size_t i = 0; i < selection->axis_count; i++)
                    known = known || strcmp(selection->axes[i], table->axis[a]) == 0;
                if (known) continue;
                if (selection->axis_count + COLUMN_COUNT + 1 >= SELECTION_COLUMNS_MAX)
                    return problem_set(problem, table->path, 1, "too many axes in all files together");
                selection->axes[selection->axis_count++] = table->axis[a];
            }
        }
    return true;
}

static bool check_names(const struct selection *selection, struct problem *problem) {
    for (size_t i = 0; i < selection->condition_count; i++) {
        const char *name = selection->conditions[i].name;
        if (selection_has(selection, name)) continue;
        struct text valid = {0};
        for (size_t a = 0; a < selection->axis_count; a++) text_add(&valid, ", %s", selection->axes[a]);
        for (int column = 0; column < COLUMN_COUNT; column++)
            if (column_names[column] != NULL) text_add(&valid, ", %s", column_names[column]);
        problem_set(problem, name, 0, "no such column; valid: host%s", valid.data);
        text_release(&valid);
        return false;
    }
    return true;
}

bool selection_finish(struct selection *selection, struct problem *problem) {
    if (selection->folder_count == 0) return problem_set(problem, "input", 0, "no file or folder given");
    if (!collect_axes(selection, problem) || !check_names(selection, problem)) return false;
    for (size_t f = 0; f < selection->folder_count; f++) {
        const struct result *result = &selection->folders[f];
        if (strcmp(result->machine.host, selection->folders[0].machine.host) != 0) selection->hosts_differ = true;
        for (size_t t = 0; t < result->table_count; t++)
            for (size_t i = 0; i < result->tables[t].row_count; i++) {
                const struct row *row = result->tables[t].rows[i];
                bool wanted = true;
                for (size_t c = 0; c < selection->condition_count && wanted; c++)
                    wanted = meets(selection, row, &selection->conditions[c]);
                if (!wanted) continue;
                selection->rows = array_grow(selection->rows, selection->row_count, &selection->row_capacity,
                                             sizeof *selection->rows);
                selection->rows[selection->row_count++] = row;
            }
    }
    return true;
}

size_t selection_columns(const struct selection *selection, const char *names[SELECTION_COLUMNS_MAX]) {
    size_t count = 0;
    bool host_axis = false;
    for (size_t a = 0; a < selection->axis_count; a++) host_axis = host_axis || strcmp(selection->axes[a], "host") == 0;
    for (int column = 0; column < COLUMN_COUNT; column++) {
        if (column_names[column] != NULL) {
            names[count++] = column_names[column];
            continue;
        }
        if (selection->hosts_differ && !host_axis) names[count++] = "host";
        for (size_t a = 0; a < selection->axis_count; a++) names[count++] = selection->axes[a];
    }
    return count;
}

void selection_release(struct selection *selection) {
    for (size_t i = 0; i < selection->folder_count; i++) result_release(&selection->folders[i]);
    free(selection->folders);
    free(selection->rows);
    pool_release(&selection->pool);
    *selection = (struct selection){0};
}
