/*
 * datasets: what people do with tables: upload, look, remove. One function per use case.
 * All may block on the database. Thread-safe.
 */
#ifndef DOMAIN_DATASETS_H
#define DOMAIN_DATASETS_H

#include <stdbool.h>
#include <stddef.h>

#include "entity/dataset.h"

struct db;

/*
 * Reads a table with a header line from text (delimiter ',' or '\t'), types its columns and
 * stores it. `name` follows id_is_name; NULL: the id. On success *dataset (owned by the
 * caller) describes it, without values. Errors: those of table/csv.h, and of the store;
 * after an error nothing of it is left.
 */
int datasets_create(struct db *db, const char *name, char delimiter, const char *bytes,
                    size_t len, struct dataset *dataset, struct err *err);

/* The same from {"X": [[…], …], "y": […]} (table/json_rows.h); errors point below "/data". */
int datasets_create_xy(struct db *db, const char *json, size_t len,
                       struct dataset *dataset, struct err *err);

/* Describes one. ERR_NOT_FOUND. */
int datasets_get(struct db *db, const char *id, struct dataset *dataset, struct err *err);

/* Up to `limit`, newest first, below position `before` (0: from the newest). *items [*n] is
 * owned by the caller: dataset_clear each, then free. */
int datasets_list(struct db *db, int64_t before, size_t limit, struct dataset **items,
                  size_t *n, struct err *err);

/*
 * Loads all columns of rows [first, first + n), n cut to what there is; dataset->table.n_rows
 * becomes the number of rows loaded, *n_rows (may be NULL) the number there are.
 */
int datasets_load(struct db *db, const char *id, size_t first, size_t n,
                  struct dataset *dataset, size_t *n_rows, struct err *err);

/* Loads the target of all rows, and their weights when that column is given (not NULL); other
 * columns stay without values. ERR_INVALID "unknown_target" at "/target" or "unknown_column"
 * at "/sample_weight", with the nearest name. */
int datasets_load_target(struct db *db, const char *id, const char *target,
                         const char *sample_weight, struct dataset *dataset,
                         struct err *err);

/* Removes it. ERR_CONFLICT "dataset_in_use" while a job needs it. */
int datasets_delete(struct db *db, const char *id, struct err *err);

/* Removes what interrupted uploads left. Only at start. */
int datasets_sweep(struct db *db, size_t *n, struct err *err);

#endif
