#include "core/loss.h"

#include <assert.h>
#include <math.h>

static bool squared_may_follow(enum act output, size_t n_outputs)
{
    return output != ACT_SOFTMAX && n_outputs >= 1;
}

static double squared_forward(enum act output, float *restrict z, const float *restrict t,
                              float *restrict delta, size_t n, size_t k)
{
    act_apply(output, z, n, k);
    double sum = 0.0;
    for (size_t i = 0; i < n * k; i++) {
        double miss = (double)z[i] - (double)t[i];
        sum += miss * miss;
        if (delta)
            delta[i] = (float)miss;
    }
    if (delta)
        act_backward(output, z, delta, n, k);
    return 0.5 * sum;
}

static bool binary_may_follow(enum act output, size_t n_outputs)
{
    return output == ACT_LOGISTIC && n_outputs == 1;
}

/* −t log p − (1 − t) log(1 − p) = max(z, 0) − t z + log(1 + e^−|z|). */
static double binary_forward(enum act output, float *restrict z, const float *restrict t,
                             float *restrict delta, size_t n, size_t k)
{
    (void)output;
    double sum = 0.0;
    for (size_t i = 0; i < n * k; i++) {
        double logit = (double)z[i];
        double target = (double)t[i];
        double e = exp(-fabs(logit));
        double p = (logit < 0.0 ? e : 1.0) / (1.0 + e);
        sum += (logit > 0.0 ? logit : 0.0) - target * logit + log1p(e);
        z[i] = (float)p;
        if (delta)
            delta[i] = (float)(p - target);
    }
    return sum;
}

static bool cross_entropy_may_follow(enum act output, size_t n_outputs)
{
    return output == ACT_SOFTMAX && n_outputs >= 2;
}

/* −log p_t = log Σ e^(z_j − max) − (z_t − max), of one row; z becomes p. */
static double cross_entropy_row(float *restrict z, size_t class, size_t k)
{
    float largest = z[0];
    for (size_t j = 1; j < k; j++)
        largest = z[j] > largest ? z[j] : largest;
    double below = (double)z[class] - (double)largest;
    double sum = 0.0;
    for (size_t j = 0; j < k; j++) {
        z[j] = expf(z[j] - largest);
        sum += (double)z[j];
    }
    float scale = (float)(1.0 / sum);
    for (size_t j = 0; j < k; j++)
        z[j] *= scale;
    return log(sum) - below;
}

static double cross_entropy_forward(enum act output, float *restrict z,
                                    const float *restrict t, float *restrict delta,
                                    size_t n, size_t k)
{
    (void)output;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        assert(t[i] >= 0.0F && t[i] < (float)k);
        size_t class = (size_t)t[i];
        sum += cross_entropy_row(z + i * k, class, k);
        for (size_t j = 0; delta && j < k; j++)
            delta[i * k + j] = z[i * k + j] - (j == class ? 1.0F : 0.0F);
    }
    return sum;
}

static const struct {
    const char *name;
    bool (*may_follow)(enum act output, size_t n_outputs);
    double (*forward)(enum act output, float *restrict z, const float *restrict t,
                      float *restrict delta, size_t n, size_t k);
} losses[LOSS_COUNT] = {
    [LOSS_SQUARED_ERROR] = {"squared_error", squared_may_follow, squared_forward},
    [LOSS_BINARY_CROSS_ENTROPY] = {"binary_cross_entropy", binary_may_follow,
                                   binary_forward},
    [LOSS_CROSS_ENTROPY] = {"cross_entropy", cross_entropy_may_follow,
                            cross_entropy_forward},
};

const char *loss_name(enum loss loss)
{
    return losses[loss].name;
}

size_t loss_n_targets(enum loss loss, size_t n_outputs)
{
    return loss == LOSS_CROSS_ENTROPY ? 1 : n_outputs;
}

bool loss_may_follow(enum loss loss, enum act output, size_t n_outputs)
{
    return losses[loss].may_follow(output, n_outputs);
}

double loss_forward(enum loss loss, enum act output, float *z, const float *t,
                    float *delta, size_t n, size_t k)
{
    return losses[loss].forward(output, z, t, delta, n, k);
}
