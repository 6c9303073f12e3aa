#include "confirm.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "markup.h"
#include "rank_test.h"

enum { LAUNCHES_LEAST = 5, LAUNCHES_MOST = 10, PATH_SIZE = 4096 };
static const double second_level = 0.01;
extern char **environ;

/* Also what would be slower but for launches that overlap: more launches tell. */
static bool is_suspect(const struct judgement *judgement) {
    if (judgement->undecided && judgement->judged > 0) return true;
    return judgement->verdict == VERDICT_slower || judgement->verdict == VERDICT_failed ||
           judgement->verdict == VERDICT_missing;
}

/* Words of a file become options of a program: nothing but what values and names are made of. */
static bool is_plain(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+";
    return word[0] != 0 && word[strspn(word, plain)] == 0;
}

static bool add_option(struct text *line, const char *name, const char *value) {
    if (!is_plain(name) || !is_plain(value)) return false;
    size_t start = line->length;
    text_add(line, " --%s %s", name, value);
    for (char *c = line->data + start + 3; *c != ' '; c++)
        if (*c == '_') *c = '-';
    return true;
}

/* Ranks is an axis where a table has more than the 1 that stands for none. */
static bool has_ranks(const struct table *table) {
    for (size_t i = 0; i < table->row_count; i++)
        if (strcmp(table->rows[i]->field[COLUMN_ranks], "1") != 0) return true;
    return false;
}

/* PROGRAM OPTION...: what measures this case alone. */
static bool case_line(const struct row *row, struct text *line) {
    static const struct {
        const char *word, *option, *value;
    } modes[] = {{"hot", "cache", "hot"},
                 {"cold", "cache", "cold"},
                 {"back_to_back", "pacing", "back_to_back"},
                 {"synchronized", "pacing", "synchronized"},
                 {"zeros", "data", "zeros"}};
    if (!is_plain(row->field[COLUMN_program])) return false;
    text_string(line, row->field[COLUMN_program]);
    bool good = add_option(line, "variant", row->field[COLUMN_variant]);
    if (row->field[COLUMN_dtype][0] != 0) good = good && add_option(line, "dtype", row->field[COLUMN_dtype]);
    if (has_ranks(row->table)) good = good && add_option(line, "ranks", row->field[COLUMN_ranks]);
    for (size_t i = 0; i < row->table->axis_count && good; i++)
        if (row->axis_value[i][0] != 0) good = add_option(line, row->table->axis[i], row->axis_value[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(modes) && good; i++)
        if (strstr(row->field[COLUMN_mode], modes[i].word) != NULL)
            good = add_option(line, modes[i].option, modes[i].value);
    text_string(line, "\n");
    return good;
}

/* The preset that the new run was made with; "" if it does not tell. */
static void find_preset(const char *folder, char preset[16]) {
    char path[PATH_SIZE], line[256];
    snprintf(path, sizeof path, "%s/run_all.options", folder);
    preset[0] = 0;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) sscanf(line, "preset=%15[a-z]", preset);
    if (file != NULL) fclose(file);
}

/* All suspects' lines, each case once whatever the number of its metrics; returns how many suspects there are. */
static size_t write_cases(const struct comparison *first, struct text *lines) {
    struct index seen = {0};
    struct text line = {0};
    size_t suspects = 0;
    text_clear(lines);
    for (size_t i = 0; i < first->judge.count; i++) {
        int added = 0;
        if (!is_suspect(&first->judge.judgements[i])) continue;
        suspects++;
        text_clear(&line);
        if (case_line(pair_row(first->judge.judgements[i].pair), &line)) index_add(&seen, line.data, &added);
        if (added) text_string(lines, line.data);
    }
    text_release(&line);
    index_release(&seen);
    return suspects;
}

/* So many launches that Holm's correction over the suspects can be passed. */
static int launches_needed(const struct comparison *first, size_t suspects, bool both) {
    size_t old = 1;
    for (size_t i = 0; i < first->judge.count; i++) {
        const struct judgement *judgement = &first->judge.judgements[i];
        if (is_suspect(judgement) && judgement->launches > old) old = judgement->launches;
    }
    int launches = LAUNCHES_LEAST;
    while (launches < LAUNCHES_MOST &&
           rank_test_least(both ? (size_t)launches : old, (size_t)launches) * (double)suspects > second_level)
        launches++;
    return launches;
}

