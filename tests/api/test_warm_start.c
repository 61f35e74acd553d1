#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All epochs, on all rows. */
#define PLAIN "'preset': 'sklearn', 'n_iter_no_change': 100000"

static const json_t *train(struct client *client, const char *id)
{
    return wait_job(client, id, "succeeded");
}

/* The version's JSON. */
static const json_t *version(struct client *client, const char *model, int number)
{
    const struct answer *answer =
        client_get(client, "/v1/models/%s/versions/%d", model, number);
    expect_status(answer, 200);
    return answer->json;
}

/* train_loss of an epoch of the job's history. */
static double loss_of(struct client *client, const char *id, int epoch)
{
    char path[160];
    snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=1", id);
    if (epoch > 1)
        snprintf(path + strlen(path), sizeof path - strlen(path), "&after=%d", epoch - 1);
    const struct answer *page = client_get(client, path);
    expect_status(page, 200);
    assert_true(number_at(page->json, "/items/0/epoch") == epoch);
    return number_at(page->json, "/items/0/train_loss");
}

/* Trains a first version on penguins. */
static const char *train_penguins(struct client *client, const char *model)
{
    const char *dataset = upload(client, "penguins");
    train(client, submit(client,
                         "{'dataset': '%s', 'target': 'species', 'model': '%s', " PLAIN
                         ", 'hidden_layer_sizes': [7], 'activation': 'tanh',"
                         " 'max_iter': 60}",
                         dataset, model));
    return dataset;
}

static const char *upload_text(struct client *client, const char *text)
{
    const struct answer *made = client_post_csv(client, "/v1/datasets?name=batch", text);
    expect_status(made, 201);
    return text_at(made->json, "/id");
}

/* --- going on ------------------------------------------------------------------------ */

static void training_goes_on_from_the_loss_it_had(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "diabetes");
    const char *first = submit(&client,
                               "{'dataset': '%s', 'target': 'progression', 'model': "
                               "'going', " PLAIN ", 'max_iter': 80}",
                               dataset);
    double last = number_at(train(&client, first), "/train_loss");
    double beginning = loss_of(&client, first, 1);
    const char *second = submit(&client,
                                "{'dataset': '%s', 'warm_start': {'model': 'going'},"
                                " " PLAIN ", 'max_iter': 80}",
                                dataset);
    const json_t *job = train(&client, second);
    assert_true(last < 0.7 * beginning);
    assert_true(loss_of(&client, second, 1) <= 1.05 * last);
    assert_true(number_at(job, "/train_loss") < last);
    assert_string_equal(text_at(job, "/model"), "going");
    assert_string_equal(text_at(job, "/target"), "progression");
    assert_true(number_at(job, "/model_version") == 2);
    client_close(&client);
}

/* Running statistics, gains, scales and embeddings go along, not only weights. */
static void net_with_everything_goes_on_from_the_loss_it_had(void **state)
{
    static const char *const nets[] = {
        "'normalization': 'batch_norm'",
        "'normalization': 'layer_norm', 'feature_scale': true",
        "'parametrization': 'ntk', 'feature_scale': true, 'learning_rate': 0.05",
        "'periodic_embeddings': true",
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "diabetes");
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        const char *first = submit(&client,
                                   "{'dataset': '%s', 'target': 'progression', 'model': "
                                   "'all%zu', " PLAIN ", %s, 'max_iter': 60}",
                                   dataset, i, nets[i]);
        double last = number_at(train(&client, first), "/train_loss");
        const char *second = submit(&client,
                                    "{'dataset': '%s', 'warm_start': 'all%zu', " PLAIN
                                    ", 'learning_rate': 0.001, 'max_iter': 5}",
                                    dataset, i);
        train(&client, second);
        assert_true(last < 0.8 * loss_of(&client, first, 1));
        assert_true(loss_of(&client, second, 1) <= 1.15 * last);
    }
    client_close(&client);
}

static void lineage_is_shown(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = train_penguins(&client, "lineage");
    const json_t *source = version(&client, "lineage", 1);
    assert_true(json_is_null(find_at(source, "/warm_start")));
    const char *id = submit(
        &client, "{'dataset': '%s', 'warm_start': 'lineage', 'max_iter': 2}", dataset);
    const json_t *job = train(&client, id);
    const json_t *made = version(&client, "lineage", 2);
    const json_t *said[] = {find_at(job, "/warm_start"), find_at(made, "/warm_start")};
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(text_at(said[i], "/model"), "lineage");
        assert_true(number_at(said[i], "/version") == 1);
        assert_string_equal(text_at(said[i], "/weights_sha256"),
                            text_at(source, "/weights_sha256"));
    }
    client_close(&client);
}

