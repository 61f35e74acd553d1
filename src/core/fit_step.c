#include <math.h>
#include <string.h>

#include "core/fit_state.h"
#include "core/penalty.h"

/* --- errors ----------------------------------------------------------------------------- */

int fit_step_diverged(const struct fit *fit, const char *what, struct err *err)
{
    if (fit->is_lbfgs)
        return err_set(err, ERR_DIVERGED, "diverged",
                       "training diverged in epoch %zu, batch %zu: %s is not finite; "
                       "scale the inputs",
                       fit->epoch, fit->batch, what);
    return err_set(err, ERR_DIVERGED, "diverged",
                   "training diverged in epoch %zu, batch %zu: %s is not finite; lower "
                   "learning_rate (it was %g) or scale the inputs",
                   fit->epoch, fit->batch, what, fit->options->optim.learning_rate);
}

static int ask_on_batch(const struct fit *fit, struct err *err)
{
    if (fit->hooks->on_batch && !fit->hooks->on_batch(fit->hooks->ctx))
        return err_set(err, ERR_CANCELLED, "cancelled",
                       "training was stopped on request");
    return 0;
}

/* --- tasks of all members --------------------------------------------------------------- */

/* Threads, unless what each net has to do is too small for them and there is but one. */
static const struct parallel *parallel_of(const struct fit *fit)
{
    bool is_small = fit->n_members == 1 && pass_is_small(fit->members[0].pass);
    return is_small ? NULL : fit->hooks->parallel;
}

/* Members have equal shapes, so equally many bands; blocks may differ with their rows. */
static size_t tasks_of(const struct fit *fit, size_t member)
{
    return pass_n_tasks(fit->members[member].pass, fit->phase);
}

static void run_phase(void *arg, size_t i)
{
    const struct fit *fit = arg;
    size_t m = 0;
    for (; i >= tasks_of(fit, m); m++)
        i -= tasks_of(fit, m);
    pass_task(fit->members[m].pass, fit->phase, i);
}

static void run_phases(struct fit *fit)
{
    size_t n_phases = pass_n_phases(fit->members[0].pass);
    for (fit->phase = 0; fit->phase < n_phases; fit->phase++) {
        size_t n = 0;
        for (size_t m = 0; m < fit->n_members; m++)
            n += tasks_of(fit, m);
        parallel_run(parallel_of(fit), run_phase, fit, n);
    }
}

static size_t n_bands(const struct fit *fit)
{
    return pass_n_bands(fit->members[0].pass);
}

static void run_pack(void *arg, size_t i)
{
    const struct fit *fit = arg;
    pass_pack_band(fit->members[i / n_bands(fit)].pass, i % n_bands(fit));
}

void fit_step_pack(struct fit *fit)
{
    parallel_run(parallel_of(fit), run_pack, fit, fit->n_members * n_bands(fit));
}

/* --- what is done to the parameters of a band ------------------------------------------- */

static void penalise(const struct fit *fit, struct member *member, size_t band)
{
    const struct pass_band *of = pass_band(member->pass, band);
    const struct fit_options *o = fit->options;
    double share = member->weight > 0.0 ? 1.0 / member->weight : 0.0;
    member->penalties[band] = 0.0;
    if (of->group == MLP_WEIGHTS)
        member->penalties[band] =
            penalty_add_part(member->mlp->parameters + of->at, member->gradient + of->at,
                             of->n, o->alpha * share, o->l1 * share);
    if (o->gradient_clip > 0.0)
        member->squares[band] = penalty_squares(member->gradient + of->at, of->n);
}

static double rate_factor(const struct fit *fit, enum mlp_group group)
{
    double factor = fit->options->rate_factor[group];
    return factor == 0.0 ? 1.0 : factor;
}

static void step(const struct fit *fit, struct member *member, size_t band)
{
    const struct pass_band *of = pass_band(member->pass, band);
    bool decays = of->group == MLP_WEIGHTS || of->group == MLP_SCALES;
    const struct optim_part part = {
        .at = of->at,
        .n = of->n,
        .rate_factor = rate_factor(fit, of->group),
        .decay_factor = decays ? fit->decay_factor : 0.0,
    };
    const float clip = (float)member->clip;
    float *g = member->gradient + of->at;
    for (size_t i = 0; member->clip < 1.0 && i < of->n; i++)
        g[i] *= clip;
    optim_part(&member->optim, member->mlp->parameters, member->gradient, &part);
    pass_pack_band(member->pass, band);
}

