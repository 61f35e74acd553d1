#include "store/job_store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/checkpoint_store.h"
#include "store/finding_store.h"
#include "store/row.h"

/* --- transitions --------------------------------------------------------------------- */

static int add_transition(struct db_tx *tx, int64_t seq, enum job_state state,
                          const char *cause, int64_t at_ms, struct err *err)
{
    static const char sql[] =
        "INSERT INTO job_transition (job_seq, number, state, at_ms, cause)"
        " SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4 FROM job_transition"
        " WHERE job_seq = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_text(stmt, 2, job_state_name(state));
    db_bind_int(stmt, 3, at_ms);
    db_bind_text(stmt, 4, cause);
    return db_run(stmt, err);
}

static int read_state(struct db_stmt *stmt, int i, enum job_state *state, struct err *err)
{
    int found = job_state_find(db_column_text(stmt, i));
    if (found < 0)
        return row_corrupt(err);
    *state = (enum job_state)found;
    return 0;
}

/* The newest JOB_TRANSITIONS_MAX, oldest first. */
static int load_transitions(struct db_tx *tx, struct job *job, struct err *err)
{
    static const char sql[] =
        "SELECT state, at_ms, cause FROM (SELECT number, state, at_ms, cause"
        " FROM job_transition WHERE job_seq = $1 ORDER BY number DESC LIMIT $2)"
        " ORDER BY number";
    struct db_stmt *stmt = NULL;
    size_t capacity = 0;
    int rc;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, job->seq);
    db_bind_int(stmt, 2, JOB_TRANSITIONS_MAX);
    while ((rc = db_step(stmt, err)) == 1) {
        if (mem_grow(&job->transitions, &capacity, job->n_transitions + 1,
                     sizeof *job->transitions, err) != 0)
            return -1;
        struct job_transition *transition = &job->transitions[job->n_transitions];
        if (read_state(stmt, 0, &transition->state, err) != 0)
            return -1;
        transition->at_ms = db_column_int(stmt, 1);
        db_column_copy(stmt, 2, transition->cause, sizeof transition->cause);
        job->n_transitions++;
    }
    return rc;
}

/* --- submitting ---------------------------------------------------------------------- */

/* What a job's columns are bound to while its statement runs. */
struct encoded {
    struct buf features;
    struct buf parameters;
    struct buf warnings;
};

static int encode(const struct job *job, struct encoded *encoded, struct err *err)
{
    buf_init(&encoded->features, SIZE_MAX);
    buf_init(&encoded->parameters, SIZE_MAX);
    buf_init(&encoded->warnings, SIZE_MAX);
    job_encode_features(job, &encoded->features);
    parameters_encode(&job->parameters, &encoded->parameters);
    warnings_encode(&job->warnings, &encoded->warnings);
    if (buf_check(&encoded->features, err) != 0 ||
        buf_check(&encoded->parameters, err) != 0 ||
        buf_check(&encoded->warnings, err) != 0)
        return -1;
    return 0;
}

static void encoded_clear(struct encoded *encoded)
{
    buf_clear(&encoded->features);
    buf_clear(&encoded->parameters);
    buf_clear(&encoded->warnings);
}

static int insert_row(struct db_tx *tx, const struct job *job, int64_t *seq,
                      struct err *err)
{
    static const char sql[] =
        "INSERT INTO job (id, model, dataset_id, target, features, task, parameters, "
        "state,"
        " attempts, epoch, model_version, metrics, warnings, error_code, error_message,"
        " error_hint, created_at_ms, sample_weight, warm_start_model, warm_start_version,"
        " warm_start_sha256)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, 0, 0, $8, $9, '', '', '', $10,"
        " $11, $12, $13, $14)"
        " RETURNING seq";
    struct db_stmt *stmt = NULL;
    struct encoded encoded;
    int result = -1;

