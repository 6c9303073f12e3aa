/* ranks.h: the ranks of a launch, through MPI where the program is linked with it (the collectives folder), else one.
   main.c and the timing code see this table only; the collectives see MPI itself through ranks_mpi.h. */
#ifndef BENCH_RANKS_H
#define BENCH_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rank_backend {
    const char *name;
    void (*start)(void);                          /* MPI_Init_thread */
    void (*finish)(void);
    int (*rank)(void);
    int (*size)(void);
    int (*local_rank)(void);                      /* on its node */
    int (*local_size)(void);                      /* how many ranks of the launch share its node */
    void (*maximum)(double *values, size_t count); /* element-wise over all ranks, in place */
    void (*broadcast)(void *bytes, size_t count);  /* from rank 0 */
    void (*barrier)(void);
    void (*abort)(int status) __attribute__((noreturn));
};
extern const struct rank_backend *const rank_backend; /* NULL: one rank */

/* Were all ranks given the same text (their options)? To be called by all ranks. If not, false on every rank with the
   same line in reason (REASON_SIZE): the lowest rank that differs from rank 0, and both texts from the first differing
   word on. */
bool ranks_agree(const char *text, char *reason);

#ifdef __cplusplus
}
#endif
#endif
