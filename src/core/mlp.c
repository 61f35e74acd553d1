#include "core/mlp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* --- shape ------------------------------------------------------------------------------ */

static int check_width(size_t width, const char *pointer, const char *what,
                       struct err *err)
{
    if (width >= 1 && width <= MLP_WIDTH_MAX)
        return 0;
    return err_set_at(err, ERR_INVALID, "out_of_range", pointer,
                      "%s must be 1 to %d, not %zu", what, MLP_WIDTH_MAX, width);
}

static int check_widths(const struct mlp_spec *spec, struct err *err)
{
    if (check_width(spec->n_inputs, "/n_inputs", "the number of inputs", err) < 0 ||
        check_width(spec->n_outputs, "/n_outputs", "the number of outputs", err) < 0)
        return -1;
    if (spec->n_hidden > MLP_LAYERS_MAX - 1)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/hidden_layer_sizes",
                          "at most %d hidden layers, not %zu", MLP_LAYERS_MAX - 1,
                          spec->n_hidden);
    for (size_t i = 0; i < spec->n_hidden; i++) {
        char pointer[64];
        snprintf(pointer, sizeof pointer, "/hidden_layer_sizes/%zu", i);
        if (check_width(spec->hidden_layer_sizes[i], pointer, "a hidden layer", err) < 0)
            return -1;
    }
    return 0;
}

const char *mlp_normalization_name(enum mlp_normalization normalization)
{
    static const char *const names[MLP_NORMALIZATION_COUNT] = {"none", "batch_norm",
                                                               "layer_norm"};
    return names[normalization];
}

static int check_functions(const struct mlp_spec *spec, struct err *err)
{
    if ((unsigned)spec->activation >= ACT_COUNT || spec->activation == ACT_SOFTMAX)
        return err_set_at(err, ERR_INVALID, "unknown_activation", "/activation",
                          "a hidden layer takes any activation but softmax");
    if ((unsigned)spec->output_activation >= ACT_COUNT)
        return err_set_at(err, ERR_INVALID, "unknown_activation", "/output_activation",
                          "there is no such output activation");
    if ((unsigned)spec->loss >= LOSS_COUNT)
        return err_set_at(err, ERR_INVALID, "unknown_loss", "/loss",
                          "there is no such loss");
    if (!loss_may_follow(spec->loss, spec->output_activation, spec->n_outputs))
        return err_set_at(err, ERR_INVALID, "loss_mismatch", "/loss",
                          "%s does not go with %s and %zu outputs", loss_name(spec->loss),
                          act_name(spec->output_activation), spec->n_outputs);
    if ((unsigned)spec->normalization >= MLP_NORMALIZATION_COUNT)
        return err_set_at(err, ERR_INVALID, "unknown_normalization", "/normalization",
                          "there is no such normalization");
    return loss_check(spec->loss, &spec->loss_options, err);
}

static int check_periodic(const struct mlp_spec *spec, struct err *err)
{
    const struct periodic *p = &spec->periodic;
    if (p->n == 0)
        return 0;
    if (p->n_frequencies < 1 || p->n_frequencies > PERIODIC_FREQUENCIES_MAX)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/periodic_frequencies",
                          "periodic_frequencies must be 1 to %d, not %zu",
                          PERIODIC_FREQUENCIES_MAX, p->n_frequencies);
    if (p->width < 1 || p->width > PERIODIC_WIDTH_MAX)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/periodic_width",
                          "periodic_width must be 1 to %d, not %zu", PERIODIC_WIDTH_MAX,
                          p->width);
    if (p->n > spec->n_inputs)
        return err_set_at(err, ERR_INVALID, "out_of_range", "/periodic_inputs",
                          "more inputs are to be embedded than the net has");
    for (size_t i = 0; i < p->n; i++)
        if (p->inputs[i] >= spec->n_inputs || (i > 0 && p->inputs[i] <= p->inputs[i - 1]))
            return err_set_at(err, ERR_INVALID, "out_of_range", "/periodic_inputs",
                              "inputs to embed must rise and be below %zu",
                              spec->n_inputs);
    return 0;
}

