/* counters.c: the ladder PAPI -> perf_event_open -> clock only.

   Counts are of user code in every thread that the process has when counters_start is called, and in the threads that
   these create later. (Inheritance alone would miss the OpenMP team, which exists by then.) What a thread does while it
   spins at a barrier counts too. Counters are stopped outside begin and end, so that the timed calls pay nothing.

   A rung is kept if it counts a known loop, run by the whole team, as at least what the loop has: virtual machines
   offer counters that stay at zero, and a rung might see only one thread. */
#define _GNU_SOURCE 1 /* syscall */
#include "counters.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if HAVE_PAPI
#include <papi.h>
#endif

enum { THREADS_MAX = 512, EVENTS = 3, INSTRUCTIONS = 0, CYCLES, CACHE_MISSES, SOURCE_SIZE = 256 };

/* A rung: open writes its name, or why it is not to be had, into `found` (SOURCE_SIZE). total: counts so far of all
   threads; negative: not had. */
struct rung {
    bool (*open)(const int *thread, int threads, char *found);
    void (*start)(void);
    void (*stop)(void);
    void (*total)(double values[EVENTS]);
    void (*close)(void);
};

static const struct rung *chosen;
static char source[2 * SOURCE_SIZE] = "clock only: not started";
static double at_begin[EVENTS];

/* perf_event_open. No event groups: a group cannot be inherited and read whole, so each event has its descriptor. */
static int descriptors[THREADS_MAX][EVENTS];
static int perf_threads;

