#include "store/migrate.h"

#include <assert.h>

/* The last version of the list; its numbers have no gaps. */
static int last_version(const struct migration *migrations)
{
    int last = 0;
    for (; migrations[last].version != 0; last++)
        assert(migrations[last].version == last + 1);
    return last;
}

static int read_version(struct db *db, int *version, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) != 0)
        return -1;
    int result = db_version(tx, version, err);
    db_rollback(tx);
    return result;
}

static int apply_one(struct db *db, const struct migration *migration, struct err *err)
{
    struct err cause = {0};
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_WRITE, &tx, &cause) != 0)
        goto failed;
    if (db_script(tx, migration->sql, &cause) != 0 ||
        db_set_version(tx, migration->version, &cause) != 0) {
        db_rollback(tx);
        goto failed;
    }
    if (db_commit(tx, &cause) != 0)
        goto failed;
    return 0;
failed:
    return err_set(err, cause.code, cause.slug, "migration %s: %s", migration->name,
                   cause.message);
}

int migrate_run(struct db *db, const struct migration *migrations, int *applied,
                struct err *err)
{
    int last = last_version(migrations);
    int version = 0;
    if (read_version(db, &version, err) != 0)
        return -1;
    if (version < 0 || version > last)
        return err_set(
            err, ERR_CONFLICT, "newer_database",
            "the database has version %d, this program knows up to %d: use the "
            "program that wrote it, or a later one",
            version, last);
    for (int i = version; i < last; i++) {
        if (apply_one(db, &migrations[i], err) != 0)
            return -1;
    }
    if (applied)
        *applied = last - version;
    return 0;
}
