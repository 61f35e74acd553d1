#include "entity/parameters.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/spell.h"

static const char *choose_act(int i)
{
    return act_name((enum act)i);
}

static const char *choose_loss(int i)
{
    return loss_name((enum loss)i);
}

static const char *choose_init(int i)
{
    return mlp_init_name((enum mlp_init)i);
}

static const char *choose_solver(int i)
{
    return optim_name((enum solver)i);
}

static const char *choose_schedule(int i)
{
    return schedule_name((enum schedule)i);
}

static const char *choose_class_weight(int i)
{
    static const char *const names[] = {[PARAMETERS_CLASS_WEIGHT_NONE] = "none",
                                        [PARAMETERS_CLASS_WEIGHT_BALANCED] = "balanced"};
    return names[i];
}

#define AT(member) offsetof(struct parameters, member)

const struct parameters_field parameters_fields[] = {
    {.name = "preset",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(preset),
     .choice = parameters_preset_name,
     .n_choices = PARAMETERS_PRESET_COUNT,
     .meaning = "defaults for what the request leaves out"},
    {.name = "hidden_layer_sizes",
     .kind = PARAMETERS_SIZES,
     .offset = AT(hidden_layer_sizes),
     .least = 1,
     .most = 65536,
     .meaning = "neurons of each hidden layer; none is a perceptron"},
    /* Softmax, the last activation, is for the output layer only. */
    {.name = "activation",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(activation),
     .choice = choose_act,
     .n_choices = ACT_SOFTMAX,
     .meaning = "activation of the hidden layers"},
    {.name = "output_activation",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(output_activation),
     .may_be_auto = true,
     .choice = choose_act,
     .n_choices = ACT_COUNT,
     .meaning = "activation of the output layer; auto follows the task"},
    {.name = "loss",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(loss),
     .may_be_auto = true,
     .choice = choose_loss,
     .n_choices = LOSS_COUNT,
     .meaning = "what training makes small; auto follows the task"},
    {.name = "delta",
     .kind = PARAMETERS_REAL,
     .offset = AT(delta),
     .least = 0,
     .most = 1e6,
     .open_below = true,
     .meaning = "huber: error from which it is linear, in standard deviations"},
    {.name = "over",
     .kind = PARAMETERS_REAL,
     .offset = AT(over),
     .least = 0,
     .most = 1e6,
     .open_below = true,
     .meaning = "asymmetric_squared: weight of a prediction that is too high"},
    {.name = "under",
     .kind = PARAMETERS_REAL,
     .offset = AT(under),
     .least = 0,
     .most = 1e6,
     .open_below = true,
     .meaning = "asymmetric_squared: weight of a prediction that is too low"},
    {.name = "q",
     .kind = PARAMETERS_REAL,
     .offset = AT(q),
     .least = 0,
     .most = 0.9999,
     .open_below = true,
     .meaning = "quantile: share of the targets that lie below the prediction"},
    {.name = "label_smoothing",
     .kind = PARAMETERS_REAL,
     .offset = AT(label_smoothing),
     .least = 0,
     .most = 0.5,
     .meaning = "share of each class target spread over all classes"},
    {.name = "class_weight",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(class_weight),
     .choice = choose_class_weight,
     .n_choices = PARAMETERS_CLASS_WEIGHT_COUNT,
     .meaning = "none: every row weighs the same; balanced: every class"},
    {.name = "init",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(init),
     .choice = choose_init,
     .n_choices = MLP_INIT_COUNT,
     .meaning = "distribution of the first weights"},
    {.name = "init_std",
     .kind = PARAMETERS_REAL,
     .offset = AT(init_std),
     .least = 0,
     .most = 100,
     .open_below = true,
     .meaning = "standard deviation of init normal"},
    {.name = "solver",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(solver),
     .choice = choose_solver,
     .n_choices = SOLVER_COUNT,
     .meaning = "gd and lbfgs (full batch), sgd, rmsprop, adam or adamw"},
    {.name = "learning_rate",
     .kind = PARAMETERS_REAL,
     .offset = AT(learning_rate),
     .least = 0,
     .most = 1000,
     .open_below = true,
     .meaning = "size of a step"},
    {.name = "schedule",
     .kind = PARAMETERS_CHOICE,
     .offset = AT(schedule),
     .choice = choose_schedule,
     .n_choices = SCHEDULE_COUNT,
     .meaning = "how the learning rate changes; not for lbfgs"},
    {.name = "power_t",
     .kind = PARAMETERS_REAL,
     .offset = AT(power_t),
     .least = 0,
     .most = 10,
     .meaning = "exponent of schedule invscaling"},
    {.name = "warmup",
     .kind = PARAMETERS_REAL,
     .offset = AT(warmup),
     .least = 0,
     .most = 1e6,
     .meaning = "epochs in which the learning rate rises to its schedule"},
    {.name = "momentum",
     .kind = PARAMETERS_REAL,
     .offset = AT(momentum),
     .least = 0,
     .most = 0.9999,
     .meaning = "momentum of sgd"},
    {.name = "nesterov",
     .kind = PARAMETERS_FLAG,
     .offset = AT(nesterov),
     .meaning = "Nesterov's momentum for sgd"},
    {.name = "beta_1",
     .kind = PARAMETERS_REAL,
     .offset = AT(beta_1),
     .least = 0,
     .most = 0.999999,
     .meaning = "decay of the first moment of adam and adamw"},
    {.name = "beta_2",
     .kind = PARAMETERS_REAL,
     .offset = AT(beta_2),
     .least = 0,
     .most = 0.9999999,
     .meaning = "decay of the second moment of adam and adamw"},
    {.name = "epsilon",
     .kind = PARAMETERS_REAL,
     .offset = AT(epsilon),
     .least = 0,
     .most = 1,
     .open_below = true,
     .meaning = "guard of adam, adamw and rmsprop against division by zero"},
    {.name = "rho",
     .kind = PARAMETERS_REAL,
     .offset = AT(rho),
     .least = 0,
     .most = 0.999999,
     .meaning = "decay of rmsprop's mean of squares"},
    {.name = "weight_decay",
     .kind = PARAMETERS_REAL,
     .offset = AT(weight_decay),
     .least = 0,
     .most = 1000,
     .meaning = "adamw's decay of the weights, times the learning rate"},
    {.name = "gradient_clip",
     .kind = PARAMETERS_REAL,
     .offset = AT(gradient_clip),
     .least = 0,
     .most = 1e6,
     .meaning = "longest gradient of a step; 0 is any"},
    {.name = "alpha",
     .kind = PARAMETERS_REAL,
     .offset = AT(alpha),
     .least = 0,
     .most = 1e6,
     .meaning = "strength of the L2 penalty"},
    {.name = "l1",
     .kind = PARAMETERS_REAL,
     .offset = AT(l1),
     .least = 0,
     .most = 1e6,
     .meaning = "strength of the L1 penalty"},
    {.name = "max_norm",
     .kind = PARAMETERS_REAL,
     .offset = AT(max_norm),
     .least = 0,
     .most = 1e6,
     .meaning = "longest vector of weights into a neuron; 0 is any"},
    {.name = "dropout",
     .kind = PARAMETERS_SHARES,
     .offset = AT(dropout),
     .least = 0,
     .most = 0.99,
     .meaning = "share of the neurons of all or of each hidden layer that a step drops"},
    {.name = "batch_size",
     .kind = PARAMETERS_WHOLE,
     .offset = AT(batch_size),
     .least = 1,
     .most = 1e6,
     .may_be_auto = true,
     .meaning = "rows of a mini-batch; auto is min(200, rows)"},
    {.name = "max_iter",
     .kind = PARAMETERS_WHOLE,
     .offset = AT(max_iter),
     .least = 1,
     .most = 1e6,
     .meaning = "epochs at most"},
    {.name = "tol",
     .kind = PARAMETERS_REAL,
     .offset = AT(tol),
     .least = 0,
     .most = 1e6,
     .meaning = "an epoch counts as better when it lowers the loss by more"},
    {.name = "n_iter_no_change",
     .kind = PARAMETERS_WHOLE,
     .offset = AT(n_iter_no_change),
     .least = 1,
     .most = 1e6,
     .meaning = "epochs without a better one before stopping"},
    {.name = "early_stopping",
     .kind = PARAMETERS_FLAG,
     .offset = AT(early_stopping),
     .meaning = "stop on the validation loss and restore the best weights"},
    {.name = "shuffle",
     .kind = PARAMETERS_FLAG,
     .offset = AT(shuffle),
     .meaning = "permute the rows before every epoch"},
    {.name = "seed",
     .kind = PARAMETERS_WHOLE,
     .offset = AT(seed),
     .least = 0,
     .most = 9007199254740991.0,
     .meaning = "the same seed gives the same model"},
    {.name = "validation_fraction",
     .kind = PARAMETERS_REAL,
     .offset = AT(validation_fraction),
     .least = 0,
     .most = 0.9,
     .meaning = "share of the rows that early stopping watches"},
    {.name = "test_fraction",
     .kind = PARAMETERS_REAL,
     .offset = AT(test_fraction),
     .least = 0,
     .most = 0.9,
     .meaning = "share of the rows held out until the end, for honest metrics"},
    {.name = "standardize",
     .kind = PARAMETERS_FLAG,
     .offset = AT(standardize),
     .meaning = "scale numeric columns to mean 0, standard deviation 1"},
};