static void encoder_and_shape_are_the_versions_own(void **state)
{
    static const char *const pointers[] = {"/inputs",
                                           "/outputs",
                                           "/classes",
                                           "/parameters/hidden_layer_sizes",
                                           "/parameters/activation",
                                           "/n_weights"};
    struct client client;
    client_open(&client, *state);
    train_penguins(&client, "own");
    const char *batch = upload_text(
        &client, "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,"
                 "body_mass_g,sex,year\n"
                 "Gentoo,Biscoe,47,15,216,5000,male,2009\n"
                 "Gentoo,Biscoe,46,14,211,4900,,2008\n"
                 "Gentoo,Biscoe,45,14,210,4800,female,2007\n");
    train(&client,
          submit(&client,
                 "{'dataset': '%s', 'warm_start': 'own', " PLAIN ", 'max_iter': 1}",
                 batch));
    const json_t *before = version(&client, "own", 1);
    const json_t *after = version(&client, "own", 2);
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        if (!json_equal(find_at(before, pointers[i]), find_at(after, pointers[i])))
            fail_msg("%s differs", pointers[i]);
    assert_string_not_equal(text_at(before, "/weights_sha256"),
                            text_at(after, "/weights_sha256"));
    client_close(&client);
}

static void every_way_to_name_the_version_is_taken(void **state)
{
    static const struct {
        const char *text;
        int version;
    } names[] = {
        {"{'model': 'named', 'version': 1}", 1},
        {"{'model': 'named', 'version': 2}", 2},
        {"{'model': 'named'}", 2},
        {"'named'", 2},
        {"'named/versions/1'", 1},
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = train_penguins(&client, "named");
    train_penguins(&client, "named");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[400];
        snprintf(body, sizeof body,
                 "{'dataset': '%s', 'warm_start': %s, 'model': 'renamed', 'max_iter': 1}",
                 dataset, names[i].text);
        const json_t *job = train(&client, submit(&client, "%s", body));
        assert_string_equal(text_at(job, "/model"), "renamed");
        assert_true(number_at(job, "/warm_start/version") == names[i].version);
    }
    client_close(&client);
}

/* --- partial fit --------------------------------------------------------------------- */

/* One pass over some rows at a time brings the loss down as training on all of them does. */
static void one_epoch_on_new_rows_is_a_partial_fit(void **state)
{
    struct client client;
    char rows[600] = "";
    client_open(&client, *state);
    train(&client, submit(&client, "{'data': {'X': [[-1], [-0.5], [0.5], [1]],"
                                   " 'y': [-2, -1, 1, 2]}, 'model': 'stream', " PLAIN
                                   ", 'hidden_layer_sizes': [], 'solver': 'sgd',"
                                   " 'standardize': false, 'learning_rate': 0.05,"
                                   " 'max_iter': 1}"));
    double first = number_at(version(&client, "stream", 1), "/metrics/train/rmse");
    for (int i = 0; i < 15; i++) {
        snprintf(rows, sizeof rows, "'X': [[%g], [%g], [%g]], 'y': [%g, %g, %g]", 0.1 * i,
                 -0.9, 1 - 0.1 * i, 0.2 * i, -1.8, 2 - 0.2 * i);
        const json_t *job = train(
            &client, submit(&client,
                            "{'data': {%s}, 'warm_start': 'stream', 'preset': 'sklearn',"
                            " 'solver': 'sgd', 'learning_rate': 0.3, 'max_iter': 1}",
                            rows));
        assert_true(number_at(job, "/epoch") == 1);
        assert_true(number_at(job, "/model_version") == i + 2);
    }
    double last = number_at(version(&client, "stream", 16), "/metrics/train/rmse");
    assert_true(last < 0.3 * first);
    client_close(&client);
}

static void one_row_is_enough_for_a_partial_fit(void **state)
{
    struct client client;
    client_open(&client, *state);
    train_penguins(&client, "single");
    const char *batch = upload_text(
        &client, "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,"
                 "body_mass_g,sex,year\n"
                 "Chinstrap,Dream,47,18,190,3700,,2009\n");
    const json_t *job =
        train(&client, submit(&client,
                              "{'dataset': '%s', 'warm_start': 'single', 'preset': "
                              "'sklearn', 'max_iter': 1}",
                              batch));
    assert_string_equal(text_at(job, "/task"), "multiclass");
    assert_true(number_at(job, "/metrics/train/rows") == 1);
    const struct answer *said = client_post(
        &client, "/v1/models/single/predict",
        "{'rows': [{'island': 'Dream', 'bill_length_mm': 39, 'bill_depth_mm': 18,"
        " 'flipper_length_mm': 190, 'body_mass_g': 3700, 'sex': null, 'year': 2009}]}");
    expect_status(said, 200);
    assert_int_equal(count_at(said->json, "/classes"), 3);
    client_close(&client);
}

