#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "core/dropout.h"
#include "core/gemm.h"
#include "core/gradcheck.h"
#include "core/mlp.h"
#include "core/pass.h"
#include "core/penalty.h"

#define ROWS    7
#define INPUTS  5
#define OUTPUTS 3

static const size_t hidden_sizes[2] = {5, 4};

static float x[ROWS * INPUTS];
static float t[ROWS * OUTPUTS];
static float weights[ROWS];

/* What joins a net and its loss in a check besides activations and loss. */
struct extras {
    const char *name;
    bool ntk_parametrization;
    bool feature_scale;
    bool has_weights;
    bool has_figures;
    double l2;
    double l1;
    double dropout; /* rate */
    bool has_embeddings;
    size_t n_outputs;
};

static const struct extras plain = {.name = "plain", .n_outputs = OUTPUTS};
static const struct extras everything = {.name = "everything",
                                         .ntk_parametrization = true,
                                         .feature_scale = true,
                                         .has_weights = true,
                                         .has_figures = true,
                                         .l2 = 0.02,
                                         .l1 = 0.003,
                                         .has_embeddings = true,
                                         .n_outputs = 1};
static const size_t embedded_inputs[2] = {1, 4};

/* Targets on both sides of what a net predicts: were all misses of one sign, batch_norm would
 * leave nothing to learn from a loss that is linear. */
static void fill_rows(const struct mlp_spec *spec, uint64_t seed)
{
    double lowest = spec->output_activation == ACT_RELU ? 2.5 : 0.0;
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)rng_normal(seed, RNG_TEST, 0, i);
    for (size_t i = 0; i < ROWS * OUTPUTS; i++) {
        if (spec->loss == LOSS_CROSS_ENTROPY)
            t[i] = (float)(i % spec->n_outputs);
        else
            t[i] = (float)(lowest + rng_uniform(seed, RNG_TEST, 1, i));
    }
    for (size_t i = 0; i < ROWS; i++)
        weights[i] = (float)i * 0.25F; /* the first is 0 */
}

static struct loss_options figures_of(const struct extras *extras)
{
    const struct loss_options figures = {
        .delta = 0.4, .over = 3.0, .under = 0.5, .q = 0.8, .label_smoothing = 0.1};
    return extras->has_figures ? figures : loss_defaults();
}

static struct mlp_spec spec_of(enum act activation, enum loss loss, enum act output,
                               enum mlp_normalization normalization,
                               const struct extras *extras)
{
    return (struct mlp_spec){.n_inputs = INPUTS,
                             .hidden_layer_sizes = hidden_sizes,
                             .n_hidden = 2,
                             .n_outputs = OUTPUTS,
                             .activation = activation,
                             .output_activation = output,
                             .loss = loss,
                             .loss_options = figures_of(extras),
                             .normalization = normalization,
                             .ntk_parametrization = extras->ntk_parametrization,
                             .feature_scale = extras->feature_scale,
                             .periodic = {.n = extras->has_embeddings ? 2 : 0,
                                          .inputs = embedded_inputs,
                                          .n_frequencies = 2,
                                          .width = extras->n_outputs == 1 ? 1 : 2}};
}

static void spread(float *parameters, size_t n, double mean, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        parameters[i] = (float)(mean + 0.2 * rng_normal(seed, RNG_TEST, 2, i));
}

