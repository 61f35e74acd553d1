#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/gemm.h"
#include "core/pass.h"
#include "core/mlp.h"

#define ROWS   9
#define INPUTS 5

static const size_t hidden_sizes[2] = {7, 4};

/* Of every loss one head; every pair that may go together is in test_gradcheck. */
static const struct {
    enum act output;
    enum loss loss;
    size_t n_outputs;
} heads[] = {
    {ACT_IDENTITY, LOSS_SQUARED_ERROR, 3},
    {ACT_LOGISTIC, LOSS_SQUARED_ERROR, 3},
    {ACT_TANH, LOSS_SQUARED_ERROR, 3},
    {ACT_RELU, LOSS_SQUARED_ERROR, 3},
    {ACT_LOGISTIC, LOSS_BINARY_CROSS_ENTROPY, 1},
    {ACT_SOFTMAX, LOSS_CROSS_ENTROPY, 3},
    {ACT_IDENTITY, LOSS_POISSON, 3},
    {ACT_GELU, LOSS_HUBER, 3},
};
#define N_HEADS (sizeof heads / sizeof *heads)

static const struct loss_options figures = {
    .delta = 0.4, .over = 3.0, .under = 0.5, .q = 0.8, .label_smoothing = 0.1};

static float x[ROWS * INPUTS];
static float t[ROWS * 3];

static void fill_rows(const struct mlp_spec *spec)
{
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)rng_normal(5, RNG_TEST, 0, i);
    for (size_t i = 0; i < ROWS * 3; i++) {
        if (spec->loss == LOSS_CROSS_ENTROPY)
            t[i] = (float)(i % spec->n_outputs);
        else
            t[i] = (float)rng_uniform(5, RNG_TEST, 1, i);
    }
}

static struct mlp_spec spec_of(size_t head, enum act activation, size_t n_hidden)
{
    return (struct mlp_spec){.n_inputs = INPUTS,
                             .hidden_layer_sizes = hidden_sizes,
                             .n_hidden = n_hidden,
                             .n_outputs = heads[head].n_outputs,
                             .activation = activation,
                             .output_activation = heads[head].output,
                             .loss = heads[head].loss,
                             .loss_options = figures};
}

/* A net with weights and biases that are all in play. */
static struct mlp make_net(const struct mlp_spec *spec)
{
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_GLOROT_UNIFORM, 0.0, 11);
    for (size_t l = 0; l < mlp.n_layers; l++) {
        bool may_die = l + 1 == mlp.n_layers && spec->output_activation == ACT_RELU;
        for (size_t j = 0; j < mlp.layers[l].fan_out; j++)
            mlp.parameters[mlp.layers[l].biases_at + j] =
                (float)((may_die ? 3.0 : 0.3) + 0.2 * rng_normal(11, RNG_TEST, l, j));
    }
    fill_rows(spec);
    return mlp;
}

/* More rows than a layer finishes at a time: what is kept of each must be its own. */
static void gradient_of_many_rows_is_the_mean_of_its_parts(void **state)
{
    (void)state;
    enum { PARTS = 300, MANY = PARTS * ROWS };
    static float many_x[MANY * INPUTS];
    static float many_t[MANY * 3];
    struct mlp_spec spec = spec_of(0, ACT_GELU, 2);
    struct mlp mlp = make_net(&spec);
    struct pass *ws = NULL;
    struct err err = {0};
    float *all = calloc(mlp.n_parameters, sizeof *all);
    float *part = calloc(mlp.n_parameters, sizeof *part);
    double *sum = calloc(mlp.n_parameters, sizeof *sum);
    for (size_t i = 0; i < MANY * INPUTS; i++)
        many_x[i] = (float)rng_normal(6, RNG_TEST, 0, i);
    for (size_t i = 0; i < MANY * 3; i++)
        many_t[i] = (float)rng_uniform(6, RNG_TEST, 1, i);
    assert_int_equal(pass_new(&mlp, MANY, 1, &ws, &err), 0);
    pass_gradient(ws, many_x, many_t, NULL, MANY, all);
    for (size_t p = 0; p < PARTS; p++) {
        pass_gradient(ws, many_x + p * ROWS * INPUTS, many_t + p * ROWS * 3, NULL, ROWS,
                      part);
        for (size_t i = 0; i < mlp.n_parameters; i++)
            sum[i] += (double)part[i] / PARTS;
    }
    for (size_t i = 0; i < mlp.n_parameters; i++)
        assert_true(fabs((double)all[i] - sum[i]) < 1e-5);
    free(sum);
    free(part);
    free(all);
    pass_free(ws);
    mlp_clear(&mlp);
}