static bool run_once(const char *runner, const char *build, const char *preset, const char *cases, const char *out,
                     struct problem *problem) {
    char *arguments[] = {(char *)runner, "--cases",      (char *)cases,  "--out",
                         (char *)out,    preset[0] != 0 ? "--preset" : NULL, (char *)preset, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;
    if (build != NULL) setenv("BUILD", build, 1);
    else unsetenv("BUILD");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int error = posix_spawn(&child, runner, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return problem_set(problem, runner, 0, "%s", strerror(error));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    int ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (ended == 0 || ended == 1 || ended == 3) return true; /* measured, wrong or not here: rows tell */
    return problem_set(problem, runner, 0, "ended with %d", ended);
}

static bool run_launches(const struct confirmation *how, const char *folder, const char *preset, int launches,
                         struct comparison *second, struct problem *problem) {
    static const char *const names[SIDES] = {"baseline", "new"};
    char cases[PATH_SIZE + 32], out[PATH_SIZE + 32];
    snprintf(cases, sizeof cases, "%s/cases", folder);
    for (int launch = 1; launch <= launches; launch++)
        for (int side = 0; side < SIDES; side++) {
            if (how->runner[side] == NULL) continue;
            snprintf(out, sizeof out, "%s/%s-%d", folder, names[side], launch);
            if (!run_once(how->runner[side], how->build[side], preset, cases, out, problem) ||
                !comparison_add(second, side, out, how->any_hardware, problem))
                return false;
        }
    return true;
}

/* What the second look says of a suspect. */
static void decide(struct judge *judge, struct judgement *judgement, const struct judgement *again) {
    enum case_verdict before = judgement->verdict;
    if (before == VERDICT_unsure) {
        if (again == NULL || again->verdict != VERDICT_slower) return;
        judgement->verdict = VERDICT_slower;
        judgement->note = "undecided at first, slower when measured again";
    } else if (again == NULL) {
        judgement->note = before == VERDICT_missing ? judgement->note : "could not be measured again";
    } else if (verdict_fails[again->verdict]) {
        judgement->verdict = again->verdict;
        judgement->note = "confirmed by measuring again";
    } else {
        judgement->verdict = VERDICT_unsure;
        judgement->note = before == VERDICT_slower ? "not slower when measured again" : "measured when run again";
    }
    judge->counts[before]--;
    judge->counts[judgement->verdict]++;
}

static void collect_keys(const struct comparison *first, struct index *keys) {
    struct text key = {0};
    for (size_t i = 0; i < first->judge.count; i++) {
        if (!is_suspect(&first->judge.judgements[i])) continue;
        text_clear(&key);
        match_key(&first->match, first->judge.judgements[i].pair, &key);
        index_add(keys, key.data, NULL);
    }
    text_release(&key);
}

static void lend(struct comparison *second, const struct comparison *first) {
    second->results[BASELINE] = first->results[BASELINE];
    second->samples[BASELINE] = first->samples[BASELINE];
    second->lent[BASELINE] = true;
}

static bool look_again(struct comparison *first, const struct confirmation *how, const struct text *lines,
                       size_t suspects, struct comparison *second, struct problem *problem) {
    char folder[PATH_SIZE], path[PATH_SIZE + 32], preset[16];
    const char *temporary = getenv("TMPDIR");
    bool both = how->runner[BASELINE] != NULL;
    snprintf(folder, sizeof folder, "%.4000s/plumbline-confirm-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) return problem_set(problem, folder, 0, "%s", strerror(errno));
    snprintf(path, sizeof path, "%s/cases", folder);
    FILE *file = fopen(path, "w");
    bool written = file != NULL && fwrite(lines->data, 1, lines->length, file) == lines->length;
    if (file != NULL && fclose(file) != 0) written = false;
    if (!written) return problem_set(problem, path, 0, "%s", strerror(errno));
    find_preset(first->results[NEW_RUN].folder, preset);
    int launches = launches_needed(first, suspects, both);
    fprintf(stderr, "compare: %zu suspect: measuring them again, %d launches, into %s\n", suspects, launches, folder);
    if (!both) lend(second, first);
    if (!run_launches(how, folder, preset, launches, second, problem)) return false;
    struct index keys = {0};
    collect_keys(first, &keys);
    second->only = &keys;
    second->level = second_level;
    bool judged = comparison_judge(second, how->floor, problem);
    second->only = second->judge.only = NULL;
    index_release(&keys);
    if (!judged) return false;
    for (size_t i = 0; i < first->judge.count; i++) {
        struct judgement *judgement = &first->judge.judgements[i];
        if (is_suspect(judgement))
            decide(&first->judge, judgement, comparison_find(second, &first->match, judgement));
    }
    return true;
}

/* Where so many are undecided that the machine must be noisy, only what fails is looked at again. */
static void leave_undecided(struct comparison *first) {
    size_t suspects = 0;
    for (size_t i = 0; i < first->judge.count; i++) suspects += is_suspect(&first->judge.judgements[i]);
    for (size_t i = 0; i < first->judge.count && suspects > CONFIRM_CASES_MAX; i++)
        first->judge.judgements[i].undecided = false;
}

bool confirm(struct comparison *first, const struct confirmation *how, struct comparison *second,
             struct problem *problem) {
    struct text lines = {0};
    leave_undecided(first);
    size_t suspects = write_cases(first, &lines);
    bool good = true;
    if (suspects > CONFIRM_CASES_MAX)
        fprintf(stderr, "compare: %zu suspect, more than %d: no chance, not measured again\n", suspects,
                CONFIRM_CASES_MAX);
    else if (suspects > 0 && lines.length > 0) good = look_again(first, how, &lines, suspects, second, problem);
    text_release(&lines);
    return good;
}
