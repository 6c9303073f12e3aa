#include "documented_latency.h"

#include <stdlib.h>
#include <string.h>

#include "bench/topology.h"

enum { LEVELS = 2 }; /* of the third nobody says more than an average over its slices and clocks of its own */

struct document {
    const char *vendor;
    int family, first_model, last_model;
    double clocks[LEVELS];
    const char *source;
};

/* AMD's guides document them. For Intel's stands what Chips and Cheese measured, of model 143; model 207, Emerald
   Rapids, is its core a step on. */
static const struct document documents[] = {
    {"AuthenticAMD", 25, 0x10, 0x1f, {4, 14}, "AMD Software Optimization Guide 57647 (Zen 4)"},
    {"AuthenticAMD", 25, 0x60, 0x7f, {4, 14}, "AMD Software Optimization Guide 57647 (Zen 4)"},
    {"AuthenticAMD", 25, 0xa0, 0xaf, {4, 14}, "AMD Software Optimization Guide 57647 (Zen 4)"},
    {"AuthenticAMD", 26, 0x00, 0x7f, {4, 14}, "AMD Software Optimization Guide 58455 (Zen 5)"},
    {"GenuineIntel", 6, 0x8f, 0x8f, {5, 16}, "measured by Chips and Cheese 2022-02, 2023-03 (Sapphire Rapids)"},
    {"GenuineIntel", 6, 0xcf, 0xcf, {5, 16}, "measured by Chips and Cheese 2022-02, 2023-03 (Sapphire Rapids)"},
};

/* The level that holds `bytes` and little else: a quarter of what is shared with code, page tables and neighbours. */
static int level_of(const size_t caches[LEVELS], size_t bytes) {
    if (bytes <= caches[0] / 4 * 3) return 0;
    return bytes >= 2 * caches[0] && bytes <= caches[1] / 4 ? 1 : LEVELS;
}

struct limit documented_latency_of(const char *vendor, int family, int model, const size_t caches[2], size_t bytes) {
    int level = level_of(caches, bytes);
    for (size_t i = 0; i < ARRAY_LENGTH(documents) && level < LEVELS; i++) {
        const struct document *document = &documents[i];
        if (strcmp(vendor, document->vendor) == 0 && family == document->family && model >= document->first_model &&
            model <= document->last_model)
            return (struct limit){document->clocks[level], document->source};
    }
    return (struct limit){0, NULL};
}

struct limit documented_latency(size_t bytes) {
    char vendor[64], family[16], model[16];
    if (!topology_processor_field("vendor_id", vendor, sizeof vendor) ||
        !topology_processor_field("cpu family", family, sizeof family) ||
        !topology_processor_field("model", model, sizeof model))
        return (struct limit){0, NULL};
    const size_t caches[LEVELS] = {topology_cache(1), topology_cache(2)};
    return documented_latency_of(vendor, atoi(family), atoi(model), caches, bytes);
}
