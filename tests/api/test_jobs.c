#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "entity/parameters.h"

/* The job's version of its model. */
static const json_t *version_of(struct client *client, const json_t *job)
{
    const struct answer *answer =
        client_get(client, "/v1/models/%s/versions/%.0f", text_at(job, "/model"),
                   number_at(job, "/model_version"));
    expect_status(answer, 200);
    return answer->json;
}

static const struct answer *cancel(struct client *client, const char *id)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    return client_call(client, &(struct call){.method = "POST", .path = path});
}

/* --- a job's life ------------------------------------------------------------------- */

static void job_goes_from_queued_to_succeeded(void **state)
{
    static const char *const states[] = {"queued", "running", "succeeded"};
    struct client client;
    char location[256];
    char pointer[40];
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    const struct answer *made =
        client_post(&client, "/v1/jobs",
                    "{'dataset': '%s', 'target': 'species', 'model': 'life'}", dataset);
    expect_status(made, 202);
    const char *id = text_at(made->json, "/id");
    answer_header(made, "Location", location);
    assert_string_equal(location + strlen("/v1/jobs/"), id);
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_true(number_at(job, "/progress") == 1);
    assert_true(number_at(job, "/attempts") == 1);
    assert_true(number_at(job, "/model_version") == 1);
    assert_true(number_at(job, "/epoch") >= 1);
    assert_string_equal(text_at(job, "/dataset"), dataset);
    assert_string_equal(text_at(job, "/task"), "multiclass");
    assert_int_equal(count_at(job, "/transitions"), 3);
    for (size_t i = 0; i < 3; i++) {
        snprintf(pointer, sizeof pointer, "/transitions/%zu/state", i);
        assert_string_equal(text_at(job, pointer), states[i]);
    }
    /* RFC 3339 in UTC compares as text. */
    assert_true(strcmp(text_at(job, "/created_at"), text_at(job, "/started_at")) <= 0);
    assert_true(strcmp(text_at(job, "/started_at"), text_at(job, "/finished_at")) <= 0);
    assert_null(find_at(job, "/error"));
    assert_string_equal(text_at(version_of(&client, job), "/job"), id);
    client_close(&client);
}

static void running_job_tells_how_far_it_is(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}",
               upload(&client, "iris"));
    const json_t *job = wait_running(&client, id);
    double epoch = number_at(job, "/epoch");
    assert_true(number_at(job, "/progress") > 0 && number_at(job, "/progress") < 1);
    assert_true(number_at(job, "/eta_seconds") > 0);
    assert_true(number_at(job, "/samples_per_second") > 0);
    assert_true(number_at(job, "/train_loss") > 0);
    assert_true(json_is_null(find_at(job, "/finished_at")));
    assert_null(find_at(job, "/model_version"));
    double until = now_s() + HARNESS_PATIENCE_S;
    while (number_at(wait_running(&client, id), "/epoch") <= epoch && now_s() < until)
        pause_ms(20);
    assert_true(number_at(wait_running(&client, id), "/epoch") > epoch);
    expect_status(cancel(&client, id), 202);
    wait_job(&client, id, "cancelled");
    client_close(&client);
}

static void history_has_every_epoch_in_order(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(&client,
                            "{'dataset': '%s', 'target': 'species', 'max_iter': 25,"
                            " 'n_iter_no_change': 25}",
                            upload(&client, "iris"));
    double last = number_at(wait_job(&client, id, "succeeded"), "/train_loss");
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=20", id);
    const struct answer *first = client_get(&client, path);
    expect_status(first, 200);
    assert_int_equal(json_array_size(find_at(first->json, "/items")), 20);
    assert_true(number_at(first->json, "/items/0/epoch") == 1);
    assert_true(number_at(first->json, "/items/19/epoch") == 20);
    snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=20&after=%s", id,
             text_at(first->json, "/next"));
    const struct answer *rest = client_get(&client, path);
    expect_status(rest, 200);
    assert_int_equal(json_array_size(find_at(rest->json, "/items")), 5);
    assert_true(json_is_null(find_at(rest->json, "/next")));
    assert_true(number_at(rest->json, "/items/4/train_loss") == last);
    expect_problem(client_get(&client, "/v1/jobs/job_none/events"), 404, "no_such_job");
    client_close(&client);
}

/* --- cancelling --------------------------------------------------------------------- */

