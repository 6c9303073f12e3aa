/* ranks_none.c: what a program that is not linked with MPI gets from the archive: one rank. */
#include "ranks.h"

const struct rank_backend *const rank_backend = NULL;
