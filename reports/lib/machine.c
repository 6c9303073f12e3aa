#include "machine.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rows.h"
#include "markup.h"
#include "number.h"

static const char *string_of(const cJSON *object, const char *name) {
    const char *string = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return string != NULL ? string : "";
}

static bool is_empty(const cJSON *item) {
    return item == NULL || cJSON_IsNull(item) || (cJSON_IsString(item) && item->valuestring[0] == 0) ||
           ((cJSON_IsObject(item) || cJSON_IsArray(item)) && item->child == NULL);
}

static void add_scalar(struct text *text, const char *name, const cJSON *item) {
    size_t length = strlen(name);
    bool mebibytes = length > 4 && strcmp(name + length - 4, "_mib") == 0;
    if (cJSON_IsString(item)) text_string(text, item->valuestring);
    else if (cJSON_IsBool(item)) text_string(text, cJSON_IsTrue(item) ? "yes" : "no");
    else if (cJSON_IsNumber(item) && mebibytes) number_bytes(text, item->valuedouble * (double)MIB);
    else if (cJSON_IsNumber(item)) text_add(text, "%.10g", item->valuedouble);
}

/* An array's parts between commas, an object's as "name value" between dots; the names that only repeat what the value
   says are left out. */
static void add_item(struct text *text, const char *name, const cJSON *item, int depth) {
    static const char *const silent[] = {"name", "model", "memory_mib"};
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item)) {
        add_scalar(text, name, item);
        return;
    }
    const char *separator = "";
    const cJSON *child;
    cJSON_ArrayForEach(child, item) {
        if (is_empty(child) || depth == 0) continue;
        bool object = cJSON_IsObject(item), told = false;
        text_string(text, separator);
        for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
            told = told || !object || strcmp(child->string, silent[i]) == 0;
        if (!told) text_add(text, "%s ", child->string);
        add_item(text, object ? child->string : name, child, depth - 1);
        separator = object ? " \xc2\xb7 " : ", ";
    }
}

static double number_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* One GPU in the words of a datasheet; what the manifest does not know is left out. */
static void add_gpu(struct text *text, const cJSON *gpu) {
    static const struct {
        const char *name, *format;
    } figures[] = {{"clock_maximum_mhz", " \xc2\xb7 up to %.0f MHz"},
                   {"memory_clock_mhz", " \xc2\xb7 memory at %.0f MHz"},
                   {"power_limit_w", " \xc2\xb7 %.0f W"}, {"nvlink_count", " \xc2\xb7 %.0f NVLinks"},
                   {"nvlink_gb_per_s", " of %.0f GB/s each way"}, {"pcie_generation", " \xc2\xb7 PCIe %.0f"},
                   {"pcie_width", " x%.0f"}};
    text_string(text, string_of(gpu, "name"));
    if (number_of(gpu, "memory_mib") > 0) {
        text_string(text, " \xc2\xb7 ");
        number_bytes(text, number_of(gpu, "memory_mib") * (double)MIB);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(figures); i++)
        if (number_of(gpu, figures[i].name) > 0) text_add(text, figures[i].format, number_of(gpu, figures[i].name));
}

static void add_counted(struct text *text, int count, const struct text *gpu, const char *after) {
    if (count > 1) text_add(text, "%d x ", count);
    text_bytes(text, gpu->data, gpu->length);
    text_string(text, after);
}

/* Neighbours of the same description are counted, not repeated: they differ in address and number only. */
static void add_gpus(struct text *text, const cJSON *gpus) {
    struct text last = {0}, next = {0};
    int count = 0;
    const cJSON *gpu;
    cJSON_ArrayForEach(gpu, gpus) {
        text_clear(&next);
        add_gpu(&next, gpu);
        bool same = count > 0 && last.length == next.length && memcmp(last.data, next.data, last.length) == 0;
        if (count > 0 && !same) add_counted(text, count, &last, ", ");
        count = same ? count + 1 : 1;
        text_clear(&last);
        text_bytes(&last, next.data, next.length);
    }
    if (count > 0) add_counted(text, count, &last, "");
    text_release(&last);
    text_release(&next);
}

