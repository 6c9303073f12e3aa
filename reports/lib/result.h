/* result.h: a result folder: its manifest and the tables of its programs. */
#ifndef REPORTS_RESULT_H
#define REPORTS_RESULT_H

#include "fit_pieces.h"
#include "machine.h"
#include "rows.h"

struct result {
    const char *folder;
    const char *label; /* to tell results apart on one page: host and date, or the folder */
    bool has_manifest;
    struct machine machine;
    struct table *tables; /* by file name */
    size_t table_count;
    struct fit_pieces fits; /* empty unless result_read_fits was called */
    struct pool pool;
};

/* Reads folder/manifest.json (may be absent) and every folder/NAME.csv but NAME.samples.csv. number goes into the
   rows' result. false: problem; release result in either case. */
bool result_read(const char *folder, int number, struct result *result, struct problem *problem);
/* Adds another folder's tables; its launches are counted on from the highest so far. The manifest stays the first's: a
   folder of other hardware is refused unless any_hardware. false: problem; release result all the same. */
bool result_add(const char *folder, int number, bool any_hardware, struct result *result, struct problem *problem);
/* Reads folder/fit.pieces.csv, which may be absent: for those who draw. false: problem. */
bool result_read_fits(struct result *result, struct problem *problem);
void result_release(struct result *result);
/* Gives several results labels of what tells them apart: host, accelerator or processor, driver, day or minute; where
   that does not, the folder's name. One keeps its own. */
void results_label(struct result *results, size_t count);
size_t result_rows(const struct result *result);
int result_launches(const struct result *result); /* the highest number of one */
#endif
