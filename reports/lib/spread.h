/* spread.h: what the launches of a case say: three measures of its time, how far they scatter, whether sides differ.

   The same work takes more or less time as the clock of the processor goes, and more where other work interrupts it.
   Clock cycles leave out the one, the fastest call the other; which of the three is quietest differs from machine to
   machine and from case to case (a virtual machine whose clock varies: times 2.3 % from launch to launch, cycles
   0.6 %). So a case is judged by the measure whose launches scatter least, and the others must not contradict it. */
#ifndef REPORTS_SPREAD_H
#define REPORTS_SPREAD_H

#include "match.h"

enum {
    LAUNCHES_SOME = 3,  /* a side, for a spread to be known at all */
    LAUNCHES_MANY = 5,  /* and to be relied on */
    LAUNCHES_MAX = 1000 /* what is beyond is left out */
};

enum measure { MEASURE_TIME, MEASURE_CYCLES, MEASURE_FASTEST, MEASURES };
extern const char *const measure_names[MEASURES];

/* ln of the time of each launch that measured, by the value's median, in clock cycles of the median call, or of the
   fastest (where no clock is known, in time); at most LAUNCHES_MAX. Returns their number; 0 where the measure is not
   known for all launches of the side. */
size_t launch_times(const struct pair *pair, int side, enum measure measure, double times[LAUNCHES_MAX]);
/* Launches that measured, of the side with fewer. */
size_t launches_of(const struct pair *pair);

/* What a measure says of a case. */
struct shift {
    bool known;   /* both sides have LAUNCHES_SOME launches of it */
    double worse; /* ln of the ratio of both sides' medians, positive is slower */
    double spread; /* of one launch's ln time: a robust standard deviation, from the median absolute deviation of both
                      sides' launches about their own medians, corrected for so few */
    double error; /* standard error of worse, by spread */
    double p;     /* two-sided, of the rank test over the launches */
    double least; /* the smallest p that so many launches can give */
};
struct shift shift_of(const struct pair *pair, enum measure measure);
double shift_error(const struct pair *pair, double spread); /* of worse, where one launch scatters by spread */
#endif
