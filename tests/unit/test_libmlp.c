/* libmlp.h: what a program gets that uses the core without the daemon. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/libmlp.h"

#define N 120 /* rows */
#define D 3   /* inputs */

static float x[N * D];
static float classes[N]; /* 0, 1, 2 */
static float pairs[N];   /* 0, 1 */
static float values[2 * N];
static float labels[3 * N];

/* Numbers that fill [-1, 1) evenly. */
static float spread(size_t i)
{
    return (float)(i * 7919 % 1009) / 504.5F - 1.0F;
}

static int fill_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < N * D; i++)
        x[i] = spread(i + 1);
    for (size_t i = 0; i < N; i++) {
        const float *row = x + i * D;
        classes[i] = row[0] > 0.3F ? 2.0F : row[1] > 0.0F ? 1.0F : 0.0F;
        pairs[i] = row[0] + row[1] > 0.0F ? 1.0F : 0.0F;
        values[2 * i] = 2.0F * row[0] - row[1];
        values[2 * i + 1] = row[2] * row[2] + 3.0F;
        for (size_t j = 0; j < 3; j++)
            labels[3 * i + j] = row[j] > 0.1F ? 1.0F : 0.0F;
    }
    return 0;
}

static struct libmlp_rows class_rows(void)
{
    return (struct libmlp_rows){x, N, D, classes, 1, NULL};
}

static struct libmlp_options options_for(enum libmlp_task task)
{
    static const size_t hidden[] = {16};
    struct libmlp_options options;
    libmlp_options_init(&options, task);
    options.hidden_layer_sizes = hidden;
    options.learning_rate = 0.02;
    options.batch_size = 20;
    options.seed = 1;
    return options;
}

static struct libmlp *make(const struct libmlp_options *options)
{
    struct libmlp *mlp = NULL;
    struct libmlp_error error = {"", ""};
    if (libmlp_new(options, &mlp, &error) < 0)
        fail_msg("%s: %s", error.field, error.message);
    return mlp;
}

static void must_fit(struct libmlp *mlp, const struct libmlp_rows *rows)
{
    struct libmlp_error error = {"", ""};
    if (libmlp_fit(mlp, rows, &error) < 0)
        fail_msg("%s: %s", error.field, error.message);
}

static double score_of(const struct libmlp *mlp, const struct libmlp_rows *rows)
{
    double score = (double)NAN;
    struct libmlp_error error = {"", ""};
    if (libmlp_score(mlp, rows, &score, &error) < 0)
        fail_msg("%s: %s", error.field, error.message);
    return score;
}

static double last_loss(const struct libmlp *mlp)
{
    size_t n = 0;
    const struct libmlp_epoch *history = libmlp_history(mlp, &n);
    assert_true(n > 0);
    return history[n - 1].train_loss;
}

/* That a call failed, whose fault it was, and that the message says so in these words. */
static void assert_error(int rc, const struct libmlp_error *error, const char *field,
                         const char *words)
{
    assert_int_equal(rc, -1);
    if (strcmp(error->field, field) != 0 || !strstr(error->message, words))
        fail_msg("wanted %s: …%s…, got %s: %s", field, words, error->field,
                 error->message);
}

/* An option, a value, and words of the answer if it may not have that. */
struct one_option {
    const char *field;
    size_t offset;
    enum { IS_NUMBER, IS_COUNT, IS_NAME } kind;
    double number;
    const char *name;
    const char *words;
};

#define OPTION(member) #member, offsetof(struct libmlp_options, member)

static void set_option(struct libmlp_options *options, const struct one_option *one)
{
    char *at = (char *)options + one->offset;
    int64_t count = (int64_t)(one->kind == IS_COUNT ? one->number : 0);
    if (one->kind == IS_COUNT)
        memcpy(at, &count, sizeof count);
    else if (one->kind == IS_NUMBER)
        memcpy(at, &one->number, sizeof one->number);
    else
        memcpy(at, &one->name, sizeof one->name);
}

/* --- learning --------------------------------------------------------------------------- */

static void options_start_at_the_defaults_of_scikit_learn(void **state)
{
    (void)state;
    struct libmlp_options o;
    libmlp_options_init(&o, LIBMLP_REGRESSOR);
    assert_int_equal(o.n_hidden, 1);
    assert_int_equal(o.hidden_layer_sizes[0], 100);
    assert_string_equal(o.activation, "relu");
    assert_string_equal(o.solver, "adam");
    assert_true(o.alpha == 1e-4 && o.learning_rate == 1e-3 && o.tol == 1e-4);
    assert_true(o.power_t == 0.5 && o.momentum == 0.9 && o.nesterov);
    assert_true(o.beta_1 == 0.9 && o.beta_2 == 0.999 && o.epsilon == 1e-8);
    assert_true(o.batch_size == LIBMLP_AUTO && o.max_iter == 200);
    assert_true(o.n_iter_no_change == 10 && o.validation_fraction == 0.1);
    assert_true(o.shuffle && !o.early_stopping && !o.warm_start);
}

static void classifier_learns_three_classes(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct libmlp_rows rows = class_rows();
    struct libmlp *mlp = make(&options);
    float y[N];
    float p[3 * N];
    must_fit(mlp, &rows);
    assert_true(score_of(mlp, &rows) > 0.95);
    assert_int_equal(libmlp_n_inputs(mlp), D);
    assert_int_equal(libmlp_n_targets(mlp), 1);
    assert_int_equal(libmlp_n_classes(mlp), 3);
    assert_int_equal(libmlp_n_parameters(mlp), (D + 1) * 16 + 17 * 3);
    assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
    assert_int_equal(libmlp_predict_proba(mlp, x, N, D, p, NULL), 0);
    for (size_t i = 0; i < N; i++) {
        const float *shares = p + 3 * i;
        assert_true(fabsf(shares[0] + shares[1] + shares[2] - 1.0F) < 1e-5F);
        for (size_t j = 0; j < 3; j++)
            assert_true(shares[(size_t)y[i]] >= shares[j]);
    }
    libmlp_free(mlp);
}

static void two_classes_share_one_output(void **state)
{
    (void)state;
    const char *const losses[] = {"auto", "squared_error", "cross_entropy"};
    for (size_t l = 0; l < 3; l++) {
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        const struct libmlp_rows rows = {x, N, D, pairs, 1, NULL};
        options.loss = losses[l];
        struct libmlp *mlp = make(&options);
        float y[N];
        float p[2 * N];
        must_fit(mlp, &rows);
        assert_true(score_of(mlp, &rows) > 0.95);
        assert_int_equal(libmlp_n_classes(mlp), 2);
        assert_int_equal(libmlp_n_parameters(mlp), (D + 1) * 16 + 17 * (l == 2 ? 2 : 1));
        assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
        assert_int_equal(libmlp_predict_proba(mlp, x, N, D, p, NULL), 0);
        for (size_t i = 0; i < N; i++) {
            assert_true(fabsf(p[2 * i] + p[2 * i + 1] - 1.0F) < 1e-5F);
            assert_true(y[i] == (p[2 * i + 1] > p[2 * i] ? 1.0F : 0.0F));
        }
        libmlp_free(mlp);
    }
}

