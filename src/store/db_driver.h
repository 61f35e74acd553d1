/*
 * db_driver: what a database driver implements; only db.c and the drivers include this. The
 * meaning of each function is that of its namesake in db.h; locks are db.c's business, so
 * a connection is used by one thread at a time.
 */
#ifndef STORE_DB_DRIVER_H
#define STORE_DB_DRIVER_H

#include "store/db.h"

struct db_driver {
    const char *name;
    /* Opens the shared side (lock file); conn_open then opens a connection of it. */
    int (*open)(const char *path, void **shared, struct err *err);
    int (*close)(void *shared, struct err *err);
    int (*conn_open)(void *shared, enum db_mode mode, void **conn, struct err *err);
    int (*conn_close)(void *conn, struct err *err);
    int (*begin)(void *conn, enum db_mode mode, struct err *err);
    int (*commit)(void *conn, struct err *err);
    void (*rollback)(void *conn);
    int (*prepare)(void *conn, const char *sql, void **stmt, struct err *err);
    void (*finalize)(void *stmt);
    void (*reset)(void *stmt); /* ready to bind again; forgets bindings */
    void (*bind_int)(void *stmt, int i, int64_t value);
    void (*bind_real)(void *stmt, int i, double value);
    void (*bind_text)(void *stmt, int i, const char *text);
    void (*bind_blob)(void *stmt, int i, const void *bytes, size_t len);
    int (*step)(void *conn, void *stmt, struct err *err);
    int64_t (*column_int)(void *stmt, int i);
    double (*column_real)(void *stmt, int i);
    const char *(*column_text)(void *stmt, int i);
    const void *(*column_blob)(void *stmt, int i, size_t *len);
    bool (*column_is_null)(void *stmt, int i);
    int64_t (*changes)(void *conn);
    int (*script)(void *conn, const char *sql, struct err *err);
    int (*version)(void *conn, int *version, struct err *err);
    int (*set_version)(void *conn, int version, struct err *err);
};

extern const struct db_driver db_sqlite_driver;

#endif
