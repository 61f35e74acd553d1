/* db_failure: SQLite's result codes as our errors. Private to the SQLite driver. */
#ifndef STORE_DB_FAILURE_H
#define STORE_DB_FAILURE_H

#include <sqlite3.h>

#include "base/err.h"

/* Records what an (extended) result code of `db` (may be NULL) means; the message has no SQL
 * and no path. Returns -1. */
int db_failure_set(sqlite3 *db, int rc, struct err *err);

#endif
