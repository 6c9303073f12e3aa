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
static int *turn;        /* by rank: its place where nodes give one rank each in turn */
static MPI_Comm *group;  /* by placement and number of ranks, once split; see cell */
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

/* Rounds over the nodes: in round k the k-th rank of each node that has so many. */
static void take_in_turn(void) {
    turn = allocate((size_t)world_size, sizeof *turn);
    int *before = allocate((size_t)world_size, sizeof *before), taken = 0; /* before: ranks ahead on the same node */
    for (int r = 0; r < world_size; r++)
        for (int earlier = 0; earlier < r; earlier++) before[r] += node[earlier] == node[r];
    for (int round = 0; taken < world_size; round++)
        for (int r = 0; r < world_size; r++)
            if (before[r] == round) turn[r] = taken++;
    free(before);
}

static size_t cell(struct rank_set set) {
    return (size_t)set.placement * ((size_t)world_size + 1) + (size_t)set.ranks;
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
    take_in_turn();
    group = allocate(PLACEMENT_COUNT * ((size_t)world_size + 1), sizeof *group);
    group_made = allocate(PLACEMENT_COUNT * ((size_t)world_size + 1), sizeof *group_made);
}

static void finish(void) {
    int running, over;
    MPI_Initialized(&running);
    MPI_Finalized(&over);
    if (!running || over) return;
    for (size_t i = 0; i < PLACEMENT_COUNT * ((size_t)world_size + 1); i++)
        if (group_made[i] && group[i] != MPI_COMM_NULL) MPI_Comm_free(&group[i]);
    free(turn);
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

/* Is this rank of the launch in the set? */
static bool holds(struct rank_set set, int of_rank) {
    int stride = world_size / set.ranks;
    switch (set.placement) {
    case PLACEMENT_STRIDED: return of_rank % stride == 0 && of_rank / stride < set.ranks;
    case PLACEMENT_SPREAD: return turn[of_rank] < set.ranks;
    default: return of_rank < set.ranks;
    }
}

int ranks_mpi_member(struct rank_set set, int index) {
    int before = 0;
    for (int r = 0; r < world_size; r++)
        if (holds(set, r) && before++ == index) return r;
    return -1;
}

bool ranks_mpi_same(struct rank_set a, struct rank_set b) {
    for (int r = 0; r < world_size; r++)
        if (holds(a, r) != holds(b, r)) return false;
    return true;
}

MPI_Comm ranks_mpi_group(struct rank_set set) {
    size_t at = cell(set);
    if (!group_made[at]) {
        MPI_Comm_split(MPI_COMM_WORLD, holds(set, world_rank) ? 0 : MPI_UNDEFINED, world_rank, &group[at]);
        group_made[at] = true;
    }
    return group[at];
}

int ranks_mpi_node(int of_rank) { return node[of_rank]; }

/* The nodes of a set, and the most of its ranks on one. */
static int count_nodes(struct rank_set set, int *fullest) {
    int nodes = 0, *here = allocate((size_t)world_size, sizeof *here);
    *fullest = 0;
    for (int r = 0; r < world_size; r++) {
        if (!holds(set, r)) continue;
        nodes += here[node[r]]++ == 0;
        if (here[node[r]] > *fullest) *fullest = here[node[r]];
    }
    free(here);
    return nodes;
}

int ranks_mpi_nodes(struct rank_set set) {
    int fullest;
    return count_nodes(set, &fullest);
}

int ranks_mpi_per_node(struct rank_set set) {
    int fullest;
    count_nodes(set, &fullest);
    return fullest;
}
