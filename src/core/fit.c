#include "core/fit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/lbfgs.h"
#include "core/penalty.h"

/* A larger batch is summed from pieces of this many rows, so that the memory of full-batch
 * descent does not grow with the table, and a cancel is seen inside it. */
#define PIECE_ROWS 4096

struct fit {
    struct mlp *mlp; /* borrowed, as all up to hooks */
    const struct fit_options *options;
    const struct fit_rows *train;
    const struct fit_rows *validation; /* NULL: none */
    const struct fit_hooks *hooks;     /* NULL: none */
    size_t n_inputs;
    size_t n_targets;
    size_t batch_size;
    size_t piece_rows;
    size_t *order;  /* owned [n_rows]: this epoch's permutation; NULL: rows as they lie */
    float *x;       /* owned [piece_rows x n_inputs]: rows gathered by order */
    float *t;       /* owned [piece_rows x n_targets] */
    float *weights; /* owned [piece_rows]; NULL: rows have none */
    float *gradient; /* owned [n_parameters]: of the batch */
    float *piece;    /* owned [n_parameters]: of a piece; NULL while a piece is a batch */
    float *best; /* owned [n_parameters]: lowest validation loss; early_stopping only */
    struct mlp_workspace ws;
    struct dropout dropout; /* no layers: none */
    struct optim optim;
    struct lbfgs lbfgs; /* solver lbfgs only, instead of optim */
    size_t n_drops;     /* of schedule adaptive */
    size_t steps_per_epoch;
    size_t epoch; /* running, from 1 */
    size_t batch; /* running, from 1 */
    double best_loss;
    size_t n_no_change;
    struct fit_result result;
};

/* --- input ------------------------------------------------------------------------------ */

static int check_weights(const struct fit_rows *rows, struct err *err)
{
    double sum = 0.0;
    for (size_t i = 0; rows->weights && i < rows->n_rows; i++) {
        double weight = (double)rows->weights[i];
        if (!(weight >= 0.0 && isfinite(weight)))
            return err_set(err, ERR_INVALID, "bad_weight",
                           "row %zu has weight %g; it must be a number from 0 on", i + 1,
                           weight);
        sum += weight;
    }
    if (rows->weights && rows->n_rows > 0 && sum == 0.0)
        return err_set(err, ERR_INVALID, "bad_weight", "all rows have weight 0");
    return 0;
}

static int check_counts(const struct mlp *mlp, const struct fit_rows *rows,
                        struct err *err)
{
    size_t k = mlp_n_outputs(mlp);
    for (size_t i = 0; i < rows->n_rows * k; i++)
        if (rows->t[i] < 0.0F)
            return err_set(err, ERR_INVALID, "bad_target",
                           "row %zu has target %g; poisson takes numbers from 0 on",
                           i / k + 1, (double)rows->t[i]);
    return 0;
}

/* A class index out of range would be read as an array index. */
static int check_targets(const struct mlp *mlp, const struct fit_rows *rows,
                         struct err *err)
{
    if (check_weights(rows, err) < 0)
        return -1;
    if (mlp->loss == LOSS_POISSON)
        return check_counts(mlp, rows, err);
    if (mlp->loss != LOSS_CROSS_ENTROPY)
        return 0;
    float k = (float)mlp_n_outputs(mlp);
    for (size_t i = 0; i < rows->n_rows; i++)
        if (!(rows->t[i] >= 0.0F && rows->t[i] < k && truncf(rows->t[i]) == rows->t[i]))
            return err_set(err, ERR_INVALID, "bad_target",
                           "row %zu has class %g; the net knows 0 to %zu", i + 1,
                           (double)rows->t[i], mlp_n_outputs(mlp) - 1);
    return 0;
}

static int check_slopes(const struct mlp *mlp, struct err *err)
{
    enum act hidden = mlp->n_layers > 1 ? mlp->layers[0].activation : ACT_IDENTITY;
    return mlp_check_trainable(hidden, mlp->layers[mlp->n_layers - 1].activation, err);
}