/* A net with parameters that are all in play, and its rows. */
static struct mlp make_net(const struct mlp_spec *spec, uint64_t seed)
{
    struct mlp mlp = {0};
    struct err err = {0};
    if (mlp_new(spec, &mlp, &err) < 0)
        fail_msg("%s", err.message);
    mlp_init_weights(&mlp, spec->ntk_parametrization ? MLP_NORMAL : MLP_GLOROT_UNIFORM,
                     1.0, seed);
    for (size_t l = 0; l < mlp.n_layers; l++) {
        const struct mlp_layer *layer = &mlp.layers[l];
        bool may_die = l + 1 == mlp.n_layers && spec->output_activation == ACT_RELU;
        spread(mlp.parameters + layer->biases_at, layer->fan_out, may_die ? 3.0 : 0.3,
               seed + l);
        if (layer->normalization != MLP_NORMALIZATION_NONE)
            spread(mlp.parameters + layer->gains_at, layer->fan_out, 1.0, seed + 100 + l);
    }
    if (mlp.has_scales)
        spread(mlp.parameters, mlp.layers[0].fan_in, 1.0, seed + 200);
    mlp_init_embeddings(&mlp, 0.2, seed);
    fill_rows(spec, seed);
    return mlp;
}

/* --- every net -------------------------------------------------------------------------- */

struct tally {
    size_t n_nets;
    size_t n_parameters;
    size_t n_left_out;
    size_t n_draws_left_out;
    size_t n_imprecise; /* nets whose float32 gradient is off by over 2e-4 */
    double shadow_error;
    double product_error;
};

static void add_to_tally(struct tally *tally, const struct gradcheck *result)
{
    double product_error = 0.0;
    tally->n_nets++;
    for (size_t i = 0; i < result->n_layers * MLP_GROUP_COUNT; i++) {
        const struct gradcheck_group *group =
            &result->groups[i / MLP_GROUP_COUNT][i % MLP_GROUP_COUNT];
        tally->n_parameters += group->n_parameters;
        tally->n_left_out += group->n_left_out;
        tally->shadow_error = fmax(tally->shadow_error, group->shadow_error);
        product_error = fmax(product_error, group->product_error);
    }
    tally->product_error = fmax(tally->product_error, product_error);
    tally->n_imprecise += product_error > 2e-4;
}

static struct shadow_objective objective_of(const struct mlp *mlp,
                                            const struct extras *extras)
{
    return (struct shadow_objective){.mlp = mlp,
                                     .x = x,
                                     .t = t,
                                     .weights = extras->has_weights ? weights : NULL,
                                     .n = ROWS,
                                     .l2 = extras->l2,
                                     .l1 = extras->l1};
}

/* -1 with "too_many_kinks" when these rows happen to lie next to one. */
static int check_draw(const struct mlp_spec *spec, const struct extras *extras,
                      uint64_t seed, struct tally *tally, struct err *err)
{
    const double rates[2] = {extras->dropout, extras->dropout};
    struct mlp mlp = make_net(spec, seed);
    struct shadow_objective objective = objective_of(&mlp, extras);
    struct dropout dropout = {0};
    struct gradcheck result = {0};
    assert_int_equal(dropout_init(&dropout, rates, spec->hidden_layer_sizes,
                                  spec->n_hidden, ROWS, seed, err),
                     0);
    objective.dropout = extras->dropout > 0.0 ? &dropout : NULL;
    int rc = gradcheck_run(&objective, &result, err);
    if (rc == 0)
        rc = gradcheck_verdict(&result, err);
    if (rc == 0)
        add_to_tally(tally, &result);
    dropout_clear(&dropout);
    mlp_clear(&mlp);
    return rc;
}

static void check_net(const struct mlp_spec *spec, const struct extras *extras,
                      struct tally *tally)
{
    struct err err = {0};
    for (uint64_t draw = 0; draw < 10; draw++) {
        err_clear(&err);
        if (check_draw(spec, extras, 1000 * tally->n_nets + draw, tally, &err) == 0)
            return;
        if (strcmp(err.slug, "too_many_kinks") != 0)
            break;
        tally->n_draws_left_out++;
    }
    fail_msg("%s, %s, %s with %zu outputs, %s, %zu hidden layers, %s: %s",
             act_name(spec->activation), loss_name(spec->loss),
             act_name(spec->output_activation), spec->n_outputs,
             mlp_normalization_name(spec->normalization), spec->n_hidden, extras->name,
             err.message);
}