static void add_scaled(float *restrict sum, const float *restrict part, float scale,
                       size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        sum[i] += scale * part[i];
}

static void compute(struct member *member, size_t band)
{
    const struct pass_band *of = pass_band(member->pass, band);
    float *gradient = member->gradient;
    if (!member->piece) {
        pass_band_gradient(member->pass, band, gradient);
        return;
    }
    double share =
        member->weight > 0.0 ? pass_total_weight(member->pass) / member->weight : 0.0;
    pass_band_gradient(member->pass, band, member->piece);
    add_scaled(gradient + of->at, member->piece + of->at, (float)share, of->n);
}

/* All that is asked for, one after the other while the band is in the cache. */
static void run_band(void *arg, size_t i)
{
    const struct fit *fit = arg;
    struct member *member = &fit->members[i / n_bands(fit)];
    size_t band = i % n_bands(fit);
    if (fit->stage.computes)
        compute(member, band);
    if (fit->stage.penalises)
        penalise(fit, member, band);
    if (fit->stage.steps)
        step(fit, member, band);
}

static void run_bands(struct fit *fit, struct fit_stage stage)
{
    fit->stage = stage;
    parallel_run(parallel_of(fit), run_band, fit, fit->n_members * n_bands(fit));
}

/* --- the gradient of a batch ------------------------------------------------------------ */

static double weight_of(const struct member *member, size_t first, size_t n)
{
    const float *weights = member->train->weights;
    double sum = 0.0;
    for (size_t i = first; weights && i < first + n; i++)
        sum += (double)weights[member->order ? member->order[i] : i];
    return weights ? sum : (double)n;
}

/* Points the member's pass at n rows from `first` on, in this epoch's order. */
static void begin_piece(const struct fit *fit, struct member *member, size_t first,
                        size_t n)
{
    const struct fit_rows *train = member->train;
    struct pass_rows rows = {train->x, train->t, train->weights, NULL, n};
    if (member->order) {
        rows.order = member->order + first;
    } else {
        rows.x += first * fit->n_inputs;
        rows.t += first * fit->n_targets;
        rows.weights = rows.weights ? rows.weights + first : NULL;
    }
    pass_begin(member->pass, &rows);
}

/* Rows of all members through all phases: their losses. What is to be done to the bands is
 * the caller's business. */
static void run_piece(struct fit *fit, size_t first, size_t at)
{
    for (size_t m = 0; m < fit->n_members; m++) {
        struct member *member = &fit->members[m];
        size_t n = fit_state_batch(fit, member, first);
        size_t left = at < n ? n - at : 0;
        member->dropout.first_row = at;
        begin_piece(fit, member, first + at,
                    left < fit->piece_rows ? left : fit->piece_rows);
    }
    run_phases(fit);
    for (size_t m = 0; m < fit->n_members; m++) {
        struct member *member = &fit->members[m];
        double share =
            member->weight > 0.0 ? pass_total_weight(member->pass) / member->weight : 0.0;
        member->loss += share * pass_mean_loss(member->pass);
    }
}

/* A batch of more than piece_rows rows; the hook is asked between its pieces. */
static int sum_pieces(struct fit *fit, size_t first, struct err *err)
{
    size_t n = 0; /* of the member that has most */
    for (size_t m = 0; m < fit->n_members; m++) {
        size_t rows = fit_state_batch(fit, &fit->members[m], first);
        n = rows > n ? rows : n;
        memset(fit->members[m].gradient, 0,
               fit->members[m].mlp->n_parameters * sizeof(float));
    }
    for (size_t at = 0; at < n; at += fit->piece_rows) {
        run_piece(fit, first, at);
        run_bands(fit, (struct fit_stage){.computes = true});
        if (n - at > fit->piece_rows && ask_on_batch(fit, err) < 0)
            return -1;
    }
    return 0;
}

/* --- the step --------------------------------------------------------------------------- */