static void weighted_mean_is_that_of_repeated_rows(void **state)
{
    (void)state;
    for (size_t head = 0; head < N_HEADS; head++) {
        struct mlp_spec spec = spec_of(head, ACT_SILU, 2);
        struct mlp mlp = make_net(&spec);
        struct pass *ws = NULL;
        struct err err = {0};
        float weights[ROWS] = {0};
        float x_twice[3 * INPUTS];
        float t_twice[9];
        size_t k = loss_n_targets(spec.loss, spec.n_outputs);
        float *one = calloc(mlp.n_parameters, sizeof *one);
        float *two = calloc(mlp.n_parameters, sizeof *two);
        weights[1] = 2.0F;
        weights[4] = 1.0F;
        for (size_t i = 0; i < 3; i++) {
            size_t row = i < 2 ? 1 : 4;
            memcpy(x_twice + i * INPUTS, x + row * INPUTS, INPUTS * sizeof *x);
            memcpy(t_twice + i * k, t + row * k, k * sizeof *t);
        }
        assert_int_equal(pass_new(&mlp, ROWS, 1, &ws, &err), 0);
        double weighted = pass_gradient(ws, x, t, weights, ROWS, one);
        double repeated = pass_gradient(ws, x_twice, t_twice, NULL, 3, two);
        assert_true(fabs(weighted - repeated) < 1e-6 * fmax(1.0, fabs(repeated)));
        for (size_t i = 0; i < mlp.n_parameters; i++)
            assert_true(fabsf(one[i] - two[i]) < 1e-5F);
        memset(weights, 0, sizeof weights);
        assert_true(pass_gradient(ws, x, t, weights, ROWS, one) == 0.0);
        for (size_t i = 0; i < mlp.n_parameters; i++)
            assert_true(one[i] == 0.0F);
        free(one);
        free(two);
        pass_free(ws);
        mlp_clear(&mlp);
    }
}

/* --- forward against a plain loop -------------------------------------------------------- */

static void plain_activate(enum act act, double *z, size_t k)
{
    double sum = 0.0;
    for (size_t j = 0; act == ACT_SOFTMAX && j < k; j++)
        sum += exp(z[j]);
    for (size_t j = 0; j < k; j++) {
        if (act == ACT_LOGISTIC)
            z[j] = 1.0 / (1.0 + exp(-z[j]));
        if (act == ACT_TANH)
            z[j] = tanh(z[j]);
        if (act == ACT_RELU && z[j] < 0.0)
            z[j] = 0.0;
        if (act == ACT_SOFTMAX)
            z[j] = exp(z[j]) / sum;
        if (act == ACT_GELU)
            z[j] = z[j] * 0.5 * erfc(-z[j] * sqrt(0.5));
    }
}

static void plain_forward(const struct mlp *mlp, const float *row, double *out)
{
    double in[16];
    for (size_t i = 0; i < INPUTS; i++)
        in[i] = (double)row[i];
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        const float *w = mlp->parameters + layer->weights_at;
        for (size_t j = 0; j < layer->fan_out; j++) {
            out[j] = (double)mlp->parameters[layer->biases_at + j];
            for (size_t i = 0; i < layer->fan_in; i++)
                out[j] += in[i] * (double)w[i * layer->fan_out + j];
        }
        plain_activate(layer->activation, out, layer->fan_out);
        memcpy(in, out, layer->fan_out * sizeof *in);
    }
}

static void forward_matches_a_plain_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_HEADS * 4 * 3; i++) {
        struct mlp_spec spec =
            spec_of(i % N_HEADS, (enum act)(i / N_HEADS % 4), i / N_HEADS / 4);
        struct mlp mlp = make_net(&spec);
        struct pass *ws = NULL;
        struct err err = {0};
        assert_int_equal(pass_new(&mlp, ROWS, 0, &ws, &err), 0);
        const float *y = pass_forward(ws, x, ROWS);
        for (size_t row = 0; row < ROWS; row++) {
            double wanted[16];
            plain_forward(&mlp, x + row * INPUTS, wanted);
            for (size_t j = 0; spec.loss == LOSS_POISSON && j < spec.n_outputs; j++)
                wanted[j] = exp(wanted[j]);
            for (size_t j = 0; j < spec.n_outputs; j++)
                assert_true(fabs((double)y[row * spec.n_outputs + j] - wanted[j]) <
                            1e-5 * fmax(1.0, fabs(wanted[j])));
        }
        pass_free(ws);
        mlp_clear(&mlp);
    }
}

