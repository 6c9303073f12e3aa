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

size_t launches_on(const struct pair *pair, int side); /* that measured */
/* Of the side with fewer. */
size_t launches_of(const struct pair *pair);

/* A launch is known to be disturbed where its own calls vary far more than is usual for the case: its median call lies
   above its fastest by more than DISTURBED times what the median launch of both sides does, and by more than
   DISTURBED_LEAST. (A virtual machine whose other hyperthread works for somebody else: a tenth of all launches of a
   chain of additions are 10 to 20 % slower; nearly all of those vary by 0.5 % and more, the others by 0.2 %.)
   Such launches are left out on both sides alike, whether fast or slow, unless no more than half of a side would be
   left. Then all count: the program may have become one that varies. */
#define DISTURBED 3.0
#define DISTURBED_LEAST 0.003

/* What a measure says of a case, without the launches known to be disturbed. */
struct shift {
    bool known;             /* both sides have LAUNCHES_SOME launches of it */
    size_t launches[SIDES]; /* that count */
    bool lopsided;          /* most launches of one side are known to be disturbed, and count nevertheless */
    double worse;           /* ln of the ratio of both sides' medians, positive is slower */
    double spread; /* of one launch's ln time: a robust standard deviation, from the median absolute deviation of both
                      sides' launches about their own medians, corrected for so few */
    double error; /* standard error of worse, by spread */
    double p;     /* two-sided, of the rank test over the launches */
    double least; /* the smallest p that so many launches can give */
};
/* By the value's median, in clock cycles of the median call, or of the fastest (where no clock is known, in time). Not
   known where a launch that counts does not tell the measure. */
struct shift shift_of(const struct pair *pair, enum measure measure);
double shift_error(const struct shift *shift, double spread); /* of worse, where one launch scatters by spread */
#endif
