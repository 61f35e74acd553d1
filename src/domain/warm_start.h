/*
 * warm_start: a model version that a job's training goes on from: with its encoder, on a net
 * of its shape, from its weights.
 */
#ifndef DOMAIN_WARM_START_H
#define DOMAIN_WARM_START_H

#include "core/mlp.h"
#include "domain/jobs.h"
#include "entity/model.h"
#include "store/db.h"

struct warm_start {
    struct model_version version; /* owned */
    struct encoder encoder;       /* owned */
};

/*
 * Loads the version that the reference names (version 0: the newest), and completes the
 * reference. ERR_NOT_FOUND "no_such_model" or "no_such_version", the latter also when the
 * reference has a digest and the version of that name and number is another one by now.
 */
int warm_start_open(struct db *db, struct model_reference *reference,
                    struct warm_start *source, struct err *err);
void warm_start_clear(struct warm_start *source);

/* The job's task is the source's, its target must be. ERR_INVALID "warm_start_conflict" at
 * "/target", or at "/task" when the request has another one. */
int warm_start_task(const struct warm_start *source, const struct jobs_request *request,
                    struct job *job, struct err *err);

/*
 * Decides by the source what a request leaves open: features, and those parameters that make
 * the net's shape and what its inputs and outputs mean; the loss's figures too.
 * ERR_INVALID where the request contradicts it ("warm_start_conflict" at the field), and as
 * encoder_match_check when the table (its target's values loaded) does not fit.
 */
int warm_start_settle(const struct warm_start *source, const struct jobs_request *request,
                      const struct table *table, struct job *job, struct err *err);

/* Reads the source's net, which must have this net's shape (ERR_CONFLICT
 * "warm_start_conflict"); *net is owned by the caller (mlp_clear). */
int warm_start_net(const struct warm_start *source, const struct mlp *like,
                   struct mlp *net, struct err *err);

#endif
