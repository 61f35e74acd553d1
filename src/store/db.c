#include "store/db.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/db_driver.h"

struct db_conn;

struct db_stmt {
    const char *sql;           /* borrowed constant; its address is the cache key */
    void *handle;              /* owned; the driver's statement */
    struct db_conn *conn;      /* borrowed; where it lives */
    struct db_stmt *next_used; /* next one prepared in this transaction */
    bool is_used;              /* prepared in this transaction */
};

struct db_tx {
    struct db_conn *conn; /* borrowed; the connection it runs on, which holds it */
    enum db_mode mode;
};

struct db_conn {
    struct db *db;          /* borrowed */
    void *handle;           /* owned; the driver's connection; NULL: not open */
    struct db_stmt **slots; /* owned [n_slots], n_slots a power of two; NULL: free slot */
    size_t n_slots;
    size_t n_stmts;            /* slots in use */
    struct db_stmt *used;      /* prepared in this transaction */
    struct db_tx tx;           /* the one transaction it can run */
    struct db_conn *next_free; /* readers: next one that is free */
};

struct db {
    const struct db_driver *driver; /* borrowed */
    void *shared;                   /* owned; the driver's shared side */
    size_t n_readers;
    struct db_conn *readers; /* owned [n_readers] */

    pthread_mutex_t write_lock; /* guards writer, from db_begin to the end */
    struct db_conn writer;

    pthread_mutex_t readers_lock; /* guards free_reader */
    pthread_cond_t reader_is_free;
    struct db_conn *free_reader; /* borrowed list into readers */
};

/* --- statement cache ----------------------------------------------------------------- */

/* Index of the slot that holds sql, or of the free one where it belongs. */
static size_t slot_of(struct db_stmt *const *slots, size_t n_slots, const char *sql)
{
    /* Multiplicative hashing (Knuth 6.4): constants lie near each other. */
    uint64_t hash = (uint64_t)(uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15);
    size_t slot = (size_t)(hash >> 32) & (n_slots - 1);
    while (slots[slot] && slots[slot]->sql != sql)
        slot = (slot + 1) & (n_slots - 1);
    return slot;
}

/* Keeps at least half of the slots free, so that slot_of ends soon. */
static int cache_grow(struct db_conn *conn, struct err *err)
{
    if (conn->n_stmts + 1 <= conn->n_slots / 2)
        return 0;
    size_t n_slots = conn->n_slots ? conn->n_slots * 2 : 64;
    struct db_stmt **slots = mem_new(n_slots, sizeof(struct db_stmt *), err);
    if (!slots)
        return -1;
    for (size_t i = 0; i < conn->n_slots; i++) {
        if (conn->slots[i])
            slots[slot_of(slots, n_slots, conn->slots[i]->sql)] = conn->slots[i];
    }
    free(conn->slots);
    conn->slots = slots;
    conn->n_slots = n_slots;
    return 0;
}

static struct db_stmt *cache_add(struct db_conn *conn, const char *sql, struct err *err)
{
    const struct db_driver *driver = conn->db->driver;
    if (cache_grow(conn, err) != 0)
        return NULL;
    struct db_stmt *stmt = mem_new(1, sizeof *stmt, err);
    if (!stmt)
        return NULL;
    stmt->sql = sql;
    stmt->conn = conn;
    if (driver->prepare(conn->handle, sql, &stmt->handle, err) != 0) {
        free(stmt);
        return NULL;
    }
    conn->slots[slot_of(conn->slots, conn->n_slots, sql)] = stmt;
    conn->n_stmts++;
    return stmt;
}

static void cache_clear(struct db_conn *conn)
{
    for (size_t i = 0; i < conn->n_slots; i++) {
        if (conn->slots[i]) {
            conn->db->driver->finalize(conn->slots[i]->handle);
            free(conn->slots[i]);
        }
    }
    free(conn->slots);
    conn->slots = NULL;
    conn->n_slots = conn->n_stmts = 0;
}

