#include "core/gradcheck.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/pass.h"

/* The net once more, in float64 and the plainest loops, sharing no code with mlp, act, loss
 * or BLAS: a mistake there cannot hide itself here. */
struct shadow {
    const struct mlp *mlp; /* borrowed: shapes only */
    const float *x;        /* borrowed */
    const float *t;        /* borrowed */
    const float *weights;  /* borrowed; NULL: all 1 */
    size_t n;
    double *parameters;      /* owned [n_parameters] */
    double *rows[2];         /* owned [widest]: one row, in and out of a layer */
    unsigned char *signs[2]; /* owned [n x (units + outputs)]: the side of each kink that
                                units and losses are on, at w − h and at w + h */
    size_t n_signs;
    double *differences; /* owned [n_parameters]: ĝ, NaN where a kink was crossed */
};

static double shadow_act(enum act act, double z)
{
    const double lambda = 1.0507009873554804934193349852946;
    const double alpha = 1.6732632423543772848170429916717;
    switch (act) {
    case ACT_LOGISTIC:
        return 1.0 / (1.0 + exp(-z));
    case ACT_TANH:
        return tanh(z);
    case ACT_RELU:
        return z > 0.0 ? z : 0.0;
    case ACT_LEAKY_RELU:
        return z > 0.0 ? z : 0.01 * z;
    case ACT_ELU:
        return z > 0.0 ? z : exp(z) - 1.0;
    case ACT_SELU:
        return lambda * (z > 0.0 ? z : alpha * (exp(z) - 1.0));
    case ACT_GELU:
        return 0.5 * z * erfc(-z / sqrt(2.0));
    case ACT_SILU:
        return z / (1.0 + exp(-z));
    case ACT_MISH:
        return z * tanh(log(1.0 + exp(z)));
    case ACT_SOFTPLUS:
        return log(1.0 + exp(z));
    case ACT_STEP:
        return z > 0.0 ? 1.0 : 0.0;
    case ACT_IDENTITY:
    case ACT_SOFTMAX: /* belongs to the loss of a whole row */
    case ACT_COUNT:
        break;
    }
    return z;
}

static bool has_kink(enum act act)
{
    return act == ACT_RELU || act == ACT_LEAKY_RELU || act == ACT_SELU || act == ACT_STEP;
}

static bool loss_has_kink(enum loss loss)
{
    return loss == LOSS_ABSOLUTE_ERROR || loss == LOSS_QUANTILE;
}

/* Loss of one output y and its target. */
static double shadow_element(const struct mlp *mlp, double y, double t)
{
    const struct loss_options *o = &mlp->loss_options;
    double miss = t - y;
    double target;
    switch (mlp->loss) {
    case LOSS_SQUARED_ERROR:
        return 0.5 * miss * miss;
    case LOSS_ABSOLUTE_ERROR:
        return fabs(miss);
    case LOSS_HUBER:
        return fabs(miss) <= o->delta ? 0.5 * miss * miss
                                      : o->delta * (fabs(miss) - 0.5 * o->delta);
    case LOSS_ASYMMETRIC_SQUARED:
        return miss * miss * (miss < 0.0 ? o->over : o->under);
    case LOSS_QUANTILE:
        return miss >= 0.0 ? o->q * miss : (o->q - 1.0) * miss;
    case LOSS_POISSON:
        return exp(y) - t * y;
    case LOSS_BINARY_CROSS_ENTROPY: /* −log p = log(1 + e^−z) */
        target = t * (1.0 - o->label_smoothing) + 0.5 * o->label_smoothing;
        return target * log1p(exp(-y)) + (1.0 - target) * log1p(exp(y));
    case LOSS_CROSS_ENTROPY:
    case LOSS_COUNT:
        break;
    }
    return 0.0;
}

