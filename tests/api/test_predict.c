#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENGUINS "/v1/models/penguins/predict"

/* One server with a classifier of penguins (two versions), a regression of diabetes. */
static int setup(void **state)
{
    struct client client;
    harness_setup(state);
    client_open(&client, *state);
    const char *penguins = upload(&client, "penguins");
    const char *diabetes = upload(&client, "diabetes");
    const char *first = submit(
        &client, "{'dataset': '%s', 'target': 'species', 'seed': 1, 'exclude': ['year']}",
        penguins);
    wait_job(&client, first, "succeeded");
    wait_job(&client,
             submit(&client, "{'dataset': '%s', 'target': 'progression'}", diabetes),
             "succeeded");
    wait_job(&client,
             submit(&client,
                    "{'dataset': '%s', 'target': 'species', 'seed': 2,"
                    " 'exclude': ['year']}",
                    penguins),
             "succeeded");
    client_close(&client);
    return 0;
}

#define GENTOO                                                                           \
    "'island': 'Biscoe', 'bill_length_mm': 47.5, 'bill_depth_mm': 15, "                  \
    "'flipper_length_mm': 218, 'body_mass_g': 4950, 'sex': 'female'"
#define ADELIE                                                                           \
    "'island': 'Torgersen', 'bill_length_mm': 39.1, 'bill_depth_mm': 18.7, "             \
    "'flipper_length_mm': 181, 'body_mass_g': 3750, 'sex': 'male'"

/* --- forms -------------------------------------------------------------------------- */

static void check_same(const struct answer *answer, const struct answer *expected)
{
    expect_status(answer, 200);
    assert_true(json_equal(answer->json, expected->json));
}

static void all_forms_give_the_same_answer(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *rows =
        client_post(&client, PENGUINS, "{'rows': [{" GENTOO "}, {" ADELIE "}]}");
    expect_status(rows, 200);
    assert_string_equal(text_at(rows->json, "/predictions/0"), "Gentoo");
    assert_string_equal(text_at(rows->json, "/predictions/1"), "Adelie");
    assert_int_equal(count_at(rows->json, "/warnings"), 0);
    check_same(client_post(&client, PENGUINS,
                           "{'columns': ['island', 'bill_length_mm', 'bill_depth_mm',"
                           " 'flipper_length_mm', 'body_mass_g', 'sex'], 'data':"
                           " [['Biscoe', 47.5, 15, 218, 4950, 'female'],"
                           " ['Torgersen', 39.1, 18.7, 181, 3750, 'male']]}"),
               rows);
    check_same(client_post(&client, PENGUINS,
                           "{'data': [['Biscoe', 47.5, 15, 218, 4950, 'female'],"
                           " ['Torgersen', 39.1, 18.7, 181, 3750, 'male']],"
                           " 'columns': ['island', 'bill_length_mm', 'bill_depth_mm',"
                           " 'flipper_length_mm', 'body_mass_g', 'sex']}"),
               rows);
    check_same(client_post(&client, PENGUINS,
                           "{'instances': [['Biscoe', 47.5, 15, 218, 4950, 'female'],"
                           " ['Torgersen', 39.1, 18.7, 181, 3750, 'male']]}"),
               rows);
    check_same(
        client_post(&client, PENGUINS, "{'instances': [{" GENTOO "}, {" ADELIE "}]}"),
        rows);
    check_same(client_post_csv(&client, PENGUINS,
                               "island,bill_length_mm,bill_depth_mm,flipper_length_mm,"
                               "body_mass_g,sex\nBiscoe,47.5,15,218,4950,female\n"
                               "Torgersen,39.1,18.7,181,3750,male\n"),
               rows);
    client_close(&client);
}

static void order_of_columns_is_free(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *rows =
        client_post(&client, PENGUINS, "{'rows': [{" GENTOO "}]}");
    check_same(client_post(&client, PENGUINS,
                           "{'rows': [{'sex': 'female', 'body_mass_g': 4950,"
                           " 'flipper_length_mm': 218, 'bill_depth_mm': 15,"
                           " 'bill_length_mm': 47.5, 'island': 'Biscoe'}]}"),
               rows);
    check_same(client_post_csv(&client, PENGUINS,
                               "sex,body_mass_g,bill_depth_mm,island,bill_length_mm,"
                               "flipper_length_mm\nfemale,4950,15,Biscoe,47.5,218\n"),
               rows);
    check_same(
        client_post(&client, PENGUINS,
                    "{'columns': ['sex', 'body_mass_g', 'flipper_length_mm',"
                    " 'bill_depth_mm', 'bill_length_mm', 'island'],"
                    " 'data': [['female', '4950', 218.0, 1.5e1, '47.5', 'Biscoe']]}"),
        rows);
    client_close(&client);
}

