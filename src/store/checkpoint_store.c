#include "store/checkpoint_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "store/row.h"

/* --- writing ------------------------------------------------------------------------- */

static int remove_unfinished(struct db_tx *tx, const char *job_id, struct err *err)
{
    static const char sql[] = "DELETE FROM job_checkpoint WHERE state = 'writing'"
                              " AND job_seq = (SELECT seq FROM job WHERE id = $1)";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, job_id);
    return db_run(stmt, err);
}

static void digest_of(const void *bytes, size_t len, unsigned char sum[DIGEST_SIZE])
{
    struct digest digest;
    digest_init(&digest);
    digest_add(&digest, bytes, len);
    digest_finish(&digest, sum);
}

int checkpoint_store_begin(struct db_tx *tx, const char *job_id,
                           const struct checkpoint *checkpoint, int64_t now_ms,
                           int64_t *seq, struct err *err)
{
    static const char sql[] =
        "INSERT INTO job_checkpoint (job_seq, state, epoch, attempts_before, n_bytes,"
        " sha256, created_at_ms)"
        " SELECT seq, 'writing', $2, max(attempts - 1, 0), $3, $4, $5 FROM job"
        " WHERE id = $1 RETURNING seq";
    unsigned char sum[DIGEST_SIZE];
    struct db_stmt *stmt = NULL;
    if (remove_unfinished(tx, job_id, err) != 0 || db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    digest_of(checkpoint->bytes, checkpoint->len, sum);
    db_bind_text(stmt, 1, job_id);
    db_bind_int(stmt, 2, (int64_t)checkpoint->epoch);
    db_bind_int(stmt, 3, (int64_t)checkpoint->len);
    db_bind_blob(stmt, 4, sum, sizeof sum);
    db_bind_int(stmt, 5, now_ms);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "no_such_job", "there is no such job");
    if (rc < 0)
        return -1;
    *seq = db_column_int(stmt, 0);
    return db_run(stmt, err);
}

int checkpoint_store_put_chunk(struct db_tx *tx, int64_t seq, size_t chunk,
                               const void *bytes, size_t len, struct err *err)
{
    static const char sql[] = "INSERT INTO job_checkpoint_chunk (checkpoint_seq, chunk,"
                              " bytes) VALUES ($1, $2, $3)";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, (int64_t)chunk);
    db_bind_blob(stmt, 3, bytes, len);
    return db_run(stmt, err);
}

int checkpoint_store_set_ready(struct db_tx *tx, int64_t seq, struct err *err)
{
    static const char remove_last[] =
        "DELETE FROM job_checkpoint WHERE state = 'ready'"
        " AND job_seq = (SELECT job_seq FROM job_checkpoint WHERE seq = $1)";
    static const char set_state[] = "UPDATE job_checkpoint SET state = 'ready'"
                                    " WHERE seq = $1 AND state = 'writing'";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, remove_last, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    if (db_run(stmt, err) != 0 || db_prepare(tx, set_state, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    if (db_run(stmt, err) != 0)
        return -1;
    return db_changes(tx) == 1 ? 0 : row_corrupt(err);
}

/* --- reading ------------------------------------------------------------------------- */

/* One that is being read. */
struct reading {
    int64_t seq;
    struct checkpoint checkpoint;
    unsigned char sum[DIGEST_SIZE]; /* that its bytes must have */
};

static int find(struct db_tx *tx, const char *job_id, struct reading *reading,
                struct err *err)
{
    static const char sql[] =
        "SELECT c.seq, c.epoch, c.n_bytes, c.sha256 FROM job_checkpoint c"
        " JOIN job j ON j.seq = c.job_seq WHERE j.id = $1 AND c.state = 'ready'";
    struct db_stmt *stmt = NULL;
    size_t len = 0;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, job_id);
    int rc = db_step(stmt, err);
    if (rc <= 0)
        return rc;
    reading->seq = db_column_int(stmt, 0);
    reading->checkpoint.epoch = (uint64_t)db_column_int(stmt, 1);
    reading->checkpoint.len = (size_t)db_column_int(stmt, 2);
    const void *sum = db_column_blob(stmt, 3, &len);
    if (len != sizeof reading->sum)
        return row_corrupt(err);
    memcpy(reading->sum, sum, sizeof reading->sum);
    return db_run(stmt, err) != 0 ? -1 : 1;
}

static int damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "corrupt", "the stored checkpoint is damaged");
}

/* Puts the chunks into bytes [len], which they must fill. */
static int read_chunks(struct db_tx *tx, int64_t seq, char *bytes, size_t len,
                       struct err *err)
{
    static const char sql[] = "SELECT chunk, bytes FROM job_checkpoint_chunk"
                              " WHERE checkpoint_seq = $1 ORDER BY chunk";
    struct db_stmt *stmt = NULL;
    size_t at = 0;
    int64_t n = 0;
    int rc;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    while ((rc = db_step(stmt, err)) == 1) {
        size_t chunk_len = 0;
        const void *chunk = db_column_blob(stmt, 1, &chunk_len);
        if (db_column_int(stmt, 0) != n++ || chunk_len > len - at)
            return damaged(err);
        if (chunk_len > 0)
            memcpy(bytes + at, chunk, chunk_len);
        at += chunk_len;
    }
    if (rc == 0 && at != len)
        return damaged(err);
    return rc;
}

int checkpoint_store_get(struct db_tx *tx, const char *job_id,
                         struct checkpoint *checkpoint, struct err *err)
{
    struct reading reading = {0};
    unsigned char sum[DIGEST_SIZE];
    int found = find(tx, job_id, &reading, err);
    if (found <= 0)
        return found;
    size_t len = reading.checkpoint.len;
    char *bytes = mem_new(len, 1, err);
    if (!bytes)
        return -1;
    if (read_chunks(tx, reading.seq, bytes, len, err) != 0) {
        free(bytes);
        return -1;
    }
    digest_of(bytes, len, sum);
    if (memcmp(sum, reading.sum, sizeof sum) != 0) {
        free(bytes);
        return damaged(err);
    }
    reading.checkpoint.bytes = bytes;
    *checkpoint = reading.checkpoint;
    return 1;
}

/* --- removing ------------------------------------------------------------------------ */

int checkpoint_store_delete(struct db_tx *tx, int64_t job_seq, struct err *err)
{
    static const char sql[] = "DELETE FROM job_checkpoint WHERE job_seq = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, job_seq);
    return db_run(stmt, err);
}
