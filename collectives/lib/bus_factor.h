/* bus_factor.h: from algorithm bandwidth (message size S over time) to bus bandwidth, the rate that every link must
   carry whatever the algorithm, so that it can be held against the link's peak at any number of ranks n:

   BUS_ALL_REDUCE  2 (n-1)/n   each of S elements is sent to be added n-1 times and sent back n-1 times, over n links
   BUS_SHARED      (n-1)/n     all-gather, reduce-scatter: all but a rank's own share moves
   BUS_EXCHANGE    (n-1)/n     all-to-all: the same, from every rank to every rank
   BUS_ROOT        (n-1)/n     gather, scatter: the same, into or out of one rank
   BUS_WHOLE       1           broadcast, reduce, send-receive: some link carries all of S

   S is the total size: for all-gather and reduce-scatter the larger side. */
#ifndef COLLECTIVES_BUS_FACTOR_H
#define COLLECTIVES_BUS_FACTOR_H

enum bus { BUS_ALL_REDUCE, BUS_SHARED, BUS_EXCHANGE, BUS_ROOT, BUS_WHOLE };
double bus_factor(enum bus bus, int ranks); /* 0 for one rank: nothing has to move */

#endif
