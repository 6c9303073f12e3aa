/* values.c: value lists of axes, as bench.h describes them, expanded into numbers or word indices. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum { VALUES_LIMIT = 100000, WORD_SIZE = 128 };

static bool append(struct values *values, int64_t value, char *reason) {
    for (size_t i = 0; i < values->count; i++)
        if (values->value[i] == value) return true; /* asked for twice is measured once */
    if (values->count >= VALUES_LIMIT) {
        snprintf(reason, REASON_SIZE, "more than %d values", VALUES_LIMIT);
        return false;
    }
    values->value = realloc(values->value, (values->count + 1) * sizeof *values->value);
    if (values->value == NULL) abort();
    values->value[values->count++] = value;
    return true;
}

/* A number with an optional suffix k, m, g or t (powers of 1024). */
static bool parse_integer(const char *text, int64_t *value) {
    char *end;
    if (!isdigit((unsigned char)text[0]) && text[0] != '-') return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text) return false;
    int shift = 0;
    switch (tolower((unsigned char)*end)) {
    case 'k': shift = 10; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    case 't': shift = 40; break;
    case '\0': break;
    default: return false;
    }
    if (shift != 0 && end[1] != '\0') return false;
    return !__builtin_mul_overflow((int64_t)number, INT64_C(1) << shift, value);
}

static void bounds(const struct axis *axis, int64_t *minimum, int64_t *maximum) {
    *minimum = axis->minimum == 0 && axis->maximum == 0 ? 1 : axis->minimum;
    *maximum = axis->maximum == 0 ? INT64_MAX : axis->maximum;
}

static bool number(const struct axis *axis, const char *word, int64_t *value, char *reason) {
    int64_t minimum, maximum;
    bounds(axis, &minimum, &maximum);
    if (strcmp(word, "max") == 0 && axis->available != NULL) {
        *value = axis->available();
        return true;
    }
    if (parse_integer(word, value) && *value >= minimum && *value <= maximum) return true;
    snprintf(reason, REASON_SIZE, "'%s' is not a whole number from %" PRId64 " to %" PRId64 "%s", word, minimum,
             maximum, axis->available != NULL ? ", max or powers" : "");
    return false;
}

/* a:b:f or a:b:+s */
static bool range(const struct axis *axis, char *word, struct values *values, char *reason) {
    char whole[WORD_SIZE], *middle = strchr(word, ':'), *last;
    snprintf(whole, sizeof whole, "%s", word);
    *middle++ = '\0';
    last = strchr(middle, ':');
    if (last != NULL) *last++ = '\0';
    int64_t from, to, step = 2;
    bool adds = last != NULL && *last == '+';
    if (!number(axis, word, &from, reason) || !number(axis, middle, &to, reason)) return false;
    if (last != NULL && (!parse_integer(adds ? last + 1 : last, &step) || step < (adds ? 1 : 2))) {
        snprintf(reason, REASON_SIZE, "'%s': the step is a factor of 2 or more, or +1 or more", whole);
        return false;
    }
    /* As many ranks as are launched is not known yet when the options are read: a case beyond max says so in its row. */
    if (from > to && strcmp(middle, "max") == 0) to = from;
    if (from > to || (from <= 0 && !adds)) {
        snprintf(reason, REASON_SIZE, "'%s' is not an ascending range", whole);
        return false;
    }
    for (int64_t value = from;;) {
        if (!append(values, value, reason)) return false;
        int64_t next;
        bool overflow = adds ? __builtin_add_overflow(value, step, &next) : __builtin_mul_overflow(value, step, &next);
        if (overflow || next > to) return true;
        value = next;
    }
}

static bool integer_item(const struct axis *axis, char *word, struct values *values, char *reason) {
    if (strchr(word, ':') != NULL) return range(axis, word, values, reason);
    if (strcmp(word, "powers") == 0 && axis->available != NULL) {
        int64_t last = axis->available();
        for (int64_t value = 1; value < last; value *= 2)
            if (!append(values, value, reason)) return false;
        return append(values, last, reason);
    }
    int64_t value;
    return number(axis, word, &value, reason) && append(values, value, reason);
}

static bool word_item(const struct axis *axis, const char *word, struct values *values, char *reason) {
    bool all = strcmp(word, "all") == 0, found = false;
    for (int64_t i = 0; axis->words[i] != NULL; i++) {
        if (!all && strcmp(axis->words[i], word) != 0) continue;
        found = true;
        if (!append(values, i, reason)) return false;
    }
    if (found) return true;
    int length = snprintf(reason, REASON_SIZE, "'%s' is none of", word);
    for (int64_t i = 0; axis->words[i] != NULL && length < REASON_SIZE; i++)
        length += snprintf(reason + length, (size_t)(REASON_SIZE - length), "%s %s", i > 0 ? "," : "", axis->words[i]);
    return false;
}

bool values_expand(const struct axis *axis, const char *list, struct values *values, char *reason) {
    *values = (struct values){0};
    for (const char *item = list;; item++) {
        size_t length = strcspn(item, ",");
        char word[WORD_SIZE];
        if (length == 0 || length >= sizeof word) {
            snprintf(reason, REASON_SIZE, "'%.60s' has an empty or overlong value", list);
            return false;
        }
        memcpy(word, item, length);
        word[length] = '\0';
        bool right = axis->kind == AXIS_WORD ? word_item(axis, word, values, reason)
                                             : integer_item(axis, word, values, reason);
        if (!right) {
            size_t told = strlen(reason);
            if (strcmp(word, list) != 0 || strchr(list, ':') != NULL)
                snprintf(reason + told, REASON_SIZE - told, " (in '%.100s')", list);
            return false;
        }
        item += length;
        if (*item == '\0') return true;
    }
}

const char *axis_list(const struct axis *axis, const struct options *options, int index, enum place place) {
    if (options->axis_list[index] != NULL) return options->axis_list[index];
    const char *list = place == PLACE_DEVICE ? axis->device[options->preset] : NULL;
    return list != NULL ? list : axis->host[options->preset];
}
