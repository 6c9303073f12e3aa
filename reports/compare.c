/* compare: is the new run slower than the baseline?

   Reads result folders on two sides, several launches and several folders each, matches their rows by everything that
   names a case, and judges each by the noise that both sides measured (reports/lib/verdict.h says how). --limits FILE
   holds the new run against shares of its physical limits, which needs no baseline; --confirm measures what is suspect
   again before failing; --halves asks whether the launches of one baseline agree among themselves.
   The table goes to standard error, as all that people read; --markdown, --junit and --json write files.
   Exit status: 0 pass, 1 a case is slower, worse, wrong, failed, missing or below its limit, 2 bad usage or input (one
   line that names file and line), 3 there is no baseline, or it is of other hardware. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reports/lib/confirm.h"
#include "reports/lib/markup.h"
#include "reports/lib/verdict_write.h"

enum { EXIT_PASS = 0, EXIT_REGRESSION = 1, EXIT_BAD_INPUT = 2, EXIT_NO_BASELINE = 3 };
enum { LINES_MAX = 60, FOLDERS_MAX = 256 };
enum { KEY_JSON = 256, KEY_JUNIT, KEY_LIMITS, KEY_CONFIRM, KEY_CONFIRM_BASELINE, KEY_HALVES };

struct arguments {
    const char *folder[SIDES][FOLDERS_MAX], *word[FOLDERS_MAX]; /* word: as given, before sides are known */
    int count[SIDES], word_count;
    const char *markdown, *json, *junit, *limits, *runner, *baseline_runner;
    double floor; /* 0: by kind of metric */
    bool other_hardware, all, confirm, halves;
};

static const struct argp_option options[] = {
    {"baseline", 'b', "FOLDER", 0, "a folder of the baseline; may be given often, and all others are the new run's", 0},
    {"tolerance", 't', "PERCENT", 0,
     "smallest change of a time or rate that counts (default: by metric); noise widens it. Also lets a single launch a "
     "side decide on the host, where three are needed otherwise",
     0},
    {"limits", KEY_LIMITS, "FILE", 0, "rules for shares of physical limits; with one folder no baseline is needed", 0},
    {"confirm", KEY_CONFIRM, "RUN_ALL", OPTION_ARG_OPTIONAL,
     "measure what is suspect again before failing, by this run_all.sh (default: the one beside this program)", 0},
    {"confirm-baseline", KEY_CONFIRM_BASELINE, "RUN_ALL", 0,
     "the run_all.sh of the baseline's checkout or installation: --confirm then measures both sides in turn", 0},
    {"halves", KEY_HALVES, NULL, 0, "compare the launches of one baseline among themselves: do its halves agree?", 0},
    {"allow-other-hardware", 'o', NULL, 0, "compare runs of different machines", 0},
    {"markdown", 'm', "FILE", 0, "write the table as Markdown too, - for standard output", 0},
    {"junit", KEY_JUNIT, "FILE", 0, "write a JUnit report, - for standard output", 0},
    {"json", KEY_JSON, "FILE", 0, "write every case and its figures as JSON, - for standard output", 0},
    {"all", 'a', NULL, 0, "show also the cases that are the same", 0},
    {0}};

static void add_folder(struct arguments *arguments, int side, const char *folder, struct argp_state *state) {
    if (arguments->count[side] == FOLDERS_MAX) argp_error(state, "more than %d folders", FOLDERS_MAX);
    for (int i = 0; i < arguments->count[side]; i++)
        if (strcmp(arguments->folder[side][i], folder) == 0) argp_error(state, "'%s' is given twice", folder);
    arguments->folder[side][arguments->count[side]++] = folder;
}

