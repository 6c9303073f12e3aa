/* result_label.c: what tells several results apart, in few words. */
#include <stdio.h>
#include <string.h>

#include "markup.h"
#include "result.h"

enum { DAY_LENGTH = 10, MINUTE_LENGTH = 16 };

static const char *host_of(const struct result *result) { return result->machine.host; }
static const char *accelerator_of(const struct result *result) { return result->machine.accelerator; }
static const char *processor_of(const struct result *result) { return result->machine.processor; }
static const char *driver_of(const struct result *result) { return result->machine.driver; }
static const char *created_of(const struct result *result) { return result->machine.created; }

/* Do two of the results differ within the first `length` bytes? */
static bool differ(const struct result *results, size_t count, const char *(*of)(const struct result *),
                   size_t length) {
    for (size_t i = 1; i < count; i++)
        if (strncmp(of(&results[i]), of(&results[0]), length) != 0) return true;
    return false;
}

/* Are all of them different within the first `length` bytes? */
static bool distinct(const struct result *results, size_t count, const char *(*of)(const struct result *),
                     size_t length) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strncmp(of(&results[i]), of(&results[j]), length) == 0) return false;
    return true;
}

static void add(struct text *text, const char *before, const char *value, size_t length) {
    if (value[0] == 0) return;
    text_add(text, "%s%s%.*s", text->length > 0 ? ", " : "", before, (int)length, value);
}

static const char *name_of(const char *folder) {
    const char *slash = strrchr(folder, '/');
    return slash != NULL && slash[1] != 0 ? slash + 1 : folder;
}

/* Those that still have a label in common are called by their folders. */
static void by_folder(struct result *results, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            if (strcmp(results[i].label, results[j].label) != 0) continue;
            bool named = strcmp(name_of(results[i].folder), name_of(results[j].folder)) != 0;
            results[i].label = named ? name_of(results[i].folder) : results[i].folder;
            results[j].label = named ? name_of(results[j].folder) : results[j].folder;
        }
}

void results_label(struct result *results, size_t count) {
    enum { WORDS_MAX = 60 };
    if (count < 2) return;
    bool hosts = differ(results, count, host_of, WORDS_MAX);
    bool accelerators = differ(results, count, accelerator_of, WORDS_MAX);
    bool processors = !accelerators && differ(results, count, processor_of, WORDS_MAX);
    bool drivers = differ(results, count, driver_of, WORDS_MAX), days = differ(results, count, created_of, DAY_LENGTH);
    bool enough = (hosts && distinct(results, count, host_of, WORDS_MAX)) ||
                  (drivers && distinct(results, count, driver_of, WORDS_MAX));
    bool minutes = !enough && !(days && distinct(results, count, created_of, DAY_LENGTH)) &&
                   differ(results, count, created_of, MINUTE_LENGTH);
    for (size_t i = 0; i < count; i++) {
        struct text text = {0};
        text_clear(&text);
        if (hosts) add(&text, "", host_of(&results[i]), WORDS_MAX);
        if (accelerators)
            add(&text, "", accelerator_of(&results[i])[0] ? accelerator_of(&results[i]) : "no GPU", WORDS_MAX);
        if (processors) add(&text, "", processor_of(&results[i]), WORDS_MAX);
        if (drivers) add(&text, "driver ", driver_of(&results[i]), WORDS_MAX);
        if (days || minutes) add(&text, "", created_of(&results[i]), minutes ? MINUTE_LENGTH : DAY_LENGTH);
        results[i].label = text.length > 0 ? pool_copy(&results[i].pool, text.data, text.length)
                                           : name_of(results[i].folder);
        text_release(&text);
    }
    by_folder(results, count);
}
