/* store.h: results of many runs in one SQLite file. */
#ifndef REPORTS_STORE_H
#define REPORTS_STORE_H

#include "pool.h"
#include "problem.h"
#include "result.h"

enum { FILTERS_MAX = 32, STORE_SCHEMA = 1 };

struct store;
enum store_mode { STORE_READ, STORE_CREATE };
/* false: problem (no such file, no database, one of something else, one of a newer schema); *store is NULL then. */
bool store_open(const char *path, enum store_mode mode, struct store **store, struct problem *problem);
void store_close(struct store *store);

/* Adds a run, or replaces the one of the same host and moment where it has other rows now (a run that was resumed).
   What is not measured stays out. A run without a date is refused. */
enum store_outcome { STORE_ADDED, STORE_REPLACED, STORE_KNOWN };
bool store_import(struct store *store, const struct result *result, enum store_outcome *outcome,
                  struct problem *problem);
/* Takes a run out again; false: there is none of that number. */
bool store_forget(struct store *store, long run, struct problem *problem);

/* name=value: a column of the case (suite, program, variant, backend, dtype, ranks, mode, metric), an axis by its name,
   or host, device, driver, hardware, run; since and until take the beginning of a date. Several values between commas;
   filters hold together. */
struct filter {
    const char *name, *value;
};
/* Is there such a column, axis or word? Else problem names the valid ones. */
bool store_filters_check(struct store *store, const struct filter *filters, size_t count, struct problem *problem);

struct store_run {
    long number;
    const char *host, *created, *hardware, *accelerator, *driver, *commit, *folder;
    long rows;
};
/* The runs that filters let through, oldest first; strings live in pool. */
bool store_runs(struct store *store, const struct filter *filters, size_t count, struct pool *pool,
                struct store_run **runs, size_t *run_count, struct problem *problem);

/* A case on one machine over time: its median of each run. */
struct observation {
    size_t run; /* index among the runs of the same call */
    double value;
    int launches;
};
struct history {
    const char *label, *program, *variant, *metric, *unit, *device, *hardware;
    int better; /* enum better */
    struct observation *observations;
    size_t count;
};
struct histories {
    struct store_run *runs;
    size_t run_count;
    struct history *list;
    size_t count;
    struct pool pool;
};
/* The histories that filters let through; runs are told apart by hardware, so that each is of one kind of machine.
   Release in either case. */
bool store_histories(struct store *store, const struct filter *filters, size_t count, struct histories *histories,
                     struct problem *problem);
void histories_release(struct histories *histories);
#endif
