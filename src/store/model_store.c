#include "store/model_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/finding_store.h"
#include "store/row.h"

static int no_such_model(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no_such_model", "there is no model of this name");
}

static int no_such_version(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no_such_version",
                   "the model has no such version");
}

/* --- writing ------------------------------------------------------------------------- */

/* The name's place and its next number, taken. */
static int take_number(struct db_tx *tx, const char *name, int64_t *seq, int64_t *number,
                       struct err *err)
{
    static const char sql[] =
        "INSERT INTO model (name, last_version) VALUES ($1, 1)"
        " ON CONFLICT (name) DO UPDATE SET last_version = last_version + 1"
        " RETURNING seq, last_version";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, name);
    if (db_step(stmt, err) != 1)
        return -1;
    *seq = db_column_int(stmt, 0);
    *number = db_column_int(stmt, 1);
    return db_run(stmt, err);
}

/* Binds what is not encoded; the rest is $14 and $15. */
static void bind_version(struct db_stmt *stmt, const struct model_version *version,
                         int64_t seq, int64_t number, const char *encoder_sha256)
{
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, number);
    db_bind_text(stmt, 3, version->id);
    db_bind_text(stmt, 4, version->job_id);
    db_bind_text(stmt, 5, version->dataset_id);
    db_bind_text(stmt, 6, version->dataset_sha256);
    db_bind_text(stmt, 7, encoder_task_name(version->task));
    db_bind_int(stmt, 8, (int64_t)version->n_weights);
    db_bind_text(stmt, 9, version->libraries);
    db_bind_int(stmt, 10, version->created_at_ms);
    db_bind_text(stmt, 11, version->weights_sha256);
    db_bind_text(stmt, 12, encoder_sha256);
    db_bind_blob(stmt, 13, version->encoder, version->encoder_len);
    db_bind_blob(stmt, 16, version->weights, version->weights_len);
    row_bind_reference(stmt, 17, &version->warm_start);
}

static int insert_version(struct db_tx *tx, const struct model_version *version,
                          int64_t seq, int64_t number, struct err *err)
{
    static const char sql[] =
        "INSERT INTO model_version (model_seq, version, id, job_id, dataset_id,"
        " dataset_sha256, task, n_weights, libraries, created_at_ms, weights_sha256,"
        " encoder_sha256, encoder, parameters, metrics, weights, warm_start_model,"
        " warm_start_version, warm_start_sha256)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
        " $17, $18, $19)";
    char encoder_sha256[DIGEST_HEX_SIZE];
    struct db_stmt *stmt = NULL;
    struct buf parameters;
    struct buf metrics;
    int result = -1;

    buf_init(&parameters, SIZE_MAX);
    buf_init(&metrics, SIZE_MAX);
    parameters_encode(&version->parameters, &parameters);
    metrics_encode(&version->metrics, &metrics);
    if (buf_check(&parameters, err) != 0 || buf_check(&metrics, err) != 0 ||
        db_prepare(tx, sql, &stmt, err) != 0)
        goto out;
    digest_hex(version->encoder, version->encoder_len, encoder_sha256);
    bind_version(stmt, version, seq, number, encoder_sha256);
    db_bind_blob(stmt, 14, parameters.bytes, parameters.len);
    db_bind_blob(stmt, 15, metrics.bytes, metrics.len);
    result = db_run(stmt, err);
out:
    buf_clear(&parameters);
    buf_clear(&metrics);
    return result;
}

static int check_digest(const void *bytes, size_t len, const char *promised,
                        struct err *err)
{
    char sum[DIGEST_HEX_SIZE];
    digest_hex(bytes, len, sum);
    if (strcmp(sum, promised) != 0)
        return err_set(err, ERR_CORRUPT, "corrupt", "a stored model is damaged");
    return 0;
}

int model_store_insert(struct db_tx *tx, const struct model_version *version,
                       uint64_t *number, struct err *err)
{
    int64_t seq = 0;
    int64_t taken = 0;
    /* Better refused now than unreadable for ever. */
    if (check_digest(version->weights, version->weights_len, version->weights_sha256,
                     err) != 0)
        return -1;
    if (take_number(tx, version->model, &seq, &taken, err) != 0 ||
        insert_version(tx, version, seq, taken, err) != 0)
        return -1;
    *number = (uint64_t)taken;
    return 0;
}

