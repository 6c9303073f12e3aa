/* lifeline.h: how a launch notices that one of its ranks died, hangs or never came. MPI says nothing of it: its calls
   wait for ever, and the launcher kills everybody without a word in the results.

   Each rank has a thread that holds a TCP connection to rank 0 and says four times a second what its rank is at. Rank 0
   sees a connection break at once (a rank killed by a signal) or fall silent (a rank stopped, a node lost), and knows
   at the time limit of a case who is behind. If it is rank 0 that is lost, rank 1 sees that and writes the row.

   The thread also takes SIGTERM, by which a launcher ends the others after a rank has died: before it lets it act, it
   looks whether somebody's connection broke. Ranks told to end say so on theirs, and are not taken for dead. */
#ifndef BENCH_LIFELINE_H
#define BENCH_LIFELINE_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of the case under way: status timeout or failed, and a reason that names rank and host. Called on the
   one rank that writes, by the thread; the launch is aborted when it returns. */
typedef void lifeline_verdict(enum status status, const char *reason);

/* Before the ranks are started: from now on SIGTERM is the thread's, and ranks that have not all come within `limit`
   seconds end, after `verdict` on the one that speaks. */
void lifeline_arrive(double limit, lifeline_verdict *verdict);
/* After it, on all ranks together. */
void lifeline_connect(void);
/* The cases begin: shared->phase and shared->started are watched from now on. */
void lifeline_watch(struct shared *shared, double limit, lifeline_verdict *verdict);
/* This rank's case failed, while the others wait for it: has rank 0 write the row (rank 0 has done it itself). */
void lifeline_fail(const char *reason) __attribute__((noreturn));
/* This rank is about to end, and all is well. */
void lifeline_leave(void);

/* This rank ends for this reason, by die(). */
void lifeline_die(const char *reason);

/* Where libraries hold what other ranks wait in (NCCL's communicators): called before a launch is aborted, by the
   thread; may take its time, as it is cut off. */
extern void (*lifeline_before_abort)(void);

#ifdef __cplusplus
}
#endif

#endif
