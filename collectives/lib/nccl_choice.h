/* nccl_choice.h: which algorithm and protocol NCCL chose for a call. */
#ifndef COLLECTIVES_NCCL_CHOICE_H
#define COLLECTIVES_NCCL_CHOICE_H

#include "bench/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Around the one call of a case that is checked, never around timed ones: NCCL tells its choice to a file, whose line
   becomes the note of the measurement ("algorithm RING, protocol LL, 2 channels"). Nothing where somebody has set
   NCCL_DEBUG, where this NCCL cannot be told twice, or for sends and receives, which have no choice. */
void nccl_choice_begin(struct run *run);
void nccl_choice_end(struct run *run);

#ifdef __cplusplus
}
#endif
#endif
