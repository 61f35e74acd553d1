/*
 * row: columns that the rows of several nouns have in common, read into their structs. `i`
 * is the column's place in the current row of stmt. Only the stores include this.
 */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include "base/err.h"
#include "entity/metrics.h"
#include "entity/model.h"
#include "entity/parameters.h"
#include "store/db.h"
#include "table/encoder.h"
#include "table/warnings.h"

/* Each: 0, or -1 with ERR_CORRUPT or ERR_NO_MEMORY. What they give is the caller's. */
int row_task(struct db_stmt *stmt, int i, enum encoder_task *task, struct err *err);
int row_kind(struct db_stmt *stmt, int i, enum table_kind *kind, struct err *err);
int row_parameters(struct db_stmt *stmt, int i, struct parameters *parameters,
                   struct err *err);
int row_metrics(struct db_stmt *stmt, int i, struct metrics *metrics, struct err *err);
int row_warnings(struct db_stmt *stmt, int i, struct warnings *warnings, struct err *err);

/* A reference to a model version in three columns from i on: name, version, digest of the
 * weights; all NULL: none. */
void row_reference(struct db_stmt *stmt, int i, struct model_reference *reference);
void row_bind_reference(struct db_stmt *stmt, int i,
                        const struct model_reference *reference);

/* A stored thing does not make sense. Returns -1. */
int row_corrupt(struct err *err);

#endif