static void cancelled_job_leaves_no_model(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(
        &client,
        "{'dataset': '%s', 'target': 'species', 'model': 'cancelled', " ENDLESS "}",
        upload(&client, "iris"));
    wait_running(&client, id);
    const struct answer *asked = cancel(&client, id);
    expect_status(asked, 202);
    const json_t *job = wait_job(&client, id, "cancelled");
    assert_null(find_at(job, "/model_version"));
    assert_false(json_is_null(find_at(job, "/finished_at")));
    expect_problem(client_get(&client, "/v1/models/cancelled"), 404, "no_such_model");
    client_close(&client);
}

static void cancelling_twice_changes_nothing_more(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}",
               upload(&client, "iris"));
    wait_running(&client, id);
    expect_status(cancel(&client, id), 202);
    expect_status(cancel(&client, id), 202);
    const json_t *job = wait_job(&client, id, "cancelled");
    const struct answer *again = cancel(&client, id);
    expect_status(again, 202);
    assert_true(json_equal(again->json, job));
    client_close(&client);
}

static void queued_job_is_cancelled_at_once(void **state)
{
    static const char *const arguments[] = {"--workers", "1", NULL};
    struct harness harness;
    struct client client;
    (void)state;
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *dataset = upload(&client, "iris");
    const char *first =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", dataset);
    wait_running(&client, first);
    const char *second =
        submit(&client, "{'dataset': '%s', 'target': 'species'}", dataset);
    const struct answer *asked = cancel(&client, second);
    expect_status(asked, 202);
    assert_string_equal(text_at(asked->json, "/state"), "cancelled");
    assert_true(number_at(asked->json, "/attempts") == 0);
    assert_true(json_is_null(find_at(asked->json, "/started_at")));
    expect_status(cancel(&client, first), 202);
    wait_job(&client, first, "cancelled");
    /* The worker is free again, and does not take up what was cancelled. */
    const char *third =
        submit(&client, "{'dataset': '%s', 'target': 'species'}", dataset);
    wait_job(&client, third, "succeeded");
    wait_job(&client, second, "cancelled");
    client_close(&client);
    harness_close(&harness);
}

static void cancelling_after_success_is_too_late(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', 'max_iter': 3}",
               upload(&client, "iris"));
    wait_job(&client, id, "succeeded");
    expect_problem(cancel(&client, id), 409, "too_late");
    wait_job(&client, id, "succeeded");
    client_close(&client);
}

static void unknown_job_is_404(void **state)
{
    struct client client;
    client_open(&client, *state);
    expect_problem(client_get(&client, "/v1/jobs/job_nope"), 404, "no_such_job");
    expect_problem(cancel(&client, "job_nope"), 404, "no_such_job");
    client_close(&client);
}

/* --- lists -------------------------------------------------------------------------- */

static void jobs_are_listed_by_state(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    const char *done =
        submit(&client, "{'dataset': '%s', 'target': 'species', 'max_iter': 2}", dataset);
    wait_job(&client, done, "succeeded");
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", dataset);
    wait_running(&client, id);
    const struct answer *running = client_get(&client, "/v1/jobs?state=running");
    expect_status(running, 200);
    assert_int_equal(count_at(running->json, "/items"), 1);
    assert_string_equal(text_at(running->json, "/items/0/id"), id);
    const struct answer *all = client_get(&client, "/v1/jobs?limit=1");
    expect_status(all, 200);
    assert_string_equal(text_at(all->json, "/items/0/id"), id);
    const struct answer *next =
        client_get(&client, "/v1/jobs?limit=1&after=%s", text_at(all->json, "/next"));
    assert_string_equal(text_at(next->json, "/items/0/id"), done);
    expect_problem(client_get(&client, "/v1/jobs?state=walking"), 422, "not_allowed");
    expect_status(cancel(&client, id), 202);
    wait_job(&client, id, "cancelled");
    const struct answer *none = client_get(&client, "/v1/jobs?state=running");
    assert_int_equal(count_at(none->json, "/items"), 0);
    client_close(&client);
}

/* --- parameters --------------------------------------------------------------------- */

static void parameters_are_all_there_and_resolved(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', 'max_iter': 2}",
               upload(&client, "iris"));
    const json_t *job = wait_job(&client, id, "succeeded");
    const json_t *parameters = find_at(job, "/parameters");
    assert_int_equal(json_object_size(parameters), parameters_n_fields);
    for (size_t i = 0; i < parameters_n_fields; i++)
        assert_non_null(json_object_get(parameters, parameters_fields[i].name));
    assert_string_equal(text_at(parameters, "/loss"), "cross_entropy");
    assert_string_equal(text_at(parameters, "/output_activation"), "softmax");
    assert_true(number_at(parameters, "/max_iter") == 2);
    assert_true(json_equal(find_at(version_of(&client, job), "/parameters"), parameters));
    client_close(&client);
}

