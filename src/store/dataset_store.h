/*
 * dataset_store: every line of SQL about datasets. Functions run inside the caller's
 * transaction; reading ones take either mode. A dataset is visible once it is ready.
 */
#ifndef STORE_DATASET_STORE_H
#define STORE_DATASET_STORE_H

#include "base/buf.h"
#include "entity/dataset.h"
#include "store/db.h"

/* Adds it in the state `uploading`, with its columns; values come by put_chunk. */
int dataset_store_insert(struct db_tx *tx, const struct dataset *dataset,
                         struct err *err);

/* Stores chunk number `chunk` of a column (table/table_codec.h) with its digest. */
int dataset_store_put_chunk(struct db_tx *tx, const char *id, size_t column, size_t chunk,
                            const void *bytes, size_t len, struct err *err);

/* Makes it visible. */
int dataset_store_set_ready(struct db_tx *tx, const char *id, struct err *err);

/* Reads one (schema, profile, warnings; no values). ERR_NOT_FOUND "no_such_dataset". */
int dataset_store_get(struct db_tx *tx, const char *id, struct dataset *dataset,
                      struct err *err);

/* Up to `limit` of them, newest first, with seq below `before` (0: from the newest). *items
 * [*n] is owned by the caller (dataset_clear each, free). */
int dataset_store_list(struct db_tx *tx, int64_t before, size_t limit,
                       struct dataset **items, size_t *n, struct err *err);

/* Copies a chunk's bytes into out after checking its digest (ERR_CORRUPT). */
int dataset_store_get_chunk(struct db_tx *tx, const char *id, size_t column, size_t chunk,
                            struct buf *out, struct err *err);

/* Removes it with its chunks. ERR_NOT_FOUND. Whether it may be is the caller's business. */
int dataset_store_delete(struct db_tx *tx, const char *id, struct err *err);

/* Removes what an interrupted upload left behind; *n counts. */
int dataset_store_sweep(struct db_tx *tx, size_t *n, struct err *err);

#endif
