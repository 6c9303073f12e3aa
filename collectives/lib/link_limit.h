/* link_limit.h: the most bus bandwidth that the links of k nodes of g ranks allow (n ranks in all), from what a rank's
   link carries within its node, L, and what a node's network carries, N, each in one direction. Whatever the algorithm,

   within a node    a rank's link must carry (g-1)/g of what a rank has to move, if the node adds up or copies first
   between nodes    a node's network must carry (k-1)/k of S (twice that, all-reduce), shared by g ranks

   and with bus bandwidth = factor S/t (bus_factor.h) that bounds it by

   BUS_ALL_REDUCE, BUS_SHARED   L (n-1)/n g/(g-1)    and   N/g (n-1)/(k-1)
   BUS_EXCHANGE                 L (n-1)/n g/(g-1)    and   N/g (n-1)/(n-g): nothing is added up or copied on the way
   BUS_ROOT                     L                    and   N (n-1)/n k/(k-1): all of it goes through the root's node
   BUS_WHOLE                    L                    and   N

   Why figures above the wire's rate are right: of 2 nodes of 8 ranks each, N/8 x 15. */
#ifndef COLLECTIVES_LINK_LIMIT_H
#define COLLECTIVES_LINK_LIMIT_H

#include "bench/bench.h"
#include "collectives/lib/bus_factor.h"

/* Value 0 where a rate is not known. nodes > 1; per_node: ranks on the fullest node. */
struct limit link_limit(struct limit link, struct limit network, int ranks, int nodes, int per_node, enum bus bus);

#endif
