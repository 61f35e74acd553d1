#include "core/settings.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- names ------------------------------------------------------------------------------ */

static const char *choose_act(int i)
{
    return act_name((enum act)i);
}

static const char *choose_normalization(int i)
{
    return mlp_normalization_name((enum mlp_normalization)i);
}

static const char *choose_parametrization(int i)
{
    return i == 0 ? "standard" : "ntk";
}

static const char *choose_init(int i)
{
    return mlp_init_name((enum mlp_init)i);
}

static const char *choose_loss(int i)
{
    return loss_name((enum loss)i);
}

static const char *choose_class_weight(int i)
{
    return i == 0 ? "none" : "balanced";
}

static const char *choose_solver(int i)
{
    return optim_name((enum solver)i);
}

static const char *choose_schedule(int i)
{
    return schedule_name((enum schedule)i);
}

static const char *choose_share(int i)
{
    return schedule_share_name((enum schedule_share)i);
}

/* An option that is one of several names. */
struct choice {
    const char *field;
    size_t offset; /* of the const char * in struct libmlp_options */
    const char *(*name)(int i);
    int n;
    bool may_be_auto;
};

enum {
    CHOICE_ACTIVATION,
    CHOICE_OUTPUT_ACTIVATION,
    CHOICE_NORMALIZATION,
    CHOICE_PARAMETRIZATION,
    CHOICE_INIT,
    CHOICE_LOSS,
    CHOICE_CLASS_WEIGHT,
    CHOICE_SOLVER,
    CHOICE_SCHEDULE,
    CHOICE_SHARE,
    CHOICE_COUNT
};

#define AT(member) offsetof(struct libmlp_options, member)

static const struct choice choices[CHOICE_COUNT] = {
    /* softmax, the last activation, is for the output layer only */
    [CHOICE_ACTIVATION] = {"/activation", AT(activation), choose_act, ACT_SOFTMAX, false},
    [CHOICE_OUTPUT_ACTIVATION] = {"/output_activation", AT(output_activation), choose_act,
                                  ACT_COUNT, true},
    [CHOICE_NORMALIZATION] = {"/normalization", AT(normalization), choose_normalization,
                              MLP_NORMALIZATION_COUNT, false},
    [CHOICE_PARAMETRIZATION] = {"/parametrization", AT(parametrization),
                                choose_parametrization, 2, false},
    [CHOICE_INIT] = {"/init", AT(init), choose_init, MLP_INIT_COUNT, true},
    [CHOICE_LOSS] = {"/loss", AT(loss), choose_loss, LOSS_COUNT, true},
    [CHOICE_CLASS_WEIGHT] = {"/class_weight", AT(class_weight), choose_class_weight, 2,
                             false},
    [CHOICE_SOLVER] = {"/solver", AT(solver), choose_solver, SOLVER_COUNT, false},
    [CHOICE_SCHEDULE] = {"/schedule", AT(schedule), choose_schedule, SCHEDULE_COUNT,
                         false},
    [CHOICE_SHARE] = {"/regularization_schedule", AT(regularization_schedule),
                      choose_share, SCHEDULE_SHARE_COUNT, false},
};

static int not_allowed(const struct choice *choice, const char *given, struct err *err)
{
    char allowed[200] = "";
    size_t len = 0;
    for (int i = 0; i < choice->n && len < sizeof allowed; i++)
        len += (size_t)snprintf(allowed + len, sizeof allowed - len, "%s%s",
                                i ? ", " : "", choice->name(i));
    return err_set_at(err, ERR_INVALID, "not_allowed", choice->field,
                      "%s may be %s%s, not '%.30s'", choice->field + 1,
                      choice->may_be_auto ? "auto, " : "", allowed, given);
}

static int read_choice(const struct libmlp_options *options, const struct choice *choice,
                       int *value, struct err *err)
{
    const char *given;
    memcpy(&given, (const char *)options + choice->offset, sizeof given);
    if (!given)
        return not_allowed(choice, "NULL", err);
    if (choice->may_be_auto && strcmp(given, "auto") == 0) {
        *value = SETTINGS_AUTO;
        return 0;
    }
    for (int i = 0; i < choice->n; i++) {
        if (strcmp(choice->name(i), given) == 0) {
            *value = i;
            return 0;
        }
    }
    return not_allowed(choice, given, err);
}

/* --- numbers ---------------------------------------------------------------------------- */

static int out_of_range(const char *field, const char *range, double value,
                        struct err *err)
{
    return err_set_at(err, ERR_INVALID, "out_of_range", field, "%s must be %s, not %g",
                      field + 1, range, value);
}

