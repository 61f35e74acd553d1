/*
 * Universal approximation (Cybenko 1989; Hornik, Stinchcombe and White 1989), shown: one
 * hidden layer comes as close to a continuous function as one likes, by construction and
 * by training.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "core/fit.h"
#include "core/pass.h"

#define GRID 4001

struct function {
    double (*f)(double x);
    double low;
    double high;
    double slope; /* the least L with |f(x) − f(y)| <= L |x − y| */
};

static double hat(double x)
{
    return 1.0 - fabs(x - 0.3);
}

static double chirp(double x)
{
    return sin(x * x);
}

static const struct function functions[] = {
    {sin, -3.14159265358979323846, 3.14159265358979323846, 1.0},
    {hat, -1.0, 2.0, 1.0},
    {chirp, 0.0, 3.0, 5.467}, /* |2 x cos x²| at 3 */
};

static double at(const struct function *function, size_t i, size_t n)
{
    return function->low + (function->high - function->low) * (double)i / (double)n;
}

static struct mlp new_net(size_t width, enum act activation)
{
    const struct mlp_spec spec = {
        .n_inputs = 1,
        .hidden_layer_sizes = &width,
        .n_hidden = width > 0,
        .n_outputs = 1,
        .activation = activation,
        .output_activation = ACT_IDENTITY,
        .loss = LOSS_SQUARED_ERROR,
    };
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    return mlp;
}

/* Largest |net(x) − f(x)| on a grid far finer than any net here. */
static double largest_error(const struct mlp *mlp, const struct function *function)
{
    static float x[GRID];
    double largest = 0.0;
    struct pass *pass = NULL;
    struct err err = {0};
    for (size_t i = 0; i < GRID; i++)
        x[i] = (float)at(function, i, GRID - 1);
    assert_int_equal(pass_new(mlp, GRID, false, &pass, &err), 0);
    const float *y = pass_forward(pass, x, GRID);
    for (size_t i = 0; i < GRID; i++) {
        assert_true(isfinite(y[i]));
        largest = fmax(largest, fabs((double)y[i] - function->f((double)x[i])));
    }
    pass_free(pass);
    return largest;
}

/* --- by construction -------------------------------------------------------------------- */

/* The i-th pair of neurons adds `height` where low < x <= high: height ([x > low] −
 * [x > high]). */
static void set_pair(struct mlp *mlp, size_t i, double low, double high, double height)
{
    const struct mlp_layer *hidden = &mlp->layers[0];
    const struct mlp_layer *output = &mlp->layers[1];
    for (size_t j = 0; j < 2; j++) {
        size_t neuron = 2 * i + j;
        mlp->parameters[hidden->weights_at + neuron] = 1.0F;
        mlp->parameters[hidden->biases_at + neuron] = (float)(j == 0 ? -low : -high);
        mlp->parameters[output->weights_at + neuron] = (float)(j == 0 ? height : -height);
    }
}

/* f's value in the middle of each of n intervals, throughout the interval. */
static struct mlp staircase(const struct function *function, size_t n)
{
    struct mlp mlp = new_net(2 * n, ACT_STEP);
    for (size_t i = 0; i < n; i++) {
        double low = at(function, i, n);
        double high = at(function, i + 1, n);
        double height = function->f(0.5 * (low + high));
        /* Open ends: rounding does not put the interval's own ends outside. */
        set_pair(&mlp, i, i == 0 ? low - 1.0 : low, i == n - 1 ? high + 1.0 : high,
                 height);
    }
    return mlp;
}

static void pair_of_steps_is_an_indicator(void **state)
{
    (void)state;
    const float x[6] = {-5.0F, 0.25F, 0.2500001F, 0.5F, 0.5000001F, 7.0F};
    const float expected[6] = {0.0F, 0.0F, 3.0F, 3.0F, 0.0F, 0.0F};
    struct mlp mlp = new_net(2, ACT_STEP);
    struct pass *pass = NULL;
    struct err err = {0};
    set_pair(&mlp, 0, 0.25, 0.5, 3.0);
    assert_int_equal(pass_new(&mlp, 6, false, &pass, &err), 0);
    assert_memory_equal(pass_forward(pass, x, 6), expected, sizeof expected);
    pass_free(pass);
    mlp_clear(&mlp);
}

/* An interval is (high − low)/n wide, and its middle is at most half of that away. */
static void error_of_n_indicators_is_within_the_slope_over_n(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        const struct function *function = &functions[k];
        for (size_t n = 8; n <= 512; n *= 2) {
            struct mlp mlp = staircase(function, n);
            double bound =
                function->slope * (function->high - function->low) / (2.0 * (double)n);
            double error = largest_error(&mlp, function);
            assert_true(error <= bound * 1.001 + 1e-5); /* float32 */
            mlp_clear(&mlp);
        }
    }
}

static void twice_as_many_indicators_halve_the_error(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        double before = 0.0;
        for (size_t n = 16; n <= 512; n *= 2) {
            struct mlp mlp = staircase(&functions[k], n);
            double error = largest_error(&mlp, &functions[k]);
            if (before > 0.0)
                assert_true(error / before > 0.4 && error / before < 0.6);
            before = error;
            mlp_clear(&mlp);
        }
    }
}

/* --- by training ------------------------------------------------------------------------ */

#define POINTS 201

static double train_sine(size_t width, uint64_t seed)
{
    static float x[POINTS];
    static float t[POINTS];
    const struct fit_rows rows = {.x = x, .t = t, .n_rows = POINTS};
    const struct fit_options options = {
        .optim = {.solver = SOLVER_LBFGS},
        .max_iter = 500,
        .n_iter_no_change = 500,
        .seed = seed,
    };
    struct fit_result result = {0};
    struct err err = {0};
    for (size_t i = 0; i < POINTS; i++) {
        x[i] = (float)at(&functions[0], i, POINTS - 1);
        t[i] = (float)sin((double)x[i]);
    }
    struct mlp mlp = new_net(width, ACT_TANH);
    /* Wider than glorot_uniform's: tangents of many slopes to start from. */
    mlp_init_weights(&mlp, MLP_NORMAL, 1.0, seed);
    if (fit_run(&mlp, &options, &rows, NULL, NULL, &result, &err) < 0)
        fail_msg("fit_run: %s", err.message);
    double error = largest_error(&mlp, &functions[0]);
    mlp_clear(&mlp);
    return error;
}

static void trained_hidden_layer_is_within_a_hundredth_of_sine(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        double error = train_sine(32, seed);
        if (!(error < 0.01))
            fail_msg("seed %u: error %.3g", (unsigned)seed, error);
    }
}

static void without_a_hidden_layer_sine_is_out_of_reach(void **state)
{
    (void)state;
    assert_true(train_sine(0, 0) > 0.68); /* no line is nearer than that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair_of_steps_is_an_indicator),
        cmocka_unit_test(error_of_n_indicators_is_within_the_slope_over_n),
        cmocka_unit_test(twice_as_many_indicators_halve_the_error),
        cmocka_unit_test(trained_hidden_layer_is_within_a_hundredth_of_sine),
        cmocka_unit_test(without_a_hidden_layer_sine_is_out_of_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
