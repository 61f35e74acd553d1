#include "core/loss.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/vec.h"

#define BLOCK 256 /* elements handled at a time, on the stack */

/* --- losses of one output each: value [n] and slope [n] = ∂value/∂y ---------------------- */

static void squared_error(const struct loss_options *o, const float *restrict y,
                          const float *restrict t, double *restrict value,
                          double *restrict slope, size_t n)
{
    (void)o;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double miss = (double)y[i] - (double)t[i];
        value[i] = 0.5 * miss * miss;
        slope[i] = miss;
    }
}

/* −1, 0 or 1; NaN stays. */
static inline double sign(double x)
{
    return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x;
}

static void absolute_error(const struct loss_options *o, const float *restrict y,
                           const float *restrict t, double *restrict value,
                           double *restrict slope, size_t n)
{
    (void)o;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double miss = (double)y[i] - (double)t[i];
        value[i] = fabs(miss);
        slope[i] = sign(miss);
    }
}

/* With c = miss cut to ±delta: value c (miss − c/2), slope c. */
static void huber(const struct loss_options *o, const float *restrict y,
                  const float *restrict t, double *restrict value, double *restrict slope,
                  size_t n)
{
    double delta = o->delta;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double miss = (double)y[i] - (double)t[i];
        double cut = miss > delta ? delta : miss;
        cut = cut < -delta ? -delta : cut;
        value[i] = cut * (miss - 0.5 * cut);
        slope[i] = cut;
    }
}

static void asymmetric_squared(const struct loss_options *o, const float *restrict y,
                               const float *restrict t, double *restrict value,
                               double *restrict slope, size_t n)
{
    double over = o->over;
    double under = o->under;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double miss = (double)t[i] - (double)y[i];
        double weighted = (miss < 0.0 ? over : under) * miss;
        value[i] = weighted * miss;
        slope[i] = -2.0 * weighted;
    }
}

static void quantile(const struct loss_options *o, const float *restrict y,
                     const float *restrict t, double *restrict value,
                     double *restrict slope, size_t n)
{
    double q = o->q;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double miss = (double)y[i] - (double)t[i];
        double side = sign(miss) * (miss > 0.0 ? 1.0 - q : q);
        value[i] = side * miss;
        slope[i] = side;
    }
}

static void poisson(const struct loss_options *o, const float *restrict z,
                    const float *restrict t, double *restrict value,
                    double *restrict slope, size_t n)
{
    (void)o;
    for (size_t i = 0; i < n; i++) {
        double rate = exp((double)z[i]);
        value[i] = rate - (double)t[i] * (double)z[i];
        slope[i] = rate - (double)t[i];
    }
}

/* −t log p − (1 − t) log(1 − p) = max(z, 0) − t z + log(1 + e^−|z|). */
static void binary_cross_entropy(const struct loss_options *o, const float *restrict z,
                                 const float *restrict t, double *restrict value,
                                 double *restrict slope, size_t n)
{
    double smoothing = o->label_smoothing;
    for (size_t i = 0; i < n; i++) {
        double logit = (double)z[i];
        double target = (1.0 - smoothing) * (double)t[i] + 0.5 * smoothing;
        double e = exp(-fabs(logit));
        double p = (logit < 0.0 ? e : 1.0) / (1.0 + e);
        value[i] = (logit > 0.0 ? logit : 0.0) - target * logit + log1p(e);
        slope[i] = p - target;
    }
}

/* --- which activation ------------------------------------------------------------------- */

static bool follows_elementwise(enum act output, size_t n_outputs)
{
    return output != ACT_SOFTMAX && n_outputs >= 1;
}

static bool follows_identity(enum act output, size_t n_outputs)
{
    return output == ACT_IDENTITY && n_outputs >= 1;
}

static bool follows_logistic(enum act output, size_t n_outputs)
{
    (void)n_outputs;
    return output == ACT_LOGISTIC;
}

static bool follows_softmax(enum act output, size_t n_outputs)
{
    return output == ACT_SOFTMAX && n_outputs >= 2;
}

/* --- the table -------------------------------------------------------------------------- */

/* elements is NULL for cross_entropy, which looks at a whole row. With from_z it is given
 * the pre-activations, and its slope is that of z. */
