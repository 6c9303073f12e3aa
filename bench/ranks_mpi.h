/* ranks_mpi.h: what the collectives see of the launch beyond ranks.h: communicators, and which ranks share a node.
   All functions are for after rank_backend->start(). */
#ifndef BENCH_RANKS_MPI_H
#define BENCH_RANKS_MPI_H

/* mpi.h must not bring its retired C++ classes into a .cu. */
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which ranks of the launch take part where not all do. */
enum placement {
    PLACEMENT_PACKED,  /* the first ones: as few nodes as possible */
    PLACEMENT_STRIDED, /* every (launched / ranks)-th */
    PLACEMENT_SPREAD,  /* one of each node in turn: as many nodes as possible, each filled in part */
    PLACEMENT_COUNT
};
struct rank_set {
    int ranks; /* 1 .. launched */
    enum placement placement;
};

/* The rank of the launch that is number `index` of the set: ascending, and number 0 is rank 0. */
int ranks_mpi_member(struct rank_set set, int index);
/* Do two placements of as many ranks choose the same ones? */
bool ranks_mpi_same(struct rank_set a, struct rank_set b);

/* The communicator of a set, in its order; MPI_COMM_NULL on the other ranks. The first call for a set is collective
   over the launch; later ones return the same communicator. It lives until rank_backend->finish, which frees it and so
   runs the delete functions of attributes cached on it, while every rank is still there. */
MPI_Comm ranks_mpi_group(struct rank_set set);

/* Nodes are numbered by their lowest rank. */
int ranks_mpi_node(int rank);                 /* the node that a rank of the launch is on */
int ranks_mpi_nodes(struct rank_set set);     /* how many nodes the set is on */
int ranks_mpi_per_node(struct rank_set set);  /* how many of it the fullest node holds */

#ifdef __cplusplus
}
#endif
#endif