/* A count from `least` on; LIBMLP_AUTO, where allowed, becomes 0. */
static int read_count(const char *field, int64_t given, int64_t least, bool may_be_auto,
                      size_t *value, struct err *err)
{
    bool is_auto = may_be_auto && given == LIBMLP_AUTO;
    if (!is_auto && (given < least || (uint64_t)given > SIZE_MAX / 2))
        return err_set_at(err, ERR_INVALID, "out_of_range", field,
                          "%s must be at least %lld%s, not %lld", field + 1,
                          (long long)least, may_be_auto ? " or LIBMLP_AUTO" : "",
                          (long long)given);
    *value = is_auto ? 0 : (size_t)given;
    return 0;
}

static int read_counts(const struct libmlp_options *o, struct settings *s,
                       struct err *err)
{
    if (read_count("/batch_size", o->batch_size, 1, true, &s->fit.batch_size, err) < 0 ||
        read_count("/max_iter", o->max_iter, 1, false, &s->fit.max_iter, err) < 0 ||
        read_count("/n_iter_no_change", o->n_iter_no_change, 1, false,
                   &s->fit.n_iter_no_change, err) < 0 ||
        read_count("/n_classes", o->n_classes, 2, true, &s->n_classes, err) < 0 ||
        read_count("/periodic_frequencies", o->periodic_frequencies, 1, false,
                   &s->periodic_frequencies, err) < 0 ||
        read_count("/periodic_width", o->periodic_width, 1, false, &s->periodic_width,
                   err) < 0)
        return -1;
    if (s->n_classes > MLP_WIDTH_MAX)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/n_classes",
                          "n_classes must be at most %d, not %zu", MLP_WIDTH_MAX,
                          s->n_classes);
    return 0;
}

static bool is_positive(double value)
{
    return value > 0.0 && isfinite(value);
}

/* What fit and loss do not look at themselves. */
static int check_numbers(const struct libmlp_options *o, const struct settings *s,
                         struct err *err)
{
    static const char positive[] = "a number over 0";
    const struct {
        const char *field;
        double value;
    } rates[] = {{"/bias_rate_factor", o->bias_rate_factor},
                 {"/gain_rate_factor", o->gain_rate_factor},
                 {"/scale_rate_factor", o->scale_rate_factor},
                 {"/embedding_rate_factor", o->embedding_rate_factor}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (!is_positive(rates[i].value))
            return out_of_range(rates[i].field, positive, rates[i].value, err);
    if (s->init == MLP_NORMAL && !is_positive(o->init_std))
        return out_of_range("/init_std", positive, o->init_std, err);
    if (!(o->bias_init_std >= 0.0 && isfinite(o->bias_init_std)))
        return out_of_range("/bias_init_std", "a number from 0 on", o->bias_init_std,
                            err);
    if (o->n_periodic > 0 && !is_positive(o->frequency_scale))
        return out_of_range("/frequency_scale", positive, o->frequency_scale, err);
    if (o->early_stopping &&
        !(o->validation_fraction > 0.0 && o->validation_fraction < 1.0))
        return out_of_range("/validation_fraction", "above 0 and below 1",
                            o->validation_fraction, err);
    return 0;
}

/* --- the whole -------------------------------------------------------------------------- */

static int read_layers(const struct libmlp_options *o, struct settings *s,
                       struct err *err)
{
    if (o->n_hidden > MLP_LAYERS_MAX - 1)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/n_hidden",
                          "n_hidden must be at most %d, not %zu", MLP_LAYERS_MAX - 1,
                          o->n_hidden);
    if (o->n_hidden > 0 && !o->hidden_layer_sizes)
        return err_set_at(err, ERR_INVALID, "missing", "/hidden_layer_sizes",
                          "hidden_layer_sizes is NULL, but n_hidden %zu", o->n_hidden);
    s->n_hidden = o->n_hidden;
    for (size_t l = 0; l < o->n_hidden; l++)
        s->hidden_layer_sizes[l] = o->hidden_layer_sizes[l];
    /* All of them: for a perceptron, so that the core can refuse it, and for a net that is
     * loaded and has more layers. */
    for (size_t l = 0; l < MLP_LAYERS_MAX - 1; l++)
        s->fit.dropout[l] =
            l < o->n_hidden && o->layer_dropout ? o->layer_dropout[l] : o->dropout;
    return 0;
}

/* That they are below the number of inputs shows when there are rows. */
static int read_periodic(const struct libmlp_options *o, struct settings *s,
                         struct err *err)
{
    if (o->n_periodic == 0)
        return 0;
    if (o->n_periodic > MLP_WIDTH_MAX || !o->periodic_inputs)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/periodic_inputs",
                          "periodic_inputs is NULL, or n_periodic over %d",
                          MLP_WIDTH_MAX);
    s->periodic_inputs = mem_new(o->n_periodic, sizeof *s->periodic_inputs, err);
    if (!s->periodic_inputs)
        return -1;
    memcpy(s->periodic_inputs, o->periodic_inputs,
           o->n_periodic * sizeof *s->periodic_inputs);
    s->n_periodic = o->n_periodic;
    return 0;
}

