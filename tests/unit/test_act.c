#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/act.h"
#include "core/loss.h"

static void assert_close(double got, double wanted, double relative)
{
    double error = fabs(got - wanted);
    if (!(error <= relative * fabs(wanted) + 1e-30))
        fail_msg("got %.17g, wanted %.17g", got, wanted);
}

static const float probes[] = {-1e4F, -100.0F, -20.0F, -3.0F, -0.5F, -1e-6F, 0.0F,
                               1e-6F, 0.25F,   1.0F,   4.0F,  15.0F, 1e4F};
#define N_PROBES (sizeof probes / sizeof *probes)

static double plain_act(enum act act, double z)
{
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
        return z > 0.0 ? z : expm1(z);
    case ACT_SELU:
        return 1.0507009873554805 * (z > 0.0 ? z : 1.6732632423543772 * expm1(z));
    case ACT_GELU:
        return z * 0.5 * erfc(-z * sqrt(0.5));
    case ACT_SILU:
        return z / (1.0 + exp(-z));
    case ACT_MISH:
        return z * tanh(z > 700.0 ? z : log1p(exp(z)));
    case ACT_SOFTPLUS:
        return z > 700.0 ? z : log1p(exp(z));
    case ACT_STEP:
        return z > 0.0 ? 1.0 : 0.0;
    case ACT_IDENTITY:
    case ACT_SOFTMAX:
    case ACT_COUNT:
        break;
    }
    return z;
}

/* One-sided, as the core has it, at the kinks; else a central difference. */
static double plain_slope(enum act act, double z)
{
    if (z == 0.0 && act == ACT_RELU)
        return 0.0;
    if (z == 0.0 && act == ACT_LEAKY_RELU)
        return 0.01;
    if (z == 0.0 && act == ACT_SELU)
        return 1.0507009873554805 * 1.6732632423543772;
    if (act == ACT_STEP)
        return 0.0;
    double h = fabs(z) > 1e-3 ? 1e-6 * fabs(z) : 1e-7;
    if (z != 0.0 && fabs(z) < 1e-3) /* stay on one side */
        h = 1e-3 * fabs(z);
    return (plain_act(act, z + h) - plain_act(act, z - h)) / (2.0 * h);
}

/* Core's loss_forward on rows of weight 1, with the default figures. */
static double forward(enum loss loss, enum act act, float *z, const float *t,
                      float *delta, size_t n, size_t k)
{
    const struct loss_options options = loss_defaults();
    const struct loss_rows rows = {t, NULL, n, k};
    return loss_forward(loss, &options, act, z, &rows, delta);
}

/* Relative where nothing cancels, absolute (in units of |z|) where 1 + erf does. */
static void elementwise_activations_match_double(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
        float z[N_PROBES];
        memcpy(z, probes, sizeof z);
        act_apply(act, z, 1, N_PROBES);
        for (size_t i = 0; i < N_PROBES; i++) {
            double wanted = plain_act(act, (double)probes[i]);
            double error = fabs((double)z[i] - wanted);
            bool is_close = error <= 5e-7 * fabs(wanted) + 1e-38;
            if (act == ACT_GELU)
                is_close = error <= 2e-7 * fmax(fabs(wanted), fabs((double)probes[i]));
            if (!is_close)
                fail_msg("%s(%g) = %.9g, wanted %.9g", act_name(act), (double)probes[i],
                         (double)z[i], wanted);
        }
    }
}

static void slopes_match_double(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
        float a[N_PROBES];
        float delta[N_PROBES];
        memcpy(a, probes, sizeof a);
        act_apply(act, a, 1, N_PROBES);
        for (size_t i = 0; i < N_PROBES; i++)
            delta[i] = 2.0F;
        act_backward(act, a, act_needs_z(act) ? probes : NULL, delta, 1, N_PROBES);
        for (size_t i = 0; i < N_PROBES; i++) {
            double wanted = 2.0 * plain_slope(act, (double)probes[i]);
            if (!(fabs((double)delta[i] - wanted) < 2e-6))
                fail_msg("%s'(%g) = %.9g, wanted %.9g", act_name(act), (double)probes[i],
                         (double)delta[i] / 2.0, wanted / 2.0);
        }
    }
}

