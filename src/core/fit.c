#include "core/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/fit_state.h"

/* --- one iteration of lbfgs ------------------------------------------------------------- */

static void set_weights(struct fit *fit, const double *x)
{
    struct mlp *mlp = fit->members[0].mlp;
    for (size_t i = 0; i < mlp->n_parameters; i++)
        mlp->parameters[i] = (float)x[i];
    fit_step_pack(fit);
}

static int evaluate(void *ctx, const double *x, double *loss, double *gradient,
                    struct err *err)
{
    struct fit *fit = ctx;
    const struct member *member = &fit->members[0];
    struct err diverged = {0};
    set_weights(fit, x);
    if (fit_step_run(fit, 0, false, &diverged) < 0 && diverged.code != ERR_DIVERGED) {
        *err = diverged;
        return -1;
    }
    *loss = member->loss;
    for (size_t i = 0; i < member->mlp->n_parameters; i++)
        gradient[i] = (double)member->gradient[i];
    return 0;
}

static bool all_finite(const float *values, size_t n)
{
    unsigned n_bad = 0;
#pragma omp simd reduction(| : n_bad)
    for (size_t i = 0; i < n; i++)
        n_bad |= fabsf(values[i]) <= 3.4028235e38F ? 0U : 1U; /* NaN too */
    return n_bad == 0;
}

static int check_weights(const struct fit *fit, struct err *err)
{
    for (size_t m = 0; m < fit->n_members; m++) {
        const struct mlp *mlp = fit->members[m].mlp;
        if (!all_finite(mlp->parameters, mlp->n_parameters) ||
            !all_finite(mlp->statistics, mlp->n_statistics))
            return fit_step_diverged(fit, "a weight", err);
    }
    return 0;
}

static int run_iteration(struct fit *fit, double *train_loss, struct err *err)
{
    const struct lbfgs_problem problem = {fit, evaluate};
    fit->batch = 1;
    if (lbfgs_iterate(&fit->lbfgs, &problem, err) < 0)
        return -1;
    if (fit->lbfgs.state == LBFGS_NOT_FINITE)
        return fit_step_diverged(
            fit, isfinite(fit->lbfgs.f) ? "the gradient" : "the loss", err);
    set_weights(fit, fit->lbfgs.x); /* the last ones tried may be others */
    *train_loss = fit->lbfgs.f;
    return check_weights(fit, err);
}

/* --- one epoch -------------------------------------------------------------------------- */

static void shuffle_rows(const struct fit *fit, const struct member *member)
{
    /* From the identity each time: an epoch's order does not hang on the ones before. */
    for (size_t i = 0; i < member->train->n_rows; i++)
        member->order[i] = i;
    rng_shuffle(member->seed, RNG_SHUFFLE, fit->epoch, member->order,
                member->train->n_rows);
}

static int run_batches(struct fit *fit, double *train_loss, struct err *err)
{
    double loss = 0.0;
    double weight = 0.0;
    for (size_t m = 0; m < fit->n_members; m++)
        if (fit->members[m].order)
            shuffle_rows(fit, &fit->members[m]);
    for (fit->batch = 1; fit->batch <= fit->steps_per_epoch; fit->batch++) {
        if (fit_step_run(fit, (fit->batch - 1) * fit->batch_size, true, err) < 0)
            return -1;
        if (fit->batch == 1)
            fit->first_batch_loss = fit_step_loss(fit);
        for (size_t m = 0; m < fit->n_members; m++) {
            loss += fit->members[m].loss * fit->members[m].weight;
            weight += fit->members[m].weight;
        }
    }
    fit->batch = fit->steps_per_epoch;
    *train_loss = loss / weight;
    return check_weights(fit, err);
}

static double member_validation_loss(const struct fit *fit, const struct member *member)
{
    const struct fit_rows *all = member->validation;
    size_t room = fit->piece_rows > 256 ? fit->piece_rows : 256;
    double sum = 0.0;
    double total = 0.0;
    for (size_t first = 0; first < all->n_rows; first += room) {
        size_t left = all->n_rows - first;
        const struct pass_rows rows = {
            .x = all->x + first * fit->n_inputs,
            .t = all->t + first * fit->n_targets,
            .weights = all->weights ? all->weights + first : NULL,
            .n = left < room ? left : room,
        };
        double loss = pass_packed_loss(member->pass, &rows);
        sum += loss * pass_total_weight(member->pass);
        total += pass_total_weight(member->pass);
    }
    return sum / total;
}

