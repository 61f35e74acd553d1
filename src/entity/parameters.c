#include "entity/parameters.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"

/* What the presets share: one adam net with scikit-learn's figures. */
static const struct parameters sklearn_defaults = {
    .preset = PARAMETERS_PRESET_SKLEARN,
    .hidden_layer_sizes = {100},
    .n_hidden = 1,
    .activation = ACT_RELU,
    .output_activation = PARAMETERS_AUTO,
    .loss = PARAMETERS_AUTO,
    .init = MLP_GLOROT_UNIFORM,
    .init_std = 0.1,
    .delta = 1,
    .over = 1,
    .under = 1,
    .q = 0.5,
    .solver = SOLVER_ADAM,
    .learning_rate = 0.001,
    .schedule = SCHEDULE_CONSTANT,
    .power_t = 0.5,
    .momentum = 0.9,
    .nesterov = true,
    .beta_1 = 0.9,
    .beta_2 = 0.999,
    .epsilon = 1e-8,
    .rho = 0.9,
    .weight_decay = 0.01,
    .bias_rate_factor = 1,
    .gain_rate_factor = 1,
    .scale_rate_factor = 1,
    .embedding_rate_factor = 1,
    .periodic_frequencies = 16,
    .periodic_width = 4,
    .periodic_scale = 0.1,
    .alpha = 1e-4,
    .batch_size = 0,
    .max_iter = 200,
    .tol = 1e-4,
    .n_iter_no_change = 10,
    .shuffle = true,
    .standardize = true,
};

/* Net G of RealMLP; what differs by task (activation, learning_rate) is that of classes. Its
 * five folds are one validation part here, whose best epoch is kept. */
static void init_realmlp(struct parameters *parameters)
{
    parameters->n_hidden = 3;
    for (size_t l = 0; l < parameters->n_hidden; l++)
        parameters->hidden_layer_sizes[l] = 128;
    parameters->activation = ACT_SELU;
    parameters->parametrization = PARAMETERS_PARAMETRIZATION_NTK;
    parameters->feature_scale = true;
    parameters->init = PARAMETERS_AUTO;
    parameters->bias_init_std = 1;
    parameters->zero_init_output = true;
    parameters->solver = SOLVER_ADAMW;
    parameters->learning_rate = 0.04;
    parameters->schedule = SCHEDULE_COSLOG4;
    parameters->beta_2 = 0.95;
    parameters->weight_decay = 0.02;
    parameters->bias_rate_factor = 0.1;
    parameters->scale_rate_factor = 6;
    parameters->alpha = 0;
    parameters->dropout[0] = 0.15;
    parameters->regularization_schedule = SCHEDULE_SHARE_FLAT_COSINE;
    parameters->batch_size = 256;
    parameters->skip_short_batch = true;
    parameters->max_iter = 256;
    parameters->tol = 0;
    parameters->n_iter_no_change = 256; /* the schedule is made to be run to its end */
    parameters->early_stopping = true;
    parameters->validation_fraction = 0.2;
}

void parameters_init(struct parameters *parameters, enum parameters_preset preset)
{
    *parameters = sklearn_defaults;
    parameters->preset = (int)preset;
    switch (preset) {
    case PARAMETERS_PRESET_AUTO:
        /* Patience long enough for small tables, whose epochs are few steps. */
        parameters->max_iter = 1000;
        parameters->early_stopping = true;
        parameters->validation_fraction = 0.15;
        parameters->n_iter_no_change = 40;
        parameters->tol = 0;
        break;
    case PARAMETERS_PRESET_LECTURE:
        parameters->activation = ACT_LOGISTIC;
        parameters->output_activation = ACT_LOGISTIC;
        parameters->loss = LOSS_SQUARED_ERROR;
        parameters->init = MLP_NORMAL;
        parameters->solver = SOLVER_GD;
        parameters->momentum = 0;
        parameters->nesterov = false;
        parameters->alpha = 0;
        parameters->max_iter = 10;
        parameters->tol = 0;
        /* The textbook runs all its epochs. */
        parameters->n_iter_no_change = 1000000;
        parameters->shuffle = false;
        break;
    case PARAMETERS_PRESET_REALMLP:
        init_realmlp(parameters);
        break;
    case PARAMETERS_PRESET_SKLEARN:
    case PARAMETERS_PRESET_COUNT:
        break;
    }
}

