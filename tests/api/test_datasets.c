#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *column(const json_t *dataset, size_t i)
{
    return json_array_get(find_at(dataset, "/columns"), i);
}

static void check_column(const json_t *dataset, size_t i, const char *name,
                         const char *kind, double missing)
{
    assert_string_equal(text_at(column(dataset, i), "/name"), name);
    assert_string_equal(text_at(column(dataset, i), "/kind"), kind);
    assert_true(number_at(column(dataset, i), "/missing") == missing);
}

static void check_category(const json_t *dataset, size_t i, size_t k, const char *value,
                           double count)
{
    char pointer[40];
    snprintf(pointer, sizeof pointer, "/categories/%zu/value", k);
    assert_string_equal(text_at(column(dataset, i), pointer), value);
    snprintf(pointer, sizeof pointer, "/categories/%zu/count", k);
    assert_true(number_at(column(dataset, i), pointer) == count);
}

static void upload_describes_every_column(void **state)
{
    struct client client;
    client_open(&client, *state);
    const struct answer *made =
        client_upload(&client, "tests/data/penguins.csv", "penguins");
    expect_status(made, 201);
    assert_string_equal(text_at(made->json, "/name"), "penguins");
    assert_true(number_at(made->json, "/rows") == 344);
    assert_int_equal(count_at(made->json, "/columns"), 8);
    check_column(made->json, 0, "species", "categorical", 0);
    check_column(made->json, 1, "island", "categorical", 0);
    check_column(made->json, 2, "bill_length_mm", "numeric", 2);
    check_column(made->json, 5, "body_mass_g", "integer", 2);
    check_column(made->json, 6, "sex", "categorical", 11);
    check_column(made->json, 7, "year", "integer", 0);
    assert_int_equal(count_at(column(made->json, 0), "/categories"), 3);
    check_category(made->json, 0, 0, "Adelie", 152);
    check_category(made->json, 0, 1, "Chinstrap", 68);
    check_category(made->json, 0, 2, "Gentoo", 124);
    check_category(made->json, 6, 1, "male", 168);
    assert_true(number_at(column(made->json, 5), "/min") == 2700);
    assert_true(number_at(column(made->json, 5), "/max") == 6300);
    assert_float_equal(number_at(column(made->json, 2), "/mean"), 43.92193, 1e-5);
    client_close(&client);
}

static void location_leads_to_the_same_description(void **state)
{
    struct client client;
    char location[256];
    char expected[256];
    client_open(&client, *state);
    const struct answer *made =
        client_upload(&client, "tests/data/diabetes.csv", "diabetes");
    expect_status(made, 201);
    answer_header(made, "Location", location);
    snprintf(expected, sizeof expected, "/v1/datasets/%s", text_at(made->json, "/id"));
    assert_string_equal(location, expected);
    const struct answer *got = client_get(&client, "%s", location);
    expect_status(got, 200);
    assert_true(json_equal(made->json, got->json));
    assert_true(number_at(got->json, "/rows") == 442);
    assert_int_equal(count_at(got->json, "/columns"), 11);
    assert_int_equal(strlen(text_at(got->json, "/sha256")), 64);
    client_close(&client);
}

/* --- rows --------------------------------------------------------------------------- */

/* One cell of the file (no commas within quotes there) against one of the answer. */
static void check_cell(const char *text, size_t len, const json_t *cell)
{
    char copy[64];
    char *end;
    if (len >= 2 && text[0] == '"') {
        text++;
        len -= 2;
    }
    snprintf(copy, sizeof copy, "%.*s", (int)len, text);
    double number = strtod(copy, &end);
    if (len == 0 || strcmp(copy, "NA") == 0)
        assert_true(json_is_null(cell));
    else if (*end == '\0')
        assert_true(json_is_number(cell) && json_number_value(cell) == number);
    else
        assert_string_equal(json_string_value(cell), copy);
}

static void check_line(const char *line, const json_t *row)
{
    size_t n = 0;
    for (;; n++) {
        size_t len = strcspn(line, ",\r\n");
        check_cell(line, len, json_array_get(row, n));
        line += len;
        if (*line != ',')
            break;
        line++;
    }
    assert_int_equal(n + 1, json_array_size(row));
}

static void check_all_rows(struct client *client, const char *name)
{
    char path[128];
    char line[512];
    const char *id = upload(client, name);
    const struct answer *rows =
        client_get(client, "/v1/datasets/%s/rows?limit=10000", id);
    expect_status(rows, 200);
    snprintf(path, sizeof path, "tests/data/%s.csv", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file)); /* the header */
    size_t n = 0;
    for (; fgets(line, sizeof line, file); n++)
        check_line(line, json_array_get(find_at(rows->json, "/data"), n));
    fclose(file);
    assert_int_equal(n, count_at(rows->json, "/data"));
    assert_true(number_at(rows->json, "/rows") == (double)n);
}