static void every_parameter_given_is_shown_back(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(
        &client,
        "{'dataset': '%s', 'target': 'species', 'hidden_layer_sizes': [5, 4, 3],"
        " 'activation': 'tanh', 'output_activation': 'softmax', 'loss': 'cross_entropy',"
        " 'delta': 2.5, 'over': 3, 'under': 0.25, 'q': 0.75, 'label_smoothing': 0.125,"
        " 'class_weight': 'balanced', 'init': 'he_normal', 'init_std': 0.5, 'solver': "
        "'sgd', 'learning_rate': 0.02,"
        " 'momentum': 0.5, 'nesterov': false, 'beta_1': 0.8, 'beta_2': 0.99,"
        " 'schedule': 'one_cycle', 'power_t': 0.3, 'warmup': 0.5, 'rho': 0.8,"
        " 'weight_decay': 0.1, 'gradient_clip': 4, 'l1': 0.001, 'max_norm': 2.5,"
        " 'dropout': [0.1, 0, 0.2], 'normalization': 'batch_norm', 'parametrization':"
        " 'ntk', 'feature_scale': true, 'bias_init_std': 0.5, 'zero_init_output': true,"
        " 'bias_rate_factor': 0.5, 'gain_rate_factor': 2, 'scale_rate_factor': 6,"
        " 'regularization_schedule': 'flat_cosine', 'skip_short_batch': true,"
        " 'periodic_embeddings': true, 'periodic_frequencies': 8, 'periodic_width': 3,"
        " 'periodic_scale': 0.5, 'embedding_rate_factor': 0.5,"
        " 'epsilon': 1e-6, 'alpha': 0.01, 'batch_size': 16, 'max_iter': 4, 'tol': 0.001,"
        " 'n_iter_no_change': 3, 'early_stopping': false, 'shuffle': false, 'seed': 42,"
        " 'validation_fraction': 0.1, 'test_fraction': 0.3, 'standardize': false}",
        upload(&client, "iris"));
    const json_t *job = wait_job(&client, id, "succeeded");
    json_t *expected = json_pack(
        "{s:s, s:[i,i,i], s:s, s:s, s:s, s:f, s:i, s:f, s:f, s:f, s:s, s:s, "
        "s:f, s:s, s:f, s:f, s:b, s:f, "
        "s:f, s:f, s:f,"
        " s:i, s:i, s:f, s:i, s:b, s:b, s:i, s:f, s:f, s:b}",
        "preset", "auto", "hidden_layer_sizes", 5, 4, 3, "activation", "tanh",
        "output_activation", "softmax", "loss", "cross_entropy", "delta", 2.5, "over", 3,
        "under", 0.25, "q", 0.75, "label_smoothing", 0.125, "class_weight", "balanced",
        "init", "he_normal", "init_std", 0.5, "solver", "sgd", "learning_rate", 0.02,
        "momentum", 0.5, "nesterov", 0, "beta_1", 0.8, "beta_2", 0.99, "epsilon", 1e-6,
        "alpha", 0.01, "batch_size", 16, "max_iter", 4, "tol", 0.001, "n_iter_no_change",
        3, "early_stopping", 0, "shuffle", 0, "seed", 42, "validation_fraction", 0.1,
        "test_fraction", 0.3, "standardize", 0);
    assert_non_null(expected);
    json_t *more = json_pack("{s:s, s:f, s:f, s:f, s:f, s:i, s:f, s:f, s:[f,i,f]}",
                             "schedule", "one_cycle", "power_t", 0.3, "warmup", 0.5,
                             "rho", 0.8, "weight_decay", 0.1, "gradient_clip", 4, "l1",
                             0.001, "max_norm", 2.5, "dropout", 0.1, 0, 0.2);
    assert_non_null(more);
    assert_int_equal(json_object_update(expected, more), 0);
    json_decref(more);
    more = json_pack("{s:b, s:i, s:i, s:f, s:f}", "periodic_embeddings", 1,
                     "periodic_frequencies", 8, "periodic_width", 3, "periodic_scale",
                     0.5, "embedding_rate_factor", 0.5);
    assert_non_null(more);
    assert_int_equal(json_object_update(expected, more), 0);
    json_decref(more);
    more = json_pack("{s:s, s:s, s:b, s:f, s:b, s:f, s:i, s:i, s:s, s:b}",
                     "normalization", "batch_norm", "parametrization", "ntk",
                     "feature_scale", 1, "bias_init_std", 0.5, "zero_init_output", 1,
                     "bias_rate_factor", 0.5, "gain_rate_factor", 2, "scale_rate_factor",
                     6, "regularization_schedule", "flat_cosine", "skip_short_batch", 1);
    assert_non_null(more);
    assert_int_equal(json_object_update(expected, more), 0);
    json_decref(more);
    assert_true(json_equal(find_at(job, "/parameters"), expected));
    assert_true(number_at(job, "/seed") == 42);
    json_decref(expected);
    client_close(&client);
}

