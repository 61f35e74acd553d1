/*
 * resolve: from what was asked to what will be done: checks a request against its dataset
 * and decides everything left open, so that a job's stored parameters say all. And from an
 * error of training to what the job tells people.
 */
#ifndef DOMAIN_RESOLVE_H
#define DOMAIN_RESOLVE_H

#include "domain/jobs.h"

/* Fills a new job (id, model, dataset, target, features, task, parameters, created_at). With
 * inline data the dataset is stored first, and removed again when the rest is refused. Errors
 * as jobs_submit. *job is owned by the caller. */
int resolve_request(struct db *db, const struct jobs_request *request, struct job *job,
                    struct err *err);

/* The code, message and hint that a job shows for an error of the trainer. */
void resolve_failure(const struct err *why, struct job_error *error);

#endif
