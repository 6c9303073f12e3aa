/* aliases.c: the flags that people know from nccl-tests, for programs that use ranks: each becomes the option or axis
   that says the same here. Where a program has no such axis (an operation in all_gather), the flag is accepted, because
   scripts give one set of flags to all programs, and a line says that it means nothing there. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { LIST_SIZE = 256 };

static const struct alias {
    char letter;
    const char *argument, *means, *help;
} table[] = {
    {'b', "BYTES", "bytes", "--bytes from here .."},
    {'e', "BYTES", "bytes", ".. to here .."},
    {'f', "FACTOR", "bytes", ".. by this factor (default 2) .."},
    {'i', "BYTES", "bytes", ".. or by steps of so many bytes"},
    {'n', "NUMBER", NULL, "--iterations"},
    {'w', "NUMBER", NULL, "--warm-up"},
    {'G', "NUMBER", NULL, "--cache hot, with a graph of about 1 ms however often theirs is launched; 0: no graph"},
    {'d', "LIST", "dtype", "--dtype; its names (float, half, bfloat16, f8e4m3 ..) or ours"},
    {'o', "LIST", "operation", "--operation"},
    {'r', "LIST", "root", "--root; -1: every rank"},
};

static const struct {
    const char *theirs, *ours;
} dtypes[] = {
    {"double", "fp64"},  {"float", "fp32"},      {"half", "fp16"},        {"bfloat16", "bf16"},
    {"f8e4m3", "fp8_e4m3"}, {"f8e5m2", "fp8_e5m2"}, {"fp8e4m3", "fp8_e4m3"}, {"fp8e5m2", "fp8_e5m2"},
    {"char", "int8"},    {"int", "int32"},
};

static const char *given[ARRAY_LENGTH(table)]; /* the word after each flag, NULL: not given */

const char *aliases_short_options(void) {
    static char letters[2 * ARRAY_LENGTH(table) + 1];
    if (!bench.ranks) return "";
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        letters[2 * i] = table[i].letter;
        letters[2 * i + 1] = ':';
    }
    return letters;
}

bool aliases_take(int letter, const char *word) {
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (table[i].letter == letter) {
            given[i] = word;
            return true;
        }
    return false;
}

static const char *word_of(char letter) {
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (table[i].letter == letter) return given[i];
    return NULL;
}

static int axis_index(const char *name) {
    for (int i = 0; bench.axes[i].name != NULL; i++)
        if (strcmp(bench.axes[i].name, name) == 0) return i;
    return -1;
}

static void set_axis(struct options *options, char letter, const char *name, const char *list) {
    static char lists[AXES_MAX][LIST_SIZE];
    char reason[REASON_SIZE];
    struct values values;
    int index = axis_index(name);
    if (index < 0) {
        if (speaks()) fprintf(stderr, "%s: -%c means nothing here: there is no axis %s\n", bench.name, letter, name);
        return;
    }
    if (strlen(list) >= LIST_SIZE) die(EXIT_USAGE, "-%c: '%.60s..' is too long", letter, list);
    if (options->axis_list[index] != NULL) die(EXIT_USAGE, "-%c: '%s' goes not with --%s", letter, list, name);
    if (!values_expand(&bench.axes[index], list, &values, reason)) die(EXIT_USAGE, "-%c: %s", letter, reason);
    free(values.value);
    snprintf(lists[index], sizeof lists[index], "%s", list);
    options->axis_list[index] = lists[index];
}

/* -b alone is that one size. */
static void sizes(struct options *options) {
    char list[LIST_SIZE];
    const char *begin = word_of('b'), *end = word_of('e'), *factor = word_of('f'),
               *step = word_of('i');
    if (begin == NULL && (end != NULL || factor != NULL || step != NULL))
        die(EXIT_USAGE, "-%c: '%s' needs -b, where sizes begin", end != NULL ? 'e' : factor != NULL ? 'f' : 'i',
            end != NULL ? end : factor != NULL ? factor : step);
    if (begin == NULL) return;
    if (factor != NULL && step != NULL) die(EXIT_USAGE, "-i: '%s' goes not with -f", step);
    if (step != NULL) snprintf(list, sizeof list, "%s:%s:+%s", begin, end != NULL ? end : begin, step);
    else if (end != NULL) snprintf(list, sizeof list, "%s:%s:%s", begin, end, factor != NULL ? factor : "2");
    else snprintf(list, sizeof list, "%s", begin);
    set_axis(options, 'b', "bytes", list);
}

static void number_formats(struct options *options, const char *words) {
    char list[LIST_SIZE] = "";
    size_t length = 0;
    for (const char *item = words; length < sizeof list; item++) {
        size_t size = strcspn(item, ",");
        const char *name = item;
        int name_length = (int)size;
        for (size_t i = 0; i < ARRAY_LENGTH(dtypes); i++)
            if (strlen(dtypes[i].theirs) == size && strncmp(item, dtypes[i].theirs, size) == 0) {
                name = dtypes[i].ours;
                name_length = (int)strlen(name);
            }
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%.*s", length > 0 ? "," : "", name_length,
                                   name);
        item += size;
        if (*item == '\0') break;
    }
    set_axis(options, 'd', "dtype", list);
}

void aliases_apply(struct options *options) {
    const char *root = word_of('r'), *operation = word_of('o'), *dtype = word_of('d');
    const char *graph = word_of('G');
    sizes(options);
    if (word_of('n') != NULL) option_set(options, "iterations", word_of('n'));
    if (word_of('w') != NULL) option_set(options, "warm-up", word_of('w'));
    if (graph != NULL && strcmp(graph, "0") != 0) {
        option_set(options, "graph-calls", graph); /* for its refusal of what is no number */
        options->graph_calls = 0;
        option_set(options, "cache", "hot");
    }
    if (dtype != NULL) number_formats(options, dtype);
    if (operation != NULL) set_axis(options, 'o', "operation", operation);
    if (root != NULL) set_axis(options, 'r', "root", strcmp(root, "-1") == 0 ? "0:max:+1" : root);
}

void aliases_help(FILE *out) {
    if (!bench.ranks) return;
    fprintf(out, "\nFlags of nccl-tests\n");
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        bool here = table[i].means == NULL || axis_index(table[i].means) >= 0;
        fprintf(out, "  -%c %-8s %s%s\n", table[i].letter, table[i].argument, table[i].help,
                here ? "" : " (means nothing here)");
    }
}
