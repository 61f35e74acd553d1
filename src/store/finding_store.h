/*
 * finding_store: every line of SQL about what the doctor found, in a job's training and, as
 * a copy, in a model version's. Functions run inside the caller's transaction.
 */
#ifndef STORE_FINDING_STORE_H
#define STORE_FINDING_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "core/doctor.h"
#include "store/db.h"

/* Appends [n] findings to those of a job (its seq); one that it has already, by ailment and
 * layer, stays as it is. */
int finding_store_add(struct db_tx *tx, int64_t job_seq,
                      const struct doctor_finding *findings, size_t n, struct err *err);

/* Forgets what a job's training found after that epoch (0: all). */
int finding_store_forget(struct db_tx *tx, int64_t job_seq, uint64_t after,
                         struct err *err);

/* Copies a job's findings to the version that it made; both by id. */
int finding_store_copy(struct db_tx *tx, const char *job_id, const char *version_id,
                       struct err *err);

/* Reads those of a job (by seq) or of a version (by id), oldest first: *findings [*n] is
 * owned by the caller (free), NULL when there are none. ERR_CORRUPT for an unknown ailment. */
int finding_store_of_job(struct db_tx *tx, int64_t job_seq,
                         struct doctor_finding **findings, size_t *n, struct err *err);
int finding_store_of_version(struct db_tx *tx, const char *version_id,
                             struct doctor_finding **findings, size_t *n,
                             struct err *err);

#endif