static int check_input(const struct fit *fit, struct err *err)
{
    if (fit_check_options(fit->options, fit->mlp->n_layers - 1, err) < 0)
        return -1;
    if (check_slopes(fit->mlp, err) < 0)
        return -1;
    if (fit->train->n_rows == 0)
        return err_set(err, ERR_INVALID, "no_rows", "there are no rows to learn from");
    if (fit->options->early_stopping && !fit->validation)
        return err_set_at(err, ERR_INVALID, "no_validation_rows", "/early_stopping",
                          "early_stopping needs validation rows");
    if (check_targets(fit->mlp, fit->train, err) < 0)
        return -1;
    return fit->validation ? check_targets(fit->mlp, fit->validation, err) : 0;
}

/* --- memory ----------------------------------------------------------------------------- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_lbfgs(const struct fit *fit)
{
    return fit->options->optim.solver == SOLVER_LBFGS;
}

static size_t pick_batch_size(const struct fit *fit)
{
    size_t n_rows = fit->train->n_rows;
    if (fit->options->optim.solver == SOLVER_GD || is_lbfgs(fit))
        return n_rows;
    if (fit->options->batch_size == 0)
        return smaller(200, n_rows);
    return smaller(fit->options->batch_size, n_rows);
}

static int prepare_gather(struct fit *fit, struct err *err)
{
    /* A batch of all rows is the same in any order. */
    if (!fit->options->shuffle || fit->batch_size == fit->train->n_rows)
        return 0;
    fit->order = mem_new(fit->train->n_rows, sizeof *fit->order, err);
    fit->x = mem_new(fit->piece_rows * fit->n_inputs, sizeof *fit->x, err);
    fit->t = mem_new(fit->piece_rows * fit->n_targets, sizeof *fit->t, err);
    if (!fit->order || !fit->x || !fit->t)
        return -1;
    if (fit->train->weights)
        fit->weights = mem_new(fit->piece_rows, sizeof *fit->weights, err);
    return fit->train->weights && !fit->weights ? -1 : 0;
}

static int prepare_vectors(struct fit *fit, struct err *err)
{
    size_t n = fit->mlp->n_parameters;
    fit->gradient = mem_new(n, sizeof *fit->gradient, err);
    if (!fit->gradient)
        return -1;
    if (fit->batch_size > fit->piece_rows) {
        fit->piece = mem_new(n, sizeof *fit->piece, err);
        if (!fit->piece)
            return -1;
    }
    if (fit->options->early_stopping) {
        fit->best = mem_new(n, sizeof *fit->best, err);
        if (!fit->best)
            return -1;
    }
    return 0;
}

static int prepare_dropout(struct fit *fit, struct err *err)
{
    size_t widths[MLP_LAYERS_MAX];
    size_t n_hidden = fit->mlp->n_layers - 1;
    bool is_asked = false;
    for (size_t l = 0; l < n_hidden; l++) {
        widths[l] = fit->mlp->layers[l].fan_out;
        is_asked = is_asked || fit->options->dropout[l] > 0.0;
    }
    if (!is_asked)
        return 0;
    if (dropout_init(&fit->dropout, fit->options->dropout, widths, n_hidden,
                     fit->piece_rows, fit->options->seed, err) < 0)
        return -1;
    fit->ws.dropout = &fit->dropout;
    return 0;
}

