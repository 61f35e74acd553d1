#include "core/shadow.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/formula.h"

/* What one layer made of all rows; each [n x fan_out], owned. */
struct shadow_layer {
    double *normalized; /* x̂; without a normalisation z */
    double *arguments;  /* of the activation */
    double *outputs;    /* after dropout */
    double *delta;      /* ∂L/∂outputs, then ∂L/∂arguments, then ∂L/∂z */
    double *deviations; /* √(σ² + ε): of each neuron [fan_out] or, layer_norm, row [n] */
};

struct shadow {
    const struct shadow_objective *objective; /* borrowed */
    double *parameters;                       /* owned [n_parameters] */
    double total;                             /* Σ weight */
    /* owned [n x fan_in of the first layer]: */
    double *columns;      /* x and its embeddings */
    double *inputs;       /* columns ∘ s */
    double *inputs_delta; /* ∂L/∂inputs, then ∂L/∂columns */
    struct shadow_layer layers[MLP_LAYERS_MAX];
    size_t n_sides;
    unsigned char
        *sides; /* owned [n_sides]: layer by layer, then loss, then parameters */
};

/* --- normalisation ---------------------------------------------------------------------- */

/* z [count], `stride` apart, becomes x̂; returns √(σ² + ε). */
static double normalize(double *z, size_t count, size_t stride)
{
    double mean = 0.0;
    double variance = 0.0;
    for (size_t i = 0; i < count; i++)
        mean += z[i * stride] / (double)count;
    for (size_t i = 0; i < count; i++)
        variance += pow(z[i * stride] - mean, 2.0) / (double)count;
    double deviation = sqrt(variance + MLP_NORM_EPSILON);
    for (size_t i = 0; i < count; i++)
        z[i * stride] = (z[i * stride] - mean) / deviation;
    return deviation;
}

/* delta = ∂L/∂x̂ becomes ∂L/∂z = (∂L/∂x̂ − mean(∂L/∂x̂) − x̂ mean(x̂ ∂L/∂x̂)) / √(σ² + ε). */
static void normalize_back(double *delta, const double *hat, double deviation,
                           size_t count, size_t stride)
{
    double mean = 0.0;
    double along = 0.0;
    for (size_t i = 0; i < count; i++) {
        mean += delta[i * stride] / (double)count;
        along += delta[i * stride] * hat[i * stride] / (double)count;
    }
    for (size_t i = 0; i < count; i++)
        delta[i * stride] =
            (delta[i * stride] - mean - hat[i * stride] * along) / deviation;
}

/* --- forward ---------------------------------------------------------------------------- */

static double column_scale(const struct shadow *s, size_t i)
{
    return s->objective->mlp->has_scales ? s->parameters[i] : 1.0;
}

/* Where the parameters w [m], b [m], V [m x width], v [width] of embedding e start. */
static size_t embedding_at(const struct mlp *mlp, size_t e)
{
    const struct periodic *p = &mlp->periodic;
    size_t m = p->n_frequencies;
    return mlp->periodic_at + e * (m + m + m * p->width + p->width);
}

/* The input of the row that embedding e is of. */
static double embedded_input(const struct shadow *s, size_t row, size_t e)
{
    const struct periodic *p = &s->objective->mlp->periodic;
    return (double)s->objective->x[row * p->n_inputs + p->inputs[e]];
}

/* What the first layer sees. */
static void forward_inputs(struct shadow *s)
{
    const struct mlp *mlp = s->objective->mlp;
    const struct periodic *p = &mlp->periodic;
    size_t fan_in = mlp->layers[0].fan_in;
    for (size_t row = 0; row < s->objective->n; row++) {
        double *columns = s->columns + row * fan_in;
        for (size_t i = 0; i < p->n_inputs; i++)
            columns[i] = (double)s->objective->x[row * p->n_inputs + i];
        for (size_t e = 0; e < p->n; e++)
            formula_embed(p, s->parameters + embedding_at(mlp, e),
                          embedded_input(s, row, e),
                          columns + p->n_inputs + e * p->width);
        for (size_t i = 0; i < fan_in; i++)
            s->inputs[row * fan_in + i] = columns[i] * column_scale(s, i);
    }
}

/* What dropout multiplies output j of a row of layer l by. */
static double mask_of(const struct shadow *s, size_t l, size_t row, size_t j)
{
    const struct dropout *dropout = s->objective->dropout;
    if (!dropout || l >= dropout->n_layers || dropout->layers[l].threshold == 0)
        return 1.0;
    return (double)dropout->layers[l].mask[row * dropout->layers[l].width + j];
}

static const double *inputs_of(const struct shadow *s, size_t l)
{
    return l > 0 ? s->layers[l - 1].outputs : s->inputs;
}

