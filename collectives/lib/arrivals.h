/* arrivals.h: who of a group has come to a place, told by remote memory access: each rank has one number in a window of
   its own, which the others read without its help. */
#ifndef COLLECTIVES_ARRIVALS_H
#define COLLECTIVES_ARRIVALS_H

#include <mpi.h>
#include <stdbool.h>

/* Collective over the group; of a rank outside it (MPI_COMM_NULL) nothing is asked, now or below. */
void arrivals_open(MPI_Comm group);
bool arrivals_known(void);      /* false: MPI has no remote access between these ranks */
void arrivals_tell(int value);  /* this rank's number; what cannot be told is not */
void arrivals_read(int *values); /* everybody's, by rank in the group */
void arrivals_close(void);      /* collective; also where nothing was opened */

#endif
