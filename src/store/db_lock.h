/*
 * db_lock: one process per database, by a lock file beside it. The file stays when the lock
 * is released (removing it would let two processes lock two files of one name).
 */
#ifndef STORE_DB_LOCK_H
#define STORE_DB_LOCK_H

#include "base/err.h"

/*
 * Locks lock_path (created when absent) and writes our pid into it; the kernel releases it
 * when the process dies. `shown` is the database as the user named it, for messages.
 * ERR_CONFLICT "database_in_use" when another has it (a second lock in this process too),
 * ERR_IO when the file cannot be used.
 */
int db_lock_take(const char *lock_path, const char *shown, int *fd, struct err *err);

/* Releases what db_lock_take gave; -1 is allowed. */
void db_lock_release(int fd);

#endif
