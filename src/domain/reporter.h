/*
 * reporter: carries the progress of one training to the database: the job's figures and the
 * history of its epochs. Epochs wait for a common write, because a commit is an fsync and an
 * epoch of a small table takes less than a millisecond. One thread.
 */
#ifndef DOMAIN_REPORTER_H
#define DOMAIN_REPORTER_H

#include <stdatomic.h>

#include "core/fit.h"
#include "entity/job.h"
#include "store/db.h"

#define REPORTER_EPOCHS_MAX 1024

struct reporter {
    struct db *db;           /* borrowed */
    const struct job *job;   /* borrowed */
    const atomic_bool *stop; /* borrowed: somebody wants the training to end */
    size_t rows_per_epoch;
    int64_t started_ns;
    int64_t flushed_ns; /* last write */
    size_t n_epochs;    /* waiting */
    struct job_epoch epochs[REPORTER_EPOCHS_MAX];
    struct job_progress progress;
    struct err err; /* why a hook said stop, when it was not asked to */
};

void reporter_init(struct reporter *reporter, struct db *db, const struct job *job,
                   const atomic_bool *stop, size_t rows_per_epoch);

/* Hooks for fit_run: they stop it when *stop is set, or when progress cannot be written
 * (then `err` says why). The reporter must not move meanwhile. */
struct fit_hooks reporter_hooks(struct reporter *reporter);

/* Writes what still waits. */
int reporter_finish(struct reporter *reporter, struct err *err);

#endif