static void only_the_step_cannot_be_trained(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_COUNT; act++)
        assert_int_equal(act_is_trainable(act), act != ACT_STEP);
}

static void selu_keeps_mean_0_and_variance_1(void **state)
{
    (void)state;
    double sum = 0.0;
    double squares = 0.0;
    double weights = 0.0;
    for (double z = -9.0; z < 9.0; z += 0.001) { /* the fixed point of the paper */
        float a = (float)z;
        double density = exp(-0.5 * z * z);
        act_apply(ACT_SELU, &a, 1, 1);
        sum += density * (double)a;
        squares += density * (double)a * (double)a;
        weights += density;
    }
    assert_true(fabs(sum / weights) < 1e-6);
    assert_true(fabs(squares / weights - 1.0) < 1e-6);
}

static void nan_stays_nan_in_every_activation(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_COUNT; act++) {
        for (size_t at = 0; at < 9; at++) {
            float z[9] = {0.5F, 1.0F, -1.0F, 2.0F, 3.0F, -4.0F, 1.0F, 1.0F, 0.0F};
            z[at] = NAN;
            act_apply(act, z, 1, 9);
            assert_true(isnan(z[at]));
        }
    }
}

static void nan_stays_nan_in_every_slope(void **state)
{
    (void)state;
    for (enum act act = ACT_LOGISTIC; act < ACT_SOFTMAX; act++) {
        float a[5] = {0.5F, NAN, 0.0F, 1.0F, 0.5F};
        float delta[5] = {1.0F, 1.0F, NAN, NAN, 1.0F};
        act_backward(act, a, a, delta, 1, 5);
        for (size_t i = 1; i < 4; i++)
            assert_true(isnan(delta[i]));
        assert_false(isnan(delta[0]) || isnan(delta[4]));
    }
}

static void softmax_rows_sum_to_one_at_any_size(void **state)
{
    (void)state;
    float z[9] = {1e4F, -1e4F, 0.0F, 1e4F, 1e4F, 9999.0F, -1e4F, -1e4F, -1e4F};
    act_apply(ACT_SOFTMAX, z, 3, 3);
    double e = exp(-1.0);
    const double wanted[9] = {
        1.0,           0.0,       0.0,       1.0 / (2.0 + e), 1.0 / (2.0 + e),
        e / (2.0 + e), 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0};
    for (size_t i = 0; i < 9; i++)
        assert_close((double)z[i], wanted[i], 1e-6);
}

static void names_are_those_of_scikit_learn(void **state)
{
    (void)state;
    assert_string_equal(act_name(ACT_LEAKY_RELU), "leaky_relu");
    assert_string_equal(act_name(ACT_SOFTPLUS), "softplus");
    assert_string_equal(act_name(ACT_IDENTITY), "identity");
    assert_string_equal(act_name(ACT_LOGISTIC), "logistic");
    assert_string_equal(act_name(ACT_TANH), "tanh");
    assert_string_equal(act_name(ACT_RELU), "relu");
    assert_string_equal(act_name(ACT_SOFTMAX), "softmax");
    assert_string_equal(loss_name(LOSS_SQUARED_ERROR), "squared_error");
    assert_string_equal(loss_name(LOSS_BINARY_CROSS_ENTROPY), "binary_cross_entropy");
    assert_string_equal(loss_name(LOSS_CROSS_ENTROPY), "cross_entropy");
}

static bool is_elementwise_loss(enum loss loss)
{
    return loss <= LOSS_QUANTILE;
}

