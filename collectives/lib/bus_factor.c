/* bus_factor.c: see bus_factor.h for the derivation. */
#include "collectives/lib/bus_factor.h"

double bus_factor(enum bus bus, int ranks) {
    if (ranks <= 1) return 0;
    double others = (ranks - 1.0) / ranks;
    switch (bus) {
    case BUS_ALL_REDUCE: return 2 * others;
    case BUS_SHARED:
    case BUS_EXCHANGE:
    case BUS_ROOT: return others;
    case BUS_WHOLE: return 1;
    }
    return 0;
}