/* After two epochs many a probability is near a half. */
static void prediction_is_the_likelier_class(void **state)
{
    (void)state;
    const struct libmlp_rows rows[2] = {{x, N, D, pairs, 1, NULL},
                                        {x, N, D, labels, 3, NULL}};
    for (size_t i = 0; i < 2; i++) {
        struct libmlp_options options =
            options_for(i ? LIBMLP_MULTILABEL : LIBMLP_CLASSIFIER);
        float y[3 * N];
        float p[3 * N];
        size_t n_near = 0;
        options.max_iter = 2;
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows[i]);
        assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
        assert_int_equal(libmlp_predict_proba(mlp, x, N, D, p, NULL), 0);
        for (size_t j = 0; j < N * rows[i].n_targets; j++) {
            float share = i ? p[j] : p[2 * j + 1];
            assert_true(y[j] == (share > 0.5F ? 1.0F : 0.0F));
            n_near += share > 0.5F && share < 0.6F;
        }
        assert_true(n_near > 5);
        libmlp_free(mlp);
    }
}

static void classes_may_be_learnt_by_squared_error(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct libmlp_rows rows = class_rows();
    options.loss = "squared_error";
    struct libmlp *mlp = make(&options);
    float p[3 * N];
    must_fit(mlp, &rows);
    assert_true(score_of(mlp, &rows) > 0.9);
    assert_int_equal(libmlp_predict_proba(mlp, x, N, D, p, NULL), 0);
    for (size_t i = 0; i < N; i++)
        assert_true(fabsf(p[3 * i] + p[3 * i + 1] + p[3 * i + 2] - 1.0F) < 1e-5F);
    libmlp_free(mlp);
}

static void regressor_learns_several_outputs(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_REGRESSOR);
    const struct libmlp_rows rows = {x, N, D, values, 2, NULL};
    struct libmlp *mlp = make(&options);
    float y[2 * N];
    double squares = 0.0;
    must_fit(mlp, &rows);
    assert_true(score_of(mlp, &rows) > 0.95);
    assert_int_equal(libmlp_n_targets(mlp), 2);
    assert_int_equal(libmlp_n_classes(mlp), 0);
    assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
    for (size_t i = 0; i < 2 * N; i++)
        squares += pow((double)(y[i] - values[i]), 2.0);
    assert_true(sqrt(squares / (2 * N)) < 0.2);
    libmlp_free(mlp);
}

static void multilabel_learns_each_label(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_MULTILABEL);
    const struct libmlp_rows rows = {x, N, D, labels, 3, NULL};
    struct libmlp *mlp = make(&options);
    float y[3 * N];
    float p[3 * N];
    must_fit(mlp, &rows);
    assert_true(score_of(mlp, &rows) > 0.9);
    assert_int_equal(libmlp_n_targets(mlp), 3);
    assert_int_equal(libmlp_n_classes(mlp), 3);
    assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
    assert_int_equal(libmlp_predict_proba(mlp, x, N, D, p, NULL), 0);
    for (size_t i = 0; i < 3 * N; i++)
        assert_true(y[i] == (p[i] > 0.5F ? 1.0F : 0.0F));
    libmlp_free(mlp);
}

static void weight_of_a_row_counts_in_fit_and_score(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    float weights[N];
    float wrong[N];
    for (size_t i = 0; i < N; i++) {
        weights[i] = i < N / 2 ? 1.0F : 0.0F;
        wrong[i] = i < N / 2 ? pairs[i] : 1.0F - pairs[i];
    }
    const struct libmlp_rows rows = {x, N, D, wrong, 1, weights};
    const struct libmlp_rows all = {x, N, D, wrong, 1, NULL};
    struct libmlp *mlp = make(&options);
    must_fit(mlp, &rows);
    assert_true(score_of(mlp, &rows) > 0.95);
    assert_true(score_of(mlp, &all) < 0.65);
    libmlp_free(mlp);
}

/* 9 of 10 rows are of class 0 and nothing tells them apart. */
static void balanced_classes_weigh_the_same(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const size_t none[] = {1};
    const float same[10] = {0};
    const float y[10] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    const struct libmlp_rows rows = {same, 10, 1, y, 1, NULL};
    options.hidden_layer_sizes = none;
    options.n_hidden = 0;
    options.solver = "lbfgs";
    options.batch_size = LIBMLP_AUTO;
    for (int is_balanced = 0; is_balanced < 2; is_balanced++) {
        float p[2];
        options.class_weight = is_balanced ? "balanced" : "none";
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows);
        assert_int_equal(libmlp_predict_proba(mlp, same, 1, 1, p, NULL), 0);
        assert_true(fabsf(p[1] - (is_balanced ? 0.5F : 0.1F)) < 0.01F);
        libmlp_free(mlp);
    }
}

static void same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    void *bytes[3] = {NULL, NULL, NULL};
    size_t len[3] = {0, 0, 0};
    for (size_t i = 0; i < 3; i++) {
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        const struct libmlp_rows rows = class_rows();
        options.seed = i < 2 ? 5 : 6;
        options.max_iter = 3;
        options.early_stopping = true;
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows);
        assert_int_equal(libmlp_save(mlp, &bytes[i], &len[i], NULL), 0);
        libmlp_free(mlp);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(bytes[0], bytes[1], len[0]);
    assert_memory_not_equal(bytes[0], bytes[2], len[0]);
    for (size_t i = 0; i < 3; i++)
        free(bytes[i]);
}

/* The strong recipe, as the service's preset realmlp. */
static struct libmlp_options recipe_options(void)
{
    static const size_t hidden[] = {32, 32, 32};
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    options.hidden_layer_sizes = hidden;
    options.n_hidden = 3;
    options.activation = "selu";
    options.parametrization = "ntk";
    options.feature_scale = true;
    options.init = "auto";
    options.bias_init_std = 1;
    options.zero_init_output = true;
    options.solver = "adamw";
    options.learning_rate = 0.04;
    options.schedule = "coslog4";
    options.beta_2 = 0.95;
    options.weight_decay = 0.02;
    options.bias_rate_factor = 0.1;
    options.scale_rate_factor = 6;
    options.alpha = 0;
    options.dropout = 0.15;
    options.regularization_schedule = "flat_cosine";
    options.skip_short_batch = true;
    options.max_iter = 100;
    options.tol = 0;
    options.n_iter_no_change = 100;
    options.early_stopping = true;
    options.validation_fraction = 0.2;
    return options;
}

