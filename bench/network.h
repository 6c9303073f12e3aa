/* network.h: the rate of this node's network. */
#ifndef BENCH_NETWORK_H
#define BENCH_NETWORK_H

#include "bench.h"

/* Bytes a second in one direction, 0 where no port tells it. `sysfs` is "/sys". */
struct limit network_bandwidth(const char *sysfs);

#endif
