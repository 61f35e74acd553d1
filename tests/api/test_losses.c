/* Activations, losses and weights, as a person uses them over HTTP. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROWS 500

/* A text file of tests/data (owned by the caller). */
static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t len = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    assert_true(len > 0);
    return text;
}

/* Last column of each line behind the header. */
static size_t last_column(const char *text, double values[MOST_ROWS])
{
    size_t n = 0;
    for (const char *line = strchr(text, '\n') + 1; *line && n < MOST_ROWS;) {
        const char *end = strchr(line, '\n');
        const char *comma = end;
        while (comma[-1] != ',')
            comma--;
        values[n++] = strtod(comma, NULL);
        line = end + 1;
    }
    return n;
}

static void expect_version(struct client *client, const char *model)
{
    expect_status(client_get(client, "/v1/models/%s", model), 200);
}

/* Trains on diabetes with these members, and predicts its rows: targets and predictions. */
static size_t learn_diabetes(struct client *client, const char *dataset,
                             const char *members, double *t, double *y)
{
    char *text = read_text("tests/data/diabetes.csv");
    size_t n = last_column(text, t);
    const char *id =
        submit(client, "{'dataset': '%s', 'target': 'progression', 'model': 'd', %s}",
               dataset, members);
    wait_job(client, id, "succeeded");
    const struct answer *answer = client_post_csv(client, "/v1/models/d/predict", text);
    expect_status(answer, 200);
    free(text);
    assert_int_equal(count_at(answer->json, "/predictions"), n);
    const json_t *predictions = find_at(answer->json, "/predictions");
    for (size_t i = 0; i < n; i++)
        y[i] = json_number_value(json_array_get(predictions, i));
    return n;
}

static double share_below(const double *t, const double *y, size_t n)
{
    size_t below = 0;
    for (size_t i = 0; i < n; i++)
        below += t[i] < y[i];
    return (double)below / (double)n;
}

#define QUICK                                                                            \
    "'early_stopping': false, 'validation_fraction': 0, 'hidden_layer_sizes': [10],"     \
    " 'learning_rate': 0.01, "

static void every_regression_loss_learns_diabetes(void **state)
{
    static const char *const members[] = {
        QUICK "'max_iter': 200, 'loss': 'squared_error'",
        QUICK "'max_iter': 200, 'loss': 'absolute_error'",
        QUICK "'max_iter': 200, 'loss': 'huber', 'delta': 0.5",
        QUICK "'max_iter': 200, 'loss': 'asymmetric_squared', 'over': 1.2, 'under': 1",
        QUICK "'max_iter': 200, 'loss': 'quantile', 'q': 0.5",
        QUICK "'max_iter': 400, 'loss': 'poisson'",
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "diabetes");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *id = submit(
            &client, "{'dataset': '%s', 'target': 'progression', 'model': 'd', %s}",
            dataset, members[i]);
        const json_t *job = wait_job(&client, id, "succeeded");
        if (number_at(job, "/metrics/train/r2") < 0.4)
            fail_msg("r2 is %g with %s", number_at(job, "/metrics/train/r2"), members[i]);
    }
    client_close(&client);
}

static void quantile_predictions_lie_above_that_share_of_targets(void **state)
{
    static double t[MOST_ROWS];
    static double y[MOST_ROWS];
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "diabetes");
    size_t n = learn_diabetes(
        &client, dataset, QUICK "'max_iter': 300, 'loss': 'quantile', 'q': 0.9", t, y);
    double share = share_below(t, y, n);
    if (share < 0.86 || share > 0.94)
        fail_msg("a share of %g lies below the 0.9 quantile", share);
    client_close(&client);
}

static void costly_overestimates_become_rare(void **state)
{
    static double t[MOST_ROWS];
    static double y[MOST_ROWS];
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "diabetes");
    size_t n = learn_diabetes(
        &client, dataset,
        QUICK "'max_iter': 300, 'loss': 'asymmetric_squared', 'over': 20", t, y);
    assert_true(share_below(t, y, n) < 0.25);
    n = learn_diabetes(&client, dataset,
                       QUICK "'max_iter': 300, 'loss': 'asymmetric_squared', 'under': 20",
                       t, y);
    assert_true(share_below(t, y, n) > 0.75);
    client_close(&client);
}

static void poisson_predictions_are_rates(void **state)
{
    static double t[MOST_ROWS];
    static double y[MOST_ROWS];
    struct client client;
    double mean_t = 0;
    double mean_y = 0;
    client_open(&client, *state);
    size_t n = learn_diabetes(&client, upload(&client, "diabetes"),
                              QUICK "'max_iter': 400, 'loss': 'poisson'", t, y);
    for (size_t i = 0; i < n; i++) {
        assert_true(y[i] > 0);
        mean_t += t[i] / (double)n;
        mean_y += y[i] / (double)n;
    }
    /* The link is canonical: rates and counts agree in the mean. */
    assert_true(mean_y > 0.95 * mean_t && mean_y < 1.05 * mean_t);
    client_close(&client);
}

