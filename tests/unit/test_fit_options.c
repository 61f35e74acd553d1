/* fit_run with its solvers, schedules and what holds the weights back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "core/fit.h"
#include "core/gemm.h"
#include "core/pass.h"

static const struct fit_options adam = {
    .optim = {.solver = SOLVER_ADAM,
              .learning_rate = 0.02,
              .momentum = 0.9,
              .nesterov = true,
              .beta_1 = 0.9,
              .beta_2 = 0.999,
              .epsilon = 1e-8,
              .rho = 0.9,
              .weight_decay = 0.01},
    .schedule = {.power_t = 0.5},
    .max_iter = 200,
    .n_iter_no_change = 400,
    .shuffle = true,
    .seed = 1,
};

#define POINTS 300
#define WIDTH  4

static float points_x[POINTS * WIDTH];
static float points_t[POINTS];
static const struct fit_rows points = {points_x, points_t, POINTS, NULL};

/* t = sin 2x₀ + ½ x₁ and some noise; x₂ and x₃ say nothing. */
static void fill_points(void)
{
    for (size_t i = 0; i < POINTS * WIDTH; i++)
        points_x[i] = (float)rng_normal(1, RNG_TEST, 0, i);
    for (size_t i = 0; i < POINTS; i++) {
        const float *x = points_x + i * WIDTH;
        points_t[i] =
            sinf(2.0F * x[0]) + 0.5F * x[1] + 0.1F * (float)rng_normal(1, RNG_TEST, 1, i);
    }
}

static struct mlp make_net(size_t n_inputs, size_t n_hidden_units, size_t n_classes)
{
    const struct mlp_spec spec = {
        .n_inputs = n_inputs,
        .hidden_layer_sizes = &n_hidden_units,
        .n_hidden = n_hidden_units > 0,
        .n_outputs = n_classes ? n_classes : 1,
        .activation = ACT_TANH,
        .output_activation = n_classes ? ACT_SOFTMAX : ACT_IDENTITY,
        .loss = n_classes ? LOSS_CROSS_ENTROPY : LOSS_SQUARED_ERROR,
    };
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_GLOROT_UNIFORM, 0.0, 2);
    return mlp;
}

static struct fit_result run(struct mlp *mlp, const struct fit_options *options,
                             const struct fit_rows *train,
                             const struct fit_rows *validation,
                             const struct fit_hooks *hooks)
{
    struct fit_result result = {0};
    struct err err = {0};
    if (fit_run(mlp, options, train, validation, hooks, &result, &err) < 0)
        fail_msg("fit_run: %s", err.message);
    return result;
}

static double loss_on(const struct mlp *mlp, const struct fit_rows *rows)
{
    struct pass *ws = NULL;
    struct err err = {0};
    assert_int_equal(pass_new(mlp, rows->n_rows, 0, &ws, &err), 0);
    double loss = pass_loss(ws, rows->x, rows->t, NULL, rows->n_rows);
    pass_free(ws);
    return loss;
}

/* --- all of them ------------------------------------------------------------------------- */

/* Each solver, each schedule, each means against overfitting. */
static size_t variants(struct fit_options out[16])
{
    size_t n = 0;
    for (enum solver solver = SOLVER_GD; solver < SOLVER_COUNT; solver++) {
        out[n] = adam;
        out[n].optim.solver = solver;
        if (solver == SOLVER_GD)
            out[n].optim.learning_rate = 0.2;
        n++;
    }
    for (enum schedule schedule = 0; schedule < SCHEDULE_COUNT; schedule++) {
        out[n] = adam;
        out[n].schedule.schedule = schedule;
        out[n].schedule.warmup = 1.5;
        if (schedule == SCHEDULE_INVSCALING)
            out[n].optim.learning_rate = 1.0;
        n++;
    }
    for (size_t i = 0; i < 4; i++) {
        out[n] = adam;
        out[n].dropout[0] = i == 0 ? 0.1 : 0.0;
        out[n].l1 = i == 1 ? 0.1 : 0.0;
        out[n].max_norm = i == 2 ? 3.0 : 0.0;
        out[n].gradient_clip = i == 3 ? 0.1 : 0.0;
        n++;
    }
    for (size_t i = 0; i < n; i++)
        if (out[i].optim.solver != SOLVER_LBFGS)
            out[i].batch_size = 32;
    return n;
}

