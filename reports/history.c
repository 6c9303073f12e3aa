/* history: what has this machine been worth over time, since when is it slower, and which node is?

   Keeps results of many runs in one SQLite file. `import` puts result folders into it (a run that is there already
   changes nothing; one that was resumed since takes its own place), `trend` finds in every case's medians where they
   changed for good, by E-divisive means (Matteson and James, 2014) with a fixed seed, and says what else changed at
   that run: driver, commit, host. `outliers` holds each host's newest figures against those of the other hosts with the
   same hardware by a robust z-score; above 3.5 a node stands out (Iglewicz and Hoaglin, 1993).
   CSV goes to standard output, what people read to standard error.
   Exit status: 0 done, 2 bad usage or input (one line on standard error).
 * needs: sqlite3
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/lib/markup.h"
#include "reports/lib/trend.h"
#include "reports/lib/write_whole.h"

enum { EXIT_BAD_INPUT = 2, WORDS_MAX = 4096, SHOWN = 20 };

struct arguments {
    const char *command, *database, *html;
    const char *words[WORDS_MAX]; /* what follows the database */
    size_t word_count;
    double level, least;
};

static const struct argp_option options[] = {
    {"html", 'h', "FILE", 0, "trend: write a page with plots to FILE (- for standard output, then without CSV)", 0},
    {"level", 'l', "P", 0, "trend: a change as large must be this improbable by chance (default 0.01)", 0},
    {"least", 'm', "PERCENT", 0, "trend: smaller changes are no news (default 1)", 0},
    {0}};

static double number_argument(const char *text, double low, double high, const char *name, struct argp_state *state) {
    double number;
    if (!number_parse(text, &number) || !(number >= low && number <= high))
        argp_error(state, "--%s: '%s' is not a number from %g to %g", name, text, low, high);
    return number;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case 'h': arguments->html = argument; return 0;
    case 'l': arguments->level = number_argument(argument, 0.005, 1, "level", state); return 0;
    case 'm': arguments->least = number_argument(argument, 0, 1000, "least", state) / 100; return 0;
    case ARGP_KEY_ARG:
        if (arguments->command == NULL) arguments->command = argument;
        else if (arguments->database == NULL) arguments->database = argument;
        else if (arguments->word_count < WORDS_MAX) arguments->words[arguments->word_count++] = argument;
        else argp_error(state, "more than %d words", WORDS_MAX);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int refuse(const struct problem *problem) {
    fprintf(stderr, "history: %s\n", problem->line);
    return EXIT_BAD_INPUT;
}

/* name=value words as filters; they stay in `words`. */
static bool read_filters(const struct arguments *arguments, struct filter *filters, struct pool *pool,
                         struct problem *problem) {
    if (arguments->word_count > FILTERS_MAX) return problem_set(problem, "filters", 0, "more than %d", FILTERS_MAX);
    for (size_t i = 0; i < arguments->word_count; i++) {
        const char *word = arguments->words[i], *equals = strchr(word, '=');
        if (equals == NULL || equals == word)
            return problem_set(problem, word, 0, "a filter is name=value, such as program=gemm or since=2026-11-01");
        filters[i] = (struct filter){pool_copy(pool, word, (size_t)(equals - word)), equals + 1};
    }
    return true;
}

static int command_import(const struct arguments *arguments, struct store *store, struct problem *problem) {
    static const char *const outcomes[] = {
        [STORE_ADDED] = "added", [STORE_REPLACED] = "replaced an earlier state", [STORE_KNOWN] = "known already"};
    if (arguments->word_count == 0) problem_set(problem, "import", 0, "no result folder given");
    if (arguments->word_count == 0) return refuse(problem);
    for (size_t i = 0; i < arguments->word_count; i++) {
        struct result result;
        enum store_outcome outcome = STORE_KNOWN;
        bool good = result_read(arguments->words[i], 0, &result, problem) &&
                    store_import(store, &result, &outcome, problem);
        if (good) fprintf(stderr, "history: %s: %s\n", arguments->words[i], outcomes[outcome]);
        result_release(&result);
        if (!good) return refuse(problem);
    }
    return 0;
}

static void print_fields(struct text *line, const char *const *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0) text_string(line, ",");
        text_field(line, fields[i]);
    }
}

