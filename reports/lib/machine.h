/* machine.h: manifest.json of a result folder (see bench/manifest.h), read over cJSON. */
#ifndef REPORTS_MACHINE_H
#define REPORTS_MACHINE_H

#include "pool.h"
#include "problem.h"

enum { MACHINE_FACTS_MAX = 16 };

struct machine {
    const char *host, *created;                   /* "" if not told */
    const char *hardware, *software;              /* fingerprints, "" if not told */
    const char *processor, *accelerator, *driver; /* models and version as the manifest says, "" if not told */
    bool has_gpu;
    int fact_count; /* what a reader wants to know, in order */
    struct machine_fact {
        const char *label, *value;
    } facts[MACHINE_FACTS_MAX];
};

#define MACHINE_UNKNOWN                                                                                                \
    ((struct machine){                                                                                                 \
        .host = "", .created = "", .hardware = "", .software = "", .processor = "", .accelerator = "", .driver = ""})

/* Reads a manifest; strings live in pool. false: problem names file and, for damaged JSON, the line; a schema newer
   than this program's is refused too. */
bool machine_read(const char *path, struct machine *machine, struct pool *pool, struct problem *problem);
#endif
