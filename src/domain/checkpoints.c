#include "domain/checkpoints.h"

#include "base/clock.h"
#include "store/job_store.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A chunk, with what comes before the first and after the last one. */
static int put(struct db_tx *tx, const char *job_id, const struct checkpoint *checkpoint,
               size_t chunk, int64_t *seq, struct err *err)
{
    size_t first = chunk * CHECKPOINT_STORE_CHUNK;
    size_t len = least(CHECKPOINT_STORE_CHUNK, checkpoint->len - first);
    if (chunk == 0 &&
        checkpoint_store_begin(tx, job_id, checkpoint, clock_now_ms(), seq, err) < 0)
        return -1;
    if (checkpoint_store_put_chunk(tx, *seq, chunk, checkpoint->bytes + first, len, err) <
        0)
        return -1;
    bool is_last = first + len == checkpoint->len;
    return is_last ? checkpoint_store_set_ready(tx, *seq, err) : 0;
}

int checkpoints_save(struct db *db, const char *job_id,
                     const struct checkpoint *checkpoint, struct err *err)
{
    size_t n_chunks =
        (checkpoint->len + CHECKPOINT_STORE_CHUNK - 1) / CHECKPOINT_STORE_CHUNK;
    int64_t seq = 0;
    for (size_t chunk = 0; chunk < n_chunks; chunk++) {
        struct db_tx *tx = NULL;
        if (db_begin(db, DB_WRITE, &tx, err) < 0 ||
            db_end(tx, put(tx, job_id, checkpoint, chunk, &seq, err), err) < 0)
            return -1;
    }
    return 0;
}

int checkpoints_load(struct db *db, const char *job_id, struct checkpoint *checkpoint,
                     struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) < 0)
        return -1;
    int found = checkpoint_store_get(tx, job_id, checkpoint, err);
    db_rollback(tx);
    return found;
}

int checkpoints_drop(struct db *db, const char *job_id, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_WRITE, &tx, err) < 0)
        return -1;
    return db_end(tx, job_store_restart(tx, job_id, err), err);
}