static void every_way_learns_and_the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    struct fit_options options[16];
    size_t n = variants(options);
    for (size_t i = 0; i < n; i++) {
        struct mlp one = make_net(WIDTH, 12, 0);
        struct mlp two = make_net(WIDTH, 12, 0);
        double before = loss_on(&one, &points);
        run(&one, &options[i], &points, NULL, NULL);
        run(&two, &options[i], &points, NULL, NULL);
        double after = loss_on(&one, &points);
        if (!(after < 0.35 * before))
            fail_msg("variant %zu: %g, before %g", i, after, before);
        assert_memory_equal(one.parameters, two.parameters,
                            one.n_parameters * sizeof(float));
        mlp_clear(&one);
        mlp_clear(&two);
    }
}

static void every_way_names_where_it_diverged(void **state)
{
    (void)state;
    struct fit_options options[16];
    float x[20] = {0};
    float t[20] = {0};
    size_t n = variants(options);
    t[13] = NAN;
    for (size_t i = 0; i < n; i++) {
        struct mlp mlp = make_net(1, 3, 0);
        struct fit_rows rows = {x, t, 20, NULL};
        struct fit_result result = {0};
        struct err err = {0};
        bool is_full = options[i].optim.solver == SOLVER_GD ||
                       options[i].optim.solver == SOLVER_LBFGS;
        options[i].batch_size = is_full ? 0 : 3;
        options[i].shuffle = false;
        assert_int_equal(fit_run(&mlp, &options[i], &rows, NULL, NULL, &result, &err),
                         -1);
        assert_int_equal(err.code, ERR_DIVERGED);
        if (!strstr(err.message, is_full ? "epoch 1, batch 1:" : "epoch 1, batch 5:"))
            fail_msg("variant %zu: %s", i, err.message);
        mlp_clear(&mlp);
    }
}

/* --- schedules --------------------------------------------------------------------------- */

/* Gradient −1 for the bias alone: what it gains in a step is the rate. */
struct watch {
    struct mlp *mlp;
    double bias[64];
    size_t n;
};

static bool note_bias(void *ctx)
{
    struct watch *watch = ctx;
    watch->bias[watch->n++] = (double)watch->mlp->parameters[1];
    return true;
}

static void steps_follow_the_schedule(void **state)
{
    (void)state;
    float x[10] = {0};
    float t[10];
    for (size_t i = 0; i < 10; i++)
        t[i] = 1e6F; /* so far away that the slope hardly changes */
    for (enum schedule schedule = 0; schedule < SCHEDULE_COUNT; schedule++) {
        struct fit_options options = adam;
        struct mlp mlp = make_net(1, 0, 0);
        struct watch watch = {.mlp = &mlp};
        struct fit_hooks hooks = {.ctx = &watch, .on_batch = note_bias};
        options.optim.solver = SOLVER_SGD;
        options.optim.momentum = 0.0;
        options.optim.learning_rate = 1e-4;
        options.schedule = (struct schedule_options){schedule, 0.5, 1.0};
        options.batch_size = 3;
        options.max_iter = 8;
        run(&mlp, &options, &(struct fit_rows){x, t, 10, NULL}, NULL, &hooks);
        assert_int_equal(watch.n, 32);
        for (size_t step = 0; step < watch.n; step++) {
            struct schedule_place place = {step, 4, 10, 8, 0};
            double before = step ? watch.bias[step - 1] : 0.0;
            double rate = (watch.bias[step] - before) / (1e6 - before);
            double wanted = schedule_rate(&options.schedule, 1e-4, &place);
            assert_true(fabs(rate - wanted) < 1e-9);
        }
        mlp_clear(&mlp);
    }
}

