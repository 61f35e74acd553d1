/*
 * checkpoint_store: every line of SQL about what a job's training can go on from. At most one
 * per job is ready; the next one is written beside it, in as many transactions as its size
 * asks for, and takes its place at once. Functions run inside the caller's transaction.
 */
#ifndef STORE_CHECKPOINT_STORE_H
#define STORE_CHECKPOINT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "store/db.h"

#define CHECKPOINT_STORE_CHUNK (8U << 20) /* bytes, at most */

struct checkpoint {
    uint64_t epoch; /* finished, >= 1 */
    char *bytes;    /* [len] (core/fit.h, fit_save) */
    size_t len;
};

/* Begins to write one for a job (ERR_NOT_FOUND "no_such_job") and gives its place in *seq. What
 * an interrupted write left is removed. */
int checkpoint_store_begin(struct db_tx *tx, const char *job_id,
                           const struct checkpoint *checkpoint, int64_t now_ms,
                           int64_t *seq, struct err *err);

/* Adds the next bytes, chunks counted from 0. */
int checkpoint_store_put_chunk(struct db_tx *tx, int64_t seq, size_t chunk,
                               const void *bytes, size_t len, struct err *err);

/* All its chunks are there: it takes the place of the one before. */
int checkpoint_store_set_ready(struct db_tx *tx, int64_t seq, struct err *err);

/* Reads the one that is ready, after checking its digest (ERR_CORRUPT). 1: *checkpoint is
 * filled, its bytes owned by the caller (free); 0: there is none; -1: failed. */
int checkpoint_store_get(struct db_tx *tx, const char *job_id,
                         struct checkpoint *checkpoint, struct err *err);

/* Removes what a job has, half-written ones too; none is fine. */
int checkpoint_store_delete(struct db_tx *tx, int64_t job_seq, struct err *err);

#endif
