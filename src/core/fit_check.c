#include <math.h>

#include "core/fit_state.h"

static int check_number(bool is_fine, const char *pointer, double value,
                        const char *range, struct err *err)
{
    if (is_fine)
        return 0;
    return err_set_at(err, ERR_INVALID, "out_of_range", pointer, "%s must be %s, not %g",
                      pointer + 1, range, value);
}

static int check_fraction(const char *pointer, double value, struct err *err)
{
    return check_number(value >= 0.0 && value < 1.0, pointer, value,
                        "at least 0 and below 1", err);
}

static int check_from_zero(const char *pointer, double value, struct err *err)
{
    return check_number(value >= 0.0 && isfinite(value), pointer, value,
                        "a number from 0 on", err);
}

static int check_over_zero(const char *pointer, double value, struct err *err)
{
    return check_number(value > 0.0 && isfinite(value), pointer, value, "a number over 0",
                        err);
}

static int check_adam(const struct optim_options *o, struct err *err)
{
    if (check_fraction("/beta_1", o->beta_1, err) < 0 ||
        check_fraction("/beta_2", o->beta_2, err) < 0)
        return -1;
    return check_over_zero("/epsilon", o->epsilon, err);
}

/* Only what the solver uses is looked at. */
static int check_optim(const struct optim_options *o, struct err *err)
{
    if ((unsigned)o->solver >= SOLVER_COUNT)
        return err_set_at(err, ERR_INVALID, "unknown_solver", "/solver",
                          "there is no such solver");
    if (o->solver != SOLVER_LBFGS &&
        check_over_zero("/learning_rate", o->learning_rate, err) < 0)
        return -1;
    switch (o->solver) {
    case SOLVER_SGD:
        return check_fraction("/momentum", o->momentum, err);
    case SOLVER_ADAM:
        return check_adam(o, err);
    case SOLVER_ADAMW:
        return check_adam(o, err) < 0
                   ? -1
                   : check_from_zero("/weight_decay", o->weight_decay, err);
    case SOLVER_RMSPROP:
        return check_fraction("/rho", o->rho, err) < 0
                   ? -1
                   : check_over_zero("/epsilon", o->epsilon, err);
    case SOLVER_GD:
    case SOLVER_LBFGS:
    case SOLVER_COUNT:
        break;
    }
    return 0;
}

static int check_schedule(const struct fit_options *o, struct err *err)
{
    const struct schedule_options *s = &o->schedule;
    if ((unsigned)s->schedule >= SCHEDULE_COUNT)
        return err_set_at(err, ERR_INVALID, "unknown_schedule", "/schedule",
                          "there is no such schedule");
    if (s->schedule == SCHEDULE_INVSCALING &&
        check_from_zero("/power_t", s->power_t, err) < 0)
        return -1;
    return check_number(s->warmup >= 0.0 && s->warmup <= (double)o->max_iter, "/warmup",
                        s->warmup, "from 0 to max_iter, for it counts epochs", err);
}

static int check_dropout(const struct fit_options *o, size_t n_hidden, struct err *err)
{
    if (n_hidden == 0 && o->dropout[0] != 0.0)
        return err_set_at(err, ERR_INVALID, "no_hidden_layer", "/dropout",
                          "dropout needs a hidden layer; the net has none");
    for (size_t l = 0; l < n_hidden; l++)
        if (check_fraction("/dropout", o->dropout[l], err) < 0)
            return -1;
    return 0;
}

static bool has_dropout(const struct fit_options *o, size_t n_hidden)
{
    for (size_t l = 0; l < n_hidden; l++)
        if (o->dropout[l] > 0.0)
            return true;
    return false;
}

/* Of each group of parameters: where its rate factor is told. */
static const char *const rate_pointers[MLP_GROUP_COUNT] = {
    [MLP_WEIGHTS] = "/weight_rate_factor",       [MLP_BIASES] = "/bias_rate_factor",
    [MLP_GAINS] = "/gain_rate_factor",           [MLP_SCALES] = "/scale_rate_factor",
    [MLP_EMBEDDINGS] = "/embedding_rate_factor",
};

static int check_rates(const struct fit_options *o, struct err *err)
{
    for (size_t i = 0; i < MLP_GROUP_COUNT; i++)
        if (check_from_zero(rate_pointers[i], o->rate_factor[i], err) < 0)
            return -1;
    if ((unsigned)o->regularization_schedule >= SCHEDULE_SHARE_COUNT)
        return err_set_at(err, ERR_INVALID, "unknown_schedule",
                          "/regularization_schedule", "there is no such schedule");
    return 0;
}

static bool has_rate_factor(const struct fit_options *o, enum mlp_group group)
{
    return o->rate_factor[group] != 0.0 && o->rate_factor[group] != 1.0;
}

static int not_with_lbfgs(const char *pointer, const char *reason, struct err *err)
{
    return err_set_at(err, ERR_INVALID, "not_with_lbfgs", pointer,
                      "solver lbfgs does not go with %s: %s", pointer + 1, reason);
}

