/* fit_pieces.h: fitted curves of message times, as the program fit leaves them in fit.pieces.csv. */
#ifndef REPORTS_FIT_PIECES_H
#define REPORTS_FIT_PIECES_H

#include "rows.h"

/* From its first size on a message takes latency_us + bytes / bandwidth. */
struct fit_piece {
    const char *curve; /* what names the curve, as fit_pieces_of makes it of a row */
    int launch;
    double from_bytes, latency_us, bytes_per_us; /* bytes_per_us: infinite where size does not matter */
};
struct fit_pieces {
    struct fit_piece *list; /* of a curve and launch with from_bytes ascending */
    size_t count, capacity;
    struct pool pool;
};

/* Reads a file; one that is not there is empty. false: problem names file and line. Release in either case. */
bool fit_pieces_read(const char *path, struct fit_pieces *pieces, struct problem *problem);
void fit_pieces_release(struct fit_pieces *pieces);

/* The pieces of the row's curve, of several launches the first; 0 if there are none. */
size_t fit_pieces_of(const struct fit_pieces *pieces, const struct row *row, const struct fit_piece **first);
double fit_pieces_time_us(const struct fit_piece *pieces, size_t count, double bytes); /* NAN before the first */
#endif