/* z = c x W, and x̂ of it. */
static void forward_weights(struct shadow *s, size_t l)
{
    const struct mlp_layer *layer = &s->objective->mlp->layers[l];
    const double *in = inputs_of(s, l);
    const double *w = s->parameters + layer->weights_at;
    struct shadow_layer *made = &s->layers[l];
    size_t n = s->objective->n;
    size_t k = layer->fan_out;
    for (size_t row = 0; row < n; row++)
        for (size_t j = 0; j < k; j++) {
            double z = 0.0;
            for (size_t i = 0; i < layer->fan_in; i++)
                z += in[row * layer->fan_in + i] * w[i * k + j];
            made->normalized[row * k + j] = (double)layer->factor * z;
        }
    for (size_t j = 0; layer->normalization == MLP_BATCH_NORM && j < k; j++)
        made->deviations[j] = normalize(made->normalized + j, n, k);
    for (size_t row = 0; layer->normalization == MLP_LAYER_NORM && row < n; row++)
        made->deviations[row] = normalize(made->normalized + row * k, k, 1);
}

/* Outputs of the layer; returns where the sides go on. */
static unsigned char *forward_layer(struct shadow *s, size_t l, unsigned char *sides)
{
    const struct mlp_layer *layer = &s->objective->mlp->layers[l];
    struct shadow_layer *made = &s->layers[l];
    bool has_gains = layer->normalization != MLP_NORMALIZATION_NONE;
    forward_weights(s, l);
    for (size_t row = 0; row < s->objective->n; row++)
        for (size_t j = 0; j < layer->fan_out; j++) {
            size_t at = row * layer->fan_out + j;
            double gain = has_gains ? s->parameters[layer->gains_at + j] : 1.0;
            double z = gain * made->normalized[at] + s->parameters[layer->biases_at + j];
            made->arguments[at] = z;
            made->outputs[at] = formula_act(layer->activation, z) * mask_of(s, l, row, j);
            *sides++ = formula_act_has_kink(layer->activation) && z > 0.0;
        }
    return sides;
}

/* What the loss is taken on: [n x n_outputs]. */
static const double *predictions(const struct shadow *s)
{
    const struct mlp *mlp = s->objective->mlp;
    const struct shadow_layer *last = &s->layers[mlp->n_layers - 1];
    return formula_loss_is_of_logits(mlp->loss) ? last->arguments : last->outputs;
}

/* Loss of one row. */
static double row_loss(const struct shadow *s, size_t row, unsigned char *sides)
{
    const struct mlp *mlp = s->objective->mlp;
    size_t k = mlp->layers[mlp->n_layers - 1].fan_out;
    const double *y = predictions(s) + row * k;
    const float *t = s->objective->t;
    double loss = 0.0;
    if (mlp->loss == LOSS_CROSS_ENTROPY)
        return formula_cross_entropy(y, (size_t)t[row], k,
                                     mlp->loss_options.label_smoothing);
    for (size_t j = 0; j < k; j++) {
        loss += formula_loss(mlp->loss, &mlp->loss_options, y[j], (double)t[row * k + j]);
        sides[j] = formula_loss_side(mlp->loss, &mlp->loss_options, y[j],
                                     (double)t[row * k + j]);
    }
    return loss;
}

/* The row's weight as a share of all. */
static double row_share(const struct shadow *s, size_t row)
{
    const float *weights = s->objective->weights;
    return weights ? (double)weights[row] / s->total : 1.0 / s->total;
}

/* sum += term, keeping what rounding loses (Neumaier 1974): L is to be differentiated. */
struct sum {
    double total;
    double lost;
};

static void add(struct sum *sum, double term)
{
    double total = sum->total + term;
    sum->lost += fabs(sum->total) >= fabs(term) ? (sum->total - total) + term
                                                : (term - total) + sum->total;
    sum->total = total;
}

static void add_penalties(const struct shadow *s, struct sum *sum, unsigned char *sides)
{
    const struct mlp *mlp = s->objective->mlp;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        for (size_t i = 0; i < layer->fan_in * layer->fan_out; i++) {
            double w = s->parameters[layer->weights_at + i];
            add(sum, 0.5 * s->objective->l2 * w * w);
            add(sum, s->objective->l1 * fabs(w));
            sides[layer->weights_at + i] = s->objective->l1 > 0.0 && w > 0.0;
        }
    }
}

