#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char penguins[64]; /* ids of the datasets that the tests refer to */
static char constant[64];

static int setup(void **state)
{
    struct client client;
    harness_setup(state);
    client_open(&client, *state);
    snprintf(penguins, sizeof penguins, "%s", upload(&client, "penguins"));
    const struct answer *made =
        client_post_csv(&client, "/v1/datasets", "x,same,blank\n1,a,\n2,a,\n3,a,\n");
    expect_status(made, 201);
    snprintf(constant, sizeof constant, "%s", text_at(made->json, "/id"));
    client_close(&client);
    return 0;
}

/* What is stored, as a number that any addition changes. */
static size_t count_stored(struct client *client)
{
    static const char *const lists[] = {"datasets", "jobs", "models"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct answer *list = client_get(client, "/v1/%s?limit=200", lists[i]);
        expect_status(list, 200);
        n += count_at(list->json, "/items");
    }
    return n;
}

static const struct answer *post_as(struct client *client, const char *path,
                                    const char *type, const char *body, size_t len)
{
    return client_call(
        client, &(struct call){.path = path, .type = type, .body = body, .len = len});
}

/* --- tables ------------------------------------------------------------------------- */

static const struct {
    const char *body;
    long status;
    const char *code;
    const char *detail; /* part of it, or NULL */
} tables[] = {
    {"", 400, "empty_table", NULL},
    {"\n\n", 400, "empty_table", NULL},
    {"a,b\n", 400, "no_rows", NULL},
    {"a,b", 400, "no_rows", NULL},
    {"a,b\n1,2\n3,4\n5,6,7\n", 400, "ragged_row", "line 4"},
    {"a,b\n1,2\n3\n", 400, "ragged_row", "line 3"},
    {"a,b\n1,\"2\n3,4\n", 400, "unterminated_quote", "line 2"},
    {"a,b\n1,x\"y\n", 400, "stray_quote", "line 2"},
    {"a,b\n1,\"x\"y\n", 400, "stray_quote", "line 2"},
    {"a,b\n1,\xFF\xFE\n", 400, "invalid_utf8", "line 2"},
    {"a,a\n1,2\n", 400, "bad_header", "line 1"},
    {"a,\n1,2\n", 400, "bad_header", "line 1"},
};

static void malformed_tables_are_refused_and_not_stored(void **state)
{
    struct client client;
    client_open(&client, *state);
    size_t before = count_stored(&client);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct answer *said = post_as(&client, "/v1/datasets", "text/csv",
                                            tables[i].body, strlen(tables[i].body));
        expect_problem(said, tables[i].status, tables[i].code);
        if (tables[i].detail)
            assert_non_null(strstr(text_at(said->json, "/detail"), tables[i].detail));
    }
    assert_int_equal(count_stored(&client), before);
    client_close(&client);
}

static void nul_bytes_are_refused(void **state)
{
    static const char body[] = "a,b\n1,2\n3,\0\n";
    static const char name[] = "a\0b\n1\n";
    struct client client;
    client_open(&client, *state);
    size_t before = count_stored(&client);
    const struct answer *said =
        post_as(&client, "/v1/datasets", "text/csv", body, sizeof body - 1);
    expect_problem(said, 400, "nul_byte");
    assert_non_null(strstr(text_at(said->json, "/detail"), "line 3"));
    expect_problem(post_as(&client, "/v1/datasets", "text/csv", name, sizeof name - 1),
                   400, "nul_byte");
    assert_int_equal(count_stored(&client), before);
    client_close(&client);
}

static void cell_of_two_megabytes_is_refused(void **state)
{
    enum { SIZE = 2 << 20 };
    struct client client;
    client_open(&client, *state);
    char *body = malloc(SIZE);
    assert_non_null(body);
    memset(body, 'x', SIZE);
    memcpy(body, "a\n", 2);
    body[SIZE - 1] = '\n';
    size_t before = count_stored(&client);
    expect_problem(post_as(&client, "/v1/datasets", "text/csv", body, SIZE), 413,
                   "cell_too_large");
    assert_int_equal(count_stored(&client), before);
    free(body);
    client_close(&client);
}

