/* mpi_calls.h: what variants on host memory share: number formats and operations in MPI's terms, buffers, and the
   comparison with a hand-timed loop. */
#ifndef COLLECTIVES_MPI_CALLS_H
#define COLLECTIVES_MPI_CALLS_H

#include "collectives/lib/collective.h"

MPI_Datatype mpi_type(enum dtype dtype);       /* MPI_DATATYPE_NULL: MPI cannot calculate with it */
MPI_Datatype mpi_moved_type(enum dtype dtype); /* of the same size, for collectives that only move data */
MPI_Op mpi_operation(enum operation operation); /* MPI_OP_NULL: MPI has no such operation */

/* For variant.decline: of a reduction by `operation`; of a collective that moves data (OPERATION_MOVE, or
   mpi_decline_move). All also decline messages with more elements than MPI's int counts. */
const char *mpi_decline(const struct run *run, enum operation operation);
const char *mpi_decline_move(const struct run *run);
void mpi_setup(struct run *run); /* buffers */
void mpi_reset(struct run *run); /* input filled, everything else poisoned with 0xff bytes */

/* The variant `mpi`: run_mpi, declined by the function named. */
#define MPI_VARIANT(declines)                                                                                          \
    {.name = "mpi", .backend = "mpi", .place = PLACE_HOST, .decline = declines, .setup = mpi_setup,                    \
     .reset = mpi_reset, .run = run_mpi}

/* For variant.measure: is what the harness measures what a plain loop around the call measures? Rounds of both take
   turns in one run, so that a machine that slows down slows both: the harness's own samples of `call`, and a loop as
   OSU's (barrier, MPI_Wtime, call, MPI_Wtime; maximum over ranks). Reports `ratio`, the median over the rounds of the
   harness's median over the loop's, and the loop's call_time. The harness's default --pacing synchronized is assumed;
   under back_to_back the ratio shows what the barrier costs. */
void mpi_measure_paired(struct run *run, void (*call)(struct run *run));

#endif