int db_prepare(struct db_tx *tx, const char *sql, struct db_stmt **stmt, struct err *err)
{
    struct db_conn *conn = tx->conn;
    struct db_stmt *found = NULL;
    if (conn->n_slots)
        found = conn->slots[slot_of(conn->slots, conn->n_slots, sql)];
    if (!found)
        found = cache_add(conn, sql, err);
    if (!found)
        return -1;
    if (found->is_used) {
        conn->db->driver->reset(found->handle);
    } else {
        found->is_used = true;
        found->next_used = conn->used;
        conn->used = found;
    }
    *stmt = found;
    return 0;
}

/* Ends every statement of the transaction: one that is not reset holds its snapshot, and
 * what it was bound to may go away. */
static void reset_used(struct db_conn *conn)
{
    while (conn->used) {
        struct db_stmt *stmt = conn->used;
        conn->used = stmt->next_used;
        conn->db->driver->reset(stmt->handle);
        stmt->next_used = NULL;
        stmt->is_used = false;
    }
}

/* --- open and close ------------------------------------------------------------------ */

static int conn_close(struct db_conn *conn, struct err *err)
{
    assert(!conn->used && !conn->tx.conn);
    cache_clear(conn);
    if (!conn->handle)
        return 0;
    int result = conn->db->driver->conn_close(conn->handle, err);
    conn->handle = NULL;
    return result;
}

static int conn_open(struct db *db, struct db_conn *conn, enum db_mode mode,
                     struct err *err)
{
    conn->db = db;
    return db->driver->conn_open(db->shared, mode, &conn->handle, err);
}

static int readers_open(struct db *db, size_t n, struct err *err)
{
    db->readers = mem_new(n, sizeof *db->readers, err);
    if (!db->readers)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct db_conn *reader = &db->readers[i];
        if (conn_open(db, reader, DB_READ, err) != 0)
            return -1;
        db->n_readers++;
        reader->next_free = db->free_reader;
        db->free_reader = reader;
    }
    return 0;
}

int db_open(const struct db_options *options, struct db **db, struct err *err)
{
    assert(options->n_readers >= 1);
    struct db *opened = mem_new(1, sizeof *opened, err);
    if (!opened)
        return -1;
    opened->driver = &db_sqlite_driver;
    opened->writer.db = opened;
    pthread_mutex_init(&opened->write_lock, NULL);
    pthread_mutex_init(&opened->readers_lock, NULL);
    pthread_cond_init(&opened->reader_is_free, NULL);
    /* The writer first: it creates the file that readers only open. */
    if (opened->driver->open(options->path, &opened->shared, err) != 0 ||
        conn_open(opened, &opened->writer, DB_WRITE, err) != 0 ||
        readers_open(opened, options->n_readers, err) != 0) {
        db_close(opened, NULL);
        return -1;
    }
    *db = opened;
    return 0;
}

int db_close(struct db *db, struct err *err)
{
    if (!db)
        return 0;
    int result = 0;
    /* Readers first: the last connection is the one that may checkpoint. */
    for (size_t i = 0; i < db->n_readers; i++) {
        if (conn_close(&db->readers[i], err) != 0)
            result = -1;
    }
    if (conn_close(&db->writer, err) != 0)
        result = -1;
    if (db->shared && db->driver->close(db->shared, err) != 0)
        result = -1;
    pthread_cond_destroy(&db->reader_is_free);
    pthread_mutex_destroy(&db->readers_lock);
    pthread_mutex_destroy(&db->write_lock);
    free(db->readers);
    free(db);
    return result;
}

/* --- transactions -------------------------------------------------------------------- */

static struct db_conn *conn_take(struct db *db, enum db_mode mode)
{
    if (mode == DB_WRITE) {
        pthread_mutex_lock(&db->write_lock);
        return &db->writer;
    }
    pthread_mutex_lock(&db->readers_lock);
    while (!db->free_reader)
        pthread_cond_wait(&db->reader_is_free, &db->readers_lock);
    struct db_conn *reader = db->free_reader;
    db->free_reader = reader->next_free;
    pthread_mutex_unlock(&db->readers_lock);
    return reader;
}

