#include "store/row.h"

#include <string.h>

#include "base/endian.h"

int row_corrupt(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "corrupt", "stored data is damaged");
}

int row_task(struct db_stmt *stmt, int i, enum encoder_task *task, struct err *err)
{
    const char *name = db_column_text(stmt, i);
    for (int at = 0; at < ENCODER_TASK_COUNT; at++) {
        if (strcmp(name, encoder_task_name((enum encoder_task)at)) == 0) {
            *task = (enum encoder_task)at;
            return 0;
        }
    }
    return row_corrupt(err);
}

int row_kind(struct db_stmt *stmt, int i, enum table_kind *kind, struct err *err)
{
    const char *name = db_column_text(stmt, i);
    for (int at = 0; at < TABLE_KIND_COUNT; at++) {
        if (strcmp(name, table_kind_name((enum table_kind)at)) == 0) {
            *kind = (enum table_kind)at;
            return 0;
        }
    }
    return row_corrupt(err);
}

int row_parameters(struct db_stmt *stmt, int i, struct parameters *parameters,
                   struct err *err)
{
    size_t len = 0;
    const char *text = db_column_blob(stmt, i, &len);
    return parameters_decode(text, len, parameters, err);
}

int row_metrics(struct db_stmt *stmt, int i, struct metrics *metrics, struct err *err)
{
    size_t len = 0;
    const void *bytes = db_column_blob(stmt, i, &len);
    return metrics_decode(bytes, len, metrics, err);
}

int row_warnings(struct db_stmt *stmt, int i, struct warnings *warnings, struct err *err)
{
    struct endian_reader reader;
    size_t len = 0;
    const void *bytes = db_column_blob(stmt, i, &len);
    endian_reader_init(&reader, bytes, len);
    return warnings_decode(&reader, warnings, err);
}

void row_reference(struct db_stmt *stmt, int i, struct model_reference *reference)
{
    db_column_copy(stmt, i, reference->model, sizeof reference->model);
    reference->version = (uint64_t)db_column_int(stmt, i + 1);
    db_column_copy(stmt, i + 2, reference->weights_sha256,
                   sizeof reference->weights_sha256);
}

void row_bind_reference(struct db_stmt *stmt, int i,
                        const struct model_reference *reference)
{
    if (!reference->model[0])
        return; /* what is not bound is NULL */
    db_bind_text(stmt, i, reference->model);
    db_bind_int(stmt, i + 1, (int64_t)reference->version);
    db_bind_text(stmt, i + 2, reference->weights_sha256);
}