static const struct {
    const char *name;
    bool (*may_follow)(enum act output, size_t n_outputs);
    void (*elements)(const struct loss_options *o, const float *restrict y,
                     const float *restrict t, double *restrict value,
                     double *restrict slope, size_t n);
    bool from_z;
} losses[LOSS_COUNT] = {
    [LOSS_SQUARED_ERROR] = {"squared_error", follows_elementwise, squared_error, false},
    [LOSS_ABSOLUTE_ERROR] = {"absolute_error", follows_elementwise, absolute_error,
                             false},
    [LOSS_HUBER] = {"huber", follows_elementwise, huber, false},
    [LOSS_ASYMMETRIC_SQUARED] = {"asymmetric_squared", follows_elementwise,
                                 asymmetric_squared, false},
    [LOSS_QUANTILE] = {"quantile", follows_elementwise, quantile, false},
    [LOSS_POISSON] = {"poisson", follows_identity, poisson, true},
    [LOSS_BINARY_CROSS_ENTROPY] = {"binary_cross_entropy", follows_logistic,
                                   binary_cross_entropy, true},
    [LOSS_CROSS_ENTROPY] = {"cross_entropy", follows_softmax, NULL, true},
};

struct loss_options loss_defaults(void)
{
    return (struct loss_options){.delta = 1.0, .over = 1.0, .under = 1.0, .q = 0.5};
}

const char *loss_name(enum loss loss)
{
    return losses[loss].name;
}

static int out_of_range(const char *pointer, const char *range, double value,
                        struct err *err)
{
    return err_set_at(err, ERR_INVALID, "out_of_range", pointer, "%s must be %s, not %g",
                      pointer + 1, range, value);
}

static bool is_positive(double value)
{
    return value > 0.0 && isfinite(value);
}

int loss_check(enum loss loss, const struct loss_options *o, struct err *err)
{
    static const char positive[] = "a number over 0";
    switch (loss) {
    case LOSS_HUBER:
        return is_positive(o->delta) ? 0
                                     : out_of_range("/delta", positive, o->delta, err);
    case LOSS_ASYMMETRIC_SQUARED:
        if (!is_positive(o->over))
            return out_of_range("/over", positive, o->over, err);
        return is_positive(o->under) ? 0
                                     : out_of_range("/under", positive, o->under, err);
    case LOSS_QUANTILE:
        return o->q > 0.0 && o->q < 1.0
                   ? 0
                   : out_of_range("/q", "above 0 and below 1", o->q, err);
    case LOSS_BINARY_CROSS_ENTROPY:
    case LOSS_CROSS_ENTROPY:
        return o->label_smoothing >= 0.0 && o->label_smoothing <= 0.5
                   ? 0
                   : out_of_range("/label_smoothing", "from 0 to 0.5", o->label_smoothing,
                                  err);
    case LOSS_SQUARED_ERROR:
    case LOSS_ABSOLUTE_ERROR:
    case LOSS_POISSON:
    case LOSS_COUNT:
        break;
    }
    return 0;
}

size_t loss_n_targets(enum loss loss, size_t n_outputs)
{
    return loss == LOSS_CROSS_ENTROPY ? 1 : n_outputs;
}

bool loss_may_follow(enum loss loss, enum act output, size_t n_outputs)
{
    return losses[loss].may_follow(output, n_outputs);
}

bool loss_has_classes(enum loss loss)
{
    return loss == LOSS_BINARY_CROSS_ENTROPY || loss == LOSS_CROSS_ENTROPY;
}

void loss_apply_link(enum loss loss, float *y, size_t n)
{
    if (loss == LOSS_POISSON)
        vec_exp(y, n);
}

/* --- losses of one output each, in blocks ----------------------------------------------- */

/* Weights elements [first, first + n) of values and slopes by their rows. */
static void weigh(const struct loss_rows *rows, size_t first, size_t n, double *value,
                  double *slope)
{
    for (size_t i = 0; rows->weights && i < n; i++) {
        double weight = (double)rows->weights[(first + i) / rows->k];
        value[i] *= weight;
        slope[i] *= weight;
    }
}

