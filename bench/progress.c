/* progress.c: what people read on standard error: a line a measurement, rewritten in place on a terminal, and a
   table. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

enum { TABLE_ROWS = 60, LABEL_WIDTH = 72 };

/* A value with its unit, TFLOP/s and TOP/s below 1 in the next smaller unit. */
void format_value(char *text, size_t size, double value, const char *unit) {
    bool tera = unit[0] == 'T' && (strcmp(unit, "TFLOP/s") == 0 || strcmp(unit, "TOP/s") == 0);
    bool one = strcmp(unit, "1") == 0;
    if (tera && value < 1) snprintf(text, size, "%.4g G%s", value * 1e3, unit + 1);
    else snprintf(text, size, "%.4g%s%s", value, one ? "" : " ", one ? "" : unit);
}

static void format_left(char *text, size_t size, double seconds) {
    if (seconds >= 3600) snprintf(text, size, "%.0f h %02.0f min", floor(seconds / 3600), fmod(seconds, 3600) / 60);
    else if (seconds >= 60) snprintf(text, size, "%.0f min %02.0f s", floor(seconds / 60), fmod(seconds, 60));
    else snprintf(text, size, "%.0f s", seconds);
}

static void describe(char *text, size_t size, const struct summary *summary) {
    char value[64] = "";
    if (summary->status == STATUS_ok && summary->value != 0)
        format_value(value, sizeof value, summary->value, metrics[summary->metric].unit);
    if (summary->status != STATUS_ok)
        snprintf(text, size, "%s: %s", status_names[summary->status], summary->reason);
    else if (summary->limit_share > 0)
        snprintf(text, size, "%s  %.0f %% of limit  noise %.1f %%", value, 100 * summary->limit_share,
                 100 * summary->noise);
    else snprintf(text, size, "%s  noise %.1f %%", value, 100 * summary->noise);
}

void progress_line(const struct options *options, const struct plan *plan, struct shared *shared, size_t index) {
    char key[KEY_SIZE], figure[128], left[64];
    bool terminal = isatty(STDERR_FILENO);
    double spent = bench_seconds() - shared->run_started;
    size_t remaining = plan->count - index - 1;
    measurement_key(options, &plan->list[index], key);
    describe(figure, sizeof figure, &shared->summaries[index]);
    format_left(left, sizeof left, spent / (double)shared->finished * (double)remaining);
    if (terminal) fprintf(stderr, "\r\033[K[%zu/%zu, %s left] %.100s: %s", index + 1, plan->count, left, key, figure);
    else fprintf(stderr, "[%zu/%zu, %s left] %s: %s\n", index + 1, plan->count, left, key, figure);
    if (terminal && remaining == 0) fprintf(stderr, "\r\033[K");
}

/* The best case of each variant and metric when all rows would not fit a screen. */
static bool is_best(const struct plan *plan, const struct shared *shared, size_t index) {
    const struct summary *mine = &shared->summaries[index];
    if (!mine->measured || mine->status != STATUS_ok) return false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct summary *other = &shared->summaries[i];
        bool rival = other->measured && other->status == STATUS_ok && other->metric == mine->metric && i != index &&
                     plan->list[i].variant == plan->list[index].variant;
        bool lower = metrics[mine->metric].better == LOWER;
        if (rival && (lower ? other->value < mine->value : other->value > mine->value)) return false;
    }
    return true;
}

void progress_table(const struct options *options, const struct plan *plan, const struct shared *shared) {
    bool all = plan->count <= TABLE_ROWS;
    if (!all) fprintf(stderr, "the best case of each variant:\n");
    for (size_t i = 0; i < plan->count; i++) {
        char key[KEY_SIZE], figure[128];
        if (!shared->summaries[i].measured || (!all && !is_best(plan, shared, i))) continue;
        measurement_key(options, &plan->list[i], key);
        describe(figure, sizeof figure, &shared->summaries[i]);
        fprintf(stderr, "%-*s  %s\n", LABEL_WIDTH, key, figure);
    }
    fprintf(stderr, "%s:", bench.name);
    if (shared->finished == 0) fprintf(stderr, " everything was there already");
    for (int status = 0; status < STATUS_COUNT; status++)
        if (shared->count[status] > 0) fprintf(stderr, " %d %s", shared->count[status], status_names[status]);
    fprintf(stderr, "\n");
}