/* −Σ_j target_j log p_j, log p_j = z_j − log Σ e^z. */
static double shadow_cross_entropy(const double *z, size_t class, size_t k,
                                   double smoothing)
{
    double sum = 0.0;
    double loss = 0.0;
    for (size_t j = 0; j < k; j++)
        sum += exp(z[j]);
    for (size_t j = 0; j < k; j++) {
        double target = smoothing / (double)k + (j == class ? 1.0 - smoothing : 0.0);
        loss -= target * (z[j] - log(sum));
    }
    return loss;
}

/* Loss of one row from its pre-activations z [k]; notes the side of the target that each
 * output is on in signs [k]. */
static double shadow_loss(const struct mlp *mlp, const double *z, const float *t,
                          size_t k, unsigned char *signs)
{
    enum act output = mlp->layers[mlp->n_layers - 1].activation;
    double sum = 0.0;
    if (mlp->loss == LOSS_CROSS_ENTROPY)
        return shadow_cross_entropy(z, (size_t)*t, k, mlp->loss_options.label_smoothing);
    for (size_t j = 0; j < k; j++) {
        bool is_logit = mlp->loss == LOSS_BINARY_CROSS_ENTROPY;
        double y = is_logit ? z[j] : shadow_act(output, z[j]);
        signs[j] = loss_has_kink(mlp->loss) && y > (double)t[j];
        sum += shadow_element(mlp, y, (double)t[j]);
    }
    return sum;
}

/* One row through all layers: its loss. Notes the sides of kinks in signs. */
static double shadow_row(struct shadow *s, size_t row, unsigned char *signs)
{
    const struct mlp *mlp = s->mlp;
    size_t n_inputs = mlp_n_inputs(mlp);
    size_t k = mlp_n_outputs(mlp);
    double *in = s->rows[0];
    double *out = s->rows[1];
    for (size_t i = 0; i < n_inputs; i++)
        in[i] = (double)s->x[row * n_inputs + i];
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        const double *w = s->parameters + layer->weights_at;
        bool is_last = l + 1 == mlp->n_layers;
        for (size_t j = 0; j < layer->fan_out; j++) {
            double z = s->parameters[layer->biases_at + j];
            for (size_t i = 0; i < layer->fan_in; i++)
                z += in[i] * w[i * layer->fan_out + j];
            *signs++ = has_kink(layer->activation) && z > 0.0;
            out[j] = is_last ? z : shadow_act(layer->activation, z);
        }
        double *swap = in;
        in = out;
        out = swap;
    }
    size_t n_targets = mlp->loss == LOSS_CROSS_ENTROPY ? 1 : k;
    return shadow_loss(mlp, in, s->t + row * n_targets, k, signs);
}

static double shadow_mean(struct shadow *s, unsigned char *signs)
{
    size_t units = s->n_signs / s->n;
    double sum = 0.0;
    double total = 0.0;
    for (size_t i = 0; i < s->n; i++) {
        double weight = s->weights ? (double)s->weights[i] : 1.0;
        sum += weight * shadow_row(s, i, signs + i * units);
        total += weight;
    }
    return sum / total;
}

/* Central difference of parameter p; NaN when a kink lies between both ends, where the
 * difference is not the derivative. */
static double shadow_difference(struct shadow *s, size_t p)
{
    double w = s->parameters[p];
    double h = 1e-6 * fmax(1.0, fabs(w));
    s->parameters[p] = w - h;
    double low = shadow_mean(s, s->signs[0]);
    s->parameters[p] = w + h;
    double high = shadow_mean(s, s->signs[1]);
    s->parameters[p] = w;
    if (memcmp(s->signs[0], s->signs[1], s->n_signs) != 0)
        return (double)NAN;
    return (high - low) / (2.0 * h);
}

