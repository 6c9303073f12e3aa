/* manifest.h: manifest.json of a result folder: machine, libraries, compiler, flags, commit, clocks, an allow-list of
   environment variables, and the fingerprints of hardware and software that compare and --resume go by. */
#ifndef BENCH_MANIFEST_H
#define BENCH_MANIFEST_H

#include <stdbool.h>

/* Writes folder/manifest.json and folder/topology.xml, each whole or not at all (temporary name, then rename), unless
   they are there. Returns false with one line in reason (REASON_SIZE). arguments: the run's own options, for the
   record. Starts no thread and leaves no driver open: the process may fork afterwards. */
bool manifest_write(const char *folder, const char *arguments, char *reason);
/* Is folder/manifest.json of this machine? false with one line in reason: damaged, newer schema, or other hardware
   (both named). A folder without a manifest is an error too. */
bool manifest_check(const char *folder, char *reason);
/* What manifest_write writes, for the caller to free; NULL: no memory. */
char *manifest_text(const char *arguments);
#endif