    if (encode(job, &encoded, err) != 0 || db_prepare(tx, sql, &stmt, err) != 0)
        goto out;
    db_bind_text(stmt, 1, job->id);
    db_bind_text(stmt, 2, job->model);
    db_bind_text(stmt, 3, job->dataset_id);
    db_bind_text(stmt, 4, job->target);
    db_bind_blob(stmt, 5, encoded.features.bytes, encoded.features.len);
    db_bind_text(stmt, 6, encoder_task_name(job->task));
    db_bind_blob(stmt, 7, encoded.parameters.bytes, encoded.parameters.len);
    db_bind_blob(stmt, 8, "", 0); /* no scores */
    db_bind_blob(stmt, 9, encoded.warnings.bytes, encoded.warnings.len);
    db_bind_int(stmt, 10, job->created_at_ms);
    db_bind_text(stmt, 11, job->sample_weight); /* NULL stays NULL */
    row_bind_reference(stmt, 12, &job->warm_start);
    if (db_step(stmt, err) != 1)
        goto out;
    *seq = db_column_int(stmt, 0);
    result = db_run(stmt, err);
out:
    encoded_clear(&encoded);
    return result;
}

int job_store_insert(struct db_tx *tx, const struct job *job, struct err *err)
{
    int64_t seq = 0;
    if (insert_row(tx, job, &seq, err) != 0)
        return -1;
    return add_transition(tx, seq, JOB_QUEUED, "submitted", job->created_at_ms, err);
}

/* --- reading ------------------------------------------------------------------------- */

/* Where a job can go on from; NULL: it has no checkpoint. */
#define CHECKPOINT_EPOCH                                                                 \
    "(SELECT c.epoch FROM job_checkpoint c WHERE c.job_seq = job.seq AND c.state = "     \
    "'ready')"

#define JOB_COLUMNS                                                                      \
    "seq, id, model, dataset_id, target, features, task, parameters, state, attempts,"   \
    " epoch, train_loss, validation_loss, samples_per_second, eta_seconds, "             \
    "model_version,"                                                                     \
    " metrics, warnings, error_code, error_message, error_hint, created_at_ms,"          \
    " started_at_ms, finished_at_ms, sample_weight, warm_start_model,"                   \
    " warm_start_version, warm_start_sha256, resumed_from_epoch, " CHECKPOINT_EPOCH

enum {
    SEQ,
    ID,
    MODEL,
    DATASET_ID,
    TARGET,
    FEATURES,
    TASK,
    PARAMETERS,
    STATE,
    ATTEMPTS,
    EPOCH,
    TRAIN_LOSS,
    VALIDATION_LOSS,
    SAMPLES_PER_SECOND,
    ETA_SECONDS,
    MODEL_VERSION,
    METRICS,
    WARNINGS,
    ERROR_CODE,
    ERROR_MESSAGE,
    ERROR_HINT,
    CREATED_AT_MS,
    STARTED_AT_MS,
    FINISHED_AT_MS,
    SAMPLE_WEIGHT,
    WARM_START, /* three columns */
    RESUMED_FROM_EPOCH = WARM_START + 3,
    READY_EPOCH
};

