#include "match.h"

#include <stdlib.h>
#include <string.h>

#include "markup.h"

static bool same_program(const struct table *a, const struct table *b) {
    return a->row_count > 0 && b->row_count > 0 &&
           strcmp(a->rows[0]->field[COLUMN_program], b->rows[0]->field[COLUMN_program]) == 0;
}

/* Has a result a file of the table's program that lacks the axis, and none that has it? */
static bool lacks_axis(const struct result *result, const struct table *table, const char *axis) {
    bool program = false, has = false;
    for (size_t t = 0; t < result->table_count; t++) {
        if (!same_program(&result->tables[t], table)) continue;
        program = true;
        for (size_t a = 0; a < result->tables[t].axis_count; a++)
            has = has || strcmp(result->tables[t].axis[a], axis) == 0;
    }
    return program && !has;
}

static bool has_one_value(const struct table *table, size_t axis) {
    for (size_t i = 1; i < table->row_count; i++)
        if (strcmp(table->rows[i]->axis_value[axis], table->rows[0]->axis_value[axis]) != 0) return false;
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void choose_axes(const struct result results[SIDES], int side, struct match *match) {
    static const char *const names[SIDES] = {"baseline", "new run"};
    match->axes[side] = array_zeroed(results[side].table_count, sizeof *match->axes[side]);
    for (size_t t = 0; t < results[side].table_count; t++) {
        const struct table *table = &results[side].tables[t];
        struct key_axes *axes = &match->axes[side][t];
        for (size_t a = 0; a < table->axis_count; a++) {
            bool lacking = lacks_axis(&results[!side], table, table->axis[a]);
            if (!lacking || !has_one_value(table, a)) axes->axis[axes->count++] = table->axis[a];
            bool told = false; /* of another folder's file of the program */
            for (size_t earlier = 0; earlier < t; earlier++)
                told = told || same_program(&results[side].tables[earlier], table);
            if (lacking && !told)
                text_add(&match->notes, "%s: only the %s has the axis %s\n", table->rows[0]->field[COLUMN_program],
                         names[side], table->axis[a]);
        }
        qsort(axes->axis, axes->count, sizeof *axes->axis, compare_names);
    }
}

static void key_of(const struct match *match, const struct row *row, const char *metric, struct text *key) {
    const struct key_axes *axes = &match->axes[row->result][row->table - match->results[row->result].tables];
    text_clear(key);
    row_key(row, axes->axis, axes->count, key);
    text_string(key, metric);
}

static bool add_row(const struct row *row, int side, const char *key, struct match *match, struct problem *problem) {
    int added;
    size_t number = index_add(&match->index, key, &added);
    if (added) {
        match->pairs = array_grow(match->pairs, number, &match->capacity, sizeof *match->pairs);
        match->pairs[number] = (struct pair){0};
        match->count = number + 1;
    }
    struct pair *pair = &match->pairs[number];
    for (size_t i = 0; i < pair->count[side]; i++)
        if (pair->rows[side][i]->launch == row->launch)
            return problem_set(problem, row->table->path, row->line, "the same case and launch as line %zu%s%.200s",
                               pair->rows[side][i]->line, pair->rows[side][i]->table == row->table ? "" : " of ",
                               pair->rows[side][i]->table == row->table ? "" : pair->rows[side][i]->table->path);
    pair->rows[side] = array_grow(pair->rows[side], pair->count[side], &pair->capacity[side], sizeof *pair->rows[side]);
    pair->rows[side][pair->count[side]++] = row;
    return true;
}

bool match_build(const struct result results[SIDES], struct match *match, struct problem *problem) {
    struct text key = {0};
    bool good = true;
    *match = (struct match){.results = results};
    text_clear(&match->notes);
    for (int side = 0; side < SIDES; side++) choose_axes(results, side, match);
    for (int side = 0; side < SIDES && good; side++)
        for (size_t t = 0; t < results[side].table_count && good; t++) {
            const struct table *table = &results[side].tables[t];
            for (size_t i = 0; i < table->row_count && good; i++) {
                key_of(match, table->rows[i], table->rows[i]->field[COLUMN_metric], &key);
                good = add_row(table->rows[i], side, key.data, match, problem);
            }
        }
    text_release(&key);
    return good;
}

const struct row *pair_row(const struct pair *pair) {
    return pair->count[BASELINE] > 0 ? pair->rows[BASELINE][0] : pair->rows[NEW_RUN][0];
}

void match_key(const struct match *match, const struct pair *pair, struct text *key) {
    key_of(match, pair_row(pair), pair_row(pair)->field[COLUMN_metric], key);
}

const struct pair *match_sibling(const struct match *match, const struct pair *pair, const char *metric) {
    struct text key = {0};
    key_of(match, pair_row(pair), metric, &key);
    long number = index_find(&match->index, key.data);
    text_release(&key);
    return number == INDEX_NONE ? NULL : &match->pairs[number];
}

void match_release(struct match *match) {
    for (size_t i = 0; i < match->count; i++)
        for (int side = 0; side < SIDES; side++) free(match->pairs[i].rows[side]);
    for (int side = 0; side < SIDES; side++) free(match->axes[side]);
    free(match->pairs);
    index_release(&match->index);
    text_release(&match->notes);
    *match = (struct match){0};
}