static void rows_are_those_of_the_file(void **state)
{
    struct client client;
    client_open(&client, *state);
    check_all_rows(&client, "penguins");
    check_all_rows(&client, "diabetes");
    check_all_rows(&client, "iris");
    client_close(&client);
}

static size_t count_rows(struct client *client, const char *id, const char *query)
{
    const struct answer *rows = client_get(client, "/v1/datasets/%s/rows%s", id, query);
    expect_status(rows, 200);
    return count_at(rows->json, "/data");
}

static void rows_come_in_the_window_asked_for(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = upload(&client, "penguins");
    assert_int_equal(count_rows(&client, id, ""), 20);
    assert_int_equal(count_rows(&client, id, "?limit=7"), 7);
    assert_int_equal(count_rows(&client, id, "?offset=340&limit=10"), 4);
    assert_int_equal(count_rows(&client, id, "?offset=344"), 0);
    assert_int_equal(count_rows(&client, id, "?offset=9223372036854775807"), 0);
    const struct answer *all = client_get(&client, "/v1/datasets/%s/rows?limit=344", id);
    const struct answer *one =
        client_get(&client, "/v1/datasets/%s/rows?offset=200&limit=1", id);
    assert_true(number_at(one->json, "/offset") == 200);
    assert_true(
        json_equal(find_at(all->json, "/data/200"), find_at(one->json, "/data/0")));
    client_close(&client);
}

static void rows_refuse_a_bad_window(void **state)
{
    static const char *const queries[] = {
        "limit=0", "limit=10001", "limit=-1",
        "limit=x", "offset=-1",   "offset=1.5",
        "offset=", "limit=1e3",   "offset=99999999999999999999999"};
    struct client client;
    client_open(&client, *state);
    const char *id = upload(&client, "iris");
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        expect_problem(client_get(&client, "/v1/datasets/%s/rows?%s", id, queries[i]),
                       422, "bad_argument");
    client_close(&client);
}

/* Byte order mark, CRLF, tabs, quotes, line breaks in cells, and letters beyond ASCII. */
static void awkward_text_survives(void **state)
{
    static const char text[] = "\xEF\xBB\xBFname\tnote, long\r\n"
                               "Zo\xC3\xAB\t\"a\tb\"\r\n"
                               "\"say \"\"hi\"\"\"\t\"two\nlines\"\r\n"
                               "\xF0\x9F\x90\xA7\t\r\n";
    struct client client;
    client_open(&client, *state);
    const struct answer *made = client_call(
        &client, &(struct call){.path = "/v1/datasets",
                                .body = text,
                                .len = strlen(text),
                                .type = "text/tab-separated-values; charset=utf-8"});
    expect_status(made, 201);
    const char *id = text_at(made->json, "/id");
    assert_string_equal(text_at(made->json, "/name"), id);
    const struct answer *rows = client_get(&client, "/v1/datasets/%s/rows", id);
    assert_string_equal(text_at(rows->json, "/columns/0"), "name");
    assert_string_equal(text_at(rows->json, "/columns/1"), "note, long");
    assert_string_equal(text_at(rows->json, "/data/0/0"), "Zo\xC3\xAB");
    assert_string_equal(text_at(rows->json, "/data/0/1"), "a\tb");
    assert_string_equal(text_at(rows->json, "/data/1/0"), "say \"hi\"");
    assert_string_equal(text_at(rows->json, "/data/1/1"), "two\nlines");
    assert_string_equal(text_at(rows->json, "/data/2/0"), "\xF0\x9F\x90\xA7");
    assert_true(json_is_null(find_at(rows->json, "/data/2/1")));
    client_close(&client);
}

/* --- lists -------------------------------------------------------------------------- */

#define N_LISTED 5

static void lists_come_in_pages_newest_first(void **state)
{
    struct client client;
    char ids[N_LISTED][64];
    char after[64] = "";
    size_t n = 0;
    client_open(&client, *state);
    for (size_t i = 0; i < N_LISTED; i++)
        snprintf(ids[i], sizeof ids[i], "%s", upload(&client, "iris"));
    for (size_t page = 0; page < 3; page++) {
        const struct answer *list = client_get(&client, "/v1/datasets?limit=2%s", after);
        expect_status(list, 200);
        assert_int_equal(count_at(list->json, "/items"), 2);
        for (size_t i = 0; i < 2 && n < N_LISTED; i++, n++)
            assert_string_equal(text_at(list->json, i ? "/items/1/id" : "/items/0/id"),
                                ids[N_LISTED - 1 - n]);
        snprintf(after, sizeof after, "&after=%s", text_at(list->json, "/next"));
    }
    client_close(&client);
}

