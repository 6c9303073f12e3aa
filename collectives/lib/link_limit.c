/* link_limit.c: see link_limit.h for the derivation. */
#include "collectives/lib/link_limit.h"

static double within(double link, double n, double g, enum bus bus) {
    if (bus == BUS_ROOT || bus == BUS_WHOLE) return link;
    return link * (n - 1) / n * g / (g - 1);
}

static double between(double network, double n, double k, double g, enum bus bus) {
    switch (bus) {
    case BUS_ALL_REDUCE:
    case BUS_SHARED: return network / g * (n - 1) / (k - 1);
    case BUS_EXCHANGE: return network / g * (n - 1) / (n - g);
    case BUS_ROOT: return network * (n - 1) / n * k / (k - 1);
    case BUS_WHOLE: return network;
    }
    return 0;
}

struct limit link_limit(struct limit link, struct limit network, int ranks, int nodes, int per_node, enum bus bus) {
    if (network.value <= 0) return (struct limit){0, NULL}; /* the other link alone says nothing of several nodes */
    double inner = within(link.value, ranks, per_node, bus);
    double outer = between(network.value, ranks, nodes, per_node, bus);
    bool inner_known = per_node > 1 && link.value > 0;
    return inner_known && inner < outer ? (struct limit){inner, link.source} : (struct limit){outer, network.source};
}
