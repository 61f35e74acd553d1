/*
 * db_pragma: how each SQLite connection is set up: pragmas, switches and limits, all read
 * back. Private to the SQLite driver.
 */
#ifndef STORE_DB_PRAGMA_H
#define STORE_DB_PRAGMA_H

#include <sqlite3.h>
#include <stddef.h>

#include "base/err.h"
#include "store/db.h"

/*
 * Sets up a connection that was just opened; an empty file becomes a database of ours first
 * (page size, application id, write-ahead log). ERR_CORRUPT "not_our_database" for a file of
 * another program, which stays untouched; ERR_INTERNAL "pragma_refused" names what did not
 * read back.
 */
int db_pragma_apply(sqlite3 *db, enum db_mode mode, struct err *err);

/* One pragma: its value as text (cut to size), "" when it gives none; and setting it. */
int db_pragma_get(sqlite3 *db, const char *name, char *out, size_t size, struct err *err);
int db_pragma_set(sqlite3 *db, const char *name, const char *value, struct err *err);

#endif