static void bad_names_are_refused(void **state)
{
    static const char *const names[] = {"",      "-a",     ".a",   "a%20b",
                                        "a%2Fb", "%C3%A9", "a%0Ab"};
    struct client client;
    char path[400];
    client_open(&client, *state);
    size_t before = count_stored(&client);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/v1/datasets?name=%s", names[i]);
        expect_problem(client_post_csv(&client, path, "a\n1\n"), 422, "bad_name");
    }
    snprintf(path, sizeof path, "/v1/datasets?name=%0129d", 1);
    expect_problem(client_post_csv(&client, path, "a\n1\n"), 422, "bad_name");
    assert_int_equal(count_stored(&client), before);
    snprintf(path, sizeof path, "/v1/datasets?name=%0128d", 1);
    expect_status(client_post_csv(&client, path, "a\n1\n"), 201);
    client_close(&client);
}

static void body_over_the_limit_is_413(void **state)
{
    static const char *const arguments[] = {"--max-upload-bytes", "100000", NULL};
    enum { LIMIT = 100000 };
    struct harness harness;
    struct client client;
    char *body = malloc(LIMIT + 1);
    (void)state;
    assert_non_null(body);
    for (size_t i = 0; i <= LIMIT; i += 2)
        memcpy(body + i, "1\n", i < LIMIT ? 2 : 1);
    memcpy(body, "a\n", 2);
    harness_open(&harness, arguments);
    client_open(&client, &harness);
    expect_problem(post_as(&client, "/v1/datasets", "text/csv", body, LIMIT + 1), 413,
                   "body_too_large");
    /* Without a declared length it is noticed on the way. */
    expect_problem(client_call(&client, &(struct call){.path = "/v1/datasets",
                                                       .type = "text/csv",
                                                       .body = body,
                                                       .len = LIMIT + 1,
                                                       .headers = {"Transfer-Encoding: "
                                                                   "chunked"}}),
                   413, "body_too_large");
    const struct answer *list = client_get(&client, "/v1/datasets");
    expect_status(list, 200);
    assert_int_equal(count_at(list->json, "/items"), 0);
    const struct answer *made = post_as(&client, "/v1/datasets", "text/csv", body, LIMIT);
    expect_status(made, 201);
    assert_true(number_at(made->json, "/rows") == LIMIT / 2 - 1);
    client_close(&client);
    harness_close(&harness);
    free(body);
}

/* --- jobs --------------------------------------------------------------------------- */

