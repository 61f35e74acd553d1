/* Normalised nets, the parts of the strong recipe and the preset made of them, as a person
 * uses them over HTTP. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- normalised nets predict ------------------------------------------------------------ */

/* What that version of the model "p" says of all rows of the table. */
static const struct answer *predict_penguins(struct client *client, int version)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/models/p/versions/%d/predict", version);
    char *text = read_text("tests/data/penguins.csv");
    const struct answer *answer = client_post_csv(client, path, text);
    free(text);
    expect_status(answer, 200);
    assert_int_equal(count_at(answer->json, "/predictions"), 344);
    return answer;
}

/* Row 3 of the table alone says what it says among all. */
static void check_alone(struct client *client, int version, const struct answer *all)
{
    char path[64];
    snprintf(path, sizeof path, "/v1/models/p/versions/%d/predict", version);
    const struct answer *alone = client_post(
        client, path,
        "{'rows': [{'island': 'Torgersen', 'bill_length_mm': 40.3, 'bill_depth_mm': 18,"
        " 'flipper_length_mm': 195, 'body_mass_g': 3250, 'sex': 'female',"
        " 'year': 2007}]}");
    expect_status(alone, 200);
    for (int i = 0; i < 3; i++) {
        char many[40];
        char one[40];
        snprintf(many, sizeof many, "/probabilities/2/%d", i);
        snprintf(one, sizeof one, "/probabilities/0/%d", i);
        assert_float_equal(number_at(all->json, many), number_at(alone->json, one), 1e-5);
    }
}

/* The served net gives the table's labels as often as the job says. */
static void check_accuracy(const struct answer *all, const json_t *job)
{
    char *text = read_text("tests/data/penguins.csv");
    const json_t *predictions = find_at(all->json, "/predictions");
    const char *line = strchr(text, '\n') + 1;
    size_t n_right = 0;
    for (size_t i = 0; i < 344; i++, line = strchr(line, '\n') + 1) {
        const char *said = json_string_value(json_array_get(predictions, i));
        n_right += strncmp(line + 1, said, strlen(said)) == 0;
    }
    free(text);
    assert_float_equal(number_at(job, "/metrics/train/accuracy"), (double)n_right / 344,
                       1e-9);
    if (n_right < 327)
        fail_msg("%zu of 344 are right", n_right);
}

static void normalised_nets_predict_the_same_after_a_restart(void **state)
{
    static const char *const members[] = {
        "'normalization': 'batch_norm'",
        "'normalization': 'layer_norm'",
        "'normalization': 'batch_norm', 'parametrization': 'ntk', 'feature_scale': true",
        "'normalization': 'layer_norm', 'parametrization': 'ntk', 'feature_scale': true,"
        " 'zero_init_output': true, 'bias_init_std': 0.5, 'activation': 'silu'",
        "'normalization': 'batch_norm', 'periodic_embeddings': true,"
        " 'feature_scale': true",
    };
    struct harness harness;
    struct client client;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    const char *dataset = upload(&client, "penguins");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *id =
            submit(&client,
                   "{'dataset': '%s', 'target': 'species', 'model': 'p',"
                   " 'hidden_layer_sizes': [24, 12], 'max_iter': 40, 'batch_size': 32,"
                   " 'learning_rate': 0.01, 'early_stopping': false,"
                   " 'validation_fraction': 0, %s}",
                   dataset, members[i]);
        const json_t *job = wait_job(&client, id, "succeeded");
        int version = (int)i + 1;
        const struct answer *before = predict_penguins(&client, version);
        check_accuracy(before, job);
        check_alone(&client, version, before);
        harness_stop(&harness);
        harness_start(&harness);
        assert_true(json_equal(predict_penguins(&client, version)->json, before->json));
    }
    client_close(&client);
    harness_close(&harness);
}