static void read_net(const struct libmlp_options *o, const int *chosen,
                     struct settings *s)
{
    s->activation = chosen[CHOICE_ACTIVATION];
    s->output_activation = chosen[CHOICE_OUTPUT_ACTIVATION];
    s->normalization = chosen[CHOICE_NORMALIZATION];
    s->init = chosen[CHOICE_INIT];
    s->loss = chosen[CHOICE_LOSS];
    s->is_balanced = chosen[CHOICE_CLASS_WEIGHT] == 1;
    s->init_std = o->init_std;
    s->bias_init_std = o->bias_init_std;
    s->zero_init_output = o->zero_init_output;
    s->ntk_parametrization = chosen[CHOICE_PARAMETRIZATION] == 1;
    s->feature_scale = o->feature_scale;
    s->frequency_scale = o->frequency_scale;
    s->loss_options = (struct loss_options){.delta = o->delta,
                                            .over = o->over,
                                            .under = o->under,
                                            .q = o->q,
                                            .label_smoothing = o->label_smoothing};
    s->validation_fraction = o->validation_fraction;
    s->warm_start = o->warm_start;
    if (o->parallel)
        s->parallel = (struct parallel){o->parallel->ctx, o->parallel->run};
    s->on_epoch = o->on_epoch;
    s->ctx = o->ctx;
}

static void read_fit(const struct libmlp_options *o, const int *chosen,
                     struct fit_options *fit)
{
    fit->optim = (struct optim_options){.solver = (enum solver)chosen[CHOICE_SOLVER],
                                        .learning_rate = o->learning_rate,
                                        .momentum = o->momentum,
                                        .nesterov = o->nesterov,
                                        .beta_1 = o->beta_1,
                                        .beta_2 = o->beta_2,
                                        .epsilon = o->epsilon,
                                        .rho = o->rho,
                                        .weight_decay = o->weight_decay};
    fit->schedule =
        (struct schedule_options){.schedule = (enum schedule)chosen[CHOICE_SCHEDULE],
                                  .power_t = o->power_t,
                                  .warmup = o->warmup};
    fit->alpha = o->alpha;
    fit->l1 = o->l1;
    fit->gradient_clip = o->gradient_clip;
    fit->max_norm = o->max_norm;
    fit->rate_factor[MLP_BIASES] = o->bias_rate_factor;
    fit->rate_factor[MLP_GAINS] = o->gain_rate_factor;
    fit->rate_factor[MLP_SCALES] = o->scale_rate_factor;
    fit->rate_factor[MLP_EMBEDDINGS] = o->embedding_rate_factor;
    fit->regularization_schedule = (enum schedule_share)chosen[CHOICE_SHARE];
    fit->tol = o->tol;
    fit->early_stopping = o->early_stopping;
    fit->shuffle = o->shuffle;
    fit->skip_short_batch = o->skip_short_batch;
    fit->seed = o->seed;
}

bool settings_loss_suits(enum libmlp_task task, enum loss loss)
{
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return true;
    case LOSS_BINARY_CROSS_ENTROPY:
        return task != LIBMLP_REGRESSOR;
    case LOSS_CROSS_ENTROPY:
        return task == LIBMLP_CLASSIFIER;
    case LOSS_ABSOLUTE_ERROR:
    case LOSS_HUBER:
    case LOSS_ASYMMETRIC_SQUARED:
    case LOSS_QUANTILE:
    case LOSS_POISSON:
    case LOSS_COUNT:
        break;
    }
    return task == LIBMLP_REGRESSOR;
}

/* The loss that is asked for or, by itself, follows from task and classes. */
static enum loss pick_loss(const struct settings *s, size_t n_classes)
{
    if (s->loss != SETTINGS_AUTO)
        return (enum loss)s->loss;
    if (s->task == LIBMLP_REGRESSOR)
        return LOSS_SQUARED_ERROR;
    return s->task == LIBMLP_CLASSIFIER && n_classes != 2 ? LOSS_CROSS_ENTROPY
                                                          : LOSS_BINARY_CROSS_ENTROPY;
}

static enum act pick_output(const struct settings *s, enum loss loss)
{
    if (s->output_activation != SETTINGS_AUTO)
        return (enum act)s->output_activation;
    if (loss == LOSS_CROSS_ENTROPY)
        return ACT_SOFTMAX;
    return s->task == LIBMLP_REGRESSOR ? ACT_IDENTITY : ACT_LOGISTIC;
}