/* Every loss after every output activation that it goes with, with as many outputs as asked
 * for or, where the pair does not take them, the other number. */
static void check_losses(struct mlp_spec spec, const struct extras *extras,
                         struct tally *tally)
{
    for (size_t i = 0; i < LOSS_COUNT * ACT_COUNT; i++) {
        spec.loss = (enum loss)(i / ACT_COUNT);
        spec.output_activation = (enum act)(i % ACT_COUNT);
        spec.n_outputs = extras->n_outputs;
        if (!loss_may_follow(spec.loss, spec.output_activation, spec.n_outputs))
            spec.n_outputs = OUTPUTS + 1 - spec.n_outputs;
        if (act_is_trainable(spec.output_activation) &&
            loss_may_follow(spec.loss, spec.output_activation, spec.n_outputs))
            check_net(&spec, extras, tally);
    }
}

static void report(const char *name, const struct extras *extras,
                   const struct tally *tally)
{
    print_message(
        "%s, %s: %zu nets, float64 %.2g, float32 %.2g (%zu over 2e-4), left out "
        "%zu of %zu parameters and %zu draws\n",
        name, extras->name, tally->n_nets, tally->shadow_error, tally->product_error,
        tally->n_imprecise, tally->n_left_out, tally->n_parameters,
        tally->n_draws_left_out);
    assert_true(tally->n_left_out * 100 < tally->n_parameters);
    assert_true(tally->n_imprecise <= tally->n_nets / 100);
}

static void check_activations(enum mlp_normalization normalization,
                              const struct extras *extras)
{
    struct tally tally = {0};
    for (enum act act = ACT_IDENTITY; act < ACT_SOFTMAX; act++) {
        struct mlp_spec spec =
            spec_of(act, LOSS_SQUARED_ERROR, ACT_IDENTITY, normalization, extras);
        if (act_is_trainable(act))
            check_losses(spec, extras, &tally);
    }
    report(mlp_normalization_name(normalization), extras, &tally);
    assert_int_equal(tally.n_nets, 11 * (5 * 11 + 3));
}

static void gradients_without_normalization_are_right(void **state)
{
    (void)state;
    check_activations(MLP_NORMALIZATION_NONE, &plain);
    check_activations(MLP_NORMALIZATION_NONE, &everything);
}

static void gradients_with_batch_norm_are_right(void **state)
{
    (void)state;
    check_activations(MLP_BATCH_NORM, &plain);
    check_activations(MLP_BATCH_NORM, &everything);
}

static void gradients_with_layer_norm_are_right(void **state)
{
    (void)state;
    check_activations(MLP_LAYER_NORM, &plain);
    check_activations(MLP_LAYER_NORM, &everything);
}

/* What "everything" joins, one at a time, so that one cannot make up for another. */
static void gradients_of_each_extra_alone_are_right(void **state)
{
    (void)state;
    static const struct extras alone[] = {
        {.name = "ntk", .ntk_parametrization = true, .n_outputs = OUTPUTS},
        {.name = "feature scale", .feature_scale = true, .n_outputs = OUTPUTS},
        {.name = "weights", .has_weights = true, .n_outputs = OUTPUTS},
        {.name = "figures", .has_figures = true, .n_outputs = OUTPUTS},
        {.name = "l2", .l2 = 0.1, .n_outputs = OUTPUTS},
        {.name = "l1", .l1 = 0.01, .n_outputs = OUTPUTS},
        {.name = "dropout", .dropout = 0.25, .n_outputs = OUTPUTS},
        {.name = "embeddings", .has_embeddings = true, .n_outputs = OUTPUTS},
    };
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        struct tally tally = {0};
        for (enum mlp_normalization norm = 0; norm < MLP_NORMALIZATION_COUNT; norm++)
            check_losses(
                spec_of(ACT_SILU, LOSS_SQUARED_ERROR, ACT_IDENTITY, norm, alone + i),
                alone + i, &tally);
        report("silu", alone + i, &tally);
    }
}