static void recipe_learns_and_comes_back_from_its_bytes(void **state)
{
    (void)state;
    const char *const normalizations[] = {"none", "batch_norm", "layer_norm"};
    for (size_t i = 0; i < 3; i++) {
        struct libmlp_options options = recipe_options();
        const struct libmlp_rows rows = class_rows();
        struct libmlp_error error = {"", ""};
        void *bytes = NULL;
        size_t len = 0;
        float y[N];
        float again[N];
        options.normalization = normalizations[i];
        struct libmlp *mlp = make(&options);
        struct libmlp *back = make(&options);
        must_fit(mlp, &rows);
        assert_true(score_of(mlp, &rows) > 0.9);
        assert_int_equal(libmlp_save(mlp, &bytes, &len, NULL), 0);
        if (libmlp_load(back, bytes, len, &error) < 0)
            fail_msg("%s: %s", error.field, error.message);
        assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
        assert_int_equal(libmlp_predict(back, x, N, D, again, NULL), 0);
        assert_memory_equal(y, again, sizeof y);
        free(bytes);
        libmlp_free(back);
        libmlp_free(mlp);
    }
}

/* All of the recipe's parts are options of the one trainer. */
static void every_choice_can_be_trained(void **state)
{
    (void)state;
    const struct one_option choices[] = {
        {OPTION(activation), IS_NAME, 0, "gelu", NULL},
        {OPTION(normalization), IS_NAME, 0, "batch_norm", NULL},
        {OPTION(normalization), IS_NAME, 0, "layer_norm", NULL},
        {OPTION(parametrization), IS_NAME, 0, "ntk", NULL},
        {OPTION(init), IS_NAME, 0, "he_normal", NULL},
        {OPTION(init), IS_NAME, 0, "auto", NULL},
        {OPTION(bias_init_std), IS_NUMBER, 0.1, NULL, NULL},
        {OPTION(solver), IS_NAME, 0, "sgd", NULL},
        {OPTION(solver), IS_NAME, 0, "rmsprop", NULL},
        {OPTION(solver), IS_NAME, 0, "adamw", NULL},
        {OPTION(schedule), IS_NAME, 0, "coslog4", NULL},
        {OPTION(schedule), IS_NAME, 0, "one_cycle", NULL},
        {OPTION(regularization_schedule), IS_NAME, 0, "flat_cosine", NULL},
        {OPTION(dropout), IS_NUMBER, 0.1, NULL, NULL},
        {OPTION(l1), IS_NUMBER, 1e-4, NULL, NULL},
        {OPTION(max_norm), IS_NUMBER, 3, NULL, NULL},
        {OPTION(gradient_clip), IS_NUMBER, 1, NULL, NULL},
        {OPTION(warmup), IS_NUMBER, 2, NULL, NULL},
        {OPTION(label_smoothing), IS_NUMBER, 0.1, NULL, NULL},
        {OPTION(bias_rate_factor), IS_NUMBER, 0.5, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        const struct libmlp_rows rows = class_rows();
        options.max_iter = 60;
        options.feature_scale = i % 2 == 0;
        options.zero_init_output = i % 3 == 0;
        options.skip_short_batch = true;
        set_option(&options, &choices[i]);
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows);
        if (score_of(mlp, &rows) < 0.6)
            fail_msg("%s: score %g", choices[i].field, score_of(mlp, &rows));
        libmlp_free(mlp);
    }
}

/* --- going on --------------------------------------------------------------------------- */

static void partial_fit_lowers_the_loss(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    options.n_classes = 3;
    struct libmlp *mlp = make(&options);
    double first = 0.0;
    for (size_t pass = 0; pass < 60; pass++) {
        /* by turns the two halves of the rows */
        const size_t at = pass % 2 * (N / 2);
        const struct libmlp_rows rows = {x + at * D, N / 2, D, classes + at, 1, NULL};
        struct libmlp_error error = {"", ""};
        if (libmlp_partial_fit(mlp, &rows, &error) < 0)
            fail_msg("%s: %s", error.field, error.message);
        size_t n = 0;
        const struct libmlp_epoch *history = libmlp_history(mlp, &n);
        assert_int_equal(n, pass + 1);
        assert_int_equal(history[pass].epoch, pass + 1);
        if (pass == 0)
            first = last_loss(mlp);
    }
    const struct libmlp_rows all = class_rows();
    assert_true(last_loss(mlp) < 0.5 * first);
    assert_true(score_of(mlp, &all) > 0.9);
    libmlp_free(mlp);
}

/* Without a shuffle one pass after the other is what an epoch after the other is, if the
 * solver forgets nothing in between. */
static void passes_over_the_same_rows_equal_the_epochs_of_a_fit(void **state)
{
    (void)state;
    const char *const solvers[] = {"gd", "sgd", "rmsprop", "adam", "adamw"};
    for (size_t s = 0; s < 5; s++) {
        const struct libmlp_rows rows = class_rows();
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        void *bytes[2] = {NULL, NULL};
        size_t len = 0;
        options.solver = solvers[s];
        options.shuffle = false;
        options.max_iter = 4;
        for (int is_partial = 0; is_partial < 2; is_partial++) {
            struct libmlp *mlp = make(&options);
            for (size_t pass = 0; is_partial && pass < 4; pass++)
                assert_int_equal(libmlp_partial_fit(mlp, &rows, NULL), 0);
            if (!is_partial)
                must_fit(mlp, &rows);
            assert_int_equal(libmlp_save(mlp, &bytes[is_partial], &len, NULL), 0);
            libmlp_free(mlp);
        }
        assert_memory_equal(bytes[0], bytes[1], len);
        free(bytes[0]);
        free(bytes[1]);
    }
}

static void first_partial_fit_need_not_show_all_classes(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const float zeros[2] = {0.0F, 0.0F};
    const struct libmlp_rows rows = {x, 2, D, zeros, 1, NULL};
    const struct libmlp_rows all = class_rows();
    struct libmlp_error error;
    struct libmlp *mlp = make(&options);
    assert_error(libmlp_partial_fit(mlp, &rows, &error), &error, "y", "set n_classes");
    libmlp_free(mlp);
    options.n_classes = 3;
    mlp = make(&options);
    assert_int_equal(libmlp_partial_fit(mlp, &rows, NULL), 0);
    assert_int_equal(libmlp_n_classes(mlp), 3);
    assert_int_equal(libmlp_partial_fit(mlp, &all, NULL), 0);
    libmlp_free(mlp);
}