static void one_row_of_many_is_answered_as_alone(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *both =
        client_post(&client, PENGUINS, "{'rows': [{" ADELIE "}, {" GENTOO "}]}");
    const struct answer *alone =
        client_post(&client, PENGUINS, "{'rows': [{" GENTOO "}]}");
    expect_status(both, 200);
    expect_status(alone, 200);
    for (int i = 0; i < 3; i++) {
        char many[40];
        char one[40];
        snprintf(many, sizeof many, "/probabilities/1/%d", i);
        snprintf(one, sizeof one, "/probabilities/0/%d", i);
        assert_float_equal(number_at(both->json, many), number_at(alone->json, one),
                           1e-5);
    }
    client_close(&client);
}

static void probabilities_add_up_to_one(void **state)
{
    struct client client;
    client_open(&client, *state);
    size_t len = 0;
    char body[65536];
    FILE *file = fopen("tests/data/penguins.csv", "r");
    assert_non_null(file);
    len = fread(body, 1, sizeof body - 1, file);
    body[len] = '\0';
    fclose(file);
    const struct answer *said = client_post_csv(&client, PENGUINS, body);
    expect_status(said, 200);
    assert_int_equal(count_at(said->json, "/predictions"), 344);
    assert_int_equal(count_at(said->json, "/probabilities"), 344);
    for (size_t i = 0; i < 344; i++) {
        const json_t *row = json_array_get(find_at(said->json, "/probabilities"), i);
        double sum = 0;
        size_t best = 0;
        for (size_t k = 0; k < 3; k++) {
            double p = json_number_value(json_array_get(row, k));
            assert_true(p >= 0 && p <= 1);
            sum += p;
            if (p > json_number_value(json_array_get(row, best)))
                best = k;
        }
        assert_float_equal(sum, 1, 1e-5);
        assert_true(json_equal(json_array_get(find_at(said->json, "/predictions"), i),
                               json_array_get(find_at(said->json, "/classes"), best)));
    }
    assert_true(has_warning(said->json, "extra_column")); /* species and year */
    client_close(&client);
}

static void regression_predicts_numbers_in_the_targets_unit(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *said =
        client_post(&client, "/v1/models/diabetes/predict",
                    "{'instances': [[59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87]]}");
    expect_status(said, 200);
    assert_true(number_at(said->json, "/predictions/0") > 80);
    assert_true(number_at(said->json, "/predictions/0") < 330);
    assert_null(find_at(said->json, "/probabilities"));
    assert_null(find_at(said->json, "/classes"));
    client_close(&client);
}

static void labels_that_are_numbers_stay_numbers(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id =
        submit(&client, "{'data': {'X': [[0], [1], [2], [3], [4], [5]],"
                        " 'y': [3, 3, 3, 7, 7, 7]}, 'model': 'numbers',"
                        " 'task': 'binary', 'max_iter': 300, 'learning_rate': 0.05}");
    wait_job(&client, id, "succeeded");
    const struct answer *said =
        client_post(&client, "/v1/models/numbers/predict", "{'instances': [[0], [5]]}");
    expect_status(said, 200);
    assert_true(number_at(said->json, "/predictions/0") == 3);
    assert_true(number_at(said->json, "/predictions/1") == 7);
    assert_true(number_at(said->json, "/classes/0") == 3);
    client_close(&client);
}

/* --- versions ----------------------------------------------------------------------- */

static void newest_version_answers_unless_one_is_named(void **state)
{
    struct client client;
    client_open(&client, *state);
    static const char body[] = "{'rows': [{" GENTOO "}]}";
    const struct answer *newest = client_post(&client, PENGUINS, body);
    const struct answer *second =
        client_post(&client, "/v1/models/penguins/versions/2/predict", body);
    const struct answer *first =
        client_post(&client, "/v1/models/penguins/versions/1/predict", body);
    expect_status(newest, 200);
    expect_status(first, 200);
    assert_true(number_at(newest->json, "/version") == 2);
    assert_true(number_at(first->json, "/version") == 1);
    check_same(second, newest);
    assert_false(json_equal(find_at(first->json, "/probabilities"),
                            find_at(newest->json, "/probabilities")));
    client_close(&client);
}