static double validation_loss(const struct fit *fit)
{
    double sum = 0.0;
    for (size_t m = 0; m < fit->n_members; m++)
        sum += member_validation_loss(fit, &fit->members[m]);
    return sum / (double)fit->n_members;
}

static void keep_best(struct fit *fit)
{
    for (size_t m = 0; m < fit->n_members; m++) {
        const struct mlp *mlp = fit->members[m].mlp;
        float *best = fit->members[m].best;
        if (!best)
            continue;
        memcpy(best, mlp->parameters, mlp->n_parameters * sizeof *best);
        if (mlp->n_statistics > 0)
            memcpy(best + mlp->n_parameters, mlp->statistics,
                   mlp->n_statistics * sizeof *best);
    }
}

static void restore_best(struct fit *fit)
{
    for (size_t m = 0; m < fit->n_members; m++) {
        struct mlp *mlp = fit->members[m].mlp;
        const float *best = fit->members[m].best;
        if (!best)
            continue;
        memcpy(mlp->parameters, best, mlp->n_parameters * sizeof *best);
        if (mlp->n_statistics > 0)
            memcpy(mlp->statistics, best + mlp->n_parameters,
                   mlp->n_statistics * sizeof *best);
    }
}

/* Notes the epoch in counters and result, and its weights when they may be wanted again. */
static void note_epoch(struct fit *fit, struct fit_progress *progress)
{
    const struct fit_options *o = fit->options;
    double watched = o->early_stopping ? progress->validation_loss : progress->train_loss;
    fit->n_no_change = watched > fit->best_loss - o->tol ? fit->n_no_change + 1 : 0;
    progress->is_best = watched < fit->best_loss;
    if (progress->is_best)
        fit->best_loss = watched;
    fit->result.n_iter = progress->epoch;
    if (o->early_stopping && !progress->is_best)
        return;
    fit->result.best_epoch = progress->epoch;
    fit->result.train_loss = progress->train_loss;
    fit->result.validation_loss = progress->validation_loss;
    keep_best(fit);
}

/* What the first net's last batch shows, while the pass still holds it. */
static void look(struct fit *fit, struct doctor_layer *layers)
{
    const struct member *member = &fit->members[0];
    const struct mlp *mlp = member->mlp;
    size_t n_rows = fit_state_batch(fit, member, (fit->batch - 1) * fit->batch_size);
    for (size_t l = 0; l < mlp->n_layers; l++) {
        size_t at = mlp->layers[l].weights_at;
        const struct doctor_trace trace = {
            .gradient = member->gradient + at,
            .before = member->before ? member->before + at : NULL,
            .after = mlp->parameters + at,
            .outputs = pass_outputs(member->pass, l),
            .n_rows = (n_rows - 1) % fit->piece_rows + 1,
        };
        doctor_look(fit->doctor, l, &trace, &layers[l]);
    }
}

static void examine(struct fit *fit, const struct doctor_layer *layers,
                    struct fit_progress *progress)
{
    const struct doctor_epoch epoch = {
        .epoch = progress->epoch,
        .step = progress->epoch * fit->steps_per_epoch,
        .train_loss = progress->train_loss,
        .first_batch_loss = fit->is_lbfgs ? (double)NAN : fit->first_batch_loss,
        .validation_loss = progress->validation_loss,
        .learning_rate =
            fit->is_lbfgs ? 1.0 : fit->members[0].optim.options.learning_rate,
        .has_dropout = fit->members[0].dropout.n_layers > 0,
        .layers = layers,
    };
    progress->n_findings = doctor_examine(fit->doctor, &epoch);
    progress->findings =
        fit->doctor->findings + fit->doctor->n_findings - progress->n_findings;
}

