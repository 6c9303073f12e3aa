/* options.c: the command line of every program, parsed and printed from one table (options.def) and the axes. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "lifeline.h"
#include "rows.h"

static const struct {
    const char *name, *argument, *help;
} table[] = {
#define OPTION(name, argument, help) {#name, argument, help},
#include "options.def"
#undef OPTION
};
enum { TABLE_COUNT = ARRAY_LENGTH(table) };
_Static_assert(TABLE_COUNT + AXES_MAX < '?', "getopt tells long options, by index, from letters");

const char *const preset_names[PRESET_COUNT + 1] = {"smoke", "quick", "full", NULL};
_Static_assert(PRESET_FULL == 2, "preset_names follows enum preset");

/* Told once: an MPI that was started alone may put its own rank 0 into the environment. */
bool speaks(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    static int answer = -1;
    if (answer < 0) answer = 1;
    else return answer;
    for (size_t i = 0; bench.ranks && i < ARRAY_LENGTH(names); i++) {
        const char *value = getenv(names[i]);
        if (value == NULL) continue;
        answer = strcmp(value, "0") == 0;
        break;
    }
    return answer;
}

int die_base = 0;

void die(int status, const char *format, ...) {
    char message[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (speaks()) fprintf(stderr, "%s: %s\n", bench.name, message);
    lifeline_die(message);
    fflush(NULL);
    _Exit(die_base + status);
}

/* The option's word as an index in words, or a line that names both and exit status 2. */
static int choose(const char *option, const char *word, const char *const *words) {
    char valid[512] = "";
    size_t length = 0;
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) return i;
        length += (size_t)snprintf(valid + length, sizeof valid - length, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    die(EXIT_USAGE, "--%s: '%s' is none of %s", option, word, valid);
}

static double number(const char *option, const char *word, double minimum, double maximum, bool whole) {
    char *end;
    errno = 0;
    double value = strtod(word, &end);
    if (isspace((unsigned char)word[0]) || end == word || *end != '\0' || errno != 0 ||
        !(value >= minimum && value <= maximum) || (whole && value != (double)(int64_t)value))
        die(EXIT_USAGE, "--%s: '%s' is not a %snumber from %g to %g", option, word, whole ? "whole " : "", minimum,
            maximum);
    return value;
}

void option_name(const struct axis *axis, char *name, size_t size) {
    snprintf(name, size, "%s", axis->name);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '_') *c = '-';
}

static void check_axis_list(const struct axis *axis, const char *list) {
    char reason[REASON_SIZE];
    struct values values;
    bool right = values_expand(axis, list, &values, reason);
    free(values.value);
    char name[64];
    option_name(axis, name, sizeof name);
    if (!right) die(EXIT_USAGE, "--%s: %s", name, reason);
}

void option_set(struct options *options, const char *name, const char *word) {
    static const char *const caches[] = {"cold", "hot", NULL}, *const datas[] = {"random", "zeros", NULL};
    static const char *const places[] = {"all", "host", "device", NULL};
    static const char *const pacings[] = {"synchronized", "back_to_back", NULL};
#define IS(text) (strcmp(name, text) == 0)
    if (IS("preset")) options->preset = (enum preset)choose(name, word, preset_names);
    else if (IS("variant")) options->variants = word;
    else if (IS("backend")) options->backends = word;
    else if (IS("place")) options->places = (enum place_choice)choose(name, word, places);
    else if (IS("cache")) options->cache = (enum cache_mode)choose(name, word, caches);
    else if (IS("pacing")) options->pacing = (enum pacing)choose(name, word, pacings);
    else if (IS("data")) options->zeros = choose(name, word, datas) == 1;
    else if (IS("seed")) options->seed = (uint64_t)number(name, word, 0, 9e15, true);
    else if (IS("threads")) options->threads = (int)number(name, word, 1, 65536, true);
    else if (IS("device")) options->device = (int)number(name, word, 0, 1023, true);
    else if (IS("iterations")) options->iterations = (size_t)number(name, word, 1, 1e6, true);
    else if (IS("warm-up")) options->warm_calls = (int)number(name, word, 0, 1e6, true);
    else if (IS("graph-calls")) options->graph_calls = (int)number(name, word, 1, 1e5, true);
    else if (IS("network-rate")) options->network_rate = number(name, word, 1e-3, 1e6, false);
    else if (IS("time-cap")) options->time_cap = number(name, word, 1e-3, 1e6, false);
    else if (IS("case-timeout")) options->case_timeout = number(name, word, 1e-2, 1e6, false);
    else if (IS("out")) options->out = word;
    else if (IS("resume")) options->resume = options->out = word;
    else if (IS("failed-in-flight")) options->failed_in_flight = true;
    else if (IS("launch")) options->launch = (int)number(name, word, 1, 1e6, true);
    else if (IS("inject-fault")) options->inject_fault = true;
    else if (IS("inject-slowdown")) options->slowdown = number(name, word, 0.01, 1000, false) / 100;
    else if (IS("list")) options->action = ACTION_LIST;
    else if (IS("describe")) options->action = ACTION_DESCRIBE;
    else if (IS("schema")) options->action = ACTION_SCHEMA;
    else if (IS("version")) options->action = ACTION_VERSION;
    else if (IS("help")) options->action = ACTION_HELP;
    else abort();
#undef IS
}