static int shadow_init(struct shadow *s, struct err *err)
{
    const struct mlp *mlp = s->mlp;
    size_t widest = mlp_n_inputs(mlp);
    size_t units = mlp_n_outputs(mlp); /* of the loss */
    for (size_t l = 0; l < mlp->n_layers; l++) {
        units += mlp->layers[l].fan_out;
        if (mlp->layers[l].fan_out > widest)
            widest = mlp->layers[l].fan_out;
    }
    if (units > SIZE_MAX / s->n) {
        err_no_memory(err);
        return -1;
    }
    s->n_signs = s->n * units;
    s->parameters = mem_new(mlp->n_parameters, sizeof *s->parameters, err);
    s->differences = mem_new(mlp->n_parameters, sizeof *s->differences, err);
    if (!s->parameters || !s->differences)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        s->rows[i] = mem_new(widest, sizeof *s->rows[i], err);
        s->signs[i] = mem_new(s->n_signs, 1, err);
        if (!s->rows[i] || !s->signs[i])
            return -1;
    }
    for (size_t p = 0; p < mlp->n_parameters; p++)
        s->parameters[p] = (double)mlp->parameters[p];
    return 0;
}

static void shadow_clear(struct shadow *s)
{
    for (size_t i = 0; i < 2; i++) {
        free(s->signs[i]);
        free(s->rows[i]);
    }
    free(s->differences);
    free(s->parameters);
}

/* Fills row l of the result from ĝ [n] and g [n] of that layer. */
static int compare_layer(const double *differences, const float *gradient, size_t n,
                         size_t l, struct gradcheck *result, struct err *err)
{
    double largest = 0.0;
    double squares = 0.0;
    bool has_gradient = false;
    for (size_t i = 0; i < n; i++) {
        has_gradient = has_gradient || gradient[i] != 0.0F;
        if (isnan(differences[i]))
            continue;
        largest = fmax(largest, fabs(differences[i]));
        squares += differences[i] * differences[i];
    }
    if (!has_gradient || largest == 0.0)
        return err_set(err, ERR_INVALID, "zero_gradient",
                       "layer %zu has no gradient, so the check proves nothing", l);
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        double g = (double)gradient[i];
        if (isnan(differences[i]))
            continue;
        double error = fabs(g - differences[i]) /
                       fmax(fabs(g) + fabs(differences[i]), 1e-3 * largest);
        if (isnan(error) || error > worst) /* a NaN is kept: nothing is greater */
            worst = error;
    }
    result->largest_error[l] = worst;
    result->gradient_norm[l] = sqrt(squares);
    return 0;
}

static int compare(const struct shadow *s, const float *gradient,
                   struct gradcheck *result, struct err *err)
{
    for (size_t l = 0; l < s->mlp->n_layers; l++) {
        const struct mlp_layer *layer = &s->mlp->layers[l];
        size_t at = layer->weights_at;
        size_t n = (layer->fan_in + 1) * layer->fan_out;
        if (compare_layer(s->differences + at, gradient + at, n, l, result, err) < 0)
            return -1;
    }
    return 0;
}

int gradcheck_run(const struct mlp *mlp, const float *x, const float *t,
                  const float *weights, size_t n, struct gradcheck *result,
                  struct err *err)
{
    struct shadow s = {.mlp = mlp, .x = x, .t = t, .weights = weights, .n = n};
    struct pass *ws = NULL;
    struct gradcheck made = {0};
    float *gradient = NULL;
    int rc = -1;
    if (n == 0)
        return err_set(err, ERR_INVALID, "zero_gradient", "no rows give no gradient");
    gradient = mem_new(mlp->n_parameters, sizeof *gradient, err);
    if (!gradient || pass_new(mlp, n, true, &ws, err) < 0 || shadow_init(&s, err) < 0)
        goto out;
    pass_gradient(ws, x, t, weights, n, gradient);
    for (size_t p = 0; p < mlp->n_parameters; p++)
        s.differences[p] = shadow_difference(&s, p);
    if (compare(&s, gradient, &made, err) < 0)
        goto out;
    *result = made;
    rc = 0;
out:
    shadow_clear(&s);
    pass_free(ws);
    free(gradient);
    return rc;
}