/* What lbfgs cannot do; quietly doing something else would be worse than saying so. */
static int check_lbfgs(const struct fit_options *o, size_t n_hidden, struct err *err)
{
    const struct {
        bool is_asked;
        const char *pointer;
        const char *reason;
    } rows[] = {
        {has_dropout(o, n_hidden), "/dropout",
         "its line search needs a loss that is the same each time"},
        {o->batch_size != 0, "/batch_size", "it takes all rows at once: leave it out"},
        {o->l1 > 0.0, "/l1", "it needs a smooth loss: use alpha, or another solver"},
        {o->gradient_clip > 0.0, "/gradient_clip", "its line search bounds the step"},
        {o->max_norm > 0.0, "/max_norm",
         "weights changed after a step are not where the search went: use alpha"},
        {o->schedule.schedule != SCHEDULE_CONSTANT, "/schedule",
         "it has no learning rate: its line search finds the step"},
        {o->schedule.warmup > 0.0, "/warmup",
         "it has no learning rate: its line search finds the step"},
        {o->regularization_schedule != SCHEDULE_SHARE_CONSTANT,
         "/regularization_schedule", "it knows neither dropout nor weight_decay"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is_asked)
            return not_with_lbfgs(rows[i].pointer, rows[i].reason, err);
    for (size_t i = 0; i < MLP_GROUP_COUNT; i++)
        if (has_rate_factor(o, (enum mlp_group)i))
            return not_with_lbfgs(
                rate_pointers[i],
                "it has no learning rate: its line search finds the step", err);
    return 0;
}

int fit_check_options(const struct fit_options *o, size_t n_hidden, struct err *err)
{
    if (check_optim(&o->optim, err) < 0 || check_from_zero("/alpha", o->alpha, err) < 0 ||
        check_from_zero("/l1", o->l1, err) < 0 ||
        check_from_zero("/gradient_clip", o->gradient_clip, err) < 0 ||
        check_from_zero("/max_norm", o->max_norm, err) < 0 ||
        check_from_zero("/tol", o->tol, err) < 0 ||
        check_number(o->max_iter >= 1, "/max_iter", 0.0, "at least 1", err) < 0 ||
        check_number(o->n_iter_no_change >= 1, "/n_iter_no_change", 0.0, "at least 1",
                     err) < 0 ||
        check_schedule(o, err) < 0 || check_rates(o, err) < 0 ||
        check_dropout(o, n_hidden, err) < 0)
        return -1;
    return o->optim.solver == SOLVER_LBFGS ? check_lbfgs(o, n_hidden, err) : 0;
}

/* --- rows ------------------------------------------------------------------------------- */

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

static int check_net(const struct mlp *mlp, const struct fit_options *o, struct err *err)
{
    enum act hidden = mlp->n_layers > 1 ? mlp->layers[0].activation : ACT_IDENTITY;
    if (fit_check_options(o, mlp->n_layers - 1, err) < 0 ||
        mlp_check_trainable(hidden, mlp->layers[mlp->n_layers - 1].activation, err) < 0)
        return -1;
    if (mlp->n_statistics > 0 && o->optim.solver == SOLVER_LBFGS)
        return err_set_at(
            err, ERR_INVALID, "not_with_lbfgs", "/normalization",
            "solver lbfgs does not go with batch_norm: its line search needs "
            "a loss that depends on the weights alone");
    if (mlp->n_statistics > 0 && o->batch_size == 1)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/batch_size",
                          "batch_norm needs batches of at least 2 rows");
    return 0;
}

static int check_member(const struct fit *fit, const struct member *member,
                        struct err *err)
{
    if (check_net(member->mlp, fit->options, err) < 0)
        return -1;
    if (member->train->n_rows == 0)
        return err_set(err, ERR_INVALID, "no_rows", "there are no rows to learn from");
    if (member->mlp->n_statistics > 0 && member->train->n_rows == 1)
        return err_set(err, ERR_INVALID, "no_rows", "batch_norm needs at least 2 rows");
    if (fit->options->early_stopping && !member->validation)
        return err_set_at(err, ERR_INVALID, "no_validation_rows", "/early_stopping",
                          "early_stopping needs validation rows");
    if (check_targets(member->mlp, member->train, err) < 0)
        return -1;
    return member->validation ? check_targets(member->mlp, member->validation, err) : 0;
}

static bool is_alike(const struct mlp *a, const struct mlp *b)
{
    bool is_same = a->n_layers == b->n_layers && a->n_parameters == b->n_parameters &&
                   a->n_statistics == b->n_statistics && a->loss == b->loss &&
                   a->has_scales == b->has_scales && a->periodic.n == b->periodic.n &&
                   a->periodic.width == b->periodic.width;
    for (size_t l = 0; is_same && l < a->n_layers; l++)
        is_same = a->layers[l].fan_in == b->layers[l].fan_in &&
                  a->layers[l].fan_out == b->layers[l].fan_out &&
                  a->layers[l].activation == b->layers[l].activation &&
                  a->layers[l].normalization == b->layers[l].normalization;
    return is_same;
}

int fit_check_rows(const struct fit *fit, struct err *err)
{
    const struct member *first = &fit->members[0];
    if (fit->n_members > 1 && fit->is_lbfgs)
        return err_set_at(err, ERR_INVALID, "not_with_lbfgs", "/solver",
                          "lbfgs trains one net at a time");
    for (size_t m = 0; m < fit->n_members; m++) {
        const struct member *member = &fit->members[m];
        if (!is_alike(first->mlp, member->mlp) ||
            !first->validation != !member->validation)
            return err_set(err, ERR_INVALID, "uneven_members",
                           "net %zu is not of the first one's shape, or only one of them "
                           "has validation rows",
                           m + 1);
        if (check_member(fit, member, err) < 0)
            return -1;
    }
    return 0;
}