/* Which words are the baseline's is known once all are there. */
static void assign_folders(struct arguments *arguments, struct argp_state *state) {
    int first = 0;
    bool needs_baseline = !arguments->halves && arguments->count[BASELINE] == 0;
    if (arguments->baseline_runner != NULL && !arguments->confirm)
        argp_error(state, "--confirm-baseline goes with --confirm");
    if (arguments->halves && (arguments->count[BASELINE] > 0 || arguments->limits != NULL || arguments->confirm))
        argp_error(state, "--halves goes with neither --baseline, --limits nor --confirm");
    if (needs_baseline && !(arguments->limits != NULL && arguments->word_count == 1)) {
        if (arguments->word_count < 2) argp_error(state, "two result folders are needed: BASELINE NEW");
        add_folder(arguments, BASELINE, arguments->word[first++], state);
    }
    if (arguments->word_count == first) argp_error(state, "no folder of the new run is given");
    while (first < arguments->word_count) add_folder(arguments, NEW_RUN, arguments->word[first++], state);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    double percent;
    switch (key) {
    case 'b': add_folder(arguments, BASELINE, argument, state); return 0;
    case 't':
        if (!number_parse(argument, &percent) || !(percent > 0 && percent <= 1000))
            argp_error(state, "--tolerance: '%s' is not a percentage above 0 and up to 1000", argument);
        arguments->floor = percent / 100;
        return 0;
    case 'o': arguments->other_hardware = true; return 0;
    case 'm': arguments->markdown = argument; return 0;
    case 'a': arguments->all = true; return 0;
    case KEY_JSON: arguments->json = argument; return 0;
    case KEY_JUNIT: arguments->junit = argument; return 0;
    case KEY_LIMITS: arguments->limits = argument; return 0;
    case KEY_CONFIRM: arguments->confirm = true, arguments->runner = argument; return 0;
    case KEY_CONFIRM_BASELINE: arguments->baseline_runner = argument; return 0;
    case KEY_HALVES: arguments->halves = true; return 0;
    case ARGP_KEY_ARG:
        if (arguments->word_count == FOLDERS_MAX) argp_error(state, "more than %d folders", FOLDERS_MAX);
        arguments->word[arguments->word_count++] = argument;
        return 0;
    case ARGP_KEY_END: assign_folders(arguments, state); return 0;
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

static void read_results(const struct arguments *arguments, struct comparison *comparison, struct problem *problem) {
    struct stat status;
    for (int i = 0; i < arguments->count[BASELINE]; i++)
        if (stat(arguments->folder[BASELINE][i], &status) != 0 && errno == ENOENT) {
            problem_set(problem, arguments->folder[BASELINE][i], 0, "no baseline: %s", strerror(errno));
            end(EXIT_NO_BASELINE, problem->line);
        }
    for (int side = 0; side < SIDES; side++)
        for (int i = 0; i < arguments->count[side]; i++)
            if (!comparison_add(comparison, side, arguments->folder[side][i], arguments->other_hardware, problem))
                end(EXIT_BAD_INPUT, problem->line);
    if (arguments->count[BASELINE] > 0 && result_rows(&comparison->results[BASELINE]) == 0) {
        problem_set(problem, arguments->folder[BASELINE][0], 0, "no baseline: the folder has no rows");
        end(EXIT_NO_BASELINE, problem->line);
    }
}

/* Without fingerprints nobody knows whether the machines are the same. */
static void check_hardware(const struct arguments *arguments, const struct result results[SIDES],
                           struct problem *problem) {
    const char *hardware[SIDES];
    if (arguments->count[BASELINE] == 0) return;
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
    if (results[BASELINE].folder == NULL) return;
    const char *old = results[BASELINE].machine.software, *now = results[NEW_RUN].machine.software;
    if (strcmp(old, now) == 0) return;
    tell("compare: note: other software: '"), tell(now), tell("', the baseline is of '"), tell(old), tell("'\n");
}

static void note_noise(const struct judge *judge) {
    static const char *const names[SIDES] = {"baseline", "new run"};
    for (int side = 0; side < SIDES; side++)
        if (judge->interrupted[side] > BUSY_SHARE)
            fprintf(
                stderr,
                "compare: note: in the %s other work interrupted %.0f %% of the cases on the host: what it interrupted "
                "is not judged, with fewer than %d launches nothing timed there; measure again on a quiet machine\n",
                names[side], judge->interrupted[side] * 100, LAUNCHES_MANY);
    if (judge->lone > 0)
        fprintf(stderr,
                "compare: note: %d unsure on the host, where one launch a side decides little: measure both sides "
                "with --repeat %d, or give a --tolerance\n",
                judge->lone, LAUNCHES_MANY);
}

static void write_text(const char *path, const struct text *text, struct problem *problem) {
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "w");
    bool written = file != NULL && fwrite(text->data, 1, text->length, file) == text->length && fflush(file) == 0;
    if (!written) problem_set(problem, path, 0, "%s", strerror(errno));
    if (file != NULL && !standard && fclose(file) != 0 && written)
        written = problem_set(problem, path, 0, "%s", strerror(errno));
    if (!written) end(EXIT_BAD_INPUT, problem->line);
}

static void write_files(const struct arguments *arguments, const struct gate_outcome *outcome,
                        struct problem *problem) {
    struct text text = {0};
    if (arguments->markdown != NULL) {
        text_clear(&text);
        if (arguments->count[BASELINE] > 0 || arguments->halves)
            verdict_table(&outcome->comparison->judge, TABLE_MARKDOWN, arguments->all ? ROWS_ALL : ROWS_OF_INTEREST, 0,
                          &text);
        gate_limits(outcome, TABLE_MARKDOWN, &text);
        write_text(arguments->markdown, &text, problem);
    }
    if (arguments->junit != NULL) {
        text_clear(&text);
        gate_junit(outcome, &text);
        write_text(arguments->junit, &text, problem);
    }
    if (arguments->json != NULL) {
        text_clear(&text);
        gate_json(outcome, &text);
        write_text(arguments->json, &text, problem);
    }
    text_release(&text);
}

/* run_all.sh of the build that this program is of, and that build's folder; false: neither a checkout nor installed. */
static bool find_runner(char *runner, char *build) {
    char own[PATH_MAX - 64];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length <= 0) return false;
    own[length] = 0;
    *strrchr(own, '/') = 0;
    snprintf(runner, PATH_MAX, "%s/../share/plumbline/run_all.sh", own);
    if (access(runner, X_OK) == 0) return true;
    snprintf(build, PATH_MAX, "%s/..", own);
    snprintf(runner, PATH_MAX, "%s/../../run_all.sh", own);
    return access(runner, X_OK) == 0;
}