/* $P is the id of the penguins, $C of a table with a constant and a blank column. */
static const struct {
    const char *body;
    long status;
    const char *code;
    const char *pointer; /* of errors[0], or NULL */
    const char *detail;  /* part of it, or NULL */
} requests[] = {
    {"", 400, "empty_body", NULL, NULL},
    {"{", 400, "invalid_json", NULL, "line 1"},
    {"{'dataset': 1,}", 400, "invalid_json", NULL, NULL},
    {"{'dataset': '$P', 'target': 'species'} {}", 400, "invalid_json", NULL, NULL},
    {"{'dataset': '$P', 'dataset': '$P', 'target': 'species'}", 400, "invalid_json", NULL,
     "duplicate"},
    {"{'data': {'X': [[1]], 'y': [1]}, 'data': {'X': [[1]], 'y': [1]}}", 400,
     "invalid_json", NULL, NULL},
    {"[]", 422, "wrong_type", NULL, NULL},
    {"5", 422, "wrong_type", NULL, NULL},
    {"{}", 422, "missing_field", "/dataset", NULL},
    {"{'dataset': '$P'}", 422, "missing_field", "/target", NULL},
    {"{'dataset': 5, 'target': 'species'}", 422, "wrong_type", "/dataset", NULL},
    {"{'dataset': null, 'target': 'species'}", 422, "wrong_type", "/dataset", NULL},
    {"{'dataset': 'ds_nope', 'target': 'species'}", 422, "unknown_dataset", "/dataset",
     NULL},
    {"{'dataset': '', 'target': 'species'}", 422, "unknown_dataset", "/dataset", NULL},
    {"{'dataset': '$P', 'target': 'spezies'}", 422, NULL, "/target", "species"},
    {"{'dataset': '$P', 'target': ['species']}", 422, "wrong_type", "/target", NULL},
    {"{'dataset': '$C', 'target': 'same'}", 422, "one_class", "/target", NULL},
    {"{'dataset': '$C', 'target': 'blank'}", 422, "missing_target", "/target", NULL},
    {"{'dataset': '$P', 'target': 'species', 'task': 'regression'}", 422, "text_target",
     "/target", "Adelie"},
    {"{'dataset': '$P', 'target': 'species', 'task': 'binary'}", 422, "not_binary",
     "/target", NULL},
    {"{'dataset': '$P', 'target': 'species', 'task': 'clustering'}", 422, "not_allowed",
     "/task", NULL},
    {"{'dataset': '$P', 'target': 'species', 'features': ['islnd']}", 422,
     "unknown_column", "/features/0", "island"},
    {"{'dataset': '$P', 'target': 'species', 'exclude': ['year', 'x']}", 422,
     "unknown_column", "/exclude/1", NULL},
    {"{'dataset': '$P', 'target': 'species', 'features': []}", 422, "no_features", NULL,
     NULL},
    {"{'dataset': '$P', 'target': 'species', 'features': ['species']}", 422,
     "target_is_feature", "/features", NULL},
    {"{'dataset': '$P', 'target': 'species', 'features': 'island'}", 422, "wrong_type",
     "/features", NULL},
    {"{'dataset': '$P', 'target': 'species', 'model': 'a b'}", 422, "bad_name", "/model",
     NULL},
    {"{'dataset': '$P', 'target': 'species', 'hiden_layer_sizes': [3]}", 422,
     "unknown_field", "/hiden_layer_sizes", "hidden_layer_sizes"},
    {"{'dataset': '$P', 'target': 'species', 'hidden_layer_sizes': [0]}", 422,
     "out_of_range", "/hidden_layer_sizes/0", "1 to 65536"},
    {"{'dataset': '$P', 'target': 'species', 'hidden_layer_sizes': [5, -1]}", 422,
     "out_of_range", "/hidden_layer_sizes/1", NULL},
    {"{'dataset': '$P', 'target': 'species', 'hidden_layer_sizes': [1e9]}", 422,
     "wrong_type", "/hidden_layer_sizes/0", NULL},
    {"{'dataset': '$P', 'target': 'species', 'hidden_layer_sizes': 'x'}", 422,
     "wrong_type", "/hidden_layer_sizes", NULL},
    {"{'dataset': '$P', 'target': 'species', 'hidden_layer_sizes': [1.5]}", 422,
     "wrong_type", "/hidden_layer_sizes/0", NULL},
    {"{'dataset': '$P', 'target': 'species', 'hidden_layer_sizes': [65536, 65536]}", 422,
     "too_large", "/hidden_layer_sizes", NULL},
    {"{'dataset': '$P', 'target': 'species', 'learning_rate': 0}", 422, "out_of_range",
     "/learning_rate", NULL},
    {"{'dataset': '$P', 'target': 'species', 'learning_rate': -1}", 422, "out_of_range",
     "/learning_rate", "above 0"},
    {"{'dataset': '$P', 'target': 'species', 'learning_rate': 'a'}", 422, "wrong_type",
     "/learning_rate", NULL},
    {"{'dataset': '$P', 'target': 'species', 'learning_rate': 1e999}", 400,
     "invalid_json", NULL, NULL},
    {"{'dataset': '$P', 'target': 'species', 'learning_rate': null}", 422, "wrong_type",
     "/learning_rate", NULL},
    {"{'dataset': '$P', 'target': 'species', 'max_iter': 0}", 422, "out_of_range",
     "/max_iter", NULL},
    {"{'dataset': '$P', 'target': 'species', 'max_iter': 1.5}", 422, "wrong_type",
     "/max_iter", NULL},
    {"{'dataset': '$P', 'target': 'species', 'max_iter': 99999999999999999999}", 400,
     "invalid_json", NULL, NULL},
    {"{'dataset': '$P', 'target': 'species', 'seed': -1}", 422, "out_of_range", "/seed",
     NULL},
    {"{'dataset': '$P', 'target': 'species', 'seed': 9007199254740993}", 422,
     "out_of_range", "/seed", NULL},
    {"{'dataset': '$P', 'target': 'species', 'batch_size': 0}", 422, "out_of_range",
     "/batch_size", NULL},
    {"{'dataset': '$P', 'target': 'species', 'shuffle': 1}", 422, "wrong_type",
     "/shuffle", NULL},
    {"{'dataset': '$P', 'target': 'species', 'solver': 'adamant'}", 422, "not_allowed",
     "/solver", "adam"},
    {"{'dataset': '$P', 'target': 'species', 'activation': 'softmax'}", 422,
     "not_allowed", "/activation", NULL},
    {"{'dataset': '$P', 'target': 'species', 'preset': 'best'}", 422, "not_allowed",
     "/preset", NULL},
    {"{'dataset': '$P', 'target': 'species', 'loss': 'binary_cross_entropy'}", 422,
     "wrong_loss", "/loss", NULL},
    {"{'dataset': '$P', 'target': 'body_mass_g', 'loss': 'cross_entropy'}", 422,
     "wrong_loss", "/loss", NULL},
    {"{'dataset': '$P', 'target': 'species', 'output_activation': 'relu'}", 422,
     "wrong_output_activation", "/output_activation", NULL},
    {"{'dataset': '$P', 'target': 'species', 'loss': 'huber'}", 422, "wrong_loss",
     "/loss", "cross_entropy"},
    {"{'dataset': '$P', 'target': 'body_mass_g', 'loss': 'poisson',"
     " 'output_activation': 'relu'}",
     422, "wrong_output_activation", "/output_activation", "identity"},
    {"{'dataset': '$P', 'target': 'body_mass_g', 'loss': 'quantile', 'q': 1}", 422,
     "out_of_range", "/q", NULL},
    {"{'dataset': '$P', 'target': 'body_mass_g', 'loss': 'huber', 'delta': 0}", 422,
     "out_of_range", "/delta", NULL},
    {"{'dataset': '$P', 'target': 'body_mass_g', 'label_smoothing': 0.1}", 422,
     "wrong_parameter", "/label_smoothing", NULL},
    {"{'dataset': '$P', 'target': 'body_mass_g', 'class_weight': 'balanced'}", 422,
     "wrong_parameter", "/class_weight", NULL},
    {"{'dataset': '$P', 'target': 'species', 'activation': 'step'}", 422, "not_trainable",
     "/activation", "gradient"},
    {"{'dataset': '$P', 'target': 'species', 'sample_weight': 'yaer'}", 422,
     "unknown_column", "/sample_weight", "year"},
    {"{'dataset': '$P', 'target': 'species', 'sample_weight': 5}", 422, "wrong_type",
     "/sample_weight", NULL},
    {"{'dataset': '$P', 'target': 'species', 'test_fraction': 1}", 422, "out_of_range",
     "/test_fraction", NULL},
    {"{'dataset': '$P', 'target': 'species', 'test_fraction': 0.9,"
     " 'validation_fraction': 0.9}",
     422, "out_of_range", NULL, NULL},
    {"{'dataset': '$P', 'data': {'X': [[1]], 'y': [1]}, 'target': 'species'}", 422,
     "contradiction", "/data", NULL},
    {"{'data': {'X': [[1], [2]], 'y': [1]}}", 422, "length_mismatch", "/data/y", NULL},
    {"{'data': {'X': [[1], [2, 3]], 'y': [1, 2]}}", 422, "ragged_row", "/data/X/1", NULL},
    {"{'data': {'X': [], 'y': []}}", 422, "no_rows", "/data/X", NULL},
    {"{'data': {'X': [[1]]}}", 422, "missing_field", "/data/y", NULL},
    {"{'data': {'X': [[1]], 'z': [1]}}", 422, "unknown_field", "/data/z", NULL},
    {"{'data': {'X': 5, 'y': [1]}}", 422, "not_an_array", "/data/X", NULL},
    {"{'data': 5}", 422, "not_an_object", "/data", NULL},
    /* The rows are stored first, and taken back when the rest is refused. */
    {"{'data': {'X': [[1], [2]], 'y': [1, 1]}}", 422, "one_class", "/target", NULL},
    {"{'data': {'X': [[1], [2]], 'y': [0, 1]}, 'target': 'z'}", 422, NULL, "/target",
     NULL},
    {"{'data': {'X': [[1], [2]], 'y': [0, 1]}, 'features': ['x1']}", 422,
     "unknown_column", "/features/0", NULL},
};

