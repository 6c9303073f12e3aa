/* confirm.h: a second look at what is suspect, before a gate fails: the cases alone are measured again. */
#ifndef REPORTS_CONFIRM_H
#define REPORTS_CONFIRM_H

#include "comparison.h"

enum { CONFIRM_CASES_MAX = 64 };

struct confirmation {
    const char *runner[SIDES]; /* run_all.sh of each side's build; the baseline's may be NULL: its rows stand for it */
    const char *build[SIDES];  /* its build folder, NULL: as the environment has it */
    double floor;              /* as in struct judge */
    bool any_hardware;
};

/* Measures every case whose verdict is slower, failed or missing again, and those that only launches that overlap or
   were interrupted keep from being slower; both sides in turn where both have a runner. They are judged by these
   launches only: first by five to ten, as many as Holm's correction over the suspects needs; what is then beyond its
   tolerance, but not decided, is measured five times more, until it is, up to twenty. All looks together call one of
   the suspects slower by chance once in a hundred comparisons. What is not as bad again becomes unsure, and says so;
   what is, is noted as confirmed; what was undecided is slower if it is so now. A wrong result is never excused, and
   more than CONFIRM_CASES_MAX suspects are taken as confirmed, since so many are no chance.
   Tells on standard error what it does. false: problem (the runner could not run). */
bool confirm(struct comparison *first, const struct confirmation *how, struct problem *problem);
#endif
