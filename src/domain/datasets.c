#include "domain/datasets.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/dataset_store.h"
#include "store/job_store.h"
#include "table/csv.h"
#include "table/json_rows.h"
#include "table/table_codec.h"

/* Bytes of chunks per write transaction: others get their turn in between, and the
 * write-ahead log stays short. */
#define DATASETS_TX_BYTES (8U << 20)

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- storing ------------------------------------------------------------------------- */

/* Where the writing of a table is. */
struct upload {
    struct db *db;
    const struct dataset *dataset;
    struct db_tx *tx; /* open transaction, or NULL */
    size_t n_bytes;   /* written in it */
    struct buf chunk;
};

static int upload_flush(struct upload *upload, struct err *err)
{
    struct db_tx *tx = upload->tx;
    upload->tx = NULL;
    upload->n_bytes = 0;
    return tx ? db_commit(tx, err) : 0;
}

static int upload_chunk(struct upload *upload, size_t column, size_t chunk,
                        struct err *err)
{
    const struct table *table = &upload->dataset->table;
    size_t first = chunk * TABLE_CODEC_CHUNK_ROWS;
    size_t n = least(TABLE_CODEC_CHUNK_ROWS, table->n_rows - first);

    buf_reset(&upload->chunk);
    table_codec_encode_chunk(&table->columns[column], first, n, &upload->chunk);
    if (buf_check(&upload->chunk, err) < 0)
        return -1;
    if (!upload->tx && db_begin(upload->db, DB_WRITE, &upload->tx, err) < 0)
        return -1;
    if (dataset_store_put_chunk(upload->tx, upload->dataset->id, column, chunk,
                                upload->chunk.bytes, upload->chunk.len, err) < 0)
        return -1;
    upload->n_bytes += upload->chunk.len;
    return upload->n_bytes < DATASETS_TX_BYTES ? 0 : upload_flush(upload, err);
}

static int upload_run(struct upload *upload, struct err *err)
{
    const struct dataset *dataset = upload->dataset;
    size_t n_chunks =
        (dataset->table.n_rows + TABLE_CODEC_CHUNK_ROWS - 1) / TABLE_CODEC_CHUNK_ROWS;
    if (db_begin(upload->db, DB_WRITE, &upload->tx, err) < 0 ||
        dataset_store_insert(upload->tx, dataset, err) < 0)
        return -1;
    for (size_t column = 0; column < dataset->table.n_columns; column++)
        for (size_t chunk = 0; chunk < n_chunks; chunk++)
            if (upload_chunk(upload, column, chunk, err) < 0)
                return -1;
    if (!upload->tx && db_begin(upload->db, DB_WRITE, &upload->tx, err) < 0)
        return -1;
    if (dataset_store_set_ready(upload->tx, dataset->id, err) < 0)
        return -1;
    return upload_flush(upload, err);
}

/* Takes back what earlier transactions of a failed upload stored. If that fails too, the
 * sweep at the next start does it; until then it is invisible. */
static void upload_undo(struct db *db, const char *id)
{
    struct err ignored = {0};
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_WRITE, &tx, &ignored) < 0)
        return;
    db_end(tx, dataset_store_delete(tx, id, &ignored), &ignored);
}

static int store_dataset(struct db *db, const struct dataset *dataset, struct err *err)
{
    struct upload upload = {.db = db, .dataset = dataset};
    buf_init(&upload.chunk, SIZE_MAX);
    int result = upload_run(&upload, err);
    db_rollback(upload.tx);
    buf_clear(&upload.chunk);
    if (result < 0)
        upload_undo(db, dataset->id);
    return result;
}

static void free_values(struct table *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        free(table->columns[i].values);
        free(table->columns[i].codes);
        table->columns[i].values = NULL;
        table->columns[i].codes = NULL;
    }
}

