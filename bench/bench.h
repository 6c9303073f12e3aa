/* bench.h: what a benchmark program sees of the harness. See bench/README.md for the guided tour.

   The harness owns main. A program is NAME.c that defines `const struct bench bench` and, where it has device code,
   NAME.cu that defines `const struct variant cuda_variants[]`, a table that ends with an entry whose name is NULL.
   For every case (one value of each axis) and every variant the harness calls, in this order:

     decline (bench, then variant)   a reason makes a row `skipped` and ends the measurement
     bench.setup, variant.setup      allocate with bench_alloc / bench_device_alloc, fill with seeded data
     [outputs poisoned] variant.reset, variant.run, variant.fetch, bench.check     first correct,
     variant.run, many times         then timed
     variant.release, bench.release  also after an early end, so that setup may be half done; what bench_alloc gave is
                                     freed by the harness

   A variant with `measure` instead of `run` reports its own figures between setup and check.
   Callbacks never print, never exit; run never allocates. bench_skip and bench_fail end the measurement with a reason.
   Units: bytes, seconds, hertz, FLOP; never scaled until a row is written. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

enum { AXES_MAX = 16, RATES_MAX = 4, SETTINGS_MAX = 4 };

enum preset { PRESET_SMOKE, PRESET_QUICK, PRESET_FULL, PRESET_COUNT };
enum place { PLACE_HOST, PLACE_DEVICE };
enum better { HIGHER, LOWER, NEITHER };
enum metric_form { RATE, TIME, PLAIN };
enum metric {
#define METRIC(identifier, unit, scale, form, better, meaning) METRIC_##identifier,
#include "metrics.def"
#undef METRIC
    METRIC_COUNT
};

/* An axis is a column and a command-line option of the same name (--name with '_' written '-').
   A value list is items between commas. Integer items: 64, 4k, 2M, 1g (powers of 1024), a:b:f (a, a*f, .. up to b),
   a:b:+s (a, a+s, .. up to b), max, powers (1, 2, 4 .. max), where max is what available() returns; a:max is a where
   a is beyond it.
   Word items: one of words, or all. */
enum axis_kind { AXIS_INTEGER, AXIS_WORD };
struct axis {
    const char *name;
    const char *help;
    enum axis_kind kind;
    const char *host[PRESET_COUNT];   /* value list of each preset for variants on the host */
    const char *device[PRESET_COUNT]; /* the same for variants on a device; NULL: as host */
    const char *const *words;         /* AXIS_WORD: the valid words, ended by NULL */
    int64_t minimum, maximum;         /* AXIS_INTEGER: inclusive; both 0: 1 .. INT64_MAX */
    int64_t (*available)(void);       /* AXIS_INTEGER: the meaning of max; NULL: max is not a value */
};

/* What one call of the case moves and does, and the rates to report; filled by bench.describe. */
struct limit {
    double value;       /* in the base unit of the metric (bytes/s, FLOP/s; seconds for TIME); 0: none known */
    const char *source; /* how it is known: "datasheet clock", "measured copy", ...; static storage */
};
struct rate {
    enum metric metric;
    double amount; /* RATE: bytes or FLOP of one call. TIME: accesses or operations in one call */
    struct limit limit;
};
struct work {
    double bytes; /* read + written by one call, by the definition */
    double flops; /* of one call, by the definition */
    int rate_count;
    struct rate rates[RATES_MAX];
};

/* The verdict of a check: right if and only if error <= tolerance (a NaN error is wrong). */
struct verdict {
    double error;
    double tolerance;
};

struct CUstream_st;
struct run {
    const struct bench *bench;
    const struct variant *variant;
    const int64_t *value; /* by index in bench->axes; for AXIS_WORD the index in words */
    enum preset preset;
    uint64_t seed;
    bool zeros;        /* --data zeros */
    bool captured;     /* --cache hot: device calls are timed in captured graphs */
    bool inject_fault; /* the harness corrupts registered outputs itself; a measure variant without them must do it */
    int threads;       /* --threads, or every core allowed to us */
    double budget;     /* seconds that a measure variant should take */
    double case_timeout; /* seconds after which the harness ends this measurement */
    int rank, rank_count; /* of the launch; 0 of 1 without ranks */
    struct CUstream_st *stream; /* device variants enqueue here; the harness times this stream */
    void *state;       /* the program's own, from bench_alloc, usually set by bench.setup */
    void *device_state; /* the same for the .cu */
};

struct variant {
    const char *name;    /* unique within the program */
    const char *backend; /* c, openmp, openblas, mpi, cuda, cublaslt, cudnn, nccl */
    enum place place;
    const char *(*decline)(const struct run *run); /* optional: NULL, or why this case is not for this variant */
    void (*setup)(struct run *run);                /* optional */
    void (*reset)(struct run *run);   /* optional: restore inputs that run overwrites, before the checked call */
    void (*run)(struct run *run);     /* one call; on a device: enqueue on run->stream and return */
    void (*fetch)(struct run *run);   /* optional: bring the output to where bench.check reads it */
    void (*measure)(struct run *run); /* instead of run */
    void (*release)(struct run *run); /* optional */
    bool (*covers)(const struct run *run); /* optional, like bench.covers */
    bool staged;                      /* the checked call waits on purpose: its time is not a first call's */
    bool no_graph;                    /* waits inside: neither captured nor held; --cache hot: calls back-to-back */
    /* The variants of one case that say so, and stand together in the table, are all set up and checked, then timed in
       turn, a few calls of each at a time: for calls that heat the device, whose clock falls and rises with what ran
       before. Their memory is held together. With ranks, and with --inject-slowdown, each is timed alone. */
    bool in_turn;
};