/* Nothing after the first epoch is an improvement: with η = 0.02 it takes 7 drops to 1e-6. */
static void adaptive_drops_before_it_stops(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 3, 0);
    options.optim.solver = SOLVER_SGD;
    options.schedule.schedule = SCHEDULE_ADAPTIVE;
    options.tol = 1e6;
    options.n_iter_no_change = 2;
    struct fit_result result = run(&mlp, &options, &points, NULL, NULL);
    assert_int_equal(result.stop, FIT_NO_CHANGE);
    assert_int_equal(result.n_iter, 1 + 3 * 8);
    mlp_clear(&mlp);
}

/* --- what holds the weights back --------------------------------------------------------- */

static void clipped_step_is_no_longer_than_the_clip(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 6, 0);
    struct mlp old = make_net(WIDTH, 6, 0);
    options.optim.solver = SOLVER_GD;
    options.optim.learning_rate = 1.0;
    options.gradient_clip = 1e-2;
    options.max_iter = 1;
    run(&mlp, &options, &points, NULL, NULL);
    double squares = 0.0;
    for (size_t i = 0; i < mlp.n_parameters; i++)
        squares += pow((double)mlp.parameters[i] - (double)old.parameters[i], 2.0);
    assert_true(fabs(sqrt(squares) - 1e-2) < 1e-5);
    mlp_clear(&mlp);
    mlp_clear(&old);
}

static void max_norm_holds_after_training(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fit_options options = adam;
        struct mlp mlp = make_net(WIDTH, 12, 0);
        options.max_norm = i == 0 ? 0.0 : 0.7;
        run(&mlp, &options, &points, NULL, NULL);
        double longest = 0.0;
        for (size_t l = 0; l < mlp.n_layers; l++) {
            const struct mlp_layer *layer = &mlp.layers[l];
            for (size_t j = 0; j < layer->fan_out; j++) {
                double squares = 0.0;
                for (size_t k = 0; k < layer->fan_in; k++) {
                    size_t at = layer->weights_at + k * layer->fan_out + j;
                    squares += pow((double)mlp.parameters[at], 2.0);
                }
                longest = fmax(longest, sqrt(squares));
            }
        }
        assert_true(i == 0 ? longest > 1.0 : longest < 0.7 * (1.0 + 1e-6));
        mlp_clear(&mlp);
    }
}

/* Sum of sizes of the weights from the inputs that say nothing. */
static double useless_weights(double l1)
{
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 0, 0);
    options.l1 = l1;
    options.schedule.schedule = SCHEDULE_COSINE;
    run(&mlp, &options, &points, NULL, NULL);
    double sum = fabs((double)mlp.parameters[2]) + fabs((double)mlp.parameters[3]);
    assert_true(fabs((double)mlp.parameters[1]) > 0.2);
    mlp_clear(&mlp);
    return sum;
}

static void l1_takes_weights_from_useless_inputs(void **state)
{
    (void)state;
    double without = useless_weights(0.0);
    double with = useless_weights(20.0);
    assert_true(without > 1e-2);
    assert_true(with < 0.1 * without);
}

static void l1_is_in_the_loss(void **state)
{
    (void)state;
    const float x[4] = {0};
    const float t[2] = {0, 0};
    struct fit_options options = adam;
    struct mlp mlp = make_net(2, 0, 0);
    mlp.parameters[0] = 2.0F;
    mlp.parameters[1] = -1.0F;
    options.optim.solver = SOLVER_GD;
    options.optim.learning_rate = 0.5;
    options.l1 = 0.3;
    options.max_iter = 1;
    struct fit_result result =
        run(&mlp, &options, &(struct fit_rows){x, t, 2, NULL}, NULL, NULL);
    assert_true(fabs(result.train_loss - 0.3 / 2.0 * 3.0) < 1e-6);
    assert_true(fabs((double)mlp.parameters[0] - (2.0 - 0.5 * 0.15)) < 1e-6);
    assert_true(fabs((double)mlp.parameters[1] + (1.0 - 0.5 * 0.15)) < 1e-6);
    mlp_clear(&mlp);
}