double shadow_loss(struct shadow *s)
{
    const struct shadow_objective *o = s->objective;
    size_t k = o->mlp->layers[o->mlp->n_layers - 1].fan_out;
    unsigned char *sides = s->sides;
    struct sum sum = {0};
    forward_inputs(s);
    for (size_t l = 0; l < o->mlp->n_layers; l++)
        sides = forward_layer(s, l, sides);
    for (size_t row = 0; row < o->n; row++, sides += k)
        add(&sum, row_share(s, row) * row_loss(s, row, sides));
    add_penalties(s, &sum, sides);
    return sum.total + sum.lost;
}

/* --- backward --------------------------------------------------------------------------- */

/* ∂L/∂arguments of the output layer. */
static void loss_back(struct shadow *s)
{
    const struct shadow_objective *o = s->objective;
    const struct mlp *mlp = o->mlp;
    const struct mlp_layer *layer = &mlp->layers[mlp->n_layers - 1];
    struct shadow_layer *last = &s->layers[mlp->n_layers - 1];
    size_t k = layer->fan_out;
    for (size_t row = 0; row < o->n && mlp->loss == LOSS_CROSS_ENTROPY; row++)
        formula_cross_entropy_slopes(last->arguments + row * k, (size_t)o->t[row], k,
                                     mlp->loss_options.label_smoothing,
                                     last->delta + row * k);
    for (size_t i = 0; i < o->n * k; i++) {
        if (mlp->loss != LOSS_CROSS_ENTROPY)
            last->delta[i] = formula_loss_slope(mlp->loss, &mlp->loss_options,
                                                predictions(s)[i], (double)o->t[i]);
        if (!formula_loss_is_of_logits(mlp->loss))
            last->delta[i] *= formula_act_slope(layer->activation, last->arguments[i]);
        last->delta[i] *= row_share(s, i / k);
    }
}

/* ∂L/∂outputs of a hidden layer becomes ∂L/∂arguments. */
static void activation_back(struct shadow *s, size_t l)
{
    const struct mlp_layer *layer = &s->objective->mlp->layers[l];
    struct shadow_layer *made = &s->layers[l];
    for (size_t row = 0; row < s->objective->n; row++)
        for (size_t j = 0; j < layer->fan_out; j++) {
            size_t at = row * layer->fan_out + j;
            made->delta[at] *= mask_of(s, l, row, j) *
                               formula_act_slope(layer->activation, made->arguments[at]);
        }
}

/* ∂L/∂arguments becomes ∂L/∂z; the gradients of biases and gains. */
static void normalization_back(struct shadow *s, size_t l, double *gradient)
{
    const struct mlp_layer *layer = &s->objective->mlp->layers[l];
    struct shadow_layer *made = &s->layers[l];
    size_t n = s->objective->n;
    size_t k = layer->fan_out;
    for (size_t i = 0; i < n * k; i++) {
        size_t j = i % k;
        gradient[layer->biases_at + j] += made->delta[i];
        if (layer->normalization == MLP_NORMALIZATION_NONE)
            continue;
        gradient[layer->gains_at + j] += made->delta[i] * made->normalized[i];
        made->delta[i] *= s->parameters[layer->gains_at + j];
    }
    for (size_t j = 0; layer->normalization == MLP_BATCH_NORM && j < k; j++)
        normalize_back(made->delta + j, made->normalized + j, made->deviations[j], n, k);
    for (size_t row = 0; layer->normalization == MLP_LAYER_NORM && row < n; row++)
        normalize_back(made->delta + row * k, made->normalized + row * k,
                       made->deviations[row], k, 1);
}

/* From ∂L/∂z the gradient of the weights, and ∂L/∂inputs. */
static void weights_back(struct shadow *s, size_t l, double *gradient)
{
    const struct mlp_layer *layer = &s->objective->mlp->layers[l];
    const double *in = inputs_of(s, l);
    double *below = l > 0 ? s->layers[l - 1].delta : s->inputs_delta;
    double c = (double)layer->factor;
    size_t k = layer->fan_out;
    for (size_t i = 0; i < s->objective->n * layer->fan_in; i++) {
        const double *delta = s->layers[l].delta + i / layer->fan_in * k;
        size_t weights = layer->weights_at + i % layer->fan_in * k;
        below[i] = 0.0;
        for (size_t j = 0; j < k; j++) {
            gradient[weights + j] += c * in[i] * delta[j];
            below[i] += c * s->parameters[weights + j] * delta[j];
        }
    }
}

static void penalties_back(const struct shadow *s, double *gradient)
{
    const struct mlp *mlp = s->objective->mlp;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        for (size_t i = 0; i < layer->fan_in * layer->fan_out; i++) {
            double w = s->parameters[layer->weights_at + i];
            gradient[layer->weights_at + i] +=
                s->objective->l2 * w + s->objective->l1 * formula_sign(w);
        }
    }
}

