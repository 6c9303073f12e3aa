/* selection.h: rows of several files and folders, and filters over them. */
#ifndef REPORTS_SELECTION_H
#define REPORTS_SELECTION_H

#include "result.h"

enum { CONDITIONS_MAX = 32, INPUTS_MAX = 4096, SELECTION_COLUMNS_MAX = 256 };

/* NAME=VALUE,.. NAME!=VALUE,.. NAME~PART NAME<NUMBER NAME<=NUMBER NAME>NUMBER NAME>=NUMBER */
enum relation { EQUAL, UNEQUAL, CONTAINS, LESS, AT_MOST, MORE, AT_LEAST };
struct condition {
    const char *name, *value;
    enum relation relation;
    double number; /* of value, where the relation wants one */
};

struct selection {
    struct result *folders; /* a file is a folder with one table and no manifest */
    size_t folder_count, folder_capacity;
    struct condition conditions[CONDITIONS_MAX];
    size_t condition_count;
    const struct row **rows; /* those that meet all conditions, in order of the inputs */
    size_t row_count, row_capacity;
    const char *axes[SELECTION_COLUMNS_MAX]; /* of all tables, in order of appearance */
    size_t axis_count;
    bool hosts_differ; /* the manifests name several: then the host is an axis too */
    struct pool pool;
};

/* Start from {0}. A word is the path of a file or folder, or else a condition; false: problem says it is neither, or
   what is wrong with the input. */
bool selection_word(struct selection *selection, const char *word, struct problem *problem);
/* After the last word: checks the names in conditions against the columns there are and fills rows. */
bool selection_finish(struct selection *selection, struct problem *problem);
void selection_release(struct selection *selection);

/* Value of a column or axis by name; "host" is the manifest's. */
const char *selection_value(const struct selection *selection, const struct row *row, const char *name);
bool selection_has(const struct selection *selection, const char *name); /* a column, axis, or host */
/* All names of columns with a value in some row, axes where they stand in a file; host among them where hosts differ.
   Returns how many. */
size_t selection_columns(const struct selection *selection, const char *names[SELECTION_COLUMNS_MAX]);
#endif
