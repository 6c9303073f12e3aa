/* topology.h: the machine by hwloc: what we may use, binding, memory, and the export as XML. */
#ifndef BENCH_TOPOLOGY_H
#define BENCH_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void topology_start(void);                 /* idempotent; restricts to what the process may use */
int topology_cores(void);                  /* usable cores (one hardware thread each counts once) */
const char *topology_processor(void);      /* "AMD EPYC 9575F", never empty */
int topology_machine_cores(void);          /* cores that are ours in this boot or container, whatever this process (a
                                              rank bound by its launcher) is bound to */
bool topology_processor_field(const char *key, char *value, size_t size); /* of the first processor in /proc/cpuinfo,
                                              spaces made single; false: no such key */
size_t topology_cache(int level);          /* bytes of one cache of this level, 0: none */
size_t topology_last_cache_total(void);    /* bytes of all last-level caches together */
int topology_numa_nodes(void);
/* Pins the calling thread and its OpenMP team of `threads`, thread i to core i (to hardware thread i where there are
   more threads than cores; nowhere where there are more than those). Call it in the process that measures, after a
   fork, and again after a parallel region of another size: libgomp ends the threads that a smaller team does not need,
   and threads that a pinned thread creates inherit its one core (topology_unbind_thread lets the caller loose). Also
   makes `threads` the size of parallel regions that name none. */
void topology_bind_team(int threads);
void topology_unbind_thread(void);         /* the calling thread may run on every usable core again */
void topology_bind_near(const char *pci_address); /* ranks: this process near its device; no-op if unknown */
void topology_take_share(int part, int parts); /* ranks of a node: this process on its own part of the usable cores;
                                                  no-op if the cores are fewer than the parts */
size_t topology_memory_available(void);    /* bytes one may take now: MemAvailable, cgroups and rlimits considered */
/* Of the limits alone: memberships as in /proc/self/cgroup, controllers mounted below `mount` (/sys/fs/cgroup); version
   2 and 1; page cache that the kernel would drop counts as free. SIZE_MAX: no limit. */
size_t topology_cgroup_available(const char *memberships, const char *mount);
bool topology_export(const char *path, char *reason); /* hwloc's XML; reason has REASON_SIZE bytes */

#ifdef __cplusplus
}
#endif
#endif