/* The columns that are plain values. */
static void read_values(struct db_stmt *stmt, struct job *job)
{
    job->seq = db_column_int(stmt, SEQ);
    db_column_copy(stmt, ID, job->id, sizeof job->id);
    db_column_copy(stmt, MODEL, job->model, sizeof job->model);
    db_column_copy(stmt, DATASET_ID, job->dataset_id, sizeof job->dataset_id);
    job->attempts = (uint64_t)db_column_int(stmt, ATTEMPTS);
    job->progress = (struct job_progress){
        .epoch = (uint64_t)db_column_int(stmt, EPOCH),
        .train_loss = db_column_real(stmt, TRAIN_LOSS),
        .validation_loss = db_column_real(stmt, VALIDATION_LOSS),
        .samples_per_second = db_column_real(stmt, SAMPLES_PER_SECOND),
        .eta_seconds = db_column_real(stmt, ETA_SECONDS),
    };
    job->model_version = (uint64_t)db_column_int(stmt, MODEL_VERSION);
    row_reference(stmt, WARM_START, &job->warm_start);
    job->resumed_from_epoch = (uint64_t)db_column_int(stmt, RESUMED_FROM_EPOCH);
    job->checkpoint_epoch = (uint64_t)db_column_int(stmt, READY_EPOCH); /* NULL is 0 */
    db_column_copy(stmt, ERROR_CODE, job->error.code, sizeof job->error.code);
    db_column_copy(stmt, ERROR_MESSAGE, job->error.message, sizeof job->error.message);
    db_column_copy(stmt, ERROR_HINT, job->error.hint, sizeof job->error.hint);
    job->created_at_ms = db_column_int(stmt, CREATED_AT_MS);
    job->started_at_ms = db_column_int(stmt, STARTED_AT_MS); /* NULL reads as 0 */
    job->finished_at_ms = db_column_int(stmt, FINISHED_AT_MS);
}

/* The columns that are texts of any length. */
static int read_names(struct db_stmt *stmt, struct job *job, struct err *err)
{
    const char *target = db_column_text(stmt, TARGET);
    job->target = mem_text(target, strlen(target), err);
    if (!job->target)
        return -1;
    if (db_column_is_null(stmt, SAMPLE_WEIGHT))
        return 0;
    const char *weight = db_column_text(stmt, SAMPLE_WEIGHT);
    job->sample_weight = mem_text(weight, strlen(weight), err);
    return job->sample_weight ? 0 : -1;
}

/* Reads the row that stmt is at, with its transitions; written only on success. */
static int read_job(struct db_tx *tx, struct db_stmt *stmt, struct job *job,
                    struct err *err)
{
    struct job read = {0};
    size_t len = 0;

    read_values(stmt, &read);
    if (read_names(stmt, &read, err) != 0)
        goto failed;
    const void *features = db_column_blob(stmt, FEATURES, &len);
    if (job_decode_features(features, len, &read, err) != 0 ||
        row_task(stmt, TASK, &read.task, err) != 0 ||
        row_parameters(stmt, PARAMETERS, &read.parameters, err) != 0 ||
        read_state(stmt, STATE, &read.state, err) != 0 ||
        row_metrics(stmt, METRICS, &read.metrics, err) != 0 ||
        row_warnings(stmt, WARNINGS, &read.warnings, err) != 0 ||
        load_transitions(tx, &read, err) != 0 ||
        finding_store_of_job(tx, read.seq, &read.findings, &read.n_findings, err) != 0)
        goto failed;
    *job = read;
    return 0;
failed:
    job_clear(&read);
    return -1;
}

static int no_such_job(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no_such_job", "there is no such job");
}

int job_store_get(struct db_tx *tx, const char *id, struct job *job, struct err *err)
{
    static const char sql[] = "SELECT " JOB_COLUMNS " FROM job WHERE id = $1";
    struct db_stmt *stmt = NULL;
    struct job read = {0};
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return no_such_job(err);
    if (rc < 0 || read_job(tx, stmt, &read, err) != 0)
        return -1;
    /* The step to the end also reports a column that could not be read. */
    if (db_run(stmt, err) != 0) {
        job_clear(&read);
        return -1;
    }
    *job = read;
    return 0;
}

static int prepare_list(struct db_tx *tx, int state, int64_t before, size_t limit,
                        struct db_stmt **stmt, struct err *err)
{
    static const char of_all[] =
        "SELECT " JOB_COLUMNS " FROM job WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    static const char of_state[] = "SELECT " JOB_COLUMNS " FROM job"
                                   " WHERE state = $3 AND seq < $1"
                                   " ORDER BY seq DESC LIMIT $2";
    if (db_prepare(tx, state < 0 ? of_all : of_state, stmt, err) != 0)
        return -1;
    db_bind_int(*stmt, 1, before ? before : INT64_MAX);
    db_bind_int(*stmt, 2, (int64_t)limit);
    if (state >= 0)
        db_bind_text(*stmt, 3, job_state_name((enum job_state)state));
    return 0;
}

