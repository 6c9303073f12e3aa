/* limits_host.h: what this processor can do at most, measured, since no datasheet rule holds for memory and clocks of
   every host: the ceiling that host rows are held against. */
#ifndef BENCH_LIMITS_HOST_H
#define BENCH_LIMITS_HOST_H

struct host_limits {
    double bandwidth;  /* bytes/s: the best of reading, copying and triad with streaming stores; 0: no memory for it */
    double fp32, fp64; /* FLOP/s: independent chains of fused multiply-adds in the widest vectors compiled for */
};
/* Takes about half a second on `threads` threads, pinned by topology_bind_team before. Arrays are four times the
   last-level caches each where a quarter of the memory to be had allows. */
void host_limits_measure(struct host_limits *limits, int threads);
#endif