static size_t setting_count(void) {
    size_t count = 0;
    while (bench.settings != NULL && bench.settings[count].name != NULL) count++;
    return count;
}

static void apply_setting(const struct setting *setting, const char *word) {
    char reason[REASON_SIZE] = "";
    if (!setting->set(word, reason)) die(EXIT_USAGE, "--%s: %s", setting->name, reason);
}

static void unknown_option(char **argv, int index) {
    char valid[2048];
    size_t length = 0;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        length += (size_t)snprintf(valid + length, sizeof valid - length, " --%s", table[i].name);
    for (size_t i = 0; i < axis_count(); i++) {
        char name[64];
        option_name(&bench.axes[i], name, sizeof name);
        length += (size_t)snprintf(valid + length, sizeof valid - length, " --%s", name);
    }
    for (size_t i = 0; i < setting_count(); i++)
        length += (size_t)snprintf(valid + length, sizeof valid - length, " --%s", bench.settings[i].name);
    die(EXIT_USAGE, "'%s' is no option, or lacks its value, or is ambiguous; valid:%s", argv[index], valid);
}

/* Every word of a --variant or --backend list must be known, or the error names the valid ones. */
static void check_names(const char *option, const char *list, bool backend) {
    char valid[1024] = "";
    size_t length = 0;
    const struct variant *tables[] = {bench.variants, cuda_variants};
    for (size_t t = 0; t < ARRAY_LENGTH(tables); t++)
        for (const struct variant *v = tables[t]; v->name != NULL; v++) {
            const char *name = backend ? v->backend : v->name;
            if (list_has(valid, name)) continue;
            length += (size_t)snprintf(valid + length, sizeof valid - length, "%s%s", length > 0 ? "," : "", name);
        }
    for (const char *item = list;; item++) {
        char word[64];
        size_t size = strcspn(item, ",");
        snprintf(word, sizeof word, "%.*s", (int)(size < sizeof word ? size : sizeof word - 1), item);
        if (!list_has(valid, word)) {
            static const char devices[] = "cuda,cublaslt,cudnn,nccl";
            bool absent = backend && list_has(devices, word);
            die(absent ? EXIT_ABSENT : EXIT_USAGE, "--%s: '%s' is none of %s%s", option, word, valid,
                absent ? " (this build has no such device code)" : "");
        }
        item += size;
        if (*item == '\0') return;
    }
}

static void apply_defaults(struct options *options, int argc, char **argv) {
    static const double caps[PRESET_COUNT] = {0.2, 1, 5}, timeouts[PRESET_COUNT] = {60, 300, 1200};
    if (options->time_cap == 0) options->time_cap = caps[options->preset];
    if (options->case_timeout == 0) options->case_timeout = timeouts[options->preset];
    size_t length = 0;
    for (int i = 1; i < argc && length < sizeof options->command_line; i++)
        length += (size_t)snprintf(options->command_line + length, sizeof options->command_line - length, "%s%s",
                                   i > 1 ? " " : "", argv[i]);
    if (options->failed_in_flight && options->resume == NULL)
        die(EXIT_USAGE, "--failed-in-flight goes with --resume");
    if (options->variants != NULL) check_names("variant", options->variants, false);
    if (options->backends != NULL) check_names("backend", options->backends, true);
}