static void losses_go_with_their_activations_only(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_COUNT; act++) {
        for (enum loss loss = LOSS_SQUARED_ERROR; is_elementwise_loss(loss); loss++)
            assert_int_equal(loss_may_follow(loss, act, 3), act != ACT_SOFTMAX);
        assert_int_equal(loss_may_follow(LOSS_POISSON, act, 3), act == ACT_IDENTITY);
        for (size_t k = 1; k <= 3; k++)
            assert_int_equal(loss_may_follow(LOSS_BINARY_CROSS_ENTROPY, act, k),
                             act == ACT_LOGISTIC);
        assert_int_equal(loss_may_follow(LOSS_CROSS_ENTROPY, act, 2), act == ACT_SOFTMAX);
    }
    assert_false(loss_may_follow(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, 1));
    assert_int_equal(loss_n_targets(LOSS_CROSS_ENTROPY, 7), 1);
    assert_int_equal(loss_n_targets(LOSS_SQUARED_ERROR, 7), 7);
    assert_int_equal(loss_n_targets(LOSS_BINARY_CROSS_ENTROPY, 1), 1);
    assert_int_equal(loss_n_targets(LOSS_BINARY_CROSS_ENTROPY, 3), 3);
}

static void each_label_is_a_loss_of_its_own(void **state)
{
    (void)state;
    const float logits[6] = {-3.0F, 0.25F, 2.0F, 1.0F, -0.5F, 40.0F};
    const float t[6] = {0.0F, 1.0F, 1.0F, 0.0F, 1.0F, 0.0F};
    const float weights[2] = {0.5F, 3.0F};
    const struct loss_options figures = loss_defaults();
    float z[6];
    float delta[6];
    double sum = 0.0;
    memcpy(z, logits, sizeof z);
    const struct loss_rows rows = {t, weights, 2, 3};
    double together =
        loss_forward(LOSS_BINARY_CROSS_ENTROPY, &figures, ACT_LOGISTIC, z, &rows, delta);
    for (size_t i = 0; i < 6; i++) {
        float one = logits[i];
        float slope;
        const struct loss_rows label = {&t[i], &weights[i / 3], 1, 1};
        sum += loss_forward(LOSS_BINARY_CROSS_ENTROPY, &figures, ACT_LOGISTIC, &one,
                            &label, &slope);
        assert_true(one == z[i]);
        assert_true(slope == delta[i]);
    }
    assert_true(fabs(together - sum) < 1e-12 * sum);
}

static const struct loss_options figures = {
    .delta = 0.7, .over = 3.0, .under = 0.5, .q = 0.9};

static double plain_loss(enum loss loss, double y, double t)
{
    double d = t - y;
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return 0.5 * d * d;
    case LOSS_ABSOLUTE_ERROR:
        return fabs(d);
    case LOSS_HUBER:
        return fabs(d) < 0.7 ? 0.5 * d * d : 0.7 * (fabs(d) - 0.35);
    case LOSS_ASYMMETRIC_SQUARED:
        return d * d * (3.0 * (d < 0.0) + 0.5 * (d >= 0.0));
    case LOSS_QUANTILE:
        return fmax(0.9 * d, -0.1 * d);
    case LOSS_POISSON:
        return exp(y) - t * y;
    case LOSS_BINARY_CROSS_ENTROPY:
    case LOSS_CROSS_ENTROPY:
    case LOSS_COUNT:
        break;
    }
    return 0.0;
}

static double plain_loss_slope(enum loss loss, double y, double t)
{
    const double h = 1e-6;
    return (plain_loss(loss, y + h, t) - plain_loss(loss, y - h, t)) / (2.0 * h);
}

