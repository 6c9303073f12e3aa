/* libraries.h: which versions of libraries a run uses, for the manifest. */
#ifndef BENCH_LIBRARIES_H
#define BENCH_LIBRARIES_H

struct cJSON;

/* Adds a text for each library to this object: its version, and where another one is loaded than the programs were
   compiled against, both. Starts no thread and leaves no driver open. */
void libraries_describe(struct cJSON *object);
#endif
