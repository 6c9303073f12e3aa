/* peer_memory.h: the outputs of other ranks' devices, mapped here, so that a copy engine can write to them. */
#ifndef COLLECTIVES_PEER_MEMORY_H
#define COLLECTIVES_PEER_MEMORY_H

#include "collectives/lib/collective.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For variant.setup, after the buffers are allocated, on every rank of the launch, all of which take part: maps every
   rank's output, by rank, into run->device_state, a void *[]; its own entry is its own output. Skips on every rank
   alike where the ranks are on several nodes or some mapping fails. */
void peer_memory_open(struct run *run);
void *const *peer_memory(const struct run *run);

/* For variant.release: lets the mappings go, on all ranks before any of them frees its output. */
void peer_memory_close(struct run *run);

#ifdef __cplusplus
}
#endif
#endif