static void gradients_of_shallow_nets_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const struct extras *extras = i < 2 ? &plain : &everything;
        struct tally tally = {0};
        struct mlp_spec spec = spec_of(ACT_TANH, LOSS_SQUARED_ERROR, ACT_IDENTITY,
                                       MLP_NORMALIZATION_NONE, extras);
        spec.n_hidden = i % 2;
        check_losses(spec, extras, &tally);
        report(i % 2 == 0 ? "no hidden layer" : "one hidden layer", extras, &tally);
    }
}

/* --- more than one tile ----------------------------------------------------------------- */

#define MANY_ROWS 400

static const size_t wide_sizes[2] = {100, 50};

static float many_x[MANY_ROWS * INPUTS];
static float many_t[MANY_ROWS * OUTPUTS];
static float many_weights[MANY_ROWS];

static void fill_many_rows(const struct mlp_spec *spec)
{
    for (size_t i = 0; i < MANY_ROWS * INPUTS; i++)
        many_x[i] = (float)rng_normal(8, RNG_TEST, 0, i);
    for (size_t i = 0; i < MANY_ROWS * OUTPUTS; i++)
        many_t[i] = spec->loss == LOSS_CROSS_ENTROPY
                        ? (float)(i % OUTPUTS)
                        : (float)rng_uniform(8, RNG_TEST, 1, i);
    for (size_t i = 0; i < MANY_ROWS; i++)
        many_weights[i] = (float)rng_uniform(8, RNG_TEST, 2, i);
}

/* As threads may: in another order than the tasks are counted in. */
static void run_backwards(void *ctx, void (*task)(void *arg, size_t i), void *arg,
                          size_t n_tasks)
{
    (void)ctx;
    for (size_t i = n_tasks; i-- > 0;)
        task(arg, i);
}

/* ‖g − ĝ‖ / ‖ĝ‖ of some parameters. */
static double distance(const float *g, const double *reference, size_t n)
{
    double off = 0.0;
    double all = 0.0;
    for (size_t i = 0; i < n; i++) {
        off += pow((double)g[i] - reference[i], 2.0);
        all += reference[i] * reference[i];
    }
    return sqrt(off / all);
}

static void assert_pass_is_shadow(const struct shadow_objective *o, const char *name)
{
    const struct parallel backwards = {.run = run_backwards};
    const struct mlp *mlp = o->mlp;
    struct pass *pass = NULL;
    struct shadow *shadow = NULL;
    struct err err = {0};
    float *gradient = calloc(mlp->n_parameters, sizeof *gradient);
    double *slopes = calloc(mlp->n_parameters, sizeof *slopes);
    assert_int_equal(pass_new(mlp, MANY_ROWS, true, &pass, &err), 0);
    pass_set_parallel(pass, &backwards);
    pass_set_dropout(pass, o->dropout);
    double loss = pass_gradient(pass, o->x, o->t, o->weights, o->n, gradient);
    loss += penalty_add(mlp, o->l2, o->l1, gradient);
    assert_int_equal(shadow_new(o, &shadow, &err), 0);
    double wanted = shadow_gradient(shadow, slopes);
    if (!(fabs(loss - wanted) < 1e-5 * fabs(wanted)))
        fail_msg("%s: loss %g, not %g", name, loss, wanted);
    for (size_t l = 0; l < mlp->n_layers; l++) {
        size_t at = l > 0 ? mlp->layers[l].weights_at : 0;
        size_t end =
            l + 1 < mlp->n_layers ? mlp->layers[l + 1].weights_at : mlp->n_parameters;
        double off = distance(gradient + at, slopes + at, end - at);
        if (!(off < 1e-5))
            fail_msg("%s: layer %zu is off by %g", name, l, off);
    }
    free(slopes);
    free(gradient);
    shadow_free(shadow);
    pass_free(pass);
}