static void version_trained_meanwhile_answers_at_once(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *dataset = upload(&client, "iris");
    static const char body[] = "{'instances': [[5.1, 3.5, 1.4, 0.2]]}";
    for (int version = 1; version <= 3; version++) {
        const char *id = submit(
            &client, "{'dataset': '%s', 'target': 'species', 'max_iter': 3, 'seed': %d}",
            dataset, version);
        wait_job(&client, id, "succeeded");
        const struct answer *said = client_post(&client, "/v1/models/iris/predict", body);
        expect_status(said, 200);
        assert_true(number_at(said->json, "/version") == version);
    }
    client_close(&client);
}

/* --- missing and unknown ------------------------------------------------------------ */

static void missing_values_may_be_null_or_empty(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *null = client_post(
        &client, PENGUINS, "{'instances': [['Biscoe', null, 15, 218, 4950, null]]}");
    expect_status(null, 200);
    assert_int_equal(count_at(null->json, "/warnings"), 0);
    check_same(client_post(&client, PENGUINS,
                           "{'instances': [['Biscoe', '', 15, 218, 4950, '']]}"),
               null);
    check_same(client_post_csv(&client, PENGUINS,
                               "island,bill_length_mm,bill_depth_mm,flipper_length_mm,"
                               "body_mass_g,sex\nBiscoe,,15,218,4950,NA\n"),
               null);
    const struct answer *nothing = client_post(
        &client, PENGUINS, "{'instances': [[null, null, null, null, null, null]]}");
    expect_status(nothing, 200);
    client_close(&client);
}

static void unseen_category_is_a_warning(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *said =
        client_post(&client, PENGUINS,
                    "{'instances': [['Dream', 47.5, 15, 218, 4950, 'female'],"
                    " ['Atlantis', 47.5, 15, 218, 4950, 'female']]}");
    expect_status(said, 200);
    assert_int_equal(count_at(said->json, "/warnings"), 1);
    assert_string_equal(text_at(said->json, "/warnings/0/code"), "unseen_category");
    assert_string_equal(text_at(said->json, "/warnings/0/column"), "island");
    assert_true(number_at(said->json, "/warnings/0/line") == 2);
    assert_non_null(strstr(text_at(said->json, "/warnings/0/detail"), "Atlantis"));
    client_close(&client);
}

static void extra_column_is_a_warning(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *plain =
        client_post(&client, PENGUINS, "{'rows': [{" GENTOO "}]}");
    const struct answer *said =
        client_post(&client, PENGUINS,
                    "{'rows': [{" GENTOO ", 'colour': 'black', 'species': 'Adelie'}]}");
    expect_status(said, 200);
    assert_int_equal(count_at(said->json, "/warnings"), 2);
    assert_string_equal(text_at(said->json, "/warnings/0/code"), "extra_column");
    assert_string_equal(text_at(said->json, "/warnings/0/column"), "colour");
    assert_true(json_equal(find_at(said->json, "/probabilities"),
                           find_at(plain->json, "/probabilities")));
    client_close(&client);
}

static void missing_column_is_named(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *said = client_post(
        &client, PENGUINS,
        "{'rows': [{'island': 'Biscoe', 'bill_length_mm': 47.5, 'sex': 'male',"
        " 'flipper_length_mm': 218}]}");
    expect_problem(said, 422, "missing_column");
    assert_non_null(strstr(text_at(said->json, "/detail"), "bill_depth_mm"));
    assert_non_null(strstr(text_at(said->json, "/detail"), "body_mass_g"));
    client_close(&client);
}

static void text_for_a_number_is_pointed_at(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *said = client_post(
        &client, PENGUINS,
        "{'rows': [{" GENTOO "}, {'island': 'Biscoe', 'bill_length_mm': 'long',"
        " 'bill_depth_mm': 15, 'flipper_length_mm': 218, 'body_mass_g': 4950,"
        " 'sex': 'female'}]}");
    expect_problem(said, 422, "not_a_number");
    assert_string_equal(text_at(said->json, "/errors/0/pointer"),
                        "/rows/1/bill_length_mm");
    assert_non_null(strstr(text_at(said->json, "/detail"), "long"));
    client_close(&client);
}

/* --- bad bodies --------------------------------------------------------------------- */

