#include "core/mlp.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "core/mat.h"

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
    return loss_check(spec->loss, &spec->loss_options, err);
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

int mlp_count(const struct mlp_spec *spec, size_t *n_parameters, struct err *err)
{
    if (check_widths(spec, err) < 0 || check_functions(spec, err) < 0)
        return -1;
    uint64_t total = 0; /* at most 64 · (1e12 + 1e6): no overflow */
    uint64_t fan_in = spec->n_inputs;
    for (size_t i = 0; i <= spec->n_hidden; i++) {
        uint64_t fan_out = width_after(spec, i);
        total += (fan_in + 1) * fan_out;
        fan_in = fan_out;
    }
    if (total > SIZE_MAX / sizeof(float))
        return err_set_at(err, ERR_INVALID, "out_of_range", "/hidden_layer_sizes",
                          "the net has more weights than memory has addresses");
    *n_parameters = (size_t)total;
    return 0;
}

int mlp_new(const struct mlp_spec *spec, struct mlp *mlp, struct err *err)
{
    struct mlp made = {.n_layers = spec->n_hidden + 1,
                       .loss = spec->loss,
                       .loss_options = spec->loss_options};
    if (mlp_count(spec, &made.n_parameters, err) < 0)
        return -1;
    size_t at = 0;
    size_t fan_in = spec->n_inputs;
    for (size_t i = 0; i < made.n_layers; i++) {
        size_t fan_out = width_after(spec, i);
        made.layers[i] = (struct mlp_layer){
            .fan_in = fan_in,
            .fan_out = fan_out,
            .activation = i < spec->n_hidden ? spec->activation : spec->output_activation,
            .weights_at = at,
            .biases_at = at + fan_in * fan_out,
        };
        at += (fan_in + 1) * fan_out;
        fan_in = fan_out;
    }
    made.parameters = mem_new(made.n_parameters, sizeof *made.parameters, err);
    if (!made.parameters)
        return -1;
    *mlp = made;
    return 0;
}

void mlp_clear(struct mlp *mlp)
{
    free(mlp->parameters);
    *mlp = (struct mlp){0};
}

size_t mlp_n_inputs(const struct mlp *mlp)
{
    return mlp->layers[0].fan_in;
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
        memset(mlp->parameters + layer->biases_at, 0, layer->fan_out * sizeof *weights);
    }
}

/* --- workspace -------------------------------------------------------------------------- */

/* True when backpropagation needs the layer's z; the output layer's loss sees to its own. */
static bool keeps_input(const struct mlp *mlp, size_t l)
{
    return l + 1 < mlp->n_layers && act_needs_z(mlp->layers[l].activation);
}

int mlp_workspace_init(struct mlp_workspace *ws, const struct mlp *mlp, size_t max_rows,
                       int training, struct err *err)
{
    struct mlp_workspace made = {.max_rows = max_rows};
    size_t widest = 0;
    size_t columns = 0;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        size_t fan_out = mlp->layers[l].fan_out;
        widest = fan_out > widest ? fan_out : widest;
        columns += fan_out;
        if (training && keeps_input(mlp, l))
            columns += fan_out;
    }
    if (training)
        columns += 2 * widest;
    if (max_rows > INT_MAX) /* what BLAS can count */
        return err_set(err, ERR_TOO_LARGE, "too_many_rows", "at most %d rows at once",
                       INT_MAX);
    if (max_rows > 0 && columns > SIZE_MAX / sizeof(float) / max_rows)
        return err_no_memory(err);
    made.memory = mem_new(max_rows * columns, sizeof *made.memory, err);
    if (!made.memory)
        return -1;

    float *at = made.memory;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        made.activations[l] = at;
        at += max_rows * mlp->layers[l].fan_out;
        if (training && keeps_input(mlp, l)) {
            made.inputs[l] = at;
            at += max_rows * mlp->layers[l].fan_out;
        }
    }
    for (size_t i = 0; training && i < 2; i++)
        made.deltas[i] = at + i * max_rows * widest;
    *ws = made;
    return 0;
}

void mlp_workspace_clear(struct mlp_workspace *ws)
{
    free(ws->memory);
    *ws = (struct mlp_workspace){0};
}

/* --- forward ---------------------------------------------------------------------------- */

static void add_bias(float *restrict z, const float *restrict bias, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++, z += k) {
#pragma omp simd
        for (size_t j = 0; j < k; j++)
            z[j] += bias[j];
    }
}

/* z + b, then f unless the caller wants the pre-activations: a few rows at a time, which
 * are then still in the first-level cache when f reads them. `kept` (NULL: nobody wants it)
 * gets z + b. */