static void presets_fill_what_is_left_out(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    const char *lecture = submit(
        &client, "{'dataset': '%s', 'target': 'species', 'preset': 'lecture'}", dataset);
    const char *sklearn = submit(
        &client, "{'dataset': '%s', 'target': 'species', 'preset': 'sklearn'}", dataset);
    const json_t *job = wait_job(&client, lecture, "succeeded");
    assert_string_equal(text_at(job, "/parameters/solver"), "gd");
    assert_string_equal(text_at(job, "/parameters/activation"), "logistic");
    assert_string_equal(text_at(job, "/parameters/output_activation"), "logistic");
    assert_string_equal(text_at(job, "/parameters/loss"), "squared_error");
    assert_string_equal(text_at(job, "/parameters/init"), "normal");
    assert_true(number_at(job, "/parameters/learning_rate") == 0.001);
    assert_true(number_at(job, "/parameters/hidden_layer_sizes/0") == 100);
    assert_true(number_at(job, "/max_iter") == 10 && number_at(job, "/epoch") == 10);
    job = wait_job(&client, sklearn, "succeeded");
    assert_string_equal(text_at(job, "/parameters/solver"), "adam");
    assert_string_equal(text_at(job, "/parameters/activation"), "relu");
    assert_true(json_is_false(find_at(job, "/parameters/early_stopping")));
    assert_true(number_at(job, "/max_iter") == 200);
    assert_true(number_at(job, "/parameters/tol") == 1e-4);
    assert_true(number_at(job, "/parameters/n_iter_no_change") == 10);
    assert_true(number_at(job, "/metrics/train/accuracy") >= 0.9);
    client_close(&client);
}

static void a_given_value_beats_the_preset_in_any_order(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(&client,
                            "{'max_iter': 7, 'solver': 'adam', 'preset': 'lecture',"
                            " 'target': 'species', 'dataset': '%s'}",
                            upload(&client, "iris"));
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_string_equal(text_at(job, "/parameters/preset"), "lecture");
    assert_string_equal(text_at(job, "/parameters/solver"), "adam");
    assert_true(number_at(job, "/max_iter") == 7);
    client_close(&client);
}

/* --- what is learnt ----------------------------------------------------------------- */

static void train_seed(struct client *client, const char *dataset, int seed, char sum[65])
{
    const char *id = submit(client,
                            "{'dataset': '%s', 'target': 'species', 'model': 'seeds',"
                            " 'seed': %d, 'max_iter': 20}",
                            dataset, seed);
    const json_t *version = version_of(client, wait_job(client, id, "succeeded"));
    snprintf(sum, 65, "%s", text_at(version, "/weights_sha256"));
}

static void the_seed_decides_the_weights(void **state)
{
    struct client client;
    char first[65];
    char second[65];
    char other[65];
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    train_seed(&client, dataset, 7, first);
    train_seed(&client, dataset, 7, second);
    train_seed(&client, dataset, 8, other);
    assert_int_equal(strlen(first), 64);
    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
    client_close(&client);
}

static void penguins_are_told_apart(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', 'test_fraction': 0.2}",
               upload(&client, "penguins"));
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_true(number_at(job, "/metrics/test/accuracy") >= 0.95);
    assert_int_equal(count_at(job, "/metrics/test/confusion_matrix"), 3);
    double rows = number_at(job, "/metrics/train/rows") +
                  number_at(job, "/metrics/validation/rows") +
                  number_at(job, "/metrics/test/rows");
    assert_true(rows == 344);
    assert_true(number_at(job, "/metrics/test/rows") >= 60);
    client_close(&client);
}