/* Classes or columns to check the options with, before there are rows. */
static size_t n_assumed(const struct settings *s)
{
    if (s->task != LIBMLP_CLASSIFIER)
        return 1;
    if (s->n_classes != 0)
        return s->n_classes;
    return s->loss == (int)LOSS_BINARY_CROSS_ENTROPY ? 2 : 3;
}

/* Contradictions that show without any rows; what would be ignored is refused. */
static int check_combination(const struct settings *s, struct err *err)
{
    size_t n = n_assumed(s);
    enum loss loss = pick_loss(s, n);
    if (!settings_loss_suits(s->task, loss))
        return err_set_at(err, ERR_INVALID, "wrong_loss", "/loss",
                          "loss %s is not for this task: leave it at auto",
                          loss_name(loss));
    if (s->is_balanced && s->task != LIBMLP_CLASSIFIER)
        return err_set_at(err, ERR_INVALID, "wrong_option", "/class_weight",
                          "class_weight balanced is for a classifier");
    if (s->n_classes && s->task != LIBMLP_CLASSIFIER)
        return err_set_at(err, ERR_INVALID, "wrong_option", "/n_classes",
                          "n_classes is for a classifier");
    if (!(s->loss_options.label_smoothing == 0.0) && !loss_has_classes(loss))
        return err_set_at(err, ERR_INVALID, "wrong_option", "/label_smoothing",
                          "label_smoothing is for the cross-entropies, not for %s",
                          loss_name(loss));
    struct mlp_spec spec = {0};
    size_t n_parameters;
    size_t n_inputs = s->n_periodic ? MLP_WIDTH_MAX : 1;
    if (settings_to_spec(s, n_inputs, n, &spec, err) < 0 ||
        mlp_count(&spec, &n_parameters, err) < 0)
        return -1;
    return mlp_check_trainable(s->n_hidden ? spec.activation : ACT_IDENTITY,
                               spec.output_activation, err);
}

int settings_read(const struct libmlp_options *options, struct settings *settings,
                  struct err *err)
{
    struct settings made = {.task = options->task};
    int chosen[CHOICE_COUNT] = {0};
    if (made.task != LIBMLP_CLASSIFIER && made.task != LIBMLP_REGRESSOR &&
        made.task != LIBMLP_MULTILABEL)
        return err_set_at(err, ERR_INVALID, "unknown_task", "/task",
                          "there is no such task: start with libmlp_options_init");
    for (int i = 0; i < CHOICE_COUNT; i++)
        if (read_choice(options, &choices[i], &chosen[i], err) < 0)
            return -1;
    read_net(options, chosen, &made);
    read_fit(options, chosen, &made.fit);
    if (read_layers(options, &made, err) < 0 || read_counts(options, &made, err) < 0 ||
        check_numbers(options, &made, err) < 0 ||
        fit_check_options(&made.fit, made.n_hidden, err) < 0 ||
        read_periodic(options, &made, err) < 0 || check_combination(&made, err) < 0) {
        settings_clear(&made);
        return -1;
    }
    *settings = made;
    return 0;
}

void settings_clear(struct settings *settings)
{
    free(settings->periodic_inputs);
    *settings = (struct settings){0};
}

int settings_to_spec(const struct settings *settings, size_t n_inputs, size_t n,
                     struct mlp_spec *spec, struct err *err)
{
    enum loss loss = pick_loss(settings, n);
    bool is_classifier = settings->task == LIBMLP_CLASSIFIER;
    bool is_single = is_classifier &&
                     (loss == LOSS_BINARY_CROSS_ENTROPY || loss == LOSS_SQUARED_ERROR) &&
                     n == 2;
    if (is_classifier && loss == LOSS_BINARY_CROSS_ENTROPY && n != 2)
        return err_set_at(err, ERR_INVALID, "wrong_loss", "/loss",
                          "loss binary_cross_entropy is for two classes, not %zu", n);
    *spec = (struct mlp_spec){
        .n_inputs = n_inputs,
        .hidden_layer_sizes = settings->hidden_layer_sizes,
        .n_hidden = settings->n_hidden,
        .n_outputs = is_single ? 1 : n,
        .activation = (enum act)settings->activation,
        .output_activation = pick_output(settings, loss),
        .loss = loss,
        .loss_options = settings->loss_options,
        .normalization = (enum mlp_normalization)settings->normalization,
        .ntk_parametrization = settings->ntk_parametrization,
        .feature_scale = settings->feature_scale,
        .periodic = {.n = settings->n_periodic,
                     .inputs = settings->periodic_inputs,
                     .n_frequencies = settings->periodic_frequencies,
                     .width = settings->periodic_width},
    };
    return 0;
}
