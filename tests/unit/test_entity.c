/* The nouns: parameters as a table, job states, stored forms. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "entity/job.h"
#include "entity/metrics.h"
#include "entity/parameters.h"

static const struct parameters_field *field_of(const char *name)
{
    const struct parameters_field *field = parameters_find(name);
    assert_non_null(field);
    return field;
}

/* --- parameters ---------------------------------------------------------------------- */

static void every_field_is_found_by_its_name_and_fits_a_bit_mask(void **state)
{
    (void)state;
    assert_true(parameters_n_fields <= 64);
    for (size_t i = 0; i < parameters_n_fields; i++) {
        assert_ptr_equal(parameters_find(parameters_fields[i].name),
                         &parameters_fields[i]);
        assert_true(strlen(parameters_fields[i].meaning) > 10);
    }
    assert_null(parameters_find("hidden_layer_size"));
}

static void defaults_of_every_preset_pass_their_own_checks(void **state)
{
    (void)state;
    for (int preset = 0; preset < PARAMETERS_PRESET_COUNT; preset++) {
        struct parameters parameters;
        struct err err = {0};
        parameters_init(&parameters, (enum parameters_preset)preset);
        assert_string_equal(parameters_choice(&parameters, field_of("preset")),
                            parameters_preset_name(preset));
        for (size_t i = 0; i < parameters_n_fields; i++) {
            const struct parameters_field *field = &parameters_fields[i];
            struct parameters copy = parameters;
            if (field->kind == PARAMETERS_REAL)
                assert_int_equal(parameters_set_real(&copy, field,
                                                     parameters_real(&parameters, field),
                                                     &err),
                                 0);
            if (field->kind == PARAMETERS_CHOICE)
                assert_int_equal(
                    parameters_set_choice(&copy, field,
                                          parameters_choice(&parameters, field), &err),
                    0);
        }
    }
}

static void the_lecture_is_the_textbook(void **state)
{
    (void)state;
    struct parameters lecture;
    parameters_init(&lecture, PARAMETERS_PRESET_LECTURE);
    assert_int_equal(lecture.n_hidden, 1);
    assert_int_equal(lecture.hidden_layer_sizes[0], 100);
    assert_true(lecture.learning_rate == 0.001);
    assert_int_equal(lecture.max_iter, 10);
    assert_int_equal(lecture.activation, ACT_LOGISTIC);
    assert_int_equal(lecture.output_activation, ACT_LOGISTIC);
    assert_int_equal(lecture.loss, LOSS_SQUARED_ERROR);
    assert_int_equal(lecture.solver, SOLVER_GD);
    assert_int_equal(lecture.init, MLP_NORMAL);
    assert_true(lecture.init_std == 0.1);
}

static void values_out_of_range_name_field_and_range(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        double value;
    } rows[] = {{"learning_rate", 0},
                {"learning_rate", -1},
                {"learning_rate", 1e9},
                {"momentum", 1},
                {"beta_1", -0.1},
                {"epsilon", 0},
                {"delta", 0},
                {"q", 1},
                {"label_smoothing", 0.51},
                {"alpha", -1e-9},
                {"l1", -1e-9},
                {"rho", 1},
                {"power_t", -1},
                {"warmup", -1},
                {"weight_decay", -1},
                {"gradient_clip", (double)INFINITY},
                {"max_norm", -0.1},
                {"bias_init_std", -1e-9},
                {"bias_rate_factor", 0},
                {"gain_rate_factor", -1},
                {"scale_rate_factor", 1001},
                {"test_fraction", 1},
                {"validation_fraction", -0.1},
                {"learning_rate", (double)NAN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct parameters parameters;
        struct parameters before;
        struct err err = {0};
        char pointer[80];
        parameters_init(&parameters, PARAMETERS_PRESET_AUTO);
        before = parameters;
        snprintf(pointer, sizeof pointer, "/%s", rows[i].field);
        assert_int_equal(parameters_set_real(&parameters, field_of(rows[i].field),
                                             rows[i].value, &err),
                         -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.slug, "out_of_range");
        assert_string_equal(err.pointer, pointer);
        assert_non_null(strstr(err.message, rows[i].field));
        assert_memory_equal(&parameters, &before, sizeof before);
    }
}