static void diabetes_progression_is_predicted(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(
        &client, "{'dataset': '%s', 'target': 'progression', 'test_fraction': 0.2}",
        upload(&client, "diabetes"));
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_string_equal(text_at(job, "/task"), "regression");
    assert_true(number_at(job, "/metrics/test/r2") >= 0.3);
    assert_true(number_at(job, "/metrics/test/rmse") >
                number_at(job, "/metrics/test/mae"));
    client_close(&client);
}

static void check_inputs(struct client *client, const char *id, const char *const *names,
                         size_t n)
{
    char pointer[40];
    const json_t *version = version_of(client, wait_job(client, id, "succeeded"));
    assert_int_equal(count_at(version, "/inputs"), n);
    for (size_t i = 0; i < n; i++) {
        snprintf(pointer, sizeof pointer, "/inputs/%zu/name", i);
        assert_string_equal(text_at(version, pointer), names[i]);
    }
}

static void features_and_exclude_choose_the_inputs(void **state)
{
    static const char *const chosen[] = {"bill_length_mm", "sex"};
    static const char *const left[] = {"island",        "bill_length_mm",
                                       "bill_depth_mm", "flipper_length_mm",
                                       "body_mass_g",   "sex"};
    static const char *const both[] = {"sex"};
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    check_inputs(
        &client,
        submit(&client,
               "{'dataset': '%s', 'target': 'species', 'max_iter': 2, 'model': 'f',"
               " 'features': ['sex', 'bill_length_mm']}",
               dataset),
        chosen, 2);
    check_inputs(
        &client,
        submit(&client,
               "{'dataset': '%s', 'target': 'species', 'max_iter': 2, 'model': 'f',"
               " 'exclude': ['year']}",
               dataset),
        left, 6);
    check_inputs(
        &client,
        submit(&client,
               "{'dataset': '%s', 'target': 'species', 'max_iter': 2, 'model': 'f',"
               " 'features': ['sex', 'island'], 'exclude': ['island']}",
               dataset),
        both, 1);
    client_close(&client);
}

/* Accuracy on the training rows of iris. */
static double train_iris(struct client *client, const char *dataset, const char *options,
                         char sum[65])
{
    const char *id = submit(client,
                            "{'dataset': '%s', 'target': 'species', 'model': 'iris',"
                            " 'hidden_layer_sizes': [10], 'seed': 3, %s}",
                            dataset, options);
    const json_t *job = wait_job(client, id, "succeeded");
    double accuracy = number_at(job, "/metrics/train/accuracy");
    snprintf(sum, 65, "%s", text_at(version_of(client, job), "/weights_sha256"));
    return accuracy;
}

static void every_solver_and_schedule_learns_iris(void **state)
{
    static const char *const rows[] = {
        "'solver': 'gd', 'learning_rate': 0.3",
        "'solver': 'sgd', 'learning_rate': 0.05",
        "'solver': 'rmsprop', 'learning_rate': 0.01",
        "'solver': 'adam', 'learning_rate': 0.01",
        "'solver': 'adamw', 'learning_rate': 0.01, 'weight_decay': 0.1",
        "'solver': 'lbfgs'",
        "'schedule': 'constant', 'learning_rate': 0.01, 'warmup': 3",
        "'schedule': 'invscaling', 'solver': 'sgd', 'learning_rate': 0.5,"
        " 'power_t': 0.25",
        "'schedule': 'adaptive', 'solver': 'sgd', 'learning_rate': 0.05",
        "'schedule': 'cosine', 'learning_rate': 0.02, 'max_iter': 200",
        "'schedule': 'one_cycle', 'learning_rate': 0.02, 'max_iter': 200",
        "'learning_rate': 0.01, 'dropout': 0.1, 'max_norm': 4, 'gradient_clip': 1,"
        " 'l1': 0.001",
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char first[65];
        char second[65];
        double accuracy = train_iris(&client, dataset, rows[i], first);
        if (!(accuracy >= 0.9))
            fail_msg("%s: accuracy %g", rows[i], accuracy);
        train_iris(&client, dataset, rows[i], second);
        assert_string_equal(first, second);
    }
    client_close(&client);
}

static void lbfgs_learns_iris_by_heart(void **state)
{
    struct client client;
    char sum[65];
    client_open(&client, *state);
    double accuracy = train_iris(&client, upload(&client, "iris"),
                                 "'solver': 'lbfgs', 'alpha': 0, 'early_stopping': false,"
                                 " 'activation': 'tanh', 'n_iter_no_change': 1000",
                                 sum);
    assert_true(accuracy == 1);
    client_close(&client);
}

