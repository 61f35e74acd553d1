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
#include "core/fit.h"
#include "core/gemm.h"
#include "core/pass.h"

static const float bits[8] = {0, 0, 0, 1, 1, 0, 1, 1};
static const struct fit_options adam = {
    .optim = {.solver = SOLVER_ADAM,
              .learning_rate = 0.1,
              .beta_1 = 0.9,
              .beta_2 = 0.999,
              .epsilon = 1e-8},
    .max_iter = 400,
    .n_iter_no_change = 400,
    .shuffle = true,
    .seed = 1,
};

static struct mlp make_net(size_t n_inputs, size_t n_hidden_units, enum loss loss,
                           uint64_t seed)
{
    struct mlp_spec spec = {
        .n_inputs = n_inputs,
        .hidden_layer_sizes = &n_hidden_units,
        .n_hidden = n_hidden_units > 0,
        .n_outputs = loss == LOSS_CROSS_ENTROPY ? 2 : 1,
        .activation = ACT_TANH,
        .output_activation = loss == LOSS_CROSS_ENTROPY          ? ACT_SOFTMAX
                             : loss == LOSS_BINARY_CROSS_ENTROPY ? ACT_LOGISTIC
                                                                 : ACT_IDENTITY,
        .loss = loss,
    };
    struct mlp mlp = {0};
    struct err err = {0};
    assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
    mlp_init_weights(&mlp, MLP_GLOROT_UNIFORM, 0.0, seed);
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

/* Share of rows on whose right side of one half the only output is. */
static double accuracy_on(const struct mlp *mlp, const struct fit_rows *rows)
{
    struct pass *ws = NULL;
    struct err err = {0};
    size_t n_right = 0;
    assert_int_equal(pass_new(mlp, rows->n_rows, 0, &ws, &err), 0);
    const float *y = pass_forward(ws, rows->x, rows->n_rows);
    for (size_t i = 0; i < rows->n_rows; i++)
        n_right += (y[i] > 0.5F) == (rows->t[i] > 0.5F);
    pass_free(ws);
    return (double)n_right / (double)rows->n_rows;
}

static double learn(const struct fit_rows *rows, size_t n_inputs, size_t n_hidden_units,
                    uint64_t seed)
{
    struct mlp mlp = make_net(n_inputs, n_hidden_units, LOSS_BINARY_CROSS_ENTROPY, seed);
    struct fit_options options = adam;
    options.seed = seed;
    run(&mlp, &options, rows, NULL, NULL);
    double accuracy = accuracy_on(&mlp, rows);
    mlp_clear(&mlp);
    return accuracy;
}

/* --- what can be learned ----------------------------------------------------------------- */

static void one_neuron_learns_and_or_not(void **state)
{
    (void)state;
    const float and[4] = {0, 0, 0, 1};
    const float or [4] = {0, 1, 1, 1};
    const float in[2] = {0, 1};
    const float not [2] = {1, 0};
    for (uint64_t seed = 0; seed < 5; seed++) {
        assert_true(learn(&(struct fit_rows){bits, and, 4, NULL}, 2, 0, seed) == 1.0);
        assert_true(learn(&(struct fit_rows){bits, or, 4, NULL}, 2, 0, seed) == 1.0);
        assert_true(learn(&(struct fit_rows){in, not, 2, NULL}, 1, 0, seed) == 1.0);
    }
}

static const float xor_t[4] = {0, 1, 1, 0};

static void one_neuron_cannot_learn_xor(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_true(learn(&(struct fit_rows){bits, xor_t, 4, NULL}, 2, 0, seed) <= 0.75);
}

static void hidden_layer_learns_xor(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++)
        assert_true(learn(&(struct fit_rows){bits, xor_t, 4, NULL}, 2, 8, seed) == 1.0);
}

#define POINTS 300

static float points_x[POINTS * 2];
static float points_t[POINTS];
static const struct fit_rows points = {points_x, points_t, POINTS, NULL};

/* t = 2 x₀ − 3 x₁ + 0.5 */
static void fill_points(void)
{
    for (size_t i = 0; i < POINTS * 2; i++)
        points_x[i] = (float)rng_normal(1, RNG_TEST, 0, i);
    for (size_t i = 0; i < POINTS; i++)
        points_t[i] = 2.0F * points_x[2 * i] - 3.0F * points_x[2 * i + 1] + 0.5F;
}

