/*
 * jobs: what people do with training runs, and the pair take/run that workers live on. The
 * queue is the database's table; this object only knows which jobs run in this process, to
 * tell them to stop. Thread-safe; all but jobs_take's result may block.
 */
#ifndef DOMAIN_JOBS_H
#define DOMAIN_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/predictor.h"
#include "entity/job.h"

struct db;
struct team;

struct jobs;

struct jobs_options {
    struct db *db;               /* borrowed */
    struct predictor *predictor; /* borrowed: told of new versions */
    struct team *team;           /* borrowed: helps to train; NULL: nobody */
    void *ctx;                   /* for the two below */
    void (*wake)(void *ctx);     /* a job was queued */
    /* A job reached a state; for the log. `detail` says why or what. */
    void (*report)(void *ctx, const struct job *job, const char *detail);
};

int jobs_open(const struct jobs_options *options, struct jobs **jobs, struct err *err);
void jobs_close(struct jobs *jobs); /* nothing may run; NULL is allowed */

/* What a dead process left: requeued, cancelled or failed. Only at start. */
int jobs_recover(struct jobs *jobs, struct job_recovered *result, struct err *err);

/* A request to train. Everything is borrowed. */
struct jobs_request {
    const char *dataset_id; /* or NULL with data */
    const char *data;       /* {"X": …, "y": …} [data_len], stored as a dataset */
    size_t data_len;
    const char *target;          /* NULL with data: "y" */
    const char *const *features; /* [n_features]; NULL: all */
    size_t n_features;
    const char *const *exclude; /* [n_exclude] */
    size_t n_exclude;
    const char *sample_weight; /* column of the rows' weights; NULL: all weigh the same */
    const char *model;         /* NULL: the dataset's name, or the model of warm_start */
    struct model_reference warm_start; /* version 0: the newest; model "": none */
    int task;                          /* enum encoder_task, or -1: from the target */
    struct parameters parameters;
    uint64_t given; /* bit i: parameters_fields[i] was in the request */
};

/*
 * Checks the request against the dataset, resolves what is "auto", and queues the job.
 * ERR_INVALID at the pointer of the field at fault: unknown_dataset, unknown_target,
 * one_class, text_target, unknown_column, bad_name, wrong_loss, bad_weight …, and with
 * warm_start unknown_model, unknown_version, and those of warm_start_settle. *job (owned by
 * the caller) is the job as queued.
 */
int jobs_submit(struct jobs *jobs, const struct jobs_request *request, struct job *job,
                struct err *err);

int jobs_get(struct jobs *jobs, const char *id, struct job *job, struct err *err);

/* state: enum job_state, or -1 for all; paging as in datasets_list. */
int jobs_list(struct jobs *jobs, int state, int64_t before, size_t limit,
              struct job **items, size_t *n, struct err *err);

/* The history of a job: up to `limit` epochs behind epoch `after`, oldest first; *epochs [*n]
 * is owned by the caller (free). */
int jobs_history(struct jobs *jobs, const char *id, uint64_t after, size_t limit,
                 struct job_epoch **epochs, size_t *n, struct err *err);

/* Asks it to end: queued → cancelled at once, running → cancelling. Done before: nothing
 * more. ERR_CONFLICT "too_late" when it has succeeded or failed. *job is its state then. */
int jobs_cancel(struct jobs *jobs, const char *id, struct job *job, struct err *err);

/* For a pool (work/pool.h), with the struct jobs as ctx: claims the oldest queued job; trains
 * and publishes it. */
int jobs_take(void *ctx, void **item);
void jobs_run(void *ctx, void *item);

/* Tells all running jobs to stop: within seconds they save a checkpoint and go back to the
 * queue, and go on from there at the next start. No job is taken any more. */
void jobs_stop(struct jobs *jobs);

#endif
