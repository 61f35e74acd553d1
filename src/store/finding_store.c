#include "store/finding_store.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/row.h"

int finding_store_add(struct db_tx *tx, int64_t job_seq,
                      const struct doctor_finding *findings, size_t n, struct err *err)
{
    static const char sql[] =
        "INSERT INTO job_finding (job_seq, number, ailment, epoch, layer, value,"
        " threshold, message, remedy)"
        " SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8"
        " FROM job_finding WHERE job_seq = $1"
        " ON CONFLICT (job_seq, ailment, layer) DO NOTHING";
    struct db_stmt *stmt = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct doctor_finding *finding = &findings[i];
        bool is_of_net = finding->layer == SIZE_MAX;
        if (db_prepare(tx, sql, &stmt, err) != 0)
            return -1;
        db_bind_int(stmt, 1, job_seq);
        db_bind_text(stmt, 2, doctor_ailment_name(finding->ailment));
        db_bind_int(stmt, 3, (int64_t)finding->epoch);
        db_bind_int(stmt, 4, is_of_net ? 0 : (int64_t)finding->layer + 1);
        db_bind_real(stmt, 5, isfinite(finding->value) ? finding->value : (double)NAN);
        db_bind_real(stmt, 6, finding->threshold);
        db_bind_text(stmt, 7, finding->message);
        db_bind_text(stmt, 8, finding->remedy);
        if (db_run(stmt, err) != 0)
            return -1;
    }
    return 0;
}

int finding_store_forget(struct db_tx *tx, int64_t job_seq, uint64_t after,
                         struct err *err)
{
    static const char sql[] = "DELETE FROM job_finding WHERE job_seq = $1 AND epoch > $2";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, job_seq);
    db_bind_int(stmt, 2, (int64_t)after);
    return db_run(stmt, err);
}

int finding_store_copy(struct db_tx *tx, const char *job_id, const char *version_id,
                       struct err *err)
{
    static const char sql[] =
        "INSERT INTO version_finding (version_seq, number, ailment, epoch, layer, value,"
        " threshold, message, remedy)"
        " SELECT v.seq, f.number, f.ailment, f.epoch, f.layer, f.value, f.threshold,"
        " f.message, f.remedy"
        " FROM job j JOIN job_finding f ON f.job_seq = j.seq"
        " JOIN model_version v ON v.id = $2 WHERE j.id = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, job_id);
    db_bind_text(stmt, 2, version_id);
    return db_run(stmt, err);
}

/* --- reading ------------------------------------------------------------------------- */

#define FINDING_COLUMNS                                                                  \
    "f.ailment, f.epoch, f.layer, f.value, f.threshold, f.message, f.remedy"

static int read_finding(struct db_stmt *stmt, struct doctor_finding *finding,
                        struct err *err)
{
    int ailment = doctor_ailment_find(db_column_text(stmt, 0));
    int64_t layer = db_column_int(stmt, 2);
    if (ailment < 0)
        return row_corrupt(err);
    *finding = (struct doctor_finding){
        .ailment = (enum doctor_ailment)ailment,
        .epoch = (size_t)db_column_int(stmt, 1),
        .layer = layer > 0 ? (size_t)layer - 1 : SIZE_MAX,
        .value = db_column_real(stmt, 3),
        .threshold = db_column_real(stmt, 4),
    };
    db_column_copy(stmt, 5, finding->message, sizeof finding->message);
    db_column_copy(stmt, 6, finding->remedy, sizeof finding->remedy);
    return 0;
}

static int read_all(struct db_stmt *stmt, struct doctor_finding **findings, size_t *n,
                    struct err *err)
{
    struct doctor_finding *read = NULL;
    size_t n_read = 0;
    size_t capacity = 0;
    int rc;
    while ((rc = db_step(stmt, err)) == 1) {
        if (mem_grow(&read, &capacity, n_read + 1, sizeof *read, err) != 0 ||
            read_finding(stmt, &read[n_read], err) != 0) {
            rc = -1;
            break;
        }
        n_read++;
    }
    if (rc != 0) {
        free(read);
        return -1;
    }
    *findings = read;
    *n = n_read;
    return 0;
}

int finding_store_of_job(struct db_tx *tx, int64_t job_seq,
                         struct doctor_finding **findings, size_t *n, struct err *err)
{
    static const char sql[] = "SELECT " FINDING_COLUMNS " FROM job_finding f"
                              " WHERE f.job_seq = $1 ORDER BY f.number";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, job_seq);
    return read_all(stmt, findings, n, err);
}

int finding_store_of_version(struct db_tx *tx, const char *version_id,
                             struct doctor_finding **findings, size_t *n, struct err *err)
{
    static const char sql[] = "SELECT " FINDING_COLUMNS " FROM version_finding f"
                              " JOIN model_version v ON v.seq = f.version_seq"
                              " WHERE v.id = $1 ORDER BY f.number";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, version_id);
    return read_all(stmt, findings, n, err);
}
