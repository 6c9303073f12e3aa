/* interruptions.h: did the threads of this process have their cores while they were timed? On a shared or virtual
   machine they may not, and a figure taken then says little. From Linux's accounts: how long runnable threads waited
   for a core (/proc/self/task/N/schedstat), and what the hypervisor gave to others (steal in /proc/stat, all cores). */
#ifndef BENCH_INTERRUPTIONS_H
#define BENCH_INTERRUPTIONS_H

/* Seconds lost so far, over all threads; only differences mean anything. 0 where the system keeps no such accounts. */
double interruptions_lost(void);

#endif