static void adamw_decays_weights_and_not_biases(void **state)
{
    (void)state;
    const float x[4] = {0};
    const float t[2] = {1, 1};
    struct fit_options options = adam;
    struct mlp mlp = make_net(2, 0, 0);
    mlp.parameters[0] = 2.0F; /* inputs of 0: no gradient */
    mlp.parameters[2] = 1.0F; /* no error: none either */
    options.optim.solver = SOLVER_ADAMW;
    options.optim.learning_rate = 0.5;
    options.optim.weight_decay = 0.1;
    options.max_iter = 1;
    run(&mlp, &options, &(struct fit_rows){x, t, 2, NULL}, NULL, NULL);
    assert_true(fabs((double)mlp.parameters[0] - 2.0 * 0.95) < 1e-6);
    assert_true(mlp.parameters[2] == 1.0F);
    mlp_clear(&mlp);
}

/* --- dropout ----------------------------------------------------------------------------- */

static void dropout_is_in_the_training_loss_only(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 12, 0);
    options.optim.learning_rate = 1e-30; /* the net stays as it is */
    options.dropout[0] = 0.5;
    options.max_iter = 1;
    double wanted = loss_on(&mlp, &points);
    struct fit_result result = run(&mlp, &options, &points, &points, NULL);
    assert_true(fabs(result.validation_loss - wanted) < 1e-6 * wanted);
    assert_true(fabs(result.train_loss - wanted) > 1e-3 * wanted);
    mlp_clear(&mlp);
}

static void dropout_follows_the_seed(void **state)
{
    (void)state;
    struct mlp nets[3];
    for (size_t i = 0; i < 3; i++) {
        struct fit_options options = adam;
        options.seed = i == 2 ? 5 : 1;
        options.shuffle = false; /* so that only the masks differ */
        options.dropout[0] = 0.5;
        options.max_iter = 2;
        nets[i] = make_net(WIDTH, 12, 0);
        run(&nets[i], &options, &points, NULL, NULL);
    }
    size_t size = nets[0].n_parameters * sizeof(float);
    assert_memory_equal(nets[0].parameters, nets[1].parameters, size);
    assert_memory_not_equal(nets[0].parameters, nets[2].parameters, size);
    for (size_t i = 0; i < 3; i++)
        mlp_clear(&nets[i]);
}

static bool loss_changes(void *ctx, const struct fit_progress *progress)
{
    double *last = ctx;
    assert_true(fabs(*last - progress->train_loss) > 1e-6);
    *last = progress->train_loss;
    return true;
}

static void each_step_has_masks_of_its_own(void **state)
{
    (void)state;
    double last = 0.0;
    struct fit_hooks hooks = {.ctx = &last, .on_epoch = loss_changes};
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 12, 0);
    options.optim.solver = SOLVER_GD;
    options.optim.learning_rate = 1e-30; /* only the masks change */
    options.dropout[0] = 0.5;
    options.max_iter = 4;
    run(&mlp, &options, &points, NULL, &hooks);
    mlp_clear(&mlp);
}