/* 201 rows in batches of 50: the last of an epoch would be a single row, of no variance. */
static void batch_norm_copes_with_one_row_left_over(void **state)
{
    struct client client;
    char rows[8192] = "";
    char targets[4096] = "";
    size_t x_len = 0;
    size_t y_len = 0;
    client_open(&client, *state);
    for (int i = 0; i < 201; i++) {
        x_len += (size_t)snprintf(rows + x_len, sizeof rows - x_len, "%s[%d]",
                                  i ? "," : "", i);
        y_len += (size_t)snprintf(targets + y_len, sizeof targets - y_len, "%s%d.5",
                                  i ? "," : "", 2 * i);
    }
    const char *id = submit(&client,
                            "{'data': {'X': [%s], 'y': [%s]}, 'model': 'left',"
                            " 'task': 'regression', 'normalization': 'batch_norm',"
                            " 'early_stopping': false, 'validation_fraction': 0,"
                            " 'batch_size': 50, 'max_iter': 60, 'learning_rate': 0.01}",
                            rows, targets);
    const json_t *job = wait_job(&client, id, "succeeded");
    if (number_at(job, "/metrics/train/r2") < 0.95)
        fail_msg("r2 %g", number_at(job, "/metrics/train/r2"));
    client_close(&client);
}

static void perceptron_may_have_scales_and_ntk(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = submit(&client,
                            "{'dataset': '%s', 'target': 'species', 'model': 'iris',"
                            " 'hidden_layer_sizes': [], 'feature_scale': true,"
                            " 'parametrization': 'ntk', 'learning_rate': 0.05}",
                            upload(&client, "iris"));
    const json_t *job = wait_job(&client, id, "succeeded");
    assert_true(number_at(job, "/metrics/train/accuracy") > 0.93);
    client_close(&client);
}

/* One wave over the rows of x: a perceptron sees nothing in it, its embedding does. */
static void embedded_perceptron_learns_a_wave(void **state)
{
    struct client client;
    char text[16384] = "x,y\n";
    size_t len = strlen(text);
    double r2[2];
    client_open(&client, *state);
    for (int i = 0; i < 400; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%.3f,%.4f\n", i / 400.0,
                                sin(4 * 3.14159265358979 * i / 400.0));
    const struct answer *answer = client_post_csv(&client, "/v1/datasets", text);
    expect_status(answer, 201);
    for (int i = 0; i < 2; i++) {
        const char *id =
            submit(&client,
                   "{'dataset': '%s', 'target': 'y', 'model': 'wave', 'max_iter': 300,"
                   " 'hidden_layer_sizes': [], 'learning_rate': 0.02, 'batch_size': 32,"
                   " 'test_fraction': 0.25, %s}",
                   text_at(answer->json, "/id"),
                   i ? "'periodic_embeddings': true, 'periodic_scale': 0.5"
                     : "'periodic_embeddings': false");
        r2[i] = number_at(wait_job(&client, id, "succeeded"), "/metrics/test/r2");
    }
    if (r2[0] > 0.6 || r2[1] < 0.95)
        fail_msg("r2 %g without, %g with", r2[0], r2[1]);
    client_close(&client);
}

static void embedding_without_a_number_is_refused(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *answer = client_post(
        &client, "/v1/jobs",
        "{'dataset': '%s', 'target': 'species', 'features': ['island', 'sex'],"
        " 'periodic_embeddings': true}",
        upload(&client, "penguins"));
    expect_problem(answer, 422, "wrong_parameter");
    assert_string_equal(text_at(answer->json, "/errors/0/pointer"),
                        "/periodic_embeddings");
    client_close(&client);
}

/* --- the preset --------------------------------------------------------------------- */

static void realmlp_is_good_on_rows_that_it_has_not_seen(void **state)
{
    static const struct {
        const char *table;
        const char *target;
        const char *metric;
        double least;
    } rows[] = {
        {"wine", "cultivar", "/metrics/test/accuracy", 0.93},
        {"penguins", "species", "/metrics/test/accuracy", 0.96},
        {"iris", "species", "/metrics/test/accuracy", 0.89},
        {"diabetes", "progression", "/metrics/test/r2", 0.33},
    };
    struct client client;
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': '%s', 'preset': 'realmlp',"
                                " 'test_fraction': 0.25, 'seed': 1}",
                                upload(&client, rows[i].table), rows[i].target);
        const json_t *job = wait_job(&client, id, "succeeded");
        assert_true(number_at(job, "/epoch") == 256);
        if (!(number_at(job, rows[i].metric) >= rows[i].least))
            fail_msg("%s: %s is %g", rows[i].table, rows[i].metric,
                     number_at(job, rows[i].metric));
    }
    client_close(&client);
}

