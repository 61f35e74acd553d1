#include "store/dataset_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/row.h"
#include "table/table_codec.h"

static int no_such_dataset(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no_such_dataset", "there is no such dataset");
}

/* --- writing ------------------------------------------------------------------------- */

static int insert_row(struct db_tx *tx, const struct dataset *dataset, int64_t *seq,
                      struct err *err)
{
    static const char sql[] =
        "INSERT INTO dataset (id, name, state, n_rows, n_columns, n_bytes, sha256,"
        " created_at_ms, warnings)"
        " VALUES ($1, $2, 'uploading', $3, $4, $5, $6, $7, $8) RETURNING seq";
    struct db_stmt *stmt = NULL;
    struct buf warnings;
    int result = -1;

    buf_init(&warnings, SIZE_MAX);
    warnings_encode(&dataset->warnings, &warnings);
    if (buf_check(&warnings, err) != 0 || db_prepare(tx, sql, &stmt, err) != 0)
        goto out;
    db_bind_text(stmt, 1, dataset->id);
    db_bind_text(stmt, 2, dataset->name);
    db_bind_int(stmt, 3, (int64_t)dataset->table.n_rows);
    db_bind_int(stmt, 4, (int64_t)dataset->table.n_columns);
    db_bind_int(stmt, 5, (int64_t)dataset->n_bytes);
    db_bind_text(stmt, 6, dataset->sha256);
    db_bind_int(stmt, 7, dataset->created_at_ms);
    db_bind_blob(stmt, 8, warnings.bytes, warnings.len);
    if (db_step(stmt, err) != 1)
        goto out;
    *seq = db_column_int(stmt, 0);
    result = db_run(stmt, err);
out:
    buf_clear(&warnings);
    return result;
}

static int insert_column(struct db_tx *tx, int64_t seq, size_t index,
                         const struct table_column *column, struct err *err)
{
    static const char sql[] =
        "INSERT INTO dataset_column (dataset_seq, column_index, name, kind, n_missing, "
        "min,"
        " max, mean, std, levels) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    struct db_stmt *stmt = NULL;
    struct buf levels;
    int result = -1;

    buf_init(&levels, SIZE_MAX);
    table_codec_encode_levels(column, &levels);
    if (buf_check(&levels, err) != 0 || db_prepare(tx, sql, &stmt, err) != 0)
        goto out;
    db_bind_int(stmt, 1, seq);
    db_bind_int(stmt, 2, (int64_t)index);
    db_bind_text(stmt, 3, column->name);
    db_bind_text(stmt, 4, table_kind_name(column->kind));
    db_bind_int(stmt, 5, (int64_t)column->n_missing);
    db_bind_real(stmt, 6, column->min);
    db_bind_real(stmt, 7, column->max);
    db_bind_real(stmt, 8, column->mean);
    db_bind_real(stmt, 9, column->std);
    db_bind_blob(stmt, 10, levels.bytes, levels.len);
    result = db_run(stmt, err);
out:
    buf_clear(&levels);
    return result;
}

int dataset_store_insert(struct db_tx *tx, const struct dataset *dataset, struct err *err)
{
    int64_t seq = 0;
    if (insert_row(tx, dataset, &seq, err) != 0)
        return -1;
    for (size_t i = 0; i < dataset->table.n_columns; i++) {
        if (insert_column(tx, seq, i, &dataset->table.columns[i], err) != 0)
            return -1;
    }
    return 0;
}

int dataset_store_put_chunk(struct db_tx *tx, const char *id, size_t column, size_t chunk,
                            const void *bytes, size_t len, struct err *err)
{
    static const char sql[] =
        "INSERT INTO dataset_chunk (dataset_seq, column_index, chunk, sha256, bytes)"
        " SELECT seq, $2, $3, $4, $5 FROM dataset WHERE id = $1 AND state = 'uploading'";
    unsigned char sum[DIGEST_SIZE];
    struct digest digest;
    struct db_stmt *stmt = NULL;

    digest_init(&digest);
    digest_add(&digest, bytes, len);
    digest_finish(&digest, sum);
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)column);
    db_bind_int(stmt, 3, (int64_t)chunk);
    db_bind_blob(stmt, 4, sum, sizeof sum);
    db_bind_blob(stmt, 5, bytes, len);
    if (db_run(stmt, err) != 0)
        return -1;
    return db_changes(tx) == 1 ? 0 : no_such_dataset(err);
}