static void layer_sizes_are_checked_one_by_one(void **state)
{
    (void)state;
    static const int64_t bad[] = {0, -1, 65537, INT64_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parameters parameters = {.n_hidden = 2};
        struct err err = {0};
        assert_int_equal(parameters_add_size(&parameters, field_of("hidden_layer_sizes"),
                                             bad[i], &err),
                         -1);
        assert_string_equal(err.pointer, "/hidden_layer_sizes/2");
        assert_int_equal(parameters.n_hidden, 2);
    }
    struct parameters full = {.n_hidden = PARAMETERS_HIDDEN_MAX};
    struct err err = {0};
    assert_int_equal(parameters_add_size(&full, field_of("hidden_layer_sizes"), 3, &err),
                     -1);
}

static void unknown_choice_lists_what_is_allowed(void **state)
{
    (void)state;
    struct parameters parameters;
    struct err err = {0};
    parameters_init(&parameters, PARAMETERS_PRESET_AUTO);
    assert_int_equal(parameters_set_choice(&parameters, field_of("solver"), "adma", &err),
                     -1);
    assert_non_null(strstr(err.message, "gd, sgd, adam"));
    err_clear(&err);
    /* softmax is for the output layer only */
    assert_int_equal(
        parameters_set_choice(&parameters, field_of("activation"), "softmax", &err), -1);
    err_clear(&err);
    assert_int_equal(parameters_set_choice(&parameters, field_of("solver"), "auto", &err),
                     -1);
}

static struct parameters unusual_parameters(void)
{
    struct parameters parameters;
    parameters_init(&parameters, PARAMETERS_PRESET_SKLEARN);
    parameters.n_hidden = 3;
    parameters.hidden_layer_sizes[0] = 7;
    parameters.hidden_layer_sizes[1] = 65536;
    parameters.hidden_layer_sizes[2] = 1;
    parameters.learning_rate = 0.1 + 0.2;
    parameters.seed = 9007199254740991;
    parameters.batch_size = 17;
    parameters.loss = LOSS_CROSS_ENTROPY;
    parameters.early_stopping = true;
    parameters.schedule = SCHEDULE_ONE_CYCLE;
    parameters.power_t = 0.75;
    parameters.warmup = 2.5;
    parameters.rho = 0.95;
    parameters.weight_decay = 0.02;
    parameters.gradient_clip = 5;
    parameters.l1 = 1e-5;
    parameters.max_norm = 3;
    parameters.n_dropout = 3;
    parameters.dropout[0] = 0.1 + 0.2;
    parameters.dropout[2] = 0.5;
    parameters.delta = 1.35;
    parameters.over = 2;
    parameters.under = 0.125;
    parameters.q = 0.9;
    parameters.label_smoothing = 0.1;
    parameters.class_weight = PARAMETERS_CLASS_WEIGHT_BALANCED;
    parameters.normalization = MLP_LAYER_NORM;
    parameters.parametrization = PARAMETERS_PARAMETRIZATION_NTK;
    parameters.feature_scale = true;
    parameters.init = PARAMETERS_AUTO;
    parameters.bias_init_std = 0.7;
    parameters.zero_init_output = true;
    parameters.skip_short_batch = true;
    parameters.bias_rate_factor = 0.1;
    parameters.gain_rate_factor = 2;
    parameters.scale_rate_factor = 6;
    parameters.embedding_rate_factor = 0.25;
    parameters.periodic_embeddings = true;
    parameters.periodic_frequencies = 24;
    parameters.periodic_width = 7;
    parameters.periodic_scale = 0.3;
    parameters.regularization_schedule = SCHEDULE_SHARE_FLAT_COSINE;
    return parameters;
}

static void stored_parameters_read_back_the_same(void **state)
{
    (void)state;
    struct parameters one = unusual_parameters();
    struct parameters two;
    struct buf first;
    struct buf second;
    struct err err = {0};
    buf_init(&first, 10000);
    buf_init(&second, 10000);
    parameters_encode(&one, &first);
    assert_int_equal(parameters_decode(first.bytes, first.len, &two, &err), 0);
    parameters_encode(&two, &second);
    assert_string_equal(first.bytes, second.bytes);
    assert_true(two.learning_rate == one.learning_rate);
    assert_int_equal(two.seed, one.seed);
    assert_int_equal(two.n_hidden, 3);
    assert_int_equal(two.n_dropout, 3);
    assert_memory_equal(two.dropout, one.dropout, sizeof one.dropout);
    assert_int_equal(two.schedule, SCHEDULE_ONE_CYCLE);
    assert_int_equal(two.class_weight, PARAMETERS_CLASS_WEIGHT_BALANCED);
    assert_true(two.delta == 1.35 && two.label_smoothing == 0.1);
    assert_int_equal(two.normalization, MLP_LAYER_NORM);
    assert_int_equal(two.parametrization, PARAMETERS_PARAMETRIZATION_NTK);
    assert_int_equal(two.init, PARAMETERS_AUTO);
    assert_true(two.skip_short_batch);
    assert_true(two.feature_scale && two.zero_init_output && two.bias_init_std == 0.7);
    assert_true(two.bias_rate_factor == 0.1 && two.gain_rate_factor == 2);
    assert_true(two.scale_rate_factor == 6 && two.embedding_rate_factor == 0.25);
    assert_true(two.periodic_embeddings && two.periodic_scale == 0.3);
    assert_true(two.periodic_frequencies == 24 && two.periodic_width == 7);
    assert_int_equal(two.regularization_schedule, SCHEDULE_SHARE_FLAT_COSINE);
    buf_clear(&first);
    buf_clear(&second);
}