static int check_slope(enum act act, const char *pointer, struct err *err)
{
    if (act_is_trainable(act))
        return 0;
    return err_set_at(err, ERR_INVALID, "not_trainable", pointer,
                      "%s cannot be trained: its gradient is zero everywhere, so that no "
                      "weight would move",
                      act_name(act));
}

int mlp_check_trainable(enum act activation, enum act output_activation, struct err *err)
{
    if (check_slope(activation, "/activation", err) < 0)
        return -1;
    return check_slope(output_activation, "/output_activation", err);
}

static size_t width_after(const struct mlp_spec *spec, size_t layer)
{
    return layer < spec->n_hidden ? spec->hidden_layer_sizes[layer] : spec->n_outputs;
}

/* Of one neuron of hidden layer or output: its weights, its bias, its gain if it has one. */
static size_t parameters_per_neuron(const struct mlp_spec *spec, size_t layer,
                                    size_t fan_in)
{
    bool is_normalised = spec->normalization && layer < spec->n_hidden;
    return fan_in + 1 + is_normalised;
}

static struct periodic periodic_of(const struct mlp_spec *spec)
{
    struct periodic periodic = spec->periodic;
    periodic.n_inputs = spec->n_inputs;
    return periodic;
}

int mlp_count(const struct mlp_spec *spec, size_t *n_parameters, struct err *err)
{
    if (check_widths(spec, err) < 0 || check_functions(spec, err) < 0)
        return -1;
    if (check_periodic(spec, err) < 0)
        return -1;
    const struct periodic periodic = periodic_of(spec);
    uint64_t fan_in = periodic_n_columns(&periodic);
    uint64_t total = (spec->feature_scale ? fan_in : 0) +
                     periodic.n * periodic_n_parameters(&periodic);
    for (size_t i = 0; i <= spec->n_hidden; i++) { /* at most 64 · 1e12: no overflow */
        uint64_t fan_out = width_after(spec, i);
        total += parameters_per_neuron(spec, i, (size_t)fan_in) * fan_out;
        fan_in = fan_out;
    }
    if (total > SIZE_MAX / sizeof(float))
        return err_set_at(err, ERR_INVALID, "out_of_range", "/hidden_layer_sizes",
                          "the net has more weights than memory has addresses");
    *n_parameters = (size_t)total;
    return 0;
}

/* Shapes and places of all layers; nothing is allocated yet. */
static void lay_out(const struct mlp_spec *spec, struct mlp *mlp)
{
    size_t fan_in = periodic_n_columns(&mlp->periodic);
    size_t at = spec->feature_scale ? fan_in : 0;
    mlp->periodic_at = at;
    at += mlp->periodic.n * periodic_n_parameters(&mlp->periodic);
    mlp->has_scales = spec->feature_scale;
    for (size_t i = 0; i < mlp->n_layers; i++) {
        bool is_hidden = i < spec->n_hidden;
        size_t fan_out = width_after(spec, i);
        struct mlp_layer *layer = &mlp->layers[i];
        *layer = (struct mlp_layer){
            .fan_in = fan_in,
            .fan_out = fan_out,
            .activation = is_hidden ? spec->activation : spec->output_activation,
            .normalization = is_hidden ? spec->normalization : MLP_NORMALIZATION_NONE,
            .factor =
                spec->ntk_parametrization ? (float)(1.0 / sqrt((double)fan_in)) : 1.0F,
            .weights_at = at,
            .biases_at = at + fan_in * fan_out,
            .gains_at = at + (fan_in + 1) * fan_out,
            .statistics_at = mlp->n_statistics,
        };
        at += parameters_per_neuron(spec, i, fan_in) * fan_out;
        if (layer->normalization == MLP_BATCH_NORM)
            mlp->n_statistics += 2 * fan_out;
        fan_in = fan_out;
    }
}

static void reset_statistics(struct mlp *mlp)
{
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        if (layer->normalization != MLP_BATCH_NORM)
            continue;
        float *mean = mlp->statistics + layer->statistics_at;
        for (size_t j = 0; j < layer->fan_out; j++) {
            mean[j] = 0.0F;
            mean[layer->fan_out + j] = 1.0F;
        }
    }
}