static void warm_start_goes_on_where_the_last_fit_ended(void **state)
{
    (void)state;
    const struct libmlp_rows rows = class_rows();
    for (int is_warm = 0; is_warm < 2; is_warm++) {
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        options.max_iter = 5;
        options.warm_start = is_warm;
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows);
        double loss = last_loss(mlp);
        size_t n = 0;
        must_fit(mlp, &rows);
        const struct libmlp_epoch *history = libmlp_history(mlp, &n);
        assert_int_equal(n, is_warm ? 10 : 5);
        assert_int_equal(history[n - 1].epoch, n);
        if (is_warm)
            assert_true(history[5].train_loss < loss && last_loss(mlp) < loss);
        else
            assert_true(last_loss(mlp) == loss);
        libmlp_free(mlp);
    }
}

static void warm_start_keeps_the_shape(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct libmlp_rows rows = class_rows();
    const struct libmlp_rows narrow = {x, N, D - 1, classes, 1, NULL};
    const float more[3] = {0.0F, 3.0F, 1.0F};
    const struct libmlp_rows fourth = {x, 3, D, more, 1, NULL};
    struct libmlp_error error;
    options.warm_start = true;
    options.max_iter = 2;
    struct libmlp *mlp = make(&options);
    must_fit(mlp, &rows);
    assert_error(libmlp_fit(mlp, &narrow, &error), &error, "n_inputs",
                 "n_inputs is 2, but the net has 3");
    assert_error(libmlp_fit(mlp, &fourth, &error), &error, "y",
                 "y[1] is 3; a class is a whole number from 0 to 2");
    libmlp_free(mlp);
}

static void early_stopping_watches_a_part_and_keeps_the_best(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct libmlp_rows rows = class_rows();
    options.early_stopping = true;
    options.validation_fraction = 0.2;
    options.max_iter = 500;
    struct libmlp *mlp = make(&options);
    size_t n = 0;
    size_t n_best = 0;
    must_fit(mlp, &rows);
    const struct libmlp_epoch *history = libmlp_history(mlp, &n);
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(history[i].validation_loss));
        n_best += history[i].is_best;
    }
    assert_true(n < 500 && n_best > 0);
    assert_true(score_of(mlp, &rows) > 0.85);
    libmlp_free(mlp);
}

static void early_stopping_needs_a_row_of_each_class_besides(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const float y[4] = {0.0F, 1.0F, 2.0F, 2.0F};
    struct libmlp_rows rows = {x, 3, D, y, 1, NULL};
    struct libmlp_error error;
    options.early_stopping = true;
    options.max_iter = 2;
    struct libmlp *mlp = make(&options);
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "early_stopping",
                 "more than the 3 rows");
    rows.n_rows = 4;
    must_fit(mlp, &rows);
    libmlp_free(mlp);
}

struct seen {
    size_t n;
    size_t stop_at;
};

static bool count_epochs(void *ctx, const struct libmlp_epoch *epoch)
{
    struct seen *seen = ctx;
    seen->n++;
    assert_int_equal(epoch->epoch, seen->n);
    return seen->n != seen->stop_at;
}

static void callback_sees_every_epoch_and_may_stop(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct libmlp_rows rows = class_rows();
    struct seen seen = {0, SIZE_MAX};
    struct libmlp_error error;
    options.max_iter = 7;
    options.on_epoch = count_epochs;
    options.ctx = &seen;
    struct libmlp *mlp = make(&options);
    must_fit(mlp, &rows);
    assert_int_equal(seen.n, 7);
    seen = (struct seen){0, 3};
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "on_epoch",
                 "stopped the fit after epoch 3");
    libmlp_free(mlp);
}

static void failed_fit_leaves_the_net_as_it_was(void **state)
{
    (void)state;
    for (int is_warm = 0; is_warm < 2; is_warm++) {
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        const struct libmlp_rows rows = class_rows();
        struct seen seen = {0, SIZE_MAX};
        void *before = NULL;
        void *after = NULL;
        size_t len = 0;
        size_t n = 0;
        options.max_iter = 7;
        options.on_epoch = count_epochs;
        options.ctx = &seen;
        options.warm_start = is_warm;
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows);
        assert_int_equal(libmlp_save(mlp, &before, &len, NULL), 0);
        seen = (struct seen){is_warm ? 7 : 0, is_warm ? 9 : 2};
        assert_int_equal(libmlp_fit(mlp, &rows, NULL), -1);
        assert_int_equal(libmlp_save(mlp, &after, &len, NULL), 0);
        assert_memory_equal(before, after, len);
        assert_non_null(libmlp_history(mlp, &n));
        assert_int_equal(n, 7);
        free(before);
        free(after);
        libmlp_free(mlp);
    }
}

static void run_backwards(void *ctx, void (*task)(void *arg, size_t i), void *arg,
                          size_t n_tasks)
{
    *(size_t *)ctx += 1;
    for (size_t i = n_tasks; i-- > 0;)
        task(arg, i);
}

static void who_runs_the_tasks_does_not_matter(void **state)
{
    (void)state;
    void *bytes[2] = {NULL, NULL};
    size_t len = 0;
    size_t n_runs = 0;
    const struct libmlp_parallel parallel = {&n_runs, run_backwards};
    for (size_t i = 0; i < 2; i++) {
        const size_t hidden[] = {300, 300};
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        const struct libmlp_rows rows = class_rows();
        options.hidden_layer_sizes = hidden;
        options.n_hidden = 2;
        options.batch_size = N;
        options.max_iter = 2;
        options.parallel = i ? &parallel : NULL;
        struct libmlp *mlp = make(&options);
        must_fit(mlp, &rows);
        assert_int_equal(libmlp_save(mlp, &bytes[i], &len, NULL), 0);
        libmlp_free(mlp);
    }
    assert_memory_equal(bytes[0], bytes[1], len);
    assert_true(n_runs > 0);
    free(bytes[0]);
    free(bytes[1]);
}

struct student {
    const struct libmlp *shared; /* NULL: makes a net of its own */
    void *bytes;
    size_t len;
    float y[N];
    int rc;
};

static void *study(void *arg)
{
    struct student *student = arg;
    const struct libmlp_rows rows = class_rows();
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    struct libmlp *mlp = NULL;
    options.max_iter = 3;
    student->rc = -1;
    if (student->shared)
        student->rc = libmlp_predict(student->shared, x, N, D, student->y, NULL);
    else if (libmlp_new(&options, &mlp, NULL) == 0 && libmlp_fit(mlp, &rows, NULL) == 0)
        student->rc = libmlp_save(mlp, &student->bytes, &student->len, NULL);
    libmlp_free(mlp);
    return NULL;
}

static void study_together(struct student *students, size_t n)
{
    pthread_t threads[4];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, study, &students[i]), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(students[i].rc, 0);
    }
}