static void loss_and_gradient_of_many_rows_are_those_of_the_shadow(void **state)
{
    (void)state;
    static const enum act outputs[LOSS_COUNT] = {
        [LOSS_SQUARED_ERROR] = ACT_TANH,
        [LOSS_ASYMMETRIC_SQUARED] = ACT_SOFTPLUS,
        [LOSS_BINARY_CROSS_ENTROPY] = ACT_LOGISTIC,
        [LOSS_CROSS_ENTROPY] = ACT_SOFTMAX,
    }; /* of the others: identity */
    const double rates[2] = {0.3, 0.5};
    for (size_t i = 0; i < LOSS_COUNT * MLP_NORMALIZATION_COUNT; i++) {
        enum loss loss = (enum loss)(i / MLP_NORMALIZATION_COUNT);
        struct mlp_spec spec =
            spec_of(ACT_MISH, loss, outputs[loss],
                    (enum mlp_normalization)(i % MLP_NORMALIZATION_COUNT), &everything);
        spec.hidden_layer_sizes = wide_sizes;
        struct mlp mlp = make_net(&spec, 3);
        struct shadow_objective objective = objective_of(&mlp, &everything);
        struct dropout dropout = {0};
        struct err err = {0};
        fill_many_rows(&spec);
        assert_int_equal(dropout_init(&dropout, rates, wide_sizes, 2, MANY_ROWS, 5, &err),
                         0);
        objective.x = many_x;
        objective.t = many_t;
        objective.weights = many_weights;
        objective.n = MANY_ROWS;
        objective.dropout = &dropout;
        assert_pass_is_shadow(&objective, loss_name(loss));
        dropout_clear(&dropout);
        mlp_clear(&mlp);
    }
}

/* --- the check itself ------------------------------------------------------------------- */

static struct mlp usual_net(enum act activation, enum mlp_normalization normalization)
{
    struct mlp_spec spec =
        spec_of(activation, LOSS_CROSS_ENTROPY, ACT_SOFTMAX, normalization, &everything);
    return make_net(&spec, 7);
}

/* The shadow's gradient in float32: right by the first step of the check. */
static float *right_gradient(const struct shadow_objective *objective)
{
    size_t n = objective->mlp->n_parameters;
    struct shadow *shadow = NULL;
    struct err err = {0};
    float *gradient = calloc(n, sizeof *gradient);
    double *slopes = calloc(n, sizeof *slopes);
    assert_int_equal(shadow_new(objective, &shadow, &err), 0);
    shadow_gradient(shadow, slopes);
    for (size_t i = 0; i < n; i++)
        gradient[i] = (float)slopes[i];
    shadow_free(shadow);
    free(slopes);
    return gradient;
}

static void assert_wrong(const struct shadow_objective *objective, const float *gradient,
                         const char *part)
{
    struct gradcheck result = {0};
    struct err err = {0};
    assert_int_equal(gradcheck_gradient(objective, gradient, &result, &err), 0);
    assert_int_equal(gradcheck_verdict(&result, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.slug, "wrong_gradient");
    if (!strstr(err.message, part))
        fail_msg("%s", err.message);
}

static void one_wrong_slope_is_found_and_named(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_MISH, MLP_BATCH_NORM);
    struct shadow_objective objective = objective_of(&mlp, &everything);
    float *gradient = right_gradient(&objective);
    struct gradcheck result = {0};
    struct err err = {0};
    assert_int_equal(gradcheck_gradient(&objective, gradient, &result, &err), 0);
    assert_int_equal(gradcheck_verdict(&result, &err), 0);
    const struct {
        size_t at;
        const char *name;
    } places[] = {
        {0, "feature scales of layer 0"},
        {mlp.periodic_at + 1, "embeddings of layer 0"},
        {mlp.layers[0].weights_at + 3, "weights of layer 0"},
        {mlp.layers[1].biases_at + 1, "biases of layer 1"},
        {mlp.layers[1].gains_at, "gains of layer 1"},
        {mlp.layers[2].biases_at + 2, "biases of layer 2"},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        float right = gradient[places[i].at];
        gradient[places[i].at] = right * 1.01F;
        assert_wrong(&objective, gradient, places[i].name);
        gradient[places[i].at] = (float)NAN;
        assert_wrong(&objective, gradient, places[i].name);
        gradient[places[i].at] = right;
    }
    free(gradient);
    mlp_clear(&mlp);
}

