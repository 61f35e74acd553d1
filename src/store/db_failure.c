#include "store/db_failure.h"

#include <errno.h>

static const struct {
    int rc; /* primary result code */
    enum err_code code;
    const char *slug;
    const char *message;
} failures[] = {
    {SQLITE_FULL, ERR_STORAGE_FULL, "storage_full", "the disk or the database is full"},
    {SQLITE_IOERR, ERR_IO, "storage_failed", "the disk refused a read or a write"},
    {SQLITE_CANTOPEN, ERR_IO, "storage_failed",
     "a file of the database cannot be opened"},
    {SQLITE_READONLY, ERR_IO, "storage_failed", "the database cannot be written to"},
    {SQLITE_PERM, ERR_IO, "storage_failed", "a file of the database is not accessible"},
    {SQLITE_CORRUPT, ERR_CORRUPT, "database_corrupt", "the database is damaged"},
    {SQLITE_NOTADB, ERR_CORRUPT, "not_our_database", "the file is not a database"},
    {SQLITE_CONSTRAINT, ERR_CONFLICT, "constraint",
     "the change breaks a rule of the data"},
    {SQLITE_BUSY, ERR_BUSY, "database_busy", "the database is in use, try again"},
    {SQLITE_TOOBIG, ERR_TOO_LARGE, "too_large",
     "a value is larger than the database takes"},
};

int db_failure_set(sqlite3 *db, int rc, struct err *err)
{
    int primary = rc & 0xff;
    if (primary == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM)
        return err_no_memory(err);
    if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && db) {
        /* Only a failed write of the file itself comes as SQLITE_FULL. */
        int cause = sqlite3_system_errno(db);
        if (cause == ENOSPC || cause == EDQUOT)
            primary = SQLITE_FULL;
    }
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        if (failures[i].rc == primary)
            return err_set(err, failures[i].code, failures[i].slug, "%s",
                           failures[i].message);
    }
    return err_set(err, ERR_INTERNAL, "database_error", "the database failed: %s (%d)",
                   sqlite3_errstr(rc), rc);
}
