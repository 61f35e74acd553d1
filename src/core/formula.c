#include "core/formula.h"

#include <math.h>

/* --- activations ------------------------------------------------------------------------ */

static const double selu_lambda = 1.0507009873554804934193349852946;
static const double selu_alpha = 1.6732632423543772848170429916717;

static double sigmoid(double z)
{
    return 1.0 / (1.0 + exp(-z));
}

static double softplus(double z)
{
    return fmax(z, 0.0) + log1p(exp(-fabs(z)));
}

static double normal_share(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

double formula_act(enum act act, double z)
{
    switch (act) {
    case ACT_LOGISTIC:
        return sigmoid(z);
    case ACT_TANH:
        return tanh(z);
    case ACT_RELU:
        return z > 0.0 ? z : 0.0;
    case ACT_LEAKY_RELU:
        return z > 0.0 ? z : 0.01 * z;
    case ACT_ELU:
        return z > 0.0 ? z : expm1(z);
    case ACT_SELU:
        return selu_lambda * (z > 0.0 ? z : selu_alpha * expm1(z));
    case ACT_GELU:
        return z * normal_share(z);
    case ACT_SILU:
        return z * sigmoid(z);
    case ACT_MISH:
        return z * tanh(softplus(z));
    case ACT_SOFTPLUS:
        return softplus(z);
    case ACT_STEP:
        return z > 0.0 ? 1.0 : 0.0;
    case ACT_IDENTITY:
    case ACT_SOFTMAX: /* belongs to the loss of a whole row */
    case ACT_COUNT:
        break;
    }
    return z;
}

double formula_act_slope(enum act act, double z)
{
    double f = formula_act(act, z);
    switch (act) {
    case ACT_LOGISTIC:
        return f * (1.0 - f);
    case ACT_TANH:
        return 1.0 - f * f;
    case ACT_RELU:
        return z > 0.0 ? 1.0 : 0.0;
    case ACT_LEAKY_RELU:
        return z > 0.0 ? 1.0 : 0.01;
    case ACT_ELU:
        return z > 0.0 ? 1.0 : exp(z);
    case ACT_SELU:
        return selu_lambda * (z > 0.0 ? 1.0 : selu_alpha * exp(z));
    case ACT_GELU: /* Φ + z φ */
        return normal_share(z) + z * exp(-0.5 * z * z) / sqrt(2.0 * acos(-1.0));
    case ACT_SILU:
        return sigmoid(z) * (1.0 + z * (1.0 - sigmoid(z)));
    case ACT_MISH:
        return tanh(softplus(z)) + z * sigmoid(z) / pow(cosh(softplus(z)), 2.0);
    case ACT_SOFTPLUS:
        return sigmoid(z);
    case ACT_STEP:
        return 0.0;
    case ACT_IDENTITY:
    case ACT_SOFTMAX:
    case ACT_COUNT:
        break;
    }
    return 1.0;
}

bool formula_act_has_kink(enum act act)
{
    return act == ACT_RELU || act == ACT_LEAKY_RELU || act == ACT_ELU ||
           act == ACT_SELU || act == ACT_STEP;
}

/* --- losses ----------------------------------------------------------------------------- */

double formula_sign(double x)
{
    return (x > 0.0) - (x < 0.0);
}

bool formula_loss_is_of_logits(enum loss loss)
{
    return loss == LOSS_POISSON || loss == LOSS_BINARY_CROSS_ENTROPY ||
           loss == LOSS_CROSS_ENTROPY;
}

double formula_loss(enum loss loss, const struct loss_options *o, double y, double t)
{
    double miss = y - t;
    double target;
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return 0.5 * miss * miss;
    case LOSS_ABSOLUTE_ERROR:
        return fabs(miss);
    case LOSS_HUBER:
        return fabs(miss) <= o->delta ? 0.5 * miss * miss
                                      : o->delta * (fabs(miss) - 0.5 * o->delta);
    case LOSS_ASYMMETRIC_SQUARED:
        return miss * miss * (miss > 0.0 ? o->over : o->under);
    case LOSS_QUANTILE:
        return miss > 0.0 ? (1.0 - o->q) * miss : -o->q * miss;
    case LOSS_POISSON:
        return exp(y) - t * y;
    case LOSS_BINARY_CROSS_ENTROPY: /* −log p = log(1 + e^−z) */
        target = t * (1.0 - o->label_smoothing) + 0.5 * o->label_smoothing;
        return target * softplus(-y) + (1.0 - target) * softplus(y);
    case LOSS_CROSS_ENTROPY:
    case LOSS_COUNT:
        break;
    }
    return 0.0;
}