/* The same row again and again, in one piece and in two: the second has masks of its own. */
static void pieces_of_a_large_batch_have_different_masks(void **state)
{
    (void)state;
    static float x[8192];
    static float t[8192];
    double losses[2];
    for (size_t i = 0; i < 8192; i++)
        x[i] = t[i] = 1.0F;
    for (size_t i = 0; i < 2; i++) {
        struct fit_options options = adam;
        struct mlp mlp = make_net(1, 3, 0);
        options.optim.solver = SOLVER_GD;
        options.dropout[0] = 0.5;
        options.max_iter = 1;
        struct fit_rows rows = {x, t, i == 0 ? 4096 : 8192, NULL};
        losses[i] = run(&mlp, &options, &rows, NULL, NULL).train_loss;
        mlp_clear(&mlp);
    }
    assert_true(fabs(losses[0] - losses[1]) > 1e-6);
    assert_true(fabs(losses[0] - losses[1]) < 0.1 * losses[0]);
}

/* --- lbfgs ------------------------------------------------------------------------------- */

static void lbfgs_solves_a_linear_regression_in_few_iterations(void **state)
{
    (void)state;
    float t[POINTS];
    for (size_t i = 0; i < POINTS; i++) {
        const float *x = points_x + i * WIDTH;
        t[i] = 2.0F * x[0] - 3.0F * x[1] + 0.5F;
    }
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 0, 0);
    options.optim.solver = SOLVER_LBFGS;
    struct fit_result result =
        run(&mlp, &options, &(struct fit_rows){points_x, t, POINTS, NULL}, NULL, NULL);
    static const double wanted[WIDTH + 1] = {2.0, -3.0, 0.0, 0.0, 0.5};
    for (size_t i = 0; i < WIDTH + 1; i++)
        assert_true(fabs((double)mlp.parameters[i] - wanted[i]) < 1e-4);
    assert_int_equal(result.stop, FIT_CONVERGED);
    assert_true(result.n_iter <= 15);
    mlp_clear(&mlp);
}

/* tests/data/iris.csv: its columns by their mean and standard deviation, and the class. */
static void read_iris(float x[600], float t[150])
{
    static const char *const species[] = {"setosa", "versicolor", "virginica"};
    char line[200];
    FILE *file = fopen("tests/data/iris.csv", "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    for (size_t i = 0; i < 150; i++) {
        char name[21];
        float *row = x + 4 * i;
        assert_int_equal(
            fscanf(file, "%f,%f,%f,%f,%20s", row, row + 1, row + 2, row + 3, name), 5);
        for (size_t k = 0; k < 3; k++)
            if (strcmp(name, species[k]) == 0)
                t[i] = (float)k;
    }
    fclose(file);
    for (size_t j = 0; j < 4; j++) {
        double sum = 0.0;
        double squares = 0.0;
        for (size_t i = 0; i < 150; i++) {
            sum += (double)x[4 * i + j] / 150.0;
            squares += pow((double)x[4 * i + j], 2.0) / 150.0;
        }
        for (size_t i = 0; i < 150; i++)
            x[4 * i + j] =
                (float)(((double)x[4 * i + j] - sum) / sqrt(squares - sum * sum));
    }
}

static void lbfgs_learns_iris_by_heart(void **state)
{
    (void)state;
    float x[600];
    float t[150];
    struct fit_options options = adam;
    struct mlp mlp = make_net(4, 30, 3);
    struct pass *ws = NULL;
    struct err err = {0};
    read_iris(x, t);
    options.optim.solver = SOLVER_LBFGS;
    run(&mlp, &options, &(struct fit_rows){x, t, 150, NULL}, NULL, NULL);
    assert_int_equal(pass_new(&mlp, 150, 0, &ws, &err), 0);
    const float *y = pass_forward(ws, x, 150);
    for (size_t i = 0; i < 150; i++)
        for (size_t k = 0; k < 3; k++)
            assert_true(y[3 * i + k] <= y[3 * i + (size_t)t[i]]);
    pass_free(ws);
    mlp_clear(&mlp);
}

struct tally {
    size_t n_batches;
    size_t n_epochs;
    size_t stop_at_batch; /* 0: never */
    double loss;          /* of the last epoch */
};

static bool tally_batch(void *ctx)
{
    struct tally *tally = ctx;
    return ++tally->n_batches != tally->stop_at_batch;
}

