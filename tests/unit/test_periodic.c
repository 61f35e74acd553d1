#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/gemm.h"
#include "core/pass.h"
#include "core/periodic.h"

#define ROWS   7
#define INPUTS 4

static const size_t inputs[] = {0, 2, 3};
static const struct periodic periodic = {INPUTS, 3, inputs, 5, 2};
static float x[ROWS * INPUTS];

/* Its columns once more, in double and the plainest loops. */
static void spread(const struct periodic *p, const double *w, const float *row,
                   double *out)
{
    size_t m = p->n_frequencies;
    for (size_t i = 0; i < p->n_inputs; i++)
        *out++ = (double)row[i];
    for (size_t i = 0; i < p->n; i++, w += periodic_n_parameters(p))
        for (size_t j = 0; j < p->width; j++, out++) {
            *out = w[2 * m + m * p->width + j];
            for (size_t k = 0; k < m; k++)
                *out += cos(2.0 * M_PI * w[k] * (double)row[p->inputs[i]] + w[m + k]) *
                        w[2 * m + k * p->width + j];
        }
}

static void columns_match_the_formula_in_double(void **state)
{
    (void)state;
    static const double scales[] = {0.1, 1.0, 30.0};
    size_t n = periodic.n * periodic_n_parameters(&periodic);
    size_t k = periodic_n_columns(&periodic);
    assert_int_equal(k, INPUTS + 3 * 2);
    for (size_t s = 0; s < 3; s++) {
        float *w = calloc(n, sizeof *w);
        double *wide = calloc(n, sizeof *wide);
        float out[ROWS * 10];
        double wanted[10];
        periodic_init(&periodic, scales[s], 1, w);
        for (size_t i = 0; i < n; i++)
            wide[i] = (double)w[i];
        periodic_forward(&periodic, w, x, ROWS, out);
        for (size_t row = 0; row < ROWS; row++) {
            spread(&periodic, wide, x + row * INPUTS, wanted);
            for (size_t j = 0; j < k; j++) /* float32 cannot place many turns better */
                assert_true(fabs((double)out[row * k + j] - wanted[j]) <
                            2e-6 * fmax(1.0, scales[s]));
        }
        free(w);
        free(wide);
    }
}

static void nan_comes_through(void **state)
{
    (void)state;
    float w[80];
    float out[10];
    float row[INPUTS] = {NAN, 1.0F, INFINITY, 1e30F};
    periodic_init(&periodic, 0.1, 1, w);
    periodic_forward(&periodic, w, row, 1, out);
    assert_true(isnan(out[INPUTS]) && isnan(out[INPUTS + 1]));
    assert_true(isnan(out[INPUTS + 2]) && isnan(out[INPUTS + 3]));
    assert_true(isfinite(out[INPUTS + 4]) && isfinite(out[INPUTS + 5]));
}

static void first_parameters_have_their_distributions(void **state)
{
    (void)state;
    static size_t many[200];
    const struct periodic wide = {200, 200, many, 16, 3};
    size_t each = periodic_n_parameters(&wide);
    float *w = calloc(200 * each, sizeof *w);
    double squares = 0.0;
    double phases = 0.0;
    for (size_t i = 0; i < 200; i++)
        many[i] = i;
    periodic_init(&wide, 0.1, 3, w);
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < 16; k++) {
            squares += (double)w[i * each + k] * (double)w[i * each + k];
            phases += fabs((double)w[i * each + 16 + k]);
            assert_true(fabs((double)w[i * each + 16 + k]) <= M_PI);
            assert_true(fabsf(w[i * each + 32 + k]) <= 0.25F);
        }
    assert_true(fabs(sqrt(squares / 3200) - 0.1) < 0.005);
    assert_true(fabs(phases / 3200 - M_PI / 2) < 0.1);
    free(w);
}