int dataset_store_set_ready(struct db_tx *tx, const char *id, struct err *err)
{
    static const char sql[] =
        "UPDATE dataset SET state = 'ready' WHERE id = $1 AND state = 'uploading'";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    if (db_run(stmt, err) != 0)
        return -1;
    return db_changes(tx) == 1 ? 0 : no_such_dataset(err);
}

/* --- reading ------------------------------------------------------------------------- */

static int read_column(struct db_stmt *stmt, struct table_column *column, struct err *err)
{
    const char *name = db_column_text(stmt, 1);
    size_t len = 0;
    column->name = mem_text(name, strlen(name), err);
    if (!column->name)
        return -1;
    if (row_kind(stmt, 2, &column->kind, err) != 0)
        return -1;
    column->n_missing = (uint64_t)db_column_int(stmt, 3);
    column->min = db_column_real(stmt, 4);
    column->max = db_column_real(stmt, 5);
    column->mean = db_column_real(stmt, 6);
    column->std = db_column_real(stmt, 7);
    const void *levels = db_column_blob(stmt, 8, &len);
    return table_codec_decode_levels(levels, len, column, err);
}

/* Reads the columns of a table whose n_columns is set; what is read so far stays in it, to
 * be cleared by the caller. */
static int read_columns(struct db_tx *tx, int64_t seq, struct table *table,
                        struct err *err)
{
    static const char sql[] =
        "SELECT column_index, name, kind, n_missing, min, max, mean, std, levels"
        " FROM dataset_column WHERE dataset_seq = $1 ORDER BY column_index";
    struct db_stmt *stmt = NULL;
    size_t promised = table->n_columns;
    int rc;

    table->n_columns = 0;
    table->columns = mem_new(promised, sizeof *table->columns, err);
    if (!table->columns || db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_int(stmt, 1, seq);
    while ((rc = db_step(stmt, err)) == 1) {
        size_t i = table->n_columns;
        if (i == promised || db_column_int(stmt, 0) != (int64_t)i)
            return row_corrupt(err);
        table->n_columns++; /* so that a half-read one is cleared too */
        if (read_column(stmt, &table->columns[i], err) != 0)
            return -1;
    }
    if (rc == 0 && table->n_columns != promised)
        return row_corrupt(err);
    return rc;
}

#define DATASET_COLUMNS                                                                  \
    "seq, id, name, n_rows, n_columns, n_bytes, sha256, created_at_ms, warnings"

/* Reads the row that stmt is at, with its columns; *dataset is zeroed or complete. */
static int read_dataset(struct db_tx *tx, struct db_stmt *stmt, struct dataset *dataset,
                        struct err *err)
{
    struct dataset read = {0};