/* A job of one epoch, as it was answered when it was submitted. */
static const json_t *resolved(struct client *client, const char *dataset,
                              const char *target, const char *members)
{
    const struct answer *answer =
        client_post(client, "/v1/jobs",
                    "{'dataset': '%s', 'target': '%s', 'max_iter': 1, 'model': 'r', %s}",
                    dataset, target, members);
    expect_status(answer, 202);
    return answer->json;
}

static void realmlp_follows_the_task_unless_it_is_told(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    const json_t *job = resolved(&client, dataset, "species", "'preset': 'realmlp'");
    assert_string_equal(text_at(job, "/parameters/activation"), "selu");
    assert_true(number_at(job, "/parameters/learning_rate") == 0.04);
    assert_string_equal(text_at(job, "/parameters/init"), "normal");
    assert_true(number_at(job, "/parameters/init_std") == 1);
    job = resolved(&client, dataset, "body_mass_g", "'preset': 'realmlp'");
    assert_string_equal(text_at(job, "/parameters/activation"), "mish");
    assert_true(number_at(job, "/parameters/learning_rate") == 0.07);
    job = resolved(&client, dataset, "body_mass_g",
                   "'preset': 'realmlp', 'activation': 'relu', 'learning_rate': 0.01,"
                   " 'init_std': 0.5, 'hidden_layer_sizes': []");
    assert_string_equal(text_at(job, "/parameters/activation"), "relu");
    assert_true(number_at(job, "/parameters/learning_rate") == 0.01);
    assert_true(number_at(job, "/parameters/init_std") == 0.5);
    assert_true(number_at(job, "/parameters/dropout") == 0);
    client_close(&client);
}

static void same_seed_gives_the_same_weights_with_every_part_on(void **state)
{
    struct client client;
    char digests[3][80];
    client_open(&client, *state);
    const char *dataset = upload(&client, "wine");
    for (int i = 0; i < 3; i++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'cultivar', 'model': 's',"
                                " 'preset': 'realmlp', 'max_iter': 6, 'seed': %d,"
                                " 'normalization': 'batch_norm', 'batch_size': 16}",
                                dataset, i == 2);
        wait_job(&client, id, "succeeded");
        const struct answer *version =
            client_get(&client, "/v1/models/s/versions/%d", i + 1);
        expect_status(version, 200);
        snprintf(digests[i], sizeof digests[i], "%s",
                 text_at(version->json, "/weights_sha256"));
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
    client_close(&client);
}

/* --- first weights ------------------------------------------------------------------ */

static void init_auto_suits_the_activation(void **state)
{
    static const struct {
        const char *members;
        const char *init;
    } rows[] = {
        {"'activation': 'relu', 'init': 'auto'", "he_normal"},
        {"'activation': 'leaky_relu', 'init': 'auto'", "he_normal"},
        {"'activation': 'elu', 'init': 'auto'", "he_normal"},
        {"'activation': 'gelu', 'init': 'auto'", "he_normal"},
        {"'activation': 'silu', 'init': 'auto'", "he_normal"},
        {"'activation': 'mish', 'init': 'auto'", "he_normal"},
        {"'activation': 'softplus', 'init': 'auto'", "he_normal"},
        {"'activation': 'selu', 'init': 'auto'", "lecun_normal"},
        {"'activation': 'tanh', 'init': 'auto'", "glorot_uniform"},
        {"'activation': 'logistic', 'init': 'auto'", "glorot_uniform"},
        {"'activation': 'identity', 'init': 'auto'", "glorot_uniform"},
        {"'hidden_layer_sizes': [], 'init': 'auto'", "glorot_uniform"},
        {"'parametrization': 'ntk', 'init': 'auto'", "normal"},
        {"'activation': 'relu', 'init': 'glorot_normal'", "glorot_normal"},
        {"'parametrization': 'ntk', 'init': 'he_normal'", "he_normal"},
        {"'preset': 'sklearn'", "glorot_uniform"},
        {"'preset': 'lecture'", "normal"},
        {"'preset': 'auto'", "glorot_uniform"},
        {"'preset': 'sklearn', 'init': 'auto'", "he_normal"},
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *job = resolved(&client, dataset, "species", rows[i].members);
        if (strcmp(text_at(job, "/parameters/init"), rows[i].init) != 0)
            fail_msg("%s: %s", rows[i].members, text_at(job, "/parameters/init"));
    }
    client_close(&client);
}