const char *parameters_preset_name(int preset)
{
    static const char *const names[] = {[PARAMETERS_PRESET_AUTO] = "auto",
                                        [PARAMETERS_PRESET_SKLEARN] = "sklearn",
                                        [PARAMETERS_PRESET_LECTURE] = "lecture",
                                        [PARAMETERS_PRESET_REALMLP] = "realmlp"};
    return names[preset];
}

const struct parameters_field *parameters_find(const char *name)
{
    for (size_t i = 0; i < parameters_n_fields; i++)
        if (strcmp(parameters_fields[i].name, name) == 0)
            return &parameters_fields[i];
    return NULL;
}

static void *member(struct parameters *parameters, const struct parameters_field *field)
{
    return (char *)parameters + field->offset;
}

static const void *member_of(const struct parameters *parameters,
                             const struct parameters_field *field)
{
    return (const char *)parameters + field->offset;
}

static int out_of_range(const struct parameters_field *field, const char *pointer,
                        const char *given, struct err *err)
{
    char least[DECIMAL_TEXT_SIZE];
    char most[DECIMAL_TEXT_SIZE];
    bool is_real = field->kind == PARAMETERS_REAL || field->kind == PARAMETERS_SHARES;
    decimal_print(field->least, least);
    decimal_print(field->most, most);
    return err_set_at(err, ERR_INVALID, "out_of_range", pointer,
                      "%s must be %s from %s%s to %s, not %s", field->name,
                      is_real ? "a number" : "a whole number",
                      field->open_below ? "above " : "", least, most, given);
}

static int out_of_range_field(const struct parameters_field *field, double value,
                              struct err *err)
{
    char pointer[80];
    char given[DECIMAL_TEXT_SIZE];
    snprintf(pointer, sizeof pointer, "/%s", field->name);
    decimal_print(value, given);
    return out_of_range(field, pointer, given, err);
}

int parameters_set_real(struct parameters *parameters,
                        const struct parameters_field *field, double value,
                        struct err *err)
{
    assert(field->kind == PARAMETERS_REAL);
    bool is_low = field->open_below ? !(value > field->least) : !(value >= field->least);
    if (is_low || !(value <= field->most))
        return out_of_range_field(field, value, err);
    *(double *)member(parameters, field) = value;
    return 0;
}

int parameters_set_whole(struct parameters *parameters,
                         const struct parameters_field *field, int64_t value,
                         struct err *err)
{
    assert(field->kind == PARAMETERS_WHOLE);
    if (value < 0 || (double)value < field->least || (double)value > field->most)
        return out_of_range_field(field, (double)value, err);
    *(uint64_t *)member(parameters, field) = (uint64_t)value;
    return 0;
}

void parameters_set_flag(struct parameters *parameters,
                         const struct parameters_field *field, bool value)
{
    assert(field->kind == PARAMETERS_FLAG);
    *(bool *)member(parameters, field) = value;
}

static int not_allowed(const struct parameters_field *field, const char *given,
                       struct err *err)
{
    char pointer[80];
    char allowed[300] = "";
    size_t len = 0;
    snprintf(pointer, sizeof pointer, "/%s", field->name);
    for (int i = 0; i < field->n_choices && len < sizeof allowed; i++)
        len += (size_t)snprintf(allowed + len, sizeof allowed - len, "%s%s",
                                i ? ", " : "", field->choice(i));
    return err_set_at(err, ERR_INVALID, "not_allowed", pointer,
                      "%s may be %s%s, not '%.60s'", field->name,
                      field->may_be_auto ? "auto, " : "", allowed, given);
}

int parameters_set_choice(struct parameters *parameters,
                          const struct parameters_field *field, const char *name,
                          struct err *err)
{
    if (field->may_be_auto && strcmp(name, "auto") == 0) {
        if (field->kind == PARAMETERS_CHOICE)
            *(int *)member(parameters, field) = PARAMETERS_AUTO;
        else
            *(uint64_t *)member(parameters, field) = 0;
        return 0;
    }
    assert(field->kind == PARAMETERS_CHOICE);
    for (int i = 0; i < field->n_choices; i++) {
        if (strcmp(field->choice(i), name) == 0) {
            *(int *)member(parameters, field) = i;
            return 0;
        }
    }
    return not_allowed(field, name, err);
}

