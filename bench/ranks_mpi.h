/* ranks_mpi.h: what the collectives see of the launch beyond ranks.h: communicators, and which ranks share a node.
   All functions are for after rank_backend->start(). */
#ifndef BENCH_RANKS_MPI_H
#define BENCH_RANKS_MPI_H

/* mpi.h must not bring its retired C++ classes into a .cu. */
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The communicator of the first `ranks` ranks, in their order; MPI_COMM_NULL on the others. The first call for a number
   of ranks is collective over the launch; later ones return the same communicator. It lives until rank_backend->finish,
   which frees it and so runs the delete functions of attributes cached on it, while every rank is still there. */
MPI_Comm ranks_mpi_group(int ranks);

/* Nodes are numbered by their lowest rank. */
int ranks_mpi_node(int rank);      /* the node that a rank of the launch is on */
int ranks_mpi_nodes(int ranks);    /* how many nodes the first `ranks` ranks are on */
int ranks_mpi_per_node(int ranks); /* how many of them the fullest node holds */

#ifdef __cplusplus
}
#endif
#endif