static double elements_block(enum loss loss, const struct loss_options *options,
                             enum act output, float *z, const struct loss_rows *rows,
                             float *delta, size_t first, size_t n)
{
    float kept[BLOCK];
    double value[BLOCK];
    double slope[BLOCK];
    bool from_z = losses[loss].from_z;
    if (delta && !from_z && act_needs_z(output))
        memcpy(kept, z, n * sizeof *kept);
    if (!from_z)
        act_apply(output, z, 1, n);
    losses[loss].elements(options, z, rows->t + first, value, slope, n);
    weigh(rows, first, n, value, slope);
    if (from_z)
        act_apply(output, z, 1, n);
    loss_apply_link(loss, z, n);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += value[i];
    for (size_t i = 0; delta && i < n; i++)
        delta[i] = (float)slope[i];
    if (delta && !from_z)
        act_backward(output, z, kept, delta, 1, n);
    return sum;
}

static double elements_forward(enum loss loss, const struct loss_options *options,
                               enum act output, float *z, const struct loss_rows *rows,
                               float *delta)
{
    size_t count = rows->n * rows->k;
    double sum = 0.0;
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? count - first : BLOCK;
        sum += elements_block(loss, options, output, z + first, rows,
                              delta ? delta + first : NULL, first, n);
    }
    return sum;
}

/* --- cross-entropy ---------------------------------------------------------------------- */

/* Σ_j target_j (max − z_j) of one row: the part of Σ_j target_j (−log p_j) that is lost with
 * the maximum. z becomes z − max. */
static double shift_row(float *restrict z, size_t class, size_t k, double smoothing)
{
    float largest = z[0];
    double sum = 0.0;
    for (size_t j = 1; j < k; j++)
        largest = z[j] > largest ? z[j] : largest;
    double below = (double)largest - (double)z[class];
    for (size_t j = 0; smoothing > 0.0 && j < k; j++)
        sum += (double)largest - (double)z[j];
    for (size_t j = 0; j < k; j++)
        z[j] -= largest;
    return (1.0 - smoothing) * below + smoothing / (double)k * sum;
}

/* e^(z − max) becomes p; returns log Σ e^(z_j − max). */
static double normalise_row(float *restrict z, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; j < k; j++)
        sum += (double)z[j];
    float scale = (float)(1.0 / sum);
    for (size_t j = 0; j < k; j++)
        z[j] *= scale;
    return log(sum);
}

/* delta = weight (p − target). */
static void cross_entropy_slopes(const float *restrict p, float *restrict delta,
                                 size_t class, size_t k, double smoothing, float weight)
{
    float every = (float)(smoothing / (double)k);
    for (size_t j = 0; j < k; j++)
        delta[j] = weight * (p[j] - every);
    delta[class] = weight * (p[class] - (every + (float)(1.0 - smoothing)));
}

static double cross_entropy_forward(const struct loss_options *options, float *restrict z,
                                    const struct loss_rows *rows, float *restrict delta)
{
    size_t k = rows->k;
    double smoothing = options->label_smoothing;
    double sum = 0.0;
    for (size_t i = 0; i < rows->n; i++) {
        assert(rows->t[i] >= 0.0F && rows->t[i] < (float)k);
        double weight = rows->weights ? (double)rows->weights[i] : 1.0;
        sum += weight * shift_row(z + i * k, (size_t)rows->t[i], k, smoothing);
    }
    vec_exp(z, rows->n * k); /* of all rows at once: they are often short */
    for (size_t i = 0; i < rows->n; i++) {
        float weight = rows->weights ? rows->weights[i] : 1.0F;
        sum += (double)weight * normalise_row(z + i * k, k);
        if (delta)
            cross_entropy_slopes(z + i * k, delta + i * k, (size_t)rows->t[i], k,
                                 smoothing, weight);
    }
    return sum;
}

double loss_forward(enum loss loss, const struct loss_options *options, enum act output,
                    float *z, const struct loss_rows *rows, float *delta)
{
    if (loss == LOSS_CROSS_ENTROPY)
        return cross_entropy_forward(options, z, rows, delta);
    return elements_forward(loss, options, output, z, rows, delta);
}

/* --- class weights ---------------------------------------------------------------------- */

void loss_balance(const float *classes, size_t n, size_t n_classes, double *weights)
{
    size_t n_occurring = 0;
    for (size_t c = 0; c < n_classes; c++)
        weights[c] = 0.0;
    for (size_t i = 0; i < n; i++)
        weights[(size_t)classes[i]] += 1.0;
    for (size_t c = 0; c < n_classes; c++)
        n_occurring += weights[c] > 0.0;
    for (size_t c = 0; c < n_classes; c++)
        weights[c] =
            weights[c] > 0.0 ? (double)n / ((double)n_occurring * weights[c]) : 1.0;
}
