/* job: one training run, from request to result, and its legal state changes. One owner. */
#ifndef ENTITY_JOB_H
#define ENTITY_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "core/doctor.h"
#include "entity/dataset.h"
#include "entity/metrics.h"
#include "entity/model.h"
#include "entity/parameters.h"
#include "table/encoder.h"

/* A job that dies with its process is not tried for ever: so often without getting further. */
#define JOB_ATTEMPTS_MAX    3
#define JOB_TRANSITIONS_MAX 64

/* What somebody wants of a training under way. */
enum job_stop {
    JOB_GO_ON,
    JOB_STOP_SOON, /* at the end of an epoch, with a checkpoint, if that is near */
    JOB_STOP_NOW
};

/* Stored and shown by name; terminal states never change. */
enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_CANCELLING, /* running, asked to stop */
    JOB_SUCCEEDED,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_STATE_COUNT
};

const char *job_state_name(enum job_state state);

/* The state of that name, or -1. */
int job_state_find(const char *name);

/* True when a job may go from one state to the other. */
bool job_may_move(enum job_state from, enum job_state to);
bool job_is_terminal(enum job_state state);

struct job_transition {
    enum job_state state;
    int64_t at_ms;
    char cause[80]; /* "submitted", "claimed", "process restarted", … */
};

/* How far it is; updated while it runs. */
struct job_progress {
    uint64_t epoch;         /* finished */
    double train_loss;      /* NaN before the first epoch */
    double validation_loss; /* NaN without validation rows */
    double samples_per_second;
    double eta_seconds; /* upper bound: early stopping may end it sooner; NaN: unknown */
};

/* Why it failed. */
struct job_error {
    char code[40]; /* "diverged", "bad_data", "out_of_memory", "poison", … or "" */
    char message[400];
    char hint[200];
};

struct job {
    char id[ID_SIZE];
    char model[DATASET_NAME_SIZE]; /* name the result is published under */
    char dataset_id[ID_SIZE];
    char *target;    /* owned; column name */
    char **features; /* owned [n_features]; NULL: all but the target */
    size_t n_features;
    char *sample_weight; /* owned; column of the rows' weights, no feature; NULL: none */
    enum encoder_task task;
    struct model_reference warm_start; /* version to go on from */
    struct parameters parameters;
    enum job_state state;
    struct job_progress progress;
    struct metrics metrics;      /* once succeeded */
    uint64_t attempts;           /* times it was claimed */
    uint64_t resumed_from_epoch; /* where the last attempt began; 0: anew */
    uint64_t checkpoint_epoch;   /* where the next one would begin; 0: anew */
    uint64_t model_version;      /* 0 until succeeded */
    struct job_error error;
    int64_t created_at_ms;
    int64_t started_at_ms;  /* 0: not yet */
    int64_t finished_at_ms; /* 0: not yet */
    size_t n_transitions;
    struct job_transition *transitions; /* owned, oldest first; NULL unless loaded */
    size_t n_findings;
    struct doctor_finding *findings; /* owned, oldest first; NULL: none */
    struct warnings warnings;        /* what training noticed about the columns */
    int64_t seq;                     /* its place in lists; set by the store */
};

/* One finished epoch of a job's history. */
struct job_epoch {
    uint64_t epoch;
    double train_loss;
    double validation_loss;
    int64_t at_ms;
};

/* What was put right at start after a process had died. */
struct job_recovered {
    size_t n_requeued;  /* running → queued */
    size_t n_cancelled; /* cancelling → cancelled */
    size_t n_poison;    /* running for the JOB_ATTEMPTS_MAX-th time without getting
                           further → failed "poison" */
};

void job_clear(struct job *job);

/* Stored form of features. Decoding distrusts: ERR_CORRUPT. */
void job_encode_features(const struct job *job, struct buf *out);
int job_decode_features(const void *bytes, size_t len, struct job *job, struct err *err);

#endif