static int command_runs(struct store *store, const struct filter *filters, size_t count, struct problem *problem) {
    struct pool pool = {0};
    struct store_run *runs;
    size_t run_count;
    bool good = store_runs(store, filters, count, &pool, &runs, &run_count, problem);
    struct text out = {0};
    text_string(&out, "run,created,host,hardware,accelerator,driver,commit,folder,rows\r\n");
    for (size_t i = 0; i < run_count && good; i++) {
        const struct store_run *run = &runs[i];
        text_add(&out, "%ld,", run->number);
        print_fields(&out,
                     (const char *const[]){run->created, run->host, run->hardware, run->accelerator, run->driver,
                                           run->commit, run->folder},
                     7);
        text_add(&out, ",%ld\r\n", run->rows);
    }
    if (good) fputs(out.data, stdout);
    free(runs);
    pool_release(&pool);
    text_release(&out);
    return good ? 0 : refuse(problem);
}

static void history_fields(struct text *out, const struct history *history) {
    print_fields(out, (const char *const[]){history->label, history->metric, history->unit, history->hardware}, 4);
}

/* Every observation, with its segment. */
static void trend_rows(const struct histories *histories, const struct trend *trend, struct text *out) {
    for (size_t s = 0; s < trend->segment_count; s++)
        for (size_t i = trend->segments[s].begin; i < trend->segments[s].end; i++) {
            const struct observation *observation = &trend->history->observations[i];
            const struct store_run *run = &histories->runs[observation->run];
            history_fields(out, trend->history);
            text_add(out, ",%ld,", run->number);
            print_fields(out, (const char *const[]){run->created, run->host, run->driver, run->commit}, 4);
            text_add(out, ",%.9g,%d,%zu,%.9g,", observation->value, observation->launches, s + 1,
                     trend->segments[s].median);
            if (s > 0) text_add(out, "%.6g,%.4g", trend->segments[s].change, trend->segments[s].probability);
            else text_string(out, ",");
            text_string(out, "\r\n");
        }
}

static size_t trend_lines(const struct histories *histories, const struct trend *trend) {
    for (size_t s = 1; s < trend->segment_count; s++) {
        const struct segment *segment = &trend->segments[s];
        struct text cause = {0};
        trend_cause(histories, trend, s, &cause);
        fprintf(stderr, "%-8s %+7.1f %%  %s, %s: %.4g -> %.4g %s; %s; by chance %.3g\n",
                trend->history->better == NEITHER ? "changed"
                : segment->change > 0             ? "better"
                                                  : "worse",
                segment->change * 100, trend->history->label, trend->history->metric, trend->segments[s - 1].median,
                segment->median, trend->history->unit, cause.data, segment->probability);
        text_release(&cause);
    }
    return trend->segment_count - 1;
}

static int command_trend(const struct arguments *arguments, struct store *store, const struct filter *filters,
                         struct problem *problem) {
    struct histories histories;
    struct text out = {0};
    bool good = store_histories(store, filters, arguments->word_count, &histories, problem);
    struct trend *trends = array_zeroed(histories.count, sizeof *trends);
    size_t changes = 0;
    text_string(&out, "case,metric,unit,hardware,run,created,host,driver,commit,value,launches,segment,segment_median,"
                      "change,by_chance\r\n");
    for (size_t i = 0; i < histories.count && good; i++) {
        trend_find(&histories.list[i], arguments->level, arguments->least, &trends[i]);
        trend_rows(&histories, &trends[i], &out);
        changes += trend_lines(&histories, &trends[i]);
    }
    if (good)
        fprintf(stderr, "history: %zu cases of %zu runs, %zu changes\n", histories.count, histories.run_count, changes);
    if (good && (arguments->html == NULL || strcmp(arguments->html, "-") != 0)) fputs(out.data, stdout);
    if (good && arguments->html != NULL) {
        text_clear(&out);
        trend_page(&histories, trends, histories.count, true, &out);
        good = write_whole("history", arguments->html, &out, problem);
    }
    free(trends);
    histories_release(&histories);
    text_release(&out);
    return good ? 0 : refuse(problem);
}

/* A line a host: how many of its figures stand out, and the worst of them. */
static void hosts_told(const struct histories *histories, const struct outlier *list, size_t count) {
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        const char *host = histories->runs[list[i].run].host;
        size_t figures = 0, out = 0;
        bool known = false;
        for (size_t j = 0; j < i; j++) known = known || strcmp(histories->runs[list[j].run].host, host) == 0;
        for (size_t j = i; j < count; j++) {
            if (strcmp(histories->runs[list[j].run].host, host) != 0) continue;
            figures++;
            out += list[j].score > OUTLIER_SCORE;
        }
        if (known || out == 0 || told++ >= SHOWN) continue;
        fprintf(stderr, "%s: %zu of %zu figures stand out; worst: %s, %s %.4g (median of %zu hosts %.4g), score %.1f\n",
                host, out, figures, list[i].history->label, list[i].history->metric, list[i].value, list[i].host_count,
                list[i].median, list[i].score);
    }
    if (told == 0) fprintf(stderr, "history: no host stands out among %zu figures\n", count);
}