/* Run first, so that the check at the first libmlp_new is raced for. */
static void threads_with_nets_of_their_own_do_not_meet(void **state)
{
    (void)state;
    struct student students[4] = {0};
    study_together(students, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(students[i].len, students[0].len);
        assert_memory_equal(students[i].bytes, students[0].bytes, students[0].len);
    }
    for (size_t i = 0; i < 4; i++)
        free(students[i].bytes);
}

static void threads_may_predict_with_one_net(void **state)
{
    (void)state;
    const struct libmlp_rows rows = class_rows();
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    struct libmlp *mlp = make(&options);
    float y[N];
    must_fit(mlp, &rows);
    assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
    struct student students[4] = {0};
    for (size_t i = 0; i < 4; i++)
        students[i].shared = mlp;
    study_together(students, 4);
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(students[i].y, y, sizeof y);
    libmlp_free(mlp);
}

/* --- bytes ------------------------------------------------------------------------------ */

static struct libmlp *fitted(enum libmlp_task task, const struct libmlp_rows *rows)
{
    struct libmlp_options options = options_for(task);
    options.max_iter = 3;
    struct libmlp *mlp = make(&options);
    must_fit(mlp, rows);
    return mlp;
}

static void net_that_is_saved_and_loaded_predicts_the_same(void **state)
{
    (void)state;
    const struct {
        enum libmlp_task task;
        struct libmlp_rows rows;
    } cases[] = {{LIBMLP_CLASSIFIER, {x, N, D, classes, 1, NULL}},
                 {LIBMLP_CLASSIFIER, {x, N, D, pairs, 1, NULL}},
                 {LIBMLP_REGRESSOR, {x, N, D, values, 2, NULL}},
                 {LIBMLP_MULTILABEL, {x, N, D, labels, 3, NULL}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct libmlp_options options = options_for(cases[i].task);
        struct libmlp *mlp = fitted(cases[i].task, &cases[i].rows);
        struct libmlp *back = make(&options);
        void *bytes = NULL;
        size_t len = 0;
        float y[3 * N];
        float again[3 * N];
        assert_int_equal(libmlp_save(mlp, &bytes, &len, NULL), 0);
        assert_int_equal(libmlp_load(back, bytes, len, NULL), 0);
        assert_int_equal(libmlp_n_classes(back), libmlp_n_classes(mlp));
        assert_int_equal(libmlp_n_targets(back), libmlp_n_targets(mlp));
        assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0);
        assert_int_equal(libmlp_predict(back, x, N, D, again, NULL), 0);
        assert_memory_equal(y, again, N * libmlp_n_targets(mlp) * sizeof *y);
        assert_int_equal(libmlp_partial_fit(back, &cases[i].rows, NULL), 0);
        free(bytes);
        libmlp_free(back);
        libmlp_free(mlp);
    }
}

static void bytes_that_are_cut_or_changed_are_refused_or_harmless(void **state)
{
    (void)state;
    const struct libmlp_rows rows = class_rows();
    const struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    struct libmlp *mlp = fitted(LIBMLP_CLASSIFIER, &rows);
    struct libmlp *other = make(&options);
    struct libmlp_error error;
    void *bytes = NULL;
    size_t len = 0;
    float y[N];
    assert_int_equal(libmlp_save(mlp, &bytes, &len, NULL), 0);
    for (size_t cut = 0; cut < len; cut += cut < 400 ? 1 : 37) {
        void *part = malloc(cut ? cut : 1); /* its end is the end of memory */
        assert_non_null(part);
        memcpy(part, bytes, cut);
        assert_error(libmlp_load(other, part, cut, &error), &error, "bytes", "");
        assert_int_equal(libmlp_n_parameters(other), 0);
        free(part);
    }
    for (size_t i = 0; i < len && i < 800; i++) {
        ((unsigned char *)bytes)[i] ^= 0x11;
        if (libmlp_load(other, bytes, len, NULL) == 0 && libmlp_n_inputs(other) == D)
            (void)libmlp_predict(other, x, N, D, y, NULL);
        ((unsigned char *)bytes)[i] ^= 0x11;
    }
    assert_error(libmlp_load(mlp, "GIF89a\1\2\3\4\5\6", 12, &error), &error, "bytes",
                 "do not decode");
    assert_int_equal(libmlp_predict(mlp, x, N, D, y, NULL), 0); /* as it was */
    free(bytes);
    libmlp_free(other);
    libmlp_free(mlp);
}

static void weights_of_another_task_are_refused(void **state)
{
    (void)state;
    const struct libmlp_rows three = class_rows();
    const struct libmlp_rows numbers = {x, N, D, values, 2, NULL};
    struct libmlp *classifier = fitted(LIBMLP_CLASSIFIER, &three);
    struct libmlp *regressor = fitted(LIBMLP_REGRESSOR, &numbers);
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    struct libmlp_error error;
    void *bytes = NULL;
    size_t len = 0;
    assert_int_equal(libmlp_save(classifier, &bytes, &len, NULL), 0);
    assert_error(libmlp_load(regressor, bytes, len, &error), &error, "bytes",
                 "loss cross_entropy and 3 outputs");
    options.n_classes = 4;
    struct libmlp *four = make(&options);
    assert_error(libmlp_load(four, bytes, len, &error), &error, "bytes",
                 "know 3 classes, but n_classes is 4");
    free(bytes);
    libmlp_free(four);
    libmlp_free(regressor);
    libmlp_free(classifier);
}

/* --- gradients -------------------------------------------------------------------------- */

static void gradient_is_right_before_and_after_a_fit(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_MULTILABEL);
    const struct libmlp_rows rows = {x, 20, D, labels, 3, NULL};
    options.activation = "tanh";
    options.max_iter = 2;
    struct libmlp *mlp = make(&options);
    for (int i = 0; i < 2; i++) {
        double largest = 1.0;
        struct libmlp_error error = {"", ""};
        if (libmlp_check_gradient(mlp, &rows, &largest, &error) < 0)
            fail_msg("%s: %s", error.field, error.message);
        assert_true(largest < 1e-3);
        must_fit(mlp, &rows);
    }
    libmlp_free(mlp);
}

/* --- bad input -------------------------------------------------------------------------- */