static int perf_open_event(int thread, int event) {
    static const uint64_t config[EVENTS] = {PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CPU_CYCLES,
                                            PERF_COUNT_HW_CACHE_MISSES};
    struct perf_event_attr attributes = {
        .size = sizeof attributes,
        .type = PERF_TYPE_HARDWARE,
        .config = config[event],
        .disabled = 1,
        .inherit = 1,
        .exclude_kernel = 1, /* what an ordinary user may count */
        .exclude_hv = 1,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
    };
    return (int)syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void perf_close(void) {
    for (int t = 0; t < perf_threads; t++)
        for (int event = 0; event < EVENTS; event++)
            if (descriptors[t][event] >= 0)
                close(descriptors[t][event]);
    perf_threads = 0;
}

static bool perf_open(const int *thread, int threads, char *found) {
    bool misses = true; /* few virtual machines have them: they may be missing, but then for every thread */
    for (perf_threads = 0; perf_threads < threads; perf_threads++) {
        int *descriptor = descriptors[perf_threads];
        for (int event = 0; event < EVENTS; event++)
            descriptor[event] = event == CACHE_MISSES && !misses ? -1 : perf_open_event(thread[perf_threads], event);
        misses = descriptor[CACHE_MISSES] >= 0;
        if (descriptor[INSTRUCTIONS] < 0 || descriptor[CYCLES] < 0) {
            bool none = errno == ENOENT || errno == EOPNOTSUPP;
            bool denied = errno == EACCES || errno == EPERM;
            snprintf(found, SOURCE_SIZE, "perf_event_open: %s",
                     none     ? "this machine shows no hardware counters"
                     : denied ? "not allowed (kernel.perf_event_paranoid or a container's filter)"
                              : strerror(errno));
            perf_threads++;
            perf_close();
            return false;
        }
    }
    snprintf(found, SOURCE_SIZE, "perf_event_open");
    return true;
}

static void perf_control(unsigned long request) {
    for (int t = 0; t < perf_threads; t++)
        for (int event = 0; event < EVENTS; event++)
            if (descriptors[t][event] >= 0)
                ioctl(descriptors[t][event], request, 0);
}

static void perf_start(void) {
    perf_control(PERF_EVENT_IOC_ENABLE);
}

static void perf_stop(void) {
    perf_control(PERF_EVENT_IOC_DISABLE);
}

static void perf_total(double values[EVENTS]) {
    for (int event = 0; event < EVENTS; event++) {
        values[event] = 0;
        for (int t = 0; t < perf_threads; t++) {
            uint64_t count[3]; /* value, time enabled, time running: less than enabled where counters are shared */
            if (descriptors[t][event] < 0 || read(descriptors[t][event], count, sizeof count) != sizeof count) {
                values[event] = -1;
                break;
            }
            if (count[2] > 0)
                values[event] += (double)count[0] * ((double)count[1] / (double)count[2]);
        }
    }
}

static const struct rung perf_rung = {perf_open, perf_start, perf_stop, perf_total, perf_close};

#if HAVE_PAPI
/* PAPI: an event set for each thread, attached to it. */
static int event_sets[THREADS_MAX];
static int papi_threads, papi_events;

static void papi_close(void) {
    for (int t = 0; t < papi_threads; t++) {
        PAPI_cleanup_eventset(event_sets[t]);
        PAPI_destroy_eventset(&event_sets[t]);
    }
    papi_threads = 0;
    PAPI_shutdown();
}

/* Returns PAPI's status. */
static int papi_open_thread(int thread, int *set) {
    PAPI_option_t inherit = {.inherit = {.inherit = PAPI_INHERIT_ALL}};
    int status = PAPI_create_eventset(set);
    if (status == PAPI_OK)
        status = PAPI_assign_eventset_component(*set, 0);
    inherit.inherit.eventset = *set;
    if (status == PAPI_OK)
        PAPI_set_opt(PAPI_INHERIT, &inherit); /* only for threads that come later */
    if (status == PAPI_OK && thread != (int)getpid())
        status = PAPI_attach(*set, (unsigned long)thread);
    if (status == PAPI_OK)
        status = PAPI_add_event(*set, PAPI_TOT_INS);
    if (status == PAPI_OK)
        status = PAPI_add_event(*set, PAPI_TOT_CYC);
    if (status == PAPI_OK && papi_events == EVENTS && PAPI_add_event(*set, PAPI_L3_TCM) != PAPI_OK)
        papi_events = CACHE_MISSES; /* many processors have no such event for one core */
    return status;
}

static bool papi_open(const int *thread, int threads, char *found) {
    int version = PAPI_library_init(PAPI_VER_CURRENT);
    if (version != PAPI_VER_CURRENT) {
        snprintf(found, SOURCE_SIZE, "PAPI: %s",
                 version > 0 ? "another version than it was built with" : "did not start");
        return false;
    }
    PAPI_set_debug(PAPI_QUIET);
    papi_events = EVENTS;
    int status = PAPI_OK;
    for (papi_threads = 0; papi_threads < threads && status == PAPI_OK; papi_threads++) {
        event_sets[papi_threads] = PAPI_NULL;
        status = papi_open_thread(thread[papi_threads], &event_sets[papi_threads]);
    }
    if (status != PAPI_OK) {
        snprintf(found, SOURCE_SIZE, "PAPI: %s", PAPI_strerror(status));
        papi_close();
        return false;
    }
    snprintf(found, SOURCE_SIZE, "PAPI %d.%d", PAPI_VERSION_MAJOR(version), PAPI_VERSION_MINOR(version));
    return true;
}

static double papi_sum[EVENTS];

static void papi_start(void) {
    for (int t = 0; t < papi_threads; t++)
        PAPI_start(event_sets[t]);
}

static void papi_stop(void) {
    for (int t = 0; t < papi_threads; t++) {
        long long counts[EVENTS] = {0};
        if (PAPI_stop(event_sets[t], counts) != PAPI_OK)
            continue;
        for (int event = 0; event < papi_events; event++)
            papi_sum[event] += (double)counts[event];
    }
}

static void papi_total(double values[EVENTS]) {
    memcpy(values, papi_sum, sizeof papi_sum);
    if (papi_events < EVENTS)
        values[CACHE_MISSES] = -1;
}

static const struct rung papi_rung = {papi_open, papi_start, papi_stop, papi_total, papi_close};
static const struct rung *const ladder[] = {&papi_rung, &perf_rung};
#else
static const struct rung *const ladder[] = {&perf_rung};
#endif

/* Two instructions a turn: a subtraction and a jump. */
static void known_loop(long turns) {
#if defined __x86_64__
    __asm__ volatile("1: sub $1, %0\n\tjnz 1b" : "+r"(turns) : : "cc");
#elif defined __aarch64__
    __asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(turns) : : "cc");
#else
    for (; turns > 0; turns--)
        __asm__ volatile("" : "+r"(turns));
#endif
}