/* From ∂L/∂inputs the gradients of scales and embeddings. */
static void inputs_back(struct shadow *s, double *gradient)
{
    const struct mlp *mlp = s->objective->mlp;
    const struct periodic *p = &mlp->periodic;
    size_t fan_in = mlp->layers[0].fan_in;
    for (size_t i = 0; i < s->objective->n * fan_in; i++) {
        if (mlp->has_scales)
            gradient[i % fan_in] += s->columns[i] * s->inputs_delta[i];
        s->inputs_delta[i] *= column_scale(s, i % fan_in);
    }
    for (size_t row = 0; row < s->objective->n; row++)
        for (size_t e = 0; e < p->n; e++)
            formula_embed_back(
                p, s->parameters + embedding_at(mlp, e), embedded_input(s, row, e),
                s->inputs_delta + row * fan_in + p->n_inputs + e * p->width,
                gradient + embedding_at(mlp, e));
}

double shadow_gradient(struct shadow *s, double *gradient)
{
    const struct shadow_objective *o = s->objective;
    double loss = shadow_loss(s);
    for (size_t i = 0; i < o->mlp->n_parameters; i++)
        gradient[i] = 0.0;
    loss_back(s);
    for (size_t l = o->mlp->n_layers; l-- > 0;) {
        if (l + 1 < o->mlp->n_layers)
            activation_back(s, l);
        normalization_back(s, l, gradient);
        weights_back(s, l, gradient);
    }
    inputs_back(s, gradient);
    penalties_back(s, gradient);
    return loss;
}

/* --- life ------------------------------------------------------------------------------- */

double *shadow_parameters(struct shadow *s)
{
    return s->parameters;
}

const unsigned char *shadow_sides(const struct shadow *s, size_t *n)
{
    *n = s->n_sides;
    return s->sides;
}

static int new_layer(struct shadow_layer *made, size_t n, size_t k, struct err *err)
{
    made->normalized = mem_new(n * k, sizeof(double), err);
    made->arguments = mem_new(n * k, sizeof(double), err);
    made->outputs = mem_new(n * k, sizeof(double), err);
    made->delta = mem_new(n * k, sizeof(double), err);
    made->deviations = mem_new(n > k ? n : k, sizeof(double), err);
    return made->normalized && made->arguments && made->outputs && made->delta &&
                   made->deviations
               ? 0
               : -1;
}

static int new_arrays(struct shadow *s, struct err *err)
{
    const struct mlp *mlp = s->objective->mlp;
    size_t n = s->objective->n;
    size_t fan_in = mlp->layers[0].fan_in;
    size_t units = mlp->layers[mlp->n_layers - 1].fan_out; /* of the loss */
    for (size_t l = 0; l < mlp->n_layers; l++)
        units += mlp->layers[l].fan_out;
    /* At most 65 · 10^6 units, and the parameters are in memory. */
    if (n > SIZE_MAX / 2 / (units + fan_in))
        return err_no_memory(err);
    s->n_sides = n * units + mlp->n_parameters;
    s->sides = mem_new(s->n_sides, 1, err);
    s->parameters = mem_new(mlp->n_parameters, sizeof(double), err);
    s->columns = mem_new(n * fan_in, sizeof(double), err);
    s->inputs = mem_new(n * fan_in, sizeof(double), err);
    s->inputs_delta = mem_new(n * fan_in, sizeof(double), err);
    if (!s->sides || !s->parameters || !s->columns || !s->inputs || !s->inputs_delta)
        return -1;
    for (size_t l = 0; l < mlp->n_layers; l++)
        if (new_layer(&s->layers[l], n, mlp->layers[l].fan_out, err) < 0)
            return -1;
    return 0;
}

int shadow_new(const struct shadow_objective *objective, struct shadow **shadow,
               struct err *err)
{
    struct shadow *made = mem_new(1, sizeof *made, err);
    if (!made)
        return -1;
    made->objective = objective;
    if (new_arrays(made, err) < 0) {
        shadow_free(made);
        return -1;
    }
    for (size_t i = 0; i < objective->n; i++)
        made->total += objective->weights ? (double)objective->weights[i] : 1.0;
    for (size_t i = 0; i < objective->mlp->n_parameters; i++)
        made->parameters[i] = (double)objective->mlp->parameters[i];
    *shadow = made;
    return 0;
}

void shadow_free(struct shadow *s)
{
    if (!s)
        return;
    for (size_t l = 0; l < MLP_LAYERS_MAX; l++) {
        free(s->layers[l].normalized);
        free(s->layers[l].arguments);
        free(s->layers[l].outputs);
        free(s->layers[l].delta);
        free(s->layers[l].deviations);
    }
    free(s->inputs_delta);
    free(s->inputs);
    free(s->columns);
    free(s->parameters);
    free(s->sides);
    free(s);
}