static void stored_parameters_are_distrusted(void **state)
{
    (void)state;
    static const char *const bad[] = {"learning_rate=-1\n",
                                      "learning_rate=x\n",
                                      "solver=sdg\n",
                                      "hidden_layer_sizes=0\n",
                                      "hidden_layer_sizes=3,\n\nx",
                                      "max_iter=1e300\n",
                                      "seed=0.5e99\n",
                                      "dropout=1\n",
                                      "dropout=0.5,0.5\n",
                                      "dropout=0.5,,\n",
                                      "dropout=,\n",
                                      "dropout=0.5,nan,\n",
                                      "schedule=linear\n",
                                      "normalization=auto\n",
                                      "parametrization=mup\n",
                                      "scale_rate_factor=0\n",
                                      "regularization_schedule=cosine\n",
                                      "no equals sign\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parameters parameters;
        struct err err = {0};
        assert_int_equal(parameters_decode(bad[i], strlen(bad[i]), &parameters, &err),
                         -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    /* a field of a later version is passed over */
    struct parameters parameters;
    struct err err = {0};
    assert_int_equal(parameters_decode("fortune=0.5\n", 12, &parameters, &err), 0);
}

static void the_core_gets_every_parameter(void **state)
{
    (void)state;
    struct parameters parameters = unusual_parameters();
    struct fit_options fit;
    struct mlp_spec spec;
    size_t hidden[PARAMETERS_HIDDEN_MAX];
    parameters.output_activation = ACT_SOFTMAX;
    parameters_to_fit(&parameters, &fit);
    parameters_to_spec(&parameters, 5, 3, hidden, &spec);
    assert_int_equal(fit.seed, 9007199254740991);
    assert_int_equal(fit.batch_size, 17);
    assert_int_equal(fit.max_iter, 200);
    assert_int_equal(fit.n_iter_no_change, 10);
    assert_true(fit.tol == 1e-4 && fit.alpha == 1e-4);
    assert_true(fit.early_stopping && fit.shuffle);
    assert_int_equal(fit.optim.solver, SOLVER_ADAM);
    assert_true(fit.optim.learning_rate == 0.1 + 0.2);
    assert_true(fit.optim.momentum == 0.9 && fit.optim.nesterov);
    assert_true(fit.optim.beta_1 == 0.9 && fit.optim.beta_2 == 0.999);
    assert_true(fit.optim.epsilon == 1e-8);
    assert_true(fit.optim.rho == 0.95 && fit.optim.weight_decay == 0.02);
    assert_int_equal(fit.schedule.schedule, SCHEDULE_ONE_CYCLE);
    assert_true(fit.schedule.power_t == 0.75 && fit.schedule.warmup == 2.5);
    assert_true(fit.gradient_clip == 5 && fit.l1 == 1e-5 && fit.max_norm == 3);
    assert_true(fit.dropout[0] == 0.1 + 0.2 && fit.dropout[1] == 0);
    assert_true(fit.dropout[2] == 0.5 && fit.dropout[3] == 0);
    assert_int_equal(spec.n_inputs, 5);
    assert_int_equal(spec.n_outputs, 3);
    assert_int_equal(spec.n_hidden, 3);
    assert_int_equal(spec.hidden_layer_sizes[1], 65536);
    assert_int_equal(spec.activation, ACT_RELU);
    assert_int_equal(spec.output_activation, ACT_SOFTMAX);
    assert_int_equal(spec.loss, LOSS_CROSS_ENTROPY);
    assert_true(spec.loss_options.delta == 1.35 && spec.loss_options.over == 2);
    assert_true(spec.loss_options.under == 0.125 && spec.loss_options.q == 0.9);
    assert_true(spec.loss_options.label_smoothing == 0.1);
    assert_int_equal(spec.normalization, MLP_LAYER_NORM);
    assert_true(spec.ntk_parametrization && spec.feature_scale && fit.skip_short_batch);
    assert_true(fit.rate_factor[MLP_WEIGHTS] == 1 && fit.rate_factor[MLP_BIASES] == 0.1);
    assert_true(fit.rate_factor[MLP_GAINS] == 2 && fit.rate_factor[MLP_SCALES] == 6);
    assert_int_equal(fit.regularization_schedule, SCHEDULE_SHARE_FLAT_COSINE);
    assert_true(fit.rate_factor[MLP_EMBEDDINGS] == 0.25);
    assert_true(spec.periodic.n_frequencies == 24 && spec.periodic.width == 7);
    assert_int_equal(spec.periodic.n, 0);
}

/* Jobs stored before a parameter was there mean what they did. */
static void parameters_stored_by_an_older_version_get_its_meaning(void **state)
{
    (void)state;
    static const char old[] = "preset=sklearn\nactivation=tanh\nloss=squared_error\n"
                              "init=glorot_uniform\n";
    struct parameters parameters;
    struct err err = {0};
    assert_int_equal(parameters_decode(old, sizeof old - 1, &parameters, &err), 0);
    assert_int_equal(parameters.activation, ACT_TANH);
    assert_true(parameters.delta == 1 && parameters.over == 1 && parameters.under == 1);
    assert_true(parameters.q == 0.5 && parameters.label_smoothing == 0);
    assert_int_equal(parameters.class_weight, PARAMETERS_CLASS_WEIGHT_NONE);
    assert_int_equal(parameters.normalization, MLP_NORMALIZATION_NONE);
    assert_int_equal(parameters.parametrization, PARAMETERS_PARAMETRIZATION_STANDARD);
    assert_int_equal(parameters.init, MLP_GLOROT_UNIFORM);
    assert_true(!parameters.feature_scale && !parameters.zero_init_output);
    assert_true(parameters.bias_init_std == 0 && parameters.bias_rate_factor == 1);
    assert_int_equal(parameters.regularization_schedule, SCHEDULE_SHARE_CONSTANT);
}

static void realmlp_is_net_g_of_the_recipe(void **state)
{
    (void)state;
    struct parameters parameters;
    struct fit_options fit;
    struct err err = {0};
    parameters_init(&parameters, PARAMETERS_PRESET_REALMLP);
    assert_int_equal(parameters_check(&parameters, &err), 0);
    parameters_to_fit(&parameters, &fit);
    assert_int_equal(parameters.n_hidden, 3);
    for (size_t l = 0; l < 3; l++) {
        assert_int_equal(parameters.hidden_layer_sizes[l], 128);
        assert_true(fit.dropout[l] == 0.15);
    }
    assert_int_equal(fit.optim.solver, SOLVER_ADAMW);
    assert_int_equal(fit.schedule.schedule, SCHEDULE_COSLOG4);
    assert_true(fit.optim.beta_2 == 0.95 && fit.optim.weight_decay == 0.02);
    assert_true(fit.alpha == 0 && fit.l1 == 0);
    assert_true(fit.rate_factor[MLP_BIASES] == 0.1 && fit.rate_factor[MLP_SCALES] == 6);
    assert_int_equal(fit.max_iter, 256);
    assert_int_equal(fit.batch_size, 256);
    assert_true(fit.skip_short_batch);
    assert_true(fit.early_stopping && fit.n_iter_no_change >= 256);
}

static void one_share_is_for_all_layers_and_a_list_for_each(void **state)
{
    (void)state;
    const struct parameters_field *field = field_of("dropout");
    struct parameters parameters;
    struct parameters back;
    struct fit_options fit;
    struct buf out;
    struct err err = {0};
    parameters_init(&parameters, PARAMETERS_PRESET_AUTO);
    parameters.n_hidden = 2;
    parameters.hidden_layer_sizes[1] = 7;
    assert_int_equal(parameters_set_share(&parameters, field, 0.25, &err), 0);
    parameters_to_fit(&parameters, &fit);
    assert_true(fit.dropout[0] == 0.25 && fit.dropout[1] == 0.25 && fit.dropout[2] == 0);
    assert_int_equal(parameters_check(&parameters, &err), 0);

    /* a list of one is kept apart from a number */
    parameters_begin_shares(&parameters, field);
    assert_int_equal(parameters_add_share(&parameters, field, 0.5, &err), 0);
    buf_init(&out, 10000);
    parameters_encode(&parameters, &out);
    assert_int_equal(parameters_decode(out.bytes, out.len, &back, &err), 0);
    assert_int_equal(back.n_dropout, 1);
    assert_true(back.dropout[0] == 0.5);
    buf_clear(&out);
    assert_int_equal(parameters_check(&parameters, &err), -1);
    assert_string_equal(err.pointer, "/dropout");
    assert_string_equal(err.slug, "wrong_length");

    err_clear(&err);
    assert_int_equal(parameters_add_share(&parameters, field, 1, &err), -1);
    assert_string_equal(err.pointer, "/dropout/1");
    assert_non_null(strstr(err.message, "a number from 0 to 0.99"));
    err_clear(&err);
    assert_int_equal(parameters_set_share(&parameters, field, -0.1, &err), -1);
    assert_string_equal(err.pointer, "/dropout");
    for (size_t i = 1; i < PARAMETERS_HIDDEN_MAX; i++)
        assert_int_equal(
            parameters_add_share(&parameters, field, 0.123456789012345678, &err), 0);
    assert_int_equal(parameters_add_share(&parameters, field, 0.5, &err), -1);
    buf_init(&out, 10000);
    parameters_encode(&parameters, &out);
    assert_int_equal(parameters_decode(out.bytes, out.len, &back, &err), 0);
    assert_int_equal(back.n_dropout, PARAMETERS_HIDDEN_MAX);
    buf_clear(&out);
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *pointer;
    } rows[] = {
        {"solver=lbfgs\ndropout=0.5\n", "/dropout"},
        {"solver=lbfgs\nbatch_size=32\n", "/batch_size"},
        {"solver=lbfgs\nl1=0.1\n", "/l1"},
        {"solver=lbfgs\ngradient_clip=1\n", "/gradient_clip"},
        {"solver=lbfgs\nmax_norm=1\n", "/max_norm"},
        {"solver=lbfgs\nschedule=cosine\n", "/schedule"},
        {"solver=lbfgs\nwarmup=1\n", "/warmup"},
        {"warmup=51\nmax_iter=50\n", "/warmup"},
        {"hidden_layer_sizes=\ndropout=0.5\n", "/dropout"},
        {"hidden_layer_sizes=3,4\ndropout=0.5,\n", "/dropout"},
        {"hidden_layer_sizes=\nnormalization=batch_norm\n", "/normalization"},
        {"hidden_layer_sizes=\nnormalization=layer_norm\n", "/normalization"},
        {"normalization=batch_norm\nbatch_size=1\n", "/batch_size"},
        {"normalization=batch_norm\nsolver=lbfgs\n", "/normalization"},
        {"bias_rate_factor=0.5\nsolver=lbfgs\n", "/bias_rate_factor"},
        {"gain_rate_factor=2\nsolver=lbfgs\n", "/gain_rate_factor"},
        {"scale_rate_factor=6\nsolver=lbfgs\n", "/scale_rate_factor"},
        {"embedding_rate_factor=6\nsolver=lbfgs\n", "/embedding_rate_factor"},
        {"regularization_schedule=flat_cosine\nsolver=lbfgs\n",
         "/regularization_schedule"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct parameters parameters;
        struct err err = {0};
        assert_int_equal(
            parameters_decode(rows[i].line, strlen(rows[i].line), &parameters, &err), 0);
        assert_int_equal(parameters_check(&parameters, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.pointer, rows[i].pointer);
    }
    static const char *const fine[] = {
        "normalization=batch_norm\n",
        "normalization=batch_norm\nbatch_size=2\n",
        "normalization=layer_norm\nbatch_size=1\n",
        "normalization=layer_norm\nsolver=lbfgs\n",
        "parametrization=ntk\nfeature_scale=true\nhidden_layer_sizes=\nsolver=lbfgs\n",
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct parameters parameters;
        struct err err = {0};
        assert_int_equal(parameters_decode(fine[i], strlen(fine[i]), &parameters, &err),
                         0);
        assert_int_equal(parameters_check(&parameters, &err), 0);
    }
    for (int preset = 0; preset < PARAMETERS_PRESET_COUNT; preset++) {
        for (int solver = 0; solver < SOLVER_COUNT; solver++) {
            struct parameters parameters;
            struct err err = {0};
            parameters_init(&parameters, (enum parameters_preset)preset);
            parameters.solver = solver;
            bool is_refused =
                preset == PARAMETERS_PRESET_REALMLP && solver == SOLVER_LBFGS;
            assert_int_equal(parameters_check(&parameters, &err), is_refused ? -1 : 0);
        }
    }
}

/* --- metrics ------------------------------------------------------------------------- */

static void stored_metrics_read_back_and_truncations_are_refused(void **state)
{
    (void)state;
    uint64_t confusion[4] = {5, 1, 0, 7};
    struct metrics metrics = {0};
    metrics.parts[METRICS_TRAIN].n_rows = 13;
    metrics.parts[METRICS_TRAIN].n_classes = 2;
    metrics.parts[METRICS_TRAIN].classes.accuracy = 12.0 / 13;
    metrics.parts[METRICS_TRAIN].confusion = confusion;
    metrics.parts[METRICS_TEST].n_rows = 3;
    metrics.parts[METRICS_TEST].regression.r2 = 0.25;

    struct buf out;
    buf_init(&out, 10000);
    metrics_encode(&metrics, &out);
    struct metrics back = {0};
    struct err err = {0};
    assert_int_equal(metrics_decode(out.bytes, out.len, &back, &err), 0);
    assert_int_equal(back.parts[METRICS_TRAIN].confusion[3], 7);
    assert_int_equal(back.parts[METRICS_VALIDATION].n_rows, 0);
    assert_true(back.parts[METRICS_TEST].regression.r2 == 0.25);
    metrics_clear(&back);
    for (size_t len = 1; len < out.len; len++) {
        err_clear(&err);
        assert_int_equal(metrics_decode(out.bytes, len, &back, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    assert_int_equal(metrics_decode("", 0, &back, &err), 0);
    buf_clear(&out);
}

/* --- jobs ---------------------------------------------------------------------------- */

static void terminal_states_never_change(void **state)
{
    (void)state;
    static const enum job_state terminal[] = {JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED};
    for (size_t i = 0; i < 3; i++) {
        assert_true(job_is_terminal(terminal[i]));
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            assert_false(job_may_move(terminal[i], (enum job_state)to));
    }
    assert_false(job_is_terminal(JOB_QUEUED));
    assert_false(job_is_terminal(JOB_RUNNING));
    assert_false(job_is_terminal(JOB_CANCELLING));
    assert_false(job_may_move(JOB_QUEUED, JOB_SUCCEEDED));
    assert_false(job_may_move(JOB_CANCELLING, JOB_SUCCEEDED));
    assert_true(job_may_move(JOB_RUNNING, JOB_QUEUED));
}

static void states_are_found_by_name(void **state)
{
    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(job_state_find(job_state_name((enum job_state)i)), i);
    assert_int_equal(job_state_find("paused for ever"), -1);
}

static void stored_features_read_back_and_truncations_are_refused(void **state)
{
    (void)state;
    char *features[] = {"bill_length_mm", "", "größe"};
    struct job job = {.features = features, .n_features = 3};
    struct job back = {0};
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1000);
    job_encode_features(&job, &out);
    assert_int_equal(job_decode_features(out.bytes, out.len, &back, &err), 0);
    assert_int_equal(back.n_features, 3);
    assert_string_equal(back.features[2], "größe");
    job_clear(&back);
    for (size_t len = 0; len < out.len; len++) {
        err_clear(&err);
        assert_int_equal(job_decode_features(out.bytes, len, &back, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_found_by_its_name_and_fits_a_bit_mask),
        cmocka_unit_test(defaults_of_every_preset_pass_their_own_checks),
        cmocka_unit_test(the_lecture_is_the_textbook),
        cmocka_unit_test(values_out_of_range_name_field_and_range),
        cmocka_unit_test(layer_sizes_are_checked_one_by_one),
        cmocka_unit_test(unknown_choice_lists_what_is_allowed),
        cmocka_unit_test(stored_parameters_read_back_the_same),
        cmocka_unit_test(stored_parameters_are_distrusted),
        cmocka_unit_test(the_core_gets_every_parameter),
        cmocka_unit_test(one_share_is_for_all_layers_and_a_list_for_each),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(parameters_stored_by_an_older_version_get_its_meaning),
        cmocka_unit_test(realmlp_is_net_g_of_the_recipe),
        cmocka_unit_test(stored_metrics_read_back_and_truncations_are_refused),
        cmocka_unit_test(terminal_states_never_change),
        cmocka_unit_test(states_are_found_by_name),
        cmocka_unit_test(stored_features_read_back_and_truncations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