static const struct one_option bad_options[] = {
    {OPTION(batch_size), IS_COUNT, 0, NULL,
     "batch_size must be at least 1 or LIBMLP_AUTO, not 0"},
    {OPTION(batch_size), IS_COUNT, -7, NULL, "not -7"},
    {OPTION(max_iter), IS_COUNT, 0, NULL, "max_iter must be at least 1, not 0"},
    {OPTION(max_iter), IS_COUNT, -1, NULL, "max_iter must be at least 1, not -1"},
    {OPTION(n_iter_no_change), IS_COUNT, 0, NULL, "at least 1"},
    {OPTION(n_classes), IS_COUNT, 1, NULL,
     "n_classes must be at least 2 or LIBMLP_AUTO, not 1"},
    {OPTION(n_classes), IS_COUNT, 1e9, NULL, "n_classes must be at most"},
    {OPTION(learning_rate), IS_NUMBER, 0, NULL,
     "learning_rate must be a number over 0, not 0"},
    {OPTION(learning_rate), IS_NUMBER, (double)NAN, NULL,
     "learning_rate must be a number over 0"},
    {OPTION(learning_rate), IS_NUMBER, (double)INFINITY, NULL, "learning_rate"},
    {OPTION(alpha), IS_NUMBER, -1, NULL, "alpha must be a number from 0 on, not -1"},
    {OPTION(l1), IS_NUMBER, -1, NULL, "l1"},
    {OPTION(beta_1), IS_NUMBER, 1, NULL, "beta_1 must be at least 0 and below 1, not 1"},
    {OPTION(beta_2), IS_NUMBER, -0.5, NULL, "beta_2"},
    {OPTION(epsilon), IS_NUMBER, 0, NULL, "epsilon"},
    {OPTION(tol), IS_NUMBER, (double)NAN, NULL, "tol"},
    {OPTION(dropout), IS_NUMBER, 1, NULL, "dropout"},
    {OPTION(max_norm), IS_NUMBER, -1, NULL, "max_norm"},
    {OPTION(gradient_clip), IS_NUMBER, -1, NULL, "gradient_clip"},
    {OPTION(warmup), IS_NUMBER, 1e9, NULL, "warmup"},
    {OPTION(bias_rate_factor), IS_NUMBER, 0, NULL,
     "bias_rate_factor must be a number over 0"},
    {OPTION(label_smoothing), IS_NUMBER, 0.7, NULL,
     "label_smoothing must be from 0 to 0.5, not 0.7"},
    {OPTION(activation), IS_NAME, 0, "swish",
     "activation may be identity, logistic, tanh, relu"},
    {OPTION(activation), IS_NAME, 0, NULL, "not 'NULL'"},
    {OPTION(activation), IS_NAME, 0, "softmax", "not 'softmax'"},
    {OPTION(activation), IS_NAME, 0, "step", "step cannot be trained"},
    {OPTION(output_activation), IS_NAME, 0, "tanh", "cross_entropy"},
    {OPTION(solver), IS_NAME, 0, "ADAM",
     "solver may be gd, sgd, adam, rmsprop, adamw, lbfgs"},
    {OPTION(loss), IS_NAME, 0, "mse", "loss may be auto, squared_error"},
    {OPTION(loss), IS_NAME, 0, "huber", "loss huber is not for this task"},
    {OPTION(schedule), IS_NAME, 0, "exponential",
     "constant, invscaling, adaptive, cosine"},
    {OPTION(bias_init_std), IS_NUMBER, -1, NULL, "bias_init_std must be a number from 0"},
    {OPTION(parametrization), IS_NAME, 0, "mup", "may be standard, ntk, not 'mup'"},
    {OPTION(init), IS_NAME, 0, "xavier", "glorot_uniform, glorot_normal"},
    {OPTION(normalization), IS_NAME, 0, "instance", "none, batch_norm, layer_norm"},
    {OPTION(class_weight), IS_NAME, 0, "auto",
     "class_weight may be none, balanced, not 'auto'"},
    {OPTION(regularization_schedule), IS_NAME, 0, "cosine", "constant, flat_cosine"},
};

static void option_that_is_out_of_range_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
        const struct one_option *bad = &bad_options[i];
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        struct libmlp_error error = {"", ""};
        struct libmlp *mlp = NULL;
        set_option(&options, bad);
        /* loss and output contradict each other: the loss is named */
        const char *field =
            strcmp(bad->field, "output_activation") == 0 ? "loss" : bad->field;
        assert_error(libmlp_new(&options, &mlp, &error), &error, field, bad->words);
        assert_null(mlp);
    }
}

static void layers_that_cannot_be_are_named(void **state)
{
    (void)state;
    const size_t sizes[65] = {4, 0};
    const double shares[2] = {0.1, 1.5};
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    struct libmlp_error error;
    struct libmlp *mlp = NULL;
    options.hidden_layer_sizes = sizes;
    options.n_hidden = 2;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "hidden_layer_sizes[1]",
                 "must be 1 to 1000000, not 0");
    options.n_hidden = 64;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "n_hidden", "at most 63");
    options.hidden_layer_sizes = NULL;
    options.n_hidden = 1;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "hidden_layer_sizes",
                 "is NULL");
    options = options_for(LIBMLP_CLASSIFIER);
    options.layer_dropout = shares + 1;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "dropout", "not 1.5");
}

static void inputs_to_embed_must_be_there(void **state)
{
    (void)state;
    const size_t inputs[3] = {0, 2, 1};
    const struct libmlp_rows rows = {x, N / 2, D - 1, classes, 1, NULL};
    const struct libmlp_rows all = class_rows();
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    struct libmlp_error error;
    struct libmlp *mlp = NULL;
    options.n_periodic = 1;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "periodic_inputs", "NULL");
    options.periodic_inputs = inputs;
    options.n_periodic = 3;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "periodic_inputs", "rise");
    options.n_periodic = 2;
    options.periodic_width = 65;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "periodic_width",
                 "1 to 64, not 65");
    options.periodic_width = 4;
    options.frequency_scale = 0;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "frequency_scale", "over 0");
    options.frequency_scale = 0.1;
    options.warm_start = true;
    mlp = make(&options);
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "periodic_inputs", "below 2");
    must_fit(mlp, &all);
    must_fit(mlp, &all);
    assert_int_equal(libmlp_n_inputs(mlp), D);
    assert_true(score_of(mlp, &all) > 0.9);
    libmlp_free(mlp);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_REGRESSOR);
    struct libmlp_error error;
    struct libmlp *mlp = NULL;
    options.class_weight = "balanced";
    assert_error(libmlp_new(&options, &mlp, &error), &error, "class_weight",
                 "for a classifier");
    options = options_for(LIBMLP_REGRESSOR);
    options.label_smoothing = 0.1;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "label_smoothing",
                 "not for squared_error");
    options = options_for(LIBMLP_REGRESSOR);
    options.loss = "cross_entropy";
    assert_error(libmlp_new(&options, &mlp, &error), &error, "loss", "not for this task");
    options = options_for(LIBMLP_CLASSIFIER);
    options.solver = "lbfgs";
    assert_error(libmlp_new(&options, &mlp, &error), &error, "batch_size", "lbfgs");
    options = options_for(LIBMLP_CLASSIFIER);
    options.early_stopping = true;
    options.validation_fraction = 0;
    assert_error(libmlp_new(&options, &mlp, &error), &error, "validation_fraction",
                 "above 0 and below 1");
    memset(&options, 0, sizeof options);
    assert_error(libmlp_new(&options, &mlp, &error), &error, "task",
                 "libmlp_options_init");
    options = options_for(LIBMLP_CLASSIFIER);
    options.loss = "binary_cross_entropy";
    mlp = make(&options);
    const struct libmlp_rows rows = class_rows();
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "loss", "two classes, not 3");
    libmlp_free(mlp);
}

