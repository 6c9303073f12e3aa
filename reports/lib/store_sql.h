/* store_sql.h: what the two halves of the store share; others see store.h alone. */
#ifndef REPORTS_STORE_SQL_H
#define REPORTS_STORE_SQL_H

#include <sqlite3.h>

#include "store.h"

#define STORE_APPLICATION "1886154098" /* "plmr" */

struct store {
    sqlite3 *database;
    char *path;
};
bool store_fails(struct store *store, struct problem *problem); /* false, with SQLite's message */
sqlite3_stmt *store_prepare(struct store *store, const char *sql, struct problem *problem); /* NULL with problem */
#endif
