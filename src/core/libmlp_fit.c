#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/estimator.h"
#include "core/examples.h"
#include "core/fit.h"
#include "core/gradcheck.h"

/* --- nets ------------------------------------------------------------------------------- */

static void init_net(const struct settings *settings, const struct mlp_spec *spec,
                     struct mlp *net)
{
    uint64_t seed = settings->fit.seed;
    enum mlp_init init = (enum mlp_init)settings->init;
    double init_std = settings->init_std;
    if (settings->init == SETTINGS_AUTO) {
        init = mlp_init_for(spec->n_hidden ? spec->activation : spec->output_activation);
        /* Under ntk the layers see to their widths themselves. */
        init = spec->ntk_parametrization ? MLP_NORMAL : init;
        init_std = 1.0;
    }
    mlp_init_weights(net, init, init_std, seed);
    mlp_init_biases(net, settings->bias_init_std, seed);
    mlp_init_embeddings(net, settings->frequency_scale, seed);
    if (settings->zero_init_output)
        mlp_zero_output(net);
}

static int make_net(const struct settings *settings, size_t n_inputs, size_t n,
                    struct mlp *net, struct err *err)
{
    struct mlp_spec spec;
    if (settings_to_spec(settings, n_inputs, n, &spec, err) < 0 ||
        mlp_new(&spec, net, err) < 0)
        return -1;
    init_net(settings, &spec, net);
    return 0;
}

/* A net to train on these rows, the caller's: a copy of the one there is, or a new one; and
 * the rows made ready for it. */
struct lesson {
    struct mlp net;
    size_t n; /* classes, labels or columns of y */
    struct examples examples;
    struct optim optim; /* of partial_fit: a copy too, or a new one; n is 0: none */
};

static void lesson_clear(struct lesson *lesson)
{
    optim_clear(&lesson->optim);
    examples_clear(&lesson->examples);
    mlp_clear(&lesson->net);
}

static int lesson_init(struct lesson *lesson, const struct libmlp *mlp,
                       const struct libmlp_rows *rows, bool goes_on, bool splits,
                       struct err *err)
{
    const struct settings *settings = &mlp->settings;
    struct lesson made = {.n = goes_on ? mlp->n : settings->n_classes};
    int rc = -1;
    if ((goes_on && estimator_check_width(mlp, rows->n_inputs, err) < 0) ||
        examples_check(settings->task, rows, &made.n, err) < 0)
        return -1;
    rc = goes_on ? mlp_copy(&mlp->net, &made.net, err)
                 : make_net(settings, rows->n_inputs, made.n, &made.net, err);
    if (rc == 0)
        rc = examples_prepare(&made.examples, rows, made.n, &made.net, settings, splits,
                              err);
    if (rc < 0)
        lesson_clear(&made);
    else
        *lesson = made;
    return rc;
}

static int lesson_take_optim(struct lesson *lesson, const struct libmlp *mlp,
                             struct err *err)
{
    const struct optim *from = &mlp->optim;
    struct optim *to = &lesson->optim;
    if (optim_init(to, &mlp->settings.fit.optim, lesson->net.n_parameters, err) < 0)
        return -1;
    if (from->n == 0)
        return 0;
    to->step = from->step;
    if (to->first)
        memcpy(to->first, from->first, to->n * sizeof *to->first);
    if (to->second)
        memcpy(to->second, from->second, to->n * sizeof *to->second);
    return 0;
}

/* --- training --------------------------------------------------------------------------- */

struct run {
    struct libmlp *mlp;
    size_t n_before; /* epochs of earlier calls */
    struct err err;  /* why the hook stopped the fit */
};

static bool note_epoch(void *ctx, const struct fit_progress *progress)
{
    struct run *run = ctx;
    struct history *history = &run->mlp->history;
    const struct settings *settings = &run->mlp->settings;
    const struct libmlp_epoch epoch = {run->n_before + progress->epoch,
                                       progress->train_loss, progress->validation_loss,
                                       progress->is_best};
    if (mem_grow(&history->epochs, &history->capacity, history->n + 1, sizeof epoch,
                 &run->err) < 0)
        return false;
    history->epochs[history->n++] = epoch;
    if (!settings->on_epoch || settings->on_epoch(settings->ctx, &epoch))
        return true;
    err_set_at(&run->err, ERR_CANCELLED, "stopped", "/on_epoch",
               "on_epoch stopped the fit after epoch %zu", epoch.epoch);
    return false;
}

static int run_fit(struct run *run, struct lesson *lesson,
                   const struct fit_options *options, struct err *err)
{
    const struct settings *settings = &run->mlp->settings;
    const struct examples *examples = &lesson->examples;
    struct fit_result result;
    const struct fit_member member = {
        .mlp = &lesson->net,
        .train = examples->train,
        .validation = examples->validation,
        .seed = options->seed,
        .optim = lesson->optim.n ? &lesson->optim : NULL,
    };
    const struct fit_hooks hooks = {
        .ctx = run,
        .on_epoch = note_epoch,
        .parallel = settings->parallel.run ? &settings->parallel : NULL,
    };
    int rc = fit_run_members(&member, 1, options, &hooks, &result, err);
    if (rc < 0 && run->err.code != ERR_NONE)
        *err = run->err; /* the hook's reason, not that there was one */
    return rc;
}

