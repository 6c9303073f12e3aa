/* peers.h: published figures to stand beside measured ones: the files FOLDER/published.csv. */
#ifndef REPORTS_PEERS_H
#define REPORTS_PEERS_H

#include "pool.h"
#include "problem.h"
#include "rows.h"

enum { PEER_AXES_MAX = 16, PEERS_OF_ROW_MAX = 6 };

/* One line of a file: header program,device,variant,dtype,axes,metric,value,unit,source. */
struct peer {
    const char *program, *device, *variant, *dtype, *metric, *unit, *source;
    int axis_count;
    struct peer_axis {
        const char *name, *value;
    } axes[PEER_AXES_MAX];
    double value;
};
struct peers {
    struct peer *list;
    size_t count, capacity;
    struct pool pool;
};

/* Adds the figures of a file, or of every .csv in a folder and published.csv in its subfolders. false: problem. */
bool peers_read(const char *path, struct peers *peers, struct problem *problem);
/* The same from where the files are for a program at executable, a path: PREFIX/bin has them in
   PREFIX/share/plumbline/published, CHECKOUT/build/bin in the suites' folders. Nothing found is no error. */
bool peers_find(const char *executable, struct peers *peers, struct problem *problem);
bool peer_take_axes(struct peer *peer, char *axes); /* name=value;name=value, cut up in place; false: it is not */
bool peer_matches(const struct peer *peer, const struct row *row);
void peers_release(struct peers *peers);

/* The figures published for the row's case and metric: equal program, metric and unit; device, variant, dtype and axes
   where the figure names them (device: as a part of the row's; axes also as numbers, so 8k is 8192). Returns how
   many. */
size_t peers_of(const struct peers *peers, const struct row *row, const struct peer *found[PEERS_OF_ROW_MAX]);
#endif