static int allocate(struct mlp *mlp, struct err *err)
{
    const size_t *inputs = mlp->periodic.inputs; /* the spec's, from here on a copy */
    size_t *copy = mem_new(mlp->periodic.n, sizeof *copy, err);
    mlp->periodic.inputs = copy;
    if (!copy)
        return -1;
    if (mlp->periodic.n > 0)
        memcpy(copy, inputs, mlp->periodic.n * sizeof *copy);
    mlp->parameters = mem_new(mlp->n_parameters, sizeof *mlp->parameters, err);
    if (!mlp->parameters)
        return -1;
    if (mlp->n_statistics == 0)
        return 0;
    mlp->statistics = mem_new(mlp->n_statistics, sizeof *mlp->statistics, err);
    return mlp->statistics ? 0 : -1;
}

int mlp_new(const struct mlp_spec *spec, struct mlp *mlp, struct err *err)
{
    struct mlp made = {.n_layers = spec->n_hidden + 1,
                       .loss = spec->loss,
                       .loss_options = spec->loss_options,
                       .periodic = periodic_of(spec)};
    if (mlp_count(spec, &made.n_parameters, err) < 0)
        return -1;
    lay_out(spec, &made);
    if (allocate(&made, err) < 0) {
        mlp_clear(&made);
        return -1;
    }
    reset_statistics(&made);
    *mlp = made;
    return 0;
}

int mlp_copy(const struct mlp *mlp, struct mlp *copy, struct err *err)
{
    struct mlp made = *mlp;
    made.parameters = NULL;
    made.statistics = NULL;
    if (allocate(&made, err) < 0) {
        mlp_clear(&made);
        return -1;
    }
    memcpy(made.parameters, mlp->parameters, made.n_parameters * sizeof(float));
    if (made.n_statistics > 0)
        memcpy(made.statistics, mlp->statistics, made.n_statistics * sizeof(float));
    *copy = made;
    return 0;
}

void mlp_clear(struct mlp *mlp)
{
    union {
        const size_t *read;
        size_t *owned;
    } inputs = {mlp->periodic.inputs};
    free(inputs.owned);
    free(mlp->statistics);
    free(mlp->parameters);
    *mlp = (struct mlp){0};
}

size_t mlp_n_inputs(const struct mlp *mlp)
{
    return mlp->periodic.n_inputs;
}

size_t mlp_n_outputs(const struct mlp *mlp)
{
    return mlp->layers[mlp->n_layers - 1].fan_out;
}

/* --- first weights ---------------------------------------------------------------------- */

/* Scale² = numerator / (fan_in [+ fan_out]): the bound of a uniform, the standard deviation
 * of a normal. A numerator of 0 stands for init_std. */
static const struct {
    const char *name;
    double numerator;
    bool with_fan_out;
    bool is_uniform;
} inits[MLP_INIT_COUNT] = {
    [MLP_GLOROT_UNIFORM] = {"glorot_uniform", 6.0, true, true},
    [MLP_GLOROT_NORMAL] = {"glorot_normal", 2.0, true, false},
    [MLP_HE_UNIFORM] = {"he_uniform", 6.0, false, true},
    [MLP_HE_NORMAL] = {"he_normal", 2.0, false, false},
    [MLP_LECUN_NORMAL] = {"lecun_normal", 1.0, false, false},
    [MLP_NORMAL] = {"normal", 0.0, false, false},
};

const char *mlp_init_name(enum mlp_init init)
{
    return inits[init].name;
}

static double init_scale(enum mlp_init init, double init_std,
                         const struct mlp_layer *layer)
{
    if (inits[init].numerator == 0.0)
        return init_std;
    size_t fan = layer->fan_in + (inits[init].with_fan_out ? layer->fan_out : 0);
    return sqrt(inits[init].numerator / (double)fan);
}

static void fill(float *values, float value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = value;
}

void mlp_init_weights(struct mlp *mlp, enum mlp_init init, double init_std, uint64_t seed)
{
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        double scale = init_scale(init, init_std, layer);
        float *weights = mlp->parameters + layer->weights_at;
        size_t n = layer->fan_in * layer->fan_out;
        for (size_t i = 0; i < n; i++) {
            double unit = inits[init].is_uniform
                              ? 2.0 * rng_uniform(seed, RNG_INIT, l, i) - 1.0
                              : rng_normal(seed, RNG_INIT, l, i);
            weights[i] = (float)(scale * unit);
        }
        fill(mlp->parameters + layer->biases_at, 0.0F, layer->fan_out);
        if (layer->normalization)
            fill(mlp->parameters + layer->gains_at, 1.0F, layer->fan_out);
    }
    if (mlp->has_scales)
        fill(mlp->parameters, 1.0F, mlp->layers[0].fan_in);
    reset_statistics(mlp);
}