static void output_of_zeros_says_the_same_of_every_row(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "penguins");
    for (int is_zero = 0; is_zero < 2; is_zero++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'species', 'model': 'p',"
                                " 'max_iter': 1, 'learning_rate': 1e-9,"
                                " 'zero_init_output': %s}",
                                dataset, is_zero ? "true" : "false");
        wait_job(&client, id, "succeeded");
        const struct answer *all = predict_penguins(&client, is_zero + 1);
        double spread = 0;
        for (int i = 0; i < 344; i++) {
            char pointer[40];
            snprintf(pointer, sizeof pointer, "/probabilities/%d/0", i);
            spread = fmax(spread, fabs(number_at(all->json, pointer) - 1.0 / 3));
        }
        assert_true(is_zero ? spread < 1e-5 : spread > 0.1);
    }
    client_close(&client);
}

static void every_option_reaches_the_weights(void **state)
{
#define BASE                                                                             \
    "'solver': 'adamw', 'dropout': 0.3, 'feature_scale': true, 'batch_size': 60, "       \
    "'normalization': 'layer_norm'"
    static const char *const members[] = {
        BASE,
        BASE ", 'bias_init_std': 1",
        BASE ", 'zero_init_output': true",
        BASE ", 'parametrization': 'ntk', 'init': 'he_normal'",
        BASE ", 'bias_rate_factor': 0.5",
        BASE ", 'gain_rate_factor': 0.5",
        BASE ", 'scale_rate_factor': 0.5",
        BASE ", 'regularization_schedule': 'flat_cosine'",
        BASE ", 'skip_short_batch': true",
        BASE ", 'periodic_embeddings': true",
        BASE ", 'periodic_embeddings': true, 'periodic_frequencies': 8",
        BASE ", 'periodic_embeddings': true, 'periodic_width': 2",
        BASE ", 'periodic_embeddings': true, 'periodic_scale': 0.5",
        BASE ", 'periodic_embeddings': true, 'embedding_rate_factor': 0.5",
        BASE ", 'schedule': 'coslog4'",
        BASE ", 'init': 'auto'",
        "'solver': 'adamw', 'dropout': 0.3, 'batch_size': 60,"
        " 'normalization': 'layer_norm'",
        "'solver': 'adamw', 'dropout': 0.3, 'batch_size': 60",
        "'solver': 'adamw', 'dropout': 0.3, 'batch_size': 60,"
        " 'normalization': 'batch_norm'",
    };
#undef BASE
    enum { N = sizeof members / sizeof *members };
    struct client client;
    char digests[N][80];
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    for (int i = 0; i < N; i++) {
        const char *id = submit(&client,
                                "{'dataset': '%s', 'target': 'species', 'model': 'e',"
                                " 'max_iter': 6, %s}",
                                dataset, members[i]);
        wait_job(&client, id, "succeeded");
        const struct answer *version =
            client_get(&client, "/v1/models/e/versions/%d", i + 1);
        expect_status(version, 200);
        snprintf(digests[i], sizeof digests[i], "%s",
                 text_at(version->json, "/weights_sha256"));
        for (int k = 0; k < i; k++)
            if (strcmp(digests[k], digests[i]) == 0)
                fail_msg("the same weights with %s and %s", members[k], members[i]);
    }
    client_close(&client);
}

/* --- what is refused ---------------------------------------------------------------- */

