/*
 * reporter: carries the progress of one training to the database: the job's figures, the
 * history of its epochs and findings, and what it can go on from. They wait for a common
 * write, because a commit is an fsync and an epoch of a small table takes less than a
 * millisecond. One thread.
 *
 * A checkpoint is saved so often that a crash costs at most a fifth of the work so far, and no
 * more than a few seconds of it, but not so often that saving takes more than a twentieth of
 * the time. A disk that is full only costs the checkpoint.
 */
#ifndef DOMAIN_REPORTER_H
#define DOMAIN_REPORTER_H

#include <stdatomic.h>

#include "core/fit.h"
#include "entity/job.h"
#include "store/db.h"

#define REPORTER_EPOCHS_MAX 1024

struct reporter {
    struct db *db;          /* borrowed */
    const struct job *job;  /* borrowed */
    const atomic_int *stop; /* borrowed: enum job_stop: somebody wants it to end */
    size_t rows_per_epoch;
    int64_t started_ns;
    int64_t flushed_ns;   /* last write */
    int64_t saved_ns;     /* last checkpoint, or the start */
    int64_t save_ns;      /* what that took */
    int64_t stop_seen_ns; /* 0: not yet */
    size_t first_epoch;   /* of this run; 0: none is finished */
    size_t n_epochs;      /* waiting */
    struct job_epoch epochs[REPORTER_EPOCHS_MAX];
    size_t n_findings; /* waiting */
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
    struct job_progress progress;
    struct err err; /* why a hook said stop, when it was not asked to */
};

void reporter_init(struct reporter *reporter, struct db *db, const struct job *job,
                   const atomic_int *stop, size_t rows_per_epoch);

/* Hooks for fit_run: they stop it when *stop says so, or when progress cannot be written (then
 * `err` says why). JOB_STOP_SOON waits a few seconds for the end of the epoch, whose
 * checkpoint is then saved; a training whose last epoch that is goes to its end. The reporter
 * must not move meanwhile. */
struct fit_hooks reporter_hooks(struct reporter *reporter);

/* Writes what still waits. */
int reporter_finish(struct reporter *reporter, struct err *err);

#endif