void mlp_init_embeddings(struct mlp *mlp, double frequency_scale, uint64_t seed)
{
    periodic_init(&mlp->periodic, frequency_scale, seed,
                  mlp->parameters + mlp->periodic_at);
}

void mlp_zero_output(struct mlp *mlp)
{
    const struct mlp_layer *last = &mlp->layers[mlp->n_layers - 1];
    fill(mlp->parameters + last->weights_at, 0.0F, (last->fan_in + 1) * last->fan_out);
}

/* --- folding ---------------------------------------------------------------------------- */

/* What the neuron's products are multiplied by, and what is then added to its bias: batch_norm
 * g (z − μ) / √(σ² + ε) + b is one factor and one shift. */
struct fold {
    double factor;
    double shift;
};

static struct fold fold_of(const struct mlp *mlp, const struct mlp_layer *layer, size_t j)
{
    if (layer->normalization != MLP_BATCH_NORM)
        return (struct fold){1.0, 0.0};
    const float *statistics = mlp->statistics + layer->statistics_at;
    double deviation = sqrt((double)statistics[layer->fan_out + j] + MLP_NORM_EPSILON);
    double factor = (double)mlp->parameters[layer->gains_at + j] / deviation;
    return (struct fold){factor, -factor * (double)statistics[j]};
}

static void fold_layer(const struct mlp *mlp, size_t l, struct mlp *folded)
{
    const struct mlp_layer *from = &mlp->layers[l];
    const struct mlp_layer *to = &folded->layers[l];
    const float *w = mlp->parameters + from->weights_at;
    float *out = folded->parameters + to->weights_at;
    for (size_t j = 0; j < from->fan_out; j++) {
        struct fold fold = fold_of(mlp, from, j);
        double factor = fold.factor * (double)from->factor;
        for (size_t i = 0; i < from->fan_in; i++) {
            double scale = l == 0 && mlp->has_scales ? (double)mlp->parameters[i] : 1.0;
            size_t at = i * from->fan_out + j;
            out[at] = (float)(scale * factor * (double)w[at]);
        }
        folded->parameters[to->biases_at + j] =
            (float)((double)mlp->parameters[from->biases_at + j] + fold.shift);
        if (to->normalization)
            folded->parameters[to->gains_at + j] = mlp->parameters[from->gains_at + j];
    }
}

int mlp_fold(const struct mlp *mlp, struct mlp *folded, struct err *err)
{
    size_t hidden[MLP_LAYERS_MAX] = {0};
    const struct mlp_layer *last = &mlp->layers[mlp->n_layers - 1];
    for (size_t l = 0; l + 1 < mlp->n_layers; l++)
        hidden[l] = mlp->layers[l].fan_out;
    bool is_layer_norm = mlp->layers[0].normalization == MLP_LAYER_NORM;
    const struct mlp_spec spec = {
        .n_inputs = mlp_n_inputs(mlp),
        .hidden_layer_sizes = hidden,
        .n_hidden = mlp->n_layers - 1,
        .n_outputs = last->fan_out,
        .activation = mlp->n_layers > 1 ? mlp->layers[0].activation : ACT_IDENTITY,
        .output_activation = last->activation,
        .loss = mlp->loss,
        .loss_options = mlp->loss_options,
        .normalization = is_layer_norm ? MLP_LAYER_NORM : MLP_NORMALIZATION_NONE,
        .periodic = mlp->periodic,
    };
    struct mlp made;
    if (mlp_new(&spec, &made, err) < 0)
        return -1;
    for (size_t l = 0; l < mlp->n_layers; l++)
        fold_layer(mlp, l, &made);
    memcpy(made.parameters + made.periodic_at, mlp->parameters + mlp->periodic_at,
           made.periodic.n * periodic_n_parameters(&made.periodic) * sizeof(float));
    *folded = made;
    return 0;
}
