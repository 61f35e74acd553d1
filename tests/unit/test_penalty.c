#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "core/penalty.h"

/* 70 neurons: more than one block of columns. */
static struct mlp make_net(void)
{
    static const size_t hidden = 70;
    const struct mlp_spec spec = {.n_inputs = 5,
                                  .hidden_layer_sizes = &hidden,
                                  .n_hidden = 1,
                                  .n_outputs = 2,
                                  .activation = ACT_TANH,
                                  .output_activation = ACT_IDENTITY,
                                  .loss = LOSS_SQUARED_ERROR};
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    for (size_t i = 0; i < mlp.n_parameters; i++)
        mlp.parameters[i] = (float)rng_normal(1, RNG_TEST, 0, i);
    mlp.parameters[3] = 0.0F;
    return mlp;
}

static int is_bias(const struct mlp *mlp, size_t i)
{
    for (size_t l = 0; l < mlp->n_layers; l++)
        if (i >= mlp->layers[l].biases_at &&
            i < mlp->layers[l].biases_at + mlp->layers[l].fan_out)
            return 1;
    return 0;
}

static void penalties_add_value_and_slope_of_weights_alone(void **state)
{
    (void)state;
    const double l2 = 0.3;
    const double l1 = 0.2;
    struct mlp mlp = make_net();
    float g[1000];
    double value = 0.0;
    assert_true(mlp.n_parameters <= 1000);
    for (size_t i = 0; i < mlp.n_parameters; i++)
        g[i] = (float)i;
    double added = penalty_add(&mlp, l2, l1, g);
    for (size_t i = 0; i < mlp.n_parameters; i++) {
        double w = is_bias(&mlp, i) ? 0.0 : (double)mlp.parameters[i];
        double sign = w > 0.0 ? 1.0 : w < 0.0 ? -1.0 : 0.0;
        value += 0.5 * l2 * w * w + l1 * fabs(w);
        assert_true(fabs((double)g[i] - ((double)i + l2 * w + l1 * sign)) < 1e-4);
    }
    assert_true(fabs(added - value) < 1e-9 * value);
    assert_true(g[3] == 3.0F); /* the slope of |w| at 0 is 0 */
    memset(g, 0, sizeof g);
    assert_true(penalty_add(&mlp, 0.0, 0.0, g) == 0.0);
    for (size_t i = 0; i < mlp.n_parameters; i++)
        assert_true(g[i] == 0.0F);
    mlp_clear(&mlp);
}

static double norm_of(const float *g, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    return sqrt(sum);
}

static void clipping_bounds_the_norm_and_keeps_the_direction(void **state)
{
    (void)state;
    float g[101];
    for (size_t i = 0; i < 101; i++)
        g[i] = (float)rng_normal(2, RNG_TEST, 0, i);
    double norm = norm_of(g, 101);
    assert_true(fabs(sqrt(penalty_squares(g, 101)) - norm) < 1e-9);
    assert_true(fabs(norm * penalty_clip_factor(norm, 2.5) - 2.5) < 1e-12);
    assert_true(penalty_clip_factor(norm, norm * 1.001) == 1.0);
    g[7] = NAN;
    assert_true(isnan(penalty_squares(g, 101)));
    g[7] = INFINITY;
    assert_true(isinf(penalty_squares(g, 101)));
}

static void longest_columns_are_cut_and_others_left(void **state)
{
    (void)state;
    const double most = 2.0;
    struct mlp mlp = make_net();
    struct mlp old = make_net();
    size_t n_cut = 0;
    size_t n_left = 0;
    penalty_max_norm(&mlp, most);
    for (size_t l = 0; l < mlp.n_layers; l++) {
        const struct mlp_layer *layer = &mlp.layers[l];
        for (size_t j = 0; j < layer->fan_out; j++) {
            double before = 0.0;
            double after = 0.0;
            for (size_t i = 0; i < layer->fan_in; i++) {
                size_t at = layer->weights_at + i * layer->fan_out + j;
                before += pow((double)old.parameters[at], 2.0);
                after += pow((double)mlp.parameters[at], 2.0);
            }
            assert_true(fabs(sqrt(after) - fmin(most, sqrt(before))) < 1e-6);
            n_cut += before > most * most;
            n_left += before <= most * most;
        }
        for (size_t j = 0; j < layer->fan_out; j++)
            assert_true(mlp.parameters[layer->biases_at + j] ==
                        old.parameters[layer->biases_at + j]);
    }
    assert_true(n_cut > 10 && n_left > 10);
    mlp_clear(&mlp);
    mlp_clear(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penalties_add_value_and_slope_of_weights_alone),
        cmocka_unit_test(clipping_bounds_the_norm_and_keeps_the_direction),
        cmocka_unit_test(longest_columns_are_cut_and_others_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
