/*
 * fit_state: what core/fit.c, fit_step.c and fit_checkpoint.c share: the state of a fit that
 * runs. Private to them.
 */
#ifndef CORE_FIT_STATE_H
#define CORE_FIT_STATE_H

#include "core/dropout.h"
#include "core/fit.h"
#include "core/lbfgs.h"
#include "core/pass.h"

/* One net and what it alone needs. */
struct member {
    struct mlp *mlp; /* borrowed, as the rows */
    const struct fit_rows *train;
    const struct fit_rows *validation; /* NULL: none */
    uint64_t seed;
    struct pass *pass;      /* owned */
    struct dropout dropout; /* no layers: none */
    struct optim optim;
    struct optim *lent; /* borrowed: has optim's state before and after; NULL: nobody's */
    size_t *order; /* owned [n_rows]: this epoch's permutation; NULL: rows as they lie */
    float *gradient; /* owned [n_parameters]: of the batch */
    float *piece;    /* owned [n_parameters]: of a piece; NULL while a piece is a batch */
    float *before; /* owned [n_parameters]: ahead of the epoch's last step; diagnose only,
                         and not lbfgs */
    float *best;   /* owned [n_parameters + n_statistics]; early_stopping only */
    double
        *penalties;  /* owned [n_bands]: value of the penalties of each band's weights */
    double *squares; /* owned [n_bands]: Σ gradient² of each band */
    double loss;     /* of the batch: mean over its rows, penalties included */
    double weight;   /* of the batch's rows */
    double clip;     /* what the gradient is multiplied by */
};

/* What the tasks of a batch's bands do; any of it. */
struct fit_stage {
    bool computes;  /* the gradient, from the pass */
    bool penalises; /* adds the penalties to it */
    bool steps;     /* moves the weights by it, and packs them */
};

struct fit {
    struct member *members; /* owned [n_members] */
    size_t n_members;
    const struct fit_options *options; /* borrowed, as the hooks */
    const struct fit_hooks *hooks;     /* never NULL */
    bool is_lbfgs;
    size_t n_inputs;
    size_t n_targets;
    size_t batch_size;
    size_t piece_rows; /* of a pass, at most */
    size_t steps_per_epoch;
    struct lbfgs lbfgs;    /* solver lbfgs only, instead of the members' optim */
    struct doctor *doctor; /* owned; NULL: none */
    size_t n_drops;        /* of schedule adaptive */
    size_t epoch;          /* running, from 1 */
    size_t batch;          /* running, from 1 */
    double best_loss;
    double first_batch_loss; /* of this epoch */
    size_t n_no_change;
    struct fit_result result;
    /* the step that runs */
    size_t phase;
    struct fit_stage stage;
    double decay_factor;
};

/* Takes the room that the options need. Members, options and hooks are set. */
int fit_state_init(struct fit *fit, struct err *err);
void fit_state_clear(struct fit *fit);

/* Rows of the batch, from `first` on, that the epoch gives a member; 0: none are left. */
size_t fit_state_batch(const struct fit *fit, const struct member *member, size_t first);

/* Are rows, targets and weights what nets and options can learn from? */
int fit_check_rows(const struct fit *fit, struct err *err);

/* Packs all weights anew, after somebody else wrote to them. */
void fit_step_pack(struct fit *fit);

/* Loss (of each member) and gradient of the batch from row `first` on, penalties included;
 * then, if asked to, the step. ERR_DIVERGED, ERR_CANCELLED. */
int fit_step_run(struct fit *fit, size_t first, bool steps, struct err *err);

/* Will the doctor look at the last batch of this epoch? */
bool fit_step_is_due(const struct fit *fit);

/* Mean of the members' losses of the batch. */
double fit_step_loss(const struct fit *fit);

/* ERR_DIVERGED that names epoch, batch and what is not finite. */
int fit_step_diverged(const struct fit *fit, const char *what, struct err *err);

/* Goes on from what fit_save wrote. */
int fit_checkpoint_restore(struct fit *fit, const void *bytes, size_t len,
                           struct err *err);

#endif
