/*
 * trainer: one job's training, from stored rows to a model version ready to be published.
 * Blocks for as long as training takes; holds no transaction meanwhile.
 */
#ifndef DOMAIN_TRAINER_H
#define DOMAIN_TRAINER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "entity/job.h"
#include "entity/model.h"
#include "store/db.h"

struct team;

/* Most weights and biases of one net, and most numbers of one encoded table. */
#define TRAINER_WEIGHTS_MAX 100000000
#define TRAINER_NUMBERS_MAX 1000000000

/* Outputs that a net has for this task and loss: one for a regression or a single sigmoid,
 * one per class otherwise. */
size_t trainer_n_outputs(enum encoder_task task, enum loss loss, size_t n_classes);

/* What trainings work with; borrowed, shared by all threads that train. */
struct trainer {
    struct db *db;
    struct team *team; /* helps to compute; NULL: nobody */
};

/*
 * Trains `job` (claimed, parameters resolved), from its checkpoint if it has one; one that does
 * not fit, as after an upgrade, is dropped with a warning, and it starts anew. Progress goes
 * to the database at most a few times a second, checkpoints as in domain/reporter.h; *stop
 * (enum job_stop) is looked at after every mini-batch, and ends it with ERR_CANCELLED.
 * On success *version (owned by the caller; version number 0, not stored) holds encoder,
 * weights and metrics, and *warnings what was noticed about the columns. Other errors:
 * ERR_DIVERGED; ERR_INVALID with a slug for the job's error code; those of the store.
 */
int trainer_run(const struct trainer *trainer, const struct job *job,
                const atomic_int *stop, struct model_version *version,
                struct warnings *warnings, struct err *err);

#endif
