/* report: what do the results in these folders say?

   Reads result folders and writes one self-contained HTML page: the machine, headline figures with their share of the
   physical limit, each program's plots and table, published figures beside the measured ones, and what was not measured
   and why. Several folders become lines of the same plots. Rows are input that is not trusted: nothing of them reaches
   the page unescaped, gnuplot and hwloc are started without a shell, and their drawings are filtered.
   A summary as Markdown stands beside it, and a PDF where one is asked for.
   Exit status: 0 written, 2 bad usage or input (one line on standard error that names file and line), 3 no program here
   prints HTML. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/lib/markup.h"
#include "reports/lib/page.h"
#include "reports/lib/pdf.h"
#include "reports/lib/write_whole.h"

enum { FOLDERS_MAX = 16, EXIT_BAD_INPUT = 2, EXIT_NOT_HERE = 3 };

struct arguments {
    const char *out, *published, *markdown, *pdf;
    const char *folders[FOLDERS_MAX];
    size_t folder_count;
};

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "write the page to FILE, - for standard output (default: FOLDER/report/index.html)", 0},
    {"markdown", 'm', "FILE", 0, "write the summary as Markdown (default: FOLDER/report/report.md, none with --out)",
     0},
    {"pdf", 'P', "FILE", 0, "print the page too, by a browser or another program that prints HTML", 0},
    {"published", 'p', "PATH,...", 0,
     "published figures: files, or folders with such files (default: those of the suites); empty for none", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case 'o': arguments->out = argument; return 0;
    case 'm': arguments->markdown = argument; return 0;
    case 'P': arguments->pdf = argument; return 0;
    case 'p': arguments->published = argument; return 0;
    case ARGP_KEY_ARG:
        if (arguments->folder_count == FOLDERS_MAX) argp_error(state, "more than %d folders", FOLDERS_MAX);
        arguments->folders[arguments->folder_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->folder_count == 0) argp_error(state, "no result folder given");
        if (arguments->folder_count > 1 && arguments->out == NULL)
            argp_error(state, "--out is needed with several folders");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void end(const struct problem *problem) {
    fprintf(stderr, "report: %s\n", problem->line);
    exit(EXIT_BAD_INPUT);
}

static void read_peers(const struct arguments *arguments, struct peers *peers, struct problem *problem) {
    if (arguments->published == NULL) {
        char executable[4096];
        ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
        executable[length > 0 ? length : 0] = 0;
        if (!peers_find(executable, peers, problem)) end(problem);
        return;
    }
    char *list = strdup(arguments->published), *rest = NULL;
    for (char *path = strtok_r(list, ",", &rest); path != NULL; path = strtok_r(NULL, ",", &rest))
        if (!peers_read(path, peers, problem)) end(problem);
    free(list);
}

static void put(const char *path, const struct text *content, struct problem *problem) {
    if (!write_whole("report", path, content, problem)) end(problem);
}

/* Without --out the page and the summary stand in the folder itself. */
static void deliver(const struct arguments *arguments, const struct text *html, const struct text *markdown,
                    struct problem *problem) {
    struct text path = {0};
    bool inside = arguments->out == NULL;
    if (inside) {
        text_add(&path, "%s/report", arguments->folders[0]);
        mkdir(path.data, 0777); /* if it cannot be made, writing says so */
        text_string(&path, "/index.html");
    }
    put(inside ? path.data : arguments->out, html, problem);
    text_clear(&path);
    text_add(&path, "%s/report/report.md", arguments->folders[0]);
    if (arguments->markdown != NULL) put(arguments->markdown, markdown, problem);
    else if (inside) put(path.data, markdown, problem);
    text_release(&path);
    if (arguments->pdf == NULL) return;
    struct text pdf = {0};
    enum pdf_outcome outcome = pdf_print(html, &pdf, problem);
    if (outcome != PDF_MADE) {
        fprintf(stderr, "report: %s\n", problem->line);
        exit(outcome == PDF_NO_PROGRAM ? EXIT_NOT_HERE : EXIT_BAD_INPUT);
    }
    put(arguments->pdf, &pdf, problem);
    text_release(&pdf);
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        options, parse, "FOLDER...", "Writes the results in the folders as one self-contained HTML page.",
        NULL,    NULL,  NULL};
    struct arguments arguments = {0};
    struct result results[FOLDERS_MAX];
    struct peers peers = {0};
    struct problem problem;
    struct text html = {0}, markdown = {0};
    argp_err_exit_status = EXIT_BAD_INPUT;
    signal(SIGPIPE, SIG_IGN);
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    read_peers(&arguments, &peers, &problem);
    for (size_t i = 0; i < arguments.folder_count; i++)
        if (!result_read(arguments.folders[i], (int)i, &results[i], &problem) ||
            !result_read_fits(&results[i], &problem))
            end(&problem);
    results_label(results, arguments.folder_count);
    page_write(results, arguments.folder_count, &peers, true, &html, &markdown);
    deliver(&arguments, &html, &markdown, &problem);
    for (size_t i = 0; i < arguments.folder_count; i++) result_release(&results[i]);
    peers_release(&peers);
    text_release(&html);
    text_release(&markdown);
    return 0;
}