static void texts_the_version_does_not_know_are_warned_of(void **state)
{
    struct client client;
    client_open(&client, *state);
    train_penguins(&client, "unseen");
    const char *batch = upload_text(
        &client, "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,"
                 "body_mass_g,sex,year\n"
                 "Adelie,Atlantis,39,18,190,3700,male,2009\n"
                 "Adelie,Dream,39,18,190,3700,male,2009\n");
    const json_t *job =
        train(&client,
              submit(&client, "{'dataset': '%s', 'warm_start': 'unseen', 'max_iter': 1}",
                     batch));
    assert_true(has_warning(job, "unseen_category"));
    client_close(&client);
}

/* --- what is refused ----------------------------------------------------------------- */

static void what_contradicts_the_version_is_refused_at_its_pointer(void **state)
{
    static const char *const rows[][3] = {
        {"'warm_start': 'nobody'", "unknown_model", "/warm_start"},
        {"'warm_start': 'strict/versions/9'", "unknown_version", "/warm_start"},
        {"'warm_start': {'model': 'strict', 'version': 9}", "unknown_version",
         "/warm_start"},
        {"'warm_start': 'strict/versions/'", "out_of_range", "/warm_start"},
        {"'warm_start': 'strict/versions/-1'", "out_of_range", "/warm_start"},
        {"'warm_start': 'strict/versions/1/x'", "out_of_range", "/warm_start"},
        {"'warm_start': '../strict'", "bad_name", "/warm_start"},
        {"'warm_start': ''", "bad_name", "/warm_start"},
        {"'warm_start': 3", "wrong_type", "/warm_start"},
        {"'warm_start': null", "wrong_type", "/warm_start"},
        {"'warm_start': {'version': 1}", "missing_field", "/warm_start/model"},
        {"'warm_start': {'model': 1}", "wrong_type", "/warm_start/model"},
        {"'warm_start': {'model': 'strict', 'version': '1'}", "wrong_type",
         "/warm_start/version"},
        {"'warm_start': {'model': 'strict', 'version': 0}", "out_of_range",
         "/warm_start/version"},
        {"'warm_start': {'model': 'strict', 'versoin': 1}", "unknown_field",
         "/warm_start"},
        {"'warm_start': 'strict', 'hidden_layer_sizes': [7, 7]", "warm_start_conflict",
         "/hidden_layer_sizes"},
        {"'warm_start': 'strict', 'activation': 'relu'", "warm_start_conflict",
         "/activation"},
        {"'warm_start': 'strict', 'output_activation': 'logistic'", "warm_start_conflict",
         "/output_activation"},
        {"'warm_start': 'strict', 'loss': 'squared_error'", "warm_start_conflict",
         "/loss"},
        {"'warm_start': 'strict', 'normalization': 'layer_norm'", "warm_start_conflict",
         "/normalization"},
        {"'warm_start': 'strict', 'parametrization': 'ntk'", "warm_start_conflict",
         "/parametrization"},
        {"'warm_start': 'strict', 'standardize': false", "warm_start_conflict",
         "/standardize"},
        {"'warm_start': 'strict', 'task': 'regression'", "warm_start_conflict", "/task"},
        {"'warm_start': 'strict', 'target': 'island'", "warm_start_conflict", "/target"},
        {"'warm_start': 'strict', 'exclude': ['sex']", "warm_start_conflict", "/exclude"},
        {"'warm_start': 'strict', 'features': ['sex']", "warm_start_conflict",
         "/features"},
        {"'warm_start': 'strict', 'features': ['species']", "warm_start_conflict",
         "/features/0"},
        {"'warm_start': 'strict', 'sample_weight': 'year'", "warm_start_conflict",
         "/sample_weight"},
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = train_penguins(&client, "strict");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct answer *said = client_post(
            &client, "/v1/jobs", "{'dataset': '%s', %s}", dataset, rows[i][0]);
        expect_problem(said, 422, rows[i][1]);
        assert_string_equal(text_at(said->json, "/errors/0/pointer"), rows[i][2]);
    }
    client_close(&client);
}

static void what_says_the_same_as_the_version_is_taken(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = train_penguins(&client, "same");
    const json_t *job = train(
        &client,
        submit(&client,
               "{'dataset': '%s', 'warm_start': 'same', 'target': 'species', 'task': "
               "'multiclass', 'hidden_layer_sizes': [7], 'activation': 'tanh', 'loss': "
               "'auto', 'output_activation': 'auto', 'standardize': true, 'max_iter': 1}",
               dataset));
    assert_string_equal(text_at(job, "/parameters/loss"), "cross_entropy");
    client_close(&client);
}