/* The body with ids in their places and ' as ". */
static void fill_in(const char *body, char *out, size_t size)
{
    size_t len = 0;
    for (; *body && len + sizeof penguins < size; body++) {
        if (*body == '$')
            len += (size_t)snprintf(out + len, size - len, "%s",
                                    *++body == 'P' ? penguins : constant);
        else
            out[len++] = (char)(*body == '\'' ? '"' : *body);
    }
    out[len] = '\0';
}

static void check_request(struct client *client, size_t i)
{
    char body[1024];
    fill_in(requests[i].body, body, sizeof body);
    const struct answer *said =
        post_as(client, "/v1/jobs", "application/json", body, strlen(body));
    const char *code = requests[i].code;
    if (!code) {
        /* An unknown target may be called that or an unknown column. */
        code = json_string_value(find_at(said->json, "/code"));
        assert_true(code && strncmp(code, "unknown_", 8) == 0);
    }
    expect_problem(said, requests[i].status, code);
    if (requests[i].pointer)
        assert_string_equal(text_at(said->json, "/errors/0/pointer"),
                            requests[i].pointer);
    if (requests[i].detail && !strstr(text_at(said->json, "/detail"), requests[i].detail))
        fail_msg("\"%s\" does not say \"%s\"", text_at(said->json, "/detail"),
                 requests[i].detail);
}

