/*
 * fit: trains a net, or several of one shape side by side, on arrays. Deterministic by seed:
 * the same input gives the same bytes at any number of threads, and a fit that was saved and
 * continued ends as one that was not. It reports through hooks and never logs.
 */
#ifndef CORE_FIT_H
#define CORE_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/doctor.h"
#include "core/mlp.h"
#include "core/optim.h"
#include "core/parallel.h"
#include "core/schedule.h"

struct fit_options {
    struct optim_options optim;
    struct schedule_options schedule; /* not lbfgs */
    double alpha; /* L2: alpha/(2 n_batch) ΣW² joins a batch's loss; not biases. With
                     weights, n_batch is their sum (scikit-learn's) */
    double l1;    /* l1/n_batch Σ|W| joins it too, with slope 0 at 0; not lbfgs */
    double gradient_clip; /* longest gradient (2-norm, penalties included); 0: any */
    double max_norm;      /* longest column of a W, one neuron's, after a step; 0: any */
    /* Share of each hidden layer's outputs that a step drops (core/dropout.h), in [0, 1). A
     * train_loss is then one with dropout; validation and the net itself are without. */
    double dropout[MLP_LAYERS_MAX - 1];
    /* Learning rates of groups of parameters as multiples of the learning rate; 0 stands for
     * 1. Not lbfgs. */
    double rate_factor[MLP_GROUP_COUNT];
    /* What the rates of dropout and of adamw's weight_decay are multiplied by, over a run
     * (schedule_share): constant or flat_cosine. Weights and feature scales decay; biases,
     * gains and embeddings do not. */
    enum schedule_share regularization_schedule;
    /* Rows; 0: min(200, n_rows); gd and lbfgs always take all rows. With batch_norm at least 2,
     * and a last batch of one row is left out: it has no variance. */
    size_t batch_size;
    size_t max_iter; /* epochs, >= 1; an iteration of lbfgs is one */
    double tol;      /* an epoch improves when it lowers the best loss by tol or more */
    /* >= 1: one more epoch in a row without improvement stops (schedule adaptive: lowers the
     * learning rate, until that is 1e-6) */
    size_t n_iter_no_change;
    /* Watch the validation loss and restore the best weights; without it the training loss
     * is watched and the last weights stay. */
    bool early_stopping;
    bool diagnose; /* let the doctor (core/doctor.h) look at every epoch */
    bool shuffle;  /* permute the rows anew each epoch */
    /* Leave out an epoch's last batch when it has at most half the rows of the others. */
    bool skip_short_batch;
    uint64_t seed;
};

/* Rows to learn from. Borrowed. Their mean loss, of a batch and of an epoch, is
 * Σ weight · loss / Σ weight. */
struct fit_rows {
    const float *x; /* [n_rows x n_inputs] */
    const float *t; /* [n_rows x n_targets], core/loss.h */
    size_t n_rows;
    const float *weights; /* [n_rows], >= 0, not all 0; NULL: all 1 */
};

struct fit;

struct fit_progress {
    const struct fit *fit; /* borrowed for the hook: fit_save */
    size_t epoch;          /* finished epochs, from 1 */
    double train_loss; /* mean over the epoch's batches as they were seen, L2 included */
    double validation_loss; /* without L2; NaN without validation rows */
    bool is_best;           /* the watched loss (early_stopping) is the lowest so far */
    /* What the doctor found in this epoch and had not said before: borrowed [n_findings]. */
    const struct doctor_finding *findings;
    size_t n_findings;
};

struct fit_hooks {
    void *ctx;
    /* After every mini-batch (lbfgs: every evaluation of the loss), and within one of many
     * thousand rows, if not NULL: false stops with ERR_CANCELLED. Cheap. */
    bool (*on_batch)(void *ctx);
    /* After every epoch, if not NULL: false stops with ERR_CANCELLED. */
    bool (*on_epoch)(void *ctx, const struct fit_progress *progress);
    const struct parallel
        *parallel; /* borrowed: threads to work on; NULL: the caller's */
    /* What fit_save wrote in an earlier run of the same fit, to go on from there: borrowed
     * [resume_len]; NULL: start anew. */
    const void *resume;
    size_t resume_len;
};

enum fit_stop {
    FIT_MAX_ITER,
    FIT_NO_CHANGE,
    /* lbfgs: no |slope| over tol, or over FIT_LBFGS_SLOPE where tol is larger; or there is
     * no lower loss to be found */
    FIT_CONVERGED
};

#define FIT_LBFGS_SLOPE          1e-5
#define FIT_LBFGS_PARAMETERS_MAX 5000000 /* lbfgs holds 25 float64 of each */

struct fit_result {
    size_t n_iter;          /* epochs run */
    size_t best_epoch;      /* whose weights the net has */
    double train_loss;      /* of that epoch */
    double validation_loss; /* of that epoch, or NaN */
    enum fit_stop stop;
};

/* Are the options fit for a net with so many hidden layers? ERR_INVALID names the one that
 * is not by its pointer. What the solver does not use is not looked at, but what would change
 * another solver's result and not lbfgs's is refused with lbfgs. */
int fit_check_options(const struct fit_options *options, size_t n_hidden,
                      struct err *err);

/*
 * Trains `mlp` (weights already initialised) in place. `validation` may be NULL unless
 * early_stopping. Errors: ERR_INVALID (no rows, options out of range, early_stopping without
 * validation rows, an activation that cannot be trained: the pointer names the option; a
 * class index that the net does not have, a negative count for poisson, a weight that is
 * negative or not finite, weights that are all 0); ERR_CANCELLED; ERR_NO_MEMORY;
 * ERR_TOO_LARGE (lbfgs, over FIT_LBFGS_PARAMETERS_MAX); ERR_DIVERGED "diverged" at the first
 * non-finite loss, weight or clipped gradient, naming epoch and batch (both from 1). After an
 * error the weights are unspecified.
 */
int fit_run(struct mlp *mlp, const struct fit_options *options,
            const struct fit_rows *train, const struct fit_rows *validation,
            const struct fit_hooks *hooks, struct fit_result *result, struct err *err);

/* One net of several that are trained side by side; all of one shape. */
struct fit_member {
    struct mlp *mlp;            /* borrowed; weights already initialised */
    struct fit_rows train;      /* as many rows as every member has steps in an epoch */
    struct fit_rows validation; /* n_rows 0: none */
    uint64_t seed;              /* of its shuffles and dropout */
    /* Borrowed, from optim_init with the same options: steps go on from its state, and it has
     * theirs afterwards (after an error: an unspecified one). NULL: a new one. Not lbfgs. */
    struct optim *optim;
};

/*
 * The same for n >= 1 nets that take their steps in lockstep, each on rows of its own, as one
 * batched computation. What fit_progress and fit_result tell are means over the members: one
 * epoch is the best of all of them together. Members need equally many steps in an epoch
 * (ERR_INVALID "uneven_members"), and all or none of them validation rows. Not lbfgs.
 */
int fit_run_members(const struct fit_member *members, size_t n,
                    const struct fit_options *options, const struct fit_hooks *hooks,
                    struct fit_result *result, struct err *err);

/* Appends all that a later fit_run of the same nets, rows and options needs to go on after
 * this epoch: weights, statistics, the state of the solver, the best weights, counters. Only
 * within on_epoch. Check with buf_check. fit_run refuses other bytes, or those of another fit
 * (shapes, options or numbers of rows differ), with ERR_CORRUPT "checkpoint_mismatch". */
void fit_save(const struct fit *fit, struct buf *out);

#endif