static void confirm_suspects(const struct arguments *arguments, struct comparison *comparison,
                             struct problem *problem) {
    static char runner[PATH_MAX], build[PATH_MAX], given[PATH_MAX];
    struct confirmation how = {.runner = {arguments->baseline_runner, arguments->runner},
                               .floor = arguments->floor,
                               .any_hardware = arguments->other_hardware};
    if (getenv("BUILD") != NULL) snprintf(given, sizeof given, "%s", getenv("BUILD"));
    if (given[0] != 0) how.build[NEW_RUN] = given;
    how.build[BASELINE] = getenv("BASELINE_BUILD");
    if (how.runner[NEW_RUN] == NULL) {
        if (!find_runner(runner, build))
            end(EXIT_BAD_INPUT, "--confirm: no run_all.sh beside this program; name it: --confirm=FILE");
        how.runner[NEW_RUN] = runner;
        if (build[0] != 0) how.build[NEW_RUN] = build;
    }
    for (int side = 0; side < SIDES; side++)
        if (how.runner[side] != NULL && access(how.runner[side], X_OK) != 0) {
            problem_set(problem, how.runner[side], 0, "%s", strerror(errno));
            end(EXIT_BAD_INPUT, problem->line);
        }
    if (!confirm(comparison, &how, problem)) end(EXIT_BAD_INPUT, problem->line);
}

static void show(const struct arguments *arguments, const struct gate_outcome *outcome) {
    struct text table = {0};
    tell(outcome->comparison->match.notes.data);
    note_noise(&outcome->comparison->judge);
    if (arguments->count[BASELINE] > 0 || arguments->halves)
        verdict_table(&outcome->comparison->judge, TABLE_PLAIN, arguments->all ? ROWS_ALL : ROWS_OF_INTEREST,
                      arguments->all ? 0 : LINES_MAX, &table);
    gate_limits(outcome, TABLE_PLAIN, &table);
    if (table.data != NULL) fputs(table.data, stderr);
    text_release(&table);
}

static int gate(const struct arguments *arguments, struct limit_rules *rules) {
    struct comparison comparison = {0};
    struct problem problem;
    read_results(arguments, &comparison, &problem);
    check_hardware(arguments, comparison.results, &problem);
    note_software(comparison.results);
    if (!comparison_judge(&comparison, arguments->floor, &problem)) end(EXIT_BAD_INPUT, problem.line);
    if (arguments->confirm && arguments->count[BASELINE] > 0) confirm_suspects(arguments, &comparison, &problem);
    struct limit_judgement *limits = array_zeroed(rules->count, sizeof *limits);
    limit_rules_judge(rules, &comparison.match, limits);
    struct gate_outcome outcome = {&comparison, rules, limits};
    show(arguments, &outcome);
    write_files(arguments, &outcome, &problem);
    int status = gate_passes(&outcome) ? EXIT_PASS : EXIT_REGRESSION;
    free(limits);
    comparison_release(&comparison);
    return status;
}

/* Both ways to halve the launches must agree: in time, and every other one. */
static int judge_halves(const struct arguments *arguments, const struct limit_rules *none) {
    static const char *const names[SPLITS] = {"the first half against the second", "every other launch"};
    int status = EXIT_PASS;
    for (int split = 0; split < SPLITS; split++) {
        struct comparison halves = {0};
        struct problem problem;
        if (!comparison_halves(&halves, arguments->folder[NEW_RUN], (size_t)arguments->count[NEW_RUN],
                               (enum split)split, &problem))
            end(EXIT_BAD_INPUT, problem.line);
        fprintf(stderr, "compare: %s:\n", names[split]);
        struct gate_outcome outcome = {&halves, none, NULL};
        show(arguments, &outcome);
        if (halves_disagree(&halves)) status = EXIT_REGRESSION;
        comparison_release(&halves);
    }
    fprintf(stderr, "compare: the halves %s\n", status == EXIT_PASS ? "agree" : "disagree");
    return status;
}

int main(int argc, char **argv) {
    static const struct argp argp = {options,
                                     parse,
                                     "BASELINE NEW...\n-b BASELINE [-b BASELINE]... NEW...\n--limits FILE NEW\n"
                                     "--halves FOLDER...",
                                     "Compares result folders case by case. Exit status: 0 pass, 1 regression, "
                                     "2 bad input, 3 baseline missing or of other hardware.",
                                     NULL,
                                     NULL,
                                     NULL};
    static struct arguments arguments;
    struct limit_rules rules = {0};
    struct problem problem;
    argp_err_exit_status = EXIT_BAD_INPUT;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (arguments.limits != NULL && !limit_rules_read(arguments.limits, &rules, &problem))
        end(EXIT_BAD_INPUT, problem.line);
    int status = arguments.halves ? judge_halves(&arguments, &rules) : gate(&arguments, &rules);
    limit_rules_release(&rules);
    return status;
}
