/* exchanges.h: for a collective in which every rank sends every other an amount of its own. Parts lie in the input and
   in the output one behind the other, by rank. */
#ifndef COLLECTIVES_EXCHANGES_H
#define COLLECTIVES_EXCHANGES_H

#include "collectives/lib/collective.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many elements a rank sends to another (or keeps), both numbered within the group; the same answer on every rank. */
typedef size_t exchange_rule(const struct run *run, int from, int to);

/* What this rank exchanges with one other, in elements. */
struct exchange {
    size_t sent, sent_at;         /* and where it begins in this rank's input */
    size_t received, received_at; /* and where it goes in its output */
    size_t source_at;             /* where it begins in the other's input */
};
/* The same as MPI wants it, by rank; right where all of it fits an int. */
struct exchange_counts {
    int *sent, *sent_at, *received, *received_at;
};

/* For bench.setup, after collective_create: the exchanges of the case under way, and the sizes of input and output. */
void exchanges_make(struct run *run, exchange_rule *rule);
const struct exchange *exchanges(void); /* by rank */
const struct exchange_counts *exchange_counts(void);

/* Elements that a rank sends and receives, its own share in both. Looks at the axes alone. */
struct exchange_load {
    size_t sent, received, own;
};
struct exchange_load exchange_load(const struct run *run, exchange_rule *rule, int rank);

#ifdef __cplusplus
}
#endif
#endif