int parameters_add_size(struct parameters *parameters,
                        const struct parameters_field *field, int64_t size,
                        struct err *err)
{
    assert(field->kind == PARAMETERS_SIZES);
    char pointer[80];
    char given[DECIMAL_TEXT_SIZE];
    snprintf(pointer, sizeof pointer, "/%s/%zu", field->name, parameters->n_hidden);
    decimal_print((double)size, given);
    if (parameters->n_hidden == PARAMETERS_HIDDEN_MAX)
        return err_set_at(err, ERR_INVALID, "out_of_range", pointer,
                          "%s may have at most %d entries", field->name,
                          PARAMETERS_HIDDEN_MAX);
    if ((double)size < field->least || (double)size > field->most)
        return out_of_range(field, pointer, given, err);
    parameters->hidden_layer_sizes[parameters->n_hidden++] = (uint64_t)size;
    return 0;
}

static bool is_share(const struct parameters_field *field, double share)
{
    return share >= field->least && share <= field->most;
}

int parameters_set_share(struct parameters *parameters,
                         const struct parameters_field *field, double share,
                         struct err *err)
{
    assert(field->kind == PARAMETERS_SHARES);
    if (!is_share(field, share))
        return out_of_range_field(field, share, err);
    parameters_begin_shares(parameters, field);
    parameters->dropout[0] = share;
    return 0;
}

void parameters_begin_shares(struct parameters *parameters,
                             const struct parameters_field *field)
{
    assert(field->kind == PARAMETERS_SHARES);
    memset(parameters->dropout, 0, sizeof parameters->dropout);
    parameters->n_dropout = 0;
}

int parameters_add_share(struct parameters *parameters,
                         const struct parameters_field *field, double share,
                         struct err *err)
{
    assert(field->kind == PARAMETERS_SHARES);
    char pointer[80];
    char given[DECIMAL_TEXT_SIZE];
    snprintf(pointer, sizeof pointer, "/%s/%zu", field->name, parameters->n_dropout);
    decimal_print(share, given);
    if (parameters->n_dropout == PARAMETERS_HIDDEN_MAX)
        return err_set_at(err, ERR_INVALID, "out_of_range", pointer,
                          "%s may have at most %d entries", field->name,
                          PARAMETERS_HIDDEN_MAX);
    if (!is_share(field, share))
        return out_of_range(field, pointer, given, err);
    parameters->dropout[parameters->n_dropout++] = share;
    return 0;
}

double parameters_real(const struct parameters *parameters,
                       const struct parameters_field *field)
{
    assert(field->kind == PARAMETERS_REAL);
    return *(const double *)member_of(parameters, field);
}

uint64_t parameters_whole(const struct parameters *parameters,
                          const struct parameters_field *field)
{
    assert(field->kind == PARAMETERS_WHOLE);
    return *(const uint64_t *)member_of(parameters, field);
}

bool parameters_flag(const struct parameters *parameters,
                     const struct parameters_field *field)
{
    assert(field->kind == PARAMETERS_FLAG);
    return *(const bool *)member_of(parameters, field);
}

const char *parameters_choice(const struct parameters *parameters,
                              const struct parameters_field *field)
{
    assert(field->kind == PARAMETERS_CHOICE);
    int value = *(const int *)member_of(parameters, field);
    return value == PARAMETERS_AUTO ? "auto" : field->choice(value);
}