static void bad_jobs_are_refused_and_store_nothing(void **state)
{
    struct client client;
    client_open(&client, *state);
    size_t before = count_stored(&client);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        check_request(&client, i);
        if (count_stored(&client) != before)
            fail_msg("something was stored by %s", requests[i].body);
    }
    client_close(&client);
}

static void deep_nesting_is_refused(void **state)
{
    enum { DEPTH = 100000 };
    static const struct {
        const char *begin;
        const char *path;
    } cases[] = {{"{\"dataset\": ", "/v1/jobs"}, {"{\"data\": ", "/v1/jobs"}};
    struct client client;
    client_open(&client, *state);
    char *body = malloc(DEPTH + 32);
    assert_non_null(body);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].begin);
        memcpy(body, cases[i].begin, len);
        memset(body + len, '[', DEPTH);
        expect_problem(
            post_as(&client, cases[i].path, "application/json", body, len + DEPTH), 400,
            "invalid_json");
    }
    free(body);
    client_close(&client);
}

/* --- HTTP --------------------------------------------------------------------------- */

static void unknown_things_are_404(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *code;
    } cases[] = {
        {"GET", "/", "no_such_route"},
        {"GET", "/v1", "no_such_route"},
        {"GET", "/v1/nothing", "no_such_route"},
        {"GET", "/v1/datasets/", "no_such_route"},
        {"GET", "/v1/datasets//rows", "no_such_route"},
        {"POST", "/v1/jobs/x/pause", "no_such_route"},
        {"GET", "/v1/datasets/ds_nope", "no_such_dataset"},
        {"GET", "/v1/datasets/ds_nope/rows", "no_such_dataset"},
        {"DELETE", "/v1/datasets/ds_nope", "no_such_dataset"},
        {"GET", "/v1/jobs/job_nope", "no_such_job"},
        {"POST", "/v1/jobs/job_nope/cancel", "no_such_job"},
        {"GET", "/v1/models/nope", "no_such_model"},
        {"DELETE", "/v1/models/nope", "no_such_model"},
        {"GET", "/v1/models/nope/versions/1", "no_such_model"},
        {"DELETE", "/v1/models/nope/versions/1", "no_such_model"},
        {"POST", "/v1/models/nope/predict", "no_such_model"},
        {"POST", "/v1/models/nope/versions/1/predict", "no_such_model"},
    };
    struct client client;
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_problem(client_call(&client, &(struct call){.method = cases[i].method,
                                                           .path = cases[i].path}),
                       404, cases[i].code);
    client_close(&client);
}