static void bad_bodies_are_refused(void **state)
{
    static const struct {
        const char *type;
        const char *body;
        long status;
        const char *code;
    } cases[] = {
        {"application/json", "", 400, "invalid_json"},
        {"application/json", "{", 400, "invalid_json"},
        {"application/json", "{\"rows\": [}", 400, "invalid_json"},
        {"application/json", "{\"rows\": [[1]]}", 422, "not_a_row"},
        {"application/json", "[]", 422, "not_an_object"},
        {"application/json", "{}", 422, "no_rows"},
        {"application/json", "{\"rows\": []}", 422, "no_rows"},
        {"application/json", "{\"rows\": 5}", 422, "not_an_array"},
        {"application/json", "{\"rowz\": []}", 422, "unknown_field"},
        {"application/json", "{\"columns\": [\"a\"]}", 422, "missing_field"},
        {"application/json", "{\"data\": [[1]]}", 422, "missing_field"},
        {"application/json", "{\"columns\": [\"a\", \"a\"], \"data\": [[1, 2]]}", 422,
         "duplicate_name"},
        {"application/json", "{\"columns\": [\"a\"], \"data\": [[1, 2]]}", 422,
         "ragged_row"},
        {"application/json", "{\"instances\": [[1, 2]]}", 422, "ragged_row"},
        {"application/json", "{\"instances\": [[[1], 2, 3, 4, 5, 6]]}", 422,
         "not_a_value"},
        {"application/json", "{\"rows\": [{\"a\": 1}, {\"b\": 1}]}", 422,
         "unknown_column"},
        {"application/json", "{\"rows\": [{\"a\": 1, \"b\": 1}, {\"a\": 1}]}", 422,
         "missing_column"},
        {"application/json", "{\"instances\": [[1e999, 1, 1, 1, 1, 1]]} x", 400,
         "invalid_json"},
        {"text/csv", "", 400, "empty_table"},
        {"text/csv", "island,sex\n", 400, "no_rows"},
        {"text/csv", "island,sex\nBiscoe\n", 400, "ragged_row"},
        {"text/csv", "island\n\"Biscoe\n", 400, "unterminated_quote"},
        {"text/plain", "island\nBiscoe\n", 415, "unsupported_media_type"},
        {NULL, "island\nBiscoe\n", 415, "unsupported_media_type"},
    };
    struct client client;
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_problem(client_call(&client, &(struct call){.path = PENGUINS,
                                                           .type = cases[i].type,
                                                           .body = cases[i].body,
                                                           .len = strlen(cases[i].body)}),
                       cases[i].status, cases[i].code);
    client_close(&client);
}

static void number_beyond_float_is_refused_with_its_place(void **state)
{
    static const char *const numbers[] = {"1e39", "-1e300", "1e999"};
    struct client client;
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct answer *said = client_post(
            &client, PENGUINS, "{'instances': [['Biscoe', %s, 15, 218, 4950, 'male']]}",
            numbers[i]);
        expect_problem(said, 422, "not_a_number");
    }
    client_close(&client);
}

static void large_batch_is_answered_in_full(void **state)
{
    enum { ROWS = 20000 };
    struct client client;
    client_open(&client, *state);
    static const char row[] = "[\"Biscoe\", 47.5, 15, 218, 4950, \"female\"],";
    size_t len = 0;
    char *body = malloc(ROWS * sizeof row + 100);
    assert_non_null(body);
    len += (size_t)snprintf(body, 100, "{\"instances\": [");
    for (size_t i = 0; i < ROWS; i++, len += sizeof row - 1)
        memcpy(body + len, row, sizeof row - 1);
    memcpy(body + len - 1, "]}", 2);
    const struct answer *said = client_call(
        &client,
        &(struct call){
            .path = PENGUINS, .type = "application/json", .body = body, .len = len + 1});
    free(body);
    expect_status(said, 200);
    assert_int_equal(count_at(said->json, "/predictions"), ROWS);
    assert_string_equal(text_at(said->json, "/predictions/19999"), "Gentoo");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_forms_give_the_same_answer),
        cmocka_unit_test(order_of_columns_is_free),
        cmocka_unit_test(one_row_of_many_is_answered_as_alone),
        cmocka_unit_test(probabilities_add_up_to_one),
        cmocka_unit_test(regression_predicts_numbers_in_the_targets_unit),
        cmocka_unit_test(labels_that_are_numbers_stay_numbers),
        cmocka_unit_test(newest_version_answers_unless_one_is_named),
        cmocka_unit_test(version_trained_meanwhile_answers_at_once),
        cmocka_unit_test(missing_values_may_be_null_or_empty),
        cmocka_unit_test(unseen_category_is_a_warning),
        cmocka_unit_test(extra_column_is_a_warning),
        cmocka_unit_test(missing_column_is_named),
        cmocka_unit_test(text_for_a_number_is_pointed_at),
        cmocka_unit_test(bad_bodies_are_refused),
        cmocka_unit_test(number_beyond_float_is_refused_with_its_place),
        cmocka_unit_test(large_batch_is_answered_in_full),
    };
    return cmocka_run_group_tests(tests, setup, harness_teardown);
}
