/* arrivals.c: see arrivals.h.
 * needs: mpi
 */
#include "collectives/lib/arrivals.h"

static struct {
    MPI_Win window;
    int *own; /* this rank's number, which the window holds */
    int rank, ranks;
} arrivals = {.window = MPI_WIN_NULL};

void arrivals_open(MPI_Comm group) {
    if (group == MPI_COMM_NULL) return;
    MPI_Comm_rank(group, &arrivals.rank);
    MPI_Comm_size(group, &arrivals.ranks);
    MPI_Comm_set_errhandler(group, MPI_ERRORS_RETURN);
    int status = MPI_Win_allocate(sizeof *arrivals.own, sizeof *arrivals.own, MPI_INFO_NULL, group, &arrivals.own,
                                  &arrivals.window);
    MPI_Comm_set_errhandler(group, MPI_ERRORS_ARE_FATAL);
    if (status != MPI_SUCCESS) arrivals.window = MPI_WIN_NULL;
}

bool arrivals_known(void) { return arrivals.window != MPI_WIN_NULL; }

void arrivals_tell(int value) {
    if (!arrivals_known()) return;
    MPI_Win_lock(MPI_LOCK_EXCLUSIVE, arrivals.rank, 0, arrivals.window);
    MPI_Put(&value, 1, MPI_INT, arrivals.rank, 0, 1, MPI_INT, arrivals.window);
    MPI_Win_unlock(arrivals.rank, arrivals.window);
}

void arrivals_read(int *values) {
    for (int peer = 0; peer < arrivals.ranks; peer++) {
        MPI_Win_lock(MPI_LOCK_SHARED, peer, 0, arrivals.window);
        MPI_Get(&values[peer], 1, MPI_INT, peer, 0, 1, MPI_INT, arrivals.window);
        MPI_Win_unlock(peer, arrivals.window);
    }
}

void arrivals_close(void) {
    if (arrivals_known()) MPI_Win_free(&arrivals.window);
}
