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

enum { LAUNCHES_LEAST = 5, LAUNCHES_FIRST_MOST = 10, LAUNCHES_MORE = 5, LAUNCHES_MOST = 20, LOOKS = 4 };
enum { PATH_SIZE = 4096 };
/* How often chance may make one of the suspects slower. Every look at the launches so far has an equal part of it, more
   than strict enough, as the looks share their launches. */
static const double second_level = 0.01;
extern char **environ;

struct second_look {
    struct comparison *first;
    const struct confirmation *how;
    bool *open; /* by judgement of the first comparison: a suspect that is not decided yet */
    size_t suspects;
    int launches; /* measured so far, of each side that has a runner */
    char folder[PATH_SIZE], preset[16];
};

static bool is_suspect(const struct judgement *judgement) {
    return judgement->undecided || judgement->verdict == VERDICT_slower || judgement->verdict == VERDICT_failed ||
           judgement->verdict == VERDICT_missing;
}

/* Neither slower nor, by twice the noise of so many launches, as good as it was. */
static bool wants_more(const struct judge *judge, const struct judgement *before, const struct judgement *again) {
    if (before->verdict == VERDICT_failed || before->verdict == VERDICT_missing) return false;
    if (again == NULL || verdict_fails[again->verdict] || !judged_by_launches(again)) return false;
    return again->undecided || again->judged + 2 * again->noise > floor_of(judge, again->pair);
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

/* The preset that the new run was made with, by run_all.sh or by hand; "" if neither tells. */
static void find_preset(const struct result *result, char preset[16]) {
    char path[PATH_SIZE], line[256];
    snprintf(path, sizeof path, "%s/run_all.options", result->folder);
    preset[0] = 0;
    for (int i = 0; i < result->machine.fact_count; i++) {
        const char *word = strstr(result->machine.facts[i].value, "--preset ");
        if (strcmp(result->machine.facts[i].label, "Options") == 0 && word != NULL)
            sscanf(word, "--preset %15[a-z]", preset);
    }
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) sscanf(line, "preset=%15[a-z]", preset);
    if (file != NULL) fclose(file);
}

/* The lines of all that is open, each case once whatever the number of its metrics. */
static void add_cases(const struct second_look *look, struct text *lines) {
    const struct judge *judge = &look->first->judge;
    struct index seen = {0};
    struct text line = {0};
    text_clear(lines);
    for (size_t i = 0; i < judge->count; i++) {
        int added = 0;
        if (!look->open[i]) continue;
        text_clear(&line);
        if (case_line(pair_row(judge->judgements[i].pair), &line)) index_add(&seen, line.data, &added);
        if (added) text_string(lines, line.data);
    }
    text_release(&line);
    index_release(&seen);
}