void parameters_to_spec(const struct parameters *parameters, size_t n_inputs,
                        size_t n_outputs, size_t *hidden, struct mlp_spec *spec)
{
    assert(parameters->loss != PARAMETERS_AUTO);
    assert(parameters->output_activation != PARAMETERS_AUTO);
    for (size_t i = 0; i < parameters->n_hidden; i++)
        hidden[i] = (size_t)parameters->hidden_layer_sizes[i];
    *spec = (struct mlp_spec){
        .n_inputs = n_inputs,
        .hidden_layer_sizes = hidden,
        .n_hidden = parameters->n_hidden,
        .n_outputs = n_outputs,
        .activation = (enum act)parameters->activation,
        .output_activation = (enum act)parameters->output_activation,
        .loss = (enum loss)parameters->loss,
        .loss_options = {.delta = parameters->delta,
                         .over = parameters->over,
                         .under = parameters->under,
                         .q = parameters->q,
                         .label_smoothing = parameters->label_smoothing},
        .normalization = (enum mlp_normalization)parameters->normalization,
        .ntk_parametrization =
            parameters->parametrization == PARAMETERS_PARAMETRIZATION_NTK,
        .feature_scale = parameters->feature_scale,
        .periodic = {.n_frequencies = (size_t)parameters->periodic_frequencies,
                     .width = (size_t)parameters->periodic_width}};
}

void parameters_to_fit(const struct parameters *parameters, struct fit_options *options)
{
    *options = (struct fit_options){
        .optim = {.solver = (enum solver)parameters->solver,
                  .learning_rate = parameters->learning_rate,
                  .momentum = parameters->momentum,
                  .nesterov = parameters->nesterov,
                  .beta_1 = parameters->beta_1,
                  .beta_2 = parameters->beta_2,
                  .epsilon = parameters->epsilon,
                  .rho = parameters->rho,
                  .weight_decay = parameters->weight_decay},
        .schedule = {.schedule = (enum schedule)parameters->schedule,
                     .power_t = parameters->power_t,
                     .warmup = parameters->warmup},
        .gradient_clip = parameters->gradient_clip,
        .l1 = parameters->l1,
        .max_norm = parameters->max_norm,
        .alpha = parameters->alpha,
        .rate_factor = {[MLP_WEIGHTS] = 1,
                        [MLP_BIASES] = parameters->bias_rate_factor,
                        [MLP_GAINS] = parameters->gain_rate_factor,
                        [MLP_SCALES] = parameters->scale_rate_factor,
                        [MLP_EMBEDDINGS] = parameters->embedding_rate_factor},
        .regularization_schedule =
            (enum schedule_share)parameters->regularization_schedule,
        .batch_size = (size_t)parameters->batch_size,
        .max_iter = (size_t)parameters->max_iter,
        .tol = parameters->tol,
        .n_iter_no_change = (size_t)parameters->n_iter_no_change,
        .early_stopping = parameters->early_stopping,
        .shuffle = parameters->shuffle,
        .skip_short_batch = parameters->skip_short_batch,
        .seed = parameters->seed,
    };
    /* For a perceptron the first stays, so that the core can refuse it. */
    options->dropout[0] = parameters->dropout[0];
    for (size_t l = 0; l < parameters->n_hidden; l++)
        options->dropout[l] = parameters->dropout[parameters->n_dropout ? l : 0];
}

static int check_normalization(const struct parameters *parameters, struct err *err)
{
    if (parameters->normalization == MLP_NORMALIZATION_NONE)
        return 0;
    if (parameters->n_hidden == 0)
        return err_set_at(err, ERR_INVALID, "no_hidden_layer", "/normalization",
                          "normalization needs a hidden layer; the net has none");
    if (parameters->normalization != MLP_BATCH_NORM)
        return 0;
    if (parameters->batch_size == 1)
        return err_set_at(
            err, ERR_INVALID, "out_of_range", "/batch_size",
            "batch_norm needs batches of at least 2 rows, not 1: in one row "
            "nothing varies");
    if (parameters->solver == SOLVER_LBFGS)
        return err_set_at(err, ERR_INVALID, "not_with_lbfgs", "/normalization",
                          "solver lbfgs does not go with batch_norm, whose running "
                          "statistics come from mini-batches: use layer_norm, or another "
                          "solver");
    return 0;
}

int parameters_check(const struct parameters *parameters, struct err *err)
{
    struct fit_options options;
    if (parameters->n_dropout && parameters->n_dropout != parameters->n_hidden)
        return err_set_at(
            err, ERR_INVALID, "wrong_length", "/dropout",
            "dropout has %zu entries for %zu hidden layers: give one number "
            "for all, or one for each",
            parameters->n_dropout, parameters->n_hidden);
    if (check_normalization(parameters, err) < 0)
        return -1;
    parameters_to_fit(parameters, &options);
    return fit_check_options(&options, parameters->n_hidden, err);
}
