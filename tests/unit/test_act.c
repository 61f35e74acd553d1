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
    case ACT_IDENTITY:
    case ACT_SOFTMAX:
    case ACT_COUNT:
        break;
    }
    return z;
}

static double plain_slope(enum act act, double z)
{
    double a = plain_act(act, z);
    switch (act) {
    case ACT_LOGISTIC:
        return a * (1.0 - a);
    case ACT_TANH:
        return 1.0 - a * a;
    case ACT_RELU:
        return z > 0.0 ? 1.0 : 0.0;
    case ACT_IDENTITY:
    case ACT_SOFTMAX:
    case ACT_COUNT:
        break;
    }
    return 1.0;
}

static void elementwise_activations_match_double(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
        float z[N_PROBES];
        memcpy(z, probes, sizeof z);
        act_apply(act, z, 1, N_PROBES);
        for (size_t i = 0; i < N_PROBES; i++)
            if (probes[i] != -100.0F || act != ACT_LOGISTIC) /* a denormal float */
                assert_close((double)z[i], plain_act(act, (double)probes[i]), 3e-7);
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
        act_backward(act, a, delta, 1, N_PROBES);
        for (size_t i = 0; i < N_PROBES; i++)
            assert_true(fabs((double)delta[i] -
                             2.0 * plain_slope(act, (double)probes[i])) < 1e-6);
    }
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
        act_backward(act, a, delta, 1, 5);
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
    assert_string_equal(act_name(ACT_IDENTITY), "identity");
    assert_string_equal(act_name(ACT_LOGISTIC), "logistic");
    assert_string_equal(act_name(ACT_TANH), "tanh");
    assert_string_equal(act_name(ACT_RELU), "relu");
    assert_string_equal(act_name(ACT_SOFTMAX), "softmax");
    assert_string_equal(loss_name(LOSS_SQUARED_ERROR), "squared_error");
    assert_string_equal(loss_name(LOSS_BINARY_CROSS_ENTROPY), "binary_cross_entropy");
    assert_string_equal(loss_name(LOSS_CROSS_ENTROPY), "cross_entropy");
}

static void losses_go_with_their_activations_only(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_COUNT; act++) {
        assert_int_equal(loss_may_follow(LOSS_SQUARED_ERROR, act, 3), act != ACT_SOFTMAX);
        assert_int_equal(loss_may_follow(LOSS_BINARY_CROSS_ENTROPY, act, 1),
                         act == ACT_LOGISTIC);
        assert_int_equal(loss_may_follow(LOSS_CROSS_ENTROPY, act, 2), act == ACT_SOFTMAX);
    }
    assert_false(loss_may_follow(LOSS_BINARY_CROSS_ENTROPY, ACT_LOGISTIC, 2));
    assert_false(loss_may_follow(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, 1));
    assert_int_equal(loss_n_targets(LOSS_CROSS_ENTROPY, 7), 1);
    assert_int_equal(loss_n_targets(LOSS_SQUARED_ERROR, 7), 7);
    assert_int_equal(loss_n_targets(LOSS_BINARY_CROSS_ENTROPY, 1), 1);
}

static void squared_error_is_half_the_sum_of_squares(void **state)
{
    (void)state;
    for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
        const float z[6] = {0.5F, -1.0F, 2.0F, 0.1F, 3.0F, -0.2F};
        const float t[6] = {1.0F, 0.0F, -1.0F, 0.1F, 2.5F, 4.0F};
        float a[6];
        float delta[6];
        double wanted = 0.0;
        memcpy(a, z, sizeof a);
        double got = loss_forward(LOSS_SQUARED_ERROR, act, a, t, delta, 2, 3);
        for (size_t i = 0; i < 6; i++) {
            double miss = plain_act(act, (double)z[i]) - (double)t[i];
            wanted += 0.5 * miss * miss;
            assert_true(fabs((double)delta[i] - miss * plain_slope(act, (double)z[i])) <
                        1e-6);
            assert_true(fabs((double)a[i] - plain_act(act, (double)z[i])) < 1e-6);
        }
        assert_close(got, wanted, 1e-6);
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
        double loss = loss_forward(LOSS_BINARY_CROSS_ENTROPY, ACT_LOGISTIC, &a, &t[i],
                                   &delta, 1, 1);
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
        double loss =
            loss_forward(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, row, &t[i], delta, 1, 3);
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
    double loss = loss_forward(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, z, t, NULL, 2, 2);
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
        assert_true(
            isnan(loss_forward(LOSS_CROSS_ENTROPY, ACT_SOFTMAX, z, &t, delta, 1, 3)));
    }
    float z = NAN;
    assert_true(
        isnan(loss_forward(LOSS_BINARY_CROSS_ENTROPY, ACT_LOGISTIC, &z, &t, NULL, 1, 1)));
    for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
        z = NAN;
        assert_true(isnan(loss_forward(LOSS_SQUARED_ERROR, act, &z, &t, NULL, 1, 1)));
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
        cmocka_unit_test(squared_error_is_half_the_sum_of_squares),
        cmocka_unit_test(binary_cross_entropy_is_exact_at_the_extremes),
        cmocka_unit_test(cross_entropy_is_exact_at_the_extremes),
        cmocka_unit_test(losses_add_up_over_rows),
        cmocka_unit_test(nan_makes_every_loss_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