/* --- reading ------------------------------------------------------------------------- */

#define VERSION_COLUMNS                                                                  \
    "v.id, v.version, v.job_id, v.dataset_id, v.dataset_sha256, v.task, v.n_weights,"    \
    " v.libraries, v.created_at_ms, v.weights_sha256, v.parameters, v.metrics,"          \
    " v.warm_start_model, v.warm_start_version, v.warm_start_sha256"

enum {
    ID,
    VERSION,
    JOB_ID,
    DATASET_ID,
    DATASET_SHA256,
    TASK,
    N_WEIGHTS,
    LIBRARIES,
    CREATED_AT_MS,
    WEIGHTS_SHA256,
    PARAMETERS,
    METRICS,
    WARM_START,                      /* three columns */
    ENCODER_SHA256 = WARM_START + 3, /* these only where one version is read */
    ENCODER,
    WEIGHTS
};

/* Reads the row that stmt is at; on failure *version may hold what was read so far. */
static int read_version(struct db_stmt *stmt, const char *name,
                        struct model_version *version, struct err *err)
{
    memcpy(version->model, name, strnlen(name, sizeof version->model - 1));
    db_column_copy(stmt, ID, version->id, sizeof version->id);
    version->version = (uint64_t)db_column_int(stmt, VERSION);
    db_column_copy(stmt, JOB_ID, version->job_id, sizeof version->job_id);
    db_column_copy(stmt, DATASET_ID, version->dataset_id, sizeof version->dataset_id);
    db_column_copy(stmt, DATASET_SHA256, version->dataset_sha256,
                   sizeof version->dataset_sha256);
    version->n_weights = (uint64_t)db_column_int(stmt, N_WEIGHTS);
    db_column_copy(stmt, LIBRARIES, version->libraries, sizeof version->libraries);
    version->created_at_ms = db_column_int(stmt, CREATED_AT_MS);
    row_reference(stmt, WARM_START, &version->warm_start);
    db_column_copy(stmt, WEIGHTS_SHA256, version->weights_sha256,
                   sizeof version->weights_sha256);
    if (row_task(stmt, TASK, &version->task, err) != 0 ||
        row_parameters(stmt, PARAMETERS, &version->parameters, err) != 0)
        return -1;
    return row_metrics(stmt, METRICS, &version->metrics, err);
}

/* Copies a blob whose digest is `promised`. */
static int read_bytes(struct db_stmt *stmt, int i, const char *promised, char **bytes,
                      size_t *len, struct err *err)
{
    size_t found_len = 0;
    const void *found = db_column_blob(stmt, i, &found_len);
    if (check_digest(found, found_len, promised, err) != 0)
        return -1;
    *bytes = mem_text(found, found_len, err);
    if (!*bytes)
        return -1;
    *len = found_len;
    return 0;
}

static int find_model(struct db_tx *tx, const char *name, int64_t *seq, struct err *err)
{
    static const char sql[] = "SELECT seq FROM model WHERE name = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, name);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return no_such_model(err);
    if (rc < 0)
        return -1;
    *seq = db_column_int(stmt, 0);
    return db_run(stmt, err);
}

int model_store_get_version(struct db_tx *tx, const char *name, uint64_t number,
                            struct model_version *version, struct err *err)
{
    static const char sql[] =
        "SELECT " VERSION_COLUMNS ", v.encoder_sha256, v.encoder, v.weights"
        " FROM model_version v WHERE v.model_seq = $1 AND ($2 = 0 OR v.version = $2)"
        " ORDER BY v.version DESC LIMIT 1";
    struct model_version read = {0};
    struct db_stmt *stmt = NULL;
    int64_t seq = 0;
    if (number > INT64_MAX)
        return no_such_version(err);
    if (find_model(tx, name, &seq, err) != 0 || db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, (int64_t)number);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return no_such_version(err);
    if (rc < 0)
        return -1;
    if (read_version(stmt, name, &read, err) != 0 ||
        read_bytes(stmt, ENCODER, db_column_text(stmt, ENCODER_SHA256), &read.encoder,
                   &read.encoder_len, err) != 0 ||
        read_bytes(stmt, WEIGHTS, read.weights_sha256, &read.weights, &read.weights_len,
                   err) != 0 ||
        db_run(stmt, err) != 0 ||
        finding_store_of_version(tx, read.id, &read.findings, &read.n_findings, err) !=
            0) {
        model_version_clear(&read);
        return -1;
    }
    *version = read;
    return 0;
}