static void conn_give(struct db_conn *conn, enum db_mode mode)
{
    struct db *db = conn->db;
    conn->tx.conn = NULL;
    if (mode == DB_WRITE) {
        pthread_mutex_unlock(&db->write_lock);
        return;
    }
    pthread_mutex_lock(&db->readers_lock);
    conn->next_free = db->free_reader;
    db->free_reader = conn;
    pthread_cond_signal(&db->reader_is_free);
    pthread_mutex_unlock(&db->readers_lock);
}

int db_begin(struct db *db, enum db_mode mode, struct db_tx **tx, struct err *err)
{
    struct db_conn *conn = conn_take(db, mode);
    if (db->driver->begin(conn->handle, mode, err) != 0) {
        conn_give(conn, mode);
        return -1;
    }
    conn->tx = (struct db_tx){.conn = conn, .mode = mode};
    *tx = &conn->tx;
    return 0;
}

int db_commit(struct db_tx *tx, struct err *err)
{
    struct db_conn *conn = tx->conn;
    reset_used(conn);
    int result = conn->db->driver->commit(conn->handle, err);
    conn_give(conn, tx->mode);
    return result;
}

void db_rollback(struct db_tx *tx)
{
    if (!tx)
        return;
    struct db_conn *conn = tx->conn;
    reset_used(conn);
    conn->db->driver->rollback(conn->handle);
    conn_give(conn, tx->mode);
}

int db_end(struct db_tx *tx, int result, struct err *err)
{
    if (result >= 0)
        return db_commit(tx, err) == 0 ? result : -1;
    db_rollback(tx);
    return result;
}

/* --- statements ---------------------------------------------------------------------- */

static const struct db_driver *driver_of(const struct db_stmt *stmt)
{
    return stmt->conn->db->driver;
}

void db_bind_int(struct db_stmt *stmt, int i, int64_t value)
{
    driver_of(stmt)->bind_int(stmt->handle, i, value);
}

void db_bind_real(struct db_stmt *stmt, int i, double value)
{
    driver_of(stmt)->bind_real(stmt->handle, i, value);
}

void db_bind_text(struct db_stmt *stmt, int i, const char *text)
{
    driver_of(stmt)->bind_text(stmt->handle, i, text);
}

void db_bind_blob(struct db_stmt *stmt, int i, const void *bytes, size_t len)
{
    driver_of(stmt)->bind_blob(stmt->handle, i, bytes, len);
}

int db_step(struct db_stmt *stmt, struct err *err)
{
    return driver_of(stmt)->step(stmt->conn->handle, stmt->handle, err);
}

int db_run(struct db_stmt *stmt, struct err *err)
{
    int result = db_step(stmt, err);
    if (result > 0)
        result = err_set(err, ERR_INTERNAL, "unexpected_row",
                         "the database gave a row where none belongs");
    driver_of(stmt)->reset(stmt->handle);
    return result;
}

int64_t db_column_int(struct db_stmt *stmt, int i)
{
    return driver_of(stmt)->column_int(stmt->handle, i);
}

double db_column_real(struct db_stmt *stmt, int i)
{
    return driver_of(stmt)->column_real(stmt->handle, i);
}

const char *db_column_text(struct db_stmt *stmt, int i)
{
    return driver_of(stmt)->column_text(stmt->handle, i);
}

void db_column_copy(struct db_stmt *stmt, int i, char *out, size_t size)
{
    snprintf(out, size, "%s", db_column_text(stmt, i));
}

const void *db_column_blob(struct db_stmt *stmt, int i, size_t *len)
{
    return driver_of(stmt)->column_blob(stmt->handle, i, len);
}

bool db_column_is_null(struct db_stmt *stmt, int i)
{
    return driver_of(stmt)->column_is_null(stmt->handle, i);
}

int64_t db_changes(struct db_tx *tx)
{
    return tx->conn->db->driver->changes(tx->conn->handle);
}

int db_script(struct db_tx *tx, const char *sql, struct err *err)
{
    return tx->conn->db->driver->script(tx->conn->handle, sql, err);
}

int db_version(struct db_tx *tx, int *version, struct err *err)
{
    return tx->conn->db->driver->version(tx->conn->handle, version, err);
}

int db_set_version(struct db_tx *tx, int version, struct err *err)
{
    return tx->conn->db->driver->set_version(tx->conn->handle, version, err);
}
