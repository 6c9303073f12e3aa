/* piecewise.h: the time of a message as a function of its size, t(S) = a + S b with latency a and time per byte b, in
   pieces, as libraries change protocol with size (Hockney's model, Parallel Computing 1994, in LogGP's manner). */
#ifndef REPORTS_PIECEWISE_H
#define REPORTS_PIECEWISE_H

#include <stdbool.h>
#include <stddef.h>

enum { PIECES_MAX = 8, PIECE_POINTS_MIN = 3, FIT_POINTS_MIN = 8 };

struct piece {
    double from, to;          /* smallest and largest size that was measured in it */
    size_t points;
    double latency, per_byte; /* seconds; neither is negative */
};
struct fit {
    size_t points, count;
    struct piece pieces[PIECES_MAX];
    double r_squared;  /* of the logarithms of the times, as errors are relative */
    double within;     /* share of the points predicted within 10 % */
    double half_power; /* the size that reaches half of the last piece's 1 / per_byte; NAN: none does */
};

/* Sizes ascending, all times positive; `noises` are the relative errors that the times may have (below 2 % they count
   as that). Of all ways to cut the n points into k pieces of PIECE_POINTS_MIN or more, the one with the least sum of
   squared relative errors, each weighted by the inverse of its point's variance; and of all k the one with the least
   n log(E_k + V) + (3 k - 1) log n, Schwarz's criterion, with the mean error E_k and the variance V of the median point:
   a piece more has three numbers more, and must explain more than noise. false: fewer than FIT_POINTS_MIN points,
   too few to tell a break from a curve. */
bool piecewise_fit(const double *sizes, const double *seconds, const double *noises, size_t count, struct fit *fit);
double piecewise_predict(const struct fit *fit, double size); /* sizes between two pieces belong to the upper one */

#endif
