/* verdict.h: is a case slower than it was?

   For a case, d = ln(new / old) of the medians over launches, turned so that d > 0 is worse; the change is e^d - 1.
   The tolerance begins at a floor by metric and place (tolerance.c): what quiet machines vary by from one launch to the
   next. |d| within the floor: same. Then it depends on how many launches the side with fewer has.

   LAUNCHES_MANY (5) and more (verdict_launches.c). A case has three measures: the time, the clock cycles of the median
   call, the cycles of the fastest (spread.h), without launches known to be disturbed. It is judged by the one that
   scatters least from launch to launch. Slower or faster are said only if
   - d by that measure is beyond max(floor, errors x the standard error that the spread of the launches gives), where
     errors is the normal quantile for one false alarm in a hundred comparisons of as many cases, at least 3; a case is
     not trusted to be quieter by more than a factor of 1.4 than the quietest quarter of its variant's;
   - no other measure contradicts, given twice its own standard error: so clock cycles agree with times;
   - the exact rank test over launches, by Holm's correction over all cases, is at 5 %. Five launches against five
     reach no less than p = 0.0079, which Holm's correction lets pass with six cases; with more cases than the launches
     can reach the launches must not overlap at all;
   - its calls were not interrupted in most launches of a side.
   Otherwise: unsure, and undecided if d by that measure is beyond the tolerance, or if most launches of one side were
   disturbed: --confirm measures again what is (confirm.h), and more often than five times, where a slow launch or two
   leave the rank test its power. The level of whole machines shifts, for minutes: take launches of both sides in turn.

   Fewer launches. The tolerance is the largest of the floor and
   - noise: three standard errors of d, by a bootstrap over launches and their samples (fixed seed), or from the rows'
     own intervals where there are no samples;
   - drift: what this pair of runs scatters by from case to case: 1.4826 times the median absolute deviation of d about
     the median of its program and variant, over all timed cases of the place, times the quantile above. Taking the
     deviation about each variant's own median keeps a change that slows a whole variant, or the whole machine, out;
   - launch: on the host with fewer than LAUNCHES_SOME (3), a factor of LAUNCH_FACTOR, unless a floor is given on the
     command line. Launches of the same program minutes apart were seen to differ by 2.6 where other work shared the
     caches and the memory, with single calls as regular as ever: nothing inside one launch tells that from a slower
     program.
   Slower or faster, if the fastest call and the clock cycles agree: d is taken as the smallest of the medians', the
   minima's and, where clocks or cycles are known, the cycles' ln ratio (a clock that fell in all cases alike is no
   excuse: its median is taken out). Otherwise: unsure.
   Ranks on the host talk through their cores' caches: on a virtual machine whose cores the hypervisor has moved apart
   every message takes two to three times as long, for a whole launch. With fewer than LAUNCHES_SOME such a case is
   unsure at best. Calls on the host whose 95th percentile is beyond INTERRUPTED times their median lost the processor
   to other work. Such a case is unsure at best; where they are more than BUSY_SHARE of a side's host cases, so is
   everything that was timed on the host. */
#ifndef REPORTS_VERDICT_H
#define REPORTS_VERDICT_H

#include "bootstrap.h"
#include "match.h"
#include "samples.h"
#include "spread.h"

enum case_verdict {
#define VERDICT(identifier, fails, meaning) VERDICT_##identifier,
#include "verdicts.def"
#undef VERDICT
    VERDICT_COUNT
};
extern const char *const verdict_names[VERDICT_COUNT];
extern const char *const verdict_meanings[VERDICT_COUNT];
extern const bool verdict_fails[VERDICT_COUNT];

struct judgement {
    const struct pair *pair;
    enum case_verdict verdict;
    double value[SIDES]; /* medians over the launches that measured; NAN: none */
    double worse;        /* d; NAN: not compared */
    double agreed;       /* d as minimum and cycles agree on it */
    double tolerance;
    double noise;     /* standard error of d */
    double low, high; /* 95 % interval of d by the bootstrap; NAN: no samples */
    double judged;    /* d by which the verdict fell: by the quietest measure where there are launches enough */
    enum measure by;
    struct shift shift[MEASURES]; /* known where both sides have LAUNCHES_SOME launches */
    double spread;                /* of one launch by that measure, ln; NAN: too few launches */
    double p_holm;                /* of its rank test in the family; NAN: not of the family */
    size_t launches;  /* of the side with fewer */
    bool undecided;   /* not slower, but more launches might make it so */
    const char *note; /* "" or why */
};

#define INTERRUPTED 1.5
#define BUSY_SHARE 0.25
#define LAUNCH_FACTOR 3.0
#define FAMILY_LEVEL 0.05

struct judge {
    const struct result *results; /* SIDES of them */
    const struct match *match;
    double floor;    /* for times and rates, from the command line; 0: by kind */
    double level; /* of the rank test over the family; 0: FAMILY_LEVEL, and where so few launches cannot reach that,
                     that they do not overlap */
    const struct index *only; /* keys (match_key) of the cases to judge; NULL: all */
    size_t others;            /* cases of the family that were judged elsewhere */
    bool few_decide; /* fewer than LAUNCHES_SOME launches decide on the host too */
    struct judgement *judgements;
    size_t count, family; /* family: cases that the rank test was asked about */
    int counts[VERDICT_COUNT];
    int lone; /* unsure cases on the host for which more launches might decide */
    double
        interrupted[SIDES]; /* share of the host's timed cases that were, if there are enough of them to tell; else 0 */
};

/* Judges every pair of the match, from results, match and floor; samples[side] by index of the result's tables. */
void judge_all(struct judge *judge, const struct samples *const samples[SIDES]);
void judge_release(struct judge *judge);
bool judge_passes(const struct judge *judge);

/* verdict_launches.c */
void ask_launches(struct judge *judge); /* what must be known of all cases before any is judged */
bool judged_by_launches(const struct judgement *judgement);
void judge_launches(struct judge *judge, struct judgement *judgement, double floor);

/* tolerance.c: the parts of the tolerance, as ln ratios. */
double floor_of(const struct judge *judge, const struct pair *pair);
bool ratio_of(const struct judge *judge, const struct pair *pair, const struct samples *const samples[SIDES],
              struct ratio *ratio); /* false: no samples; then error alone, from the rows' intervals */
void share_spreads(struct judge *judge); /* widens spreads that are much below those of the same variant and metric */
double chance_quantile(size_t cases);
double drift_of(const struct judge *judge, bool device); /* 0 where there are too few cases to tell */
double pair_column(const struct pair *pair, int side,
                   enum column column);      /* median over the launches; NAN: not known */
bool pair_interrupted(const struct pair *pair, int side);
bool row_is_timed(const struct row *row); /* a time, a rate, or a figure made of one */
bool row_on_device(const struct row *row);
#endif