static void what_does_not_go_together_is_told_by_its_field(void **state)
{
    static const struct {
        const char *members;
        const char *code;
        const char *pointer;
        const char *words;
    } rows[] = {
        {"'normalization': 'group_norm'", "not_allowed", "/normalization", "layer_norm"},
        {"'normalization': true", "wrong_type", "/normalization", "text"},
        {"'normalization': 'auto'", "not_allowed", "/normalization", "batch_norm"},
        {"'normalization': 'batch_norm', 'hidden_layer_sizes': []", "no_hidden_layer",
         "/normalization", "hidden layer"},
        {"'normalization': 'layer_norm', 'hidden_layer_sizes': []", "no_hidden_layer",
         "/normalization", "hidden layer"},
        {"'normalization': 'batch_norm', 'batch_size': 1", "out_of_range", "/batch_size",
         "at least 2 rows"},
        {"'normalization': 'batch_norm', 'solver': 'lbfgs'", "not_with_lbfgs",
         "/normalization", "layer_norm"},
        {"'parametrization': 'mup'", "not_allowed", "/parametrization", "ntk"},
        {"'parametrization': 1", "wrong_type", "/parametrization", "text"},
        {"'feature_scale': 'yes'", "wrong_type", "/feature_scale", "true or false"},
        {"'zero_init_output': 1", "wrong_type", "/zero_init_output", "true or false"},
        {"'bias_init_std': -0.1", "out_of_range", "/bias_init_std", "from 0 to 100"},
        {"'bias_rate_factor': 0", "out_of_range", "/bias_rate_factor", "above 0"},
        {"'scale_rate_factor': 2", "wrong_parameter", "/scale_rate_factor",
         "feature_scale"},
        {"'gain_rate_factor': 2", "wrong_parameter", "/gain_rate_factor",
         "normalization"},
        {"'periodic_width': 2", "wrong_parameter", "/periodic_width",
         "periodic_embeddings"},
        {"'periodic_embeddings': true, 'periodic_width': 65", "out_of_range",
         "/periodic_width", "1 to 64"},
        {"'periodic_embeddings': true, 'periodic_frequencies': 0", "out_of_range",
         "/periodic_frequencies", "1 to 256"},
        {"'feature_scale': true, 'scale_rate_factor': 2, 'solver': 'lbfgs'",
         "not_with_lbfgs", "/scale_rate_factor", "line search"},
        {"'regularization_schedule': 'flat_cosine', 'solver': 'lbfgs'", "not_with_lbfgs",
         "/regularization_schedule", "dropout"},
        {"'regularization_schedule': 'cosine'", "not_allowed", "/regularization_schedule",
         "flat_cosine"},
        {"'schedule': 'coslog4', 'solver': 'lbfgs'", "not_with_lbfgs", "/schedule",
         "line search"},
        {"'preset': 'realmlp', 'solver': 'lbfgs'", "not_with_lbfgs", "/dropout",
         "line search"},
        {"'preset': 'real_mlp'", "not_allowed", "/preset", "realmlp"},
        {"'init': 'xavier'", "not_allowed", "/init", "auto, glorot_uniform"},
    };
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct answer *answer =
            client_post(&client, "/v1/jobs",
                        "{'dataset': '%s', 'target': 'species', 'model': 'b', %s}",
                        dataset, rows[i].members);
        expect_problem(answer, 422, rows[i].code);
        if (strcmp(text_at(answer->json, "/errors/0/pointer"), rows[i].pointer) != 0 ||
            !strstr(text_at(answer->json, "/detail"), rows[i].words))
            fail_msg("%s: %s: %s", rows[i].members,
                     text_at(answer->json, "/errors/0/pointer"),
                     text_at(answer->json, "/detail"));
    }
    expect_problem(client_post(&client, "/v1/jobs", "{'normalization': batch_norm}"), 400,
                   "invalid_json");
    client_close(&client);
}

static void batch_norm_of_one_row_is_refused(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *answer =
        client_post(&client, "/v1/jobs",
                    "{'data': {'X': [[1], [2]], 'y': [0.5, 1.5]}, 'model': 'o',"
                    " 'task': 'regression', 'normalization': 'batch_norm',"
                    " 'test_fraction': 0.5}");
    expect_problem(answer, 422, "too_few_rows");
    assert_string_equal(text_at(answer->json, "/errors/0/pointer"), "/normalization");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalised_nets_predict_the_same_after_a_restart),
        cmocka_unit_test(batch_norm_copes_with_one_row_left_over),
        cmocka_unit_test(perceptron_may_have_scales_and_ntk),
        cmocka_unit_test(embedded_perceptron_learns_a_wave),
        cmocka_unit_test(embedding_without_a_number_is_refused),
        cmocka_unit_test(realmlp_is_good_on_rows_that_it_has_not_seen),
        cmocka_unit_test(realmlp_follows_the_task_unless_it_is_told),
        cmocka_unit_test(same_seed_gives_the_same_weights_with_every_part_on),
        cmocka_unit_test(init_auto_suits_the_activation),
        cmocka_unit_test(output_of_zeros_says_the_same_of_every_row),
        cmocka_unit_test(every_option_reaches_the_weights),
        cmocka_unit_test(what_does_not_go_together_is_told_by_its_field),
        cmocka_unit_test(batch_norm_of_one_row_is_refused),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