static void partial_fit_refuses_what_needs_an_end(void **state)
{
    (void)state;
    const struct libmlp_rows rows = class_rows();
    for (int i = 0; i < 4; i++) {
        static const char *const fields[] = {"solver", "early_stopping", "schedule",
                                             "warmup"};
        struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
        struct libmlp_error error;
        options.batch_size = LIBMLP_AUTO;
        options.solver = i == 0 ? "lbfgs" : "adam";
        options.early_stopping = i == 1;
        options.schedule = i == 2 ? "cosine" : "constant";
        options.warmup = i == 3 ? 2 : 0;
        struct libmlp *mlp = make(&options);
        assert_error(libmlp_partial_fit(mlp, &rows, &error), &error, fields[i],
                     "partial_fit does not go with");
        libmlp_free(mlp);
    }
}

/* One number is spoilt at a time. */
static void number_that_is_not_finite_is_named_by_row_and_column(void **state)
{
    (void)state;
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    const struct libmlp_rows rows = {x, N, D, values, 2, NULL};
    const struct libmlp_options options = options_for(LIBMLP_REGRESSOR);
    struct libmlp *mlp = make(&options);
    struct libmlp_error error;
    float y[2 * N];
    must_fit(mlp, &rows);
    for (size_t i = 0; i < 3; i++) {
        float kept = x[5 * D + 2];
        x[5 * D + 2] = bad[i];
        assert_error(libmlp_fit(mlp, &rows, &error), &error, "x", "x[5][2] is ");
        assert_error(libmlp_partial_fit(mlp, &rows, &error), &error, "x", "x[5][2] is ");
        assert_error(libmlp_predict(mlp, x, N, D, y, &error), &error, "x", "x[5][2] is ");
        x[5 * D + 2] = kept;
        kept = values[7];
        values[7] = bad[i];
        assert_error(libmlp_fit(mlp, &rows, &error), &error, "y", "y[3][1] is ");
        values[7] = kept;
    }
    libmlp_free(mlp);
}

static void target_that_is_out_of_range_is_named(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct {
        float y;
        const char *words;
    } cases[] = {{3.0F, "y[4] is 3; a class is a whole number from 0 to 2"},
                 {-1.0F, "y[4] is -1"},
                 {0.5F, "y[4] is 0.5"},
                 {1e9F, "y[4] is 1e+09"}};
    struct libmlp_rows rows = class_rows();
    struct libmlp_error error;
    options.n_classes = 3;
    struct libmlp *mlp = make(&options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float kept = classes[4];
        classes[4] = cases[i].y;
        assert_error(libmlp_fit(mlp, &rows, &error), &error, "y", cases[i].words);
        classes[4] = kept;
    }
    rows.n_targets = 2;
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "n_targets",
                 "n_targets is 2, but this classifier has 1");
    libmlp_free(mlp);

    options = options_for(LIBMLP_MULTILABEL);
    mlp = make(&options);
    rows = (struct libmlp_rows){x, N, D, values, 2, NULL};
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "y", "a label is 0 or 1");
    libmlp_free(mlp);

    options = options_for(LIBMLP_REGRESSOR);
    options.loss = "poisson";
    mlp = make(&options);
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "y",
                 "poisson takes numbers from 0 on");
    libmlp_free(mlp);
}

static void weight_that_is_none_is_named(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const float bad[] = {-1.0F, NAN, INFINITY};
    float weights[N] = {0};
    const struct libmlp_rows rows = {x, N, D, classes, 1, weights};
    struct libmlp_error error;
    struct libmlp *mlp = make(&options);
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "sample_weight",
                 "sample_weight is 0 in all rows");
    for (size_t i = 0; i < 3; i++) {
        weights[6] = bad[i];
        assert_error(libmlp_fit(mlp, &rows, &error), &error, "sample_weight",
                     "sample_weight[6] is ");
    }
    libmlp_free(mlp);
}

static void sizes_and_pointers_that_cannot_be_are_named(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct {
        struct libmlp_rows rows;
        const char *field;
        const char *words;
    } cases[] = {
        {{x, 0, D, classes, 1, NULL}, "n_rows", "n_rows is 0"},
        {{x, N, 0, classes, 1, NULL}, "n_inputs", "x must have 1 to 1000000 columns"},
        {{x, N, SIZE_MAX, classes, 1, NULL}, "n_inputs", "columns"},
        {{x, SIZE_MAX, D, classes, 1, NULL}, "n_rows", "more than memory"},
        {{NULL, N, D, classes, 1, NULL}, "x", "x is NULL"},
        {{x, N, D, NULL, 1, NULL}, "y", "y is NULL"},
        {{x, N, D, classes, 0, NULL}, "n_targets", "y must have 1 to"},
    };
    struct libmlp *mlp = make(&options);
    struct libmlp_error error;
    double score = 0;
    const struct libmlp_rows rows = class_rows();
    for (int is_fitted = 0; is_fitted < 2; is_fitted++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            assert_error(libmlp_fit(mlp, &cases[i].rows, &error), &error, cases[i].field,
                         cases[i].words);
            assert_int_equal(libmlp_partial_fit(mlp, &cases[i].rows, NULL), -1);
            assert_int_equal(libmlp_score(mlp, &cases[i].rows, &score, NULL), -1);
            assert_int_equal(libmlp_check_gradient(mlp, &cases[i].rows, &score, NULL),
                             -1);
        }
        must_fit(mlp, &rows);
    }
    libmlp_free(mlp);
}

