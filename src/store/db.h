/*
 * db: the one way to a database: transactions, statements, columns. Drivers stand behind a
 * table of functions (db_sqlite.c). SQL is written in the common dialect ($1 placeholders,
 * RETURNING, ON CONFLICT).
 *
 * Exactly one connection writes, behind a lock that db_begin(DB_WRITE) waits for; readers
 * come from a fixed set, and db_begin(DB_READ) waits for a free one. A transaction belongs to
 * one thread, is short, and never spans computing. Never begin one inside another.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct db;
struct db_tx;
struct db_stmt;

enum db_mode { DB_READ, DB_WRITE };

struct db_options {
    const char *path; /* of the database file; created when absent */
    size_t n_readers; /* >= 1 */
};

/*
 * Opens (and creates) the database, takes its lock file PATH.lock, sets and reads back every
 * pragma; migrations are store/migrate.h's. ERR_CONFLICT "database_in_use" when another process
 * has it (names its pid), ERR_IO when the file or its folder cannot be used, ERR_CORRUPT when
 * it is not our database.
 */
int db_open(const struct db_options *options, struct db **db, struct err *err);

/* Checkpoints, closes and frees; no transaction may be open. -1 when the last checkpoint
 * failed (what was committed is safe in the log). NULL is allowed. */
int db_close(struct db *db, struct err *err);

/* Begins a transaction; it ends by db_commit or db_rollback, which also frees *tx. */
int db_begin(struct db *db, enum db_mode mode, struct db_tx **tx, struct err *err);

/* Makes it durable. -1: nothing of it was stored; ERR_STORAGE_FULL, ERR_IO. */
int db_commit(struct db_tx *tx, struct err *err);

/* Undoes it. NULL is allowed. */
void db_rollback(struct db_tx *tx);

/* Ends it by the outcome of what was done in it: commits after 0 (and -1 if that fails), rolls
 * back after -1. */
int db_end(struct db_tx *tx, int result, struct err *err);

/*
 * A statement for a constant SQL text (its address is the cache key), ready to bind. Borrowed:
 * valid until the transaction ends, or the same text is prepared again.
 */
int db_prepare(struct db_tx *tx, const char *sql, struct db_stmt **stmt, struct err *err);

/* Binds parameter i (from 1). Text and blobs must stay valid until the next prepare of the
 * same text or the end of the transaction. NaN binds as NULL. Failures show in db_step. */
void db_bind_int(struct db_stmt *stmt, int i, int64_t value);
void db_bind_real(struct db_stmt *stmt, int i, double value);
void db_bind_text(struct db_stmt *stmt, int i, const char *text); /* NULL binds NULL */
void db_bind_blob(struct db_stmt *stmt, int i, const void *bytes, size_t len);

/* 1: a row is there, 0: done, -1: failed (ERR_CONFLICT "constraint" for a broken one). */
int db_step(struct db_stmt *stmt, struct err *err);

/* Steps a statement that gives no row, then forgets what was bound, which may be freed. */
int db_run(struct db_stmt *stmt, struct err *err);

/* Columns (from 0) of the current row; borrowed until the next step. */
int64_t db_column_int(struct db_stmt *stmt, int i);
double db_column_real(struct db_stmt *stmt, int i);      /* NULL reads as NaN */
const char *db_column_text(struct db_stmt *stmt, int i); /* NULL reads as "" */
void db_column_copy(struct db_stmt *stmt, int i, char *out, size_t size); /* cut to fit */
const void *db_column_blob(struct db_stmt *stmt, int i, size_t *len);
bool db_column_is_null(struct db_stmt *stmt, int i);

/* Rows changed by the last statement of the transaction. */
int64_t db_changes(struct db_tx *tx);

/* Runs SQL text of several statements without parameters; for migrations. */
int db_script(struct db_tx *tx, const char *sql, struct err *err);

/* The schema's version number, kept by the database itself. */
int db_version(struct db_tx *tx, int *version, struct err *err);
int db_set_version(struct db_tx *tx, int version, struct err *err);

#endif
