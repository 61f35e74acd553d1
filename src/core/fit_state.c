#include "core/fit_state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* A larger batch is summed from pieces of this many rows, so that the memory of full-batch
 * descent does not grow with the table, and a cancel is seen inside it. */
#define PIECE_ROWS 4096

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool has_batch_norm(const struct mlp *mlp)
{
    return mlp->n_statistics > 0;
}

/* --- batches ---------------------------------------------------------------------------- */

static size_t pick_batch_size(const struct fit *fit)
{
    size_t n_rows = fit->members[0].train->n_rows;
    for (size_t i = 1; i < fit->n_members; i++)
        if (fit->members[i].train->n_rows > n_rows)
            n_rows = fit->members[i].train->n_rows;
    if (fit->options->optim.solver == SOLVER_GD || fit->is_lbfgs)
        return n_rows;
    if (fit->options->batch_size == 0)
        return smaller(200, n_rows);
    return smaller(fit->options->batch_size, n_rows);
}

/* Fewer rows than this are no batch at the end of an epoch: one row has no variance. */
static size_t least_rows(const struct fit *fit)
{
    if (fit->options->skip_short_batch)
        return fit->batch_size / 2 + 1;
    return has_batch_norm(fit->members[0].mlp) ? 2 : 1;
}

size_t fit_state_batch(const struct fit *fit, const struct member *member, size_t first)
{
    size_t left = first < member->train->n_rows ? member->train->n_rows - first : 0;
    if (first > 0 && left < least_rows(fit))
        return 0;
    return smaller(left, fit->batch_size);
}

static size_t count_steps(const struct fit *fit, const struct member *member)
{
    size_t n = 0;
    while (fit_state_batch(fit, member, n * fit->batch_size) > 0)
        n++;
    return n;
}

/* --- memory ----------------------------------------------------------------------------- */

static int prepare_dropout(struct fit *fit, struct member *member, struct err *err)
{
    const double *rates = fit->options->dropout;
    size_t widths[MLP_LAYERS_MAX];
    size_t n_hidden = member->mlp->n_layers - 1;
    bool is_asked = false;
    for (size_t l = 0; l < n_hidden; l++) {
        widths[l] = member->mlp->layers[l].fan_out;
        is_asked = is_asked || rates[l] > 0.0;
    }
    if (!is_asked)
        return 0;
    if (dropout_init(&member->dropout, rates, widths, n_hidden, fit->piece_rows,
                     member->seed, err) < 0)
        return -1;
    pass_set_dropout(member->pass, &member->dropout);
    return 0;
}

static int prepare_vectors(struct fit *fit, struct member *member, struct err *err)
{
    size_t n = member->mlp->n_parameters;
    size_t n_bands = pass_n_bands(member->pass);
    const struct {
        float **place;
        size_t n;
        bool is_wanted;
    } vectors[] = {
        {&member->gradient, n, true},
        {&member->piece, n, fit->batch_size > fit->piece_rows},
        {&member->before, n, fit->options->diagnose && !fit->is_lbfgs},
        {&member->best, n + member->mlp->n_statistics, fit->options->early_stopping},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        if (!vectors[i].is_wanted)
            continue;
        *vectors[i].place = mem_new_aligned(vectors[i].n, sizeof(float), err);
        if (!*vectors[i].place)
            return -1;
    }
    member->penalties = mem_new(n_bands, sizeof *member->penalties, err);
    member->squares = mem_new(n_bands, sizeof *member->squares, err);
    return member->penalties && member->squares ? 0 : -1;
}