    read.seq = db_column_int(stmt, 0);
    db_column_copy(stmt, 1, read.id, sizeof read.id);
    db_column_copy(stmt, 2, read.name, sizeof read.name);
    read.table.n_rows = (size_t)db_column_int(stmt, 3);
    size_t n_columns = (size_t)db_column_int(stmt, 4);
    read.n_bytes = (uint64_t)db_column_int(stmt, 5);
    db_column_copy(stmt, 6, read.sha256, sizeof read.sha256);
    read.created_at_ms = db_column_int(stmt, 7);
    if (row_warnings(stmt, 8, &read.warnings, err) != 0)
        goto failed;
    read.table.n_columns = n_columns;
    if (read_columns(tx, read.seq, &read.table, err) != 0)
        goto failed;
    *dataset = read;
    return 0;
failed:
    dataset_clear(&read);
    return -1;
}

int dataset_store_get(struct db_tx *tx, const char *id, struct dataset *dataset,
                      struct err *err)
{
    static const char sql[] =
        "SELECT " DATASET_COLUMNS " FROM dataset WHERE id = $1 AND state = 'ready'";
    struct db_stmt *stmt = NULL;
    struct dataset read = {0};
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return no_such_dataset(err);
    if (rc < 0 || read_dataset(tx, stmt, &read, err) != 0)
        return -1;
    /* The step to the end also reports a column that could not be read. */
    if (db_run(stmt, err) != 0) {
        dataset_clear(&read);
        return -1;
    }
    *dataset = read;
    return 0;
}

int dataset_store_list(struct db_tx *tx, int64_t before, size_t limit,
                       struct dataset **items, size_t *n, struct err *err)
{
    static const char sql[] = "SELECT " DATASET_COLUMNS " FROM dataset"
                              " WHERE state = 'ready' AND seq < $1"
                              " ORDER BY seq DESC LIMIT $2";
    struct db_stmt *stmt = NULL;
    struct dataset *read = NULL;
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
        if (mem_grow(&read, &capacity, n_read + 1, sizeof *read, err) != 0 ||
            read_dataset(tx, stmt, &read[n_read], err) != 0)
            goto out;
        n_read++;
    }
out:
    if (rc != 0) {
        for (size_t i = 0; i < n_read; i++)
            dataset_clear(&read[i]);
        free(read);
        return -1;
    }
    *items = read;
    *n = n_read;
    return 0;
}

static int check_chunk(struct db_stmt *stmt, const void *bytes, size_t len,
                       struct err *err)
{
    unsigned char sum[DIGEST_SIZE];
    struct digest digest;
    size_t sum_len = 0;
    const void *promised = db_column_blob(stmt, 0, &sum_len);
    digest_init(&digest);
    digest_add(&digest, bytes, len);
    digest_finish(&digest, sum);
    if (sum_len != sizeof sum || memcmp(sum, promised, sizeof sum) != 0)
        return row_corrupt(err);
    return 0;
}

int dataset_store_get_chunk(struct db_tx *tx, const char *id, size_t column, size_t chunk,
                            struct buf *out, struct err *err)
{
    static const char sql[] =
        "SELECT c.sha256, c.bytes FROM dataset d LEFT JOIN dataset_chunk c"
        " ON c.dataset_seq = d.seq AND c.column_index = $2 AND c.chunk = $3"
        " WHERE d.id = $1 AND d.state = 'ready'";
    struct db_stmt *stmt = NULL;
    size_t len = 0;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)column);
    db_bind_int(stmt, 3, (int64_t)chunk);
    int rc = db_step(stmt, err);
    if (rc == 0)
        return no_such_dataset(err);
    if (rc < 0)
        return -1;
    if (db_column_is_null(stmt, 0))
        return row_corrupt(err);
    const void *bytes = db_column_blob(stmt, 1, &len);
    if (check_chunk(stmt, bytes, len, err) != 0)
        return -1;
    buf_reset(out);
    buf_put(out, bytes, len);
    if (buf_check(out, err) != 0)
        return -1;
    return db_run(stmt, err);
}

/* --- removing ------------------------------------------------------------------------ */

int dataset_store_delete(struct db_tx *tx, const char *id, struct err *err)
{
    static const char sql[] = "DELETE FROM dataset WHERE id = $1";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0)
        return -1;
    db_bind_text(stmt, 1, id);
    if (db_run(stmt, err) != 0)
        return -1;
    return db_changes(tx) == 1 ? 0 : no_such_dataset(err);
}

int dataset_store_sweep(struct db_tx *tx, size_t *n, struct err *err)
{
    static const char sql[] = "DELETE FROM dataset WHERE state = 'uploading'";
    struct db_stmt *stmt = NULL;
    if (db_prepare(tx, sql, &stmt, err) != 0 || db_run(stmt, err) != 0)
        return -1;
    *n = (size_t)db_changes(tx);
    return 0;
}
