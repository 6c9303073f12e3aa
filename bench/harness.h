/* harness.h: what the harness's own files share. Programs include bench.h instead.

   A run: main parses the options into struct options, expands the axes into measurements (one case and one variant),
   and hands them to supervise, which runs them in a worker process (inline with MPI), so that a crash, a hang or a
   poisoned CUDA context costs one row. The worker fills a struct outcome for each and writes its rows. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdio.h>

#include "bench.h"
#include "device.h"
#include "limits_host.h"
#include "ranks.h"
#include "statistics.h"

enum { EXIT_MEASURED = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_ABSENT = 3 };
enum { EXIT_RESTART = 65 }; /* of a worker or a launch that a fresh one has to go on for */
enum { FIGURES_MAX = 24, KEY_SIZE = 512, OUTPUTS_MAX = 8 };

enum status {
#define STATUS(identifier) STATUS_##identifier,
#include "statuses.def"
#undef STATUS
    STATUS_COUNT
};
extern const char *const status_names[STATUS_COUNT];
extern const char *const preset_names[PRESET_COUNT + 1];

struct metric_description {
    const char *name, *unit, *meaning;
    double scale;
    enum metric_form form;
    enum better better;
};
extern const struct metric_description metrics[METRIC_COUNT];

enum cache_mode { CACHE_COLD, CACHE_HOT };
enum pacing { PACING_SYNCHRONIZED, PACING_BACK_TO_BACK };
enum action { ACTION_MEASURE, ACTION_HELP, ACTION_SCHEMA, ACTION_LIST, ACTION_DESCRIBE, ACTION_VERSION };
enum place_choice { PLACES_ALL, PLACES_HOST, PLACES_DEVICE };

struct options {
    enum action action;
    enum preset preset;
    enum cache_mode cache;
    enum pacing pacing;
    enum place_choice places;
    const char *variants, *backends;     /* lists between commas, NULL: all */
    const char *axis_list[AXES_MAX];     /* the list given on the command line, NULL: the preset's */
    const char *out, *resume;            /* folders; out is set from resume too */
    bool failed_in_flight;
    bool zeros, inject_fault;
    double slowdown;                     /* share of its time by which a timed call is delayed on purpose; 0: none */
    uint64_t seed;
    int launch, threads, device;
    double time_cap, case_timeout;       /* seconds; 0: the preset's */
    size_t iterations;                   /* samples of a case; 0: as many as it takes */
    double network_rate;                 /* GB/s; 0: as the ports say */
    int warm_calls, graph_calls;         /* -1 and 0: as many as it takes */
    char command_line[1024];
};

/* A value list expanded. */
struct values {
    int64_t *value;
    size_t count;
};

struct measurement {
    const struct variant *variant;
    int64_t value[AXES_MAX];
    const char *absent; /* a device variant without a device: the reason, one row for the variant; else NULL */
};
struct plan {
    struct measurement *list;
    size_t count;
};

/* One line of an outcome. */
struct figure {
    enum metric metric;
    double value; /* in the metric's unit */
    struct limit limit;
    struct timing timing; /* of one call, seconds; count 0: none */
    double *seconds;      /* the samples; NULL: none, or those of an earlier figure */
};
struct outcome {
    enum status status;
    char reason[REASON_SIZE];
    struct work work;
    bool checked;
    struct verdict verdict;
    double memory, clock_mhz, power_w; /* bytes; negative: not known */
    int throttled;                     /* -1: not known */
    int figure_count;
    struct figure figures[FIGURES_MAX];
};

/* Shared between supervisor and workers (anonymous shared memory). */
enum phase { PHASE_IDLE, PHASE_SETUP, PHASE_CHECK, PHASE_TIMING, PHASE_WRITING };
extern const char *const phase_names[]; /* by phase */
struct summary {
    bool measured; /* by this process; false: from before a resume */
    enum status status;
    char reason[96];
    double value, limit_share, noise;
    enum metric metric;
};
struct shared {
    volatile size_t current; /* measurement under way, or count */
    volatile enum phase phase;
    volatile double started; /* of the current measurement, bench_seconds */
    double run_started;
    size_t finished, to_do;
    struct host_limits limits;
    bool limits_known;
    int device_count;
    char device_reason[REASON_SIZE];
    char device_name[128];
    int count[STATUS_COUNT];
    struct summary summaries[]; /* by measurement */
};

/* options.c */
void options_parse(int argc, char **argv, struct options *options); /* exits with 2 on a bad word */
void options_help(FILE *out);
void option_set(struct options *options, const char *name, const char *word); /* as --name word */
void option_name(const struct axis *axis, char *name, size_t size); /* the axis's option: '-' for '_' */
/* aliases.c: the flags of nccl-tests */
const char *aliases_short_options(void);           /* for getopt; "" where the program does not use ranks */
bool aliases_take(int letter, const char *word);   /* false: no such flag */
void aliases_apply(struct options *options);       /* after all options are read; exits with 2 on a bad word */
void aliases_help(FILE *out);
/* values.c: false with a one-line reason */
bool values_expand(const struct axis *axis, const char *list, struct values *values, char *reason);
const char *axis_list(const struct axis *axis, const struct options *options, int index, enum place place);
/* sweep.c */
size_t axis_count(void);
void sweep_plan(const struct options *options, int device_count, const char *device_reason, struct plan *plan);
void measurement_key(const struct options *options, const struct measurement *measurement, char key[KEY_SIZE]);
const char *measurement_mode(const struct options *options, const struct measurement *measurement);
bool calls_are_held(const struct options *options, const struct variant *variant); /* on a device, cache cold */
bool list_has(const char *list, const char *word);
/* turns.c: measurements that are timed in turn; most often there is one. */
enum { TURNS_MAX = 16 };
enum turn_end {
    TURN_OVER,  /* the outcome is one */
    TURN_ALONE, /* skipped while others held memory: to be measured anew without them */
    TURN_AGAIN, /* ended by another one's failure: to be measured anew by another worker */
};
struct turn {
    size_t index; /* in the plan */
    enum turn_end end;
    struct outcome outcome;
};
void measure(const struct options *options, struct shared *shared, const struct plan *plan, struct turn *turns,
             size_t count);
/* measure.c */
void outcome_release(struct outcome *outcome);
/* supervise.c */
int supervise(const struct options *options, const struct plan *plan, struct shared *shared);
/* progress.c */
void progress_line(const struct options *options, const struct plan *plan, struct shared *shared, size_t index);
void progress_table(const struct options *options, const struct plan *plan, const struct shared *shared);
void format_value(char *text, size_t size, double value, const char *unit);

/* One line on standard error, "program: message", and the exit status; rank 0 speaks for all. */
void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
extern int die_base; /* added to die's status: a worker's supervisor must tell it from other ends */
bool speaks(void); /* is this rank 0, as far as the launcher's environment or MPI tells */

#endif