/* So many launches that Holm's correction over the suspects can be passed. */
static int launches_needed(const struct second_look *look) {
    const struct judge *judge = &look->first->judge;
    bool both = look->how->runner[BASELINE] != NULL;
    size_t old = 1;
    for (size_t i = 0; i < judge->count; i++)
        if (look->open[i] && judge->judgements[i].launches > old) old = judge->judgements[i].launches;
    int launches = LAUNCHES_LEAST;
    while (launches < LAUNCHES_FIRST_MOST &&
           rank_test_least(both ? (size_t)launches : old, (size_t)launches) * (double)look->suspects >
               second_level / LOOKS)
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

static void launch_folder(const struct second_look *look, int side, int launch, char *out) {
    static const char *const names[SIDES] = {"baseline", "new"};
    snprintf(out, PATH_SIZE + 32, "%s/%s-%d", look->folder, names[side], launch);
}

/* Both sides in turn, and each first every other time. */
static bool run_launches(struct second_look *look, int until, struct problem *problem) {
    char cases[PATH_SIZE + 32], out[PATH_SIZE + 32];
    snprintf(cases, sizeof cases, "%s/cases", look->folder);
    while (look->launches < until) {
        look->launches++;
        for (int turn = 0; turn < SIDES; turn++) {
            int side = (turn + look->launches + 1) % SIDES;
            if (look->how->runner[side] == NULL) continue;
            launch_folder(look, side, look->launches, out);
            if (!run_once(look->how->runner[side], look->how->build[side], look->preset, cases, out, problem))
                return false;
        }
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

static size_t collect_keys(const struct second_look *look, struct index *keys) {
    struct text key = {0};
    size_t open = 0;
    for (size_t i = 0; i < look->first->judge.count; i++) {
        if (!look->open[i]) continue;
        open++;
        text_clear(&key);
        match_key(&look->first->match, look->first->judge.judgements[i].pair, &key);
        index_add(keys, key.data, NULL);
    }
    text_release(&key);
    return open;
}

/* Without a runner of the baseline its rows stand for it. */
static bool gather(const struct second_look *look, struct comparison *second, struct problem *problem) {
    char out[PATH_SIZE + 32];
    for (int side = 0; side < SIDES; side++) {
        if (look->how->runner[side] == NULL) {
            second->results[side] = look->first->results[side];
            second->samples[side] = look->first->samples[side];
            second->lent[side] = true;
            continue;
        }
        for (int launch = 1; launch <= look->launches; launch++) {
            launch_folder(look, side, launch, out);
            if (!comparison_add(second, side, out, look->how->any_hardware, problem)) return false;
        }
    }
    return true;
}

/* Judges what is open by all launches so far; closes what is decided, and at the end everything. */
static bool judge_open(struct second_look *look, bool last, struct problem *problem) {
    struct judge *judge = &look->first->judge;
    struct comparison second = {0};
    struct index keys = {0};
    second.others = look->suspects - collect_keys(look, &keys);
    second.only = &keys;
    second.level = second_level / LOOKS;
    bool good = gather(look, &second, problem) && comparison_judge(&second, look->how->floor, problem);
    for (size_t i = 0; good && i < judge->count; i++) {
        if (!look->open[i]) continue;
        struct judgement *judgement = &judge->judgements[i];
        const struct judgement *again = comparison_find(&second, &look->first->match, judgement);
        look->open[i] = !last && wants_more(&second.judge, judgement, again);
        if (!look->open[i]) decide(judge, judgement, again);
    }
    comparison_release(&second);
    index_release(&keys);
    return good;
}

static bool write_cases(const struct second_look *look, struct text *lines, struct problem *problem) {
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/cases", look->folder);
    add_cases(look, lines);
    FILE *file = fopen(path, "w");
    bool written = file != NULL && fwrite(lines->data, 1, lines->length, file) == lines->length;
    if (file != NULL && fclose(file) != 0) written = false;
    return written || problem_set(problem, path, 0, "%s", strerror(errno));
}

static bool look_again(struct second_look *look, struct text *lines, struct problem *problem) {
    const char *temporary = getenv("TMPDIR");
    snprintf(look->folder, sizeof look->folder, "%.4000s/plumbline-confirm-XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(look->folder) == NULL) return problem_set(problem, look->folder, 0, "%s", strerror(errno));
    find_preset(&look->first->results[NEW_RUN], look->preset);
    int until = launches_needed(look);
    fprintf(stderr, "compare: %zu suspect: measuring them again, %d launches, into %s\n", look->suspects, until,
            look->folder);
    for (;;) {
        if (!write_cases(look, lines, problem) || !run_launches(look, until, problem) ||
            !judge_open(look, until == LAUNCHES_MOST, problem))
            return false;
        size_t open = 0;
        for (size_t i = 0; i < look->first->judge.count; i++) open += look->open[i];
        if (open == 0) return true;
        int more = until + LAUNCHES_MORE < LAUNCHES_MOST ? LAUNCHES_MORE : LAUNCHES_MOST - until;
        fprintf(stderr, "compare: %zu undecided: %d launches more\n", open, more);
        until += more;
    }
}

/* Where so many are undecided that the machine must be noisy, only what fails is looked at again. */
static void leave_undecided(struct comparison *first) {
    size_t suspects = 0;
    for (size_t i = 0; i < first->judge.count; i++) suspects += is_suspect(&first->judge.judgements[i]);
    for (size_t i = 0; i < first->judge.count && suspects > CONFIRM_CASES_MAX; i++)
        first->judge.judgements[i].undecided = false;
}

bool confirm(struct comparison *first, const struct confirmation *how, struct problem *problem) {
    struct second_look look = {.first = first, .how = how};
    struct text lines = {0};
    bool good = true;
    leave_undecided(first);
    look.open = array_zeroed(first->judge.count, sizeof *look.open);
    for (size_t i = 0; i < first->judge.count; i++) {
        look.open[i] = is_suspect(&first->judge.judgements[i]);
        look.suspects += look.open[i];
    }
    add_cases(&look, &lines);
    if (look.suspects > CONFIRM_CASES_MAX)
        fprintf(stderr, "compare: %zu suspect, more than %d: no chance, not measured again\n", look.suspects,
                CONFIRM_CASES_MAX);
    else if (lines.length > 0) good = look_again(&look, &lines, problem);
    text_release(&lines);
    free(look.open);
    return good;
}