/* Types and stores cells; they are released on the way, to hold the table only once. */
static int create_from_cells(struct db *db, const char *name, struct cells *cells,
                             const char *bytes, size_t len, struct dataset *dataset,
                             struct err *err)
{
    struct dataset made = {.n_bytes = len, .created_at_ms = clock_now_ms()};
    id_new(made.id, "ds");
    memcpy(made.name, name ? name : made.id, strlen(name ? name : made.id) + 1);
    digest_hex(bytes, len, made.sha256);

    int result = table_infer(cells, &made.table, &made.warnings, err);
    cells_clear(cells);
    if (result == 0)
        result = store_dataset(db, &made, err);
    free_values(&made.table);
    if (result == 0)
        *dataset = made;
    else
        dataset_clear(&made);
    return result;
}

int datasets_create(struct db *db, const char *name, char delimiter, const char *bytes,
                    size_t len, struct dataset *dataset, struct err *err)
{
    if (name && !id_is_name(name))
        return err_set_at(
            err, ERR_INVALID, "bad_name", "/name",
            "a name has 1 to 128 letters, digits, '.', '_' or '-', and starts "
            "with a letter or digit");
    struct cells cells;
    cells_init(&cells, len);
    int result = csv_read(bytes, len, delimiter, &cells, err);
    if (result == 0)
        result = create_from_cells(db, name, &cells, bytes, len, dataset, err);
    cells_clear(&cells);
    return result;
}

int datasets_create_xy(struct db *db, const char *json, size_t len,
                       struct dataset *dataset, struct err *err)
{
    struct cells cells;
    cells_init(&cells, len);
    int result = json_rows_read_xy(json, len, "/data", &cells, err);
    if (result == 0)
        result = create_from_cells(db, NULL, &cells, json, len, dataset, err);
    cells_clear(&cells);
    return result;
}

/* --- reading ------------------------------------------------------------------------- */

int datasets_get(struct db *db, const char *id, struct dataset *dataset, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) < 0)
        return -1;
    int result = dataset_store_get(tx, id, dataset, err);
    db_rollback(tx);
    return result;
}

int datasets_list(struct db *db, int64_t before, size_t limit, struct dataset **items,
                  size_t *n, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_READ, &tx, err) < 0)
        return -1;
    int result = dataset_store_list(tx, before, limit, items, n, err);
    db_rollback(tx);
    return result;
}

/* What a load reads: rows [first, first + n) of a dataset that has n_rows. */
struct load {
    struct db_tx *tx;
    const char *id;
    size_t first;
    size_t n;
    size_t n_rows;
    struct buf chunk;
    struct table_column scratch; /* borrows the schema of the column being read */
};

static int load_chunk(struct load *load, struct table_column *column, size_t index,
                      size_t chunk, struct err *err)
{
    size_t begin = chunk * TABLE_CODEC_CHUNK_ROWS;
    size_t end = least(begin + TABLE_CODEC_CHUNK_ROWS, load->n_rows);
    buf_reset(&load->chunk);
    if (dataset_store_get_chunk(load->tx, load->id, index, chunk, &load->chunk, err) < 0)
        return -1;
    load->scratch.kind = column->kind;
    load->scratch.n_levels = column->n_levels;
    if (table_codec_decode_chunk(load->chunk.bytes, load->chunk.len, &load->scratch, 0,
                                 end - begin, err) < 0)
        return -1;
    size_t from = load->first > begin ? load->first : begin;
    size_t n = least(load->first + load->n, end) - from;
    if (column->codes)
        memcpy(column->codes + (from - load->first), load->scratch.codes + (from - begin),
               n * sizeof *column->codes);
    if (column->values)
        memcpy(column->values + (from - load->first),
               load->scratch.values + (from - begin), n * sizeof *column->values);
    return 0;
}

static int load_column(struct load *load, struct table_column *column, size_t index,
                       struct err *err)
{
    if (table_alloc_column(column, load->n, err) < 0)
        return -1;
    for (size_t chunk = load->first / TABLE_CODEC_CHUNK_ROWS;
         load->n && chunk * TABLE_CODEC_CHUNK_ROWS < load->first + load->n; chunk++)
        if (load_chunk(load, column, index, chunk, err) < 0)
            return -1;
    return 0;
}