static void gradient_leaves_the_outputs_as_forward_does(void **state)
{
    (void)state;
    for (size_t head = 0; head < N_HEADS; head++) {
        struct mlp_spec spec = spec_of(head, ACT_TANH, 1);
        struct mlp mlp = make_net(&spec);
        struct pass *ws = NULL;
        struct pass *other = NULL;
        struct err err = {0};
        assert_int_equal(pass_new(&mlp, ROWS, 1, &ws, &err), 0);
        assert_int_equal(pass_new(&mlp, ROWS, 0, &other, &err), 0);
        float *gradient = calloc(mlp.n_parameters, sizeof *gradient);
        double with = pass_gradient(ws, x, t, NULL, ROWS, gradient);
        double without = pass_loss(other, x, t, NULL, ROWS);
        assert_true(with == without);
        const float *y = pass_forward(other, x, ROWS);
        for (size_t i = 0; i < ROWS * spec.n_outputs; i++)
            assert_true(fabsf(pass_outputs(ws, mlp.n_layers - 1)[i] - y[i]) < 1e-6F);
        free(gradient);
        pass_free(other);
        pass_free(ws);
        mlp_clear(&mlp);
    }
}

static void loss_is_a_mean_over_rows(void **state)
{
    (void)state;
    struct mlp_spec spec = spec_of(5, ACT_RELU, 2);
    struct mlp mlp = make_net(&spec);
    struct pass *ws = NULL;
    struct err err = {0};
    double sum = 0.0;
    assert_int_equal(pass_new(&mlp, ROWS, 0, &ws, &err), 0);
    for (size_t i = 0; i < ROWS; i++)
        sum += pass_loss(ws, x + i * INPUTS, t + i, NULL, 1);
    assert_true(fabs(pass_loss(ws, x, t, NULL, ROWS) - sum / ROWS) < 1e-6);
    pass_free(ws);
    mlp_clear(&mlp);
}

/* --- shapes and first weights ------------------------------------------------------------ */

static void parameters_are_counted_and_laid_out(void **state)
{
    (void)state;
    struct mlp_spec spec = spec_of(5, ACT_RELU, 2);
    struct err err = {0};
    struct mlp mlp = {0};
    size_t n = 0;
    assert_int_equal(mlp_count(&spec, &n, &err), 0);
    assert_int_equal(n, (5 + 1) * 7 + (7 + 1) * 4 + (4 + 1) * 3);
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    assert_int_equal(mlp.n_parameters, n);
    assert_int_equal(mlp.layers[2].biases_at + 3, n);
    assert_int_equal(mlp_n_inputs(&mlp), 5);
    assert_int_equal(mlp_n_outputs(&mlp), 3);
    for (size_t i = 0; i < n; i++)
        assert_true(mlp.parameters[i] == 0.0F);
    mlp_clear(&mlp);
    mlp_clear(&mlp); /* a zeroed net is fine */
}

