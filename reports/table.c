/* table: the small things one does with tables of results: put files together, look at them, hand them on.

   merge  one CSV file from files and folders, whatever axes each has; the same case from several inputs becomes further
          launches, and where manifests name several hosts, the host becomes an axis.
   show   a table for people, with what is the same in all rows above it.
   export Prometheus' text format (for the textfile collector of a node exporter) or JSON lines.
   Every command takes conditions beside its inputs: program=gemm,stream status!=skipped size>=4096 reason~memory.
   Exit status: 0 done, 2 bad usage or input (one line on standard error that names file and line). */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/lib/markup.h"
#include "reports/lib/table_write.h"
#include "reports/lib/write_whole.h"

enum { EXIT_BAD_INPUT = 2 };

struct arguments {
    const char *command, *out, *format, *columns, *sorts;
    const char *words[INPUTS_MAX + CONDITIONS_MAX];
    size_t word_count, limit;
};

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "write to FILE (default: standard output)", 0},
    {"format", 'f', "FORMAT", 0, "export: prometheus or jsonl", 0},
    {"columns", 'c', "NAME,...", 0, "show: these columns (default: what differs, and the figures)", 0},
    {"sort", 's', "NAME,...", 0, "show: by these columns, -NAME downwards", 0},
    {"limit", 'n', "N", 0, "show: the first N rows", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    double number;
    switch (key) {
    case 'o': arguments->out = argument; return 0;
    case 'f': arguments->format = argument; return 0;
    case 'c': arguments->columns = argument; return 0;
    case 's': arguments->sorts = argument; return 0;
    case 'n':
        if (!number_parse(argument, &number) || !(number >= 1 && number <= 1e9))
            argp_error(state, "--limit: '%s' is not a number from 1 to 1e9", argument);
        arguments->limit = (size_t)number;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->command == NULL) arguments->command = argument;
        else if (arguments->word_count < ARRAY_LENGTH(arguments->words))
            arguments->words[arguments->word_count++] = argument;
        else argp_error(state, "too many words");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static bool known_name(const struct selection *selection, const char *name, struct problem *problem) {
    if (selection_has(selection, name)) return true;
    struct text valid = {0};
    const char *names[SELECTION_COLUMNS_MAX];
    size_t count = selection_columns(selection, names);
    for (size_t i = 0; i < count; i++) text_add(&valid, "%s%s", i ? ", " : "", names[i]);
    problem_set(problem, name, 0, "no such column; valid: %s", valid.data);
    text_release(&valid);
    return false;
}

/* Splits the lists of columns and sorts, which it changes. */
static bool read_view(const struct arguments *arguments, const struct selection *selection, struct pool *pool,
                      struct table_view *view, struct problem *problem) {
    *view = (struct table_view){.limit = arguments->limit};
    char *rest = NULL, *columns = pool_copy(pool, arguments->columns, strlen(arguments->columns));
    for (char *name = strtok_r(columns, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        if (!known_name(selection, name, problem)) return false;
        if (view->column_count == SELECTION_COLUMNS_MAX) return problem_set(problem, "--columns", 0, "too many");
        view->columns[view->column_count++] = name;
    }
    char *sorts = pool_copy(pool, arguments->sorts, strlen(arguments->sorts));
    for (char *name = strtok_r(sorts, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        bool down = name[0] == '-';
        if (!known_name(selection, name + down, problem)) return false;
        if (view->sort_count == SORTS_MAX) return problem_set(problem, "--sort", 0, "more than %d columns", SORTS_MAX);
        view->sorts[view->sort_count++] = (struct table_sort){name + down, down};
    }
    return true;
}

static bool work(const struct arguments *arguments, struct selection *selection, struct text *out,
                 struct problem *problem) {
    struct table_view view;
    for (size_t i = 0; i < arguments->word_count; i++)
        if (!selection_word(selection, arguments->words[i], problem)) return false;
    if (!selection_finish(selection, problem)) return false;
    if (strcmp(arguments->command, "merge") == 0) {
        table_merge(selection, out);
    } else if (strcmp(arguments->command, "show") == 0) {
        if (!read_view(arguments, selection, &selection->pool, &view, problem)) return false;
        table_show(selection, &view, out);
    } else if (strcmp(arguments->format, "jsonl") == 0) {
        table_json_lines(selection, out);
    } else {
        table_prometheus(selection, out);
    }
    return write_whole("table", arguments->out, out, problem);
}

/* The first word and the options that go with it; exits with a line where they do not fit. */
static void check_usage(const struct arguments *arguments) {
    static const char *const commands[] = {"merge", "show", "export"};
    const char *command = arguments->command != NULL ? arguments->command : "", *format = arguments->format;
    bool known = false, export = strcmp(command, "export") == 0;
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) known = known || strcmp(commands[i], command) == 0;
    if (!known) fprintf(stderr, "table: '%s' is no command; valid: merge, show, export\n", command);
    else if (export && format == NULL) fprintf(stderr, "table: export: --format is needed: prometheus or jsonl\n");
    else if (export && strcmp(format, "prometheus") != 0 && strcmp(format, "jsonl") != 0)
        fprintf(stderr, "table: --format: '%s' is none of prometheus, jsonl\n", format);
    else return;
    exit(EXIT_BAD_INPUT);
}

int main(int argc, char **argv) {
    static const struct argp argp = {options,
                                     parse,
                                     "merge INPUT... [CONDITION...]\nshow INPUT... [CONDITION...]\n"
                                     "export --format FORMAT INPUT... [CONDITION...]",
                                     "Merges, shows and exports tables of results; an input is a CSV file or a result "
                                     "folder.\vConditions: NAME=VALUE,... NAME!=VALUE,... NAME~PART NAME<NUMBER "
                                     "NAME<=NUMBER NAME>NUMBER NAME>=NUMBER; all of them hold.",
                                     NULL,
                                     NULL,
                                     NULL};
    static struct arguments arguments = {.out = "-", .columns = "", .sorts = ""};
    struct selection selection = {0};
    struct problem problem;
    struct text out = {0};
    argp_err_exit_status = EXIT_BAD_INPUT;
    signal(SIGPIPE, SIG_IGN);
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    check_usage(&arguments);
    bool good = work(&arguments, &selection, &out, &problem);
    if (!good) fprintf(stderr, "table: %s\n", problem.line);
    selection_release(&selection);
    text_release(&out);
    return good ? 0 : EXIT_BAD_INPUT;
}