static void every_solver_learns_a_linear_regression(void **state)
{
    (void)state;
    for (enum solver solver = SOLVER_GD; solver < SOLVER_COUNT; solver++) {
        for (int nesterov = 0; nesterov < 2; nesterov++) {
            struct fit_options options = adam;
            struct mlp mlp = make_net(2, 0, LOSS_SQUARED_ERROR, 3);
            options.optim.solver = solver;
            options.optim.learning_rate = 0.05;
            options.optim.momentum = 0.9;
            options.optim.nesterov = nesterov;
            options.batch_size = solver == SOLVER_LBFGS ? 0 : 32;
            options.optim.rho = 0.9;
            if (solver == SOLVER_RMSPROP) /* its steps are never shorter than the rate */
                options.schedule.schedule = SCHEDULE_COSINE;
            options.n_iter_no_change = 399;
            struct fit_result result = run(&mlp, &options, &points, NULL, NULL);
            assert_true(fabs((double)mlp.parameters[0] - 2.0) < 1e-2);
            assert_true(fabs((double)mlp.parameters[1] + 3.0) < 1e-2);
            assert_true(fabs((double)mlp.parameters[2] - 0.5) < 1e-2);
            assert_true(result.train_loss < 1e-4);
            assert_true(isnan(result.validation_loss));
            mlp_clear(&mlp);
        }
    }
}

/* --- determinism ------------------------------------------------------------------------- */

static void same_seed_same_bytes_other_seed_other_bytes(void **state)
{
    (void)state;
    struct mlp nets[3];
    const uint64_t seeds[3] = {5, 5, 6};
    for (size_t i = 0; i < 3; i++) {
        struct fit_options options = adam;
        options.seed = seeds[i];
        options.batch_size = 32;
        options.max_iter = 5;
        nets[i] =
            make_net(2, 9, LOSS_SQUARED_ERROR, 1); /* so that only shuffling differs */
        run(&nets[i], &options, &points, NULL, NULL);
    }
    size_t size = nets[0].n_parameters * sizeof(float);
    assert_memory_equal(nets[0].parameters, nets[1].parameters, size);
    assert_memory_not_equal(nets[0].parameters, nets[2].parameters, size);
    for (size_t i = 0; i < 3; i++)
        mlp_clear(&nets[i]);
}

static void without_shuffle_the_seed_does_not_matter(void **state)
{
    (void)state;
    struct mlp nets[2];
    for (size_t i = 0; i < 2; i++) {
        struct fit_options options = adam;
        options.seed = i;
        options.shuffle = false;
        options.batch_size = 32;
        options.max_iter = 5;
        nets[i] = make_net(2, 9, LOSS_SQUARED_ERROR, 1);
        run(&nets[i], &options, &points, NULL, NULL);
    }
    assert_memory_equal(nets[0].parameters, nets[1].parameters,
                        nets[0].n_parameters * sizeof(float));
    mlp_clear(&nets[0]);
    mlp_clear(&nets[1]);
}

/* --- hooks ------------------------------------------------------------------------------- */

struct record {
    size_t n_batches;
    size_t n_epochs;
    size_t stop_at_batch; /* 0: never */
    size_t stop_at_epoch; /* 0: never */
    double validation[1000];
    double train[1000];
    size_t last_best;
};

static bool on_batch(void *ctx)
{
    struct record *record = ctx;
    return ++record->n_batches != record->stop_at_batch;
}

static bool on_epoch(void *ctx, const struct fit_progress *progress)
{
    struct record *record = ctx;
    record->train[record->n_epochs] = progress->train_loss;
    record->validation[record->n_epochs++] = progress->validation_loss;
    assert_int_equal(progress->epoch, record->n_epochs);
    if (progress->is_best)
        record->last_best = progress->epoch;
    return record->n_epochs != record->stop_at_epoch;
}