static void assert_refused(const struct mlp_spec *spec, const char *pointer)
{
    struct err err = {0};
    struct mlp mlp = {0};
    size_t n = 77;
    assert_int_equal(mlp_count(spec, &n, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.pointer, pointer);
    assert_int_equal(n, 77);
    err_clear(&err);
    assert_int_equal(mlp_new(spec, &mlp, &err), -1);
    assert_null(mlp.parameters);
}

static void bad_shapes_name_their_field(void **state)
{
    (void)state;
    size_t sizes[MLP_LAYERS_MAX] = {3, 0};
    struct mlp_spec good = spec_of(5, ACT_RELU, 2);
    struct mlp_spec bad = good;
    bad.hidden_layer_sizes = sizes;
    assert_refused(&bad, "/hidden_layer_sizes/1");
    sizes[1] = MLP_WIDTH_MAX + 1;
    assert_refused(&bad, "/hidden_layer_sizes/1");
    sizes[1] = SIZE_MAX;
    assert_refused(&bad, "/hidden_layer_sizes/1");
    for (size_t i = 0; i < MLP_LAYERS_MAX; i++)
        sizes[i] = 1;
    bad.n_hidden = MLP_LAYERS_MAX;
    assert_refused(&bad, "/hidden_layer_sizes");
    bad = good;
    bad.n_inputs = 0;
    assert_refused(&bad, "/n_inputs");
    bad = good;
    bad.n_outputs = 0;
    assert_refused(&bad, "/n_outputs");
    bad = good;
    bad.activation = ACT_SOFTMAX;
    assert_refused(&bad, "/activation");
    bad = good;
    bad.output_activation = ACT_COUNT;
    assert_refused(&bad, "/output_activation");
    bad = good;
    bad.output_activation = ACT_LOGISTIC;
    assert_refused(&bad, "/loss");
    bad = good;
    bad.n_outputs = 1;
    assert_refused(&bad, "/loss");
    bad = good;
    bad.loss_options.label_smoothing = 0.51;
    assert_refused(&bad, "/label_smoothing");
}

static void most_layers_fit(void **state)
{
    (void)state;
    size_t sizes[MLP_LAYERS_MAX - 1];
    for (size_t i = 0; i < MLP_LAYERS_MAX - 1; i++)
        sizes[i] = 2;
    struct mlp_spec spec = spec_of(0, ACT_TANH, 0);
    spec.hidden_layer_sizes = sizes;
    spec.n_hidden = MLP_LAYERS_MAX - 1;
    struct mlp mlp = make_net(&spec);
    assert_int_equal(mlp.n_layers, MLP_LAYERS_MAX);
    mlp_clear(&mlp);
}

static void first_weights_have_the_promised_spread(void **state)
{
    (void)state;
    static const double variance[MLP_INIT_COUNT] = {[MLP_GLOROT_UNIFORM] =
                                                        2.0 / (200.0 + 100.0),
                                                    [MLP_GLOROT_NORMAL] = 2.0 / 300.0,
                                                    [MLP_HE_UNIFORM] = 2.0 / 200.0,
                                                    [MLP_HE_NORMAL] = 2.0 / 200.0,
                                                    [MLP_LECUN_NORMAL] = 1.0 / 200.0,
                                                    [MLP_NORMAL] = 0.01};
    const size_t hidden = 100;
    struct mlp_spec spec = spec_of(0, ACT_TANH, 1);
    spec.n_inputs = 200;
    spec.hidden_layer_sizes = &hidden;
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    for (enum mlp_init init = 0; init < MLP_INIT_COUNT; init++) {
        double sum = 0.0;
        double squares = 0.0;
        double largest = 0.0;
        mlp.parameters[mlp.layers[0].biases_at] = 5.0F;
        mlp_init_weights(&mlp, init, 0.1, 3);
        for (size_t i = 0; i < 20000; i++) {
            double w = (double)mlp.parameters[i];
            sum += w;
            squares += w * w;
            largest = fmax(largest, fabs(w));
        }
        double sd = sqrt(variance[init]);
        assert_true(fabs(sum / 20000) < 0.03 * sd);
        assert_true(fabs(squares / 20000 / variance[init] - 1.0) < 0.04);
        if (init == MLP_GLOROT_UNIFORM || init == MLP_HE_UNIFORM)
            assert_true(largest <= sd * sqrt(3.0) * 1.000001);
        else
            assert_true(largest > 3.0 * sd);
        assert_true(mlp.parameters[mlp.layers[0].biases_at] == 0.0F);
        assert_true(strlen(mlp_init_name(init)) > 0);
    }
    mlp_clear(&mlp);
}

static void first_weights_follow_the_seed(void **state)
{
    (void)state;
    struct mlp_spec spec = spec_of(0, ACT_TANH, 1);
    struct mlp a = make_net(&spec);
    struct mlp b = make_net(&spec);
    mlp_init_weights(&a, MLP_HE_NORMAL, 0.0, 1);
    mlp_init_weights(&b, MLP_HE_NORMAL, 0.0, 1);
    assert_memory_equal(a.parameters, b.parameters, a.n_parameters * sizeof(float));
    mlp_init_weights(&b, MLP_HE_NORMAL, 0.0, 2);
    assert_memory_not_equal(a.parameters, b.parameters, a.n_parameters * sizeof(float));
    mlp_clear(&a);
    mlp_clear(&b);
}

static void workspace_beyond_memory_is_an_error(void **state)
{
    (void)state;
    struct mlp_spec spec = spec_of(0, ACT_TANH, 1);
    struct mlp mlp = make_net(&spec);
    struct pass *ws = NULL;
    struct err err = {0};
    assert_int_equal(pass_new(&mlp, SIZE_MAX, 1, &ws, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_null(ws);
    mlp_clear(&mlp);
}

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    return gemm_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_of_many_rows_is_the_mean_of_its_parts),
        cmocka_unit_test(weighted_mean_is_that_of_repeated_rows),
        cmocka_unit_test(forward_matches_a_plain_loop),
        cmocka_unit_test(gradient_leaves_the_outputs_as_forward_does),
        cmocka_unit_test(loss_is_a_mean_over_rows),
        cmocka_unit_test(parameters_are_counted_and_laid_out),
        cmocka_unit_test(bad_shapes_name_their_field),
        cmocka_unit_test(most_layers_fit),
        cmocka_unit_test(first_weights_have_the_promised_spread),
        cmocka_unit_test(first_weights_follow_the_seed),
        cmocka_unit_test(workspace_beyond_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