/* A net of one linear layer on the columns, in double. */
static double loss_of(const struct mlp *mlp, const double *w, const float *t)
{
    const struct mlp_layer *layer = &mlp->layers[0];
    double columns[10];
    double sum = 0.0;
    for (size_t row = 0; row < ROWS; row++) {
        spread(&mlp->periodic, w + mlp->periodic_at, x + row * INPUTS, columns);
        double y = w[layer->biases_at];
        for (size_t i = 0; i < layer->fan_in; i++)
            y += columns[i] * (mlp->has_scales ? w[i] : 1.0) * w[layer->weights_at + i];
        sum += 0.5 * (y - (double)t[row]) * (y - (double)t[row]);
    }
    return sum / ROWS;
}

static void check_gradient(bool has_scales)
{
    const struct mlp_spec spec = {.n_inputs = INPUTS,
                                  .n_outputs = 1,
                                  .activation = ACT_RELU,
                                  .output_activation = ACT_IDENTITY,
                                  .loss = LOSS_SQUARED_ERROR,
                                  .loss_options = loss_defaults(),
                                  .feature_scale = has_scales,
                                  .periodic = periodic};
    struct mlp mlp;
    struct pass *pass = NULL;
    struct err err = {0};
    float t[ROWS];
    double w[200];
    float gradient[200];
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_HE_NORMAL, 0.0, 1);
    mlp_init_embeddings(&mlp, 0.3, 1);
    assert_int_equal(pass_new(&mlp, ROWS, true, &pass, &err), 0);
    for (size_t i = 0; i < ROWS; i++)
        t[i] = (float)rng_normal(1, RNG_TEST, 5, i);
    for (size_t i = 0; i < mlp.n_parameters; i++) {
        if (i < mlp.periodic_at)
            mlp.parameters[i] += (float)(0.3 * rng_normal(1, RNG_TEST, 6, i));
        w[i] = (double)mlp.parameters[i];
    }
    double loss = pass_gradient(pass, x, t, NULL, ROWS, gradient);
    assert_true(fabs(loss - loss_of(&mlp, w, t)) < 1e-5);
    for (size_t i = 0; i < mlp.n_parameters; i++) {
        double kept = w[i];
        w[i] = kept + 1e-5;
        double high = loss_of(&mlp, w, t);
        w[i] = kept - 1e-5;
        double low = loss_of(&mlp, w, t);
        w[i] = kept;
        assert_true(fabs((double)gradient[i] - (high - low) / 2e-5) < 2e-5);
    }
    pass_free(pass);
    mlp_clear(&mlp);
}

static void gradient_matches_central_difference(void **state)
{
    (void)state;
    check_gradient(false);
    check_gradient(true);
}

static void bad_embeddings_are_refused(void **state)
{
    (void)state;
    static const size_t falling[] = {2, 1};
    static const size_t beyond[] = {1, INPUTS};
    const struct {
        struct periodic periodic;
        const char *pointer;
    } cases[] = {
        {{0, 3, inputs, 0, 2}, "/periodic_frequencies"},
        {{0, 3, inputs, PERIODIC_FREQUENCIES_MAX + 1, 2}, "/periodic_frequencies"},
        {{0, 3, inputs, 4, 0}, "/periodic_width"},
        {{0, 3, inputs, 4, PERIODIC_WIDTH_MAX + 1}, "/periodic_width"},
        {{0, 2, falling, 4, 2}, "/periodic_inputs"},
        {{0, 2, beyond, 4, 2}, "/periodic_inputs"},
        {{0, INPUTS + 1, inputs, 4, 2}, "/periodic_inputs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mlp_spec spec = {.n_inputs = INPUTS,
                                      .n_outputs = 1,
                                      .activation = ACT_RELU,
                                      .output_activation = ACT_IDENTITY,
                                      .loss = LOSS_SQUARED_ERROR,
                                      .loss_options = loss_defaults(),
                                      .periodic = cases[i].periodic};
        struct mlp mlp = {0};
        struct err err = {0};
        assert_int_equal(mlp_new(&spec, &mlp, &err), -1);
        assert_string_equal(err.pointer, cases[i].pointer);
    }
}

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)rng_normal(1, RNG_TEST, 1, i);
    return gemm_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_match_the_formula_in_double),
        cmocka_unit_test(nan_comes_through),
        cmocka_unit_test(first_parameters_have_their_distributions),
        cmocka_unit_test(gradient_matches_central_difference),
        cmocka_unit_test(bad_embeddings_are_refused),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
