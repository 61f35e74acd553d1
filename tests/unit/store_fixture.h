/* store_fixture: a database in a folder of its own under /tmp, for the tests of store/. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/id.h"
#include "store/db.h"
#include "store/migrate.h"

struct fixture {
    char folder[64];
    char path[96];
    struct db *db;
    struct db_tx
        *open[2]; /* begun by fixture_begin, per mode: a failed test leaves them */
    struct err err;
};

static inline int fixture_open(struct fixture *fixture)
{
    struct db_options options = {.path = fixture->path, .n_readers = 2};
    fixture->err = (struct err){0};
    return db_open(&options, &fixture->db, &fixture->err);
}

static inline void fixture_close(struct fixture *fixture)
{
    struct err err = {0};
    assert_int_equal(db_close(fixture->db, &err), 0);
    fixture->db = NULL;
}

/* A folder, and no database yet. */
static inline int fixture_folder(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/mlpd_test_XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->path, sizeof fixture->path, "%s/test.db", fixture->folder);
    *state = fixture;
    return 0;
}

/* A database with the schema that the binary carries. */
static inline int fixture_set_up(void **state)
{
    if (fixture_folder(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    if (fixture_open(fixture) != 0)
        return -1;
    return migrate_run(fixture->db, migrate_embedded, NULL, &fixture->err);
}

static inline int fixture_tear_down(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    struct fixture *fixture = *state;
    struct err err = {0};
    db_rollback(fixture->open[DB_READ]);
    db_rollback(fixture->open[DB_WRITE]);
    int result = db_close(fixture->db, &err);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", fixture->path, suffixes[i]);
        unlink(path);
    }
    if (rmdir(fixture->folder) != 0)
        result = -1;
    free(fixture);
    return result;
}

static inline struct db_tx *fixture_begin(struct fixture *fixture, enum db_mode mode)
{
    struct db_tx *tx = NULL;
    fixture->err = (struct err){0};
    assert_int_equal(db_begin(fixture->db, mode, &tx, &fixture->err), 0);
    fixture->open[mode] = tx;
    return tx;
}

static inline void fixture_ends(struct fixture *fixture, const struct db_tx *tx)
{
    fixture->open[tx == fixture->open[DB_READ] ? DB_READ : DB_WRITE] = NULL;
}

static inline void fixture_rollback(struct fixture *fixture, struct db_tx *tx)
{
    fixture_ends(fixture, tx);
    db_rollback(tx);
}

static inline int fixture_end(struct fixture *fixture, struct db_tx *tx, int result)
{
    fixture_ends(fixture, tx);
    return db_end(tx, result, &fixture->err);
}

static inline void fixture_commit(struct fixture *fixture, struct db_tx *tx)
{
    struct err err = {0};
    fixture_ends(fixture, tx);
    if (db_commit(tx, &err) != 0)
        fail_msg("commit: %s", err.message);
}

/* Runs SQL on the closed file by a handle of its own. */
static inline void fixture_raw(struct fixture *fixture, const char *sql)
{
    sqlite3 *raw = NULL;
    assert_null(fixture->db);
    assert_int_equal(sqlite3_open(fixture->path, &raw), SQLITE_OK);
    int rc = sqlite3_exec(raw, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        print_error("%s: %s\n", sql, sqlite3_errmsg(raw));
    assert_int_equal(rc, SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
}

/* The one number that a statement gives. */
static inline int64_t fixture_number(struct db_tx *tx, const char *sql)
{
    struct err err = {0};
    struct db_stmt *stmt = NULL;
    int64_t number = -1;
    if (db_prepare(tx, sql, &stmt, &err) != 0 || db_step(stmt, &err) < 0)
        fail_msg("%s: %s", sql, err.message);
    number = db_column_int(stmt, 0);
    return number;
}

#endif
