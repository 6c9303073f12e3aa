/* documented_latency.h: what is published of the latency of a processor's caches: by its vendor, or, of Intel's, which
   say nothing of them, by others who measured; a limit's source tells which. */
#ifndef KERNELS_DOCUMENTED_LATENCY_H
#define KERNELS_DOCUMENTED_LATENCY_H

#include <stddef.h>

#include "bench/bench.h"

/* Seconds are not published, clocks are: value is the clocks of a dependent load (load to use, of an integer) from the
   cache that holds `bytes` with room to spare. {0, NULL}: of this processor or this level nothing is known. */
struct limit documented_latency(size_t bytes);

/* The same for a processor and caches that are named. caches: bytes of the first and second level. */
struct limit documented_latency_of(const char *vendor, int family, int model, const size_t caches[2], size_t bytes);

#endif