/* What was learnt becomes mlp's; the lesson gets what mlp had. */
static void swap(struct libmlp *mlp, struct lesson *lesson)
{
    struct mlp net = mlp->net;
    struct optim optim = mlp->optim;
    mlp->net = lesson->net;
    mlp->optim = lesson->optim;
    mlp->n = lesson->n;
    lesson->net = net;
    lesson->optim = optim;
}

/* The net and its history change together, or, after an error, not at all. */
static int train(struct libmlp *mlp, const struct libmlp_rows *rows,
                 const struct fit_options *options, bool goes_on, bool is_partial,
                 struct err *err)
{
    struct history before = mlp->history;
    struct run run = {.mlp = mlp, .n_before = goes_on ? before.n : 0};
    struct lesson lesson = {0};
    if (lesson_init(&lesson, mlp, rows, goes_on, options->early_stopping, err) < 0)
        return -1;
    if (!goes_on)
        mlp->history = (struct history){0};
    int rc = is_partial ? lesson_take_optim(&lesson, mlp, err) : 0;
    if (rc == 0)
        rc = run_fit(&run, &lesson, options, err);
    if (rc == 0)
        swap(mlp, &lesson);
    if (goes_on) {
        mlp->history.n = rc < 0 ? before.n : mlp->history.n;
    } else if (rc < 0) {
        free(mlp->history.epochs);
        mlp->history = before;
    } else {
        free(before.epochs);
    }
    lesson_clear(&lesson);
    return rc;
}

int libmlp_fit(struct libmlp *mlp, const struct libmlp_rows *rows,
               struct libmlp_error *error)
{
    struct err err = {0};
    int rc = -1;
    if (estimator_check_given(mlp, "/mlp", &err) == 0 &&
        estimator_check_given(rows, "/rows", &err) == 0)
        rc = train(mlp, rows, &mlp->settings.fit,
                   mlp->settings.warm_start && estimator_is_fitted(mlp), false, &err);
    return estimator_finish(rc, &err, error);
}

/* What needs to know when training ends, or all of the rows. */
static int check_partial(const struct settings *settings, struct err *err)
{
    const struct fit_options *o = &settings->fit;
    const struct {
        bool is_asked;
        const char *pointer;
        const char *reason;
    } refused[] = {
        {o->optim.solver == SOLVER_LBFGS, "/solver", "lbfgs needs all rows at once"},
        {o->early_stopping, "/early_stopping", "there is no run to stop"},
        {o->schedule.schedule != SCHEDULE_CONSTANT, "/schedule",
         "there is no run to follow it: use constant"},
        {o->schedule.warmup > 0.0, "/warmup", "there is no run to warm up for"},
        {o->regularization_schedule != SCHEDULE_SHARE_CONSTANT,
         "/regularization_schedule", "there is no run to follow it: use constant"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].is_asked)
            return err_set_at(err, ERR_INVALID, "not_with_partial_fit",
                              refused[i].pointer, "partial_fit does not go with %s: %s",
                              refused[i].pointer + 1, refused[i].reason);
    return 0;
}

int libmlp_partial_fit(struct libmlp *mlp, const struct libmlp_rows *rows,
                       struct libmlp_error *error)
{
    struct err err = {0};
    int rc = -1;
    if (estimator_check_given(mlp, "/mlp", &err) == 0 &&
        estimator_check_given(rows, "/rows", &err) == 0 &&
        check_partial(&mlp->settings, &err) == 0) {
        struct fit_options options = mlp->settings.fit;
        options.max_iter = 1;
        options.seed +=
            0x9E3779B97F4A7C15U * mlp->n_passes; /* odd: no seed comes twice */
        rc = train(mlp, rows, &options, estimator_is_fitted(mlp), true, &err);
        mlp->n_passes += rc == 0;
    }
    return estimator_finish(rc, &err, error);
}

/* --- gradient check --------------------------------------------------------------------- */

/* A NaN stays. */
static double largest_of(const struct gradcheck *check)
{
    double largest = 0.0;
    for (size_t i = 0; i < check->n_layers * MLP_GROUP_COUNT; i++) {
        const struct gradcheck_group *group =
            &check->groups[i / MLP_GROUP_COUNT][i % MLP_GROUP_COUNT];
        const double errors[2] = {group->shadow_error, group->product_error};
        for (size_t j = 0; j < 2; j++)
            largest = errors[j] <= largest || isnan(largest) ? largest : errors[j];
    }
    return largest;
}

int libmlp_check_gradient(const struct libmlp *mlp, const struct libmlp_rows *rows,
                          double *largest_error, struct libmlp_error *error)
{
    struct err err = {0};
    struct lesson lesson = {0};
    struct gradcheck check;
    int rc = -1;
    if (estimator_check_given(mlp, "/mlp", &err) < 0 ||
        estimator_check_given(rows, "/rows", &err) < 0 ||
        estimator_check_given(largest_error, "/largest_error", &err) < 0 ||
        lesson_init(&lesson, mlp, rows, estimator_is_fitted(mlp), false, &err) < 0)
        return estimator_finish(-1, &err, error);
    const struct fit_rows *train = &lesson.examples.train;
    const struct shadow_objective objective = {.mlp = &lesson.net,
                                               .x = train->x,
                                               .t = train->t,
                                               .weights = train->weights,
                                               .n = train->n_rows};
    rc = gradcheck_run(&objective, &check, &err);
    if (rc == 0)
        *largest_error = largest_of(&check);
    lesson_clear(&lesson);
    return estimator_finish(rc, &err, error);
}
