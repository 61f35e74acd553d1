/* Real trainings on real tables: each ailment is found, and gone when its remedy is followed. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

/* Trains on a table (or, with NULL, on the XOR of two columns); the job once it has ended. */
static const json_t *train(struct client *client, const char *table, const char *target,
                           const char *parameters)
{
    static const char xor_rows[] =
        "'data': {'X': [[0,0],[0,1],[1,0],[1,1]], 'y': [0,1,1,0]}, 'model': 'xor'";
    if (!table)
        return wait_job(client, submit(client, "{%s, %s}", xor_rows, parameters),
                        "succeeded");
    const char *id = submit(client, "{'dataset': '%s', 'target': '%s', %s}",
                            upload(client, table), target, parameters);
    return wait_job(client, id, "succeeded");
}

static bool has_finding(const json_t *job, const char *code)
{
    const json_t *finding;
    size_t i;
    json_array_foreach(find_at(job, "/findings"), i, finding)
    {
        if (strcmp(text_at(finding, "/code"), code) == 0)
            return true;
    }
    return false;
}

static void assert_silent(const json_t *job, const char *what)
{
    if (count_at(job, "/findings") != 0)
        fail_msg("%s: %s", what, text_at(job, "/findings/0/message"));
}

static void healthy_trainings_have_no_findings(void **state)
{
    static const struct {
        const char *table, *target;
    } tables[] = {{"iris", "species"},
                  {"wine", "cultivar"},
                  {"digits", "digit"},
                  {"diabetes", "progression"},
                  {"penguins", "species"}};
    static const char *const healthy[] = {
        "'preset': 'auto'",
        "'preset': 'sklearn'",
        "'preset': 'realmlp', 'max_iter': 100",
        "'solver': 'sgd', 'learning_rate': 0.03, 'max_iter': 200",
        "'normalization': 'batch_norm', 'hidden_layer_sizes': [64, 64], 'max_iter': 100",
        "'solver': 'sgd', 'learning_rate': 0.01, 'max_iter': 100",
        "'activation': 'tanh', 'hidden_layer_sizes': [64, 64], 'max_iter': 200",
        "'hidden_layer_sizes': [], 'max_iter': 300",
        "'dropout': 0.3, 'max_iter': 200",
        "'schedule': 'cosine', 'max_iter': 200, 'learning_rate': 0.01",
        "'solver': 'lbfgs', 'preset': 'sklearn', 'max_iter': 50",
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (size_t j = 0; j < sizeof healthy / sizeof *healthy; j++) {
            struct client client;
            client_open(&client, *state);
            assert_silent(train(&client, tables[i].table, tables[i].target, healthy[j]),
                          healthy[j]);
            client_close(&client);
        }
    }
}

static const struct sick {
    const char *code;
    const char *table, *target;
    const char *parameters;
    const char *remedied;
} sick[] = {
    {"dead_relus", "wine", "cultivar", "'standardize': false, 'max_iter': 100",
     "'standardize': true, 'max_iter': 100"},
    {"dead_relus", "diabetes", "progression",
     "'hidden_layer_sizes': [64, 64], 'solver': 'sgd', 'momentum': 0.5,"
     " 'init': 'he_normal',"
     " 'learning_rate': 0.1, 'max_iter': 100",
     "'hidden_layer_sizes': [64, 64], 'solver': 'sgd', 'momentum': 0.5,"
     " 'init': 'he_normal',"
     " 'learning_rate': 0.01, 'max_iter': 100"},
    {"saturated", "wine", "cultivar",
     "'standardize': false, 'activation': 'tanh', 'max_iter': 100",
     "'standardize': true, 'activation': 'tanh', 'max_iter': 100"},
    {"saturated", "wine", "cultivar",
     "'activation': 'logistic', 'init': 'normal', 'init_std': 3, 'max_iter': 100",
     "'activation': 'logistic', 'init': 'glorot_uniform', 'max_iter': 100"},
    {"vanishing_gradient", "wine", "cultivar",
     "'activation': 'logistic', 'hidden_layer_sizes': [32, 32, 32, 32, 32, 32, 32, 32],"
     " 'max_iter': 100",
     "'activation': 'relu', 'hidden_layer_sizes': [32, 32, 32, 32, 32, 32, 32, 32],"
     " 'init': 'he_normal', 'max_iter': 100"},
    {"exploding_gradient", "wine", "cultivar",
     "'hidden_layer_sizes': [100, 100, 100, 100, 100, 100], 'init': 'normal',"
     " 'init_std': 0.5, 'max_iter': 30",
     "'hidden_layer_sizes': [100, 100, 100, 100, 100, 100], 'init': 'he_normal',"
     " 'max_iter': 30"},
    {"exploding_gradient", "penguins", "species", "'standardize': false, 'max_iter': 30",
     "'standardize': true, 'max_iter': 30"},
    {"steps_too_large", "iris", "species", "'learning_rate': 10",
     "'learning_rate': 0.01"},
    {"steps_too_small", "iris", "species", "'learning_rate': 1e-6, 'max_iter': 100",
     "'learning_rate': 1e-3, 'max_iter': 100"},
    {"overfitting", "diabetes", "progression",
     "'early_stopping': false, 'validation_fraction': 0.3, 'max_iter': 200,"
     " 'learning_rate': 0.01, 'n_iter_no_change': 200",
     "'early_stopping': true, 'validation_fraction': 0.3, 'max_iter': 200,"
     " 'learning_rate': 0.01, 'n_iter_no_change': 200"},
    {"plateau", NULL, NULL,
     "'hidden_layer_sizes': [], 'init': 'normal', 'solver': 'sgd', 'learning_rate': 0.1,"
     " 'max_iter': 100, 'n_iter_no_change': 100",
     "'hidden_layer_sizes': [8], 'solver': 'sgd', 'learning_rate': 0.1, 'max_iter': 100,"
     " 'n_iter_no_change': 100"},
    {"oscillating", "digits", "digit", "'learning_rate': 0.3, 'max_iter': 40",
     "'learning_rate': 0.003, 'max_iter': 40"},
};