/* Reads the versions of a model whose name and seq are set; on failure it may hold some. */
static int read_versions(struct db_tx *tx, struct model *model, struct err *err)
{
    static const char sql[] = "SELECT " VERSION_COLUMNS " FROM model_version v"
                              " WHERE v.model_seq = $1 ORDER BY v.version DESC";
    struct db_stmt *stmt = NULL;
    size_t capacity = 0;
    int rc;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, model->seq);
    while ((rc = db_step(stmt, err)) == 1) {
        if (mem_grow(&model->versions, &capacity, model->n_versions + 1,
                     sizeof *model->versions, err) != 0)
            return -1;
        struct model_version *version = &model->versions[model->n_versions++];
        *version = (struct model_version){0};
        if (read_version(stmt, model->name, version, err) != 0)
            return -1;
    }
    if (rc == 0 && model->n_versions == 0)
        return row_corrupt(err); /* a name goes with its last version */
    if (rc == 0)
        model->latest = model->versions[0].version;
    return rc;
}

int model_store_get(struct db_tx *tx, const char *name, struct model *model,
                    struct err *err)
{
    struct model read = {0};
    if (find_model(tx, name, &read.seq, err) != 0)
        return -1;
    memcpy(read.name, name, strnlen(name, sizeof read.name - 1));
    if (read_versions(tx, &read, err) != 0) {
        model_clear(&read);
        return -1;
    }
    *model = read;
    return 0;
}

int model_store_list(struct db_tx *tx, int64_t before, size_t limit, struct model **items,
                     size_t *n, struct err *err)
{
    static const char sql[] =
        "SELECT seq, name FROM model WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    struct db_stmt *stmt = NULL;
    struct model *read = NULL;
    size_t n_read = 0;
    size_t capacity = 0;
    int rc = -1;

    if (mem_grow(&read, &capacity, 1, sizeof *read, err) != 0 ||
        db_prepare(tx, sql, &stmt, err) != 0)
        goto out;
    db_bind_int(stmt, 1, before ? before : INT64_MAX);
    db_bind_int(stmt, 2, (int64_t)limit);
    while ((rc = db_step(stmt, err)) == 1) {
        rc = -1;
        if (mem_grow(&read, &capacity, n_read + 1, sizeof *read, err) != 0)
            goto out;
        struct model *model = &read[n_read++];
        *model = (struct model){.seq = db_column_int(stmt, 0)};
        db_column_copy(stmt, 1, model->name, sizeof model->name);
        if (read_versions(tx, model, err) != 0)
            goto out;
    }
out:
    if (rc != 0) {
        for (size_t i = 0; i < n_read; i++)
            model_clear(&read[i]);
        free(read);
        return -1;
    }
    *items = read;
    *n = n_read;
    return 0;
}

/* --- removing ------------------------------------------------------------------------ */

int model_store_delete(struct db_tx *tx, const char *name, struct err *err)
{
    static const char sql[] = "DELETE FROM model WHERE name = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, name);
    if (db_run(stmt, err) != 0)
        return -1;
    return db_changes(tx) == 1 ? 0 : no_such_model(err);
}

int model_store_delete_version(struct db_tx *tx, const char *name, uint64_t number,
                               struct err *err)
{
    static const char delete_one[] =
        "DELETE FROM model_version WHERE model_seq = $1 AND version = $2";
    static const char delete_empty[] =
        "DELETE FROM model WHERE seq = $1"
        " AND NOT EXISTS (SELECT 1 FROM model_version WHERE model_seq = $1)";
    struct db_stmt *stmt = NULL;
    int64_t seq = 0;
    if (number > INT64_MAX)
        return no_such_version(err);
    if (find_model(tx, name, &seq, err) != 0 ||
        db_prepare(tx, delete_one, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, (int64_t)number);
    if (db_run(stmt, err) != 0)
        return -1;
    if (db_changes(tx) != 1)
        return no_such_version(err);
    if (db_prepare(tx, delete_empty, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    return db_run(stmt, err);
}
