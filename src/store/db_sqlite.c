/*
 * The driver of SQLite. What its rules rest on is in its own documentation and source
 * (3.40.1): a connection that writes or checkpoints while another one does may corrupt a
 * database in WAL mode (fixed in 3.51.3), so only the one of DB_WRITE ever does either.
 */
#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db_driver.h"
#include "store/db_failure.h"
#include "store/db_lock.h"
#include "store/db_pragma.h"

struct sqlite_shared {
    char *path;  /* owned; absolute, so that SQLite sees no "file:" or ":memory:" in it */
    char *shown; /* owned; as the user named it */
    int lock_fd;
};

enum control { CONTROL_BEGIN, CONTROL_COMMIT, CONTROL_ROLLBACK, CONTROL_COUNT };

struct sqlite_conn {
    sqlite3 *db; /* owned */
    enum db_mode mode;
    sqlite3_stmt *control[CONTROL_COUNT]; /* owned */
    int lost;                             /* why the transaction can no longer commit */
};

#define SQLITE_PLACES_MAX 40 /* parameters of one statement */

struct sqlite_stmt {
    sqlite3_stmt *stmt;       /* owned */
    struct sqlite_conn *conn; /* borrowed */
    int bind_failure;         /* first failed bind, or SQLITE_OK */
    /* SQLite takes $1 for a name and numbers parameters by first appearance: places[i] is
     * the number of $i, 0 when the text has none. */
    int places[SQLITE_PLACES_MAX + 1];
};

/* --- shared side --------------------------------------------------------------------- */

/* The folder's real path and the file's name: what the file will be once created. */
static char *path_of_new(const char *path)
{
    char *copy = strdup(path);
    char *again = strdup(path);
    char *folder = copy ? realpath(dirname(copy), NULL) : NULL;
    char *whole = NULL;
    const char *slash = folder && strcmp(folder, "/") == 0 ? "" : "/";
    if (folder && again && asprintf(&whole, "%s%s%s", folder, slash, basename(again)) < 0)
        whole = NULL;
    int cause = copy && again ? errno : ENOMEM;
    free(folder);
    free(again);
    free(copy);
    errno = cause;
    return whole;
}

static char *path_resolve(const char *path, struct err *err)
{
    char *whole = realpath(path, NULL);
    if (!whole && errno == ENOENT && path[0])
        whole = path_of_new(path);
    if (!whole && errno == ENOMEM)
        err_no_memory(err);
    else if (!whole)
        err_set(err, ERR_IO, "storage_failed", "cannot use the database %s: %s", path,
                strerror(errno));
    return whole;
}

static int sqlite_shared_close(void *shared, struct err *err)
{
    (void)err;
    struct sqlite_shared *side = shared;
    db_lock_release(side->lock_fd);
    free(side->shown);
    free(side->path);
    free(side);
    return 0;
}

static int sqlite_shared_open(const char *path, void **shared, struct err *err)
{
    char *lock_path = NULL;
    int result = -1;
    struct sqlite_shared *side = mem_new(1, sizeof *side, err);
    if (!side)
        return -1;
    side->lock_fd = -1;
    if (!sqlite3_threadsafe()) {
        err_set(err, ERR_INTERNAL, "database_error", "SQLite was built without threads");
        goto out;
    }
    side->shown = mem_text(path, strlen(path), err);
    side->path = path_resolve(path, err);
    if (!side->shown || !side->path)
        goto out;
    if (asprintf(&lock_path, "%s.lock", side->path) < 0) {
        lock_path = NULL;
        err_no_memory(err);
        goto out;
    }
    if (db_lock_take(lock_path, path, &side->lock_fd, err) != 0)
        goto out;
    *shared = side;
    result = 0;
out:
    free(lock_path);
    if (result != 0)
        sqlite_shared_close(side, NULL);
    return result;
}

/* --- connections --------------------------------------------------------------------- */