int job_store_list(struct db_tx *tx, int state, int64_t before, size_t limit,
                   struct job **items, size_t *n, struct err *err)
{
    struct db_stmt *stmt = NULL;
    struct job *read = NULL;
    size_t n_read = 0;
    size_t capacity = 0;
    int rc = -1;

    if (mem_grow(&read, &capacity, 1, sizeof *read, err) != 0 ||
        prepare_list(tx, state, before, limit, &stmt, err) != 0)
        goto out;
    while ((rc = db_step(stmt, err)) == 1) {
        rc = -1;
        if (mem_grow(&read, &capacity, n_read + 1, sizeof *read, err) != 0 ||
            read_job(tx, stmt, &read[n_read], err) != 0)
            goto out;
        n_read++;
    }
out:
    if (rc != 0) {
        for (size_t i = 0; i < n_read; i++)
            job_clear(&read[i]);
        free(read);
        return -1;
    }
    *items = read;
    *n = n_read;
    return 0;
}

int job_store_uses_dataset(struct db_tx *tx, const char *dataset_id, struct err *err)
{
    static const char sql[] = "SELECT 1 FROM job WHERE dataset_id = $1"
                              " AND state IN ('queued', 'running', 'cancelling') LIMIT 1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, dataset_id);
    return db_step(stmt, err);
}

/* --- changing state ------------------------------------------------------------------ */

/* A job that is claimed again does the epochs after `epoch` again. */
static int clear_epochs(struct db_tx *tx, int64_t seq, int64_t epoch, struct err *err)
{
    static const char sql[] = "DELETE FROM job_epoch WHERE job_seq = $1 AND epoch > $2";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, epoch);
    return db_run(stmt, err);
}

/* A loss of the epoch that training goes on from. */
#define CHECKPOINT_LOSS(name)                                                            \
    "(SELECT e." name " FROM job_epoch e WHERE e.job_seq = job.seq"                      \
    " AND e.epoch = " CHECKPOINT_EPOCH ")"

int job_store_claim(struct db_tx *tx, int64_t now_ms, struct job *job, struct err *err)
{
    static const char sql[] =
        "UPDATE job SET state = 'running', attempts = attempts + 1, started_at_ms = $1,"
        " epoch = coalesce(" CHECKPOINT_EPOCH ", 0),"
        " resumed_from_epoch = coalesce(" CHECKPOINT_EPOCH ", 0),"
        " train_loss = " CHECKPOINT_LOSS(
            "train_loss") ","
                          " validation_loss = " CHECKPOINT_LOSS(
                              "validation_loss") ","
                                                 " samples_per_second = NULL, "
                                                 "eta_seconds = NULL"
                                                 " WHERE seq = (SELECT seq FROM job "
                                                 "WHERE state = 'queued' ORDER BY seq "
                                                 "LIMIT 1)"
                                                 " RETURNING " JOB_COLUMNS;
    struct db_stmt *stmt = NULL;
    struct job read = {0};
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, now_ms);
    int rc = db_step(stmt, err);
    if (rc <= 0)
        return rc;
    if (add_transition(tx, db_column_int(stmt, SEQ), JOB_RUNNING, "claimed", now_ms,
                       err) != 0 ||
        clear_epochs(tx, db_column_int(stmt, SEQ),
                     db_column_int(stmt, RESUMED_FROM_EPOCH), err) != 0 ||
        finding_store_forget(tx, db_column_int(stmt, SEQ),
                             (uint64_t)db_column_int(stmt, RESUMED_FROM_EPOCH),
                             err) != 0 ||
        read_job(tx, stmt, &read, err) != 0)
        return -1;
    if (db_run(stmt, err) != 0) {
        job_clear(&read);
        return -1;
    }
    *job = read;
    return 1;
}