static struct schedule_place place_of(const struct fit *fit, const struct member *member)
{
    return (struct schedule_place){
        .step = (fit->epoch - 1) * fit->steps_per_epoch + fit->batch - 1,
        .steps_per_epoch = fit->steps_per_epoch,
        .n_rows = member->train->n_rows,
        .max_iter = fit->options->max_iter,
        .n_drops = fit->n_drops,
    };
}

static void begin_batch(struct fit *fit, size_t first)
{
    const struct fit_options *o = fit->options;
    for (size_t m = 0; m < fit->n_members; m++) {
        struct member *member = &fit->members[m];
        const struct schedule_place place = place_of(fit, member);
        double share = schedule_share(o->regularization_schedule, &place);
        fit->decay_factor = share; /* the same for all: it hangs on the step alone */
        member->loss = 0.0;
        member->clip = 1.0;
        member->weight = weight_of(member, first, fit_state_batch(fit, member, first));
        member->dropout.step = place.step;
        if (member->dropout.n_layers > 0)
            dropout_fade(&member->dropout, o->dropout, share);
        member->optim.options.learning_rate =
            schedule_rate(&o->schedule, o->optim.learning_rate, &place);
    }
}

static int check_losses(struct fit *fit, struct err *err)
{
    for (size_t m = 0; m < fit->n_members; m++)
        if (!isfinite(fit->members[m].loss))
            return fit_step_diverged(fit, "the loss", err);
    return 0;
}

static double sum_bands(const struct fit *fit, const double *values)
{
    double sum = 0.0;
    for (size_t band = 0; band < n_bands(fit); band++)
        sum += values[band];
    return sum;
}

static int clip_gradients(struct fit *fit, struct err *err)
{
    for (size_t m = 0; m < fit->n_members; m++) {
        struct member *member = &fit->members[m];
        double norm = sqrt(sum_bands(fit, member->squares));
        if (!isfinite(norm))
            return fit_step_diverged(fit, "the gradient", err);
        member->clip = penalty_clip_factor(norm, fit->options->gradient_clip);
    }
    return 0;
}

bool fit_step_is_due(const struct fit *fit)
{
    return doctor_is_due(fit->doctor, fit->epoch * fit->steps_per_epoch - 1);
}

static void begin_steps(struct fit *fit)
{
    bool is_due =
        fit->doctor && fit->batch == fit->steps_per_epoch && fit_step_is_due(fit);
    for (size_t m = 0; m < fit->n_members; m++) {
        struct member *member = &fit->members[m];
        optim_begin(&member->optim);
        if (member->before && is_due)
            memcpy(member->before, member->mlp->parameters,
                   member->mlp->n_parameters * sizeof *member->before);
    }
}

static void end_steps(struct fit *fit)
{
    double max_norm = fit->options->max_norm;
    for (size_t m = 0; m < fit->n_members; m++) {
        struct member *member = &fit->members[m];
        if (member->mlp->n_statistics > 0)
            pass_track_statistics(member->pass, member->mlp);
        if (max_norm > 0.0)
            penalty_max_norm(member->mlp, max_norm);
    }
    if (max_norm > 0.0)
        fit_step_pack(fit);
}

int fit_step_run(struct fit *fit, size_t first, bool steps, struct err *err)
{
    bool has_pieces = fit->members[0].piece != NULL;
    bool is_clipped = steps && fit->options->gradient_clip > 0.0;
    begin_batch(fit, first);
    if (!has_pieces)
        run_piece(fit, first, 0);
    else if (sum_pieces(fit, first, err) < 0)
        return -1;
    if (check_losses(fit, err) < 0)
        return -1;
    if (steps)
        begin_steps(fit);
    run_bands(fit, (struct fit_stage){.computes = !has_pieces,
                                      .penalises = true,
                                      .steps = steps && !is_clipped});
    if (is_clipped) {
        if (clip_gradients(fit, err) < 0)
            return -1;
        run_bands(fit, (struct fit_stage){.steps = true});
    }
    for (size_t m = 0; m < fit->n_members; m++)
        fit->members[m].loss += sum_bands(fit, fit->members[m].penalties);
    if (steps)
        end_steps(fit);
    return ask_on_batch(fit, err);
}

double fit_step_loss(const struct fit *fit)
{
    double sum = 0.0;
    for (size_t m = 0; m < fit->n_members; m++)
        sum += fit->members[m].loss;
    return sum / (double)fit->n_members;
}