static int run_epoch(struct fit *fit, struct err *err)
{
    struct fit_progress progress = {
        .fit = fit, .epoch = fit->epoch, .validation_loss = (double)NAN};
    struct doctor_layer layers[MLP_LAYERS_MAX];
    bool is_looked_at = fit->doctor && fit_step_is_due(fit);
    if ((fit->is_lbfgs ? run_iteration : run_batches)(fit, &progress.train_loss, err) < 0)
        return -1;
    if (is_looked_at)
        look(fit, layers); /* before validation takes the pass's room */
    if (fit->members[0].validation) {
        progress.validation_loss = validation_loss(fit);
        if (!isfinite(progress.validation_loss))
            return fit_step_diverged(fit, "the validation loss", err);
    }
    if (fit->doctor)
        examine(fit, is_looked_at ? layers : NULL, &progress);
    note_epoch(fit, &progress);
    if (fit->hooks->on_epoch && !fit->hooks->on_epoch(fit->hooks->ctx, &progress))
        return err_set(err, ERR_CANCELLED, "cancelled",
                       "training was stopped on request");
    return 0;
}

/* --- the run ---------------------------------------------------------------------------- */

/* After an epoch: is there no use in another one? Notes why. */
static bool may_stop(struct fit *fit)
{
    const struct fit_options *o = fit->options;
    if (fit->lbfgs.state != LBFGS_GOING) {
        fit->result.stop = FIT_CONVERGED;
        return true;
    }
    if (fit->n_no_change <= o->n_iter_no_change)
        return false;
    if (schedule_is_spent(&o->schedule, o->optim.learning_rate, fit->n_drops)) {
        fit->result.stop = FIT_NO_CHANGE;
        return true;
    }
    fit->n_drops++;
    fit->n_no_change = 0;
    return false;
}

static int run_epochs(struct fit *fit, struct err *err)
{
    bool is_resumed = fit->epoch > 0;
    fit->result.stop = FIT_MAX_ITER;
    fit_step_pack(fit);
    /* What was saved within on_epoch had not been asked yet. */
    if (is_resumed && may_stop(fit))
        fit->epoch = fit->options->max_iter;
    while (fit->epoch < fit->options->max_iter) {
        fit->epoch++;
        if (run_epoch(fit, err) < 0)
            return -1;
        if (may_stop(fit))
            break;
    }
    restore_best(fit);
    return 0;
}

static int begin(struct fit *fit, struct err *err)
{
    if (fit_check_rows(fit, err) < 0 || fit_state_init(fit, err) < 0)
        return -1;
    if (!fit->hooks->resume)
        return 0;
    return fit_checkpoint_restore(fit, fit->hooks->resume, fit->hooks->resume_len, err);
}

int fit_run_members(const struct fit_member *members, size_t n,
                    const struct fit_options *options, const struct fit_hooks *hooks,
                    struct fit_result *result, struct err *err)
{
    static const struct fit_hooks no_hooks = {0};
    struct fit fit = {
        .options = options,
        .hooks = hooks ? hooks : &no_hooks,
        .is_lbfgs = options->optim.solver == SOLVER_LBFGS,
    };
    int rc = -1;
    if (n == 0)
        return err_set(err, ERR_INVALID, "no_members", "there is no net to train");
    fit.members = mem_new(n, sizeof *fit.members, err);
    if (!fit.members)
        return -1;
    fit.n_members = n;
    for (size_t i = 0; i < n; i++)
        fit.members[i] = (struct member){
            .mlp = members[i].mlp,
            .train = &members[i].train,
            .validation = members[i].validation.n_rows ? &members[i].validation : NULL,
            .seed = members[i].seed,
            .lent = members[i].optim,
        };
    if (begin(&fit, err) < 0 || run_epochs(&fit, err) < 0)
        goto out;
    *result = fit.result;
    rc = 0;
out:
    fit_state_clear(&fit);
    return rc;
}

int fit_run(struct mlp *mlp, const struct fit_options *options,
            const struct fit_rows *train, const struct fit_rows *validation,
            const struct fit_hooks *hooks, struct fit_result *result, struct err *err)
{
    const struct fit_member member = {
        .mlp = mlp,
        .train = *train,
        .validation = validation ? *validation : (struct fit_rows){0},
        .seed = options->seed,
    };
    return fit_run_members(&member, 1, options, hooks, result, err);
}
