#include "store/db_pragma.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/db_failure.h"

#define APPLICATION_ID 0x6d6c7064 /* "mlpd" */

enum { WHEN_NEW = 1, WHEN_WRITER = 2, WHEN_READER = 4, WHEN_ALL = 6 };

/* In this order. Those of a new file are read back from every file. */
static const struct {
    unsigned when;
    const char *name;
    const char *value;
    const char *reads_back;
} pragmas[] = {
    {WHEN_NEW, "page_size", "8192", "8192"},
    {WHEN_NEW, "auto_vacuum", "INCREMENTAL", "2"},
    {WHEN_NEW, "application_id", "1835823204", "1835823204"},
    {WHEN_ALL, "busy_timeout", "2000", "2000"},
    {WHEN_WRITER, "journal_mode", "WAL", "wal"},
    {WHEN_WRITER, "synchronous", "FULL", "2"},
    {WHEN_WRITER, "journal_size_limit", "67108864", "67108864"},
    {WHEN_WRITER, "wal_autocheckpoint", "1000", "1000"},
    {WHEN_READER, "wal_autocheckpoint", "0", "0"},
    {WHEN_ALL, "foreign_keys", "ON", "1"},
    {WHEN_ALL, "trusted_schema", "OFF", "0"},
    {WHEN_ALL, "cell_size_check", "ON", "1"},
    {WHEN_ALL, "temp_store", "MEMORY", "2"},
    {WHEN_ALL, "secure_delete", "FAST", "2"},
    {WHEN_ALL, "mmap_size", "0", "0"},
    {WHEN_READER, "query_only", "ON", "1"},
};

/* Runs one pragma; its first column goes to out, "" when it gives none. */
static int pragma_run(sqlite3 *db, const char *sql, char *out, size_t size,
                      struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    out[0] = '\0';
    if (rc == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(stmt, 0);
        snprintf(out, size, "%s", text ? (const char *)text : "");
        rc = sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? 0 : db_failure_set(db, rc, err);
}

int db_pragma_get(sqlite3 *db, const char *name, char *out, size_t size, struct err *err)
{
    char sql[80];
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    return pragma_run(db, sql, out, size, err);
}

int db_pragma_set(sqlite3 *db, const char *name, const char *value, struct err *err)
{
    char sql[80];
    char ignored[32];
    snprintf(sql, sizeof sql, "PRAGMA %s=%s", name, value);
    return pragma_run(db, sql, ignored, sizeof ignored, err);
}

static int pragmas_apply(sqlite3 *db, unsigned when, struct err *err)
{
    for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++) {
        if (pragmas[i].when & when &&
            db_pragma_set(db, pragmas[i].name, pragmas[i].value, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++) {
        char got[32];
        if (!(pragmas[i].when & (when | WHEN_NEW)))
            continue;
        if (db_pragma_get(db, pragmas[i].name, got, sizeof got, err) != 0)
            return -1;
        if (strcmp(got, pragmas[i].reads_back) != 0)
            return err_set(err, ERR_INTERNAL, "pragma_refused",
                           "the database's %s is %.31s, not %s", pragmas[i].name, got,
                           pragmas[i].reads_back);
    }
    return 0;
}

/* Switches that are no pragmas. */
static int switches_apply(sqlite3 *db, struct err *err)
{
    static const struct {
        int option;
        int value;
        const char *name;
    } switches[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1, "defensive"},
        {SQLITE_DBCONFIG_DQS_DML, 0, "dqs_dml"},
        {SQLITE_DBCONFIG_DQS_DDL, 0, "dqs_ddl"},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, "enable_trigger"}, /* cascades still work */
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0, "enable_view"},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, "enable_load_extension"},
        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, "writable_schema"},
        /* Also the writer: it checkpoints itself at the end, and looks at the result. */
        {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, "no_ckpt_on_close"},
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        int got = -1;
        int rc = sqlite3_db_config(db, switches[i].option, switches[i].value, &got);
        if (rc != SQLITE_OK || got != switches[i].value)
            return err_set(err, ERR_INTERNAL, "pragma_refused",
                           "the database refused its switch %s", switches[i].name);
    }
    return 0;
}

static void limits_apply(sqlite3 *db, enum db_mode mode)
{
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 1000000);
    sqlite3_limit(db, SQLITE_LIMIT_COLUMN, 100);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 100);
    sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 16);
    sqlite3_limit(db, SQLITE_LIMIT_VDBE_OP, 1000000);
    sqlite3_limit(db, SQLITE_LIMIT_FUNCTION_ARG, 16);
    sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100);
    sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, 100);
    sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 10);
    sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    /* VACUUM INTO counts as one, and is the writer's. */
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, mode == DB_WRITE ? 1 : 0);
}

static int is_ours(sqlite3 *db, bool *is_new, struct err *err)
{
    char got[32];
    if (db_pragma_get(db, "page_count", got, sizeof got, err) != 0)
        return -1;
    *is_new = strcmp(got, "0") == 0;
    if (*is_new)
        return 0;
    if (db_pragma_get(db, "application_id", got, sizeof got, err) != 0)
        return -1;
    if (strtol(got, NULL, 10) != APPLICATION_ID)
        return err_set(err, ERR_CORRUPT, "not_our_database",
                       "the file is a database of another program");
    return 0;
}

int db_pragma_apply(sqlite3 *db, enum db_mode mode, struct err *err)
{
    bool is_new = false;
    unsigned when = mode == DB_WRITE ? WHEN_WRITER : WHEN_READER;
    limits_apply(db, mode);
    if (switches_apply(db, err) != 0 ||
        (mode == DB_WRITE && is_ours(db, &is_new, err) != 0))
        return -1;
    return pragmas_apply(db, when | (is_new ? WHEN_NEW : 0U), err);
}
