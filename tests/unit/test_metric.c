#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "core/metric.h"

static void assert_close(double got, double wanted)
{
    if (!(fabs(got - wanted) < 1e-9))
        fail_msg("got %.17g, wanted %.17g", got, wanted);
}

static void regression_scores_match_scikit_learn(void **state)
{
    (void)state;
    /* The example of sklearn.metrics.r2_score: 0.9486081370449679. */
    const double t[4] = {3.0, -0.5, 2.0, 7.0};
    const double y[4] = {2.5, 0.0, 2.0, 8.0};
    struct metric_regression m = metric_regression(y, t, 4);
    assert_close(m.r2, 0.9486081370449679);
    assert_close(m.rmse, sqrt(0.375));
    assert_close(m.mae, 0.5);
}

static void perfect_regression_is_one(void **state)
{
    (void)state;
    const double t[3] = {1.0, 2.0, 4.0};
    struct metric_regression m = metric_regression(t, t, 3);
    assert_close(m.r2, 1.0);
    assert_close(m.rmse, 0.0);
    assert_close(m.mae, 0.0);
}

static void r2_of_equal_targets_is_nan(void **state)
{
    (void)state;
    const double t[6] = {0.1, 0.1, 0.1,
                         0.1, 0.1, 0.1}; /* whose rounded mean is not 0.1 */
    const double y[6] = {0.1, 0.2, 0.3, 0.1, 0.1, 0.1};
    assert_true(isnan(metric_regression(y, t, 6).r2));
    assert_true(isnan(metric_regression(y, t, 1).r2));
    assert_true(isfinite(metric_regression(y, t, 6).rmse));
}

static void nan_prediction_makes_scores_nan(void **state)
{
    (void)state;
    const double t[2] = {0.0, 1.0};
    const double y[2] = {0.0, NAN};
    struct metric_regression m = metric_regression(y, t, 2);
    assert_true(isnan(m.r2) && isnan(m.rmse) && isnan(m.mae));
}

static void class_scores_match_hand_counts(void **state)
{
    (void)state;
    /* True 0 0 0 1 1 2, predicted 0 0 1 1 2 2; class 3 neither occurs nor is predicted. */
    const uint32_t t[6] = {0, 0, 0, 1, 1, 2};
    const float p[24] = {.7F, .1F, .1F, .1F, .5F, .3F, .1F, .1F, .2F, .6F, .1F, .1F,
                         .1F, .7F, .1F, .1F, .1F, .2F, .6F, .1F, .1F, .1F, .8F, .0F};
    uint64_t confusion[16];
    struct metric_classes m = metric_classes(p, t, 6, 4, confusion);
    const uint64_t wanted[16] = {2, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0};
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(confusion[i], wanted[i]);
    assert_close(m.accuracy, 4.0 / 6.0);
    assert_close(m.balanced_accuracy, (2.0 / 3.0 + 1.0 / 2.0 + 1.0) / 3.0);
    assert_close(m.f1_macro, (4.0 / 5.0 + 2.0 / 4.0 + 2.0 / 3.0) / 3.0);
    double sum = log((double).7F) + log((double).5F) + log((double).2F) +
                 log((double).7F) + log((double).2F) + log((double).8F);
    assert_close(m.log_loss, -sum / 6.0);
}

static void predicted_class_that_never_occurs_counts_in_f1(void **state)
{
    (void)state;
    const uint32_t t[2] = {0, 0};
    const float p[6] = {.8F, .1F, .1F, .1F, .8F, .1F};
    uint64_t confusion[9];
    struct metric_classes m = metric_classes(p, t, 2, 3, confusion);
    assert_close(m.balanced_accuracy, 0.5);
    assert_close(m.f1_macro, (2.0 / 3.0 + 0.0) / 2.0);
}

static void certain_and_wrong_is_clipped(void **state)
{
    (void)state;
    const uint32_t t[2] = {0, 1};
    const float p[4] = {0.0F, 1.0F, 0.0F, 1.0F};
    uint64_t confusion[4];
    struct metric_classes m = metric_classes(p, t, 2, 2, confusion);
    assert_close(m.log_loss, -log(1e-15) / 2.0);
}

static void nan_probability_makes_log_loss_nan(void **state)
{
    (void)state;
    const uint32_t t[1] = {0};
    const float p[2] = {NAN, NAN};
    uint64_t confusion[4];
    assert_true(isnan(metric_classes(p, t, 1, 2, confusion).log_loss));
}

static void argmax_takes_the_first_of_equals(void **state)
{
    (void)state;
    const float values[5] = {0.1F, 0.4F, 0.4F, 0.1F, 0.0F};
    assert_int_equal(metric_argmax(values, 5), 1);
    assert_int_equal(metric_argmax(values, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regression_scores_match_scikit_learn),
        cmocka_unit_test(perfect_regression_is_one),
        cmocka_unit_test(r2_of_equal_targets_is_nan),
        cmocka_unit_test(nan_prediction_makes_scores_nan),
        cmocka_unit_test(class_scores_match_hand_counts),
        cmocka_unit_test(predicted_class_that_never_occurs_counts_in_f1),
        cmocka_unit_test(certain_and_wrong_is_clipped),
        cmocka_unit_test(nan_probability_makes_log_loss_nan),
        cmocka_unit_test(argmax_takes_the_first_of_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