static void finish_layer(const struct mlp *mlp, size_t l, float *z, float *kept, size_t n,
                         bool activate)
{
    const size_t block = 4096;
    const struct mlp_layer *layer = &mlp->layers[l];
    const float *bias = mlp->parameters + layer->biases_at;
    size_t k = layer->fan_out;
    size_t step = k < block ? block / k : 1;
    for (size_t i = 0; i < n; i += step) {
        size_t rows = n - i < step ? n - i : step;
        add_bias(z + i * k, bias, rows, k);
        if (kept)
            memcpy(kept + i * k, z + i * k, rows * k * sizeof *z);
        if (activate)
            act_apply(layer->activation, z + i * k, rows, k);
    }
}

/* Runs all layers; the last one stays at its pre-activations unless `activate`. */
static float *run_layers(const struct mlp *mlp, struct mlp_workspace *ws, const float *x,
                         size_t n, bool activate)
{
    const float *in = x;
    float *out = NULL;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        out = ws->activations[l];
        mat_mul(in, mlp->parameters + layer->weights_at, out, n, layer->fan_in,
                layer->fan_out);
        finish_layer(mlp, l, out, ws->inputs[l], n, activate || l + 1 < mlp->n_layers);
        if (ws->dropout && l + 1 < mlp->n_layers)
            dropout_forward(ws->dropout, l, out, n);
        in = out;
    }
    return out;
}

const float *mlp_forward(const struct mlp *mlp, struct mlp_workspace *ws, const float *x,
                         size_t n)
{
    float *outputs = run_layers(mlp, ws, x, n, true);
    loss_apply_link(mlp->loss, outputs, n * mlp_n_outputs(mlp));
    return outputs;
}

/* --- backward --------------------------------------------------------------------------- */

/* sums [k] of the columns of a [n x k], in double: a full batch has many rows. */
static void sum_columns(const float *restrict a, float *restrict sums, size_t n, size_t k)
{
    for (size_t first = 0; first < k; first += 64) {
        size_t width = k - first < 64 ? k - first : 64;
        double sum[64] = {0};
        for (size_t i = 0; i < n; i++) {
            const float *row = a + i * k + first;
#pragma omp simd
            for (size_t j = 0; j < width; j++)
                sum[j] += (double)row[j];
        }
        for (size_t j = 0; j < width; j++)
            sums[first + j] = (float)sum[j];
    }
}

/* From delta [n x n_outputs] in ws->deltas[0], the gradient of all parameters. */
static void propagate_back(const struct mlp *mlp, struct mlp_workspace *ws,
                           const float *x, size_t n, float *gradient)
{
    float *delta = ws->deltas[0];
    float *below = ws->deltas[1];
    for (size_t l = mlp->n_layers; l-- > 0;) {
        const struct mlp_layer *layer = &mlp->layers[l];
        const float *in = l > 0 ? ws->activations[l - 1] : x;
        mat_mul_at(in, delta, gradient + layer->weights_at, n, layer->fan_in,
                   layer->fan_out);
        sum_columns(delta, gradient + layer->biases_at, n, layer->fan_out);
        if (l == 0)
            break; /* nobody needs the gradient of the inputs */
        mat_mul_bt(delta, mlp->parameters + layer->weights_at, below, n, layer->fan_out,
                   layer->fan_in);
        if (ws->dropout)
            dropout_backward(ws->dropout, l - 1, ws->activations[l - 1], below, n);
        act_backward(mlp->layers[l - 1].activation, in, ws->inputs[l - 1], below, n,
                     layer->fan_in);
        float *free_one = delta;
        delta = below;
        below = free_one;
    }
}

static double sum_of(const float *weights, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)weights[i];
    return sum;
}

double mlp_gradient_weighted(const struct mlp *mlp, struct mlp_workspace *ws,
                             const float *x, const float *t, const float *weights,
                             size_t n, float *gradient)
{
    const struct mlp_layer *last = &mlp->layers[mlp->n_layers - 1];
    const struct loss_rows rows = {t, weights, n, last->fan_out};
    float *z = run_layers(mlp, ws, x, n, false);
    float *delta = gradient ? ws->deltas[0] : NULL;
    double loss =
        loss_forward(mlp->loss, &mlp->loss_options, last->activation, z, &rows, delta);
    double total = weights ? sum_of(weights, n) : (double)n;
    double share = total > 0.0 ? 1.0 / total : 0.0; /* the loss is a mean over rows */
    if (gradient) {
        for (size_t i = 0; i < n * last->fan_out; i++)
            delta[i] *= (float)share;
        propagate_back(mlp, ws, x, n, gradient);
    }
    return total > 0.0 ? loss / total : 0.0;
}

double mlp_gradient(const struct mlp *mlp, struct mlp_workspace *ws, const float *x,
                    const float *t, size_t n, float *gradient)
{
    return mlp_gradient_weighted(mlp, ws, x, t, NULL, n, gradient);
}
