/* spread.h: how far the launches of a case lie apart. */
#ifndef REPORTS_SPREAD_H
#define REPORTS_SPREAD_H

#include "match.h"

enum {
    LAUNCHES_SOME = 3, /* a side, for a spread to be known at all */
    LAUNCHES_MANY = 5, /* and to be relied on */
    LAUNCHES_MAX = 1000 /* what is beyond is left out */
};

/* The values of the launches that measured, at most `most`; returns their number. */
size_t launch_values(const struct pair *pair, int side, double *values, size_t most);
/* Of both sides, the smaller number of launches that measured. */
size_t launches_of(const struct pair *pair);
/* Standard deviation of ln(value) of one launch, robust: from the median absolute deviation of both sides' launches
   about their own medians, corrected for so few. NAN with fewer than LAUNCHES_SOME a side, or values that have no
   logarithm. */
double launch_spread(const struct pair *pair);
/* Standard error of the difference of both sides' medians where one launch scatters by spread. */
double spread_error(const struct pair *pair, double spread);
/* Two-sided p of the rank test over the launches; NAN with fewer than LAUNCHES_SOME a side. *least: the smallest p
   that so many launches can give. */
double launch_test(const struct pair *pair, double *least);
#endif