static void a_list_ends(void **state)
{
    struct client client;
    struct harness harness;
    char after[64] = "";
    size_t n = 0;
    (void)state;
    harness_open(&harness, NULL);
    client_open(&client, &harness);
    for (size_t i = 0; i < N_LISTED; i++)
        upload(&client, "iris");
    for (size_t page = 0; page <= N_LISTED; page++) {
        const struct answer *list = client_get(&client, "/v1/datasets?limit=2%s", after);
        expect_status(list, 200);
        n += count_at(list->json, "/items");
        if (json_is_null(find_at(list->json, "/next")))
            break;
        snprintf(after, sizeof after, "&after=%s", text_at(list->json, "/next"));
    }
    assert_int_equal(n, N_LISTED);
    client_close(&client);
    harness_close(&harness);
}

static void lists_refuse_bad_arguments(void **state)
{
    static const char *const paths[] = {"/v1/datasets", "/v1/jobs", "/v1/models"};
    static const char *const queries[] = {"limit=0", "limit=201", "after=abc", "after=0",
                                          "after=-5"};
    struct client client;
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (size_t k = 0; k < sizeof queries / sizeof *queries; k++)
            expect_problem(client_get(&client, "%s?%s", paths[i], queries[k]), 422,
                           "bad_argument");
    client_close(&client);
}

/* --- deleting ----------------------------------------------------------------------- */

static void deleted_dataset_is_gone(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = upload(&client, "iris");
    const struct answer *gone = client_delete(&client, "/v1/datasets/%s", id);
    expect_status(gone, 204);
    assert_int_equal(gone->body_len, 0);
    expect_problem(client_get(&client, "/v1/datasets/%s", id), 404, "no_such_dataset");
    expect_problem(client_get(&client, "/v1/datasets/%s/rows", id), 404,
                   "no_such_dataset");
    expect_problem(client_delete(&client, "/v1/datasets/%s", id), 404, "no_such_dataset");
    client_close(&client);
}

static void dataset_in_use_is_not_deleted(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = upload(&client, "iris");
    const char *job =
        submit(&client, "{'dataset': '%s', 'target': 'species', " ENDLESS "}", id);
    expect_problem(client_delete(&client, "/v1/datasets/%s", id), 409, "dataset_in_use");
    wait_running(&client, job);
    expect_problem(client_delete(&client, "/v1/datasets/%s", id), 409, "dataset_in_use");
    expect_status(
        client_post(&client, "/v1/jobs", "{'dataset': '%s', 'target': 'species'}", id),
        202);
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s/cancel", job);
    expect_status(client_post(&client, path, "{}"), 202);
    wait_job(&client, job, "cancelled");
    const struct answer *list = client_get(&client, "/v1/jobs?limit=1");
    wait_job(&client, text_at(list->json, "/items/0/id"), "succeeded");
    expect_status(client_delete(&client, "/v1/datasets/%s", id), 204);
    client_close(&client);
}

static void model_outlives_its_dataset(void **state)
{
    struct client client;
    client_open(&client, *state);
    const char *id = upload(&client, "iris");
    const char *job = submit(
        &client, "{'dataset': '%s', 'target': 'species', 'model': 'outlives'}", id);
    wait_job(&client, job, "succeeded");
    expect_status(client_delete(&client, "/v1/datasets/%s", id), 204);
    const struct answer *said = client_post(&client, "/v1/models/outlives/predict",
                                            "{'instances': [[5.1, 3.5, 1.4, 0.2]]}");
    expect_status(said, 200);
    assert_string_equal(text_at(said->json, "/predictions/0"), "setosa");
    const struct answer *version = client_get(&client, "/v1/models/outlives/versions/1");
    expect_status(version, 200);
    assert_string_equal(text_at(version->json, "/dataset"), id);
    const struct answer *done = client_get(&client, "/v1/jobs/%s", job);
    expect_status(done, 200);
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upload_describes_every_column),
        cmocka_unit_test(location_leads_to_the_same_description),
        cmocka_unit_test(rows_are_those_of_the_file),
        cmocka_unit_test(rows_come_in_the_window_asked_for),
        cmocka_unit_test(rows_refuse_a_bad_window),
        cmocka_unit_test(awkward_text_survives),
        cmocka_unit_test(lists_come_in_pages_newest_first),
        cmocka_unit_test(a_list_ends),
        cmocka_unit_test(lists_refuse_bad_arguments),
        cmocka_unit_test(deleted_dataset_is_gone),
        cmocka_unit_test(dataset_in_use_is_not_deleted),
        cmocka_unit_test(model_outlives_its_dataset),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