static void poisson_refuses_negative_targets_by_row(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *answer =
        client_post(&client, "/v1/jobs",
                    "{'data': {'X': [[1], [2], [3]], 'y': [0.5, -2.5, 1]},"
                    " 'task': 'regression', 'model': 'p', 'loss': 'poisson'}");
    expect_problem(answer, 422, "negative_target");
    assert_string_equal(text_at(answer->json, "/errors/0/pointer"), "/loss");
    assert_non_null(strstr(text_at(answer->json, "/detail"), "row 2"));
    client_close(&client);
}

static void every_activation_tells_penguins_apart(void **state)
{
    static const char *const names[] = {"logistic", "tanh",    "relu", "leaky_relu",
                                        "elu",      "selu",    "gelu", "silu",
                                        "mish",     "softplus"};
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'species', 'model': '%s',"
                                " 'activation': '%s', 'max_iter': 40,"
                                " 'learning_rate': 0.01, 'hidden_layer_sizes': [16, 8]}",
                                dataset, names[i], names[i]);
        const json_t *job = wait_job(&client, id, "succeeded");
        assert_string_equal(text_at(job, "/parameters/activation"), names[i]);
        if (number_at(job, "/metrics/train/accuracy") < 0.95)
            fail_msg("%s: accuracy %g", names[i],
                     number_at(job, "/metrics/train/accuracy"));
        expect_version(&client, names[i]);
    }
    client_close(&client);
}

static void step_is_refused_with_the_reason(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    const struct answer *answer = client_post(
        &client, "/v1/jobs",
        "{'dataset': '%s', 'target': 'species', 'activation': 'step'}", dataset);
    expect_problem(answer, 422, "not_trainable");
    assert_string_equal(text_at(answer->json, "/errors/0/pointer"), "/activation");
    assert_non_null(strstr(text_at(answer->json, "/detail"), "gradient is zero"));
    answer = client_post(&client, "/v1/jobs",
                         "{'dataset': '%s', 'target': 'body_mass_g',"
                         " 'output_activation': 'step'}",
                         dataset);
    expect_problem(answer, 422, "not_trainable");
    assert_string_equal(text_at(answer->json, "/errors/0/pointer"), "/output_activation");
    client_close(&client);
}

static void label_smoothing_keeps_probabilities_from_the_ends(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    double sure[2];
    for (int i = 0; i < 2; i++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'species', 'model': 's',"
                                " 'learning_rate': 0.01, 'max_iter': 300, 'alpha': 0,"
                                " 'early_stopping': false, 'label_smoothing': %g}",
                                dataset, i ? 0.3 : 0.0);
        wait_job(&client, id, "succeeded");
        const struct answer *answer =
            client_post(&client, "/v1/models/s/predict",
                        "{'rows': [{'sepal_length': 5.1, 'sepal_width': 3.5,"
                        " 'petal_length': 1.4, 'petal_width': 0.2}]}");
        expect_status(answer, 200);
        sure[i] = number_at(answer->json, "/probabilities/0/0");
    }
    assert_true(sure[0] > 0.99);
    assert_true(sure[1] > 0.75 && sure[1] < 0.85); /* 1 − 0.3 + 0.3/3 */
    client_close(&client);
}

/* --- weights ------------------------------------------------------------------------ */

/* 400 rows, one in 20 of class "rare", whose x lies a little higher. */
static const char *upload_unbalanced(struct client *client)
{
    char *text = calloc(1, 1 << 16);
    size_t len = (size_t)snprintf(text, 100, "x,class\n");
    for (int i = 0; i < 400; i++) {
        double x = (i * 37 % 101) / 50.0 + (i % 20 == 0 ? 1.2 : 0.0);
        len += (size_t)snprintf(text + len, 100, "%.3f,%s\n", x,
                                i % 20 == 0 ? "rare" : "common");
    }
    const struct answer *answer = client_post_csv(client, "/v1/datasets", text);
    free(text);
    expect_status(answer, 201);
    return text_at(answer->json, "/id");
}

static void balanced_classes_find_the_rare_one(void **state)
{
    static const char *const choices[] = {"none", "balanced"};
    struct client client;
    double balanced_accuracy[2];
    client_open(&client, *state);
    const char *dataset = upload_unbalanced(&client);
    for (int i = 0; i < 2; i++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'class', 'model': 'u',"
                                " 'hidden_layer_sizes': [], 'learning_rate': 0.02,"
                                " 'class_weight': '%s', 'max_iter': 300}",
                                dataset, choices[i]);
        const json_t *job = wait_job(&client, id, "succeeded");
        assert_string_equal(text_at(job, "/parameters/class_weight"), choices[i]);
        balanced_accuracy[i] = number_at(job, "/metrics/train/balanced_accuracy");
    }
    if (balanced_accuracy[1] < balanced_accuracy[0] + 0.1)
        fail_msg("balanced accuracy %g without, %g with", balanced_accuracy[0],
                 balanced_accuracy[1]);
    client_close(&client);
}