void options_parse(int argc, char **argv, struct options *options) {
    *options = (struct options){.preset = PRESET_QUICK, .seed = 1, .launch = 1, .device = -1, .warm_calls = -1};
    struct option long_options[TABLE_COUNT + AXES_MAX + SETTINGS_MAX + 1] = {0};
    static char names[AXES_MAX][64];
    size_t count = 0;
    for (; count < TABLE_COUNT; count++)
        long_options[count] = (struct option){
            table[count].name, table[count].argument != NULL ? required_argument : no_argument, NULL, (int)count};
    for (size_t i = 0; i < axis_count(); i++, count++) {
        option_name(&bench.axes[i], names[i], sizeof names[i]);
        long_options[count] = (struct option){names[i], required_argument, NULL, (int)count};
    }
    for (size_t i = 0; i < setting_count(); i++, count++)
        long_options[count] = (struct option){bench.settings[i].name, required_argument, NULL, (int)count};
    opterr = 0;
    for (;;) {
        int index = optind, choice = getopt_long(argc, argv, aliases_short_options(), long_options, NULL);
        if (choice == -1) break;
        if (choice == '?') unknown_option(argv, index < argc ? index : argc - 1);
        if (aliases_take(choice, optarg)) continue;
        if ((size_t)choice >= TABLE_COUNT + axis_count()) {
            apply_setting(&bench.settings[(size_t)choice - TABLE_COUNT - axis_count()], optarg);
        } else if ((size_t)choice >= TABLE_COUNT) {
            size_t axis = (size_t)choice - TABLE_COUNT;
            check_axis_list(&bench.axes[axis], optarg);
            options->axis_list[axis] = optarg;
        } else {
            option_set(options, table[choice].name, optarg);
        }
    }
    if (optind < argc) die(EXIT_USAGE, "'%s' is no option; options begin with --; see --help", argv[optind]);
    aliases_apply(options);
    apply_defaults(options, argc, argv);
}

static void help_axis(FILE *out, const struct axis *axis) {
    char name[64];
    option_name(axis, name, sizeof name);
    fprintf(out, "  --%s LIST\n      %s\n", name, axis->help);
    if (axis->kind == AXIS_WORD) {
        fprintf(out, "      words: all");
        for (int i = 0; axis->words[i] != NULL; i++) fprintf(out, ", %s", axis->words[i]);
        fprintf(out, "\n");
    }
    if (axis->available != NULL) fprintf(out, "      also max, what is here, in ranges too, and powers: 1, 2, 4 .. max\n");
    for (int preset = 0; preset < PRESET_COUNT; preset++) {
        fprintf(out, "      %-5s %s", preset_names[preset], axis->host[preset]);
        if (axis->device[preset] != NULL && strcmp(axis->device[preset], axis->host[preset]) != 0)
            fprintf(out, "   on a device: %s", axis->device[preset]);
        fprintf(out, "\n");
    }
}

void options_help(FILE *out) {
    fprintf(out, "%s/%s: %s\n\nusage: %s [OPTION]...\n\nOptions\n", bench.suite, bench.name, bench.question,
            bench.name);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        fprintf(out, "  --%s%s%s\n      %s\n", table[i].name, table[i].argument != NULL ? " " : "",
                table[i].argument != NULL ? table[i].argument : "", table[i].help);
    for (size_t i = 0; i < setting_count(); i++)
        fprintf(out, "  --%s %s\n      %s\n", bench.settings[i].name, bench.settings[i].argument,
                bench.settings[i].help);
    aliases_help(out);
    fprintf(out, "\nAxes (a LIST is values between commas; integers may end in k, m, g, t for powers of 1024;\n"
                 "a:b:f goes from a to b by the factor f, a:b:+s by steps of s)\n");
    for (size_t i = 0; i < axis_count(); i++) help_axis(out, &bench.axes[i]);
    fprintf(out, "\nVariants\n");
    for (const struct variant *v = bench.variants; v->name != NULL; v++)
        fprintf(out, "  %-24s %s, host\n", v->name, v->backend);
    for (const struct variant *v = cuda_variants; v->name != NULL; v++)
        fprintf(out, "  %-24s %s, device\n", v->name, v->backend);
    fprintf(out, "\nExit status: 0 measured, 1 a result was wrong or a case failed, 2 bad usage or input,\n"
                 "3 something asked for is not on this machine.\n");
}