/* What is told of a machine: a label once, then parts: where in the manifest, and the words around the value. */
static const struct part {
    const char *label, *object, *name, *before, *after;
} parts[] = {
    {"Processor", "cpu", "model", "", ""},
    {"Processor", "cpu", "cores", "", " cores"},
    {"Processor", "cpu", "cores_usable", "", " usable"},
    {"Processor", "cpu", "numa_nodes", "NUMA nodes: ", ""},
    {"Processor", "cpu", "clock_mhz", "", " MHz"},
    {"Caches", "cpu", "l1_cache_mib", "L1 ", ""},
    {"Caches", "cpu", "l2_cache_mib", "L2 ", ""},
    {"Caches", "cpu", "l3_cache_mib", "L3 ", ""},
    {"Caches", "cpu", "last_level_caches_mib", "last level in all ", ""},
    {"Instructions", "cpu", "isa", "", ""},
    {"Memory", NULL, "memory_mib", "", ""},
    {"GPU", NULL, "gpus", "", ""},
    {"GPU driver", NULL, "driver", "", ""},
    {"Counters", NULL, "counters", "", ""},
    {"System", NULL, "os", "", ""},
    {"System", NULL, "kernel", "", ""},
    {"Libraries", NULL, "libraries", "", ""},
    {"Compiler", NULL, "compiler", "", ""},
    {"Compiler", NULL, "flags", "", ""},
    {"Commit", NULL, "commit", "", ""},
    {"Environment", NULL, "environment", "", ""},
    {"Options", NULL, "arguments", "", ""},
};

static void collect_facts(const cJSON *root, struct machine *machine, struct pool *pool) {
    struct text text = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        const struct part *part = &parts[i];
        const cJSON *object = part->object != NULL ? cJSON_GetObjectItemCaseSensitive(root, part->object) : root;
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, part->name);
        if (!is_empty(item)) {
            if (text.length > 0) text_string(&text, " \xc2\xb7 ");
            text_string(&text, part->before);
            if (strcmp(part->name, "gpus") == 0) add_gpus(&text, item);
            else add_item(&text, part->name, item, 3);
            text_string(&text, part->after);
        }
        bool last = i + 1 == ARRAY_LENGTH(parts) || strcmp(parts[i + 1].label, part->label) != 0;
        if (!last || text.length == 0) continue;
        if (machine->fact_count < MACHINE_FACTS_MAX)
            machine->facts[machine->fact_count++] = (struct machine_fact){part->label,
                                                                          pool_copy(pool, text.data, text.length)};
        text_clear(&text);
    }
    text_release(&text);
}

static void string_copied(const char **field, const char *string, struct pool *pool) {
    *field = pool_copy(pool, string, strlen(string));
}

static void interpret(const cJSON *root, struct machine *machine, struct pool *pool) {
    const cJSON *fingerprint = cJSON_GetObjectItemCaseSensitive(root, "fingerprint");
    const cJSON *gpus = cJSON_GetObjectItemCaseSensitive(root, "gpus");
    string_copied(&machine->host, string_of(root, "host"), pool);
    string_copied(&machine->created, string_of(root, "created"), pool);
    string_copied(&machine->hardware, string_of(fingerprint, "hardware"), pool);
    string_copied(&machine->software, string_of(fingerprint, "software"), pool);
    string_copied(&machine->processor, string_of(cJSON_GetObjectItemCaseSensitive(root, "cpu"), "model"), pool);
    string_copied(&machine->accelerator, string_of(cJSON_GetArrayItem(gpus, 0), "name"), pool);
    string_copied(&machine->driver, string_of(cJSON_GetObjectItemCaseSensitive(root, "driver"), "version"), pool);
    machine->has_gpu = !is_empty(gpus);
    collect_facts(root, machine, pool);
}

static size_t line_of(const struct text *text, const char *position) {
    size_t line = 1;
    for (const char *c = text->data; c < position && c < text->data + text->length; c++) line += *c == '\n';
    return line;
}

bool machine_read(const char *path, struct machine *machine, struct pool *pool, struct problem *problem) {
    *machine = MACHINE_UNKNOWN;
    struct text text = {0};
    if (!file_read(path, &text, problem)) {
        text_release(&text);
        return false;
    }
    const char *end = text.data;
    cJSON *root = cJSON_ParseWithLengthOpts(text.data, text.length, &end, 0);
    bool good = root != NULL;
    if (!good) problem_set(problem, path, line_of(&text, end), "damaged JSON");
    for (; good && end < text.data + text.length; end++)
        if (strchr(" \t\r\n", *end) == NULL || *end == 0)
            good = problem_set(problem, path, line_of(&text, end), "damaged JSON: something follows the object");
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    if (good && (!cJSON_IsObject(root) || !cJSON_IsNumber(schema) || !(schema->valuedouble >= 1)))
        good = problem_set(problem, path, 1, "not a manifest: no schema number");
    if (good && schema->valuedouble > SCHEMA_VERSION)
        good = problem_set(problem, path, 1, "schema %g is newer than %d, the newest this program knows",
                           schema->valuedouble, SCHEMA_VERSION);
    if (good) interpret(root, machine, pool);
    cJSON_Delete(root);
    text_release(&text);
    return good;
}