/* y is 1 on even rows and 3 on odd ones, whatever x says; even rows weigh 3, odd ones 1. */
static const char *upload_weighted(struct client *client, const char *spoiled)
{
    char *text = calloc(1, 1 << 16);
    size_t len = (size_t)snprintf(text, 100, "x,w,y\n");
    for (int i = 0; i < 200; i++)
        len += (size_t)snprintf(text + len, 100, "%d,%s,%d.5\n", i / 2 * 7 % 11,
                                i == 6 && spoiled ? spoiled
                                : i % 2           ? "1"
                                                  : "3",
                                i % 2 ? 3 : 1);
    const struct answer *answer = client_post_csv(client, "/v1/datasets", text);
    free(text);
    expect_status(answer, 201);
    return text_at(answer->json, "/id");
}

static double learnt_mean(struct client *client, const char *members)
{
    const char *id = submit(client,
                            "{'dataset': '%s', 'target': 'y', 'model': 'w',"
                            " 'task': 'regression', 'features': ['x'],"
                            " 'hidden_layer_sizes': [], 'learning_rate': 0.05,"
                            " 'max_iter': 400, 'early_stopping': false%s}",
                            upload_weighted(client, NULL), members);
    const json_t *job = wait_job(client, id, "succeeded");
    if (*members)
        assert_string_equal(text_at(job, "/sample_weight"), "w");
    else
        assert_true(json_is_null(find_at(job, "/sample_weight")));
    const struct answer *answer =
        client_post(client, "/v1/models/w/predict", "{'rows': [{'x': 5}]}");
    expect_status(answer, 200);
    return number_at(answer->json, "/predictions/0");
}

static void rows_count_by_their_weight(void **state)
{
    struct client client;
    client_open(&client, *state);
    double plain = learnt_mean(&client, "");
    double weighted = learnt_mean(&client, ", 'sample_weight': 'w'");
    assert_true(plain > 2.4 && plain < 2.6);       /* (1.5 + 3.5) / 2 */
    assert_true(weighted > 1.9 && weighted < 2.1); /* (3 · 1.5 + 3.5) / 4 */
    client_close(&client);
}

static void the_weight_is_not_learnt_from(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(&client,
                            "{'dataset': '%s', 'target': 'y', 'model': 'n',"
                            " 'task': 'regression', 'max_iter': 2, 'sample_weight': 'w'}",
                            upload_weighted(&client, NULL));
    wait_job(&client, id, "succeeded");
    const struct answer *answer = client_get(&client, "/v1/models/n/versions/1");
    expect_status(answer, 200);
    assert_int_equal(count_at(answer->json, "/inputs"), 1);
    assert_string_equal(text_at(answer->json, "/inputs/0/name"), "x");
    client_close(&client);
}

static void check_bad_weight(struct client *client, const char *dataset,
                             const char *members, const char *code, const char *words)
{
    const struct answer *answer = client_post(
        client, "/v1/jobs",
        "{'dataset': '%s', 'target': 'y', 'model': 'b', 'task': 'regression', %s}",
        dataset, members);
    expect_problem(answer, 422, code);
    assert_string_equal(text_at(answer->json, "/errors/0/pointer"), "/sample_weight");
    if (!strstr(text_at(answer->json, "/detail"), words))
        fail_msg("'%s' not in: %s", words, text_at(answer->json, "/detail"));
}

static void bad_weights_are_refused_by_row(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *good = upload_weighted(&client, NULL);
    check_bad_weight(&client, upload_weighted(&client, "-1"), "'sample_weight': 'w'",
                     "bad_weight", "row 7");
    check_bad_weight(&client, upload_weighted(&client, ""), "'sample_weight': 'w'",
                     "bad_weight", "row 7");
    check_bad_weight(&client, upload_weighted(&client, "much"), "'sample_weight': 'w'",
                     "bad_weight", "texts");
    check_bad_weight(&client, good, "'sample_weight': 'ww'", "unknown_column", "'ww'");
    check_bad_weight(&client, good, "'sample_weight': 'y'", "contradiction", "target");
    check_bad_weight(&client, good, "'sample_weight': 'w', 'features': ['x', 'w']",
                     "contradiction", "feature");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_regression_loss_learns_diabetes),
        cmocka_unit_test(quantile_predictions_lie_above_that_share_of_targets),
        cmocka_unit_test(costly_overestimates_become_rare),
        cmocka_unit_test(poisson_predictions_are_rates),
        cmocka_unit_test(poisson_refuses_negative_targets_by_row),
        cmocka_unit_test(every_activation_tells_penguins_apart),
        cmocka_unit_test(step_is_refused_with_the_reason),
        cmocka_unit_test(label_smoothing_keeps_probabilities_from_the_ends),
        cmocka_unit_test(balanced_classes_find_the_rare_one),
        cmocka_unit_test(rows_count_by_their_weight),
        cmocka_unit_test(the_weight_is_not_learnt_from),
        cmocka_unit_test(bad_weights_are_refused_by_row),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