static void assert_cancelled(struct record *record)
{
    struct fit_options options = adam;
    struct fit_hooks hooks = {.ctx = record, .on_batch = on_batch, .on_epoch = on_epoch};
    struct fit_result result = {.n_iter = 77};
    struct err err = {0};
    struct mlp mlp = make_net(2, 4, LOSS_SQUARED_ERROR, 1);
    options.batch_size = 50;
    assert_int_equal(fit_run(&mlp, &options, &points, NULL, &hooks, &result, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(result.n_iter, 77);
    mlp_clear(&mlp);
}

static void cancel_is_seen_between_batches(void **state)
{
    (void)state;
    struct record record = {.stop_at_batch = 8};
    assert_cancelled(&record);
    assert_int_equal(record.n_batches, 8);
    assert_int_equal(record.n_epochs, 1);
}

static void cancel_is_seen_after_an_epoch(void **state)
{
    (void)state;
    struct record record = {.stop_at_epoch = 2};
    assert_cancelled(&record);
    assert_int_equal(record.n_batches, 12);
    assert_int_equal(record.n_epochs, 2);
}

static void last_part_batch_is_used(void **state)
{
    (void)state;
    struct record record = {0};
    struct fit_hooks hooks = {.ctx = &record, .on_batch = on_batch, .on_epoch = on_epoch};
    struct fit_options options = adam;
    struct mlp mlp = make_net(2, 4, LOSS_SQUARED_ERROR, 1);
    options.batch_size = 299;
    options.max_iter = 3;
    run(&mlp, &options, &points, NULL, &hooks);
    assert_int_equal(record.n_batches, 6);
    record = (struct record){0};
    options.batch_size = 0; /* min(200, 300) */
    run(&mlp, &options, &points, NULL, &hooks);
    assert_int_equal(record.n_batches, 6);
    record = (struct record){0};
    options.optim.solver = SOLVER_GD;
    options.optim.learning_rate = 1e-3;
    options.batch_size = 10;
    run(&mlp, &options, &points, NULL, &hooks);
    assert_int_equal(record.n_batches, 3);
    mlp_clear(&mlp);
}

/* --- the loss that is reported ----------------------------------------------------------- */

static void l2_is_in_the_loss_and_in_the_gradient(void **state)
{
    (void)state;
    struct fit_options options = {.optim = {.solver = SOLVER_GD, .learning_rate = 0.5},
                                  .alpha = 3.0,
                                  .max_iter = 1,
                                  .n_iter_no_change = 1};
    const float x[4] = {0}; /* so that only the L2 term moves the weights */
    const float t[2] = {0, 0};
    struct mlp mlp = make_net(2, 0, LOSS_SQUARED_ERROR, 1);
    mlp.parameters[0] = 2.0F;
    mlp.parameters[1] = -1.0F;
    mlp.parameters[2] = 1.0F; /* bias: loss ½, slope 1, no decay */
    struct fit_result result =
        run(&mlp, &options, &(struct fit_rows){x, t, 2, NULL}, NULL, NULL);
    assert_true(fabs(result.train_loss - (0.5 + 3.0 / (2.0 * 2.0) * 5.0)) < 1e-6);
    assert_true(fabs((double)mlp.parameters[0] - 2.0 * (1.0 - 0.5 * 3.0 / 2.0)) < 1e-6);
    assert_true(fabs((double)mlp.parameters[1] + 1.0 * (1.0 - 0.5 * 3.0 / 2.0)) < 1e-6);
    assert_true(fabs((double)mlp.parameters[2] - 0.5) < 1e-6);
    mlp_clear(&mlp);
}

static void epoch_loss_weighs_batches_by_rows(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(2, 4, LOSS_SQUARED_ERROR, 1);
    options.optim.learning_rate = 1e-30; /* the net stays as it is */
    options.batch_size = 250;
    options.max_iter = 1;
    double wanted = loss_on(&mlp, &points);
    struct fit_result result = run(&mlp, &options, &points, &points, NULL);
    assert_true(fabs(result.train_loss - wanted) < 1e-5 * wanted);
    assert_true(fabs(result.validation_loss - wanted) < 1e-5 * wanted);
    mlp_clear(&mlp);
}

/* More rows than one piece: the step equals −η times the mean gradient in double. */
static void full_batch_of_many_rows_is_one_step(void **state)
{
    (void)state;
    const size_t n = 9001;
    float *x = calloc(2 * n, sizeof *x);
    float *t = calloc(n, sizeof *t);
    double slope[3] = {0};
    for (size_t i = 0; i < n; i++) {
        x[2 * i] = (float)rng_normal(2, RNG_TEST, 0, i);
        x[2 * i + 1] = (float)rng_uniform(2, RNG_TEST, 1, i);
        t[i] = (float)rng_normal(2, RNG_TEST, 2, i) + 1.0F;
        slope[0] -= (double)x[2 * i] * (double)t[i] / (double)n;
        slope[1] -= (double)x[2 * i + 1] * (double)t[i] / (double)n;
        slope[2] -= (double)t[i] / (double)n;
    }
    struct fit_options options = {.optim = {.solver = SOLVER_GD, .learning_rate = 0.5},
                                  .max_iter = 1,
                                  .n_iter_no_change = 1,
                                  .shuffle = true};
    struct record record = {0};
    struct fit_hooks hooks = {.ctx = &record, .on_batch = on_batch, .on_epoch = on_epoch};
    struct mlp mlp = make_net(2, 0, LOSS_SQUARED_ERROR, 1);
    memset(mlp.parameters, 0, mlp.n_parameters * sizeof *mlp.parameters);
    run(&mlp, &options, &(struct fit_rows){x, t, n, NULL}, NULL, &hooks);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs((double)mlp.parameters[i] + 0.5 * slope[i]) < 1e-6);
    assert_int_equal(record.n_epochs, 1);

    record.stop_at_batch = record.n_batches + 1; /* seen inside the batch */
    struct fit_result result;
    struct err err = {0};
    struct fit_rows rows = {x, t, n, NULL};
    assert_int_equal(fit_run(&mlp, &options, &rows, NULL, &hooks, &result, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    mlp_clear(&mlp);
    free(t);
    free(x);
}

/* --- stopping ---------------------------------------------------------------------------- */

static void early_stopping_restores_the_best_weights(void **state)
{
    (void)state;
    float x[160];
    float t[40];
    for (size_t i = 0; i < 160; i++)
        x[i] = (float)rng_normal(4, RNG_TEST, 0, i);
    for (size_t i = 0; i < 40; i++) /* a weak signal under much noise: soon overfitted */
        t[i] = (float)((double)x[4 * i] + 0.5 * rng_normal(4, RNG_TEST, 1, i) > 0.0);
    const struct fit_rows train = {x, t, 20, NULL};
    const struct fit_rows validation = {x + 80, t + 20, 20, NULL};
    struct record record = {0};
    struct fit_hooks hooks = {.ctx = &record, .on_epoch = on_epoch};
    struct fit_options options = adam;
    struct mlp mlp = make_net(4, 16, LOSS_BINARY_CROSS_ENTROPY, 2);
    options.optim.learning_rate = 0.01;
    options.early_stopping = true;
    options.n_iter_no_change = 12;

    struct fit_result result = run(&mlp, &options, &train, &validation, &hooks);
    size_t best = 0;
    for (size_t i = 0; i < record.n_epochs; i++)
        if (record.validation[i] < record.validation[best])
            best = i;
    assert_int_equal(result.stop, FIT_NO_CHANGE);
    assert_int_equal(result.n_iter, record.n_epochs);
    assert_int_equal(result.best_epoch, best + 1);
    assert_int_equal(result.best_epoch, record.last_best);
    assert_int_equal(result.n_iter, best + 1 + 12 + 1); /* as scikit-learn counts */
    assert_true(result.best_epoch > 1);
    assert_true(result.validation_loss == record.validation[best]);
    assert_true(result.train_loss == record.train[best]);
    assert_true(fabs(loss_on(&mlp, &validation) - record.validation[best]) < 1e-9);
    assert_true(record.validation[record.n_epochs - 1] > record.validation[best] + 1e-4);
    mlp_clear(&mlp);
}

static void training_loss_is_watched_otherwise(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(2, 4, LOSS_SQUARED_ERROR, 1);
    options.tol = 1e6; /* nothing after the first epoch is an improvement */
    options.n_iter_no_change = 3;
    struct fit_result result = run(&mlp, &options, &points, &points, NULL);
    assert_int_equal(result.stop, FIT_NO_CHANGE);
    assert_int_equal(result.n_iter, 1 + 3 + 1);
    assert_int_equal(result.best_epoch, result.n_iter); /* the last weights stay */
    assert_true(fabs(loss_on(&mlp, &points) - result.validation_loss) < 1e-6);
    mlp_clear(&mlp);
}

static void max_iter_ends_a_run_that_still_improves(void **state)
{
    (void)state;
    struct fit_options options = adam;
    struct mlp mlp = make_net(2, 4, LOSS_SQUARED_ERROR, 1);
    options.optim.learning_rate = 1e-3;
    options.max_iter = 7;
    options.n_iter_no_change = 1;
    struct fit_result result = run(&mlp, &options, &points, NULL, NULL);
    assert_int_equal(result.stop, FIT_MAX_ITER);
    assert_int_equal(result.n_iter, 7);
    mlp_clear(&mlp);
}

/* --- divergence -------------------------------------------------------------------------- */

static void assert_diverges(struct mlp *mlp, const struct fit_options *options,
                            const struct fit_rows *rows, const char *where)
{
    struct fit_result result = {0};
    struct err err = {0};
    assert_int_equal(fit_run(mlp, options, rows, NULL, NULL, &result, &err), -1);
    assert_int_equal(err.code, ERR_DIVERGED);
    assert_string_equal(err.slug, "diverged");
    if (!strstr(err.message, where))
        fail_msg("'%s' lacks '%s'", err.message, where);
    assert_non_null(strstr(err.message, "lower learning_rate"));
    mlp_clear(mlp);
}

static void divergence_names_epoch_and_batch(void **state)
{
    (void)state;
    float x[20] = {0};
    float t[20] = {0};
    struct fit_options options = adam;
    options.shuffle = false;
    options.batch_size = 3;
    t[13] = NAN; /* in the fifth batch */
    struct mlp mlp = make_net(1, 3, LOSS_SQUARED_ERROR, 1);
    assert_diverges(&mlp, &options, &(struct fit_rows){x, t, 20, NULL},
                    "epoch 1, batch 5:");
}

struct poison {
    float *target; /* becomes NaN after this epoch */
    size_t epoch;
};

static bool poison_after_epoch(void *ctx, const struct fit_progress *progress)
{
    struct poison *poison = ctx;
    if (progress->epoch == poison->epoch)
        *poison->target = NAN;
    return true;
}

/* In which batch of epoch `after` + 1 the 14th of 20 rows is met. */
static size_t batch_of_row_14(size_t after, bool shuffle)
{
    float x[20] = {0};
    float t[20] = {0};
    struct poison poison = {&t[13], after};
    struct fit_hooks hooks = {.ctx = &poison, .on_epoch = poison_after_epoch};
    struct fit_options options = adam;
    struct fit_rows rows = {x, t, 20, NULL};
    struct fit_result result;
    struct err err = {0};
    struct mlp mlp = make_net(1, 3, LOSS_SQUARED_ERROR, 1);
    size_t epoch = 0;
    size_t batch = 0;
    options.shuffle = shuffle;
    options.batch_size = 1;
    assert_int_equal(fit_run(&mlp, &options, &rows, NULL, &hooks, &result, &err), -1);
    assert_int_equal(
        sscanf(err.message, "training diverged in epoch %zu, batch %zu:", &epoch, &batch),
        2);
    assert_int_equal(epoch, after + 1);
    mlp_clear(&mlp);
    return batch;
}

static void batches_are_counted_anew_each_epoch(void **state)
{
    (void)state;
    assert_int_equal(batch_of_row_14(1, false), 14);
    assert_int_equal(batch_of_row_14(5, false), 14);
}

static void each_epoch_has_an_order_of_its_own(void **state)
{
    (void)state;
    size_t n_moved = 0;
    for (size_t after = 2; after <= 8; after++)
        n_moved += batch_of_row_14(after, true) != batch_of_row_14(1, true);
    assert_true(n_moved >= 5);
}

static void divergence_by_steps_is_found(void **state)
{
    (void)state;
    struct fit_options options = adam;
    options.optim.solver = SOLVER_SGD;
    options.optim.learning_rate = 1e4;
    options.batch_size = 30;
    struct mlp mlp = make_net(2, 0, LOSS_SQUARED_ERROR, 1);
    assert_diverges(&mlp, &options, &points, "training diverged in epoch ");
}

static void divergence_in_the_last_step_is_found(void **state)
{
    (void)state;
    float x[2] = {1e3F, 1e3F};
    float t[2] = {1e3F, 1e3F};
    struct fit_options options = adam;
    options.optim.solver = SOLVER_GD;
    options.optim.learning_rate = 1e38;
    options.max_iter = 1;
    struct mlp mlp = make_net(1, 0, LOSS_SQUARED_ERROR, 1);
    assert_diverges(&mlp, &options, &(struct fit_rows){x, t, 2, NULL},
                    "epoch 1, batch 1: a weight is not finite");
}

/* --- options ----------------------------------------------------------------------------- */

static void assert_invalid(const struct fit_options *options, const char *pointer)
{
    struct fit_result result = {0};
    struct err err = {0};
    struct mlp mlp = make_net(2, 3, LOSS_SQUARED_ERROR, 1);
    assert_int_equal(fit_run(&mlp, options, &points, NULL, NULL, &result, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.pointer, pointer);
    mlp_clear(&mlp);
}

static void numbers_out_of_range_name_their_field(void **state)
{
    (void)state;
    const struct {
        size_t offset;
        const char *pointer;
        bool below_one; /* 1 is refused as well */
        bool over_zero; /* 0 is refused as well */
        enum solver solver;
    } fields[] = {
        {offsetof(struct fit_options, optim.learning_rate), "/learning_rate", 0, 1, 0},
        {offsetof(struct fit_options, optim.momentum), "/momentum", 1, 0, SOLVER_SGD},
        {offsetof(struct fit_options, optim.beta_1), "/beta_1", 1, 0, SOLVER_ADAM},
        {offsetof(struct fit_options, optim.beta_2), "/beta_2", 1, 0, SOLVER_ADAM},
        {offsetof(struct fit_options, optim.epsilon), "/epsilon", 0, 1, SOLVER_ADAM},
        {offsetof(struct fit_options, alpha), "/alpha", 0, 0, 0},
        {offsetof(struct fit_options, tol), "/tol", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const double bad[5] = {-0.1, (double)NAN, (double)INFINITY,
                               fields[i].below_one ? 1.0 : -1.0,
                               fields[i].over_zero ? 0.0 : -1.0};
        for (size_t j = 0; j < 5; j++) {
            struct fit_options options = adam;
            options.optim.solver = fields[i].solver;
            memcpy((char *)&options + fields[i].offset, &bad[j], sizeof bad[j]);
            assert_invalid(&options, fields[i].pointer);
        }
    }
}

static void other_bad_options_name_their_field(void **state)
{
    (void)state;
    struct fit_options options = adam;
    options.max_iter = 0;
    assert_invalid(&options, "/max_iter");
    options = adam;
    options.n_iter_no_change = 0;
    assert_invalid(&options, "/n_iter_no_change");
    options = adam;
    options.early_stopping = true; /* without validation rows */
    assert_invalid(&options, "/early_stopping");
    options = adam;
    options.optim.solver = SOLVER_COUNT;
    assert_invalid(&options, "/solver");
}

static void options_of_other_solvers_are_not_looked_at(void **state)
{
    (void)state;
    struct fit_options options = {.optim = {.solver = SOLVER_GD, .learning_rate = 0.1},
                                  .max_iter = 1,
                                  .n_iter_no_change = 1};
    struct mlp mlp = make_net(2, 3, LOSS_SQUARED_ERROR, 1);
    run(&mlp, &options, &points, NULL, NULL); /* beta_1, epsilon … are 0 */
    mlp_clear(&mlp);
}

static void bad_rows_are_refused(void **state)
{
    (void)state;
    const float classes[4][2] = {{0, 2}, {0, -1}, {0.5F, 0}, {NAN, 0}};
    struct fit_result result = {0};
    struct mlp mlp = make_net(2, 3, LOSS_CROSS_ENTROPY, 1);
    for (size_t i = 0; i < 4; i++) {
        struct fit_rows rows = {bits, classes[i], 2, NULL};
        struct err err = {0};
        assert_int_equal(fit_run(&mlp, &adam, &rows, NULL, NULL, &result, &err), -1);
        assert_string_equal(err.slug, "bad_target");
    }
    struct fit_rows none = {bits, xor_t, 0, NULL};
    struct err err = {0};
    assert_int_equal(fit_run(&mlp, &adam, &none, NULL, NULL, &result, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.slug, "no_rows");
    mlp_clear(&mlp);
}

static void step_is_not_trained(void **state)
{
    (void)state;
    static const char *const pointers[2] = {"/activation", "/output_activation"};
    for (size_t i = 0; i < 2; i++) {
        const size_t two = 2;
        struct mlp_spec spec = {.n_inputs = 2,
                                .hidden_layer_sizes = &two,
                                .n_hidden = 1,
                                .n_outputs = 1,
                                .activation = i ? ACT_TANH : ACT_STEP,
                                .output_activation = i ? ACT_STEP : ACT_IDENTITY};
        struct mlp mlp = {0};
        struct fit_result result = {0};
        struct err err = {0};
        assert_int_equal(mlp_new(&spec, &mlp, &err), 0);
        assert_int_equal(fit_run(&mlp, &adam, &points, NULL, NULL, &result, &err), -1);
        assert_string_equal(err.slug, "not_trainable");
        assert_string_equal(err.pointer, pointers[i]);
        mlp_clear(&mlp);
    }
}

static void negative_counts_and_bad_weights_are_refused(void **state)
{
    (void)state;
    static const float counts[4] = {0, 1, -1, 2};
    static const float bad[3][4] = {{1, -1, 1, 1}, {1, 1, 1, NAN}, {0, 0, 0, 0}};
    struct mlp mlp = make_net(2, 3, LOSS_POISSON, 1);
    struct fit_rows rows = {bits, counts, 4, NULL};
    struct fit_result result = {0};
    struct err err = {0};
    assert_int_equal(fit_run(&mlp, &adam, &rows, NULL, NULL, &result, &err), -1);
    assert_string_equal(err.slug, "bad_target");
    assert_non_null(strstr(err.message, "row 3"));
    rows.t = xor_t;
    for (size_t i = 0; i < 3; i++) {
        rows.weights = bad[i];
        err_clear(&err);
        assert_int_equal(fit_run(&mlp, &adam, &rows, NULL, NULL, &result, &err), -1);
        assert_string_equal(err.slug, "bad_weight");
    }
    mlp_clear(&mlp);
}

/* Whole weights are so many copies of a row, L2 included. */
static void weights_are_as_good_as_copies(void **state)
{
    (void)state;
    enum { N = 6000, COPIES = N / 4 * 6 }; /* more than one piece of a large batch */
    static float x[N * 2], t[N], weights[N], many_x[COPIES * 2], many_t[COPIES];
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        x[2 * i] = (float)(i * 13 % 31) / 31.0F;
        x[2 * i + 1] = (float)(i * 7 % 17) / 17.0F;
        t[i] = x[2 * i] > x[2 * i + 1] ? 1.0F : 0.0F;
        weights[i] = (float)(i % 4); /* 0, 1, 2, 3 */
        for (size_t copy = 0; copy < i % 4; copy++, n++) {
            memcpy(many_x + 2 * n, x + 2 * i, 2 * sizeof *x);
            many_t[n] = t[i];
        }
    }
    assert_int_equal(n, COPIES);
    struct fit_options options = {.optim = {.solver = SOLVER_GD, .learning_rate = 0.5},
                                  .alpha = 100.0,
                                  .max_iter = 20,
                                  .n_iter_no_change = 20};
    struct mlp one = make_net(2, 3, LOSS_BINARY_CROSS_ENTROPY, 1);
    struct mlp two = make_net(2, 3, LOSS_BINARY_CROSS_ENTROPY, 1);
    const struct fit_rows weighted = {x, t, N, weights};
    const struct fit_rows copied = {many_x, many_t, COPIES, NULL};
    struct fit_result a = run(&one, &options, &weighted, &weighted, NULL);
    struct fit_result b = run(&two, &options, &copied, &copied, NULL);
    assert_true(fabs(a.train_loss - b.train_loss) < 1e-6);
    assert_true(fabs(a.validation_loss - b.validation_loss) < 1e-6);
    for (size_t i = 0; i < one.n_parameters; i++)
        assert_true(fabsf(one.parameters[i] - two.parameters[i]) < 1e-5F);
    mlp_clear(&one);
    mlp_clear(&two);
}

/* Shuffled, a weight goes with its row: rows of weight 0 are not learnt. */
static void weights_go_with_their_rows(void **state)
{
    (void)state;
    float x[80];
    float t[80];
    float weights[80];
    for (size_t i = 0; i < 80; i++) {
        x[i] = (float)(i / 2) / 20.0F - 1.0F;
        t[i] = i % 2 ? 100.0F : 3.0F * x[i] + 1.0F;
        weights[i] = i % 2 ? 0.0F : 0.7F;
    }
    struct fit_options options = adam;
    options.batch_size = 8;
    struct mlp mlp = make_net(1, 0, LOSS_SQUARED_ERROR, 1);
    const struct fit_rows rows = {x, t, 80, weights};
    run(&mlp, &options, &rows, NULL, NULL);
    assert_true(fabsf(mlp.parameters[0] - 3.0F) < 0.01F);
    assert_true(fabsf(mlp.parameters[1] - 1.0F) < 0.01F);
    mlp_clear(&mlp);
}

/* With a step of nothing, the epoch's loss is that of the first weights, whatever the
 * batches: Σ weight · loss / Σ weight. */
static void epoch_loss_weighs_batches_by_their_weights(void **state)
{
    (void)state;
    float x[30];
    float t[30];
    float weights[30];
    double wanted = 0.0;
    double total = 0.0;
    struct fit_options options = adam;
    options.optim.learning_rate = 1e-30;
    options.batch_size = 4;
    options.max_iter = options.n_iter_no_change = 1;
    struct mlp mlp = make_net(1, 0, LOSS_SQUARED_ERROR, 1);
    for (size_t i = 0; i < 30; i++) {
        x[i] = (float)i / 10.0F;
        t[i] = (float)(i * i % 7);
        weights[i] = (float)(i % 5) * (i < 15 ? 1.0F : 10.0F);
        double miss = (double)(mlp.parameters[0] * x[i] - t[i]);
        wanted += (double)weights[i] * 0.5 * miss * miss;
        total += (double)weights[i];
    }
    const struct fit_rows rows = {x, t, 30, weights};
    struct fit_result result = run(&mlp, &options, &rows, NULL, NULL);
    assert_true(fabs(result.train_loss - wanted / total) < 1e-5);
    mlp_clear(&mlp);
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
        cmocka_unit_test(one_neuron_learns_and_or_not),
        cmocka_unit_test(one_neuron_cannot_learn_xor),
        cmocka_unit_test(hidden_layer_learns_xor),
        cmocka_unit_test(every_solver_learns_a_linear_regression),
        cmocka_unit_test(same_seed_same_bytes_other_seed_other_bytes),
        cmocka_unit_test(without_shuffle_the_seed_does_not_matter),
        cmocka_unit_test(cancel_is_seen_between_batches),
        cmocka_unit_test(cancel_is_seen_after_an_epoch),
        cmocka_unit_test(last_part_batch_is_used),
        cmocka_unit_test(l2_is_in_the_loss_and_in_the_gradient),
        cmocka_unit_test(epoch_loss_weighs_batches_by_rows),
        cmocka_unit_test(full_batch_of_many_rows_is_one_step),
        cmocka_unit_test(early_stopping_restores_the_best_weights),
        cmocka_unit_test(training_loss_is_watched_otherwise),
        cmocka_unit_test(max_iter_ends_a_run_that_still_improves),
        cmocka_unit_test(divergence_names_epoch_and_batch),
        cmocka_unit_test(batches_are_counted_anew_each_epoch),
        cmocka_unit_test(each_epoch_has_an_order_of_its_own),
        cmocka_unit_test(divergence_by_steps_is_found),
        cmocka_unit_test(divergence_in_the_last_step_is_found),
        cmocka_unit_test(numbers_out_of_range_name_their_field),
        cmocka_unit_test(other_bad_options_name_their_field),
        cmocka_unit_test(options_of_other_solvers_are_not_looked_at),
        cmocka_unit_test(bad_rows_are_refused),
        cmocka_unit_test(step_is_not_trained),
        cmocka_unit_test(negative_counts_and_bad_weights_are_refused),
        cmocka_unit_test(weights_are_as_good_as_copies),
        cmocka_unit_test(weights_go_with_their_rows),
        cmocka_unit_test(epoch_loss_weighs_batches_by_their_weights),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