static int prepare_member(struct fit *fit, struct member *member, struct err *err)
{
    /* Validation passes use the same room; tiny batches would make them slow. */
    size_t room = fit->piece_rows;
    if (member->validation && room < 256)
        room = smaller(256, member->validation->n_rows > room ? member->validation->n_rows
                                                              : room);
    if (pass_new(member->mlp, room, true, &member->pass, err) < 0 ||
        prepare_dropout(fit, member, err) < 0 || prepare_vectors(fit, member, err) < 0)
        return -1;
    pass_set_parallel(member->pass, fit->hooks->parallel);
    /* A batch of all rows is the same in any order. */
    if (fit->options->shuffle && fit->batch_size < member->train->n_rows) {
        member->order = mem_new(member->train->n_rows, sizeof *member->order, err);
        if (!member->order)
            return -1;
    }
    if (fit->is_lbfgs)
        return 0;
    if (member->lent) {
        member->optim = *member->lent;
        return 0;
    }
    return optim_init(&member->optim, &fit->options->optim, member->mlp->n_parameters,
                      err);
}

static int prepare_lbfgs(struct fit *fit, struct err *err)
{
    const struct mlp *mlp = fit->members[0].mlp;
    if (mlp->n_parameters > FIT_LBFGS_PARAMETERS_MAX)
        return err_set_at(err, ERR_TOO_LARGE, "too_large", "/solver",
                          "lbfgs is for nets of up to %d weights, not %zu: use adam",
                          FIT_LBFGS_PARAMETERS_MAX, mlp->n_parameters);
    double slope = fmin(fit->options->tol, FIT_LBFGS_SLOPE);
    if (lbfgs_init(&fit->lbfgs, mlp->n_parameters, slope, err) < 0)
        return -1;
    for (size_t i = 0; i < mlp->n_parameters; i++)
        fit->lbfgs.x[i] = (double)mlp->parameters[i];
    return 0;
}

static int check_steps(const struct fit *fit, struct err *err)
{
    for (size_t i = 1; i < fit->n_members; i++) {
        size_t n = count_steps(fit, &fit->members[i]);
        if (n != fit->steps_per_epoch)
            return err_set(err, ERR_INVALID, "uneven_members",
                           "net %zu has %zu batches in an epoch, the first has %zu",
                           i + 1, n, fit->steps_per_epoch);
    }
    return 0;
}

int fit_state_init(struct fit *fit, struct err *err)
{
    const struct mlp *mlp = fit->members[0].mlp;
    fit->n_inputs = mlp_n_inputs(mlp);
    fit->n_targets = loss_n_targets(mlp->loss, mlp_n_outputs(mlp));
    fit->batch_size = pick_batch_size(fit);
    /* The statistics of batch_norm are of all rows of a batch. */
    fit->piece_rows =
        has_batch_norm(mlp) ? fit->batch_size : smaller(fit->batch_size, PIECE_ROWS);
    assert(fit->batch_size > 0);
    fit->steps_per_epoch = count_steps(fit, &fit->members[0]);
    fit->best_loss = (double)INFINITY;
    if (check_steps(fit, err) < 0)
        return -1;
    for (size_t i = 0; i < fit->n_members; i++)
        if (prepare_member(fit, &fit->members[i], err) < 0)
            return -1;
    if (fit->options->diagnose) {
        fit->doctor = mem_new(1, sizeof *fit->doctor, err);
        if (!fit->doctor ||
            doctor_init(fit->doctor, mlp, fit->options->early_stopping, err) < 0)
            return -1;
    }
    return fit->is_lbfgs ? prepare_lbfgs(fit, err) : 0;
}

static void clear_member(struct member *member)
{
    free(member->squares);
    free(member->penalties);
    free(member->best);
    free(member->before);
    free(member->piece);
    free(member->gradient);
    free(member->order);
    if (!member->lent)
        optim_clear(&member->optim);
    else if (member->optim.n > 0)
        *member->lent = member->optim;
    dropout_clear(&member->dropout);
    pass_free(member->pass);
}

void fit_state_clear(struct fit *fit)
{
    for (size_t i = 0; i < fit->n_members; i++)
        clear_member(&fit->members[i]);
    lbfgs_clear(&fit->lbfgs);
    if (fit->doctor)
        doctor_clear(fit->doctor);
    free(fit->doctor);
    free(fit->members);
}