static bool tally_epoch(void *ctx, const struct fit_progress *progress)
{
    struct tally *tally = ctx;
    if (tally->n_epochs++ > 0)
        assert_true(progress->train_loss <= tally->loss);
    tally->loss = progress->train_loss;
    return true;
}

static void lbfgs_counts_iterations_and_its_loss_falls(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 12, 0);
    struct tally tally = {0};
    struct fit_hooks hooks = {
        .ctx = &tally, .on_batch = tally_batch, .on_epoch = tally_epoch};
    options.optim.solver = SOLVER_LBFGS;
    options.max_iter = 25;
    options.alpha = 0.1;
    struct fit_result result = run(&mlp, &options, &points, NULL, &hooks);
    assert_int_equal(result.stop, FIT_MAX_ITER);
    assert_int_equal(result.n_iter, 25);
    assert_int_equal(tally.n_epochs, 25);
    assert_true(tally.n_batches >= 26 && tally.n_batches < 60);
    mlp_clear(&mlp);
}

static void lbfgs_is_cancelled_between_evaluations(void **state)
{
    (void)state;
    for (size_t at = 1; at < 8; at++) {
        struct fit_options options = adam;
        struct mlp mlp = make_net(WIDTH, 12, 0);
        struct tally tally = {.stop_at_batch = at};
        struct fit_hooks hooks = {
            .ctx = &tally, .on_batch = tally_batch, .on_epoch = tally_epoch};
        struct fit_result result = {0};
        struct err err = {0};
        options.optim.solver = SOLVER_LBFGS;
        assert_int_equal(fit_run(&mlp, &options, &points, NULL, &hooks, &result, &err),
                         -1);
        assert_int_equal(err.code, ERR_CANCELLED);
        assert_int_equal(tally.n_batches, at);
        mlp_clear(&mlp);
    }
}

static void lbfgs_stops_early_with_the_best_weights(void **state)
{
    (void)state;
    const struct fit_rows train = {points_x, points_t, 20, NULL};
    const struct fit_rows validation = {points_x + 20 * WIDTH, points_t + 20, 100, NULL};
    struct fit_options options = adam;
    struct mlp mlp = make_net(WIDTH, 30, 0);
    options.optim.solver = SOLVER_LBFGS;
    options.early_stopping = true;
    options.n_iter_no_change = 10;
    struct fit_result result = run(&mlp, &options, &train, &validation, NULL);
    assert_int_equal(result.n_iter, result.best_epoch + 10 + 1);
    assert_int_equal(result.stop, FIT_NO_CHANGE);
    assert_true(fabs(loss_on(&mlp, &validation) - result.validation_loss) < 1e-9);
    mlp_clear(&mlp);
}

/* --- options ----------------------------------------------------------------------------- */

