/* counters.h: the ladder PAPI -> perf_event_open -> clock only. Never an error: counters_source says what there is. */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include <stdbool.h>

struct counter_values {
    bool valid;
    double instructions, cycles, cache_misses; /* of user code in all threads that counters_start found and in those
                                                  they made since; a negative value: this one was not to be had */
};
void counters_start(void);            /* tries to count a known loop; keeps the first rung that gives sane numbers. Call
                                         it after topology_bind_team, in the process that measures */
void counters_finish(void);           /* lets go what start took */
const char *counters_source(void);    /* "PAPI 7.0", "perf_event_open", "clock only: <why>" */
void counters_begin(void);
void counters_end(struct counter_values *values);
double counters_clock(void);          /* Hz now, by a dependent-add chain of about 50 us on the calling thread */
#endif