/* Loads column `only`, or all with SIZE_MAX, into a dataset whose schema is read. */
static int load_values(struct load *load, struct dataset *dataset, size_t only,
                       struct err *err)
{
    size_t chunk_rows = least(TABLE_CODEC_CHUNK_ROWS, load->n_rows);
    int result = -1;

    buf_init(&load->chunk, SIZE_MAX);
    load->scratch.values = mem_new(chunk_rows, sizeof *load->scratch.values, err);
    load->scratch.codes = mem_new(chunk_rows, sizeof *load->scratch.codes, err);
    if (!load->scratch.values || !load->scratch.codes)
        goto out;
    for (size_t i = 0; i < dataset->table.n_columns; i++)
        if ((only == SIZE_MAX || only == i) &&
            load_column(load, &dataset->table.columns[i], i, err) < 0)
            goto out;
    dataset->table.n_rows = load->n;
    result = 0;
out:
    free(load->scratch.values);
    free(load->scratch.codes);
    buf_clear(&load->chunk);
    return result;
}

int datasets_load(struct db *db, const char *id, size_t first, size_t n,
                  struct dataset *dataset, size_t *n_rows, struct err *err)
{
    struct dataset loaded = {0};
    struct load load = {.id = id};
    int result = -1;

    if (db_begin(db, DB_READ, &load.tx, err) < 0 ||
        dataset_store_get(load.tx, id, &loaded, err) < 0)
        goto out;
    load.n_rows = loaded.table.n_rows;
    load.first = least(first, load.n_rows);
    load.n = least(n, load.n_rows - load.first);
    result = load_values(&load, &loaded, SIZE_MAX, err);
out:
    db_rollback(load.tx);
    if (result < 0) {
        dataset_clear(&loaded);
        return -1;
    }
    if (n_rows)
        *n_rows = load.n_rows;
    *dataset = loaded;
    return 0;
}

int datasets_load_target(struct db *db, const char *id, const char *target,
                         const char *sample_weight, struct dataset *dataset,
                         struct err *err)
{
    struct dataset loaded = {0};
    struct load load = {.id = id};
    int result = -1;

    if (db_begin(db, DB_READ, &load.tx, err) < 0 ||
        dataset_store_get(load.tx, id, &loaded, err) < 0)
        goto out;
    size_t index = table_find(&loaded.table, target);
    size_t weights = sample_weight ? table_find(&loaded.table, sample_weight) : index;
    if (index == SIZE_MAX) {
        table_unknown(&loaded.table, target, "unknown_target", "/target", err);
        goto out;
    }
    if (weights == SIZE_MAX) {
        table_unknown(&loaded.table, sample_weight, "unknown_column", "/sample_weight",
                      err);
        goto out;
    }
    load.n_rows = load.n = loaded.table.n_rows;
    result = load_values(&load, &loaded, index, err);
    if (result == 0 && weights != index)
        result = load_values(&load, &loaded, weights, err);
out:
    db_rollback(load.tx);
    if (result == 0)
        *dataset = loaded;
    else
        dataset_clear(&loaded);
    return result;
}

/* --- removing ------------------------------------------------------------------------ */

static int delete_unused(struct db_tx *tx, const char *id, struct err *err)
{
    int is_used = job_store_uses_dataset(tx, id, err);
    if (is_used < 0)
        return -1;
    if (is_used)
        return err_set(err, ERR_CONFLICT, "dataset_in_use",
                       "a job that is not finished uses this dataset: cancel it or wait");
    return dataset_store_delete(tx, id, err);
}

int datasets_delete(struct db *db, const char *id, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_WRITE, &tx, err) < 0)
        return -1;
    return db_end(tx, delete_unused(tx, id, err), err);
}

int datasets_sweep(struct db *db, size_t *n, struct err *err)
{
    struct db_tx *tx = NULL;
    if (db_begin(db, DB_WRITE, &tx, err) < 0)
        return -1;
    return db_end(tx, dataset_store_sweep(tx, n, err), err);
}