static bool counts_known_loop(const struct rung *rung) {
    enum { TURNS = 1000000 };
    double before[EVENTS], after[EVENTS];
    int team = 0;
    rung->total(before);
    rung->start();
#pragma omp parallel reduction(+ : team)
    {
        known_loop(TURNS);
        team++;
    }
    rung->stop();
    rung->total(after);
    double instructions = after[INSTRUCTIONS] - before[INSTRUCTIONS], cycles = after[CYCLES] - before[CYCLES];
    /* The upper bound is a wild one: a team spins at the end of a region for as long as its slowest thread takes. */
    double wild = 1000.0 * TURNS * team;
    return instructions >= 2.0 * TURNS * team && instructions < wild && cycles >= 0.2 * TURNS * team && cycles < wild;
}

/* The threads of this process. Returns how many, at most THREADS_MAX + 1. */
static int list_threads(int thread[THREADS_MAX]) {
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    while (folder != NULL && count <= THREADS_MAX && (entry = readdir(folder)) != NULL) {
        int number = atoi(entry->d_name);
        if (number > 0 && count < THREADS_MAX)
            thread[count] = number;
        count += number > 0;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

void counters_finish(void) {
    if (chosen != NULL)
        chosen->close();
    chosen = NULL;
}

void counters_start(void) {
    int thread[THREADS_MAX], threads = list_threads(thread);
    size_t length = (size_t)snprintf(source, sizeof source, "clock only: ");
    counters_finish();
    if (threads == 0 || threads > THREADS_MAX) {
        snprintf(source + length, sizeof source - length, "%d threads are not from 1 to %d", threads, THREADS_MAX);
        return;
    }
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        char found[SOURCE_SIZE];
        if (ladder[i]->open(thread, threads, found)) {
            if (counts_known_loop(ladder[i])) {
                chosen = ladder[i];
                snprintf(source, sizeof source, "%s", found);
                return;
            }
            ladder[i]->close();
            strncat(found, ": did not count a known loop", sizeof found - strlen(found) - 1);
        }
        length = strlen(source);
        snprintf(source + length, sizeof source - length, "%s%s", i > 0 ? "; " : "", found);
    }
}

const char *counters_source(void) {
    return source;
}

void counters_begin(void) {
    if (chosen == NULL)
        return;
    chosen->total(at_begin);
    chosen->start();
}

void counters_end(struct counter_values *values) {
    *values = (struct counter_values){false, -1, -1, -1};
    if (chosen == NULL)
        return;
    double now[EVENTS], difference[EVENTS];
    chosen->stop();
    chosen->total(now);
    for (int event = 0; event < EVENTS; event++)
        difference[event] = now[event] < 0 || at_begin[event] < 0 ? -1 : now[event] - at_begin[event];
    *values = (struct counter_values){true, difference[INSTRUCTIONS], difference[CYCLES], difference[CACHE_MISSES]};
}

/* Additions of a register, each of which needs the sum before it: one clock each. An immediate operand would not do:
   newer cores add small constants while they rename registers, several in a clock. */
static void dependent_additions(long times_64) {
    uint64_t sum = 1, addend = 3;
    for (long i = 0; i < times_64; i++) {
#if defined __x86_64__
        __asm__ volatile(".rept 64\n\tadd %1, %0\n\t.endr" : "+r"(sum) : "r"(addend) : "cc");
#elif defined __aarch64__
        __asm__ volatile(".rept 64\n\tadd %0, %0, %1\n\t.endr" : "+r"(sum) : "r"(addend));
#else
#pragma GCC unroll 64
        for (int j = 0; j < 64; j++) {
            sum += addend;
            __asm__ volatile("" : "+r"(sum));
        }
#endif
    }
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double counters_clock(void) {
    enum { PIECES = 5, TURNS = 500, ADDITIONS = 64 * TURNS }; /* a piece is about 10 us at 3 GHz */
    double fastest = 1e9; /* of several: one that was interrupted says nothing about the clock */
    for (int piece = 0; piece < PIECES; piece++) {
        double start = seconds_now();
        dependent_additions(TURNS);
        double seconds = seconds_now() - start;
        fastest = seconds < fastest ? seconds : fastest;
    }
    return fastest > 0 ? ADDITIONS / fastest : 0;
}