static int prepare_solver(struct fit *fit, struct err *err)
{
    size_t n = fit->mlp->n_parameters;
    if (!is_lbfgs(fit))
        return optim_init(&fit->optim, &fit->options->optim, n, err);
    if (n > FIT_LBFGS_PARAMETERS_MAX)
        return err_set_at(err, ERR_TOO_LARGE, "too_large", "/solver",
                          "lbfgs is for nets of up to %d weights, not %zu: use adam",
                          FIT_LBFGS_PARAMETERS_MAX, n);
    if (lbfgs_init(&fit->lbfgs, n, FIT_LBFGS_SLOPE, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        fit->lbfgs.x[i] = (double)fit->mlp->parameters[i];
    return 0;
}

static int prepare(struct fit *fit, struct err *err)
{
    fit->n_inputs = mlp_n_inputs(fit->mlp);
    fit->n_targets = loss_n_targets(fit->mlp->loss, mlp_n_outputs(fit->mlp));
    fit->batch_size = pick_batch_size(fit);
    fit->piece_rows = smaller(fit->batch_size, PIECE_ROWS);
    assert(fit->batch_size > 0);
    fit->steps_per_epoch = (fit->train->n_rows - 1) / fit->batch_size + 1;
    fit->best_loss = (double)INFINITY;
    if (prepare_gather(fit, err) < 0 || prepare_vectors(fit, err) < 0)
        return -1;
    /* Validation passes use the same room; tiny batches would make them slow. */
    size_t room = fit->piece_rows;
    if (fit->validation && room < 256)
        room =
            smaller(256, fit->validation->n_rows > room ? fit->validation->n_rows : room);
    if (mlp_workspace_init(&fit->ws, fit->mlp, room, 1, err) < 0 ||
        prepare_dropout(fit, err) < 0)
        return -1;
    return prepare_solver(fit, err);
}

static void release(struct fit *fit)
{
    lbfgs_clear(&fit->lbfgs);
    optim_clear(&fit->optim);
    dropout_clear(&fit->dropout);
    mlp_workspace_clear(&fit->ws);
    free(fit->best);
    free(fit->piece);
    free(fit->gradient);
    free(fit->weights);
    free(fit->t);
    free(fit->x);
    free(fit->order);
}

/* --- one batch -------------------------------------------------------------------------- */

static int diverged(const struct fit *fit, const char *what, struct err *err)
{
    if (is_lbfgs(fit))
        return err_set(err, ERR_DIVERGED, "diverged",
                       "training diverged in epoch %zu, batch %zu: %s is not finite; "
                       "scale the inputs",
                       fit->epoch, fit->batch, what);
    return err_set(err, ERR_DIVERGED, "diverged",
                   "training diverged in epoch %zu, batch %zu: %s is not finite; lower "
                   "learning_rate (it was %g) or scale the inputs",
                   fit->epoch, fit->batch, what, fit->options->optim.learning_rate);
}

static int cancelled(struct err *err)
{
    return err_set(err, ERR_CANCELLED, "cancelled", "training was stopped on request");
}

static int ask_on_batch(const struct fit *fit, struct err *err)
{
    if (fit->hooks && fit->hooks->on_batch && !fit->hooks->on_batch(fit->hooks->ctx))
        return cancelled(err);
    return 0;
}

static void gather(float *restrict out, const float *restrict rows, const size_t *order,
                   size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * k, rows + order[i] * k, k * sizeof *out);
}

/* Σ of the weights of n rows from `first` on, in this order (NULL: as they lie): what their
 * mean loss is divided by. */
static double weight_of(const struct fit_rows *rows, const size_t *order, size_t first,
                        size_t n)
{
    double sum = 0.0;
    for (size_t i = first; rows->weights && i < first + n; i++)
        sum += (double)rows->weights[order ? order[i] : i];
    return rows->weights ? sum : (double)n;
}

/* Mean loss and gradient of n rows from `first` on, in this epoch's order. */
static double piece_gradient(struct fit *fit, size_t first, size_t n, float *gradient)
{
    const float *x = fit->train->x + first * fit->n_inputs;
    const float *t = fit->train->t + first * fit->n_targets;
    const float *weights = fit->train->weights ? fit->train->weights + first : NULL;
    if (fit->order) {
        gather(fit->x, fit->train->x, fit->order + first, n, fit->n_inputs);
        gather(fit->t, fit->train->t, fit->order + first, n, fit->n_targets);
        x = fit->x;
        t = fit->t;
    }
    if (fit->order && weights) {
        gather(fit->weights, fit->train->weights, fit->order + first, n, 1);
        weights = fit->weights;
    }
    return mlp_gradient_weighted(fit->mlp, &fit->ws, x, t, weights, n, gradient);
}

static void add_scaled(float *restrict sum, const float *restrict part, float scale,
                       size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        sum[i] += scale * part[i];
}

/* The same for a batch of more than piece_rows rows; its hook is asked between pieces. */
static int large_gradient(struct fit *fit, size_t first, size_t n, double *loss,
                          struct err *err)
{
    size_t n_parameters = fit->mlp->n_parameters;
    double total = weight_of(fit->train, fit->order, first, n);
    memset(fit->gradient, 0, n_parameters * sizeof *fit->gradient);
    *loss = 0.0;
    for (size_t at = 0; at < n; at += fit->piece_rows) {
        size_t rows = smaller(n - at, fit->piece_rows);
        double share = total > 0.0
                           ? weight_of(fit->train, fit->order, first + at, rows) / total
                           : 0.0;
        fit->dropout.first_row = at;
        *loss += share * piece_gradient(fit, first + at, rows, fit->piece);
        add_scaled(fit->gradient, fit->piece, (float)share, n_parameters);
        if (at + rows < n && ask_on_batch(fit, err) < 0)
            return -1;
    }
    return 0;
}

/* Loss and gradient of a batch, penalties included. */
static int batch_gradient(struct fit *fit, size_t first, size_t n, double *loss,
                          struct err *err)
{
    const struct fit_options *o = fit->options;
    if (fit->piece) {
        if (large_gradient(fit, first, n, loss, err) < 0)
            return -1;
    } else {
        *loss = piece_gradient(fit, first, n, fit->gradient);
    }
    double weight = weight_of(fit->train, fit->order, first, n);
    if (weight > 0.0)
        *loss += penalty_add(fit->mlp, o->alpha / weight, o->l1 / weight, fit->gradient);
    return 0;
}

static size_t steps_taken(const struct fit *fit)
{
    return (fit->epoch - 1) * fit->steps_per_epoch + fit->batch - 1;
}

static void take_step(struct fit *fit)
{
    const struct fit_options *o = fit->options;
    const struct schedule_place place = {
        .step = steps_taken(fit),
        .steps_per_epoch = fit->steps_per_epoch,
        .n_rows = fit->train->n_rows,
        .max_iter = o->max_iter,
        .n_drops = fit->n_drops,
    };
    float *w = fit->mlp->parameters;
    fit->optim.options.learning_rate =
        schedule_rate(&o->schedule, o->optim.learning_rate, &place);
    if (o->optim.solver != SOLVER_ADAMW) {
        optim_step(&fit->optim, w, fit->gradient);
    } else {
        optim_begin(&fit->optim);
        for (size_t l = 0; l < fit->mlp->n_layers; l++) {
            const struct mlp_layer *layer = &fit->mlp->layers[l];
            optim_part(&fit->optim, w, fit->gradient, layer->weights_at,
                       layer->fan_in * layer->fan_out, true);
            optim_part(&fit->optim, w, fit->gradient, layer->biases_at, layer->fan_out,
                       false);
        }
    }
    if (o->max_norm > 0.0)
        penalty_max_norm(fit->mlp, o->max_norm);
}

static int run_batch(struct fit *fit, size_t first, size_t n, double *loss,
                     struct err *err)
{
    double clip = fit->options->gradient_clip;
    fit->dropout.step = steps_taken(fit);
    if (batch_gradient(fit, first, n, loss, err) < 0)
        return -1;
    if (!isfinite(*loss))
        return diverged(fit, "the loss", err);
    if (clip > 0.0 &&
        !isfinite(penalty_clip(fit->gradient, fit->mlp->n_parameters, clip)))
        return diverged(fit, "the gradient", err);
    take_step(fit);
    return ask_on_batch(fit, err);
}

/* --- one iteration of lbfgs ------------------------------------------------------------- */

static void set_weights(struct fit *fit, const double *x)
{
    for (size_t i = 0; i < fit->mlp->n_parameters; i++)
        fit->mlp->parameters[i] = (float)x[i];
}

static int evaluate(void *ctx, const double *x, double *loss, double *gradient,
                    struct err *err)
{
    struct fit *fit = ctx;
    set_weights(fit, x);
    if (batch_gradient(fit, 0, fit->train->n_rows, loss, err) < 0)
        return -1;
    for (size_t i = 0; i < fit->mlp->n_parameters; i++)
        gradient[i] = (double)fit->gradient[i];
    return ask_on_batch(fit, err);
}

/* --- one epoch -------------------------------------------------------------------------- */

static bool all_finite(const float *values, size_t n)
{
    unsigned n_bad = 0;
#pragma omp simd reduction(| : n_bad)
    for (size_t i = 0; i < n; i++)
        n_bad |= fabsf(values[i]) <= 3.4028235e38F ? 0U : 1U; /* NaN too */
    return n_bad == 0;
}

static int run_iteration(struct fit *fit, double *train_loss, struct err *err)
{
    const struct lbfgs_problem problem = {fit, evaluate};
    fit->batch = 1;
    if (lbfgs_iterate(&fit->lbfgs, &problem, err) < 0)
        return -1;
    if (fit->lbfgs.state == LBFGS_NOT_FINITE)
        return diverged(fit, isfinite(fit->lbfgs.f) ? "the gradient" : "the loss", err);
    set_weights(fit, fit->lbfgs.x); /* the last ones tried may be others */
    if (!all_finite(fit->mlp->parameters, fit->mlp->n_parameters))
        return diverged(fit, "a weight", err);
    *train_loss = fit->lbfgs.f;
    return 0;
}

static void shuffle_rows(struct fit *fit)
{
    /* From the identity each time: an epoch's order does not hang on the ones before. */
    for (size_t i = 0; i < fit->train->n_rows; i++)
        fit->order[i] = i;
    rng_shuffle(fit->options->seed, RNG_SHUFFLE, fit->epoch, fit->order,
                fit->train->n_rows);
}

static int run_batches(struct fit *fit, double *train_loss, struct err *err)
{
    size_t n_rows = fit->train->n_rows;
    double sum = 0.0;
    if (fit->order)
        shuffle_rows(fit);
    fit->batch = 0;
    for (size_t first = 0; first < n_rows;
         first += smaller(fit->batch_size, n_rows - first)) {
        size_t n = smaller(fit->batch_size, n_rows - first);
        double loss = 0.0;
        fit->batch++;
        if (run_batch(fit, first, n, &loss, err) < 0)
            return -1;
        sum += loss * weight_of(fit->train, fit->order, first, n);
    }
    if (!all_finite(fit->mlp->parameters, fit->mlp->n_parameters))
        return diverged(fit, "a weight", err);
    *train_loss = sum / weight_of(fit->train, fit->order, 0, n_rows);
    return 0;
}

static double validation_loss(struct fit *fit)
{
    const struct fit_rows *rows = fit->validation;
    struct dropout *dropout = fit->ws.dropout;
    double sum = 0.0;
    fit->ws.dropout = NULL;
    for (size_t first = 0; first < rows->n_rows; first += fit->ws.max_rows) {
        size_t n = smaller(fit->ws.max_rows, rows->n_rows - first);
        const float *weights = rows->weights ? rows->weights + first : NULL;
        double share = weight_of(rows, NULL, first, n);
        sum += share *
               mlp_gradient_weighted(fit->mlp, &fit->ws, rows->x + first * fit->n_inputs,
                                     rows->t + first * fit->n_targets, weights, n, NULL);
    }
    fit->ws.dropout = dropout;
    return sum / weight_of(rows, NULL, 0, rows->n_rows);
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
    if (fit->best)
        memcpy(fit->best, fit->mlp->parameters,
               fit->mlp->n_parameters * sizeof *fit->best);
}

static int run_epoch(struct fit *fit, struct err *err)
{
    struct fit_progress progress = {.epoch = fit->epoch, .validation_loss = (double)NAN};
    if ((is_lbfgs(fit) ? run_iteration : run_batches)(fit, &progress.train_loss, err) < 0)
        return -1;
    if (fit->validation) {
        progress.validation_loss = validation_loss(fit);
        if (!isfinite(progress.validation_loss))
            return diverged(fit, "the validation loss", err);
    }
    note_epoch(fit, &progress);
    if (fit->hooks && fit->hooks->on_epoch &&
        !fit->hooks->on_epoch(fit->hooks->ctx, &progress))
        return cancelled(err);
    return 0;
}

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
    fit->result.stop = FIT_MAX_ITER;
    for (fit->epoch = 1; fit->epoch <= fit->options->max_iter; fit->epoch++) {
        if (run_epoch(fit, err) < 0)
            return -1;
        if (may_stop(fit))
            break;
    }
    if (fit->best)
        memcpy(fit->mlp->parameters, fit->best,
               fit->mlp->n_parameters * sizeof *fit->best);
    return 0;
}

int fit_run(struct mlp *mlp, const struct fit_options *options,
            const struct fit_rows *train, const struct fit_rows *validation,
            const struct fit_hooks *hooks, struct fit_result *result, struct err *err)
{
    struct fit fit = {.mlp = mlp, .options = options, .train = train, .hooks = hooks};
    if (validation && validation->n_rows > 0)
        fit.validation = validation;
    int rc = -1;
    if (check_input(&fit, err) < 0 || prepare(&fit, err) < 0 || run_epochs(&fit, err) < 0)
        goto out;
    *result = fit.result;
    rc = 0;
out:
    release(&fit);
    return rc;
}