static void wrong_method_is_405_with_allow(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *allow;
    } cases[] = {
        {"PUT", "/v1/jobs", "POST, GET"},
        {"DELETE", "/v1/datasets", "POST, GET"},
        {"POST", "/v1/datasets/x", "GET, DELETE"},
        {"GET", "/v1/jobs/x/cancel", "POST"},
        {"POST", "/healthz", "GET"},
        {"GET", "/v1/models/x/predict", "POST"},
        {"PATCH", "/v1/models/x", "GET, DELETE"},
    };
    struct client client;
    char allow[256];
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct answer *said = client_call(
            &client, &(struct call){.method = cases[i].method, .path = cases[i].path});
        expect_problem(said, 405, "method_not_allowed");
        assert_string_equal(answer_header(said, "Allow", allow), cases[i].allow);
    }
    client_close(&client);
}

static void wrong_types_and_encodings_are_415(void **state)
{
    static const struct {
        const char *path;
        const char *type;
        const char *header;
        const char *code;
    } cases[] = {
        {"/v1/datasets", "application/json", NULL, "unsupported_media_type"},
        {"/v1/datasets", "text/plain", NULL, "unsupported_media_type"},
        {"/v1/datasets", "application/x-www-form-urlencoded", NULL,
         "unsupported_media_type"},
        {"/v1/datasets", "text/csv", "Content-Encoding: gzip",
         "unknown_content_encoding"},
        {"/v1/datasets", "text/csv", "Content-Encoding: br", "unknown_content_encoding"},
        {"/v1/jobs", "text/plain", NULL, "unsupported_media_type"},
        {"/v1/jobs", NULL, NULL, "unsupported_media_type"},
        {"/v1/jobs", "application/jsonx", NULL, "unsupported_media_type"},
        {"/v1/jobs", "application/json", "Content-Encoding: gzip",
         "unknown_content_encoding"},
    };
    struct client client;
    client_open(&client, *state);
    size_t before = count_stored(&client);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_problem(client_call(&client, &(struct call){.path = cases[i].path,
                                                           .type = cases[i].type,
                                                           .body = "a\n1\n",
                                                           .len = 4,
                                                           .headers = {cases[i].header}}),
                       415, cases[i].code);
    assert_int_equal(count_stored(&client), before);
    client_close(&client);
}

static void doubtful_requests_are_400(void **state)
{
    static const struct {
        const char *path;
        const char *header;
        const char *code;
    } cases[] = {
        {"/v1/datasets%2fx", NULL, "bad_target"},
        {"/v1/datasets/%00", NULL, "bad_target"},
        {"/healthz", "Content-Lengthy: 5", "bad_framing"},
        {"/healthz", "Transfer-Encoding: xchunked", "bad_framing"},
    };
    struct client client;
    client_open(&client, *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_problem(client_call(&client, &(struct call){.path = cases[i].path,
                                                           .headers = {cases[i].header}}),
                       400, cases[i].code);
    expect_problem(
        client_call(
            &client,
            &(struct call){.method = "GET", .path = "/v1/jobs", .body = "{}", .len = 2}),
        400, "bad_framing");
    expect_problem(client_call(&client, &(struct call){.path = "/v1/jobs",
                                                       .body = "{}",
                                                       .len = 2,
                                                       .headers = {"Expect: a miracle"}}),
                   417, "unknown_expectation");
    client_close(&client);
}

static void server_is_well_after_all_that(void **state)
{
    struct client client;
    client_open(&client, *state);
    expect_status(client_get(&client, "/readyz"), 200);
    const char *id = submit(
        &client, "{'dataset': '%s', 'target': 'species', 'max_iter': 2}", penguins);
    wait_job(&client, id, "succeeded");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_tables_are_refused_and_not_stored),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(cell_of_two_megabytes_is_refused),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(body_over_the_limit_is_413),
        cmocka_unit_test(bad_jobs_are_refused_and_store_nothing),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(unknown_things_are_404),
        cmocka_unit_test(wrong_method_is_405_with_allow),
        cmocka_unit_test(wrong_types_and_encodings_are_415),
        cmocka_unit_test(doubtful_requests_are_400),
        cmocka_unit_test(server_is_well_after_all_that),
    };
    return cmocka_run_group_tests(tests, setup, harness_teardown);
}