const size_t parameters_n_fields = sizeof parameters_fields / sizeof *parameters_fields;

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
    .alpha = 1e-4,
    .batch_size = 0,
    .max_iter = 200,
    .tol = 1e-4,
    .n_iter_no_change = 10,
    .shuffle = true,
    .standardize = true,
};

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
    case PARAMETERS_PRESET_SKLEARN:
    case PARAMETERS_PRESET_COUNT:
        break;
    }
}

const char *parameters_preset_name(int preset)
{
    static const char *const names[] = {[PARAMETERS_PRESET_AUTO] = "auto",
                                        [PARAMETERS_PRESET_SKLEARN] = "sklearn",
                                        [PARAMETERS_PRESET_LECTURE] = "lecture"};
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

/* A comma behind each entry of a list tells it from one share for all. */
static void encode_shares(const struct parameters *parameters, struct buf *out)
{
    char text[DECIMAL_TEXT_SIZE];
    decimal_print(parameters->dropout[0], text);
    if (parameters->n_dropout == 0)
        buf_text(out, text);
    for (size_t i = 0; i < parameters->n_dropout; i++) {
        decimal_print(parameters->dropout[i], text);
        buf_printf(out, "%s,", text);
    }
}

static void encode_field(const struct parameters *parameters,
                         const struct parameters_field *field, struct buf *out)
{
    char text[DECIMAL_TEXT_SIZE];
    buf_printf(out, "%s=", field->name);
    switch (field->kind) {
    case PARAMETERS_REAL:
        decimal_print(parameters_real(parameters, field), text);
        buf_text(out, text);
        break;
    case PARAMETERS_WHOLE:
        buf_printf(out, "%llu", (unsigned long long)parameters_whole(parameters, field));
        break;
    case PARAMETERS_FLAG:
        buf_text(out, parameters_flag(parameters, field) ? "true" : "false");
        break;
    case PARAMETERS_CHOICE:
        buf_text(out, parameters_choice(parameters, field));
        break;
    case PARAMETERS_SIZES:
        for (size_t i = 0; i < parameters->n_hidden; i++)
            buf_printf(out, "%s%llu", i ? "," : "",
                       (unsigned long long)parameters->hidden_layer_sizes[i]);
        break;
    case PARAMETERS_SHARES:
        encode_shares(parameters, out);
        break;
    }
    buf_putc(out, '\n');
}

void parameters_encode(const struct parameters *parameters, struct buf *out)
{
    for (size_t i = 0; i < parameters_n_fields; i++)
        encode_field(parameters, &parameters_fields[i], out);
}

static int decode_sizes(struct parameters *parameters,
                        const struct parameters_field *field, char *text, struct err *err)
{
    parameters->n_hidden = 0;
    for (char *at = text; *at;) {
        char *end = at + strcspn(at, ",");
        double size = 0;
        if (!decimal_parse(at, (size_t)(end - at), &size) ||
            parameters_add_size(parameters, field, (int64_t)size, err) < 0)
            return -1;
        at = *end ? end + 1 : end;
    }
    return 0;
}

static int decode_shares(struct parameters *parameters,
                         const struct parameters_field *field, char *text,
                         struct err *err)
{
    double share = 0;
    if (decimal_parse(text, strlen(text), &share))
        return parameters_set_share(parameters, field, share, err);
    parameters_begin_shares(parameters, field);
    for (char *at = text; *at;) {
        char *end = at + strcspn(at, ",");
        if (!*end || !decimal_parse(at, (size_t)(end - at), &share) ||
            parameters_add_share(parameters, field, share, err) < 0)
            return -1;
        at = end + 1;
    }
    return 0;
}

static int decode_value(struct parameters *parameters,
                        const struct parameters_field *field, char *text, struct err *err)
{
    double number = 0;
    bool is_number = decimal_parse(text, strlen(text), &number);
    switch (field->kind) {
    case PARAMETERS_REAL:
        return is_number ? parameters_set_real(parameters, field, number, err) : -1;
    case PARAMETERS_WHOLE:
        if (is_number && number == 0 && field->may_be_auto)
            return parameters_set_choice(parameters, field, "auto", err);
        if (!is_number || !(fabs(number) <= 9007199254740991.0))
            return -1;
        return parameters_set_whole(parameters, field, (int64_t)number, err);
    case PARAMETERS_FLAG:
        parameters_set_flag(parameters, field, strcmp(text, "true") == 0);
        return 0;
    case PARAMETERS_CHOICE:
        return parameters_set_choice(parameters, field, text, err);
    case PARAMETERS_SIZES:
        return decode_sizes(parameters, field, text, err);
    case PARAMETERS_SHARES:
        return decode_shares(parameters, field, text, err);
    }
    return -1;
}

static int decode_line(struct parameters *parameters, char *line, struct err *err)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return err_set(err, ERR_CORRUPT, "corrupt",
                       "stored parameters: a line without '='");
    *equals = '\0';
    const struct parameters_field *field = parameters_find(line);
    struct err why = {0};
    if (field && decode_value(parameters, field, equals + 1, &why) < 0)
        return err_set(err, ERR_CORRUPT, "corrupt",
                       "stored parameters: bad value of %.60s", line);
    return 0;
}