static void gradient_of_other_weights_is_wrong(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_TANH, MLP_LAYER_NORM);
    struct shadow_objective objective = objective_of(&mlp, &everything);
    float *gradient = right_gradient(&objective);
    mlp.parameters[mlp.layers[1].weights_at] += 0.01F;
    assert_wrong(&objective, gradient, "off by");
    free(gradient);
    mlp_clear(&mlp);
}

/* A gradient that is right but for a regulariser that was left out, or added once more. */
static void gradient_of_another_penalty_is_wrong(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_GELU, MLP_NORMALIZATION_NONE);
    struct shadow_objective objective = objective_of(&mlp, &everything);
    float *gradient = right_gradient(&objective);
    struct shadow_objective other = objective;
    other.l2 = 0.0;
    assert_wrong(&other, gradient, "weights of layer");
    other = objective;
    other.l1 *= 2.0;
    assert_wrong(&other, gradient, "weights of layer");
    other = objective;
    other.weights = NULL;
    assert_wrong(&other, gradient, "off by");
    free(gradient);
    mlp_clear(&mlp);
}

static void assert_refused(const struct shadow_objective *objective,
                           const float *gradient, const char *slug)
{
    struct gradcheck result = {.n_layers = 77};
    struct err err = {0};
    int rc = gradient ? gradcheck_gradient(objective, gradient, &result, &err)
                      : gradcheck_run(objective, &result, &err);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.slug, slug);
    assert_int_equal(result.n_layers, 77);
}

static void zero_gradient_of_dead_units_is_refused(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_RELU, MLP_NORMALIZATION_NONE);
    struct shadow_objective objective = objective_of(&mlp, &plain);
    for (size_t j = 0; j < mlp.layers[0].fan_out; j++)
        mlp.parameters[mlp.layers[0].biases_at + j] = -1000.0F;
    assert_refused(&objective, NULL, "zero_gradient");
    mlp_clear(&mlp);
}

/* One row is its own mean: batch_norm lets nothing through. */
static void zero_gradient_of_a_single_row_is_refused(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_TANH, MLP_BATCH_NORM);
    struct shadow_objective objective = objective_of(&mlp, &plain);
    objective.n = 1;
    assert_refused(&objective, NULL, "zero_gradient");
    mlp_clear(&mlp);
}

static void gradient_that_is_zero_in_one_layer_is_refused(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_TANH, MLP_LAYER_NORM);
    struct shadow_objective objective = objective_of(&mlp, &plain);
    float *gradient = right_gradient(&objective);
    memset(gradient, 0, mlp.periodic_at * sizeof *gradient); /* the scales */
    assert_refused(&objective, gradient, "zero_gradient");
    free(gradient);
    gradient = right_gradient(&objective);
    memset(gradient + mlp.layers[1].weights_at, 0,
           (mlp.layers[2].weights_at - mlp.layers[1].weights_at) * sizeof *gradient);
    assert_refused(&objective, gradient, "zero_gradient");
    free(gradient);
    mlp_clear(&mlp);
}