static void table_that_does_not_fit_is_refused(void **state)
{
    struct client client;
    client_open(&client, *state);
    train_penguins(&client, "picky");
    const char *batch = upload_text(
        &client, "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,"
                 "body_mass_g,sex,year\n"
                 "Emperor,Dream,39,18,190,3700,male,2009\n"
                 "Adelie,Dream,39,18,190,3700,male,2009\n");
    const struct answer *said = client_post(
        &client, "/v1/jobs", "{'dataset': '%s', 'warm_start': 'picky'}", batch);
    expect_problem(said, 422, "unknown_class");
    assert_string_equal(text_at(said->json, "/errors/0/pointer"), "/target");
    assert_non_null(strstr(text_at(said->json, "/detail"), "Emperor"));
    said = client_post(&client, "/v1/jobs", "{'dataset': '%s', 'warm_start': 'picky'}",
                       upload_text(&client, "species,island\nAdelie,Dream\n"));
    expect_problem(said, 422, "missing_column");
    assert_string_equal(text_at(said->json, "/errors/0/pointer"), "/dataset");
    assert_non_null(strstr(text_at(said->json, "/detail"), "bill_length_mm"));
    said = client_post(&client, "/v1/jobs",
                       "{'data': {'X': [[1], [2]], 'y': ['a', 'b']}, 'target': 'y',"
                       " 'warm_start': 'picky'}");
    expect_problem(said, 422, "warm_start_conflict");
    client_close(&client);
}

/* --- a version that goes away -------------------------------------------------------- */

static void version_deleted_before_the_job_runs_fails_it(void **state)
{
    static const char *const arguments[] = {"--workers", "1", NULL};
    struct harness harness;
    struct client client;
    char path[128];
    (void)state;
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *dataset = train_penguins(&client, "gone");
    const char *before =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", dataset);
    const char *id = submit(&client, "{'dataset': '%s', 'warm_start': 'gone'}", dataset);
    const char *other =
        submit(&client, "{'dataset': '%s', 'warm_start': 'gone'}", dataset);
    wait_running(&client, before);
    expect_status(client_delete(&client, "/v1/models/gone"), 204);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", before);
    expect_status(client_post(&client, path, "{}"), 202);
    const json_t *job = wait_job(&client, id, "failed");
    assert_string_equal(text_at(job, "/error/code"), "warm_start_gone");
    assert_non_null(strstr(text_at(job, "/error/message"), "version 1 of model gone"));
    wait_job(&client, other, "failed");
    client_close(&client);
    harness_close(&harness);
}

/* Version 1 of a name made anew is another one. */
static void version_made_anew_is_not_taken_for_the_old_one(void **state)
{
    static const char *const arguments[] = {"--workers", "1", NULL};
    struct harness harness;
    struct client client;
    char path[128];
    (void)state;
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    const char *dataset = train_penguins(&client, "anew");
    const char *before =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", dataset);
    wait_running(&client, before);
    const char *replaces = submit(
        &client, "{'dataset': '%s', 'target': 'species', 'model': 'anew', 'max_iter': 1}",
        dataset);
    const char *id = submit(&client, "{'dataset': '%s', 'warm_start': 'anew'}", dataset);
    expect_status(client_delete(&client, "/v1/models/anew"), 204);
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", before);
    expect_status(client_post(&client, path, "{}"), 202);
    train(&client, replaces);
    assert_string_equal(text_at(wait_job(&client, id, "failed"), "/error/code"),
                        "warm_start_gone");
    client_close(&client);
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_goes_on_from_the_loss_it_had),
        cmocka_unit_test(net_with_everything_goes_on_from_the_loss_it_had),
        cmocka_unit_test(lineage_is_shown),
        cmocka_unit_test(encoder_and_shape_are_the_versions_own),
        cmocka_unit_test(every_way_to_name_the_version_is_taken),
        cmocka_unit_test(one_epoch_on_new_rows_is_a_partial_fit),
        cmocka_unit_test(one_row_is_enough_for_a_partial_fit),
        cmocka_unit_test(texts_the_version_does_not_know_are_warned_of),
        cmocka_unit_test(what_contradicts_the_version_is_refused_at_its_pointer),
        cmocka_unit_test(what_says_the_same_as_the_version_is_taken),
        cmocka_unit_test(table_that_does_not_fit_is_refused),
        cmocka_unit_test(version_deleted_before_the_job_runs_fails_it),
        cmocka_unit_test(version_made_anew_is_not_taken_for_the_old_one),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