static void options_that_do_not_go_together_are_422(void **state)
{
    static const char *const rows[][3] = {
        {"'hidden_layer_sizes': [5, 4], 'dropout': [0.1]", "wrong_length", "/dropout"},
        {"'hidden_layer_sizes': [5, 4], 'dropout': [0.1, 0.1, 0.1]", "wrong_length",
         "/dropout"},
        {"'hidden_layer_sizes': [], 'dropout': 0.1", "no_hidden_layer", "/dropout"},
        {"'dropout': [1]", "out_of_range", "/dropout/0"},
        {"'dropout': 1", "out_of_range", "/dropout"},
        {"'dropout': 'much'", "wrong_type", "/dropout"},
        {"'dropout': [true]", "wrong_type", "/dropout/0"},
        {"'solver': 'lbfgs', 'dropout': 0.1", "not_with_lbfgs", "/dropout"},
        {"'solver': 'lbfgs', 'batch_size': 10", "not_with_lbfgs", "/batch_size"},
        {"'solver': 'lbfgs', 'schedule': 'cosine'", "not_with_lbfgs", "/schedule"},
        {"'warmup': 11, 'max_iter': 10", "out_of_range", "/warmup"},
        {"'schedule': 'linear'", "not_allowed", "/schedule"},
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct answer *answer =
            client_post(&client, "/v1/jobs", "{'dataset': '%s', 'target': 'species', %s}",
                        dataset, rows[i][0]);
        expect_problem(answer, 422, rows[i][1]);
        assert_string_equal(text_at(answer->json, "/errors/0/pointer"), rows[i][2]);
    }
    client_close(&client);
}

static void lbfgs_job_can_be_cancelled(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client,
               "{'dataset': '%s', 'target': 'progression', 'solver': 'lbfgs',"
               " 'hidden_layer_sizes': [2000, 1000], 'alpha': 0,"
               " 'tol': 0, 'model': 'long', " ENDLESS "}",
               upload(&client, "diabetes"));
    wait_running(&client, id);
    expect_status(cancel(&client, id), 202);
    wait_job(&client, id, "cancelled");
    client_close(&client);
}

static void diverging_job_fails_with_a_reason(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client,
               "{'dataset': '%s', 'target': 'progression', 'model': 'diverged',"
               " 'solver': 'sgd', 'learning_rate': 1000, 'standardize': false,"
               " 'activation': 'identity', 'early_stopping': false}",
               upload(&client, "diabetes"));
    const json_t *job = wait_job(&client, id, "failed");
    assert_string_equal(text_at(job, "/error/code"), "diverged");
    assert_true(strlen(text_at(job, "/error/message")) > 0);
    assert_non_null(strstr(text_at(job, "/error/hint"), "learning_rate"));
    assert_null(find_at(job, "/model_version"));
    expect_problem(client_get(&client, "/v1/models/diverged"), 404, "no_such_model");
    expect_problem(cancel(&client, id), 409, "too_late");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_goes_from_queued_to_succeeded),
        cmocka_unit_test(running_job_tells_how_far_it_is),
        cmocka_unit_test(history_has_every_epoch_in_order),
        cmocka_unit_test(cancelled_job_leaves_no_model),
        cmocka_unit_test(cancelling_twice_changes_nothing_more),
        cmocka_unit_test(queued_job_is_cancelled_at_once),
        cmocka_unit_test(cancelling_after_success_is_too_late),
        cmocka_unit_test(unknown_job_is_404),
        cmocka_unit_test(jobs_are_listed_by_state),
        cmocka_unit_test(parameters_are_all_there_and_resolved),
        cmocka_unit_test(every_parameter_given_is_shown_back),
        cmocka_unit_test(presets_fill_what_is_left_out),
        cmocka_unit_test(a_given_value_beats_the_preset_in_any_order),
        cmocka_unit_test(the_seed_decides_the_weights),
        cmocka_unit_test(penguins_are_told_apart),
        cmocka_unit_test(diabetes_progression_is_predicted),
        cmocka_unit_test(features_and_exclude_choose_the_inputs),
        cmocka_unit_test(every_solver_and_schedule_learns_iris),
        cmocka_unit_test(lbfgs_learns_iris_by_heart),
        cmocka_unit_test(options_that_do_not_go_together_are_422),
        cmocka_unit_test(lbfgs_job_can_be_cancelled),
        cmocka_unit_test(diverging_job_fails_with_a_reason),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