/* An option of one program that is no axis: --name ARGUMENT. set is called once, before anything is measured; false
   with one line in reason (512 bytes) ends the program as bad usage. */
struct setting {
    const char *name, *argument, *help;
    bool (*set)(const char *word, char *reason);
};

struct bench {
    const char *suite;    /* the folder: kernels, collectives, attention, lra_tasks */
    const char *name;     /* the program */
    const char *question; /* one line, ends with a question mark */
    const struct axis *axes;
    const struct variant *variants; /* host variants; may be empty, never NULL */
    const char *(*decline)(const struct run *run);
    /* Optional: false leaves a case out of a preset without a row, where the product of the axes holds what nobody asks
       about. Not asked once an axis is given on the command line: what is asked for is measured or declined. Sees
       bench, variant, value and preset alone. */
    bool (*covers)(const struct run *run);
    void (*describe)(const struct run *run, struct work *work);
    void (*setup)(struct run *run);
    void (*check)(struct run *run, struct verdict *verdict);
    void (*release)(struct run *run);
    bool ranks; /* started once a rank by an MPI launcher; see ranks.h */
    const struct setting *settings; /* optional, ended by an entry whose name is NULL; at most SETTINGS_MAX */
};

extern const struct bench bench;
extern const struct variant cuda_variants[]; /* the archive holds an empty table */

/* Memory of one measurement, freed by the harness after release. Host memory is zeroed, 2 MiB aligned and on huge pages
   where the system has them (page aligned below 2 MiB), first touched
   by the pinned threads that will use it (a static split). Too large for the machine: the measurement becomes a row
   `skipped` with the sizes; the call does not return. */
void *bench_alloc(struct run *run, size_t bytes);
void *bench_device_alloc(struct run *run, size_t bytes); /* 512-byte aligned; only in programs with a .cu */

/* Registers an output of run. Before the checked call it is filled with 0xff bytes (NaN in every floating format, -1
   in integers) unless in_place says that it holds inputs too; --inject-fault corrupts a contiguous sixteenth of it.
   The same pointer again takes the place of the earlier one: a measure variant may come to use less of it. */
void bench_output(struct run *run, void *pointer, size_t bytes, enum place place, bool in_place);

/* End the measurement with a row `skipped` or `failed` and a printf-style reason; they do not return. */
void bench_skip(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void bench_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* Adds to the reason of the rows, printf-style, what else there is to know of a measurement that succeeds. */
void bench_note(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For measure variants: one row. Samples: seconds of one call each, in the order taken; the value comes from their
   median and `amount` as for struct rate. Plain: a number that is no time. limit may be {0, NULL}. */
void bench_report_samples(struct run *run, enum metric metric, double amount, const double *seconds, size_t count,
                          struct limit limit);
void bench_report_plain(struct run *run, enum metric metric, double value, struct limit limit);

/* For measure variants that compare: samples of `call` as the harness takes them of a variant's run (warm-up, pacing,
   stopping rule), in at most about `cap` seconds. *seconds is one sample each, of one call; the caller frees it. */
size_t bench_time_call(struct run *run, void (*call)(struct run *run), double cap, double **seconds);

/* Helpers for the callbacks. */
enum dtype bench_dtype(const struct run *run);            /* the value of the axis named dtype */
const char *bench_word(const struct run *run, int axis);  /* the word of an AXIS_WORD value */
int64_t bench_threads_available(void);                    /* cores this process may use */
double bench_seconds(void);                               /* monotonic clock, seconds */
void bench_add_rate(struct work *work, enum metric metric, double amount, struct limit limit);

/* Limits of the place the variant runs on. Host: measured once a run by copies and FMA chains on all threads.
   Device: from its properties (memory clock x bus width; FLOP per clock and SM x SMs x boost clock). */
struct limit limit_memory_bandwidth(const struct run *run);
struct limit limit_flop_rate(const struct run *run, enum dtype dtype);
struct limit limit_link_bandwidth(const struct run *run); /* one device to its peers, one direction; host: memory / 2 */
struct limit limit_host_link_bandwidth(const struct run *run); /* a device's to the host, one direction; host: none */
struct limit limit_network_bandwidth(const struct run *run); /* of a node, one way: --network-rate, or its ports */

/* Host programs' own errors: prints file, line, expression and ends the measurement as failed. */
#define BENCH_CHECK(run, expression)                                                                                   \
    do {                                                                                                               \
        if (!(expression)) bench_fail(run, "%s:%d: %s", __FILE__, __LINE__, #expression);                             \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