static void ailment_is_found_and_gone_with_its_remedy(void **state)
{
    for (size_t i = 0; i < sizeof sick / sizeof *sick; i++) {
        struct client client;
        client_open(&client, *state);
        const json_t *job =
            train(&client, sick[i].table, sick[i].target, sick[i].parameters);
        if (!has_finding(job, sick[i].code))
            fail_msg("%s is not found in %s", sick[i].code, sick[i].parameters);
        assert_silent(train(&client, sick[i].table, sick[i].target, sick[i].remedied),
                      sick[i].remedied);
        client_close(&client);
    }
}

/* The job, its history and the version that it made tell the same. */
static void findings_are_in_history_and_version(void **state)
{
    struct client client;
    char path[128];
    client_open(&client, *state);
    const json_t *job = train(&client, "wine", "cultivar",
                              "'standardize': false, 'max_iter': 50, 'model': 'sick'");
    const json_t *first = find_at(job, "/findings/0");
    double epoch = number_at(first, "/epoch");
    assert_true(epoch >= 1 && epoch <= 50);
    assert_true(number_at(first, "/value") > number_at(first, "/threshold"));
    const struct answer *version = client_get(&client, "/v1/models/sick/versions/1");
    expect_status(version, 200);
    assert_true(
        json_equal(find_at(version->json, "/findings"), find_at(job, "/findings")));

    snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=100", text_at(job, "/id"));
    const struct answer *events = client_get(&client, path);
    expect_status(events, 200);
    const json_t *items = find_at(events->json, "/items");
    assert_int_equal(json_array_size(items), 50 + count_at(job, "/findings"));
    const json_t *event = json_array_get(items, (size_t)epoch);
    assert_string_equal(text_at(event, "/type"), "finding");
    assert_true(number_at(json_array_get(items, (size_t)epoch - 1), "/epoch") == epoch);
    assert_true(number_at(event, "/epoch") == epoch);
    assert_string_equal(text_at(event, "/code"), text_at(first, "/code"));
    assert_string_equal(text_at(event, "/remedy"), text_at(first, "/remedy"));
    client_close(&client);
}

/* A page that begins behind a finding does not tell it again. */
static void history_in_pages_tells_each_finding_once(void **state)
{
    struct client client;
    char path[160];
    client_open(&client, *state);
    const json_t *job = train(&client, "wine", "cultivar",
                              "'standardize': false, 'max_iter': 20, 'model': 'pages'");
    size_t n_epochs = 0;
    size_t n_findings = 0;
    snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=2", text_at(job, "/id"));
    for (int after = 0; after < 20; after += 2) {
        const json_t *event;
        size_t i;
        if (after > 0)
            snprintf(path, sizeof path, "/v1/jobs/%s/events?limit=2&after=%d",
                     text_at(job, "/id"), after);
        const struct answer *page = client_get(&client, path);
        expect_status(page, 200);
        json_array_foreach(find_at(page->json, "/items"), i, event)
        {
            bool is_finding = strcmp(text_at(event, "/type"), "finding") == 0;
            n_findings += is_finding;
            n_epochs += !is_finding;
            assert_true(number_at(event, "/epoch") > after);
            assert_true(number_at(event, "/epoch") <= after + 2);
        }
    }
    assert_int_equal(n_epochs, 20);
    assert_int_equal(n_findings, count_at(job, "/findings"));
    assert_true(n_findings >= 2);
    client_close(&client);
}

static void running_job_tells_what_is_found_so_far(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(
        &client,
        "{'dataset': '%s', 'target': 'cultivar', 'standardize': false, " ENDLESS "}",
        upload(&client, "wine"));
    double until = now_s() + HARNESS_PATIENCE_S;
    const json_t *job = wait_running(&client, id);
    while (count_at(job, "/findings") == 0 && now_s() < until) {
        pause_ms(20);
        job = wait_running(&client, id);
    }
    assert_true(count_at(job, "/findings") > 0);
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    expect_status(client_call(&client, &(struct call){.method = "POST", .path = path}),
                  202);
    job = wait_job(&client, id, "cancelled");
    assert_true(count_at(job, "/findings") > 0);
    client_close(&client);
}

/* What was seen before the loss was no number any more says why. */
static void diverged_job_keeps_its_findings(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(&client,
                            "{'dataset': '%s', 'target': 'digit', 'solver': 'sgd',"
                            " 'learning_rate': 2}",
                            upload(&client, "digits"));
    const json_t *job = wait_job(&client, id, "failed");
    assert_string_equal(text_at(job, "/error/code"), "diverged");
    assert_true(strlen(text_at(job, "/error/hint")) > 0);
    assert_true(has_finding(job, "steps_too_large"));
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_trainings_have_no_findings),
        cmocka_unit_test(ailment_is_found_and_gone_with_its_remedy),
        cmocka_unit_test(findings_are_in_history_and_version),
        cmocka_unit_test(history_in_pages_tells_each_finding_once),
        cmocka_unit_test(running_job_tells_what_is_found_so_far),
        cmocka_unit_test(diverged_job_keeps_its_findings),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