int parameters_decode(const char *text, size_t len, struct parameters *parameters,
                      struct err *err)
{
    struct parameters decoded;
    parameters_init(&decoded, PARAMETERS_PRESET_AUTO);
    char line[4096];
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (text + at)) : len - at;
        if (line_len >= sizeof line)
            return err_set(err, ERR_CORRUPT, "corrupt",
                           "stored parameters: overlong line");
        memcpy(line, text + at, line_len);
        line[line_len] = '\0';
        if (decode_line(&decoded, line, err) < 0)
            return -1;
        at += line_len + 1;
    }
    *parameters = decoded;
    return 0;
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
                         .label_smoothing = parameters->label_smoothing}};
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
        .batch_size = (size_t)parameters->batch_size,
        .max_iter = (size_t)parameters->max_iter,
        .tol = parameters->tol,
        .n_iter_no_change = (size_t)parameters->n_iter_no_change,
        .early_stopping = parameters->early_stopping,
        .shuffle = parameters->shuffle,
        .seed = parameters->seed,
    };
    /* For a perceptron the first stays, so that the core can refuse it. */
    options->dropout[0] = parameters->dropout[0];
    for (size_t l = 0; l < parameters->n_hidden; l++)
        options->dropout[l] = parameters->dropout[parameters->n_dropout ? l : 0];
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
    parameters_to_fit(parameters, &options);
    return fit_check_options(&options, parameters->n_hidden, err);
}