/* Where a job is, for a change of its state in the same transaction. */
struct place {
    int64_t seq;
    enum job_state state;
    uint64_t attempts;
};

static int find_place(struct db_tx *tx, const char *id, struct place *place,
                      struct err *err)
{
    static const char sql[] = "SELECT seq, state, attempts FROM job WHERE id = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return no_such_job(err);
    if (rc < 0)
        return -1;
    place->seq = db_column_int(stmt, 0);
    place->attempts = (uint64_t)db_column_int(stmt, 2);
    if (read_state(stmt, 1, &place->state, err) != 0)
        return -1;
    return db_run(stmt, err);
}

/* What a change of state writes beside the state. */
struct change {
    enum job_state to;
    const char *cause;
    int64_t now_ms;
    const struct job_error *error; /* to failed */
    uint64_t model_version;        /* to succeeded */
    const struct buf *metrics;     /* to succeeded */
    const struct buf *warnings;    /* to succeeded */
    bool gives_attempt_back;       /* to queued in good order: it was no attempt */
};

static void bind_buf(struct db_stmt *stmt, int i, const struct buf *buf)
{
    if (buf)
        db_bind_blob(stmt, i, buf->bytes, buf->len);
}

/* The one statement that moves a job by name, and its transition. What is not bound is
 * NULL, and stays as it is. */
static int apply_change(struct db_tx *tx, const struct place *place,
                        const struct change *change, struct err *err)
{
    static const char sql[] =
        "UPDATE job SET state = $2, finished_at_ms = $3,"
        " started_at_ms = CASE WHEN $2 = 'queued' THEN NULL ELSE started_at_ms END,"
        " error_code = coalesce($4, error_code),"
        " error_message = coalesce($5, error_message),"
        " error_hint = coalesce($6, error_hint),"
        " model_version = coalesce($7, model_version),"
        " metrics = coalesce($8, metrics), warnings = coalesce($9, warnings),"
        " attempts = attempts - $10"
        " WHERE seq = $1";
    struct db_stmt *stmt = NULL;
    if (!job_may_move(place->state, change->to))
        return err_set(err, ERR_CONFLICT, "wrong_state",
                       "the job is %s, it cannot become %s", job_state_name(place->state),
                       job_state_name(change->to));
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, place->seq);
    db_bind_text(stmt, 2, job_state_name(change->to));
    if (job_is_terminal(change->to))
        db_bind_int(stmt, 3, change->now_ms);
    if (change->error) {
        db_bind_text(stmt, 4, change->error->code);
        db_bind_text(stmt, 5, change->error->message);
        db_bind_text(stmt, 6, change->error->hint);
    }
    if (change->model_version)
        db_bind_int(stmt, 7, (int64_t)change->model_version);
    bind_buf(stmt, 8, change->metrics);
    bind_buf(stmt, 9, change->warnings);
    db_bind_int(stmt, 10, change->gives_attempt_back);
    if (db_run(stmt, err) != 0)
        return -1;
    if (job_is_terminal(change->to) && checkpoint_store_delete(tx, place->seq, err) != 0)
        return -1;
    return add_transition(tx, place->seq, change->to, change->cause, change->now_ms, err);
}

static int change_by_id(struct db_tx *tx, const char *id, const struct change *change,
                        struct err *err)
{
    struct place place = {0};
    if (find_place(tx, id, &place, err) != 0)
        return -1;
    return apply_change(tx, &place, change, err);
}

int job_store_move(struct db_tx *tx, const char *id, enum job_state to, const char *cause,
                   int64_t now_ms, struct err *err)
{
    struct change change = {.to = to,
                            .cause = cause,
                            .now_ms = now_ms,
                            .gives_attempt_back = to == JOB_QUEUED};
    return change_by_id(tx, id, &change, err);
}