/* Over more elements than the core takes at a time. */
static void every_loss_of_one_output_matches_double(void **state)
{
    (void)state;
    enum { N = 150, K = 3 };
    static float z[N * K];
    static float a[N * K];
    static float t[N * K];
    static float delta[N * K];
    float weights[N];
    for (size_t i = 0; i < N * K; i++) {
        z[i] = 0.013F * (float)(i * 31 % 401) - 2.5F;
        t[i] = 0.011F * (float)(i * 57 % 307);
    }
    for (size_t i = 0; i < N; i++)
        weights[i] = (float)(i % 4) * 0.5F;
    for (enum loss loss = LOSS_SQUARED_ERROR; loss <= LOSS_POISSON; loss++) {
        for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
            if (!loss_may_follow(loss, act, K))
                continue;
            const struct loss_rows rows = {t, weights, N, K};
            double wanted = 0.0;
            memcpy(a, z, sizeof a);
            double got = loss_forward(loss, &figures, act, a, &rows, delta);
            for (size_t i = 0; i < N * K; i++) {
                double y = plain_act(act, (double)z[i]);
                double weight = (double)weights[i / K];
                wanted += weight * plain_loss(loss, y, (double)t[i]);
                double slope = weight * plain_loss_slope(loss, y, (double)t[i]) *
                               plain_slope(act, (double)z[i]);
                if (!(fabs((double)delta[i] - slope) < 3e-5 * fmax(1.0, fabs(slope))))
                    fail_msg("%s after %s at z %g, t %g: slope %g, wanted %g",
                             loss_name(loss), act_name(act), (double)z[i], (double)t[i],
                             (double)delta[i], slope);
                assert_close((double)a[i], loss == LOSS_POISSON ? exp(y) : y, 1e-5);
            }
            assert_close(got, wanted, 1e-6);
        }
    }
}

static void losses_stay_exact_at_the_extremes(void **state)
{
    (void)state;
    static const float ends[2] = {1e4F, -1e4F};
    const float t = 1.0F;
    const struct loss_rows rows = {&t, NULL, 1, 1};
    for (enum loss loss = LOSS_SQUARED_ERROR; is_elementwise_loss(loss); loss++) {
        for (size_t i = 0; i < 2; i++) {
            float z = ends[i];
            float delta;
            double got = loss_forward(loss, &figures, ACT_IDENTITY, &z, &rows, &delta);
            assert_close(got, plain_loss(loss, (double)ends[i], 1.0), 1e-12);
            assert_close((double)delta, plain_loss_slope(loss, (double)ends[i], 1.0),
                         1e-4);
        }
    }
    float z = -1e4F;
    float delta;
    assert_true(loss_forward(LOSS_POISSON, &figures, ACT_IDENTITY, &z, &rows, &delta) ==
                1e4);
    assert_true(delta == -1.0F && z == 0.0F);
    z = 1e4F; /* a rate that no number holds is not hidden */
    assert_true(
        isinf(loss_forward(LOSS_POISSON, &figures, ACT_IDENTITY, &z, &rows, &delta)));
}

static void slope_at_a_kink_is_zero(void **state)
{
    (void)state;
    static const enum loss kinked[2] = {LOSS_ABSOLUTE_ERROR, LOSS_QUANTILE};
    for (size_t i = 0; i < 2; i++) {
        float z = 2.0F;
        float t = 2.0F;
        float delta;
        assert_true(forward(kinked[i], ACT_IDENTITY, &z, &t, &delta, 1, 1) == 0.0);
        assert_true(delta == 0.0F);
    }
}

static void smoothing_mixes_the_target_with_all_classes(void **state)
{
    (void)state;
    struct loss_options o = loss_defaults();
    o.label_smoothing = 0.3;
    const float logits[3] = {1.0F, -2.0F, 0.5F};
    float z[3];
    float delta[3];
    float t = 2.0F;
    const struct loss_rows rows = {&t, NULL, 1, 3};
    memcpy(z, logits, sizeof z);
    double got = loss_forward(LOSS_CROSS_ENTROPY, &o, ACT_SOFTMAX, z, &rows, delta);
    double sum = exp(1.0) + exp(-2.0) + exp(0.5);
    double wanted = 0.0;
    for (size_t j = 0; j < 3; j++) {
        double target = 0.1 + (j == 2 ? 0.7 : 0.0);
        double p = exp((double)logits[j]) / sum;
        wanted -= target * log(p);
        assert_true(fabs((double)delta[j] - (p - target)) < 1e-7);
    }
    assert_close(got, wanted, 1e-7);
    float logit = 0.8F;
    float one = 1.0F;
    const struct loss_rows single = {&one, NULL, 1, 1};
    got =
        loss_forward(LOSS_BINARY_CROSS_ENTROPY, &o, ACT_LOGISTIC, &logit, &single, delta);
    double p = 1.0 / (1.0 + exp(-(double)0.8F));
    assert_close(got, -0.85 * log(p) - 0.15 * log(1.0 - p), 1e-12);
    assert_true(fabs((double)delta[0] - (p - 0.85)) < 1e-7);
}

