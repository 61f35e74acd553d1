/*
 * job_store: every line of SQL about jobs; the table is the queue. Functions run inside the
 * caller's transaction. Every change of state also records a transition.
 */
#ifndef STORE_JOB_STORE_H
#define STORE_JOB_STORE_H

#include "entity/job.h"
#include "store/db.h"

/* Adds it as queued with its first transition. */
int job_store_insert(struct db_tx *tx, const struct job *job, struct err *err);

/* Reads one with its transitions and findings. ERR_NOT_FOUND "no_such_job". */
int job_store_get(struct db_tx *tx, const char *id, struct job *job, struct err *err);

/* Up to `limit` newest first, with seq below `before` (0: from the newest), of one state or
 * of all (-1). *items [*n] is owned by the caller; transitions and findings are loaded. */
int job_store_list(struct db_tx *tx, int state, int64_t before, size_t limit,
                   struct job **items, size_t *n, struct err *err);

/* Claims the oldest queued job: running, attempts + 1, started_at; progress, history and
 * findings as of its checkpoint (cleared when it has none), in one transaction. 1: *job is
 * filled, 0: the queue is empty, -1: failed. */
int job_store_claim(struct db_tx *tx, int64_t now_ms, struct job *job, struct err *err);

/* Moves it to another state if job_may_move allows; ERR_CONFLICT "wrong_state" names the
 * state it is in. Terminal states set finished_at and end its checkpoint; going back to queued takes the attempt
 * back: a server that stops in good order is not the job's fault. */
int job_store_move(struct db_tx *tx, const char *id, enum job_state to, const char *cause,
                   int64_t now_ms, struct err *err);

/* Forgets the checkpoint of a running job, and the progress and history up to it: training
 * begins anew. */
int job_store_restart(struct db_tx *tx, const char *id, struct err *err);

/* Writes the progress of a job that is running or cancelling; others are left alone. */
int job_store_set_progress(struct db_tx *tx, const char *id,
                           const struct job_progress *progress, struct err *err);

/* Appends [n] epochs to the history; one that is there already is replaced (a job that runs
 * again). */
int job_store_add_epochs(struct db_tx *tx, const char *id, const struct job_epoch *epochs,
                         size_t n, struct err *err);

/* Appends [n] findings, but those that it has already. ERR_NOT_FOUND "no_such_job". */
int job_store_add_findings(struct db_tx *tx, const char *id,
                           const struct doctor_finding *findings, size_t n,
                           struct err *err);

/* Up to `limit` epochs of the history behind epoch `after` (0: from the first), oldest first.
 * *epochs [*n] is owned by the caller (free). ERR_NOT_FOUND "no_such_job". */
int job_store_list_epochs(struct db_tx *tx, const char *id, uint64_t after, size_t limit,
                          struct job_epoch **epochs, size_t *n, struct err *err);

/* running → succeeded with metrics, warnings and the version made. ERR_CONFLICT when it is
 * in no state for that (cancelling). */
int job_store_succeed(struct db_tx *tx, const char *id, uint64_t model_version,
                      const struct metrics *metrics, const struct warnings *warnings,
                      int64_t now_ms, struct err *err);

/* running or cancelling → failed with the reason. */
int job_store_fail(struct db_tx *tx, const char *id, const struct job_error *error,
                   int64_t now_ms, struct err *err);

/* Puts right what a dead process left. Only at start, before any worker. A job is given up
 * after JOB_ATTEMPTS_MAX attempts since the one that wrote its checkpoint, that one
 * included. */
int job_store_recover(struct db_tx *tx, int64_t now_ms, struct job_recovered *result,
                      struct err *err);

/* 1 when a job that is not terminal uses the dataset, 0 when none does, -1 failed. */
int job_store_uses_dataset(struct db_tx *tx, const char *dataset_id, struct err *err);

#endif