int job_store_succeed(struct db_tx *tx, const char *id, uint64_t model_version,
                      const struct metrics *metrics, const struct warnings *warnings,
                      int64_t now_ms, struct err *err)
{
    assert(model_version > 0);
    struct buf scores;
    struct buf noticed;
    struct change change = {.to = JOB_SUCCEEDED,
                            .cause = "trained",
                            .now_ms = now_ms,
                            .model_version = model_version,
                            .metrics = &scores,
                            .warnings = &noticed};
    int result = -1;

    buf_init(&scores, SIZE_MAX);
    buf_init(&noticed, SIZE_MAX);
    metrics_encode(metrics, &scores);
    warnings_encode(warnings, &noticed);
    if (buf_check(&scores, err) == 0 && buf_check(&noticed, err) == 0)
        result = change_by_id(tx, id, &change, err);
    buf_clear(&scores);
    buf_clear(&noticed);
    return result;
}

int job_store_fail(struct db_tx *tx, const char *id, const struct job_error *error,
                   int64_t now_ms, struct err *err)
{
    assert(error->code[0]);
    struct change change = {
        .to = JOB_FAILED, .cause = error->code, .now_ms = now_ms, .error = error};
    return change_by_id(tx, id, &change, err);
}

int job_store_restart(struct db_tx *tx, const char *id, struct err *err)
{
    static const char sql[] =
        "UPDATE job SET epoch = 0, resumed_from_epoch = 0, train_loss = NULL,"
        " validation_loss = NULL WHERE seq = $1";
    struct db_stmt *stmt = NULL;
    struct place place = {0};
    if (find_place(tx, id, &place, err) != 0 ||
        checkpoint_store_delete(tx, place.seq, err) != 0 ||
        clear_epochs(tx, place.seq, 0, err) != 0 ||
        finding_store_forget(tx, place.seq, 0, err) != 0 ||
        db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, place.seq);
    return db_run(stmt, err);
}

/* --- progress ------------------------------------------------------------------------ */

int job_store_set_progress(struct db_tx *tx, const char *id,
                           const struct job_progress *progress, struct err *err)
{
    static const char sql[] =
        "UPDATE job SET epoch = $2, train_loss = $3, validation_loss = $4,"
        " samples_per_second = $5, eta_seconds = $6"
        " WHERE id = $1 AND state IN ('running', 'cancelling')";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)progress->epoch);
    db_bind_real(stmt, 3, progress->train_loss);
    db_bind_real(stmt, 4, progress->validation_loss);
    db_bind_real(stmt, 5, progress->samples_per_second);
    db_bind_real(stmt, 6, progress->eta_seconds);
    return db_run(stmt, err);
}

