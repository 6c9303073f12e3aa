/* compare: is the new run slower than the baseline?

   Reads two result folders, matches their rows by everything that names a case, and judges each by the noise that both
   sides measured (reports/lib/verdict.h says how). The table goes to standard error, as all that people read;
   --markdown writes it to a file as well.
   Exit status: 0 pass, 1 a case is slower, worse, wrong, failed or missing, 2 bad usage or input (one line that names
   file and line), 3 there is no baseline, or it is of other hardware. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reports/lib/markup.h"
#include "reports/lib/verdict_table.h"

enum { EXIT_PASS = 0, EXIT_REGRESSION = 1, EXIT_BAD_INPUT = 2, EXIT_NO_BASELINE = 3, LINES_MAX = 60 };

struct arguments {
    const char *folder[SIDES], *markdown;
    int folder_count;
    double floor; /* 0: by kind of metric */
    bool other_hardware, all;
};

static const struct argp_option options[] = {
    {"tolerance", 't', "PERCENT", 0,
     "smallest change of a time or rate that counts (default: by metric); noise widens it. Also lets a single launch a "
     "side decide on the host, where three are needed otherwise",
     0},
    {"allow-other-hardware", 'o', NULL, 0, "compare runs of different machines", 0},
    {"markdown", 'm', "FILE", 0, "write the table as Markdown too, - for standard output", 0},
    {"all", 'a', NULL, 0, "show also the cases that are the same", 0},
    {0}};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    double percent;
    switch (key) {
    case 't':
        if (!number_parse(argument, &percent) || !(percent > 0 && percent <= 1000))
            argp_error(state, "--tolerance: '%s' is not a percentage above 0 and up to 1000", argument);
        arguments->floor = percent / 100;
        return 0;
    case 'o': arguments->other_hardware = true; return 0;
    case 'm': arguments->markdown = argument; return 0;
    case 'a': arguments->all = true; return 0;
    case ARGP_KEY_ARG:
        if (arguments->folder_count == SIDES) argp_error(state, "'%s' is one folder too many", argument);
        arguments->folder[arguments->folder_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->folder_count < SIDES) argp_error(state, "two result folders are needed: BASELINE NEW");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* Names and fingerprints come from files: nothing of them may steer a terminal. */
static void tell(const char *line) {
    for (; *line != 0; line++) fputc((unsigned char)*line >= 0x20 || *line == '\n' ? *line : '?', stderr);
}

static void end(int status, const char *line) {
    fprintf(stderr, "compare: %s\n", line);
    exit(status);
}

static void read_results(const struct arguments *arguments, struct result results[SIDES], struct problem *problem) {
    struct stat status;
    if (stat(arguments->folder[BASELINE], &status) != 0 && errno == ENOENT) {
        problem_set(problem, arguments->folder[BASELINE], 0, "no baseline: %s", strerror(errno));
        end(EXIT_NO_BASELINE, problem->line);
    }
    for (int side = 0; side < SIDES; side++)
        if (!result_read(arguments->folder[side], side, &results[side], problem)) end(EXIT_BAD_INPUT, problem->line);
    if (result_rows(&results[BASELINE]) == 0) {
        problem_set(problem, arguments->folder[BASELINE], 0, "no baseline: the folder has no rows");
        end(EXIT_NO_BASELINE, problem->line);
    }
}

/* Without fingerprints nobody knows whether the machines are the same. */
static void check_hardware(const struct arguments *arguments, const struct result results[SIDES],
                           struct problem *problem) {
    const char *hardware[SIDES];
    for (int side = 0; side < SIDES; side++) {
        hardware[side] = results[side].machine.hardware;
        if (hardware[side][0] != 0 || arguments->other_hardware) continue;
        problem_set(problem, results[side].folder, 0,
                    "no manifest with a hardware fingerprint; --allow-other-hardware compares nevertheless");
        end(side == BASELINE ? EXIT_NO_BASELINE : EXIT_BAD_INPUT, problem->line);
    }
    if (strcmp(hardware[BASELINE], hardware[NEW_RUN]) == 0) return;
    problem_set(problem, results[NEW_RUN].folder, 0, "other hardware: '%.150s', the baseline is of '%.150s'",
                hardware[NEW_RUN], hardware[BASELINE]);
    if (!arguments->other_hardware) end(EXIT_NO_BASELINE, problem->line);
    tell("compare: note: "), tell(problem->line), tell("\n");
}

static void note_software(const struct result results[SIDES]) {
    const char *old = results[BASELINE].machine.software, *now = results[NEW_RUN].machine.software;
    if (strcmp(old, now) == 0) return;
    tell("compare: note: other software: '"), tell(now), tell("', the baseline is of '"), tell(old), tell("'\n");
}

static void note_busy(const struct judge *judge) {
    static const char *const names[SIDES] = {"baseline", "new run"};
    for (int side = 0; side < SIDES; side++)
        if (judge->interrupted[side] > BUSY_SHARE)
            fprintf(
                stderr,
                "compare: note: in the %s other work interrupted %.0f %% of the cases on the host: nothing timed there "
                "is judged; measure again on a quiet machine\n",
                names[side], judge->interrupted[side] * 100);
}

static struct samples *read_samples(const struct result *result, struct problem *problem) {
    struct samples *samples = array_zeroed(result->table_count, sizeof *samples);
    for (size_t t = 0; t < result->table_count; t++) {
        struct text path = {0};
        const char *table = result->tables[t].path;
        text_bytes(&path, table, strlen(table) - strlen(".csv"));
        text_string(&path, ".samples.csv");
        if (!samples_read(path.data, &samples[t], problem)) end(EXIT_BAD_INPUT, problem->line);
        text_release(&path);
    }
    return samples;
}

static void write_markdown(const char *path, const struct judge *judge, struct problem *problem) {
    struct text table = {0};
    bool standard = strcmp(path, "-") == 0;
    verdict_table(judge, TABLE_MARKDOWN, ROWS_OF_INTEREST, 0, &table);
    FILE *file = standard ? stdout : fopen(path, "w");
    bool written = file != NULL && fwrite(table.data, 1, table.length, file) == table.length && fflush(file) == 0;
    if (!written) problem_set(problem, path, 0, "%s", strerror(errno));
    if (file != NULL && !standard && fclose(file) != 0 && written)
        written = problem_set(problem, path, 0, "%s", strerror(errno));
    text_release(&table);
    if (!written) end(EXIT_BAD_INPUT, problem->line);
}

static void release(struct result results[SIDES], struct samples *samples[SIDES], struct match *match,
                    struct judge *judge) {
    for (int side = 0; side < SIDES; side++) {
        for (size_t t = 0; t < results[side].table_count; t++) samples_release(&samples[side][t]);
        free(samples[side]);
        result_release(&results[side]);
    }
    match_release(match);
    judge_release(judge);
}

int main(int argc, char **argv) {
    static const struct argp argp = {options,
                                     parse,
                                     "BASELINE NEW",
                                     "Compares two result folders case by case. Exit status: 0 pass, 1 regression, "
                                     "2 bad input, 3 baseline missing or of other hardware.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments arguments = {0};
    struct result results[SIDES];
    struct problem problem;
    struct match match;
    struct text table = {0};
    argp_err_exit_status = EXIT_BAD_INPUT;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    read_results(&arguments, results, &problem);
    check_hardware(&arguments, results, &problem);
    note_software(results);
    if (!match_build(results, &match, &problem)) end(EXIT_BAD_INPUT, problem.line);
    struct samples *samples[SIDES] = {read_samples(&results[BASELINE], &problem),
                                      read_samples(&results[NEW_RUN], &problem)};
    struct judge judge = {.results = results, .match = &match, .floor = arguments.floor};
    judge_all(&judge, (const struct samples *const *)samples);
    tell(match.notes.data);
    note_busy(&judge);
    verdict_table(&judge, TABLE_PLAIN, arguments.all ? ROWS_ALL : ROWS_OF_INTEREST, arguments.all ? 0 : LINES_MAX,
                  &table);
    fputs(table.data, stderr);
    if (judge.lone > 0)
        fprintf(stderr,
                "compare: note: %d unsure on the host, where one launch a side decides little: measure both sides "
                "with --repeat %d, or give a --tolerance\n",
                judge.lone, LAUNCHES_MANY);
    if (arguments.markdown != NULL) write_markdown(arguments.markdown, &judge, &problem);
    int status = judge_passes(&judge) ? EXIT_PASS : EXIT_REGRESSION;
    text_release(&table);
    release(results, samples, &match, &judge);
    return status;
}