static int conn_set_up(struct sqlite_conn *conn, struct err *err)
{
    static const char *const texts[2][CONTROL_COUNT] = {
        [DB_READ] = {"BEGIN", "COMMIT", "ROLLBACK"},
        [DB_WRITE] = {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"},
    };
    if (db_pragma_apply(conn->db, conn->mode, err) != 0)
        return -1;
    for (int i = 0; i < CONTROL_COUNT; i++) {
        int rc = sqlite3_prepare_v3(conn->db, texts[conn->mode][i], -1,
                                    SQLITE_PREPARE_PERSISTENT, &conn->control[i], NULL);
        if (rc != SQLITE_OK)
            return db_failure_set(conn->db, rc, err);
    }
    return 0;
}

static void conn_free(struct sqlite_conn *conn)
{
    for (int i = 0; i < CONTROL_COUNT; i++)
        sqlite3_finalize(conn->control[i]);
    /* All statements are finalized, so this cannot refuse. */
    int rc = sqlite3_close(conn->db);
    assert(rc == SQLITE_OK);
    (void)rc;
    free(conn);
}

static int sqlite_conn_close(void *conn, struct err *err)
{
    struct sqlite_conn *closing = conn;
    int result = 0;
    if (closing->mode == DB_WRITE) {
        int rc = sqlite3_wal_checkpoint_v2(closing->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                           NULL, NULL);
        /* Only after one that succeeded may the log be removed. */
        if (rc == SQLITE_OK)
            sqlite3_db_config(closing->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
        else
            result = db_failure_set(closing->db, rc, err);
    }
    conn_free(closing);
    return result;
}

/* Names the file: only db_open's messages do. */
static int open_failed(const struct sqlite_shared *side, const struct err *cause,
                       struct err *err)
{
    return err_set(err, cause->code, cause->slug, "cannot use the database %s: %s",
                   side->shown, cause->message);
}

static int sqlite_conn_open(void *shared, enum db_mode mode, void **conn, struct err *err)
{
    const struct sqlite_shared *side = shared;
    struct err cause = {0};
    struct sqlite_conn *opened = mem_new(1, sizeof *opened, err);
    if (!opened)
        return -1;
    opened->mode = mode;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (mode == DB_WRITE ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(side->path, &opened->db, flags, NULL);
    if (rc != SQLITE_OK)
        db_failure_set(opened->db, rc, &cause);
    else
        conn_set_up(opened, &cause);
    if (cause.code != ERR_NONE) {
        conn_free(opened);
        return open_failed(side, &cause, err);
    }
    *conn = opened;
    return 0;
}

/* --- transactions -------------------------------------------------------------------- */

static int control_run(struct sqlite_conn *conn, enum control which)
{
    int rc = sqlite3_step(conn->control[which]);
    sqlite3_reset(conn->control[which]);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int sqlite_begin(void *conn, enum db_mode mode, struct err *err)
{
    struct sqlite_conn *own = conn;
    assert(own->mode == mode && sqlite3_get_autocommit(own->db));
    (void)mode;
    own->lost = SQLITE_OK;
    int rc = control_run(own, CONTROL_BEGIN);
    return rc == SQLITE_OK ? 0 : db_failure_set(own->db, rc, err);
}

static void sqlite_rollback(void *conn)
{
    struct sqlite_conn *own = conn;
    /* It is gone already when a full disk or a failed write rolled it back. */
    if (!sqlite3_get_autocommit(own->db))
        control_run(own, CONTROL_ROLLBACK);
}

static int sqlite_commit(void *conn, struct err *err)
{
    struct sqlite_conn *own = conn;
    int rc = own->lost ? own->lost : control_run(own, CONTROL_COMMIT);
    if (rc == SQLITE_OK)
        return 0;
    db_failure_set(own->db, rc, err);
    sqlite_rollback(own);
    return -1;
}

/* Notes that SQLite rolled the transaction back by itself, so that what follows is not
 * committed statement by statement. */
static void note_failure(struct sqlite_conn *conn, int rc)
{
    if (!conn->lost && sqlite3_get_autocommit(conn->db))
        conn->lost = rc;
}

/* --- statements ---------------------------------------------------------------------- */

static void find_places(struct sqlite_stmt *stmt)
{
    char name[16];
    for (int i = 1; i <= SQLITE_PLACES_MAX; i++) {
        snprintf(name, sizeof name, "$%d", i);
        stmt->places[i] = sqlite3_bind_parameter_index(stmt->stmt, name);
    }
}

/* The number of $i; 0, which no bind accepts, when there is none. */
static int place_of(const struct sqlite_stmt *stmt, int i)
{
    return i >= 1 && i <= SQLITE_PLACES_MAX ? stmt->places[i] : 0;
}

static int sqlite_prepare(void *conn, const char *sql, void **stmt, struct err *err)
{
    struct sqlite_conn *own = conn;
    struct sqlite_stmt *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    made->conn = own;
    int rc = sqlite3_prepare_v3(own->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made->stmt,
                                NULL);
    if (rc == SQLITE_OK && !made->stmt)
        rc = SQLITE_MISUSE; /* nothing but a comment */
    if (rc != SQLITE_OK) {
        db_failure_set(own->db, rc, err);
        note_failure(own, rc);
        free(made);
        return -1;
    }
    find_places(made);
    *stmt = made;
    return 0;
}

static void sqlite_finalize(void *stmt)
{
    struct sqlite_stmt *own = stmt;
    sqlite3_finalize(own->stmt);
    free(own);
}

static void sqlite_reset(void *stmt)
{
    struct sqlite_stmt *own = stmt;
    sqlite3_reset(own->stmt);
    sqlite3_clear_bindings(own->stmt);
    own->bind_failure = SQLITE_OK;
}

static void note_bind(struct sqlite_stmt *stmt, int rc)
{
    if (stmt->bind_failure == SQLITE_OK)
        stmt->bind_failure = rc;
}

static void sqlite_bind_int(void *stmt, int i, int64_t value)
{
    struct sqlite_stmt *own = stmt;
    note_bind(own, sqlite3_bind_int64(own->stmt, place_of(own, i), value));
}

static void sqlite_bind_real(void *stmt, int i, double value)
{
    struct sqlite_stmt *own = stmt;
    note_bind(own, sqlite3_bind_double(own->stmt, place_of(own, i),
                                       value)); /* NaN becomes NULL */
}

static void sqlite_bind_text(void *stmt, int i, const char *text)
{
    struct sqlite_stmt *own = stmt;
    note_bind(own, text ? sqlite3_bind_text64(own->stmt, place_of(own, i), text,
                                              strlen(text), SQLITE_STATIC, SQLITE_UTF8)
                        : sqlite3_bind_null(own->stmt, place_of(own, i)));
}

static void sqlite_bind_blob(void *stmt, int i, const void *bytes, size_t len)
{
    struct sqlite_stmt *own = stmt;
    /* A null pointer would bind NULL, which is not the empty blob. */
    note_bind(own, sqlite3_bind_blob64(own->stmt, place_of(own, i), len ? bytes : "", len,
                                       SQLITE_STATIC));
}

static int sqlite_step(void *conn, void *stmt, struct err *err)
{
    struct sqlite_conn *own = conn;
    struct sqlite_stmt *stepped = stmt;
    int rc = own->lost ? own->lost : stepped->bind_failure;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stepped->stmt);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    db_failure_set(own->db, rc, err);
    note_failure(own, rc);
    return -1;
}

static int64_t sqlite_column_int(void *stmt, int i)
{
    return sqlite3_column_int64(((struct sqlite_stmt *)stmt)->stmt, i);
}

static bool sqlite_column_is_null(void *stmt, int i)
{
    return sqlite3_column_type(((struct sqlite_stmt *)stmt)->stmt, i) == SQLITE_NULL;
}

static double sqlite_column_real(void *stmt, int i)
{
    if (sqlite_column_is_null(stmt, i))
        return __builtin_nan("");
    return sqlite3_column_double(((struct sqlite_stmt *)stmt)->stmt, i);
}

/* A column that is there but could not be given (no memory) must not pass for an empty one:
 * the transaction cannot be used any further. */
static void note_absent(struct sqlite_stmt *stmt, int i)
{
    if (!stmt->conn->lost && sqlite3_column_type(stmt->stmt, i) != SQLITE_NULL)
        stmt->conn->lost = SQLITE_NOMEM;
}

static const char *sqlite_column_text(void *stmt, int i)
{
    struct sqlite_stmt *own = stmt;
    const unsigned char *text = sqlite3_column_text(own->stmt, i);
    if (text)
        return (const char *)text;
    note_absent(own, i);
    return "";
}

static const void *sqlite_column_blob(void *stmt, int i, size_t *len)
{
    struct sqlite_stmt *own = stmt;
    const void *bytes = sqlite3_column_blob(own->stmt, i);
    *len = bytes ? (size_t)sqlite3_column_bytes(own->stmt, i) : 0;
    if (bytes)
        return bytes;
    if (sqlite3_column_bytes(own->stmt, i) > 0)
        note_absent(own, i);
    return "";
}

static int64_t sqlite_changes(void *conn)
{
    return sqlite3_changes64(((struct sqlite_conn *)conn)->db);
}

/* --- migrations ---------------------------------------------------------------------- */

static int sqlite_script(void *conn, const char *sql, struct err *err)
{
    struct sqlite_conn *own = conn;
    int rc = own->lost;
    while (rc == SQLITE_OK && *sql) {
        sqlite3_stmt *stmt = NULL;
        rc = sqlite3_prepare_v2(own->db, sql, -1, &stmt, &sql);
        if (rc == SQLITE_OK && stmt) {
            do {
                rc = sqlite3_step(stmt);
            } while (rc == SQLITE_ROW);
            rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        }
        sqlite3_finalize(stmt);
        if (rc == SQLITE_OK && sqlite3_get_autocommit(own->db))
            rc = SQLITE_MISUSE; /* the script ended our transaction */
    }
    if (rc == SQLITE_OK)
        return 0;
    db_failure_set(own->db, rc, err);
    note_failure(own, rc);
    return -1;
}

static int sqlite_version(void *conn, int *version, struct err *err)
{
    char got[32];
    if (db_pragma_get(((struct sqlite_conn *)conn)->db, "user_version", got, sizeof got,
                      err) != 0)
        return -1;
    *version = (int)strtol(got, NULL, 10);
    return 0;
}

static int sqlite_set_version(void *conn, int version, struct err *err)
{
    struct sqlite_conn *own = conn;
    char value[16];
    if (own->lost)
        return db_failure_set(own->db, own->lost, err);
    snprintf(value, sizeof value, "%d", version);
    return db_pragma_set(own->db, "user_version", value, err);
}

const struct db_driver db_sqlite_driver = {
    .name = "sqlite",
    .open = sqlite_shared_open,
    .close = sqlite_shared_close,
    .conn_open = sqlite_conn_open,
    .conn_close = sqlite_conn_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize,
    .reset = sqlite_reset,
    .bind_int = sqlite_bind_int,
    .bind_real = sqlite_bind_real,
    .bind_text = sqlite_bind_text,
    .bind_blob = sqlite_bind_blob,
    .step = sqlite_step,
    .column_int = sqlite_column_int,
    .column_real = sqlite_column_real,
    .column_text = sqlite_column_text,
    .column_blob = sqlite_column_blob,
    .column_is_null = sqlite_column_is_null,
    .changes = sqlite_changes,
    .script = sqlite_script,
    .version = sqlite_version,
    .set_version = sqlite_set_version,
};