double formula_loss_slope(enum loss loss, const struct loss_options *o, double y,
                          double t)
{
    double miss = y - t;
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return miss;
    case LOSS_ABSOLUTE_ERROR:
        return formula_sign(miss);
    case LOSS_HUBER:
        return fabs(miss) <= o->delta ? miss : o->delta * formula_sign(miss);
    case LOSS_ASYMMETRIC_SQUARED:
        return 2.0 * miss * (miss > 0.0 ? o->over : o->under);
    case LOSS_QUANTILE:
        return formula_sign(miss) * (miss > 0.0 ? 1.0 - o->q : o->q);
    case LOSS_POISSON:
        return exp(y) - t;
    case LOSS_BINARY_CROSS_ENTROPY:
        return sigmoid(y) - (t * (1.0 - o->label_smoothing) + 0.5 * o->label_smoothing);
    case LOSS_CROSS_ENTROPY:
    case LOSS_COUNT:
        break;
    }
    return 0.0;
}

unsigned char formula_loss_side(enum loss loss, const struct loss_options *o, double y,
                                double t)
{
    switch (loss) {
    case LOSS_ABSOLUTE_ERROR:
    case LOSS_ASYMMETRIC_SQUARED:
    case LOSS_QUANTILE:
        return y > t;
    case LOSS_HUBER:
        return (unsigned char)((y > t - o->delta) + (y > t + o->delta));
    case LOSS_SQUARED_ERROR:
    case LOSS_POISSON:
    case LOSS_BINARY_CROSS_ENTROPY:
    case LOSS_CROSS_ENTROPY:
    case LOSS_COUNT:
        break;
    }
    return 0;
}

static double log_of_sum(const double *z, size_t k)
{
    double largest = z[0];
    double sum = 0.0;
    for (size_t j = 1; j < k; j++)
        largest = fmax(largest, z[j]);
    for (size_t j = 0; j < k; j++)
        sum += exp(z[j] - largest);
    return largest + log(sum);
}

static double target_of(double smoothing, bool is_class, size_t k)
{
    return smoothing / (double)k + (is_class ? 1.0 - smoothing : 0.0);
}

/* log p_j = z_j − log Σ e^z. */
double formula_cross_entropy(const double *z, size_t class, size_t k, double smoothing)
{
    double whole = log_of_sum(z, k);
    double loss = 0.0;
    for (size_t j = 0; j < k; j++)
        loss -= target_of(smoothing, j == class, k) * (z[j] - whole);
    return loss;
}

void formula_cross_entropy_slopes(const double *z, size_t class, size_t k,
                                  double smoothing, double *slopes)
{
    double whole = log_of_sum(z, k);
    for (size_t j = 0; j < k; j++)
        slopes[j] = exp(z[j] - whole) - target_of(smoothing, j == class, k);
}

/* --- embeddings: w [m], b [m], V [m x width], v [width] ---------------------------------- */

static double angle_of(const struct periodic *p, const double *w, size_t k, double x)
{
    return 2.0 * acos(-1.0) * w[k] * x + w[p->n_frequencies + k];
}

void formula_embed(const struct periodic *p, const double *w, double x, double *columns)
{
    size_t m = p->n_frequencies;
    const double *map = w + 2 * m;
    for (size_t j = 0; j < p->width; j++) {
        columns[j] = map[m * p->width + j];
        for (size_t k = 0; k < m; k++)
            columns[j] += cos(angle_of(p, w, k, x)) * map[k * p->width + j];
    }
}

void formula_embed_back(const struct periodic *p, const double *w, double x,
                        const double *delta, double *gradient)
{
    size_t m = p->n_frequencies;
    for (size_t j = 0; j < p->width; j++) {
        gradient[2 * m + m * p->width + j] += delta[j];
        for (size_t k = 0; k < m; k++) {
            size_t map = 2 * m + k * p->width + j;
            double slope = -sin(angle_of(p, w, k, x)) * w[map] * delta[j];
            gradient[map] += cos(angle_of(p, w, k, x)) * delta[j];
            gradient[k] += 2.0 * acos(-1.0) * x * slope;
            gradient[m + k] += slope;
        }
    }
}
