/* sweep.c: axes and variants expanded into measurements, and the key that names one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

size_t axis_count(void) {
    size_t count = 0;
    while (bench.axes[count].name != NULL) count++;
    if (count > AXES_MAX) die(EXIT_USAGE, "more than %d axes", AXES_MAX);
    return count;
}

bool list_has(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *item = list; item != NULL && *item != '\0'; item = strchr(item, ','), item += item != NULL)
        if (strncmp(item, word, length) == 0 && (item[length] == ',' || item[length] == '\0')) return true;
    return false;
}

static bool chosen(const struct options *options, const struct variant *variant) {
    return (options->variants == NULL || list_has(options->variants, variant->name)) &&
           (options->backends == NULL || list_has(options->backends, variant->backend));
}

static void append(struct plan *plan, struct measurement measurement) {
    if ((plan->count & (plan->count - 1)) == 0) { /* a power of two: double */
        plan->list = realloc(plan->list, (plan->count == 0 ? 1 : 2 * plan->count) * sizeof *plan->list);
        if (plan->list == NULL) abort();
    }
    plan->list[plan->count++] = measurement;
}

static bool covered(const struct options *options, const struct measurement *measurement) {
    struct run run = {.bench = &bench, .variant = measurement->variant, .value = measurement->value,
                      .preset = options->preset};
    for (size_t i = 0; i < axis_count(); i++)
        if (options->axis_list[i] != NULL) return true;
    return (bench.covers == NULL || bench.covers(&run)) &&
           (run.variant->covers == NULL || run.variant->covers(&run));
}

/* All cases of one place: the first axis turns slowest, the variants fastest. */
static void plan_place(const struct options *options, const struct variant *variants, enum place place,
                       struct plan *plan) {
    size_t axes = axis_count(), total = 1;
    struct values values[AXES_MAX];
    for (size_t i = 0; i < axes; i++) {
        char reason[REASON_SIZE], name[64];
        option_name(&bench.axes[i], name, sizeof name);
        if (!values_expand(&bench.axes[i], axis_list(&bench.axes[i], options, (int)i, place), &values[i], reason))
            die(EXIT_USAGE, "--%s: %s", name, reason);
        if (__builtin_mul_overflow(total, values[i].count, &total) || total > 10000000)
            die(EXIT_USAGE, "more than ten million cases");
    }
    for (size_t n = 0; n < total; n++) {
        struct measurement measurement = {0};
        size_t rest = n;
        for (size_t i = axes; i-- > 0; rest /= values[i].count)
            measurement.value[i] = values[i].value[rest % values[i].count];
        for (const struct variant *v = variants; v->name != NULL; v++) {
            measurement.variant = v;
            if (chosen(options, v) && covered(options, &measurement)) append(plan, measurement);
        }
    }
    for (size_t i = 0; i < axes; i++) free(values[i].value);
}

static bool any_chosen(const struct options *options, const struct variant *variants) {
    for (const struct variant *v = variants; v->name != NULL; v++)
        if (chosen(options, v)) return true;
    return false;
}

void sweep_plan(const struct options *options, int device_count, const char *device_reason, struct plan *plan) {
    *plan = (struct plan){0};
    if (options->places != PLACES_DEVICE) plan_place(options, bench.variants, PLACE_HOST, plan);
    if (options->places == PLACES_HOST || !any_chosen(options, cuda_variants)) return;
    if (device_count > 0) {
        plan_place(options, cuda_variants, PLACE_DEVICE, plan);
        return;
    }
    for (const struct variant *v = cuda_variants; v->name != NULL; v++)
        if (chosen(options, v)) append(plan, (struct measurement){.variant = v, .absent = device_reason});
}

bool calls_are_held(const struct options *options, const struct variant *variant) {
    return bench.ranks && options->pacing == PACING_SYNCHRONIZED && !variant->no_graph;
}

const char *measurement_mode(const struct options *options, const struct measurement *measurement) {
    static const char *const names[][2] = {{"own", "own zeros"}, {"cold", "cold zeros"}, {"hot", "hot zeros"},
                                           {"held", "held zeros"}, {"plain", "plain zeros"},
                                           {"synchronized", "synchronized zeros"},
                                           {"back_to_back", "back_to_back zeros"}, {"loop", "loop zeros"}};
    enum { OWN, COLD, HOT, HELD, PLAIN_CALLS, SYNCHRONIZED, BACK_TO_BACK, LOOP } mode;
    const struct variant *variant = measurement->variant;
    if (variant->measure != NULL) mode = OWN;
    else if (variant->place == PLACE_DEVICE && options->cache == CACHE_HOT) mode = HOT;
    else if (variant->place == PLACE_DEVICE && !bench.ranks) mode = COLD;
    else if (variant->place == PLACE_DEVICE) mode = calls_are_held(options, variant) ? HELD : PLAIN_CALLS;
    else if (bench.ranks) mode = options->pacing == PACING_SYNCHRONIZED ? SYNCHRONIZED : BACK_TO_BACK;
    else mode = LOOP;
    return names[mode][options->zeros];
}

void measurement_key(const struct options *options, const struct measurement *measurement, char key[KEY_SIZE]) {
    int length = snprintf(key, KEY_SIZE, "%s", measurement->variant->name);
    for (size_t i = 0; measurement->absent == NULL && bench.axes[i].name != NULL && length < KEY_SIZE; i++) {
        const struct axis *axis = &bench.axes[i];
        length += axis->kind == AXIS_WORD
                      ? snprintf(key + length, (size_t)(KEY_SIZE - length), " %s=%s", axis->name,
                                 axis->words[measurement->value[i]])
                      : snprintf(key + length, (size_t)(KEY_SIZE - length), " %s=%" PRId64, axis->name,
                                 measurement->value[i]);
    }
    if (measurement->absent == NULL && length < KEY_SIZE)
        length += snprintf(key + length, (size_t)(KEY_SIZE - length), " mode=%s",
                           measurement_mode(options, measurement));
    if (options->launch != 1 && length < KEY_SIZE)
        snprintf(key + length, (size_t)(KEY_SIZE - length), " launch=%d", options->launch);
}
