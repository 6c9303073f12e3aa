/* ranks_mpi.c: the ranks of a launch by MPI, started by mpirun or srun; without a launcher MPI gives one rank.
 * needs: mpi
 */
#include "ranks_mpi.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ranks.h"

static int world_rank, world_size = 1, rank_on_node, ranks_on_node = 1;
static int *node;        /* by rank of the launch */
static MPI_Comm *group;  /* by number of ranks, once split */
static bool *group_made; /* a group that does not hold this rank is MPI_COMM_NULL and made all the same */

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "ranks_mpi: no memory for the tables of %d ranks\n", world_size);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return memory;
}

static void find_nodes(void) {
    MPI_Comm shared;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world_rank, MPI_INFO_NULL, &shared);
    MPI_Comm_rank(shared, &rank_on_node);
    MPI_Comm_size(shared, &ranks_on_node);
    int lowest = world_rank;
    MPI_Bcast(&lowest, 1, MPI_INT, 0, shared);
    MPI_Comm_free(&shared);

    node = allocate((size_t)world_size, sizeof *node);
    MPI_Allgather(&lowest, 1, MPI_INT, node, 1, MPI_INT, MPI_COMM_WORLD);
    int count = 0; /* lowest ranks become 0, 1, ..; the others take the number of their lowest, which is done by then */
    for (int r = 0; r < world_size; r++) node[r] = node[r] == r ? count++ : node[node[r]];
}

static void start(void) {
    int running;
    MPI_Initialized(&running);
    if (running) return;
    int provided;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world_size);
    if (provided < MPI_THREAD_FUNNELED) {
        fprintf(stderr, "ranks_mpi: this MPI library does not allow threads beside the one that calls it\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    find_nodes();
    group = allocate((size_t)world_size + 1, sizeof *group);
    group_made = allocate((size_t)world_size + 1, sizeof *group_made);
}

static void finish(void) {
    int running, over;
    MPI_Initialized(&running);
    MPI_Finalized(&over);
    if (!running || over) return;
    for (int ranks = 1; ranks <= world_size; ranks++)
        if (group_made[ranks] && group[ranks] != MPI_COMM_NULL) MPI_Comm_free(&group[ranks]);
    free(group);
    free(group_made);
    free(node);
    MPI_Finalize();
}

static int rank(void) { return world_rank; }
static int size(void) { return world_size; }
static int local_rank(void) { return rank_on_node; }
static int local_size(void) { return ranks_on_node; }

/* MPI_MAX leaves NaN undefined, and a NaN must not get lost on its way to a verdict: it counts as infinity. */
static void maximum(double *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i])) values[i] = INFINITY;
    for (size_t done = 0, part; done < count; done += part) {
        part = count - done < INT_MAX ? count - done : INT_MAX;
        MPI_Allreduce(MPI_IN_PLACE, values + done, (int)part, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    }
}

static void broadcast(void *bytes, size_t count) {
    for (size_t done = 0, part; done < count; done += part) {
        part = count - done < INT_MAX ? count - done : INT_MAX;
        MPI_Bcast((char *)bytes + done, (int)part, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
}

static void barrier(void) { MPI_Barrier(MPI_COMM_WORLD); }

static void __attribute__((noreturn)) abort_all(int status) {
    MPI_Abort(MPI_COMM_WORLD, status);
    abort(); /* MPI_Abort does not promise its caller that it stays away */
}

static const struct rank_backend table = {
    .name = "mpi",
    .start = start,
    .finish = finish,
    .rank = rank,
    .size = size,
    .local_rank = local_rank,
    .local_size = local_size,
    .maximum = maximum,
    .broadcast = broadcast,
    .barrier = barrier,
    .abort = abort_all,
};
const struct rank_backend *const rank_backend = &table;

MPI_Comm ranks_mpi_group(int ranks) {
    if (!group_made[ranks]) {
        MPI_Comm_split(MPI_COMM_WORLD, world_rank < ranks ? 0 : MPI_UNDEFINED, world_rank, &group[ranks]);
        group_made[ranks] = true;
    }
    return group[ranks];
}

int ranks_mpi_node(int of_rank) { return node[of_rank]; }

int ranks_mpi_nodes(int ranks) {
    int highest = 0;
    for (int r = 0; r < ranks; r++)
        if (node[r] > highest) highest = node[r];
    return highest + 1; /* numbered in the order of their lowest ranks, so none is left out */
}

int ranks_mpi_per_node(int ranks) {
    int fullest = 0;
    for (int n = 0; n < ranks_mpi_nodes(ranks); n++) {
        int here = 0;
        for (int r = 0; r < ranks; r++) here += node[r] == n;
        if (here > fullest) fullest = here;
    }
    return fullest;
}