static void null_is_an_error_everywhere(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_CLASSIFIER);
    const struct libmlp_rows rows = class_rows();
    struct libmlp_error error;
    struct libmlp *mlp = NULL;
    void *bytes = NULL;
    size_t len = 0;
    double score = 0;
    float y[N];
    assert_error(libmlp_new(NULL, &mlp, &error), &error, "options", "NULL");
    assert_error(libmlp_new(&options, NULL, &error), &error, "mlp", "NULL");
    mlp = fitted(LIBMLP_CLASSIFIER, &rows);
    assert_error(libmlp_fit(NULL, &rows, &error), &error, "mlp", "NULL");
    assert_error(libmlp_fit(mlp, NULL, &error), &error, "rows", "NULL");
    assert_error(libmlp_partial_fit(NULL, &rows, &error), &error, "mlp", "NULL");
    assert_error(libmlp_partial_fit(mlp, NULL, &error), &error, "rows", "NULL");
    assert_error(libmlp_predict(NULL, x, N, D, y, &error), &error, "mlp", "NULL");
    assert_error(libmlp_predict(mlp, NULL, N, D, y, &error), &error, "x", "NULL");
    assert_error(libmlp_predict(mlp, x, N, D, NULL, &error), &error, "y", "NULL");
    assert_error(libmlp_predict_proba(mlp, x, N, D, NULL, &error), &error, "p", "NULL");
    assert_error(libmlp_score(mlp, NULL, &score, &error), &error, "rows", "NULL");
    assert_error(libmlp_score(mlp, &rows, NULL, &error), &error, "score", "NULL");
    assert_error(libmlp_save(mlp, NULL, &len, &error), &error, "bytes", "NULL");
    assert_error(libmlp_save(mlp, &bytes, NULL, &error), &error, "len", "NULL");
    assert_error(libmlp_load(mlp, NULL, 9, &error), &error, "bytes", "NULL");
    assert_error(libmlp_load(NULL, "", 0, &error), &error, "mlp", "NULL");
    assert_error(libmlp_check_gradient(NULL, &rows, &score, &error), &error, "mlp",
                 "NULL");
    assert_null(libmlp_history(NULL, NULL));
    assert_int_equal(libmlp_n_parameters(NULL), 0);
    libmlp_free(NULL);
    libmlp_free(mlp);
}

static void predicting_before_a_fit_or_another_width_is_an_error(void **state)
{
    (void)state;
    const struct libmlp_options options = options_for(LIBMLP_REGRESSOR);
    const struct libmlp_rows rows = {x, N, D, values, 2, NULL};
    const struct libmlp_rows one = {x, N, D, values, 1, NULL};
    struct libmlp *mlp = make(&options);
    struct libmlp_error error;
    void *bytes = NULL;
    size_t len = 0;
    double score = 0;
    float y[2 * N];
    assert_error(libmlp_predict(mlp, x, N, D, y, &error), &error, "mlp",
                 "not trained yet");
    assert_error(libmlp_score(mlp, &rows, &score, &error), &error, "mlp", "not trained");
    assert_error(libmlp_save(mlp, &bytes, &len, &error), &error, "mlp", "not trained");
    assert_int_equal(libmlp_n_targets(mlp), 0);
    must_fit(mlp, &rows);
    assert_error(libmlp_predict(mlp, x, N / 2, D * 2, y, &error), &error, "n_inputs",
                 "n_inputs is 6, but the net has 3");
    assert_error(libmlp_predict_proba(mlp, x, N, D, y, &error), &error, "task",
                 "no probabilities");
    assert_error(libmlp_score(mlp, &one, &score, &error), &error, "n_targets",
                 "n_targets is 1, but this net has 2");
    assert_error(libmlp_partial_fit(mlp, &one, &error), &error, "n_targets", "has 2");
    libmlp_free(mlp);
}

static void training_that_diverges_says_when(void **state)
{
    (void)state;
    struct libmlp_options options = options_for(LIBMLP_REGRESSOR);
    const struct libmlp_rows rows = {x, N, D, values, 2, NULL};
    struct libmlp_error error;
    options.solver = "sgd";
    options.learning_rate = 1e30;
    struct libmlp *mlp = make(&options);
    assert_error(libmlp_fit(mlp, &rows, &error), &error, "", "epoch 1");
    assert_int_equal(libmlp_n_parameters(mlp), 0);
    libmlp_free(mlp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_with_nets_of_their_own_do_not_meet),
        cmocka_unit_test(options_start_at_the_defaults_of_scikit_learn),
        cmocka_unit_test(classifier_learns_three_classes),
        cmocka_unit_test(two_classes_share_one_output),
        cmocka_unit_test(prediction_is_the_likelier_class),
        cmocka_unit_test(classes_may_be_learnt_by_squared_error),
        cmocka_unit_test(regressor_learns_several_outputs),
        cmocka_unit_test(multilabel_learns_each_label),
        cmocka_unit_test(weight_of_a_row_counts_in_fit_and_score),
        cmocka_unit_test(balanced_classes_weigh_the_same),
        cmocka_unit_test(same_seed_gives_the_same_bytes),
        cmocka_unit_test(recipe_learns_and_comes_back_from_its_bytes),
        cmocka_unit_test(every_choice_can_be_trained),
        cmocka_unit_test(partial_fit_lowers_the_loss),
        cmocka_unit_test(passes_over_the_same_rows_equal_the_epochs_of_a_fit),
        cmocka_unit_test(first_partial_fit_need_not_show_all_classes),
        cmocka_unit_test(warm_start_goes_on_where_the_last_fit_ended),
        cmocka_unit_test(warm_start_keeps_the_shape),
        cmocka_unit_test(early_stopping_watches_a_part_and_keeps_the_best),
        cmocka_unit_test(early_stopping_needs_a_row_of_each_class_besides),
        cmocka_unit_test(callback_sees_every_epoch_and_may_stop),
        cmocka_unit_test(failed_fit_leaves_the_net_as_it_was),
        cmocka_unit_test(who_runs_the_tasks_does_not_matter),
        cmocka_unit_test(threads_may_predict_with_one_net),
        cmocka_unit_test(net_that_is_saved_and_loaded_predicts_the_same),
        cmocka_unit_test(bytes_that_are_cut_or_changed_are_refused_or_harmless),
        cmocka_unit_test(weights_of_another_task_are_refused),
        cmocka_unit_test(gradient_is_right_before_and_after_a_fit),
        cmocka_unit_test(option_that_is_out_of_range_is_named),
        cmocka_unit_test(layers_that_cannot_be_are_named),
        cmocka_unit_test(inputs_to_embed_must_be_there),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(partial_fit_refuses_what_needs_an_end),
        cmocka_unit_test(number_that_is_not_finite_is_named_by_row_and_column),
        cmocka_unit_test(target_that_is_out_of_range_is_named),
        cmocka_unit_test(weight_that_is_none_is_named),
        cmocka_unit_test(sizes_and_pointers_that_cannot_be_are_named),
        cmocka_unit_test(null_is_an_error_everywhere),
        cmocka_unit_test(predicting_before_a_fit_or_another_width_is_an_error),
        cmocka_unit_test(training_that_diverges_says_when),
    };
    return cmocka_run_group_tests(tests, fill_rows, NULL);
}