static void weights_multiply_loss_and_slope_of_their_row(void **state)
{
    (void)state;
    const struct loss_options o = loss_defaults();
    const float t[2] = {0.0F, 1.0F};
    const float weights[2] = {0.0F, 2.5F};
    const struct loss_rows rows = {t, weights, 2, 2};
    float z[4] = {9.0F, -1.0F, 0.0F, 0.0F};
    float delta[4];
    double got = loss_forward(LOSS_CROSS_ENTROPY, &o, ACT_SOFTMAX, z, &rows, delta);
    assert_close(got, 2.5 * log(2.0), 1e-7);
    assert_true(delta[0] == 0.0F && delta[1] == 0.0F);
    assert_true(delta[2] == 1.25F && delta[3] == -1.25F);
}

static void balanced_classes_weigh_the_same(void **state)
{
    (void)state;
    const float classes[6] = {0.0F, 0.0F, 0.0F, 0.0F, 3.0F, 3.0F};
    double weights[4];
    loss_balance(classes, 6, 4, weights);
    assert_close(weights[0], 6.0 / (2 * 4), 1e-15);
    assert_close(weights[3], 6.0 / (2 * 2), 1e-15);
    assert_true(weights[1] == 1.0 && weights[2] == 1.0);
}

static void figures_out_of_range_name_their_field(void **state)
{
    (void)state;
    static const struct {
        enum loss loss;
        const char *pointer;
        struct loss_options options;
    } bad[] = {
        {LOSS_HUBER, "/delta", {.delta = 0.0}},
        {LOSS_ASYMMETRIC_SQUARED, "/over", {.under = 1.0}},
        {LOSS_ASYMMETRIC_SQUARED, "/under", {.over = 1.0, .under = -1.0}},
        {LOSS_QUANTILE, "/q", {.q = 0.0}},
        {LOSS_QUANTILE, "/q", {.q = 1.0}},
        {LOSS_CROSS_ENTROPY, "/label_smoothing", {.label_smoothing = 0.6}},
        {LOSS_BINARY_CROSS_ENTROPY, "/label_smoothing", {.label_smoothing = -0.1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        assert_int_equal(loss_check(bad[i].loss, &bad[i].options, &err), -1);
        assert_string_equal(err.pointer, bad[i].pointer);
        assert_string_equal(err.slug, "out_of_range");
    }
    const struct loss_options good = loss_defaults();
    for (enum loss loss = LOSS_SQUARED_ERROR; loss < LOSS_COUNT; loss++) {
        struct err err = {0};
        assert_int_equal(loss_check(loss, &good, &err), 0);
    }
}

static void binary_cross_entropy_is_exact_at_the_extremes(void **state)
{
    (void)state;
    const float z[6] = {1e4F, 1e4F, -1e4F, -1e4F, 0.0F, 2.0F};
    const float t[6] = {1.0F, 0.0F, 1.0F, 0.0F, 1.0F, 0.25F};
    const double p = 1.0 / (1.0 + exp(-2.0));
    const double wanted[6] = {0.0, 1e4,      1e4,
                              0.0, log(2.0), -0.25 * log(p) - 0.75 * log(1.0 - p)};
    const double slopes[6] = {0.0, 1.0, -1.0, 0.0, -0.5, p - 0.25};
    for (size_t i = 0; i < 6; i++) {
        float a = z[i];
        float delta;
        double loss =
            forward(LOSS_BINARY_CROSS_ENTROPY, ACT_LOGISTIC, &a, &t[i], &delta, 1, 1);
        assert_close(loss, wanted[i], 1e-12);
        assert_true(fabs((double)delta - slopes[i]) < 1e-7);
        assert_close((double)a, 1.0 / (1.0 + exp(-(double)z[i])), 1e-7);
    }
}

static void cross_entropy_is_exact_at_the_extremes(void **state)
{
    (void)state;
    float z[12] = {1e4F, 0.0F, -1e4F, 1e4F, 0.0F, -1e4F,
                   0.0F, 0.0F, 0.0F,  1.0F, 2.0F, 3.0F};
    const float t[4] = {0.0F, 2.0F, 1.0F, 0.0F};
    const double wanted[4] = {0.0, 2e4, log(3.0),
                              log(exp(1.0) + exp(2.0) + exp(3.0)) - 1.0};
    for (size_t i = 0; i < 4; i++) {
        float delta[3];
        float *row = z + 3 * i;
        double loss = forward(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, row, &t[i], delta, 1, 3);
        assert_close(loss, wanted[i], 1e-7);
        for (size_t j = 0; j < 3; j++)
            assert_true(delta[j] == row[j] - (j == (size_t)t[i] ? 1.0F : 0.0F));
        assert_close((double)row[0] + (double)row[1] + (double)row[2], 1.0, 1e-6);
    }
}

static void losses_add_up_over_rows(void **state)
{
    (void)state;
    float z[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    const float t[2] = {0.0F, 1.0F};
    double loss = forward(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, z, t, NULL, 2, 2);
    assert_close(loss, 2.0 * log(2.0), 1e-7);
}

static void nan_makes_every_loss_nan(void **state)
{
    (void)state;
    float t = 0.0F;
    for (size_t at = 0; at < 3; at++) {
        float z[3] = {0.0F, 1.0F, 2.0F};
        float delta[3];
        z[at] = NAN;
        assert_true(isnan(forward(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, z, &t, delta, 1, 3)));
    }
    float z = NAN;
    assert_true(
        isnan(forward(LOSS_BINARY_CROSS_ENTROPY, ACT_LOGISTIC, &z, &t, NULL, 1, 1)));
    for (enum loss loss = LOSS_SQUARED_ERROR; loss <= LOSS_POISSON; loss++) {
        for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
            float delta;
            if (!loss_may_follow(loss, act, 1))
                continue;
            z = NAN;
            assert_true(isnan(forward(loss, act, &z, &t, &delta, 1, 1)));
            assert_true(isnan(delta));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_activations_match_double),
        cmocka_unit_test(slopes_match_double),
        cmocka_unit_test(nan_stays_nan_in_every_activation),
        cmocka_unit_test(nan_stays_nan_in_every_slope),
        cmocka_unit_test(softmax_rows_sum_to_one_at_any_size),
        cmocka_unit_test(names_are_those_of_scikit_learn),
        cmocka_unit_test(losses_go_with_their_activations_only),
        cmocka_unit_test(each_label_is_a_loss_of_its_own),
        cmocka_unit_test(only_the_step_cannot_be_trained),
        cmocka_unit_test(selu_keeps_mean_0_and_variance_1),
        cmocka_unit_test(every_loss_of_one_output_matches_double),
        cmocka_unit_test(losses_stay_exact_at_the_extremes),
        cmocka_unit_test(slope_at_a_kink_is_zero),
        cmocka_unit_test(smoothing_mixes_the_target_with_all_classes),
        cmocka_unit_test(weights_multiply_loss_and_slope_of_their_row),
        cmocka_unit_test(balanced_classes_weigh_the_same),
        cmocka_unit_test(figures_out_of_range_name_their_field),
        cmocka_unit_test(binary_cross_entropy_is_exact_at_the_extremes),
        cmocka_unit_test(cross_entropy_is_exact_at_the_extremes),
        cmocka_unit_test(losses_add_up_over_rows),
        cmocka_unit_test(nan_makes_every_loss_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
