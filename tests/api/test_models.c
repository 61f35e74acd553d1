#include "harness.h"

#include <stdio.h>
#include <string.h>

/* Trains on iris, quickly. */
static void train(struct client *client, const char *dataset, const char *model)
{
    const char *id = submit(
        client, "{'dataset': '%s', 'target': 'species', 'model': '%s', 'max_iter': 5}",
        dataset, model);
    wait_job(client, id, "succeeded");
}

static void version_describes_all_that_made_it(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    const struct answer *table = client_get(&client, "/v1/datasets/%s", dataset);
    wait_job(
        &client,
        submit(&client,
               "{'dataset': '%s', 'target': 'species', 'model': 'described', 'seed': 3,"
               " 'hidden_layer_sizes': [4], 'max_iter': 5, 'test_fraction': 0.2}",
               dataset),
        "succeeded");
    const struct answer *version = client_get(&client, "/v1/models/described/versions/1");
    expect_status(version, 200);
    const json_t *json = version->json;
    assert_string_equal(text_at(json, "/task"), "multiclass");
    assert_int_equal(count_at(json, "/inputs"), 7);
    assert_string_equal(text_at(json, "/inputs/0/name"), "island");
    assert_string_equal(text_at(json, "/inputs/0/categories/2"), "Torgersen");
    assert_string_equal(text_at(json, "/outputs/0/name"), "species");
    assert_int_equal(count_at(json, "/classes"), 3);
    assert_string_equal(text_at(json, "/classes/1"), "Chinstrap");
    assert_true(number_at(json, "/seed") == 3);
    assert_int_equal(strlen(text_at(json, "/weights_sha256")), 64);
    assert_string_equal(text_at(json, "/dataset_sha256"),
                        text_at(table->json, "/sha256"));
    /* Inputs to 4 neurons with their biases, then 3 outputs with theirs. */
    double rest = number_at(json, "/n_weights") - 4 - 4 * 3 - 3;
    assert_true(rest > 0 && (long)rest % 4 == 0);
    client_close(&client);
}

static void training_again_makes_the_next_version(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    train(&client, dataset, "again");
    train(&client, dataset, "again");
    train(&client, dataset, "again");
    const struct answer *model = client_get(&client, "/v1/models/again");
    expect_status(model, 200);
    assert_true(number_at(model->json, "/latest") == 3);
    assert_int_equal(count_at(model->json, "/versions"), 3);
    assert_true(number_at(model->json, "/versions/0/version") == 3);
    assert_true(number_at(model->json, "/versions/2/version") == 1);
    assert_true(number_at(model->json, "/versions/0/metrics/train/accuracy") > 0);
    client_close(&client);
}

static void model_is_named_after_its_dataset(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *made =
        client_upload(&client, "tests/data/iris.csv", "flowers-1.0");
    expect_status(made, 201);
    const char *id =
        submit(&client, "{'dataset': '%s', 'target': 'species', 'max_iter': 2}",
               text_at(made->json, "/id"));
    assert_string_equal(text_at(wait_job(&client, id, "succeeded"), "/model"),
                        "flowers-1.0");
    expect_status(client_get(&client, "/v1/models/flowers-1.0"), 200);
    client_close(&client);
}

static void models_are_listed_in_pages(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    train(&client, dataset, "listed-1");
    train(&client, dataset, "listed-2");
    const struct answer *first = client_get(&client, "/v1/models?limit=1");
    expect_status(first, 200);
    assert_string_equal(text_at(first->json, "/items/0/name"), "listed-2");
    const struct answer *second =
        client_get(&client, "/v1/models?limit=1&after=%s", text_at(first->json, "/next"));
    expect_status(second, 200);
    assert_string_equal(text_at(second->json, "/items/0/name"), "listed-1");
    client_close(&client);
}

static void deleted_version_is_gone_and_its_number_stays_used(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    static const char rows[] = "{'instances': [[5.1, 3.5, 1.4, 0.2]]}";
    train(&client, dataset, "pruned");
    train(&client, dataset, "pruned");
    const struct answer *said = client_post(&client, "/v1/models/pruned/predict", rows);
    assert_true(number_at(said->json, "/version") == 2);
    expect_status(client_delete(&client, "/v1/models/pruned/versions/2"), 204);
    expect_problem(client_get(&client, "/v1/models/pruned/versions/2"), 404,
                   "no_such_version");
    expect_problem(client_post(&client, "/v1/models/pruned/versions/2/predict", rows),
                   404, "no_such_version");
    expect_problem(client_delete(&client, "/v1/models/pruned/versions/2"), 404,
                   "no_such_version");
    said = client_post(&client, "/v1/models/pruned/predict", rows);
    expect_status(said, 200);
    assert_true(number_at(said->json, "/version") == 1);
    train(&client, dataset, "pruned");
    const struct answer *model = client_get(&client, "/v1/models/pruned");
    assert_true(number_at(model->json, "/latest") == 3);
    assert_int_equal(count_at(model->json, "/versions"), 2);
    client_close(&client);
}

static void deleted_model_is_gone(void **state)
{
    struct client client;
    client_open(&client, *state);
    train(&client, upload(&client, "iris"), "deleted");
    static const char rows[] = "{'instances': [[5.1, 3.5, 1.4, 0.2]]}";
    expect_status(client_post(&client, "/v1/models/deleted/predict", rows), 200);
    expect_status(client_delete(&client, "/v1/models/deleted"), 204);
    expect_problem(client_get(&client, "/v1/models/deleted"), 404, "no_such_model");
    expect_problem(client_delete(&client, "/v1/models/deleted"), 404, "no_such_model");
    expect_problem(client_post(&client, "/v1/models/deleted/predict", rows), 404,
                   "no_such_model");
    expect_problem(client_post(&client, "/v1/models/deleted/versions/1/predict", rows),
                   404, "no_such_model");
    const struct answer *list = client_get(&client, "/v1/models?limit=200");
    expect_status(list, 200);
    for (size_t i = 0; i < count_at(list->json, "/items"); i++) {
        const json_t *item = json_array_get(find_at(list->json, "/items"), i);
        assert_string_not_equal(text_at(item, "/name"), "deleted");
    }
    client_close(&client);
}

static void model_goes_with_its_last_version(void **state)
{
    struct client client;
    client_open(&client, *state);
    train(&client, upload(&client, "iris"), "lonely");
    expect_status(client_delete(&client, "/v1/models/lonely/versions/1"), 204);
    expect_problem(client_get(&client, "/v1/models/lonely"), 404, "no_such_model");
    client_close(&client);
}

static void what_is_no_version_is_404(void **state)
{
    static const char *const versions[] = {
        "0", "99", "x", "-1", "1.5", "1e0", "99999999999999999999", "%20"};
    struct client client;
    client_open(&client, *state);
    train(&client, upload(&client, "iris"), "numbered");
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        expect_problem(
            client_get(&client, "/v1/models/numbered/versions/%s", versions[i]), 404,
            "no_such_version");
    expect_problem(client_get(&client, "/v1/models/nameless"), 404, "no_such_model");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_describes_all_that_made_it),
        cmocka_unit_test(training_again_makes_the_next_version),
        cmocka_unit_test(model_is_named_after_its_dataset),
        cmocka_unit_test(models_are_listed_in_pages),
        cmocka_unit_test(deleted_version_is_gone_and_its_number_stays_used),
        cmocka_unit_test(deleted_model_is_gone),
        cmocka_unit_test(model_goes_with_its_last_version),
        cmocka_unit_test(what_is_no_version_is_404),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