/* At a kink the central difference is half a slope, whatever backpropagation says. */
static void kinks_are_left_out_and_counted(void **state)
{
    (void)state;
    struct mlp_spec spec = spec_of(ACT_RELU, LOSS_CROSS_ENTROPY, ACT_SOFTMAX,
                                   MLP_NORMALIZATION_NONE, &plain);
    struct mlp mlp = make_net(&spec, 7);
    struct shadow_objective objective = objective_of(&mlp, &plain);
    float *gradient = right_gradient(&objective);
    struct gradcheck result = {0};
    struct err err = {0};
    assert_int_equal(gradcheck_gradient(&objective, gradient, &result, &err), 0);
    size_t usual = result.groups[0][MLP_BIASES].n_left_out;
    free(gradient);
    memset(x, 0, INPUTS * sizeof *x); /* the first row meets unit 2 exactly at z = 0 */
    mlp.parameters[mlp.layers[0].biases_at + 2] = 0.0F;
    gradient = right_gradient(&objective);
    assert_int_equal(gradcheck_gradient(&objective, gradient, &result, &err), 0);
    assert_int_equal(gradcheck_verdict(&result, &err), 0);
    assert_int_equal(result.groups[0][MLP_BIASES].n_left_out, usual + 1);
    memset(mlp.parameters + mlp.layers[0].biases_at, 0,
           mlp.layers[0].fan_out * sizeof *mlp.parameters);
    assert_refused(&objective, gradient, "too_many_kinks");
    free(gradient);
    mlp_clear(&mlp);
}

static void bad_rows_are_refused(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_TANH, MLP_NORMALIZATION_NONE);
    struct shadow_objective objective = objective_of(&mlp, &everything);
    const float bad_targets[] = {-1.0F, 3.0F, 0.5F, (float)NAN};
    for (size_t i = 0; i < sizeof bad_targets / sizeof *bad_targets; i++) {
        t[4] = bad_targets[i];
        assert_refused(&objective, NULL, "bad_target");
    }
    t[4] = 0.0F;
    x[7] = (float)INFINITY;
    assert_refused(&objective, NULL, "bad_row");
    x[7] = 0.0F;
    weights[3] = -1.0F;
    assert_refused(&objective, NULL, "bad_weight");
    weights[3] = (float)NAN;
    assert_refused(&objective, NULL, "bad_weight");
    memset(weights, 0, sizeof weights);
    assert_refused(&objective, NULL, "bad_weight");
    objective.n = 0;
    assert_refused(&objective, NULL, "no_rows");
    mlp_clear(&mlp);
}

static void shadow_beyond_memory_is_an_error(void **state)
{
    (void)state;
    struct mlp mlp = usual_net(ACT_TANH, MLP_NORMALIZATION_NONE);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 64, SIZE_MAX / 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct shadow_objective objective = objective_of(&mlp, &plain);
        struct shadow *shadow = NULL;
        struct err err = {0};
        objective.n = sizes[i];
        assert_int_equal(shadow_new(&objective, &shadow, &err), -1);
        assert_int_equal(err.code, ERR_NO_MEMORY);
        assert_null(shadow);
    }
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
        cmocka_unit_test(gradients_without_normalization_are_right),
        cmocka_unit_test(gradients_with_batch_norm_are_right),
        cmocka_unit_test(gradients_with_layer_norm_are_right),
        cmocka_unit_test(gradients_of_each_extra_alone_are_right),
        cmocka_unit_test(gradients_of_shallow_nets_are_right),
        cmocka_unit_test(loss_and_gradient_of_many_rows_are_those_of_the_shadow),
        cmocka_unit_test(one_wrong_slope_is_found_and_named),
        cmocka_unit_test(gradient_of_other_weights_is_wrong),
        cmocka_unit_test(gradient_of_another_penalty_is_wrong),
        cmocka_unit_test(zero_gradient_of_dead_units_is_refused),
        cmocka_unit_test(zero_gradient_of_a_single_row_is_refused),
        cmocka_unit_test(gradient_that_is_zero_in_one_layer_is_refused),
        cmocka_unit_test(kinks_are_left_out_and_counted),
        cmocka_unit_test(bad_rows_are_refused),
        cmocka_unit_test(shadow_beyond_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