static void bad_options_name_their_field(void **state)
{
    (void)state;
    const struct {
        size_t offset;
        const char *pointer;
        double bad;
        enum solver solver;
        enum schedule schedule;
    } rows[] = {
        {offsetof(struct fit_options, optim.rho), "/rho", 1.0, SOLVER_RMSPROP, 0},
        {offsetof(struct fit_options, optim.epsilon), "/epsilon", 0.0, SOLVER_RMSPROP, 0},
        {offsetof(struct fit_options, optim.beta_1), "/beta_1", 1.0, SOLVER_ADAMW, 0},
        {offsetof(struct fit_options, optim.weight_decay), "/weight_decay", -1.0,
         SOLVER_ADAMW, 0},
        {offsetof(struct fit_options, schedule.power_t), "/power_t", -0.1, 0,
         SCHEDULE_INVSCALING},
        {offsetof(struct fit_options, schedule.warmup), "/warmup", -0.1, 0, 0},
        {offsetof(struct fit_options, schedule.warmup), "/warmup", 200.5, 0, 0},
        {offsetof(struct fit_options, l1), "/l1", -0.1, 0, 0},
        {offsetof(struct fit_options, gradient_clip), "/gradient_clip", -0.1, 0, 0},
        {offsetof(struct fit_options, max_norm), "/max_norm", -0.1, 0, 0},
        {offsetof(struct fit_options, dropout), "/dropout", 1.0, 0, 0},
        {offsetof(struct fit_options, dropout), "/dropout", -0.5, 0, 0},
        {offsetof(struct fit_options, l1), "/l1", 0.1, SOLVER_LBFGS, 0},
        {offsetof(struct fit_options, dropout), "/dropout", 0.1, SOLVER_LBFGS, 0},
        {offsetof(struct fit_options, rate_factor[MLP_BIASES]), "/bias_rate_factor", -1.0,
         0, 0},
        {offsetof(struct fit_options, rate_factor[MLP_SCALES]), "/scale_rate_factor", 6.0,
         SOLVER_LBFGS, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double bad[2] = {rows[i].bad, (double)NAN};
        for (size_t k = 0; k < (rows[i].solver == SOLVER_LBFGS ? 1U : 2U); k++) {
            struct fit_options options = adam;
            struct err err = {0};
            options.optim.solver = rows[i].solver;
            options.schedule.schedule = rows[i].schedule;
            assert_int_equal(fit_check_options(&options, 1, &err), 0);
            memcpy((char *)&options + rows[i].offset, &bad[k], sizeof bad[k]);
            assert_int_equal(fit_check_options(&options, 1, &err), -1);
            assert_int_equal(err.code, ERR_INVALID);
            assert_string_equal(err.pointer, rows[i].pointer);
        }
    }
    struct fit_options options = adam;
    struct err err = {0};
    options.schedule.schedule = SCHEDULE_COUNT;
    assert_int_equal(fit_check_options(&options, 1, &err), -1);
    assert_string_equal(err.pointer, "/schedule");
    options = adam;
    options.regularization_schedule = SCHEDULE_SHARE_COUNT;
    err = (struct err){0};
    assert_int_equal(fit_check_options(&options, 1, &err), -1);
    assert_string_equal(err.pointer, "/regularization_schedule");
    options.regularization_schedule = SCHEDULE_SHARE_FLAT_COSINE;
    assert_int_equal(fit_check_options(&options, 1, &err), 0);
    options.optim.solver = SOLVER_LBFGS;
    err = (struct err){0};
    assert_int_equal(fit_check_options(&options, 1, &err), -1);
    assert_string_equal(err.pointer, "/regularization_schedule");
}

static int start(void **state)
{
    (void)state;
    struct err err = {0};
    fill_points();
    return gemm_start(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_learns_and_the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(every_way_names_where_it_diverged),
        cmocka_unit_test(steps_follow_the_schedule),
        cmocka_unit_test(adaptive_drops_before_it_stops),
        cmocka_unit_test(clipped_step_is_no_longer_than_the_clip),
        cmocka_unit_test(max_norm_holds_after_training),
        cmocka_unit_test(l1_takes_weights_from_useless_inputs),
        cmocka_unit_test(l1_is_in_the_loss),
        cmocka_unit_test(adamw_decays_weights_and_not_biases),
        cmocka_unit_test(dropout_is_in_the_training_loss_only),
        cmocka_unit_test(dropout_follows_the_seed),
        cmocka_unit_test(each_step_has_masks_of_its_own),
        cmocka_unit_test(pieces_of_a_large_batch_have_different_masks),
        cmocka_unit_test(lbfgs_solves_a_linear_regression_in_few_iterations),
        cmocka_unit_test(lbfgs_learns_iris_by_heart),
        cmocka_unit_test(lbfgs_counts_iterations_and_its_loss_falls),
        cmocka_unit_test(lbfgs_is_cancelled_between_evaluations),
        cmocka_unit_test(lbfgs_stops_early_with_the_best_weights),
        cmocka_unit_test(bad_options_name_their_field),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