int job_store_add_epochs(struct db_tx *tx, const char *id, const struct job_epoch *epochs,
                         size_t n, struct err *err)
{
    static const char sql[] =
        "INSERT INTO job_epoch (job_seq, epoch, train_loss, validation_loss, at_ms)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job_seq, epoch) DO UPDATE SET"
        " train_loss = excluded.train_loss, validation_loss = excluded.validation_loss,"
        " at_ms = excluded.at_ms";
    struct db_stmt *stmt = NULL;
    struct place place = {0};
    if (find_place(tx, id, &place, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (db_prepare(tx, sql, &stmt, err) != 0)
            return -1;
        db_bind_int(stmt, 1, place.seq);
        db_bind_int(stmt, 2, (int64_t)epochs[i].epoch);
        db_bind_real(stmt, 3, epochs[i].train_loss);
        db_bind_real(stmt, 4, epochs[i].validation_loss);
        db_bind_int(stmt, 5, epochs[i].at_ms);
        if (db_run(stmt, err) != 0)
            return -1;
    }
    return 0;
}

int job_store_add_findings(struct db_tx *tx, const char *id,
                           const struct doctor_finding *findings, size_t n,
                           struct err *err)
{
    struct place place = {0};
    if (n == 0)
        return 0;
    if (find_place(tx, id, &place, err) != 0)
        return -1;
    return finding_store_add(tx, place.seq, findings, n, err);
}

int job_store_list_epochs(struct db_tx *tx, const char *id, uint64_t after, size_t limit,
                          struct job_epoch **epochs, size_t *n, struct err *err)
{
    static const char sql[] =
        "SELECT epoch, train_loss, validation_loss, at_ms FROM job_epoch"
        " WHERE job_seq = $1 AND epoch > $2 ORDER BY epoch LIMIT $3";
    struct db_stmt *stmt = NULL;
    struct place place = {0};
    size_t n_read = 0;
    int rc;
    struct job_epoch *read = mem_new(limit, sizeof *read, err);
    if (!read)
        return -1;
    rc = find_place(tx, id, &place, err);
    if (rc == 0)
        rc = db_prepare(tx, sql, &stmt, err);
    if (rc == 0) {
        db_bind_int(stmt, 1, place.seq);
        db_bind_int(stmt, 2, (int64_t)after);
        db_bind_int(stmt, 3, (int64_t)limit);
        while ((rc = db_step(stmt, err)) == 1)
            read[n_read++] = (struct job_epoch){
                (uint64_t)db_column_int(stmt, 0), db_column_real(stmt, 1),
                db_column_real(stmt, 2), db_column_int(stmt, 3)};
    }
    if (rc != 0) {
        free(read);
        return -1;
    }
    *epochs = read;
    *n = n_read;
    return 0;
}

/* --- recovery ------------------------------------------------------------------------ */

static int recover_one(struct db_tx *tx, const struct place *place, int64_t now_ms,
                       struct job_recovered *result, struct err *err)
{
    static const struct job_error poison = {
        .code = "poison",
        .message = "the server died each time it worked on this job",
        .hint =
            "try a smaller network or fewer rows, and see the server's log for the cause",
    };
    struct change change = {
        .to = JOB_QUEUED, .cause = "process restarted", .now_ms = now_ms};
    size_t *counter = &result->n_requeued;
    if (place->state == JOB_CANCELLING) {
        change.to = JOB_CANCELLED;
        counter = &result->n_cancelled;
    } else if (place->attempts >= JOB_ATTEMPTS_MAX) {
        change.to = JOB_FAILED;
        change.error = &poison;
        counter = &result->n_poison;
    }
    if (apply_change(tx, place, &change, err) != 0)
        return -1;
    ++*counter;
    return 0;
}

/* Those that a process had in hand, read whole before any is changed; attempts are those
 * since it last got further. */
static int find_under_way(struct db_tx *tx, struct place **places, size_t *n,
                          struct err *err)
{
    static const char sql[] =
        "SELECT seq, state, attempts - coalesce((SELECT c.attempts_before"
        " FROM job_checkpoint c WHERE c.job_seq = job.seq AND c.state = 'ready'), 0)"
        " FROM job WHERE state IN ('running', 'cancelling') ORDER BY seq";
    struct db_stmt *stmt = NULL;
    size_t capacity = 0;
    int rc;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    while ((rc = db_step(stmt, err)) == 1) {
        if (mem_grow(places, &capacity, *n + 1, sizeof **places, err) != 0)
            return -1;
        struct place *place = &(*places)[*n];
        place->seq = db_column_int(stmt, 0);
        place->attempts = (uint64_t)db_column_int(stmt, 2);
        if (read_state(stmt, 1, &place->state, err) != 0)
            return -1;
        ++*n;
    }
    return rc;
}

int job_store_recover(struct db_tx *tx, int64_t now_ms, struct job_recovered *result,
                      struct err *err)
{
    struct job_recovered counted = {0};
    struct place *places = NULL;
    size_t n = 0;
    int rc = find_under_way(tx, &places, &n, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = recover_one(tx, &places[i], now_ms, &counted, err);
    free(places);
    if (rc == 0)
        *result = counted;
    return rc;
}
