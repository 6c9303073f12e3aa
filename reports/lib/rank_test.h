/* rank_test.h: can a difference between two sets of launches be chance? */
#ifndef REPORTS_RANK_TEST_H
#define REPORTS_RANK_TEST_H

#include <stddef.h>

/* Two-sided p of the test of Mann and Whitney. Exact, ties included, up to RANKS_EXACT_MAX values in all (the rank sums
   of every way to deal the values out are counted); beyond that by the normal approximation. 1 if a side is empty. */
enum { RANKS_EXACT_MAX = 40 };
double rank_test(const double *a, size_t a_count, const double *b, size_t b_count);
/* The smallest p that so many values can give: that of sides that do not overlap. 0.0079 for 5 against 5. */
double rank_test_least(size_t a_count, size_t b_count);
/* Holm's correction in place: an entry at or below the level afterwards is significant in the whole family at it.
   Entries that are NAN are not of the family. Returns the size of the family. */
size_t holm_adjust(double *p, size_t count);
#endif