static int command_outliers(const struct arguments *arguments, struct store *store, const struct filter *filters,
                            struct problem *problem) {
    struct histories histories;
    struct text out = {0};
    size_t count = 0;
    bool good = store_histories(store, filters, arguments->word_count, &histories, problem);
    struct outlier *list = good ? outliers_find(&histories, &count) : NULL;
    text_string(&out, "case,metric,unit,hardware,host,run,value,median,hosts,score,outlier\r\n");
    for (size_t i = 0; i < count; i++) {
        history_fields(&out, list[i].history);
        text_string(&out, ",");
        text_field(&out, histories.runs[list[i].run].host);
        text_add(&out, ",%ld,%.9g,%.9g,%zu,%.4g,%d\r\n", histories.runs[list[i].run].number, list[i].value,
                 list[i].median, list[i].host_count, list[i].score, list[i].score > OUTLIER_SCORE);
    }
    if (good) fputs(out.data, stdout);
    if (good && count == 0)
        fprintf(stderr, "history: no case was measured on %d hosts of the same hardware\n", OUTLIER_HOSTS_MIN);
    else if (good) hosts_told(&histories, list, count);
    free(list);
    histories_release(&histories);
    text_release(&out);
    return good ? 0 : refuse(problem);
}

static int command_forget(const struct arguments *arguments, struct store *store, struct problem *problem) {
    for (size_t i = 0; i < arguments->word_count; i++) {
        char *end;
        errno = 0;
        long run = strtol(arguments->words[i], &end, 10);
        if (*end != 0 || end == arguments->words[i] || errno != 0) {
            problem_set(problem, arguments->words[i], 0, "not the number of a run (history runs lists them)");
            return refuse(problem);
        }
        if (!store_forget(store, run, problem)) return refuse(problem);
    }
    return 0;
}

static int work(const struct arguments *arguments, struct store *store, struct problem *problem) {
    struct filter filters[FILTERS_MAX];
    struct pool pool = {0};
    const char *command = arguments->command;
    if (strcmp(command, "import") == 0) return command_import(arguments, store, problem);
    if (strcmp(command, "forget") == 0) return command_forget(arguments, store, problem);
    bool good = read_filters(arguments, filters, &pool, problem) &&
                store_filters_check(store, filters, arguments->word_count, problem);
    int status = !good                           ? refuse(problem)
                 : strcmp(command, "runs") == 0  ? command_runs(store, filters, arguments->word_count, problem)
                 : strcmp(command, "trend") == 0 ? command_trend(arguments, store, filters, problem)
                                                 : command_outliers(arguments, store, filters, problem);
    pool_release(&pool);
    return status;
}

int main(int argc, char **argv) {
    static const char *const commands[] = {"import", "runs", "trend", "outliers", "forget"};
    static const struct argp argp = {options,
                                     parse,
                                     "import DATABASE FOLDER...\nruns DATABASE [NAME=VALUE,...]...\n"
                                     "trend DATABASE [NAME=VALUE,...]...\noutliers DATABASE [NAME=VALUE,...]...\n"
                                     "forget DATABASE RUN...",
                                     "Keeps results in one SQLite file and says what changed.\vA filter's NAME is a "
                                     "column (program, variant, dtype, metric, ...), an axis, or host, device, driver, "
                                     "hardware, run, since, until.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments arguments = {.level = 0.01, .least = 0.01};
    struct problem problem;
    struct store *store;
    argp_err_exit_status = EXIT_BAD_INPUT;
    signal(SIGPIPE, SIG_IGN);
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    bool known = false;
    for (size_t i = 0; i < ARRAY_LENGTH(commands) && arguments.command != NULL; i++)
        known = known || strcmp(commands[i], arguments.command) == 0;
    if (!known || arguments.database == NULL) {
        if (known) fprintf(stderr, "history: %s: no database given\n", arguments.command);
        else
            fprintf(stderr, "history: '%s' is no command; valid: import, runs, trend, outliers, forget\n",
                    arguments.command != NULL ? arguments.command : "");
        return EXIT_BAD_INPUT;
    }
    bool import = strcmp(arguments.command, "import") == 0;
    if (!store_open(arguments.database, import ? STORE_CREATE : STORE_READ, &store, &problem)) return refuse(&problem);
    int status = work(&arguments, store, &problem);
    store_close(store);
    return status;
}
